//! The same steps against the model and the file, compared by everything that can be read.

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

fn findings() -> impl Strategy<Value = Vec<Finding>> {
    vec((0..2usize, 0..3usize, 0..3u8, 0..20i64).prop_map(finding), 0..3)
}

fn sketches() -> impl Strategy<Value = Sketch> {
    let unread = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Unread::Content(Reason::Malformed))),
        1 => Just(Some(Unread::Whole(Reason::Denied))),
    ];
    let origin = prop_oneof![Just(Origin::First), Just(Origin::Agent), Just(Origin::Import)];
    let at = (0..2usize, 0..2usize, 0..9u64, 0..20i64, 0..20i64);
    let set = btree_map(0..4usize, (0..5u8, unread), 0..4);
    (at, any::<bool>(), set, btree_set(0..4usize, 0..3), origin).prop_map(
        |((host, source, generation, at, received), from_base, set, unset, origin)| Sketch {
            host,
            source,
            generation,
            from_base,
            set,
            unset,
            at,
            received,
            origin,
        },
    )
}

fn baseline(host_index: usize, source_index: usize, parts: BTreeMap<usize, u8>) -> Baseline {
    let manifest = parts.into_iter().map(|(name, number)| (part_name(name), digest(number)));
    Baseline {
        host: host(host_index),
        sections: BTreeMap::from([(source(source_index), Manifest(manifest.collect()))]),
        approved_at: second(9),
        approved_by: "ada".into(),
        reason: "change 7".into(),
    }
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

fn cases() -> impl Strategy<Value = Step> {
    let place = (0..2u8, 0..4u8, 0..20i64, 20..40i64);
    let facts = (0..3u8, 0..4u8, any::<bool>());
    let reading = (0..2u8, 0..30i64, any::<bool>()).prop_map(|(source, at, whole)| {
        Step::CaseReading(CaseReading {
            source: format!("desk{source}"),
            at: second(at),
            good_through: whole.then(|| second(at - 1)),
            rows: 3,
            refused: u64::from(!whole),
            problem: if whole { String::new() } else { "it broke off".into() },
        })
    });
    prop_oneof![
        3 => vec((place, facts).prop_map(|(place, facts)| case(place, facts)), 1..6)
            .prop_map(Step::Cases),
        1 => reading,
    ]
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

fn intents() -> impl Strategy<Value = Step> {
    let one = (0..3u8, (0..20i64, 1..9i64), any::<bool>());
    let judged = (0..30i64, proptest::option::of(0..12usize), 0..20i64);
    prop_oneof![
        vec(one.prop_map(|(id, span, approved)| request(id, span, approved)), 1..3)
            .prop_map(Step::ChangeRequests),
        vec((1..4i64, 1..4i64), 1..3).prop_map(Step::Reconsidered),
        vec(judged.prop_map(|(change, class, at)| judgement(change, class, at)), 1..6)
            .prop_map(Step::Judged),
        vec(weighings(), 1..6).prop_map(Step::Weighed),
        (1..4i64, 0..20i64, 0..3usize).prop_map(|(finding, at, act)| Step::Act(ActRecord {
            finding,
            at: second(at),
            who: "ada".into(),
            act: crate::store::Act::ALL[act],
            text: format!("at {at}"),
        })),
    ]
}

fn weighings() -> impl Strategy<Value = Weighing> {
    let meant = (proptest::option::of(0..10usize), proptest::option::of(0..20i64));
    let of = (0..2usize, 0..3usize, 0..1u8, 0..20i64);
    (of, proptest::option::of(meant)).prop_map(|(of, meant)| Weighing {
        finding: finding(of).id,
        opened: second(of.3),
        meant: meant.map(|(class, settles)| Meant {
            decision: judgement(1, class, 1).classified.decision,
            change: Some(1),
            settles_at: settles.map(second),
        }),
    })
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

fn suspect_steps() -> impl Strategy<Value = Step> {
    let of_pass = |number| {
        let input = serde_json::json!({ "number": number });
        Box::new(PassRecord { number, at: second(number), input, took_ms: 1 })
    };
    let said = |(suspect, confirmed): (i64, bool)| {
        let outcome = if confirmed { Outcome::Confirmed } else { Outcome::Rejected };
        Step::Outcome(OutcomeRecord {
            suspect,
            at: second(3),
            who: "ada".into(),
            outcome,
            reason: "seen".into(),
            kind: "files".into(),
            tier: "supported".into(),
            score: Some(0.5),
        })
    };
    prop_oneof![
        3 => vec((0..4u8, 0..20i64, 0..4i64, 0..5usize), 1..4).prop_map(|all| {
            Step::Suspects(all.into_iter().map(|(k, at, p, t)| suspect(k, at, p, t)).collect())
        }),
        2 => (0..4i64, vec(0..4u8, 0..2)).prop_map(move |(number, gone)| {
            Step::Pass(of_pass(number), gone.iter().map(|key| format!("set-{key}")).collect())
        }),
        1 => (1..4i64, any::<bool>()).prop_map(said),
    ]
}

fn all_suspects(store: &impl ReadSuspects) -> Vec<String> {
    let none = SuspectFilter::default;
    let filters = [
        none(),
        SuspectFilter { service: Some("voice".into()), limit: 2, ..none() },
        SuspectFilter { tier: Some(Tier::Possible), ..none() },
        SuspectFilter { from: Some(second(5)), to: Some(second(15)), ..none() },
        SuspectFilter { number: Some(2), ..none() },
    ];
    let mut all: Vec<String> = filters
        .iter()
        .map(|filter| format!("{filter:?}: {:#?}", store.suspects(filter).unwrap()))
        .collect();
    all.push(format!("{:?} {:?}", store.last_pass().unwrap(), store.outcomes().unwrap()));
    all.extend((0..4).map(|number| format!("{number}: {:?}", store.pass(number).unwrap())));
    all
}

fn steps() -> impl Strategy<Value = Step> {
    let approved = (0..2usize, 0..2usize, btree_map(0..4usize, 0..5u8, 0..3), findings());
    prop_oneof![
        6 => (sketches(), findings()).prop_map(|(sketch, f)| version_step(&sketch, f)),
        1 => (0..2usize, 0..3u8, 0..20i64).prop_map(|(h, i, at)| Step::Host(host_record(h, i, at))),
        1 => approved.prop_map(|(host, source, parts, findings)| Step::Approve {
            baseline: baseline(host, source, parts),
            findings,
        }),
        1 => findings().prop_map(Step::Findings),
        1 => (0..2usize, 0..2usize, 0..9u64).prop_map(|(of, from, delivered)| Step::Recount {
            host: host(of),
            source: source(from),
            delivered,
        }),
        2 => cases(),
        1 => (0..3u8, 0..20i64).prop_map(|(name, at)| Step::Exception(exception(name, at))),
        2 => suspect_steps(),
        3 => intents(),
        1 => (0..3u8).prop_map(|name| Step::Token(token(name))),
        1 => (0..3u8).prop_map(|name| Step::RemoveToken(format!("t{name}"))),
        1 => (proptest::option::of(0..2usize), 0..20i64)
            .prop_map(|(host, at)| Step::Event(event(host, at))),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Apply(Vec<Step>),
    Keep(Vec<u8>, i64),
    Seen(usize, i64),
    Expire(i64, i64),
    Reopen,
    Kill,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    vec(
        prop_oneof![
            5 => vec(steps(), 1..5).prop_map(Act::Apply),
            2 => (vec(0..5u8, 1..4), 0..5i64).prop_map(|(parts, at)| Act::Keep(parts, at * HOUR)),
            1 => (0..2usize, 0..30i64).prop_map(|(host, at)| Act::Seen(host, at)),
            2 => (0..20i64, 0..5i64).prop_map(|(before, now)| Act::Expire(before, now * HOUR)),
            1 => Just(Act::Reopen),
            1 => Just(Act::Kill),
        ],
        1..16,
    )
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

/// Everything that can be read from a store, as text.
fn everything<S: Reads>(store: &S) -> Vec<String> {
    let mut all = vec![
        format!("{:#?}", store.hosts().unwrap()),
        format!("{:#?}", store.tokens().unwrap()),
        format!("{:#?}", store.events(None, 0).unwrap()),
        format!("{:#?}", Totals { bytes: 0, ..store.totals().unwrap() }),
    ];
    all.extend(all_cases(store));
    all.push(format!("{:#?}", store.exceptions().unwrap()));
    all.extend(all_suspects(store));
    all.extend(all_intents(store));
    for index in 0..HOSTS.len() {
        let host = host(index);
        all.push(format!("{:#?}", store.host(&host).unwrap()));
        all.push(format!("{:#?}", store.sections(&host).unwrap()));
        all.push(format!("{:#?}", store.versions(&host, 5).unwrap()));
        all.push(format!("{:#?}", store.events(Some(&host), 3).unwrap()));
        let after = Some(Cursor { at: second(9), number: i64::MIN });
        let filter = EventFilter { host: Some(host.clone()), after, limit: 2 };
        let older = store.placed_events(&filter).unwrap().into_iter().map(|(_, event)| event);
        all.push(format!("{:#?}", older.collect::<Vec<_>>()));
        all.push(format!("{:#?}", store.baseline(&host).unwrap()));
        all.push(format!("{:?}", store.baseline_sources(&host).unwrap()));
        for source in (0..SOURCES.len()).map(source) {
            all.push(format!("{:#?}", store.section_parts(&host, &source).unwrap()));
            for at in 0..20 {
                let manifest = store.manifest_at(&host, &source, second(at)).unwrap();
                all.push(format!("{host}/{source}@{at}: {manifest:?}"));
            }
            for part in (0..PARTS.len()).map(part_name) {
                let of = store.baseline_part(&host, &source, &part).unwrap();
                all.push(format!("{host}/{source}/{part} approved as {of:?}"));
            }
        }
    }
    for number in 0..5 {
        all.push(format!("{number}: {:?}", store.part(&digest(number)).unwrap()));
    }
    let digests: Vec<_> = (0..5).map(digest).collect();
    all.push(format!("missing {:?}", store.missing(&digests).unwrap()));
    let mut open: Vec<_> =
        store.open_counts().unwrap().iter().map(|count| format!("open {count:?}")).collect();
    open.sort(); // they come in no order
    all.extend(open);
    all.extend(filters().iter().map(|f| format!("{f:?}: {:#?}", store.changes(f).unwrap())));
    all.extend(finding_filters().iter().map(|f| {
        let found = store.findings(f).unwrap();
        let same = |f: &FindingRecord| store.finding(&f.finding.id).unwrap().as_ref() == Some(f);
        assert!(found.iter().all(same), "a finding differs from itself by name");
        format!("{f:?}: {found:#?}")
    }));
    all
}

fn all_cases(store: &impl ReadCases) -> Vec<String> {
    let none = CaseFilter::default;
    let after = Some(Cursor { at: second(9), number: 2 });
    let filters = [
        none(),
        CaseFilter { source: Some("desk1".into()), id: Some("INC2".into()), ..none() },
        CaseFilter { from: Some(second(5)), to: Some(second(15)), limit: 2, ..none() },
        CaseFilter { source: Some("never seen".into()), ..none() },
        CaseFilter { after, ..none() },
    ];
    let mut all: Vec<String> = filters
        .iter()
        .map(|filter| format!("{filter:?}: {:#?}", store.cases(filter).unwrap()))
        .collect();
    let known = store.cases_known().unwrap();
    all.push(format!("{known:?} {:?}", store.case_feeds().unwrap()));
    all.push(format!("delays {:?}", store.case_delays(5).unwrap()));
    let mut counts = store.case_counts(second(4)).unwrap();
    counts.sort();
    all.push(format!("{counts:?}"));
    let mut open = Vec::new();
    store.each_open_case(7, &mut |case| open.push(format!("{case:?}"))).unwrap();
    all.push(format!("open {open:#?}"));
    for update in 0..=known.update {
        let mut counted = Vec::new();
        let of = (second(3), CasesKnown { update, case: known.case - 1 });
        store.each_case(of, 1_000, &mut |case| counted.push(format!("{case:?}"))).unwrap();
        counted.sort();
        all.push(format!("at {update}: {counted:#?}"));
    }
    all
}

fn all_intents(store: &impl Reads) -> Vec<String> {
    let none = RequestFilter::default;
    let after = Some(Cursor { at: second(9), number: 2 });
    let filters = [
        none(),
        RequestFilter { id: Some("CHG1".into()), source: Some("itsm".into()), ..none() },
        RequestFilter { from: Some(second(5)), to: Some(second(12)), ..none() },
        RequestFilter { after, limit: 1, ..none() },
    ];
    let mut all: Vec<String> = filters
        .iter()
        .map(|filter| format!("{filter:?}: {:#?}", store.change_requests(filter).unwrap()))
        .collect();
    all.push(format!("{:#?}", store.count_requests("itsm").unwrap()));
    all.push(format!("{:#?}", store.to_reconsider(2).unwrap()));
    all.push(format!("{:#?}", store.acts(2, 3).unwrap()));
    all.push(format!("{:#?}", store.unjudged(4).unwrap()));
    all.push(format!("{:#?}", store.to_weigh(second(9), 100).unwrap()));
    all
}

fn filters() -> Vec<ChangeFilter> {
    let none = ChangeFilter::default;
    vec![
        none(),
        ChangeFilter { limit: 3, ..none() },
        ChangeFilter { host: Some(host(0)), from: Some(second(5)), ..none() },
        ChangeFilter { source: Some(source(1)), to: Some(second(9)), limit: 2, ..none() },
        ChangeFilter { host: Some(host(1)), source: Some(source(0)), ..none() },
        ChangeFilter { part: Some(part_name(2)), ..none() },
        ChangeFilter { part: Some("never seen".parse().unwrap()), ..none() },
        ChangeFilter { kinds: vec![ChangeKind::Added, ChangeKind::Moved], ..none() },
        ChangeFilter { before: Some(ChangeId(4)), host: Some(host(0)), ..none() },
        ChangeFilter { before: Some(ChangeId(7)), limit: 2, ..none() },
        ChangeFilter { classes: vec![ChangeClass::Expected], ..none() },
        ChangeFilter { classes: ChangeClass::ALL[2..].to_vec(), host: Some(host(0)), ..none() },
    ]
}

fn finding_filters() -> Vec<FindingFilter> {
    let none = FindingFilter::default;
    vec![
        none(),
        FindingFilter { open_only: true, limit: 2, ..none() },
        FindingFilter { host: Some(host(1)), ..none() },
        FindingFilter { kind: Some(FindingKind::Deviation), open_only: true, ..none() },
        FindingFilter { number: Some(2), ..none() },
        FindingFilter {
            classes: vec![FindingClass::Unjudged, FindingClass::Of(ChangeClass::Early)],
            ..none()
        },
        FindingFilter { after: Some(Cursor { at: second(9), number: 2 }), ..none() },
    ]
}

/// Counts of references must be what the rows say, whatever has happened.
fn check_references(reader: &Reader) {
    let wrong = "SELECT count(*) FROM part WHERE is_here != EXISTS (
             SELECT 1 FROM part_body WHERE id = part.id)
         OR refs != (SELECT count(*) FROM part_now WHERE digest = part.id)
             + (SELECT count(*) FROM part_now WHERE seen = part.id)
             + (SELECT count(*) FROM part_now WHERE read = part.id)
             + (SELECT count(*) FROM part_past WHERE digest = part.id)
             + (SELECT count(*) FROM baseline_part WHERE digest = part.id)";
    let wrong: i64 =
        reader.with(|db| Ok(db.query_row(wrong, [], |row| row.get(0)).unwrap())).unwrap();
    assert_eq!(wrong, 0, "parts whose references are miscounted");
}

fn assert_same(model: &Memory, reader: &Reader) {
    check_references(reader);
    for (model, real) in everything(model).into_iter().zip(everything(reader)) {
        assert_eq!(model, real, "left: the model, right: the file");
    }
}

fn check(acts: &[Act]) {
    let mut model = Memory::new();
    let mut place = Place::new();
    for act in acts {
        match act {
            Act::Apply(steps) => {
                model.apply(steps).unwrap();
                place.writer.apply(steps).unwrap();
            }
            Act::Keep(numbers, at) => {
                let parts: Vec<_> = numbers.iter().map(|n| NewPart::new(part(*n))).collect();
                let new = model.keep_parts(&parts, second(*at)).unwrap();
                assert_eq!(place.writer.keep_parts(&parts, second(*at)).unwrap(), new);
            }
            Act::Seen(of, at) => {
                let seen = [(host(*of), second(*at))];
                model.note_seen(&seen).unwrap();
                place.writer.note_seen(&seen).unwrap();
            }
            Act::Expire(before, now) => {
                let gone = model.expire(second(*before), second(*now), u32::MAX).unwrap();
                let real = place.writer.expire(second(*before), second(*now), u32::MAX).unwrap();
                assert_eq!(real, gone);
            }
            Act::Reopen => place = place.reopened(),
            Act::Kill => place = place.killed(),
        }
    }
    assert_same(&model, &place.reader);
}

proptest! {
    #[test]
    fn the_file_answers_as_the_model_does(acts in acts()) {
        check(&acts);
    }

    #[test]
    fn retention_answers_as_before_or_not_at_all(
        sketches in vec(sketches(), 1..12),
        before in 0..20i64,
        limit in 0..6u32,
    ) {
        let steps: Vec<_> = sketches.iter().map(|s| version_step(s, Vec::new())).collect();
        let mut place = Place::hasty();
        place.writer.apply(&steps).unwrap();
        let of_host = |h| (0..2).flat_map(move |s| (0..20).map(move |t| (h, s, t)));
        let asked: Vec<_> = (0..2).flat_map(of_host).collect();
        let ask = |reader: &Reader, (h, s, t): (usize, usize, i64)| {
            reader.manifest_at(&host(h), &source(s), second(t)).unwrap()
        };
        let told: Vec<_> = asked.iter().map(|a| ask(&place.reader, *a)).collect();
        let newest = |reader: &Reader| [0, 1].map(|h| reader.sections(&host(h)).unwrap());
        let sections = newest(&place.reader);
        place.writer.expire(second(before), second(0), limit).unwrap();
        prop_assert_eq!(newest(&place.reader), sections);
        for (asked, told) in asked.into_iter().zip(told) {
            let now = ask(&place.reader, asked);
            let kept = now == told || (now.is_none() && asked.2 < before);
            prop_assert!(kept, "{:?}: {:?} became {:?}", asked, told, now);
        }
    }

    #[test]
    fn small_passes_of_retention_end_where_one_large_pass_does(
        acts in vec(vec(steps(), 1..5), 1..6),
        numbers in vec(0..5u8, 0..5),
    ) {
        let (mut small, mut large) = (Place::hasty(), Place::hasty());
        for place in [&mut small, &mut large] {
            let parts: Vec<_> = numbers.iter().map(|n| NewPart::new(part(*n))).collect();
            place.writer.keep_parts(&parts, second(0)).unwrap();
            acts.iter().for_each(|steps| place.writer.apply(steps).unwrap());
        }
        let sum = |writer: &mut Writer, limit| -> u64 {
            [HOUR, 2 * HOUR].into_iter().map(|now| {
                // Enough passes for every row and once around all parts.
                let passes = if limit == u32::MAX { 1 } else { 30 };
                let mut pass = |_| writer.expire(second(9), second(now), limit).unwrap();
                (0..passes).map(&mut pass).sum::<u64>()
            }).sum()
        };
        prop_assert_eq!(sum(&mut small.writer, 5), sum(&mut large.writer, u32::MAX));
        prop_assert_eq!(everything(&small.reader), everything(&large.reader));
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

#[test]
fn a_kill_keeps_what_was_committed_and_nothing_else() {
    let mut place = Place::new();
    place.writer.apply(&[first_version()]).unwrap();
    assert_eq!(place.killed().reader.changes(&ChangeFilter::default()).unwrap().len(), 1);

    // So small a cache that what is not committed is written to the log all the same.
    place.writer.db.pragma_update(None, "cache_size", 4).unwrap();
    let uncommitted = place.writer.db.transaction().unwrap();
    for number in 0..2_000 {
        uncommitted
            .execute("INSERT INTO event (at, kind, detail) VALUES (?1, 'returned', 'x')", [number])
            .unwrap();
    }
    let log = std::fs::metadata(beside(&place.folder.path().join("store.db"), "-wal")).unwrap();
    assert!(log.len() > 50_000, "nothing was written ahead of the commit");
    let folder = TempDir::new().unwrap();
    for ending in ["", "-wal"] {
        let from = beside(&place.folder.path().join("store.db"), ending);
        std::fs::copy(from, beside(&folder.path().join("store.db"), ending)).unwrap();
    }
    let (_, reader) = open(&folder.path().join("store.db")).unwrap();
    assert_eq!(reader.events(None, 0).unwrap(), []);
    assert_eq!(reader.changes(&ChangeFilter::default()).unwrap().len(), 1);
}

#[test]
fn a_torn_log_loses_only_its_torn_end() {
    let mut place = Place::new();
    place.writer.apply(&[first_version()]).unwrap();
    place.writer.apply(&[Step::Event(event(None, 7))]).unwrap();
    let folder = TempDir::new().unwrap();
    for ending in ["", "-wal"] {
        let mut bytes = std::fs::read(beside(&place.path(), ending)).unwrap();
        if ending == "-wal" {
            bytes.truncate(bytes.len() - 100);
        }
        std::fs::write(beside(&folder.path().join("store.db"), ending), bytes).unwrap();
    }
    let (_, reader) = open(&folder.path().join("store.db")).unwrap();
    assert_eq!(reader.changes(&ChangeFilter::default()).unwrap().len(), 1);
    assert_eq!(reader.events(None, 0).unwrap(), []);
}

#[test]
fn a_full_disk_refuses_whole_batches_and_nothing_is_lost_when_room_is_back() {
    let (mut model, mut place) = (Memory::new(), Place::new());
    model.apply(&[first_version()]).unwrap();
    place.writer.apply(&[first_version()]).unwrap();
    let pages: u32 = place.writer.db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let limit = |db: &rusqlite::Connection, pages: u32| {
        db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    };
    limit(&place.writer.db, pages + 4);
    let mut batch: Vec<_> = (0..2_000).map(|at| Step::Event(event(Some(1), at % 20))).collect();
    batch.push(Step::Host(host_record(1, 1, 3)));
    let refused = place.writer.apply(&batch);
    assert!(matches!(refused, Err(StoreError::Database { .. })), "{refused:?}");
    assert_same(&model, &place.reader);

    limit(&place.writer.db, pages + 4_000);
    model.apply(&batch).unwrap();
    place.writer.apply(&batch).unwrap();
    assert_same(&model, &place.reader);
}

#[test]
fn what_is_no_intact_store_is_refused_and_left_as_it_is() {
    let store = |spoil: fn(&Path)| {
        let mut place = Place::new();
        place.writer.apply(&[first_version()]).unwrap();
        let folder = place.folder;
        drop(place.reader);
        place.writer.close().unwrap();
        spoil(&folder.path().join("store.db"));
        folder
    };
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil); 6] = [
        ("empty", |path| std::fs::write(path, "").unwrap()),
        ("garbage", |path| std::fs::write(path, "no database".repeat(1_000)).unwrap()),
        ("cut off", |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("overwritten", |path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[4_096 * 3..4_096 * 6].fill(0x5a);
            std::fs::write(path, bytes).unwrap();
        }),
        ("another program's", |path| {
            std::fs::remove_file(path).unwrap();
            let other = rusqlite::Connection::open(path).unwrap();
            other.execute_batch("CREATE TABLE theirs (x)").unwrap();
        }),
        ("gone, its log left", |path| std::fs::rename(path, beside(path, "-wal")).unwrap()),
    ];
    for (what, spoil) in cases {
        let folder = store(spoil);
        let path = folder.path().join("store.db");
        let before = std::fs::read(&path).ok();
        let refused = open(&path).map(|_| ());
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{what}: {refused:?}");
        assert!(std::fs::read(&path).ok() == before, "{what}: the file was touched");
    }
}

#[test]
fn a_newer_store_is_refused() {
    let place = Place::new();
    place.writer.db.pragma_update(None, "user_version", 99).unwrap();
    let refused = open(&place.path()).map(|_| ());
    assert!(matches!(refused, Err(StoreError::Newer { found: 99, .. })), "{refused:?}");
}

#[test]
fn a_part_that_is_not_what_was_kept_is_damage() {
    let mut place = Place::new();
    let parts = [NewPart::new(part(1)), NewPart::new(part(2))];
    place.writer.keep_parts(&parts, second(0)).unwrap();
    let swap = "UPDATE part_body SET body = (SELECT body FROM part_body WHERE id =
             (SELECT id FROM part WHERE digest = ?2))
         WHERE id = (SELECT id FROM part WHERE digest = ?1)";
    place.writer.db.execute(swap, [digest(1).0, digest(2).0]).unwrap();
    assert!(matches!(place.reader.part(&digest(1)), Err(StoreError::Damaged { .. })));
    assert_eq!(place.reader.part(&digest(2)).unwrap(), Some(part(2)));
}

#[test]
fn each_opening_has_a_larger_epoch() {
    let place = Place::new();
    let first = place.writer.epoch();
    let place = place.reopened();
    assert_eq!(place.writer.epoch(), first + 1);
    assert_eq!(place.killed().writer.epoch(), first + 2);
}

#[test]
fn a_part_on_its_way_outlives_retention() {
    let mut place = Place::new();
    place.writer.keep_parts(&[NewPart::new(part(1))], second(0)).unwrap();
    let missing = |place: &Place| !place.reader.missing(&[digest(1)]).unwrap().is_empty();
    let expire = |place: &mut Place, now| {
        place.writer.expire(second(0), second(now), 100).unwrap();
    };
    expire(&mut place, HOUR - 1);
    assert!(!missing(&place), "it was sent less than an hour ago");
    expire(&mut place, HOUR);
    assert!(missing(&place), "whoever needs it is told to send it again");
    assert!(place.reader.part(&digest(1)).unwrap().is_some(), "a report under way may need it");
    place.writer.apply(&[first_version()]).unwrap();
    expire(&mut place, 3 * HOUR);
    assert!(!missing(&place), "a version refers to it");
    assert_eq!(place.reader.part(&digest(1)).unwrap(), Some(part(1)));
}

#[test]
fn extreme_numbers_and_times_do_not_stop_a_batch() {
    let mut place = Place::new();
    let Step::Version(mut step) = first_version() else { unreachable!() };
    step.version.generation = Generation(u64::MAX);
    step.version.coalesced = u64::MAX;
    step.version.observed_at = Timestamp::MAX;
    place.writer.apply(&[Step::Version(step)]).unwrap();
    let section = place.reader.sections(&host(0)).unwrap().remove(0);
    assert_eq!((section.generation, section.coalesced), (Generation(u64::MAX), u64::MAX));
}

#[test]
fn the_log_is_folded_while_others_read_and_write() {
    let mut place = Place::new();
    let checkpointer = place.writer.checkpointer().unwrap();
    place.writer.apply(&[first_version()]).unwrap();
    assert!(checkpointer.waiting_bytes().unwrap() > 0);
    checkpointer.checkpoint().unwrap();
    assert_eq!(checkpointer.waiting_bytes().unwrap(), 0);
    place.writer.apply(&[Step::Event(event(None, 1))]).unwrap();
    assert_eq!(place.reader.events(None, 0).unwrap().len(), 1);
}

#[test]
fn a_long_log_begins_anew_though_commits_never_pause() {
    let mut place = Place::new();
    place.writer.fold_from = 400_000;
    let checkpointer = place.writer.checkpointer().unwrap();
    let batch: Vec<_> = (0..500).map(|at| Step::Event(event(None, at % 20))).collect();
    while checkpointer.waiting_bytes().unwrap() < 500_000 {
        place.writer.apply(&batch).unwrap();
    }
    checkpointer.checkpoint().unwrap();
    // The first commit adds to the log and folds what it added; the second begins it anew.
    place.writer.apply(&[Step::Event(event(None, 1))]).unwrap();
    place.writer.apply(&[Step::Event(event(None, 2))]).unwrap();
    let (log, _) = super::log_bytes(&place.writer.db).unwrap();
    assert!(log < 100_000, "the log still has {log} bytes");
}

#[test]
fn every_page_of_changes_is_read_from_an_index_in_its_order() {
    let mut place = Place::new();
    place.writer.apply(&[first_version()]).unwrap();
    for filter in filters() {
        let Some((query, values)) = super::history::compose(&place.writer.db, &filter).unwrap()
        else {
            continue;
        };
        let mut plan = place.writer.db.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let rows = plan.query_map(rusqlite::params_from_iter(values), |row| row.get(3)).unwrap();
        let plan: Vec<String> = rows.map(Result::unwrap).collect();
        let sorts = plan.iter().any(|line| line.contains("TEMP B-TREE"));
        assert!(!sorts, "{filter:?} sorts: {plan:#?}");
        assert!(
            plan.iter().any(|line| line.contains("change_by_")),
            "{filter:?} takes no index: {plan:#?}"
        );
    }
}

/// The batches of a store that grows, so that any prefix of them is known by its length.
fn batches() -> Vec<Vec<Step>> {
    let sketch = |generation: u64| Sketch {
        host: 0,
        source: 0,
        generation,
        from_base: true,
        set: BTreeMap::from([(generation as usize % 4, (generation as u8 % 5, None))]),
        unset: BTreeSet::new(),
        at: generation as i64 % 20,
        received: generation as i64 % 20,
        origin: Origin::Agent,
    };
    (1..=300)
        .map(|n| vec![version_step(&sketch(n), Vec::new()), Step::Event(event(Some(0), 3))])
        .collect()
}

#[test]
fn a_backup_during_writes_is_a_whole_prefix_of_them() {
    let mut place = Place::new();
    let to = place.folder.path().join("backup.db");
    let batches = batches();
    let (first, rest) = batches.split_at(100);
    first.iter().for_each(|batch| place.writer.apply(batch).unwrap());
    let (reader, writer) = (place.reader.clone(), &mut place.writer);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| rest.iter().for_each(|batch| writer.apply(batch).unwrap()));
        while !writing.is_finished() {
            backup::write(&reader, &to).unwrap();
        }
        writing.join().unwrap();
    });
    let entries = std::fs::read_dir(place.folder.path()).unwrap();
    let names: BTreeSet<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.starts_with("backup.db") && name != "backup.db"));

    let restored = TempDir::new().unwrap();
    std::fs::copy(&to, restored.path().join("store.db")).unwrap();
    let (_writer, reader) = open(&restored.path().join("store.db")).unwrap();
    let length = reader.totals().unwrap().versions as usize;
    assert!(length >= 100, "the backup lacks what was there before it began");
    let mut model = Memory::new();
    batches[..length].iter().for_each(|batch| model.apply(batch).unwrap());
    assert_same(&model, &reader);
}

#[test]
fn a_backup_over_the_store_itself_is_refused() {
    let place = Place::new();
    let refused = backup::write(&place.reader, &place.path());
    assert!(matches!(refused, Err(StoreError::File { .. })), "{refused:?}");
    assert!(open(&place.path()).is_ok());
}

#[test]
fn a_restore_moves_nothing_before_its_copy_is_checked() {
    let place = Place::new();
    let (store, copy) = (place.path(), place.folder.path().join("copy.db"));
    backup::save(&store, &copy).unwrap();
    assert!(backup::save(&store, &copy).is_err(), "a backup was overwritten");
    let missing = place.folder.path().join("missing.db");
    assert!(backup::save(&missing, &place.folder.path().join("none.db")).is_err());
    let foreign = place.folder.path().join("foreign.db");
    std::fs::write(&foreign, "SQLite format 3").unwrap();
    let names = || -> BTreeSet<_> {
        let entries = std::fs::read_dir(place.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let before = names();
    for wrong in [&missing, &foreign] {
        assert!(backup::restore(wrong, &store).is_err());
        assert_eq!(names(), before, "{} moved or made something", wrong.display());
    }
    for ending in [".before-restore", ".before-restore-2"] {
        let aside = backup::restore(&copy, &store).unwrap();
        assert_eq!(aside, Some(beside(&store, ending)));
        assert!(open(&store).is_ok());
    }
}

#[test]
fn a_store_with_another_mode_is_its_owners_again_once_opened() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(place.path(), mode(0o644)).unwrap();
    open(&place.path()).unwrap();
    let found = std::fs::metadata(place.path()).unwrap().permissions().mode();
    assert_eq!(found & 0o777, 0o600);
}

#[test]
fn only_the_owner_may_read_a_store_or_its_backup() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let copy = place.folder.path().join("copy.db");
    backup::write(&place.reader, &copy).unwrap();
    for path in [place.path(), beside(&place.path(), "-wal"), copy] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_case_sent_again_is_the_same_case_and_what_was_known_before_can_be_had_again() {
    let mut place = Place::new();
    let keep = |place: &mut Place, case: CaseRecord| {
        place.writer.apply(&[Step::Cases(vec![case])]).unwrap();
    };
    keep(&mut place, case((0, 1, 6, 20), (1, 0, false)));
    let before = place.reader.cases_known().unwrap();
    keep(&mut place, case((0, 1, 6, 21), (1, 0, false)));
    assert_eq!(place.reader.cases_known().unwrap(), before, "nothing was said that is new");
    keep(&mut place, case((0, 1, 9, 22), (2, 2, false)));
    let found = place.reader.cases(&CaseFilter::default()).unwrap();
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((found.opened_at, found.received_at), (second(6), second(20)));
    assert_eq!(found.facts, case((0, 1, 9, 22), (2, 2, false)).facts);
    let mut sites = Vec::new();
    let mut site = |known| {
        let take = &mut |case: CountedCase<'_>| sites.push(case.site.to_owned());
        place.reader.each_case((second(0), known), 10, take).unwrap();
    };
    site(before);
    site(place.reader.cases_known().unwrap());
    assert_eq!(sites, ["graz", "linz"]);
}

#[test]
fn beyond_their_bound_new_words_of_cases_are_left_out_and_counted() {
    let mut place = Place::new();
    let one = |id: u8, word: u8| Step::Cases(vec![case((0, id, 5, 9), (word, 0, false))]);
    place.writer.apply(&[one(1, 1)]).unwrap();
    let full = "UPDATE counter SET value = 200000 WHERE name = 'case_words'";
    assert_eq!(place.writer.db.execute(full, []).unwrap(), 1);
    place.writer.apply(&[one(2, 2), one(3, 1)]).unwrap();
    let found = place.reader.cases(&CaseFilter::default()).unwrap();
    let services: BTreeMap<_, _> =
        found.iter().map(|case| (case.id.as_str(), case.facts.service.as_str())).collect();
    let expect = [("INC1", "service 1"), ("INC2", ""), ("INC3", "service 1")];
    assert_eq!(services, expect.into(), "the cases themselves are kept");
    // Service, site and priority of the second case were new.
    assert_eq!(place.reader.totals().unwrap().case_words_left_out, 3);
}
