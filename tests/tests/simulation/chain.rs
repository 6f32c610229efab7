//! Who answers for a finding as time goes by, in a store whose clock is the test's.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftline_collector::analysis::classify::weigh::FindingClass;
use driftline_collector::analysis::exceptions::{Exception, ExceptionScope};
use driftline_collector::analysis::finding::{Finding, FindingId, FindingKind, Severity, Status};
use driftline_collector::config::load;
use driftline_collector::ingest::FleetView;
use driftline_collector::owned::Owned;
use driftline_collector::owners::Owners;
use driftline_collector::permits::Permits;
use driftline_collector::standards::Standards;
use driftline_collector::store::memory::Memory;
use driftline_collector::store::{
    Act, ActRecord, Append as _, FindingFilter, ReadFindings as _, Step,
};
use driftline_protocol::snapshot::Domain;
use jiff::{SignedDuration, Timestamp};

const CHAIN: &str = "[[owner]]\nchain = ['voice', 'voice-lead', 'noc']\nhours = 4\n";

fn finding() -> Finding {
    Finding {
        id: FindingId {
            host: "sbc1".parse().unwrap(),
            source: "files".parse().unwrap(),
            part: "/etc/sip.conf".parse().unwrap(),
            key: None,
            kind: FindingKind::Drift,
            rule: None,
        },
        domain: Domain::Config,
        severity: Severity::Warning,
        desired: None,
        current: None,
        first_seen: Timestamp::UNIX_EPOCH,
        status: Status::Open,
    }
}

#[test]
fn what_nobody_acknowledges_goes_to_the_next_after_its_time() {
    #[cfg(feature = "mutants")]
    driftline_protocol::mutant::check().unwrap();
    let config = Arc::new(load::parse("chain", CHAIN).unwrap());
    let standards = Standards::load(&config).unwrap();
    let mut store = Memory::new();
    store.apply(&[Step::Findings(vec![finding()])]).unwrap();
    let record = store.findings(&FindingFilter::default()).unwrap().pop().unwrap();
    let owner = |store: &Memory, hours: i64| {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let mut owners = Owners::at(store, &standards, now);
        owners.learn(std::slice::from_ref(&record)).unwrap();
        owners.of(&record).unwrap().0
    };
    let told: Vec<String> = [0, 3, 4, 7, 8, 400].map(|hours| owner(&store, hours)).into();
    assert_eq!(told, ["voice", "voice", "voice-lead", "voice-lead", "noc", "noc"]);
    let seen = ActRecord {
        finding: record.number,
        at: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1),
        who: "ada".into(),
        act: Act::Acknowledge,
        text: String::new(),
        opening: record.openings,
    };
    store.apply(&[Step::Act(seen)]).unwrap();
    assert_eq!(owner(&store, 400), "voice", "who has seen it keeps it");
}

#[test]
fn a_scrape_tells_whose_findings_are() {
    let config = Arc::new(load::parse("chain", CHAIN).unwrap());
    let standards = Standards::load(&config).unwrap();
    let mut store = Memory::new();
    store.apply(&[Step::Findings(vec![finding()])]).unwrap();
    let open = store.open_counts().unwrap();
    for (hours, owner) in [(0, "voice"), (5, "voice-lead"), (400, "noc")] {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let mut permits = Permits::at(&store, &standards, now).unwrap();
        let owned = Owned::of(
            (&store, &standards, now),
            &FleetView::default(),
            (&mut permits, open.as_slice()),
        );
        let all = owned.unwrap().all;
        let key = (owner.to_owned(), Severity::Warning, FindingClass::Unjudged);
        assert_eq!(all, [(key, 1)].into(), "after {hours} hours");
    }
    // What is counted and no longer found when owners are looked for is another's, not lost.
    let mut more = open.clone();
    more.iter_mut().for_each(|count| count.count = 3);
    let now = Timestamp::UNIX_EPOCH;
    let mut permits = Permits::at(&store, &standards, now).unwrap();
    let fleet = FleetView::default();
    let owned = Owned::of((&store, &standards, now), &fleet, (&mut permits, &more)).unwrap();
    let many: Vec<_> =
        owned.all.iter().map(|((owner, ..), many)| (owner.as_str(), *many)).collect();
    assert_eq!(many, [("other", 2), ("voice", 1)]);
}

/// Whose the open findings of `store` are, as a scrape at `hours` tells.
fn counted(store: &Memory, config: &str, hours: i64) -> BTreeMap<String, u64> {
    let config = Arc::new(load::parse("chain", config).unwrap());
    let standards = Standards::load(&config).unwrap();
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
    let mut permits = Permits::at(store, &standards, now).unwrap();
    let (open, _) = permits.split(store.open_counts().unwrap()).unwrap();
    let fleet = FleetView::default();
    let owned = Owned::of((store, &standards, now), &fleet, (&mut permits, &open)).unwrap();
    let drifts: u64 = owned.drifts.values().sum();
    let mut many = BTreeMap::new();
    for ((owner, ..), count) in owned.all {
        *many.entry(owner).or_default() += count;
    }
    assert_eq!(drifts, 0, "none of them was judged yet, so none asks for anybody");
    many
}

#[test]
fn who_was_given_a_finding_answers_for_it() {
    let mut store = Memory::new();
    store.apply(&[Step::Findings(vec![finding()])]).unwrap();
    let record = store.findings(&FindingFilter::default()).unwrap().pop().unwrap();
    let give = |store: &mut Memory, to: &str, hours: i64| {
        let given = ActRecord {
            finding: record.number,
            at: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours),
            who: "ada".into(),
            act: Act::Assign,
            text: to.into(),
            opening: record.openings,
        };
        store.apply(&[Step::Act(given)]).unwrap();
    };
    let one = |owner: &str| BTreeMap::from([(owner.to_owned(), 1)]);
    give(&mut store, "voice-lead", 1);
    assert_eq!(counted(&store, CHAIN, 2), one("voice-lead"));
    // The chain begins behind whoever has it, from when they were given it.
    assert_eq!(counted(&store, CHAIN, 4), one("voice-lead"));
    assert_eq!(counted(&store, CHAIN, 5), one("noc"));
    // A name of nobody's is no label, and moves nothing.
    give(&mut store, "ada", 6);
    assert_eq!(counted(&store, CHAIN, 6), one("voice-lead"));
    // Where there are teams and no entries, a team may be given it too.
    let teams = "[[host]]\nname = 'sbc1'\nteam = 'desk'\n[[host]]\nname = 'x'\nteam = 'edge'\n";
    assert_eq!(counted(&store, teams, 7), one("desk"));
    give(&mut store, "edge", 8);
    assert_eq!(counted(&store, teams, 9), one("edge"));
    assert_eq!(counted(&store, "", 9), one("nobody"));
}

#[test]
fn what_is_permitted_takes_nobodys_place() {
    let of_part = |number: usize, severity: Severity| {
        let part = format!("/etc/{}/{number}", severity.as_str()).parse().unwrap();
        Finding { id: FindingId { part, ..finding().id }, severity, ..finding() }
    };
    // More than are looked at, all worse than the three that ask for somebody.
    let permitted = (0..20_001).map(|number| of_part(number, Severity::Critical));
    let asking = (0..3).map(|number| of_part(number, Severity::Info));
    let mut store = Memory::new();
    let exception = Exception {
        name: "trial".into(),
        scope: ExceptionScope { part: Some("/etc/critical/*".into()), ..Default::default() },
        value: None,
        owner: "voice".into(),
        reason: "because".into(),
        made_by: "ada".into(),
        made_at: Timestamp::UNIX_EPOCH,
        expires_at: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24),
        zone: "UTC".into(),
        ended: None,
    };
    let findings = Step::Findings(permitted.chain(asking).collect());
    store.apply(&[findings, Step::Exception(Box::new(exception))]).unwrap();
    assert_eq!(counted(&store, CHAIN, 1), BTreeMap::from([("voice".to_owned(), 3)]));
}
