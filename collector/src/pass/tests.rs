//! A small fleet and a stream of cases with a known truth, in the model of the store.

use driftline_protocol::ids::{Digest, Generation, Incarnation};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::ledger::Chain;
use driftline_protocol::manifest::ManifestDelta;
use driftline_protocol::snapshot::Domain;
use driftline_protocol::wire::HostKind;

use super::*;
use crate::analysis::change::Change;
use crate::analysis::correlate::{Evidence, Reason};
use crate::config::load::parse;
use crate::store::memory::Memory;
use crate::store::{
    Append, CaseFacts, CaseReading, CaseRecord, CaseStatus, HostRecord, Origin, PassRecord,
    ReadCases, ReadSuspects, Step, VersionRecord, VersionStep,
};

const DAY: i64 = 86_400;
const SITES: i64 = 12;

/// Sixty days after the first case: the moment all tests speak for.
fn now() -> Timestamp {
    at(60 * DAY)
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_785_542_400 + second).unwrap()
}

/// The `n`-th number of a stream that looks random and is always the same.
fn noise(n: i64) -> i64 {
    let mixed = (n as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed ^ (mixed >> 32)) >> 1) as i64
}

fn case(number: i64, second: i64, site: i64) -> CaseRecord {
    CaseRecord {
        number: 0,
        source: "desk".into(),
        id: format!("INC{number}"),
        opened_at: at(second),
        recorded_at: None,
        received_at: at(second + 60),
        facts: CaseFacts {
            service: "Telephony".into(),
            site: format!("site{site}"),
            status: CaseStatus::Open,
            ..CaseFacts::default()
        },
    }
}

/// About three cases a day and site; for three days after day 55, `more` of them at `where_`.
fn cases(more: i64, where_: impl Fn(i64) -> bool) -> Vec<CaseRecord> {
    let mut cases = Vec::new();
    for day in 0..60 {
        for site in 0..SITES {
            let risen = (55..58).contains(&day) && where_(site);
            for _ in 0..if risen { 3 * more } else { 3 } {
                let number = cases.len() as i64;
                cases.push(case(number, day * DAY + noise(number) % DAY, site));
            }
        }
    }
    cases
}

const CONFIG: &str = "
    [[host]]
    name = 'sbc-*'
    site = 'site11'
    [[group]]
    name = 'edge'
    host = 'sbc-*'
    [[service_path]]
    service = 'voice'
    groups = ['edge']
    sites = ['site0', 'site1', 'site2', 'site3']
    [[case_map]]
    from_service = 'tele*'
    service = 'voice'";

/// One host of each site, named after it, and a central one.
fn config() -> Config {
    let hosts = (0..SITES)
        .map(|site| format!("[[host]]\nname='pbx-{site}'\nsite='site{site}'\nservice='voice'\n"));
    let hosts: String = hosts.collect();
    parse("t", &format!("{hosts}{CONFIG}")).unwrap()
}

pub(super) fn host(name: &str) -> Step {
    Step::Host(HostRecord {
        id: name.parse().unwrap(),
        kind: HostKind::Uc,
        incarnation: Incarnation([1; 16]),
        token: [0; 32],
        enrolled_at: at(0),
        last_seen: at(0),
        agent_version: "0.1.0".into(),
        key: None,
        site_key: false,
        retired_at: None,
    })
}

/// `value` becomes the codec of `name`.
pub(super) fn change(name: &str, second: i64, value: &str) -> Step {
    let part: driftline_protocol::ids::PartName = "/etc/sip.conf".parse().unwrap();
    let source: driftline_protocol::ids::SourceName = "files".parse().unwrap();
    let change = Change {
        part,
        key: Some(ItemKey::of(["codec"])),
        kind: ChangeKind::Modified,
        before: None,
        after: Some(Item { value: ItemValue::text(value), rank: None }),
    };
    Step::Version(Box::new(VersionStep {
        host: name.parse().unwrap(),
        chain: Chain::start(&source),
        version: VersionRecord {
            source,
            domain: Domain::Config,
            generation: Generation(second.unsigned_abs()),
            digest: Digest([0; 32]),
            observed_at: at(second),
            received_at: at(second),
            corrected_at: at(second),
            uncertainty_ms: 0,
            coalesced: 0,
            expired: 0,
            origin: Origin::Agent,
        },
        delta: ManifestDelta { base: None, set: [].into(), unset: [].into() },
        unobserved: [].into(),
        changes: vec![change],
        findings: Vec::new(),
    }))
}

fn whole() -> Step {
    Step::CaseReading(CaseReading {
        source: "desk".into(),
        at: now(),
        good_through: Some(now()),
        rows: 1,
        refused: 0,
        problem: String::new(),
    })
}

/// What a pass says over these steps.
fn said(steps: &[Step]) -> (Memory, Prepared, Vec<SuspectRecord>) {
    let mut store = Memory::new();
    store.apply(steps).unwrap();
    let prepared = prepare((&store, &mut Window::default()), &config(), now()).unwrap().unwrap();
    let stream = stream(&store, &prepared.input).unwrap();
    let verdicts = judge(&stream, &prepared.input);
    let found = suspects(&prepared, &verdicts, 1);
    (store, prepared, found)
}

/// A rollout over four sites on the morning of day 55, and another change elsewhere on day 54.
fn rollout() -> Vec<Step> {
    let mut steps: Vec<Step> =
        (0..4).map(|site| change(&format!("pbx-{site}"), 55 * DAY + site * 600, "opus")).collect();
    steps.extend((6..9).map(|site| change(&format!("pbx-{site}"), 54 * DAY, "ulaw")));
    steps
}

#[test]
fn a_rise_at_the_sites_a_rollout_reached_is_supported_and_comes_first() {
    let risen = Step::Cases(cases(3, |site| site < 4));
    let (_, _, found) = said(&[rollout(), vec![risen, whole()]].concat());
    assert_eq!(found.len(), 2, "{found:#?}");
    let first = &found[0];
    assert_eq!(first.evidence.tier, Tier::Supported, "{first:#?}");
    assert_eq!((first.key.as_str(), first.host_count), ("set-1/voice", 4));
    assert_eq!(first.candidate.service.as_deref(), Some("voice"));
    assert_ne!(found[1].evidence.tier, Tier::Supported);
}

#[test]
fn an_imported_history_is_never_a_suspect() {
    let mut steps = rollout();
    for step in &mut steps {
        if let Step::Version(step) = step {
            step.version.source = "imported_files".parse().unwrap();
        }
    }
    let risen = Step::Cases(cases(3, |site| site < 4));
    let (_, prepared, found) = said(&[steps, vec![risen, whole()]].concat());
    assert!(prepared.input.candidates.is_empty() && found.is_empty(), "{found:#?}");
}

#[test]
fn the_same_rise_everywhere_is_nobodys() {
    let risen = Step::Cases(cases(3, |_| true));
    let (_, _, found) = said(&[rollout(), vec![risen, whole()]].concat());
    for one in found {
        let tier = one.evidence.tier.as_str();
        assert!(["refuted", "undetermined"].contains(&tier), "{one:#?}");
    }
}

#[test]
fn a_central_host_is_tried_against_the_sites_it_serves() {
    let central = vec![host("sbc-1"), change("sbc-1", 55 * DAY, "opus")];
    let risen = Step::Cases(cases(3, |site| site < 4));
    let (_, _, found) = said(&[central, vec![risen, whole()]].concat());
    let sites = ["site0", "site1", "site2", "site3"].map(str::to_owned).to_vec();
    assert_eq!(found[0].candidate.exposure, Exposure::Sites(sites));
    assert_eq!(found[0].evidence.tier, Tier::Supported, "{:#?}", found[0]);
}

#[test]
fn where_nobody_knows_whom_a_host_serves_nothing_is_said() {
    let stray = change("laptop", 55 * DAY, "opus");
    let (_, _, found) = said(&[stray, Step::Cases(cases(3, |site| site < 4)), whole()]);
    assert_eq!(found[0].candidate.exposure, Exposure::Unknown);
    let (tier, reason) = (found[0].evidence.tier, found[0].evidence.reason);
    assert_eq!((tier, reason), (Tier::Undetermined, Some(Reason::UnknownExposure)));
}

#[test]
fn what_was_said_can_be_said_again_after_cases_changed() {
    let risen = Step::Cases(cases(3, |site| site < 4));
    let (mut store, prepared, found) = said(&[rollout(), vec![risen, whole()]].concat());
    let input = serde_json::to_value(&prepared.input).unwrap();
    let pass = PassRecord { number: 1, at: now(), input, took_ms: 1 };
    store.apply(&[Step::Pass(Box::new(pass), vec![]), Step::Suspects(found.clone())]).unwrap();
    // Cases are moved, merged and added, and a rule is gone from the configuration.
    let all = store.cases(&Default::default()).unwrap();
    let moved = all.into_iter().map(|case| {
        let facts = CaseFacts { site: "site9".into(), parent: "INC1".into(), ..case.facts };
        CaseRecord { facts, ..case }
    });
    store.apply(&[Step::Cases(moved.collect())]).unwrap();
    let more = (10_000..10_400).map(|number| case(number, 56 * DAY, 7));
    store.apply(&[Step::Cases(more.collect())]).unwrap();
    let kept = store.pass(1).unwrap().unwrap();
    let again: PassInput = serde_json::from_value(kept.input).unwrap();
    let verdicts = judge(&stream(&store, &again).unwrap(), &again);
    let evidence: Vec<&Evidence> = verdicts.iter().map(|verdict| &verdict.evidence).collect();
    assert_eq!(evidence, found.iter().map(|one| &one.evidence).collect::<Vec<_>>());
    let verdict = serde_json::to_value(&verdicts[0]).unwrap();
    let kept = serde_json::to_value(evidence[0]).unwrap();
    let kept: Evidence = serde_json::from_value(kept).unwrap();
    assert_eq!(&kept, evidence[0], "what is kept comes back");
    assert_eq!(verdict["tier"], "supported", "an answer names them beside id and service");
}

#[test]
fn merged_cases_count_once() {
    let mut all = cases(1, |_| false);
    let before = all.len();
    for case in &mut all[..100] {
        case.facts.parent = "INC200".into();
    }
    let (store, prepared, _) = said(&[rollout(), vec![Step::Cases(all), whole()]].concat());
    let counted = stream(&store, &prepared.input).unwrap().cases.len();
    assert_eq!(counted, before - 100);
}

#[test]
fn cases_of_a_source_never_read_to_its_end_count_for_nothing() {
    let risen = Step::Cases(cases(3, |site| site < 4));
    let (_, alone, expect) = said(&[rollout(), vec![risen.clone(), whole()]].concat());
    // As many at the other sites, of which nobody knows what they are a part of.
    let part = cases(3, |site| site >= 4).into_iter();
    let part = part.map(|case| CaseRecord { source: "shop".into(), ..case }).collect();
    let broken = Step::CaseReading(CaseReading {
        source: "shop".into(),
        at: now(),
        good_through: None,
        rows: 2,
        refused: 1,
        problem: "it broke off".into(),
    });
    let steps = vec![risen, whole(), Step::Cases(part), broken];
    let (_, prepared, found) = said(&[rollout(), steps].concat());
    assert_eq!(prepared.input.watermark, alone.input.watermark, "it holds nobody");
    let evidence = |all: &[SuspectRecord]| -> Vec<Evidence> {
        all.iter().map(|one| one.evidence.clone()).collect()
    };
    assert_eq!(evidence(&found), evidence(&expect));
}

#[test]
fn the_delay_is_what_most_cases_took() {
    let minutes = |count: i64| (1..=count).map(|n| n * 60).collect::<Vec<_>>();
    assert_eq!(delay(&minutes(10)), DELAY_UNKNOWN);
    assert_eq!(delay(&minutes(100)), SignedDuration::from_mins(95));
    let loaded = [minutes(100), vec![400 * DAY; 900]].concat();
    assert_eq!(delay(&loaded), SignedDuration::from_mins(95), "old cases say nothing of delays");
    assert_eq!(delay(&vec![-5; 60]), SignedDuration::ZERO);
}

#[test]
fn open_cases_are_counted_by_service_team_and_priority_and_none_makes_series_of_its_own() {
    let level = |number: i64, facts: CaseFacts| {
        let service = if number == 4 { "Fax" } else { "Telephony" };
        CaseRecord { facts: CaseFacts { service: service.into(), ..facts }, ..case(number, 0, 1) }
    };
    let due = |day: i64| Some(at(day * DAY));
    let team = |team: &str| CaseFacts { team: team.into(), ..CaseFacts::default() };
    let cases = vec![
        level(0, CaseFacts { due_at: due(90), priority: "P1".into(), ..team("UC-Ops") }),
        level(1, CaseFacts { due_at: due(70), ..team("somebody") }),
        level(2, CaseFacts { due_at: due(59), ..team("somebody else") }),
        level(3, CaseFacts { due_at: due(59), status: CaseStatus::Resolved, ..team("uc-ops") }),
        level(4, team("uc-ops")),
        level(5, CaseFacts { parent: "INC0".into(), ..team("uc-ops") }),
    ];
    let mut memory = Memory::new();
    memory.apply(&[Step::Cases(cases)]).unwrap();
    let teams = "[service_levels]\nteams = ['uc-ops']\npriorities = ['p1']";
    let config = parse("t", &format!("{CONFIG}\n{teams}")).unwrap();
    let counted = levels::service_levels(&memory, &config, now()).unwrap();
    let desk = |service: &str, team: &str, priority: &str| {
        (service.to_owned(), team.to_owned(), priority.to_owned())
    };
    let expect = [
        (desk("unmapped", "uc-ops", "other"), [0, 0, 0, 1]),
        (desk("voice", "other", "other"), [0, 1, 1, 0]),
        (desk("voice", "uc-ops", "p1"), [1, 0, 0, 0]),
    ];
    assert_eq!(counted, expect.into());
}
