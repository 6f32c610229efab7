//! Rules where versions are taken: durable with what broke them, the same however often judged.

use driftline_protocol::item::{Item, ItemValue};

use super::*;
use crate::analysis::finding::{Finding, FindingKind, Resolution, Status};
use crate::analysis::rules::reading::read;
use crate::analysis::rules::{Pack, RuleSet};
use crate::standards::Standards;
use crate::store::ReadFindings as _;

const PACK: &str = "title = 'T'
[[rule]]
name = 'x-is-one'
title = 'X'
severity = 'warning'
reason = 'r'
reference = 'r'
source = 'files'
part = '/a'
key = 'x'
operator = 'is'
value = 1
[[rule.example]]
fires = true
items = { x = 2 }
[[rule.example]]
fires = false
items = { x = 1 }
[[rule]]
name = 'b-is-there'
title = 'B'
severity = 'info'
reason = 'r'
reference = 'r'
source = 'files'
part = '/b'
operator = 'present'
[[rule.example]]
fires = true
[[rule.example]]
fires = false
items = {}
";

fn pack() -> Pack {
    read("t.toml", "t", PACK).unwrap()
}

fn adopt(world: &mut World, packs: Vec<Pack>) {
    let rules = RuleSet::new(packs, &[], Vec::new());
    world.ingest.adopt(Arc::new(Standards { rules, ..Standards::default() }));
}

fn rejudge(world: &mut World, host: &HostId) -> usize {
    let context = Context { store: &world.store.clone(), now: at(world.second) };
    let record = world.store.host(host).unwrap().unwrap();
    let standards = world.ingest.standards();
    let store = world.store.clone();
    let now = at(world.second);
    let none = Agreements::default();
    let look = |because| {
        is_judged_otherwise((&standards, &none), &store, (&record, now), because).unwrap()
    };
    let otherwise = look(Because::OfTheRules);
    let timed = standards.rules.of_the_clock();
    assert!(otherwise || !look(Because::OfTheClock), "the clock finds what the rules do not");
    assert!(!timed.is_empty() || !look(Because::OfTheClock), "no rule asks the clock");
    let steps = world.ingest.rejudge(context, host).unwrap();
    assert_eq!(otherwise, !steps.is_empty(), "looking aside and judging disagree");
    let many = steps.len();
    world.apply(steps);
    many
}

/// The rules of the open deviations, by name.
fn open(world: &World) -> Vec<String> {
    let found = findings(world).into_iter().filter(|f| f.status == Status::Open);
    let mut rules: Vec<String> = found.filter_map(|f| f.id.rule).map(String::from).collect();
    rules.sort();
    rules
}

fn findings(world: &World) -> Vec<Finding> {
    let kind = Some(FindingKind::Deviation);
    let filter = FindingFilter { kind, limit: MAX_LIMIT, ..FindingFilter::default() };
    world.store.findings(&filter).unwrap().into_iter().map(|record| record.finding).collect()
}

#[test]
fn a_deviation_is_durable_with_the_version_that_broke_the_rule() {
    let mut world = World::new();
    adopt(&mut world, vec![pack()]);
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 2)])), ("/b", file(&[]))]);
    assert_eq!(open(&world), ["x-is-one"]);
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
    assert_eq!(open(&world), ["b-is-there"], "the part went, and one rule wants it");
    world.delivers(&mut agent, &[("/a", DENIED), ("/b", DENIED)]);
    assert_eq!(open(&world), ["b-is-there"], "unobserved is not there and not absent");
    world.delivers(&mut agent, &[("/a", file(&[("x", 3)])), ("/b", file(&[]))]);
    assert_eq!(open(&world), ["x-is-one"]);
    assert_eq!(rejudge(&mut world, &agent.host), 0, "judging again says the same");
}

#[test]
fn a_part_that_was_never_there_is_missed_from_the_first_version() {
    let mut world = World::new();
    adopt(&mut world, vec![pack()]);
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
    assert_eq!(open(&world), ["b-is-there"]);
    world.delivers(&mut agent, &[("/a", file(&[("x", 1), ("y", 1)]))]);
    assert_eq!(findings(&world).len(), 1, "it is missed once");
}

#[test]
fn new_rules_judge_what_was_reported_before_and_old_ones_take_theirs_back() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 2)]))]);
    assert_eq!(open(&world), [""; 0]);
    adopt(&mut world, vec![pack()]);
    assert_eq!(rejudge(&mut world, &agent.host), 1);
    assert_eq!(open(&world), ["b-is-there", "x-is-one"]);
    world.restarted();
    adopt(&mut world, Vec::new());
    assert_eq!(rejudge(&mut world, &agent.host), 1);
    assert_eq!(open(&world), [""; 0]);
    let withdrawn =
        |f: &Finding| matches!(f.status, Status::Resolved { by: Resolution::Withdrawn, .. });
    assert!(findings(&world).iter().all(withdrawn));
}

#[test]
fn approving_a_state_does_not_meet_a_rule_and_retiring_a_host_ends_it() {
    let mut world = World::new();
    adopt(&mut world, vec![pack()]);
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 2)])), ("/b", file(&[]))]);
    approve(&mut world, &agent.host);
    assert_eq!(open(&world), ["x-is-one"]);
    let context = Context { store: &world.store.clone(), now: at(world.second) };
    let steps = world.ingest.retire(context, (&agent.host, "ada")).unwrap();
    world.apply(steps);
    assert_eq!(open(&world), [""; 0]);
    assert_eq!(rejudge(&mut world, &agent.host), 0, "a retired host is judged by nobody");
}

const DATES: &str = "title = 'D'
[[rule]]
name = 'lasts'
title = 'L'
severity = 'warning'
reason = 'r'
reference = 'r'
source = 'files'
part = '/c'
key = 'until'
operator = 'at_least'
value = 7
unit = 'days_left'
[[rule.example]]
fires = true
at = '2026-11-29T00:00:00Z'
items = { until = '2026-12-05T00:00:00Z' }
[[rule.example]]
fires = false
at = '2026-11-29T00:00:00Z'
items = { until = '2026-12-06T00:00:00Z' }
[[rule.example]]
fires = false
at = '2026-11-29T00:00:00Z'
items = { until = 'not said' }
";

#[test]
fn what_runs_out_is_found_when_its_day_comes_and_ends_with_the_next_one() {
    let mut world = World::new();
    adopt(&mut world, vec![read("d.toml", "d", DATES).unwrap()]);
    let (mut agent, _) = world.enrol("pbx", 1);
    let week_and = |second: i64| {
        let end = at(second + 7 * 86_400).to_string();
        let mut part = file(&[]);
        if let Part::Observed(observed) = &mut part {
            let item = Item { value: ItemValue::Text(end), rank: None };
            observed.items.insert(ItemKey::of(["until"]), item);
        }
        part
    };
    let until = week_and(world.second + 100);
    world.delivers(&mut agent, &[("/c", until)]);
    assert_eq!(open(&world), [""; 0]);
    assert_eq!(rejudge(&mut world, &agent.host), 0);
    world.second += 200;
    assert_eq!(rejudge(&mut world, &agent.host), 1, "nobody reported, and time went by");
    assert_eq!(open(&world), ["lasts"]);
    world.second += 200;
    assert_eq!(rejudge(&mut world, &agent.host), 0, "it is found once");
    let until = week_and(world.second + 1_000);
    world.delivers(&mut agent, &[("/c", until)]);
    assert_eq!(open(&world), [""; 0], "it was renewed");
}
