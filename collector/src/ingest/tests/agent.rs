//! An agent made of values, and a collector around the model store.

use std::collections::BTreeMap;

use driftline_protocol::canonical;
use driftline_protocol::ids::{Generation, HostId, Incarnation, KeyId, SessionId};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::ledger::{Account, Chain};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::snapshot::{Content, Domain, Observed, Part, Reading};
use driftline_protocol::wire::*;
use jiff::Timestamp;

use super::super::*;
use crate::store::Append;
use crate::store::memory::Memory;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A file with these items.
pub(super) fn file(items: &[(&str, i64)]) -> Part {
    let item = |value: i64| Item { value: ItemValue::Integer(value), rank: None };
    let items = items.iter().map(|(name, value)| (ItemKey::of([name]), item(*value)));
    Part::Observed(Observed {
        reading: Reading {
            parser: "ini".into(),
            version: 1,
            scope: canonical::scope_digest([""; 0]),
        },
        raw: None,
        size: None,
        content: Content::Read,
        items: items.collect(),
    })
}

#[derive(Clone)]
pub(super) struct Agent {
    pub(super) host: HostId,
    pub(super) incarnation: Incarnation,
    pub(super) session: SessionId,
    pub(super) generation: Generation,
    pub(super) chain: Chain,
    pub(super) manifest: Manifest,
    pub(super) account: Account,
    pub(super) key: KeyId,
}

impl Agent {
    pub(super) fn new(host: HostId, incarnation: Incarnation) -> Self {
        Self {
            host,
            incarnation,
            session: SessionId([1; 16]),
            generation: Generation(0),
            chain: Chain::start(&source()),
            manifest: Manifest::default(),
            account: Account::default(),
            key: KeyId([1; 8]),
        }
    }

    /// Sees these files; gives the report that tells of them.
    pub(super) fn sees(&mut self, files: &[(&str, Part)]) -> Report {
        let base = self.manifest.clone();
        let digest = |part: &Part| canonical::digest(part);
        let parts = files.iter().map(|(name, part)| (name.parse().unwrap(), digest(part)));
        self.manifest = Manifest(parts.collect());
        self.generation = self.generation.next();
        let chain_before = self.chain;
        let digest = self.manifest.digest();
        self.chain = chain_before.after(self.generation, &digest);
        self.account.observed += 1;
        self.account.waiting += 1;
        let mut delta = base.delta_to(&self.manifest);
        if base.0.is_empty() {
            delta.base = None;
        }
        let version = SectionVersion {
            source: source(),
            domain: Domain::Config,
            generation: self.generation,
            chain_before,
            chain: self.chain,
            coalesced: 0,
            expired: 0,
            observed_at: at(0),
            observed_monotonic_ms: Some(1_000),
            delta,
            digest,
        };
        self.report(vec![version], files.iter().map(|(_, part)| part.clone()).collect())
    }

    pub(super) fn report(&self, versions: Vec<SectionVersion>, parts: Vec<Part>) -> Report {
        Report {
            version: PROTOCOL_VERSION,
            host: self.host.clone(),
            incarnation: self.incarnation,
            session: self.session,
            monotonic_ms: 1_000,
            wall: at(0),
            versions,
            parts,
        }
    }

    /// Takes all that waits for delivered.
    pub(super) fn acknowledged(&mut self) {
        self.account.delivered += std::mem::take(&mut self.account.waiting);
    }

    pub(super) fn heartbeat(&self) -> Heartbeat {
        let status = SectionStatus {
            generation: self.generation,
            digest: self.manifest.digest(),
            chain: self.chain,
            account: self.account,
            unobserved: BTreeMap::new(),
            last_read: SourceReading::default(),
        };
        let sections = BTreeMap::from([(source(), status)]);
        let mut heartbeat = Heartbeat {
            version: PROTOCOL_VERSION,
            host: self.host.clone(),
            incarnation: self.incarnation,
            session: self.session,
            generation: self.generation,
            wall: at(0),
            monotonic_ms: 1_000,
            epoch: 1,
            key: self.key,
            site_key: false,
            sections,
            status: AgentStatus { version: "0.1.0".into(), ..AgentStatus::default() },
        };
        if self.generation == Generation(0) {
            heartbeat.sections.clear();
        }
        heartbeat
    }
}

pub(super) fn source() -> driftline_protocol::ids::SourceName {
    "files".parse().unwrap()
}

pub(super) struct World {
    pub(super) store: Memory,
    pub(super) ingest: Ingest,
    pub(super) second: i64,
    pub(super) steps: Vec<Step>,
    foresight: bool,
}

impl World {
    pub(super) fn new() -> Self {
        let store = Memory::default();
        let ingest = Ingest::new(Config::default(), &store).unwrap();
        Self { store, ingest, second: 0, steps: Vec::new(), foresight: false }
    }

    /// A collector that starts again on what is durable.
    pub(super) fn restarted(&mut self) {
        let standards = self.ingest.standards();
        self.ingest = Ingest::new(Config::default(), &self.store).unwrap();
        self.ingest.adopt(standards);
    }

    /// Holds hosts to `standards` from now on.
    pub(super) fn adopt(&mut self, standards: crate::standards::Standards) {
        self.ingest.adopt(Arc::new(standards));
    }

    pub(super) fn enrol(&mut self, name: &str, state: u8) -> (Agent, String) {
        let incarnation = Incarnation([state; 16]);
        let request = EnrolRequest {
            version: PROTOCOL_VERSION,
            secret: None,
            replaces: None,
            proposed: name.parse().unwrap(),
            kind: HostKind::Uc,
            incarnation,
            agent_version: "0.1.0".into(),
        };
        let context = Context { store: &self.store, now: at(self.second) };
        let credentials = (Proof::Secret, [state; 32]);
        let decided = self.ingest.enrol(context, &request, credentials).unwrap();
        let answer = self.keep(decided);
        (Agent::new(answer.host, incarnation), answer.token)
    }

    /// Asks for a further host with the token of `original`.
    pub(super) fn enrol_copy(&mut self, original: &HostId) -> Result<HostId, IngestError> {
        let request = EnrolRequest {
            version: PROTOCOL_VERSION,
            secret: None,
            replaces: Some(original.clone()),
            proposed: original.clone(),
            kind: HostKind::Uc,
            incarnation: Incarnation([1; 16]),
            agent_version: "0.1.0".into(),
        };
        let context = Context { store: &self.store, now: at(self.second) };
        let credentials = (Proof::Token(original.clone()), [77; 32]);
        let decided = self.ingest.enrol(context, &request, credentials)?;
        Ok(self.keep(decided).host)
    }

    pub(super) fn heartbeat(&mut self, agent: &Agent) -> Result<HeartbeatAnswer, IngestError> {
        let context = Context { store: &self.store, now: at(self.second) };
        let decided = self.ingest.heartbeat(context, &agent.host, &agent.heartbeat())?;
        Ok(self.keep(decided))
    }

    pub(super) fn send(&mut self, report: &Report) -> Result<Vec<Outcome>, IngestError> {
        let checked = check_report(report.clone()).map_err(IngestError::Refused)?;
        // Every other report comes with what was read for it.
        self.foresight = !self.foresight;
        let checked = if self.foresight { checked.foreseeing(&self.store) } else { checked };
        let context = Context { store: &self.store, now: at(self.second) };
        let decided = self.ingest.report(context, &report.host, checked)?;
        Ok(self.keep(decided).outcomes)
    }

    /// Sees and delivers.
    pub(super) fn delivers(&mut self, agent: &mut Agent, files: &[(&str, Part)]) -> Outcome {
        let report = agent.sees(files);
        let outcome = self.send(&report).unwrap().remove(0);
        agent.acknowledged();
        outcome
    }

    pub(super) fn apply(&mut self, steps: Vec<Step>) {
        self.keep(Decided { answer: (), parts: Vec::new(), steps });
    }

    pub(super) fn keep<A>(&mut self, decided: Decided<A>) -> A {
        self.store.write(&decided.parts, &decided.steps, at(self.second)).unwrap();
        self.ingest.settle(&self.store, Settlement::Durable).unwrap();
        self.steps.extend(decided.steps);
        decided.answer
    }

    pub(super) fn source_view(&self, host: &HostId) -> SourceView {
        self.ingest.view(at(self.second)).hosts[host].sources[&source()].clone()
    }

    pub(super) fn events(&self) -> Vec<crate::store::EventKind> {
        let kind = |step: &Step| {
            let Step::Event(event) = step else { return None };
            Some(event.kind)
        };
        self.steps.iter().filter_map(kind).collect()
    }
}
