//! What is taken of a rollout and of a request, over the store in memory.

use driftline_protocol::item::{Item, ItemKey, ItemValue};

use super::*;
use crate::analysis::change::Change;
use crate::analysis::classify::request::Approval;
use crate::analysis::finding::made_up;
use crate::classification::tests::{CONFIG, World, at, text, version_step};
use crate::store::memory::Memory;
use crate::store::{Append as _, MAX_LIMIT, Step, VersionStep};

const PART: &str = "/etc/sip.conf";

fn named(key: &str) -> Option<ItemKey> {
    Some(ItemKey::of([key]))
}

fn change(key: &str, (before, after): (&str, &str)) -> Change {
    Change {
        part: PART.parse().unwrap(),
        key: named(key),
        kind: ChangeKind::Modified,
        before: Some(text(before)),
        after: Some(text(after)),
    }
}

/// That the whole part came.
fn came() -> Change {
    let kind = ChangeKind::Added;
    let (before, after) = (None, Some(crate::analysis::drift::present()));
    Change { part: PART.parse().unwrap(), key: None, kind, before, after }
}

/// Hosts of which each has the versions that were told so far.
#[derive(Default)]
struct Hosts {
    store: Memory,
    generation: u64,
}

impl Hosts {
    /// What one version of `host` changed, and the drifts that are open then.
    fn sees(
        &mut self,
        (host, minute): (&str, i64),
        changes: &[Change],
        drifts: &[(i64, Option<ItemKey>, Option<Item>)],
    ) {
        self.generation += 1;
        let drift = |(since, key, current): &(i64, Option<ItemKey>, Option<Item>)| {
            let mut finding = made_up(PART, None);
            finding.id.host = host.parse().unwrap();
            finding.id.key.clone_from(key);
            finding.desired = key.is_some().then(|| text("ulaw"));
            Finding { current: current.clone(), first_seen: at(*since), ..finding }
        };
        let step = VersionStep {
            changes: changes.to_vec(),
            findings: drifts.iter().map(drift).collect(),
            ..version_step((host, "files"), (minute, self.generation))
        };
        self.store.apply(&[Step::Version(Box::new(step))]).unwrap();
    }

    /// The codec of `host` becomes each value in its minute; it drifts since the first.
    fn codec(&mut self, host: &str, values: &[(i64, &str)]) {
        let mut before = "ulaw";
        for (minute, value) in values {
            let drift = (values[0].0, named("codec"), Some(text(value)));
            self.sees((host, *minute), &[change("codec", (before, value))], &[drift]);
            before = value;
        }
    }

    /// How many drifts are as the rollout of `number` left them, and how many moved on.
    fn of_rollout(&self, number: i64) -> (usize, u64) {
        let led_by = LedBy::Rollout(number);
        let led = drifts(&self.store, &Config::default(), &led_by).unwrap().unwrap();
        (led.findings.len(), led.conflicts)
    }
}

/// A rollout that reaches host a in minute 10, and the codec of host b in these minutes.
fn check(of_b: &[(i64, &str)], expected: (usize, u64), why: &str) {
    let mut hosts = Hosts::default();
    hosts.codec("a", &[(10, "opus")]);
    hosts.codec("b", of_b);
    assert_eq!(hosts.of_rollout(1), expected, "{why}");
}

#[test]
fn of_a_rollout_that_is_taken_which_it_brought_and_nothing_has_changed_since() {
    check(&[(12, "opus")], (2, 0), "nothing has changed");
    check(&[(12, "opus"), (14, "gsm")], (1, 1), "by hand, two minutes later");
    check(&[(12, "opus"), (900, "gsm")], (1, 1), "by hand, hours later");
    check(&[(12, "opus"), (14, "gsm"), (16, "opus")], (1, 1), "it goes back and forth");
    check(&[(2, "gsm"), (12, "opus")], (2, 0), "what was there before is there no more");
}

#[test]
fn a_drift_that_opened_when_the_baseline_moved_is_no_rollouts_doing() {
    let mut hosts = Hosts::default();
    hosts.codec("a", &[(10, "opus")]);
    hosts.codec("b", &[(12, "opus")]);
    // What was agreed of b moved in minute 20: its drift opened anew.
    hosts.sees(("b", 30), &[], &[(20, named("codec"), Some(text("opus")))]);
    assert_eq!(hosts.of_rollout(1), (1, 0));
}

#[test]
fn a_later_change_counts_behind_however_many_others() {
    let mut hosts = Hosts::default();
    hosts.codec("a", &[(10, "opus")]);
    hosts.codec("b", &[(12, "opus"), (14, "gsm")]);
    let others: Vec<Change> =
        (0..=MAX_LIMIT).map(|number| change(&format!("x{number}"), ("1", "2"))).collect();
    hosts.sees(("b", 16), &others, &[]);
    assert_eq!(hosts.of_rollout(1), (1, 1));
}

#[test]
fn a_part_that_a_rollout_brought_is_taken_while_all_it_says_is_of_the_rollout() {
    for (edited, expected) in [(false, (2, 0)), (true, (1, 1))] {
        let mut hosts = Hosts::default();
        let there = came().after;
        for host in ["a", "b"] {
            hosts.sees((host, 10), &[came()], &[(10, None, there.clone())]);
        }
        if edited {
            hosts.sees(("b", 12), &[change("codec", ("ulaw", "gsm"))], &[]);
        }
        assert_eq!(hosts.of_rollout(1), expected);
    }
}

#[test]
fn what_differs_in_its_place_alone_is_taken_where_the_rollout_moved_it() {
    let placed = |rank| Item { value: ItemValue::text("ulaw"), rank: Some(rank) };
    let order = |by_hand: bool| {
        let mut hosts = Hosts::default();
        for host in ["a", "b"] {
            let moved = Change {
                kind: ChangeKind::Moved,
                before: Some(placed(9)),
                after: Some(placed(3)),
                ..change("codec", ("", ""))
            };
            hosts.sees((host, 10), std::slice::from_ref(&moved), &[]);
            if by_hand && host == "b" {
                hosts.sees((host, 12), &[Change { after: Some(placed(1)), ..moved }], &[]);
            }
            let mut drift = made_up(PART, Some("codec"));
            drift.id.host = host.parse().unwrap();
            (drift.desired, drift.current) = (Some(placed(9)), Some(placed(3)));
            let drift = Finding { first_seen: at(10), ..drift };
            hosts.store.apply(&[Step::Findings(vec![drift])]).unwrap();
        }
        hosts.of_rollout(1)
    };
    assert_eq!(order(false), (2, 0));
    assert_eq!(order(true), (1, 1));
}

/// How many drifts are as the request left them, and how many moved on.
fn of_request(world: &World) -> (usize, u64) {
    let led_by = LedBy::Request("itsm/CHG1".into());
    let led = drifts(&world.store, &world.config, &led_by).unwrap().unwrap();
    (led.findings.len(), led.conflicts)
}

/// A host whose codec a request made b.
fn requested() -> World {
    let mut world = World::new(CONFIG);
    world.request(Approval::Approved, (0, 60));
    world.drifting(10, ("a", "b"));
    world.weighed(11);
    world
}

#[test]
fn of_a_request_that_is_taken_which_its_own_change_left() {
    let mut world = requested();
    assert_eq!(of_request(&world), (1, 0));
    // What is not judged yet is of no request, though the drift still names this one.
    world.drifting(5_000, ("b", "c"));
    assert!(world.record().unwrap().meant.is_some_and(|meant| meant.decision.name == "itsm/CHG1"));
    assert_eq!(of_request(&world), (0, 1));
    world.weighed(5_001);
    assert_eq!(of_request(&world), (0, 1), "nobody asked for it");
    let mut world = requested();
    world.drifting(20, ("b", "c"));
    world.weighed(21);
    assert_eq!(of_request(&world), (1, 0), "both changes are of the request");
}

#[test]
fn of_a_request_nothing_is_taken_that_alternates_since() {
    let mut world = requested();
    for turn in 0..12 {
        let values = if turn % 2 == 0 { ("b", "c") } else { ("c", "b") };
        world.drifting(5_000 + 40 * turn, values);
        world.judged();
    }
    world.weighed(5_500);
    assert_eq!(world.record().unwrap().finding.current, Some(text("b")), "as the request left it");
    assert_eq!(of_request(&world), (0, 1));
}

#[test]
fn of_a_request_nothing_is_taken_that_it_does_not_name() {
    let mut world = World::new(CONFIG);
    world.drifting(10, ("a", "b"));
    world.weighed(11);
    assert_eq!(of_request(&world), (0, 0), "there is no such request");
    world.request(Approval::Approved, (5_000, 5_060));
    world.drifting(5_010, ("b", "c"));
    world.weighed(5_011);
    assert_eq!(of_request(&world), (0, 0), "nobody asked for what opened it");
}
