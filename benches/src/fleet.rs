//! Simulated agents: who they are, what they have seen, and the very bytes they send.
//!
//! Each reports one part of 200 facts, some 9 kB, that no other host shares: the size other fleet
//! servers were measured with, and nothing a store could keep only once. Everything follows from a
//! seed. Requests are made before the clock starts, so that the load generator's own encoding and
//! compression are not counted.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use driftline_protocol::canonical;
use driftline_protocol::ids::{Generation, HostId, Incarnation, KeyId, SessionId};
use driftline_protocol::item::{Item, ItemKey, ItemValue, Items};
use driftline_protocol::ledger::{Account, Chain};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::snapshot::{Content, Domain, Observed, Part, Reading};
use driftline_protocol::wire::{
    self, AgentStatus, EnrolAnswer, EnrolRequest, Heartbeat, HostKind, Outcome, PROTOCOL_VERSION,
    Report, ReportAnswer, SectionStatus, SectionVersion, SourceReading,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::http::{self, Connection};
use crate::statistics::Seeded;

/// Facts in the part of each host.
const FACTS: usize = 200;

const SOURCE: &str = "files";
const PART: &str = "/etc/app/facts.conf";

/// One simulated agent.
pub struct Agent {
    host: HostId,
    token: String,
    incarnation: Incarnation,
    session: SessionId,
    generation: Generation,
    chain: Chain,
    manifest: Manifest,
    account: Account,
    facts: Items,
    seeded: Seeded,
}

impl Agent {
    /// Agent `number` of the fleet that `seed` makes; it is not enrolled yet.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut seeded = Seeded(seed ^ (number << 20));
        let facts = (0..FACTS).map(|fact| {
            let value = ItemValue::text(seeded.word(14));
            (ItemKey::of([format!("fact_{fact:03}")]), Item { value, rank: None })
        });
        let facts = facts.collect();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..].copy_from_slice(&seed.to_le_bytes());
        let source = SOURCE.parse().expect("lower-case letters are a source name");
        Self {
            host: HostId::nearest(&format!("bench-{number:05}")),
            token: String::new(),
            incarnation: Incarnation(bytes),
            session: SessionId(bytes),
            generation: Generation(0),
            chain: Chain::start(&source),
            manifest: Manifest::default(),
            account: Account::default(),
            facts,
            seeded,
        }
    }

    /// Its name.
    pub fn host(&self) -> &HostId {
        &self.host
    }

    /// Asks for an identity and keeps it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn enrol(&mut self, connection: &mut Connection, secret: &str) -> anyhow::Result<()> {
        let request = EnrolRequest {
            version: PROTOCOL_VERSION,
            secret: Some(secret.to_owned()),
            replaces: None,
            proposed: self.host.clone(),
            kind: HostKind::Endpoint,
            incarnation: self.incarnation,
            agent_version: "0.1.0".into(),
        };
        let answer = connection.ask(&encoded("/api/v1/enrol", "", &request))?;
        ensure!(answer.status == 200, "enrolment was refused: {}", answer.status);
        let answer: EnrolAnswer = serde_json::from_slice(answer.body)?;
        self.host = answer.host;
        self.token = answer.token;
        Ok(())
    }

    /// The request with its state of now.
    pub fn heartbeat(&self) -> Vec<u8> {
        let status = SectionStatus {
            generation: self.generation,
            digest: self.manifest.digest(),
            chain: self.chain,
            account: self.account,
            unobserved: BTreeMap::new(),
            last_read: SourceReading { micros: 1_200, bytes: 9_000, success: true },
        };
        let source = SOURCE.parse().expect("lower-case letters are a source name");
        let heartbeat = Heartbeat {
            version: PROTOCOL_VERSION,
            host: self.host.clone(),
            incarnation: self.incarnation,
            session: self.session,
            generation: self.generation,
            wall: Timestamp::now(),
            monotonic_ms: 100_000,
            epoch: 1,
            key: KeyId([7; 8]),
            site_key: true,
            sections: BTreeMap::from([(source, status)]),
            status: AgentStatus { version: "0.1.0".into(), ..AgentStatus::default() },
        };
        encoded("/api/v1/heartbeat", &self.token, &heartbeat)
    }

    /// Changes one fact and gives the request that tells of it; the first tells of everything.
    pub fn report(&mut self) -> Vec<u8> {
        let fact = self.seeded.below(FACTS as u64) as usize;
        let word = self.seeded.word(14);
        if let Some(item) = self.facts.values_mut().nth(fact) {
            item.value = ItemValue::text(word);
        }
        let part = part(self.facts.clone());
        let name = PART.parse().expect("a path is a part name");
        let next = Manifest(BTreeMap::from([(name, canonical::digest(&part))]));
        let delta = match self.generation {
            Generation(0) => next.whole(),
            Generation(_) => self.manifest.delta_to(&next),
        };
        self.manifest = next;
        self.generation = self.generation.next();
        self.account.observed += 1;
        self.account.delivered += 1;
        let digest = self.manifest.digest();
        let chain_before = self.chain;
        self.chain = chain_before.after(self.generation, &digest);
        let version = SectionVersion {
            source: SOURCE.parse().expect("lower-case letters are a source name"),
            domain: Domain::Config,
            generation: self.generation,
            chain_before,
            chain: self.chain,
            coalesced: 0,
            expired: 0,
            observed_at: Timestamp::now(),
            observed_monotonic_ms: Some(100_000),
            delta,
            digest,
        };
        let report = Report {
            version: PROTOCOL_VERSION,
            host: self.host.clone(),
            incarnation: self.incarnation,
            session: self.session,
            monotonic_ms: 100_000,
            wall: Timestamp::now(),
            versions: vec![version],
            parts: vec![part],
        };
        encoded("/api/v1/report", &self.token, &report)
    }
}

fn part(items: Items) -> Part {
    let scope = canonical::scope_digest(["bench"]);
    let reading = Reading { parser: "key_value".into(), version: 1, scope };
    Part::Observed(Observed { reading, raw: None, size: None, content: Content::Read, items })
}

/// Whether a server's answer to a report says that all of it is durable.
///
/// # Errors
/// When it is not the answer to a report.
pub fn applied(body: &[u8]) -> anyhow::Result<bool> {
    let answer: ReportAnswer = serde_json::from_slice(body).context("no answer to a report")?;
    Ok(answer.outcomes.iter().all(|outcome| *outcome == Outcome::Applied))
}

fn encoded(path: &str, token: &str, message: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(message).expect("messages have only string keys");
    let (body, packed) = wire::compress(json);
    http::post(path, token, (&body, packed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_the_size_that_was_agreed_and_a_change_is_one_item() {
        let mut agent = Agent::new(1, 2);
        agent.report();
        let before = agent.facts.clone();
        assert!((8_500..9_800).contains(&canonical::encode(&part(before.clone())).len()));
        let manifest = agent.manifest.clone();
        agent.report();
        let changed = agent.facts.iter().filter(|(key, item)| before.get(*key) != Some(item));
        assert_eq!(changed.count(), 1);
        assert_ne!(agent.manifest, manifest);
        assert_eq!(agent.account.imbalance(), 0);
    }

    #[test]
    fn hosts_share_nothing_and_a_seed_repeats_itself() {
        let facts = |seed, number| Agent::new(seed, number).facts;
        assert_eq!(facts(1, 2), facts(1, 2));
        assert_ne!(facts(1, 2), facts(1, 3));
        assert_ne!(facts(1, 2), facts(2, 2));
    }
}
