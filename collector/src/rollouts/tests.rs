//! A rollout over some hosts of the store in memory.

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::{Generation, Incarnation};
use driftline_protocol::item::Item;
use driftline_protocol::ledger::Chain;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::snapshot::{Domain, Observed, Reading, Reason};
use driftline_protocol::wire::HostKind;

use super::*;
use crate::analysis::change::{Change, ChangeKind};
use crate::analysis::classify::request::{Approval, ChangeRequest, RequestKind};
use crate::analysis::classify::{ChangeClass, Classified, Decision};
use crate::store::memory::Memory;
use crate::store::{
    Append, HostRecord, Judgement, NewPart, Origin, ReadIntent as _, Step, VersionRecord,
    VersionStep,
};

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + minute * 60).unwrap()
}

fn item(value: &str) -> Item {
    Item { value: ItemValue::text(value), rank: None }
}

fn part(value: &str) -> Part {
    Part::Observed(Observed {
        reading: Reading { parser: "ini".into(), version: 1, scope: scope_digest([""; 0]) },
        raw: None,
        size: None,
        content: Content::Read,
        items: [(ItemKey::of(["codec"]), item(value))].into(),
    })
}

/// A host whose file said each of `states` from its minute on.
fn host(store: &mut Memory, name: &str, states: &[(i64, &str)]) {
    let id: HostId = name.parse().unwrap();
    let record = HostRecord {
        id: id.clone(),
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
    store.apply(&[Step::Host(record)]).unwrap();
    let source: SourceName = "files".parse().unwrap();
    let mut before = Manifest::default();
    for (number, (minute, value)) in states.iter().enumerate() {
        let content = match *value {
            "?" => Part::Unobserved(Reason::Denied),
            value => part(value),
        };
        let new = NewPart::new(content);
        let next = Manifest([("/etc/sip.conf".parse().unwrap(), *new.digest())].into());
        store.keep_parts(&[new], at(*minute)).unwrap();
        let previous = number.checked_sub(1).and_then(|number| states.get(number));
        let change = previous.filter(|_| *value != "?").map(|(_, was)| Change {
            part: "/etc/sip.conf".parse().unwrap(),
            key: Some(ItemKey::of(["codec"])),
            kind: ChangeKind::Modified,
            before: Some(item(was)),
            after: Some(item(value)),
        });
        let step = VersionStep {
            host: id.clone(),
            version: VersionRecord {
                source: source.clone(),
                domain: Domain::Config,
                generation: Generation(number as u64 + 1),
                digest: next.digest(),
                observed_at: at(*minute),
                received_at: at(*minute),
                corrected_at: at(*minute),
                uncertainty_ms: 0,
                coalesced: 0,
                expired: 0,
                origin: if number == 0 { Origin::First } else { Origin::Agent },
            },
            chain: Chain::start(&source),
            delta: if number == 0 { next.whole() } else { before.delta_to(&next) },
            unobserved: [].into(),
            changes: change.into_iter().collect(),
            findings: Vec::new(),
        };
        store.apply(&[Step::Version(Box::new(step))]).unwrap();
        before = next;
    }
}

#[test]
fn a_rollout_tells_its_progress_its_waves_and_who_is_not_with_it() {
    let mut store = Memory::new();
    for (name, states) in [
        ("a", &[(0, "ulaw"), (10, "opus")][..]),
        ("b", &[(0, "ulaw"), (20, "opus")]),
        ("c", &[(0, "ulaw"), (200, "opus")]),
        ("d", &[(0, "ulaw"), (210, "opus"), (900, "ulaw")]),
        ("still-as-before", &[(0, "ulaw")]),
        ("always-so", &[(0, "opus")]),
        ("another-value", &[(0, "g722")]),
        ("cannot-be-read", &[(0, "?")]),
    ] {
        host(&mut store, name, states);
    }
    let (found, left_out) =
        rollouts((&store, &Config::default()), (at(0), at(10_000)), 10).unwrap();
    assert!(!left_out);
    assert_eq!(found.len(), 1, "d's way back is a change of one host");
    let rollout = &found[0];
    let names = |hosts: &Hosts| -> Vec<String> {
        assert_eq!(hosts.count, hosts.first.len());
        hosts.first.iter().map(ToString::to_string).collect()
    };
    assert_eq!(names(&rollout.reached), ["a", "b", "c", "d"]);
    assert_eq!(names(&rollout.stragglers), ["still-as-before"]);
    assert_eq!(names(&rollout.went_back), ["d"]);
    assert_eq!(rollout.all(), 5);
    let waves: Vec<_> = rollout.waves.iter().map(|wave| (wave.from, wave.hosts)).collect();
    assert_eq!(waves, [(at(10), 2), (at(200), 2)]);
    assert_eq!((rollout.from, rollout.to, rollout.items), (at(10), at(210), 1));
}

#[test]
fn hosts_that_went_back_are_told_of_what_they_went_back_from() {
    let mut store = Memory::new();
    for (name, states) in [
        ("a", &[(0, "ulaw"), (10, "opus"), (900, "ulaw")][..]),
        ("b", &[(0, "ulaw"), (20, "opus"), (910, "ulaw")]),
        ("c", &[(0, "ulaw"), (30, "opus")]),
    ] {
        host(&mut store, name, states);
    }
    let config = Config::default();
    let (found, _) = rollouts((&store, &config), (at(0), at(10_000)), 10).unwrap();
    assert_eq!(found.len(), 1, "the way back is no rollout of its own: {found:#?}");
    assert_eq!((found[0].reached.count, found[0].went_back.count), (3, 2));
    let (_, same) = one(&store, &config, found[0].number).unwrap().expect("by its number");
    assert_eq!(same, found[0], "its address shows what the list shows");
    assert!(one(&store, &config, 999).unwrap().is_none());
}

#[test]
fn nobody_is_behind_whom_the_request_does_not_name() {
    let mut store = Memory::new();
    for (name, states) in [
        ("a", &[(0, "ulaw"), (10, "opus")][..]),
        ("b", &[(0, "ulaw"), (20, "opus")]),
        ("late", &[(0, "ulaw")]),
        ("of-others", &[(0, "ulaw")]),
    ] {
        host(&mut store, name, states);
    }
    let hosts = ["a", "b", "late"].map(str::to_owned).to_vec();
    let request = ChangeRequest {
        source: "itsm".into(),
        id: "C1".into(),
        kind: RequestKind::Normal,
        approval: Approval::Approved,
        start: at(0),
        end: at(60),
        scope: IntentScope { hosts, ..IntentScope::default() },
        url: String::new(),
        received_at: at(0),
    };
    let decision = Decision {
        class: Some(ChangeClass::Expected),
        rule: RuleKind::Request,
        name: "itsm/C1".into(),
        level: None,
        says: "approved".into(),
    };
    let judged = store.unjudged(10).unwrap().into_iter().map(|record| Judgement {
        change: record.id,
        classified: Classified {
            decision: decision.clone(),
            decided_at: at(30),
            earlier: Vec::new(),
        },
    });
    let judged = Step::Judged(judged.collect());
    store.apply(&[Step::ChangeRequests(vec![request]), judged]).unwrap();
    let (found, _) = rollouts((&store, &Config::default()), (at(0), at(10_000)), 10).unwrap();
    let behind: Vec<&str> = found[0].stragglers.first.iter().map(HostId::as_str).collect();
    assert_eq!(behind, ["late"]);
}

#[test]
fn a_rollout_is_found_by_the_change_that_arrived_first() {
    let mut store = Memory::new();
    // What sbc-2 did before was told later.
    host(&mut store, "sbc-1", &[(0, "alaw"), (30, "opus")]);
    host(&mut store, "sbc-2", &[(0, "alaw"), (10, "opus")]);
    let config = Config::default();
    let (all, _) = rollouts((&store, &config), (at(0), at(60)), 10).unwrap();
    let number = all.first().unwrap().number;
    assert_eq!((all.len(), all[0].reached.count), (1, 2));
    let (_, one) = one(&store, &config, number).unwrap().expect("what is listed has a page");
    assert_eq!(one.reached.count, 2);
}
