//! A small fleet that a hostile host is part of: what every page is drawn from.

use super::*;
use crate::cases::{Absent, Unread as UnreadColumns};
use crate::metrics::enrolments::Asker;

/// Every pack that comes with the program. One with a mistake is told by its own test, and not by
/// every test of a page too.
pub(super) fn packs() -> Vec<Pack> {
    shipped::PACKS.iter().filter_map(|(name, text)| shipped::pack(name, text).ok()).collect()
}

/// What a hostile host would put wherever it can.
pub(super) const HOSTILE: &str = "<script>alert('x')</script>&\"'";

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn frame() -> Frame {
    Frame {
        now: at("2026-11-22T12:00:00Z"),
        stale_after: SignedDuration::from_secs(180),
        dormant_after: SignedDuration::from_hours(720),
        config: crate::config::load::parse("t", "[[host]]\nname='x'\nservice='voice'")
            .unwrap()
            .into(),
        refused_reload: None,
        refused_enrolments: vec![Refused {
            reason: "wrong_secret",
            count: 3,
            last_at: at("2026-11-22T11:55:00Z"),
            last: Asker { host: "laptop-7".parse().ok(), from: Some([192, 0, 2, 7].into()) },
            cure: "mend it",
            ours: false,
        }],
        cases_known: Some(at("2026-11-22T11:00:00Z")),
        cases: None,
        case_columns: [("desk".to_owned(), odd_columns())].into(),
        request_readings: vec![RequestReading {
            source: "itsm".into(),
            problem: "2 of 3 requests refused; line 2, column 5 (cmdb_ci, that is hosts): \
                <script>"
                .into(),
            columns: odd_columns(),
            ..RequestReading::default()
        }],
        levels: [(("voice".into(), "other".into(), "1".into()), [4, 2, 1, 0])]
            .into_iter()
            .collect::<ServiceLevels>()
            .into(),
        agent: Some(AgentStatus {
            over_budget: [("files".parse().unwrap(), Budget::Reads)].into(),
            usage: Usage { cpu_ms: 61_500, memory_bytes: 15_400_000, open_files: 12 },
            ..AgentStatus::default()
        }),
        heard: BTreeMap::new(),
    }
}

/// Columns as a hostile export names them.
fn odd_columns() -> ColumnNotes {
    let absent = Absent { field: "site".into(), column: "u_site".into(), records: 2 };
    let unread = UnreadColumns { total: 21, first: vec!["Sight".into(), HOSTILE.into()] };
    ColumnNotes { unread, absent: vec![absent] }
}

pub(super) fn item(text: &str) -> Item {
    Item { value: ItemValue::text(text), rank: None }
}

pub(super) fn part(text: &str) -> Part {
    Part::Observed(Observed {
        reading: Reading { parser: "ini".into(), version: 1, scope: scope_digest([""; 0]) },
        raw: None,
        size: None,
        content: Content::Read,
        items: BTreeMap::from([
            (ItemKey::of([HOSTILE]), item(text)),
            (ItemKey::attribute("mode"), item("0644")),
            (
                ItemKey::of(["text"]),
                Item { value: ItemValue::Lines(vec!["one".into(), HOSTILE.into()]), rank: None },
            ),
        ]),
    })
}

pub(super) const EARLIER: &str = "2026-11-22T11:30:00Z";

pub(super) fn host() -> HostId {
    "sbc1".parse().unwrap()
}

pub(super) fn record() -> HostRecord {
    HostRecord {
        id: host(),
        kind: HostKind::Uc,
        incarnation: Incarnation([1; 16]),
        token: [0; 32],
        enrolled_at: at(EARLIER),
        last_seen: at("2026-11-22T11:59:30Z"),
        agent_version: HOSTILE.into(),
        key: None,
        site_key: false,
        retired_at: None,
    }
}

pub(super) fn change(part: &PartName) -> Change {
    Change {
        part: part.clone(),
        key: Some(ItemKey::of([HOSTILE])),
        kind: ChangeKind::Modified,
        before: Some(item("old")),
        after: Some(item(HOSTILE)),
    }
}

pub(super) fn finding(part: &PartName) -> Finding {
    let change = change(part);
    Finding {
        id: FindingId {
            host: host(),
            source: "files".parse().unwrap(),
            part: part.clone(),
            key: change.key,
            kind: FindingKind::Drift,
            rule: None,
        },
        domain: Domain::Config,
        severity: Severity::Warning,
        desired: change.before,
        current: change.after,
        first_seen: at(EARLIER),
        status: Status::Open,
    }
}

pub(super) fn version(generation: u64, from: &Manifest, to: &Manifest) -> VersionStep {
    let source: SourceName = "files".parse().unwrap();
    VersionStep {
        host: host(),
        version: VersionRecord {
            source: source.clone(),
            domain: Domain::Config,
            generation: Generation(generation),
            digest: to.digest(),
            observed_at: at(EARLIER),
            received_at: at(EARLIER),
            corrected_at: at(EARLIER),
            uncertainty_ms: 5,
            coalesced: 0,
            expired: 0,
            origin: if generation == 1 { Origin::First } else { Origin::Agent },
        },
        chain: Chain::start(&source),
        delta: if generation == 1 { to.whole() } else { from.delta_to(to) },
        unobserved: BTreeMap::new(),
        changes: Vec::new(),
        findings: Vec::new(),
    }
}

pub(super) fn case(number: i64) -> CaseRecord {
    CaseRecord {
        number: 0,
        source: "desk".into(),
        id: number.to_string(),
        opened_at: at("2026-11-22T09:30:00Z"),
        recorded_at: None,
        received_at: at(EARLIER),
        facts: CaseFacts { service: "voice".into(), site: HOSTILE.into(), ..CaseFacts::default() },
    }
}

pub(super) fn reading() -> CaseReading {
    CaseReading {
        source: "desk".into(),
        at: at(EARLIER),
        good_through: None,
        rows: 9,
        refused: 1,
        problem: HOSTILE.into(),
    }
}

pub(in crate::portal) fn suspect() -> SuspectRecord {
    let evidence = serde_json::json!({
        "window_hours": 72, "observed": 31, "expected": 12.5, "rate_ratio": 2.5, "ci_low": 1.4,
        "ci_high": 4.4, "p_value": 0.004, "q_value": 0.01, "tier": "supported",
        "controls": { "sites": 9, "share": 0.5 },
        "indistinguishable": [HOSTILE],
    });
    SuspectRecord {
        number: 0,
        key: "set-1/voice".into(),
        at: at("2026-11-22T08:00:00Z"),
        pass: 1,
        kind: "files".into(),
        parts: vec![HOSTILE.into()],
        changes: vec![1],
        total: 1,
        hosts: vec![host().to_string()],
        host_count: 2,
        candidate: Candidate {
            id: "set-1/voice".into(),
            at: 0,
            service: Some("voice".into()),
            exposure: Exposure::Sites(vec![HOSTILE.into()]),
            kind: None,
            window_hours: None,
            waves: Vec::new(),
        },
        evidence: serde_json::from_value(evidence).unwrap(),
        outcome: None,
    }
}

pub(super) fn request() -> ChangeRequest {
    ChangeRequest {
        source: "itsm".into(),
        id: HOSTILE.into(),
        kind: RequestKind::Emergency,
        approval: Approval::Requested,
        start: at(EARLIER),
        end: at("2026-11-22T13:00:00Z"),
        scope: IntentScope { hosts: vec![HOSTILE.into()], ..IntentScope::default() },
        url: "https://itsm.example/1".into(),
        received_at: at(EARLIER),
    }
}

pub(super) fn judgement() -> Judgement {
    let decision = |class| Decision {
        class: Some(class),
        rule: RuleKind::Request,
        name: request().name(),
        level: Some(Level::Host),
        says: HOSTILE.into(),
    };
    let first = Classified::first(decision(ChangeClass::Unapproved), at(EARLIER));
    let classified = first.again(decision(ChangeClass::OutOfScope), at(EARLIER)).unwrap();
    Judgement { change: ChangeId(1), classified }
}

pub(super) fn outcome() -> OutcomeRecord {
    OutcomeRecord {
        suspect: 1,
        at: at(EARLIER),
        who: "ada".into(),
        outcome: Outcome::Confirmed,
        reason: HOSTILE.into(),
        kind: "files".into(),
        tier: crate::analysis::correlate::Tier::Supported,
        score: Some(0.87),
    }
}

/// A fleet of one host with two versions, a drift, and a part that can no longer be read.
pub(super) fn fleet() -> Memory {
    let mut store = Memory::new();
    let name = PartName::from_bytes(format!("/etc/{HOSTILE} &?#%/a.conf").as_bytes());
    let blind = PartName::from_bytes(b"/etc/blind");
    let parts = [part("old"), part(HOSTILE), Part::Unobserved(Reason::Denied)];
    let kept: Vec<_> = parts.iter().map(|p| NewPart::new(p.clone())).collect();
    store.keep_parts(&kept, at(EARLIER)).unwrap();
    let [old, new, denied] = [0, 1, 2].map(|place: usize| *kept[place].digest());
    let first = Manifest(BTreeMap::from([(name.clone(), old), (blind.clone(), old)]));
    let second = Manifest(BTreeMap::from([(name.clone(), new), (blind.clone(), denied)]));
    let enrolled = EventRecord {
        at: at(EARLIER),
        host: Some(host()),
        kind: EventKind::Enrolled,
        detail: HOSTILE.into(),
    };
    let step = VersionStep {
        unobserved: BTreeMap::from([(blind, Unread::Whole(Reason::Denied))]),
        changes: vec![change(&name)],
        findings: vec![finding(&name)],
        ..version(2, &first, &second)
    };
    store
        .apply(&[
            Step::Host(record()),
            Step::Version(Box::new(version(1, &first, &first))),
            Step::Version(Box::new(step)),
            Step::Event(enrolled),
            Step::Cases((0..9).map(case).collect()),
            Step::CaseReading(CaseReading { good_through: Some(at(EARLIER)), ..reading() }),
            Step::CaseReading(CaseReading { source: "shop".into(), ..reading() }),
            Step::Suspects(vec![suspect()]),
            Step::Outcome(outcome()),
            Step::ChangeRequests(vec![request()]),
            Step::Judged(vec![judgement()]),
        ])
        .unwrap();
    store
}
