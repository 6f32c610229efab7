//! An agent: sees a host, keeps what it saw until it is taken, and speaks as the protocol says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use driftline_protocol::ids::{
    Digest, Generation, HostId, Incarnation, KeyId, PartName, SessionId, SourceName,
};
use driftline_protocol::ledger::{Account, Chain};
use driftline_protocol::manifest::{Manifest, ManifestDelta};
use driftline_protocol::snapshot::{Domain, Part};
use driftline_protocol::wire::{
    AgentStatus, Heartbeat, PROTOCOL_VERSION, Report, SectionStatus, SectionVersion, SourceReading,
};
use driftline_tests::simulation::host::Host;
use driftline_tests::simulation::intent::{DAY, START};
use jiff::Timestamp;

use super::reading::Reader;

/// A moment of the world.
pub(crate) fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

/// One section as its agent knows it.
#[derive(Clone)]
struct Section {
    manifest: Manifest,
    chain: Chain,
    generation: Generation,
    account: Account,
    /// When its newest state was seen.
    seen: i64,
}

/// A version that waits, and the parts it needs.
#[derive(Clone)]
struct Waiting {
    version: SectionVersion,
    parts: Vec<Part>,
}

/// One agent and the host it reads.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) id: HostId,
    pub(crate) host: Host,
    pub(crate) incarnation: Incarnation,
    pub(crate) session: SessionId,
    pub(crate) silent: bool,
    booted: i64,
    generation: Generation,
    sections: BTreeMap<SourceName, Section>,
    waiting: Vec<Waiting>,
}

fn domain(source: &str) -> Domain {
    match source {
        "accounts" => Domain::Identity,
        "listeners" | "transactions" => Domain::Runtime,
        _ => Domain::Config,
    }
}

impl Agent {
    pub(crate) fn new(id: HostId, host: Host, number: usize) -> Self {
        let mut state = [0; 16];
        state[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        Self {
            id,
            host,
            incarnation: Incarnation(state),
            session: SessionId(state),
            silent: false,
            booted: -DAY,
            generation: Generation(0),
            sections: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    /// The same machine with another run of the agent.
    pub(crate) fn starts_again(&mut self, mark: u8) {
        self.session.0[15] = mark;
    }

    /// The host was booted: its monotonic clock begins anew.
    pub(crate) fn boots(&mut self, at: i64) {
        self.booted = at;
        for waiting in &mut self.waiting {
            waiting.version.observed_monotonic_ms = None;
        }
        self.starts_again(2);
    }

    fn monotonic_ms(&self, at: i64) -> u64 {
        u64::try_from((at - self.booted) * 1_000).unwrap_or(0)
    }

    fn wall(&self, at: i64) -> Timestamp {
        moment(at + self.host.ahead)
    }

    /// Looks at these sections; gives the generation of each that differs from before.
    pub(crate) fn looks(
        &mut self,
        at: i64,
        sources: &BTreeSet<&'static str>,
        reader: &mut Reader,
    ) -> anyhow::Result<BTreeMap<&'static str, Generation>> {
        let mut told = BTreeMap::new();
        for source in sources {
            let name: SourceName = source.parse()?;
            let (manifest, parts) = self.section(source, reader)?;
            let old = self.sections.get(&name).map(|section| section.manifest.clone());
            if old.as_ref() == Some(&manifest) {
                continue;
            }
            let delta = match &old {
                Some(old) => old.delta_to(&manifest),
                None => manifest.whole(),
            };
            let parts = delta.set.keys().filter_map(|name| parts.get(name)).cloned().collect();
            let generation = self.push(&name, (manifest, delta), (at, parts));
            told.insert(*source, generation);
        }
        Ok(told)
    }

    fn section(
        &self,
        source: &str,
        reader: &mut Reader,
    ) -> anyhow::Result<(Manifest, BTreeMap<PartName, Part>)> {
        let (mut digests, mut parts): (BTreeMap<PartName, Digest>, _) = Default::default();
        for (place, state) in self.host.parts.iter().filter(|(place, _)| place.0 == source) {
            let (digest, part) = reader.read(*place, state);
            let name: PartName = place.1.parse()?;
            digests.insert(name.clone(), digest);
            BTreeMap::insert(&mut parts, name, part);
        }
        Ok((Manifest(digests), parts))
    }

    fn push(
        &mut self,
        source: &SourceName,
        (manifest, delta): (Manifest, ManifestDelta),
        (seen, parts): (i64, Vec<Part>),
    ) -> Generation {
        self.generation = self.generation.next();
        let (wall, monotonic_ms) = (self.wall(seen), self.monotonic_ms(seen));
        let section = self.sections.entry(source.clone()).or_insert_with(|| Section {
            manifest: Manifest::default(),
            chain: Chain::start(source),
            generation: Generation(0),
            account: Account::default(),
            seen,
        });
        let digest = manifest.digest();
        let chain_before = section.chain;
        section.chain = chain_before.after(self.generation, &digest);
        section.generation = self.generation;
        section.manifest = manifest;
        section.account.observed += 1;
        section.account.waiting += 1;
        section.seen = seen;
        let version = SectionVersion {
            source: source.clone(),
            domain: domain(source.as_str()),
            generation: self.generation,
            chain_before,
            chain: section.chain,
            coalesced: 0,
            expired: 0,
            observed_at: wall,
            observed_monotonic_ms: Some(monotonic_ms),
            delta,
            digest,
        };
        self.waiting.push(Waiting { version, parts });
        self.generation
    }

    /// The newest state of a section once more, from nothing, as seen when it was.
    pub(crate) fn sends_whole(
        &mut self,
        source: &SourceName,
        reader: &mut Reader,
    ) -> anyhow::Result<Generation> {
        let (manifest, parts) = self.section(source.as_str(), reader)?;
        let seen = self.sections.get(source).context("a section nobody has seen")?.seen;
        let delta = manifest.whole();
        Ok(self.push(source, (manifest, delta), (seen, parts.into_values().collect())))
    }

    /// Everything that waits, at most `most` versions of it.
    pub(crate) fn report(&mut self, at: i64, most: usize) -> Option<Report> {
        let many = self.waiting.len().min(most);
        if many == 0 {
            return None;
        }
        let (mut versions, mut parts) = (Vec::new(), Vec::new());
        for waiting in self.waiting.drain(..many) {
            versions.push(waiting.version);
            parts.extend(waiting.parts);
        }
        for version in &versions {
            if let Some(section) = self.sections.get_mut(&version.source) {
                section.account.waiting -= 1;
                section.account.delivered += 1;
            }
        }
        Some(Report {
            version: PROTOCOL_VERSION,
            host: self.id.clone(),
            incarnation: self.incarnation,
            session: self.session,
            monotonic_ms: self.monotonic_ms(at),
            wall: self.wall(at),
            versions,
            parts,
        })
    }

    /// The newest generation it has given out.
    pub(crate) fn newest(&self) -> u64 {
        self.generation.0
    }

    pub(crate) fn heartbeat(&self, at: i64) -> Heartbeat {
        let status = |section: &Section| SectionStatus {
            generation: section.generation,
            digest: section.manifest.digest(),
            chain: section.chain,
            account: section.account,
            unobserved: BTreeMap::new(),
            last_read: SourceReading { micros: 900, bytes: 4_096, success: true },
        };
        Heartbeat {
            version: PROTOCOL_VERSION,
            host: self.id.clone(),
            incarnation: self.incarnation,
            session: self.session,
            generation: self.generation,
            wall: self.wall(at),
            monotonic_ms: self.monotonic_ms(at),
            epoch: 1,
            key: KeyId([7; 8]),
            site_key: true,
            sections: self.sections.iter().map(|(name, s)| (name.clone(), status(s))).collect(),
            status: AgentStatus { version: "0.1.0".into(), ..AgentStatus::default() },
        }
    }
}
