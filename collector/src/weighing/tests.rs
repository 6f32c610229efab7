//! Drift over the store in memory: what each is made of, and when that changes.

use super::*;
use crate::analysis::classify::ChangeClass::{self, Expected, Flapping, Unauthorised};
use crate::analysis::classify::request::Approval;
use crate::analysis::classify::weigh::FindingClass;
use crate::analysis::drift;
use crate::analysis::finding::{Finding, FindingId, Resolution, Status, made_up};
use crate::classification::tests::{CONFIG, World, at, text};
use crate::store::{Append, FindingFilter, ReadFindings, ReadIntent};

/// What the baseline has.
const AGREED: &str = "a";

fn drift(minute: i64, value: &str) -> Finding {
    Finding {
        desired: Some(text(AGREED)),
        current: Some(text(value)),
        first_seen: at(minute),
        ..made_up("/etc/sip.conf", Some("codec"))
    }
}

impl World {
    /// An edit, with the drift that it opens, moves or ends.
    pub(crate) fn drifting(&mut self, minute: i64, (before, after): (&str, &str)) {
        let open = self.record().filter(|record| record.finding.status == Status::Open);
        let since = open.map(|record| record.finding.first_seen);
        let finding = drift(minute, after);
        self.findings = match (after == AGREED, since) {
            (true, None) => Vec::new(),
            (true, Some(_)) => vec![drift::resolved(&finding, at(minute), Resolution::Returned)],
            (false, None) => vec![finding],
            (false, Some(first_seen)) => vec![Finding { first_seen, ..finding }],
        };
        self.edit(minute, (before, after));
    }

    pub(crate) fn record(&self) -> Option<FindingRecord> {
        self.store.findings(&FindingFilter::default()).unwrap().pop()
    }

    /// What the drift is once everything was judged and weighed at `minute`.
    pub(crate) fn weighed(&mut self, minute: i64) -> FindingClass {
        self.judged();
        let due = weigh_due(&self.store, &self.config, (at(minute), &mut 0)).unwrap();
        self.store.apply(&due.steps).unwrap();
        let again = weigh_due(&self.store, &self.config, (at(minute), &mut 0)).unwrap();
        assert_eq!(again.steps, [], "what was weighed is weighed once");
        self.record().unwrap().class()
    }
}

fn of(class: ChangeClass) -> FindingClass {
    FindingClass::Of(class)
}

#[test]
fn drift_is_what_the_change_that_led_to_it_was() {
    let mut world = World::new(CONFIG);
    world.drifting(10, ("a", "b"));
    assert_eq!(world.record().unwrap().class(), FindingClass::Unjudged);
    assert_eq!(world.weighed(11), of(Unauthorised));
    // A request that comes late explains it, and says its name.
    world.request(Approval::Approved, (0, 60));
    assert_eq!(world.weighed(12), of(Expected));
    let meant = world.record().unwrap().meant.unwrap();
    assert_eq!((meant.decision.name.as_str(), meant.change), ("itsm/CHG1", Some(1)));
    // Called off, it explains nothing any more; and what is edited later is not its doing.
    world.request(Approval::Rejected, (0, 60));
    assert_eq!(world.weighed(13), of(ChangeClass::Unapproved));
    world.request(Approval::Approved, (0, 60));
    world.drifting(5_000, ("b", "c"));
    assert_eq!(world.weighed(5_001), of(Unauthorised));
}

#[test]
fn drift_that_opens_anew_is_judged_anew() {
    let mut world = World::new(CONFIG);
    world.request(Approval::Approved, (0, 60));
    world.drifting(10, ("a", "b"));
    assert_eq!(world.weighed(11), of(Expected));
    world.drifting(5_000, ("b", "a"));
    world.drifting(9_000, ("a", "c"));
    assert_eq!(world.record().unwrap().class(), FindingClass::Unjudged);
    assert_eq!(world.weighed(9_001), of(Unauthorised));
}

#[test]
fn where_nobody_tells_of_intent_drift_has_no_class_and_is_not_quiet() {
    let mut world = World::new("");
    world.drifting(10, ("a", "b"));
    assert_eq!(world.weighed(11), FindingClass::Untold);
    assert!(!FindingClass::Untold.is_quiet());
    // Without a change on record, too: another baseline was agreed to.
    world.store.apply(&[Step::Findings(vec![drift(20, "b")])]).unwrap();
    assert_eq!(world.weighed(21), FindingClass::Untold);
}

#[test]
fn noise_is_quiet_until_it_settles() {
    let mut world = World::new(CONFIG);
    let mut last = 0;
    for turn in 0..13 {
        last = 40 * turn;
        let values = if turn % 2 == 0 { ("a", "b") } else { ("b", "a") };
        world.drifting(last, values);
        world.judged();
    }
    assert_eq!(world.weighed(last + 1), of(Flapping));
    let day = 24 * 60;
    assert_eq!(world.weighed(last + day - 1), of(Flapping));
    assert_eq!(world.weighed(last + day), of(Unauthorised), "it stays, and differs");
    let says = world.record().unwrap().meant.unwrap().decision.says;
    assert!(says.contains("has stayed as it is since"), "{says}");
    // A value the baseline does not have: noise does not explain what opened the drift.
    let mut world = World::new(CONFIG);
    world.drifting(1, ("a", "x"));
    for turn in 0..13 {
        let values = if turn % 2 == 0 { ("x", "y") } else { ("y", "x") };
        world.drifting(40 + 40 * turn, values);
        world.judged();
    }
    assert_eq!(world.weighed(600), of(Unauthorised));
}

#[test]
fn a_request_for_the_host_does_not_make_an_older_drift_meant() {
    let mut world = World::new(CONFIG);
    world.drifting(10, ("a", "b"));
    assert_eq!(world.weighed(11), of(Unauthorised));
    world.request(Approval::Approved, (5_000, 5_060));
    world.drifting(5_010, ("b", "c"));
    assert_eq!(world.weighed(5_011), of(Unauthorised), "the request names the whole host");
}

#[test]
fn an_emergency_that_nobody_approves_ends_in_a_question() {
    let mut world = World::new(CONFIG);
    let day = 24 * 60;
    world.emergency(Approval::Requested, (0, 100));
    world.drifting(10, ("a", "b"));
    assert_eq!(world.weighed(11), of(ChangeClass::Emergency));
    assert_eq!(world.weighed(10 + day - 1), of(ChangeClass::Emergency));
    assert_eq!(world.weighed(10 + day), of(ChangeClass::Unapproved));
    let says = world.record().unwrap().meant.unwrap().decision.says;
    assert!(says.contains("was it right?"), "{says}");
    world.emergency(Approval::Approved, (0, 100));
    assert_eq!(world.weighed(12 + day), of(ChangeClass::Emergency), "somebody has approved it");
}

#[test]
fn whatever_is_due_again_and_again_each_has_its_turn() {
    let mut world = World::new(CONFIG);
    let mut last = 0;
    let names = (0..5).map(|number| {
        let finding = drift(10, "b");
        let key = Some(ItemKey::of([format!("codec{number}")]));
        Finding { id: FindingId { key, ..finding.id.clone() }, ..finding }
    });
    world.store.apply(&[Step::Findings(names.collect())]).unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let due = world.store.to_weigh(at(11), last, 2).unwrap();
        last = due.last().unwrap().number;
        seen.extend(due.iter().map(|record| record.number));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 1], "none was weighed, and each came up");
    let due = weigh_due(&world.store, &world.config, (at(11), &mut last)).unwrap();
    let [Step::Weighed(weighings)] = due.steps.as_slice() else { panic!("{due:?}") };
    assert_eq!((weighings.len(), last), (5, 1));
}

#[test]
fn a_clock_that_goes_back_makes_no_change_an_earlier_one() {
    let mut world = World::new(CONFIG);
    world.request(Approval::Approved, (100, 160));
    world.config.classification.slack_minutes = 0;
    world.config.classification.early_hours = 0;
    world.drifting(120, ("a", "b"));
    assert_eq!(world.weighed(121), of(Expected));
    // It came later, by a clock that says earlier.
    let since = at(120);
    world.findings = vec![Finding { first_seen: since, ..drift(90, "c") }];
    world.edit(90, ("b", "c"));
    assert_eq!(world.weighed(122), of(Unauthorised));
}

#[test]
fn drift_whose_change_waits_for_its_judge_waits_as_well() {
    let mut world = World::new(CONFIG);
    world.drifting(10, ("a", "b"));
    let due = weigh_due(&world.store, &world.config, (at(11), &mut 0)).unwrap();
    let [Step::Weighed(weighings)] = due.steps.as_slice() else { panic!("{due:?}") };
    assert!(weighings[0].meant.is_none());
    world.store.apply(&due.steps).unwrap();
    assert_eq!(world.record().unwrap().class(), FindingClass::Unjudged);
    assert_eq!(world.weighed(12), of(Unauthorised));
}
