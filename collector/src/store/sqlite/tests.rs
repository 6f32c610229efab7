//! The store in a file: what all its tests share, with the tests themselves by subject.

mod cases;

mod copies;

mod durable;

mod model;

mod running;

mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use driftline_protocol::canonical;
use driftline_protocol::ids::{
    Digest, Generation, HostId, Incarnation, KeyId, PartName, SourceName,
};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::ledger::Chain;
use driftline_protocol::manifest::{Manifest, ManifestDelta};
use driftline_protocol::snapshot::{Content, Domain, Observed, Part, Reading, Reason};
use driftline_protocol::wire::HostKind;
use jiff::Timestamp;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{Reader, Writer, beside, open};
use crate::analysis::agreement::{Covers, Exemption, Subject};
use crate::analysis::cases::{Candidate, Exposure};
use crate::analysis::change::{Change, ChangeKind};
use crate::analysis::classify::request::{Approval, ChangeRequest, RequestKind};
use crate::analysis::classify::scope::{IntentScope, Level};
use crate::analysis::classify::weigh::{FindingClass, Meant};
use crate::analysis::classify::{ChangeClass, Classified, Decision, RuleKind};
use crate::analysis::correlate::Tier;
use crate::analysis::exceptions::{Ended, Exception, ExceptionScope};
use crate::analysis::finding::{Finding, FindingId, FindingKind, Resolution, Severity, Status};
use crate::store::memory::Memory;
use crate::store::*;
use crate::writer::Reads;

const HOSTS: [&str; 2] = ["pbx1", "sbc2"];
const SOURCES: [&str; 2] = ["files", "imported_files"];
const PARTS: [&str; 4] = ["/etc/a", "/etc/b", "/etc/c", "/etc/d"];
const HOUR: i64 = 3_600;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn host(index: usize) -> HostId {
    HOSTS[index].parse().unwrap()
}

fn source(index: usize) -> SourceName {
    SOURCES[index].parse().unwrap()
}

fn part_name(index: usize) -> PartName {
    PARTS[index].parse().unwrap()
}

fn item(text: String) -> Item {
    Item { value: ItemValue::Text(text), rank: None }
}

/// A part unlike that of any other number.
fn part(number: u8) -> Part {
    Part::Observed(Observed {
        reading: Reading { parser: "plain".into(), version: 1, scope: Digest([0; 32]) },
        raw: None,
        size: Some(u64::from(number)),
        content: Content::Read,
        items: BTreeMap::from([(ItemKey::of(["line"]), item("x".repeat(usize::from(number))))]),
    })
}

fn digest(number: u8) -> Digest {
    canonical::digest(&part(number))
}

fn host_record(index: usize, incarnation: u8, at: i64) -> HostRecord {
    HostRecord {
        id: host(index),
        kind: HostKind::Uc,
        incarnation: Incarnation([incarnation; 16]),
        token: [incarnation; 32],
        enrolled_at: second(1),
        last_seen: second(at),
        agent_version: "0.1.0".into(),
        key: (incarnation > 0).then_some(KeyId([7; 8])),
        site_key: incarnation > 1,
        retired_at: (at > 15).then(|| second(at)),
    }
}

#[derive(Clone, Debug)]
struct Sketch {
    host: usize,
    source: usize,
    generation: u64,
    from_base: bool,
    set: BTreeMap<usize, (u8, Option<Unread>)>,
    unset: BTreeSet<usize>,
    at: i64,
    received: i64,
    origin: Origin,
}

fn version_step(sketch: &Sketch, findings: Vec<Finding>) -> Step {
    let (host, source) = (host(sketch.host), source(sketch.source));
    let set = |(name, (number, _)): (&usize, &(u8, _))| (part_name(*name), digest(*number));
    let set: BTreeMap<_, _> = sketch.set.iter().map(set).collect();
    let unread = |(name, (_, unread)): (&usize, &(u8, Option<Unread>))| {
        unread.map(|unread| (part_name(*name), unread))
    };
    let version = VersionRecord {
        source: source.clone(),
        domain: if sketch.source == 0 { Domain::Config } else { Domain::Runtime },
        generation: Generation(sketch.generation),
        digest: Manifest(set.clone()).digest(),
        observed_at: second(sketch.at - 1),
        received_at: second(sketch.received),
        corrected_at: second(sketch.at),
        uncertainty_ms: 20,
        coalesced: sketch.generation % 3,
        expired: sketch.generation % 2,
        origin: sketch.origin,
    };
    Step::Version(Box::new(VersionStep {
        host,
        chain: Chain::start(&source).after(version.generation, &version.digest),
        version,
        changes: sketch.set.iter().map(|(name, (number, _))| change(*name, *number)).collect(),
        delta: ManifestDelta {
            base: sketch.from_base.then_some(Digest([0; 32])),
            set,
            unset: sketch.unset.iter().map(|name| part_name(*name)).collect(),
        },
        unobserved: sketch.set.iter().filter_map(unread).collect(),
        findings,
    }))
}

fn change(name: usize, number: u8) -> Change {
    let kind = ChangeKind::ALL[usize::from(number) % ChangeKind::ALL.len()];
    let large = "long ".repeat(usize::from(number) * 100);
    Change {
        part: part_name(name),
        key: number.is_multiple_of(2).then(|| ItemKey::of(["a", "b"])),
        kind,
        before: (number > 1).then(|| item("before".into())),
        after: (number > 0).then(|| item(large)),
    }
}

fn finding((host_index, name, status, at): (usize, usize, u8, i64)) -> Finding {
    Finding {
        id: FindingId {
            host: host(host_index),
            source: source(0),
            part: part_name(name),
            key: (name % 2 == 0).then(|| ItemKey::of(["key"])),
            kind: FindingKind::ALL[name % 2],
            rule: (name % 3 == 1).then(|| "a-rule".to_owned().try_into().unwrap()),
        },
        domain: Domain::Config,
        severity: Severity::Warning,
        desired: Some(item("as agreed".into())),
        current: None,
        first_seen: second(at),
        status: match status {
            0 | 1 => Status::Open,
            _ => Status::Resolved { at: second(at + 1), by: Resolution::Accepted },
        },
    }
}

/// An approval of a host, or of a group for the third: of all parts or of those of a pattern, or of
/// parts alone.
fn approval(
    number: i64,
    subject: usize,
    (source_index, how): (usize, u8),
    parts: BTreeMap<usize, u8>,
) -> Step {
    let subject =
        if subject == 2 { Subject::Group("pbx".into()) } else { Subject::Host(host(subject)) };
    let named = |(name, number): (usize, u8)| (part_name(name), digest(number));
    let covers = match how {
        0 if !parts.is_empty() => Covers::Parts(
            parts
                .into_iter()
                .map(named)
                .map(|(part, at)| (part, (number % 3 > 0).then_some(at)))
                .collect(),
        ),
        0 | 1 => Covers::All { pattern: "*".into(), parts: parts.into_iter().map(named).collect() },
        _ => Covers::All {
            pattern: part_name(1).as_str().into(),
            parts: parts.into_iter().map(named).filter(|(part, _)| *part == part_name(1)).collect(),
        },
    };
    let approval = ApprovalRecord {
        number,
        subject,
        at: second(9),
        who: "ada".into(),
        why: "change 7".into(),
        basis: if number % 5 == 0 { Basis::Nothing } else { Basis::Present },
        source: None,
        part: None,
        exempt: vec![Exemption { key: Some("id".into()), ..Exemption::default() }],
    };
    let covers = match approval.removes() {
        true => BTreeMap::new(),
        false => BTreeMap::from([(source(source_index), covers)]),
    };
    Step::Approve { approval: Box::new(approval), covers, findings: Vec::new() }
}

fn token(name: u8) -> TokenRecord {
    TokenRecord {
        name: format!("t{name}"),
        scope: Scope::Metrics,
        hash: [name; 32],
        created_at: second(1),
        expires_at: second(2),
    }
}

fn exception(name: u8, at: i64) -> Box<Exception> {
    Box::new(Exception {
        name: format!("e{name}"),
        scope: ExceptionScope { host: Some("h*".into()), ..ExceptionScope::default() },
        value: (at > 5).then_some(Digest([name; 32])),
        owner: "voice".into(),
        reason: "because".into(),
        made_by: "ada".into(),
        made_at: second(1),
        expires_at: second(30),
        zone: "UTC".into(),
        ended: (at > 9).then(|| Ended { at: second(at), by: "bob".into() }),
    })
}

fn event(of: Option<usize>, at: i64) -> EventRecord {
    let detail = format!("at {at}");
    EventRecord { at: second(at), host: of.map(host), kind: EventKind::Returned, detail }
}

fn case((source, id, opened, at): (u8, u8, i64, i64), facts: (u8, u8, bool)) -> CaseRecord {
    let (word, status, merged) = facts;
    CaseRecord {
        number: 0,
        source: format!("desk{source}"),
        id: format!("INC{id}"),
        opened_at: second(opened),
        recorded_at: (opened % 3 == 0).then(|| second(opened + 2)),
        received_at: second(at),
        facts: CaseFacts {
            service: format!("service {word}"),
            site: ["", "graz", "linz"][usize::from(word)].into(),
            category: "c".into(),
            team: "t".into(),
            priority: word.to_string(),
            status: CaseStatus::ALL[usize::from(status)],
            resolved_at: (status > 1).then(|| second(at)),
            due_at: Some(second(opened + 9)),
            parent: if merged { "INC0".into() } else { String::new() },
        },
    }
}

fn request(id: u8, (start, hours): (i64, i64), approved: bool) -> ChangeRequest {
    ChangeRequest {
        source: "itsm".into(),
        id: format!("CHG{id}"),
        kind: RequestKind::Normal,
        approval: if approved { Approval::Approved } else { Approval::Requested },
        start: second(start),
        end: second(start + hours),
        scope: IntentScope { hosts: vec!["h*".into()], ..IntentScope::default() },
        url: String::new(),
        received_at: second(start - hours),
    }
}

fn judgement(change: i64, class: Option<usize>, at: i64) -> Judgement {
    let decision = Decision {
        class: class.map(|class| ChangeClass::ALL[class]),
        rule: RuleKind::Request,
        name: "itsm/CHG1".into(),
        level: Some(Level::Host),
        says: "because".into(),
    };
    Judgement { change: ChangeId(change), classified: Classified::first(decision, second(at)) }
}

fn suspect(key: u8, at: i64, pass: i64, tier: usize) -> SuspectRecord {
    let tier = Tier::ALL[tier];
    let evidence = serde_json::json!({
        "window_hours": 72, "tier": tier.as_str(), "score": (tier != Tier::Undetermined)
            .then_some(f64::from(key) / 10.0), "indistinguishable": [],
    });
    SuspectRecord {
        number: 0,
        key: format!("set-{key}"),
        at: second(at),
        pass,
        kind: "files".into(),
        parts: vec!["/etc/a".into()],
        changes: vec![i64::from(key)],
        total: 1,
        hosts: vec!["pbx1".into()],
        host_count: 1,
        candidate: Candidate {
            id: format!("set-{key}"),
            at,
            service: key.is_multiple_of(2).then(|| "voice".into()),
            exposure: Exposure::Sites(vec!["graz".into()]),
            kind: None,
            window_hours: None,
            waves: Vec::new(),
        },
        evidence: serde_json::from_value(evidence).unwrap(),
        outcome: None,
    }
}

/// A store in a folder that goes with it.
struct Place {
    folder: TempDir,
    writer: Writer,
    reader: Reader,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (writer, reader) = open(&folder.path().join("store.db")).unwrap();
        Self { folder, writer, reader }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    /// A store that does not wait for the disk, for properties that no kill comes into.
    fn hasty() -> Self {
        let place = Self::new();
        place.writer.db.pragma_update(None, "synchronous", "OFF").unwrap();
        place
    }

    fn reopened(self) -> Self {
        let path = self.path();
        let Self { folder, writer, reader } = self;
        drop(reader);
        writer.close().unwrap();
        let (writer, reader) = open(&path).unwrap();
        Self { folder, writer, reader }
    }

    /// The store as a kill at this moment leaves it: the files as they are, and nothing closed.
    fn killed(&self) -> Self {
        let folder = TempDir::new().unwrap();
        for ending in ["", "-wal"] {
            let from = beside(&self.path(), ending);
            if from.exists() {
                std::fs::copy(&from, beside(&folder.path().join("store.db"), ending)).unwrap();
            }
        }
        let (writer, reader) = open(&folder.path().join("store.db")).unwrap();
        Self { folder, writer, reader }
    }
}

fn first_version() -> Step {
    version_step(
        &Sketch {
            host: 0,
            source: 0,
            generation: 1,
            from_base: false,
            set: BTreeMap::from([(0, (1, None))]),
            unset: BTreeSet::new(),
            at: 5,
            received: 5,
            origin: Origin::Agent,
        },
        vec![finding((0, 0, 0, 5))],
    )
}
