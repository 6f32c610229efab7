//! A store in memory with one host, for promises that need no fleet.

use driftline_collector::analysis::change::{Change, ChangeKind};
use driftline_collector::analysis::finding::{Finding, FindingId, FindingKind, Severity, Status};
use driftline_collector::store::memory::Memory;
use driftline_collector::store::{
    Append as _, HostRecord, Origin, Step, Unread, VersionRecord, VersionStep,
};
use driftline_protocol::ids::{Digest, Generation, Incarnation, PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::ledger::Chain;
use driftline_protocol::manifest::ManifestDelta;
use driftline_protocol::snapshot::Domain;
use driftline_protocol::wire::HostKind;
use jiff::Timestamp;

pub(crate) const PART: &str = "/etc/sip.conf";

/// A midnight, and so many minutes later.
pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_799_971_200 + minute * 60).unwrap()
}

pub(crate) fn text(value: &str) -> Item {
    Item { value: ItemValue::text(value), rank: None }
}

pub(crate) fn part() -> PartName {
    PART.parse().unwrap()
}

pub(crate) fn change(value: &str) -> Change {
    Change {
        part: part(),
        key: Some(ItemKey::of(["codec"])),
        kind: ChangeKind::Modified,
        before: None,
        after: Some(text(value)),
    }
}

/// One host that has reported nothing yet.
pub(crate) fn store() -> Memory {
    let mut store = Memory::new();
    let host = HostRecord {
        id: "sbc-1".parse().unwrap(),
        kind: HostKind::Uc,
        incarnation: Incarnation([1; 16]),
        token: [0; 32],
        enrolled_at: at(0),
        last_seen: at(0),
        agent_version: "1".into(),
        key: None,
        site_key: false,
        retired_at: None,
    };
    store.apply(&[Step::Host(host)]).unwrap();
    store
}

/// A version of a section of the host at `minute`, with its digest and what led to it.
pub(crate) fn version_step(
    (source, minute, generation): (&str, i64, u64),
    (digest, delta): (Digest, ManifestDelta),
    changes: Vec<Change>,
) -> VersionStep {
    let source: SourceName = source.parse().unwrap();
    VersionStep {
        host: "sbc-1".parse().unwrap(),
        version: VersionRecord {
            source: source.clone(),
            domain: Domain::Config,
            generation: Generation(generation),
            digest,
            observed_at: at(minute),
            received_at: at(minute),
            corrected_at: at(minute),
            uncertainty_ms: 0,
            coalesced: 0,
            expired: 0,
            origin: Origin::Agent,
        },
        chain: Chain::start(&source),
        delta,
        unobserved: [].into(),
        changes,
        findings: Vec::new(),
    }
}

/// A version of the host's files at `minute`, which has the part as `digest`.
pub(crate) fn version(
    minute: i64,
    (digest, unread): (u8, Option<Unread>),
    changes: Vec<Change>,
) -> Step {
    let digest = Digest([digest; 32]);
    let delta = ManifestDelta { base: None, set: [(part(), digest)].into(), unset: [].into() };
    let generation = minute.unsigned_abs() + 1;
    Step::Version(Box::new(VersionStep {
        unobserved: unread.into_iter().map(|unread| (part(), unread)).collect(),
        ..version_step(("files", minute, generation), (digest, delta), changes)
    }))
}

/// Drift of the item with this number, since `minute`.
pub(crate) fn drift(number: usize, minute: i64, severity: Severity) -> Finding {
    Finding {
        id: FindingId {
            host: "sbc-1".parse().unwrap(),
            source: "files".parse().unwrap(),
            part: part(),
            key: Some(ItemKey::of([format!("codec{number}")])),
            kind: FindingKind::Drift,
            rule: None,
        },
        domain: Domain::Config,
        severity,
        desired: Some(text("a")),
        current: Some(text("b")),
        first_seen: at(minute),
        status: Status::Open,
    }
}
