//! Ingest against the model store: what agents, copies, forgers and restored stores do to it.

mod accepted;
mod agent;
mod exceptions;
mod import;
mod kept;
mod model;
mod rules;
mod stood;

use agent::{Agent, World, at, file, source};
use driftline_protocol::canonical;
use driftline_protocol::ids::{Digest, Generation, HostId, Incarnation, PartName, SessionId};
use driftline_protocol::item::ItemKey;
use driftline_protocol::snapshot::{Part, Reason};
use driftline_protocol::wire::{Outcome, PartsUpload, ProblemCode, Report};
use proptest::prelude::*;

use super::*;
use crate::store::{
    Append, ChangeFilter, EventKind, FindingFilter, MAX_LIMIT, ReadHistory, SectionRecord,
};

const DENIED: Part = Part::Unobserved(Reason::Denied);

fn refused<T: std::fmt::Debug>(result: Result<T, IngestError>) -> ProblemCode {
    match result {
        Err(IngestError::Refused(problem)) => problem.code,
        other => panic!("{other:?} was not refused"),
    }
}

/// Everything of `host` that must not depend on how often or in which order things arrived.
fn state(world: &World, host: &HostId) -> (Vec<SectionRecord>, Vec<String>, usize) {
    let filter =
        ChangeFilter { host: Some(host.clone()), limit: MAX_LIMIT, ..ChangeFilter::default() };
    let changes = world.store.changes(&filter).unwrap();
    let change = |c: &crate::store::ChangeRecord| format!("{} {:?}", c.generation, c.change);
    let mut changes: Vec<String> = changes.iter().map(change).collect();
    changes.sort();
    let versions = world.store.versions(host, MAX_LIMIT).unwrap().len();
    (world.store.sections(host).unwrap(), changes, versions)
}

fn open_findings(world: &World) -> usize {
    let filter = FindingFilter { open_only: true, ..FindingFilter::default() };
    world.store.findings(&filter).unwrap().len()
}

fn approve(world: &mut World, host: &HostId) {
    let context = Context { store: &world.store.clone(), now: at(world.second) };
    let approval = Approval { who: "ann".into(), why: "new site".into() };
    let steps = world.ingest.approve(context, Proposal::present(host.clone()), approval).unwrap();
    world.apply(steps);
}

#[test]
fn sending_twice_changes_nothing() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    let first = agent.sees(&[("/a", file(&[("x", 1)]))]);
    let second = agent.sees(&[("/a", file(&[("x", 2)]))]);
    assert_eq!(world.send(&first).unwrap(), [Outcome::Applied]);
    assert_eq!(world.send(&second).unwrap(), [Outcome::Applied]);
    let before = state(&world, &agent.host);
    assert_eq!(before.1.len(), 1, "the first version is no change, the second one is");
    for report in [&second, &first, &second] {
        assert_eq!(world.send(report).unwrap(), [Outcome::Known]);
    }
    world.restarted();
    assert_eq!(world.send(&first).unwrap(), [Outcome::Known]);
    assert_eq!(state(&world, &agent.host), before);
}

#[test]
fn an_unchanged_host_causes_no_step() {
    let mut world = World::new();
    let (mut agent, token) = world.enrol("pbx", 1);
    assert_eq!(world.ingest.authenticate(&token), Some(agent.host.clone()));
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
    world.heartbeat(&agent).unwrap();
    world.steps.clear();
    for _ in 0..5 {
        world.second += 60;
        let answer = world.heartbeat(&agent).unwrap();
        assert!(answer.want.is_empty());
    }
    assert_eq!(world.steps, []);
    assert_eq!(world.ingest.take_seen(), [(agent.host.clone(), at(300))]);
    assert_eq!(world.source_view(&agent.host).imbalance, 0);
}

#[test]
fn a_heartbeat_is_answered_at_once_only_while_it_causes_no_step() {
    fn at_once(world: &mut World, agent: &Agent) -> Option<HeartbeatAnswer> {
        let context = Context { store: &world.store.clone(), now: at(world.second) };
        world.ingest.routine_heartbeat(context, &agent.host, &agent.heartbeat())
    }
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    assert_eq!(at_once(&mut world, &agent), None, "nothing is known of it yet");
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
    let answer = world.heartbeat(&agent).unwrap();
    assert_eq!(at_once(&mut world, &agent), Some(answer));
    let copy = Agent { session: SessionId([2; 16]), ..agent.clone() };
    assert_eq!(at_once(&mut world, &copy), None, "another session must be judged");
    let report = agent.sees(&[("/a", file(&[("x", 2)]))]);
    let context = Context { store: &world.store.clone(), now: at(world.second) };
    world.ingest.report(context, &agent.host, check_report(report).unwrap()).unwrap();
    assert_eq!(at_once(&mut world, &agent), None, "what it has sent is not durable yet");
    world.ingest.settle(&world.store, Settlement::Lost).unwrap();
    assert_eq!(at_once(&mut world, &agent), None, "what was lost is decided again");
}

#[test]
fn versions_of_one_report_build_on_each_other() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    let mut all = agent.report(Vec::new(), Vec::new());
    for value in 1..=3 {
        let report = agent.sees(&[("/a", file(&[("x", value)]))]);
        all.versions.extend(report.versions);
        all.parts.extend(report.parts);
    }
    assert_eq!(world.send(&all).unwrap(), vec![Outcome::Applied; 3]);
    assert_eq!(state(&world, &agent.host).1.len(), 2);
}

#[test]
fn a_lost_write_is_decided_again() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    let report = agent.sees(&[("/a", file(&[("x", 1)]))]);
    let context = Context { store: &world.store.clone(), now: at(0) };
    let checked = check_report(report.clone()).unwrap();
    let lost = world.ingest.report(context, &agent.host, checked).unwrap();
    assert_eq!(lost.answer.outcomes, [Outcome::Applied]);
    world.ingest.settle(&world.store, Settlement::Lost).unwrap();
    assert_eq!(world.send(&report).unwrap(), [Outcome::Applied]);
}

#[test]
fn parts_and_bases_that_are_not_here_are_asked_for() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    let part = file(&[("x", 1)]);
    let mut report = agent.sees(&[("/a", part.clone())]);
    report.parts.clear();
    let digests = vec![canonical::digest(&part)];
    assert_eq!(world.send(&report).unwrap(), [Outcome::MissingParts { digests }]);
    let later = agent.sees(&[("/a", file(&[("x", 2)]))]);
    assert!(matches!(world.send(&later).unwrap()[..], [Outcome::BaseUnknown { .. }]));
    report.parts.push(part);
    assert_eq!(world.send(&report).unwrap(), [Outcome::Applied]);
    assert_eq!(world.send(&later).unwrap(), [Outcome::Applied]);
}

#[test]
fn a_forged_digest_is_refused_and_told_once() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    let mut report = agent.sees(&[("/a", file(&[("x", 1)]))]);
    report.versions[0].digest = Digest([7; 32]);
    for _ in 0..3 {
        assert!(matches!(world.send(&report).unwrap()[..], [Outcome::Refused { .. }]));
    }
    assert_eq!(world.events(), [EventKind::Enrolled, EventKind::Refused]);
    assert_eq!(world.ingest.view(at(0)).totals.refused, 3);
    assert_eq!(state(&world, &agent.host).2, 0);
}

#[test]
fn a_stolen_id_opens_nothing() {
    let mut world = World::new();
    let (mut victim, _) = world.enrol("pbx", 1);
    let (thief, _) = world.enrol("laptop", 2);
    let report = victim.sees(&[("/a", file(&[("x", 1)]))]);
    let context = Context { store: &world.store.clone(), now: at(0) };
    let checked = check_report(report).unwrap();
    let stolen = world.ingest.report(context, &thief.host, checked);
    assert_eq!(refused(stolen), ProblemCode::Unauthorised);
    let stolen = world.ingest.heartbeat(context, &thief.host, &victim.heartbeat());
    assert_eq!(refused(stolen), ProblemCode::Unauthorised);
}

#[test]
fn nobody_gets_a_name_that_is_taken() {
    let mut world = World::new();
    let (first, _) = world.enrol("pbx", 1);
    let (again, _) = world.enrol("pbx", 1);
    assert_eq!(first.host, again.host, "the answer was lost, and the agent asked again");
    world.heartbeat(&first).unwrap();
    let names: Vec<String> =
        (2..5).map(|state| world.enrol("pbx", state).0.host.to_string()).collect();
    assert_eq!(names, ["pbx-2", "pbx-3", "pbx-4"]);
    assert_eq!(
        world.enrol("pbx", 1).0.host.as_str(),
        "pbx-5",
        "one that has spoken keeps its name"
    );
    let long = "x".repeat(63);
    world.enrol(&long, 9);
    assert_eq!(world.enrol(&long, 10).0.host.as_str(), format!("{}-2", "x".repeat(61)));
}

#[test]
fn of_two_copies_the_first_keeps_the_name() {
    let mut world = World::new();
    let (mut original, _) = world.enrol("pbx", 1);
    world.delivers(&mut original, &[("/a", file(&[("x", 1)]))]);
    let copy = Agent { session: SessionId([2; 16]), ..original.clone() };
    assert_eq!(refused(world.enrol_copy(&original.host)), ProblemCode::Unauthorised);
    for agent in [&original, &copy, &original, &copy, &original] {
        world.second += 30;
        world.heartbeat(agent).unwrap();
    }
    assert_eq!(refused(world.heartbeat(&copy)), ProblemCode::Clone);
    assert!(world.heartbeat(&original).unwrap().cloned);
    assert_eq!(world.events(), [EventKind::Enrolled, EventKind::Cloned]);
    assert_eq!(world.enrol_copy(&original.host).unwrap().as_str(), "pbx-2");
    let context = Context { store: &world.store.clone(), now: at(world.second) };
    let steps = world.ingest.retire(context, (&original.host, "ada")).unwrap();
    world.apply(steps);
    assert_eq!(refused(world.enrol_copy(&original.host)), ProblemCode::Retired);
    assert_eq!(refused(world.ingest.admit(&original.host)), ProblemCode::Retired);
}

#[test]
fn a_machine_that_was_set_back_keeps_name_and_history() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
    let mut older = Agent { session: SessionId([2; 16]), ..agent.clone() };
    for value in 2..5 {
        world.delivers(&mut agent, &[("/a", file(&[("x", value)]))]);
    }
    world.heartbeat(&agent).unwrap();
    world.second += 600;
    let answer = world.heartbeat(&older).unwrap();
    assert_eq!(answer.generation, Generation(4), "the agent must jump above");
    assert!(answer.want.contains_key(&source()));
    assert_eq!(world.events().last(), Some(&EventKind::RolledBack));
    older.generation = answer.generation;
    older.manifest = driftline_protocol::manifest::Manifest::default();
    assert_eq!(world.delivers(&mut older, &[("/a", file(&[("x", 9)]))]), Outcome::Applied);
    assert!(world.heartbeat(&older).unwrap().want.is_empty());
    assert_eq!(world.source_view(&older.host).imbalance, 0);
}

#[test]
fn a_rollback_that_is_told_late_balances_again() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
    let mut older = Agent { session: SessionId([2; 16]), ..agent.clone() };
    for value in 2..5 {
        world.delivers(&mut agent, &[("/a", file(&[("x", value)]))]);
    }
    world.heartbeat(&agent).unwrap();
    // The session before may still be alive, so nobody is told yet, and a version comes meanwhile.
    world.second += 10;
    older.generation = world.heartbeat(&older).unwrap().generation;
    older.manifest = driftline_protocol::manifest::Manifest::default();
    assert_eq!(world.delivers(&mut older, &[("/a", file(&[("x", 9)]))]), Outcome::Applied);
    world.heartbeat(&older).unwrap();
    assert!(world.source_view(&older.host).imbalance > 0, "nobody was told of the gap");
    world.second += 600;
    world.heartbeat(&older).unwrap();
    assert_eq!(world.events(), [EventKind::Enrolled, EventKind::RolledBack]);
    for value in 1..3 {
        assert_eq!(world.source_view(&older.host).imbalance, 0);
        world.delivers(&mut older, &[("/a", file(&[("x", value)]))]);
        world.heartbeat(&older).unwrap();
    }
}

#[test]
fn a_machine_that_was_set_back_and_caught_up_is_told_of_and_balances() {
    for (since, meanwhile) in [(1, 1), (3, 1), (3, 3), (4, 2)] {
        let mut world = World::new();
        let (mut agent, _) = world.enrol("pbx", 1);
        world.delivers(&mut agent, &[("/a", file(&[("x", 0)]))]);
        let mut older = Agent { session: SessionId([2; 16]), ..agent.clone() };
        for value in 1..=since {
            world.delivers(&mut agent, &[("/a", file(&[("x", value)]))]);
        }
        world.heartbeat(&agent).unwrap();
        for value in 1..=meanwhile {
            older.sees(&[("/a", file(&[("y", value)]))]);
        }
        world.second += 600;
        let answer = world.heartbeat(&older).unwrap();
        let context = format!("{meanwhile} versions in place of {since}");
        assert_eq!(world.events(), [EventKind::Enrolled, EventKind::RolledBack], "{context}");
        older.generation = answer.generation.max(older.generation);
        older.manifest = driftline_protocol::manifest::Manifest::default();
        // What waited is sent whole as one version, as a spool does.
        older.account.coalesced += std::mem::take(&mut older.account.waiting);
        let outcome = world.delivers(&mut older, &[("/a", file(&[("y", 9)]))]);
        assert_eq!(outcome, Outcome::Applied, "{context}");
        world.heartbeat(&older).unwrap();
        assert_eq!(world.source_view(&older.host).imbalance, 0, "{context}");
    }
}

#[test]
fn a_new_agent_state_alone_keeps_name_and_history() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
    world.heartbeat(&agent).unwrap();
    let mut anew = Agent::new(agent.host.clone(), Incarnation([9; 16]));
    anew.session = SessionId([2; 16]);
    let report = anew.clone().sees(&[("/a", file(&[("x", 2)]))]);
    assert_eq!(refused(world.send(&report)), ProblemCode::Busy, "not known yet who this is");
    world.second += 600;
    world.heartbeat(&anew).unwrap();
    assert_eq!(world.delivers(&mut anew, &[("/a", file(&[("x", 2)]))]), Outcome::Applied);
    assert_eq!(state(&world, &agent.host).1.len(), 1, "history goes on: one change");
    world.heartbeat(&anew).unwrap();
    assert_eq!(world.source_view(&anew.host).imbalance, 0);
}

#[test]
fn a_restored_store_says_what_it_lost_and_asks_for_the_present() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
    let mut restored = World::new();
    restored.store.apply(&world.steps).unwrap();
    let part = file(&[("x", 1)]);
    restored.store.keep_parts(&[NewPart::new(part)], at(0)).unwrap();
    restored.restarted();
    for value in 2..5 {
        world.delivers(&mut agent, &[("/a", file(&[("x", value)]))]);
    }
    let answer = restored.heartbeat(&agent).unwrap();
    assert_eq!(restored.events(), [EventKind::StoreRestored]);
    assert!(answer.want.contains_key(&source()));
    agent.manifest = driftline_protocol::manifest::Manifest::default();
    let outcome = restored.delivers(&mut agent, &[("/a", file(&[("x", 4)]))]);
    assert_eq!(outcome, Outcome::Applied);
    assert!(restored.heartbeat(&agent).unwrap().want.is_empty());
    let view = restored.ingest.view(at(0)).hosts[&agent.host].clone();
    assert_eq!((view.lost_by_restore, view.sources[&source()].imbalance), (3, 0));
}

#[test]
fn a_host_that_a_restored_store_never_knew_enrols_again_under_its_name() {
    let mut world = World::new();
    let (mut agent, token) = world.enrol("pbx", 1);
    for value in 1..4 {
        world.delivers(&mut agent, &[("/a", file(&[("x", value)]))]);
    }
    let mut restored = World::new();
    assert_eq!(restored.ingest.authenticate(&token), None);
    for _ in 0..2 {
        // The answer to the first request is lost on its way.
        assert_eq!(restored.enrol("pbx", 1).0.host, agent.host);
    }
    let answer = restored.heartbeat(&agent).unwrap();
    assert!(answer.want.contains_key(&source()));
    agent.manifest = driftline_protocol::manifest::Manifest::default();
    let outcome = restored.delivers(&mut agent, &[("/a", file(&[("x", 4)]))]);
    assert_eq!(outcome, Outcome::Applied);
    assert!(restored.heartbeat(&agent).unwrap().want.is_empty());
    let view = restored.ingest.view(at(0));
    let host = view.hosts[&agent.host].clone();
    assert_eq!((host.lost_by_restore, host.sources[&source()].imbalance), (3, 0));
    assert_eq!(view.hosts.len(), 1);
    let told = [EventKind::Enrolled, EventKind::Enrolled, EventKind::StoreRestored];
    assert_eq!(restored.events(), told);
}

#[test]
fn unobserved_opens_nothing_and_closes_nothing() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
    approve(&mut world, &agent.host);
    for (part, open) in [
        (DENIED, 0),
        (file(&[("x", 1)]), 0),
        (file(&[("x", 2)]), 1),
        (DENIED, 1),
        (file(&[("x", 2)]), 1),
        (file(&[("x", 1)]), 0),
    ] {
        world.delivers(&mut agent, &[("/a", part.clone())]);
        assert_eq!(open_findings(&world), open, "after {part:?}");
    }
    assert_eq!(state(&world, &agent.host).1.len(), 2, "there and back, whatever was unobserved");
}

#[test]
fn approving_accepts_and_retiring_ends() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
    approve(&mut world, &agent.host);
    world.delivers(&mut agent, &[("/a", file(&[("x", 2)]))]);
    approve(&mut world, &agent.host);
    assert_eq!(open_findings(&world), 0);
    world.delivers(&mut agent, &[("/a", file(&[("x", 3)]))]);
    assert_eq!(open_findings(&world), 1);
    let context = Context { store: &world.store.clone(), now: at(9) };
    let steps = world.ingest.retire(context, (&agent.host, "ada")).unwrap();
    world.apply(steps);
    assert_eq!(open_findings(&world), 0);
    assert_eq!(refused(world.heartbeat(&agent)), ProblemCode::Retired);
    let steps = world.ingest.reinstate(context, (&agent.host, "ada")).unwrap();
    world.apply(steps);
    world.heartbeat(&agent).unwrap();
    let told = world.store.events(Some(&agent.host), 10).unwrap();
    let named = told.iter().filter(|event| event.detail.ends_with(" by ada")).count();
    assert_eq!(named, 2, "who took it out and who brought it back: {told:?}");
}

#[test]
fn what_was_unobserved_when_it_was_approved_keeps_its_last_state() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
    world.delivers(&mut agent, &[("/a", DENIED)]);
    approve(&mut world, &agent.host);
    world.delivers(&mut agent, &[("/a", file(&[("x", 2)]))]);
    assert_eq!(open_findings(&world), 1);
}

#[test]
fn a_million_items_are_bounded() {
    let many = |value: i64| {
        let names: Vec<String> = (0..20_000).map(|n| format!("k{n}")).collect();
        file(&names.iter().map(|name| (name.as_str(), value)).collect::<Vec<_>>())
    };
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    let names: Vec<String> = (0..50).map(|n| format!("/f{n}")).collect();
    for value in 1..=2 {
        let part = many(value);
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), part.clone())).collect();
        let mut report = agent.sees(&files);
        report.parts.truncate(1);
        assert_eq!(world.send(&report).unwrap(), [Outcome::Applied]);
    }
    let changes = world.steps.iter().map(|step| {
        let Step::Version(version) = step else { return 0 };
        version.changes.len()
    });
    assert!(changes.max().unwrap() < CHANGES_PER_VERSION + 2 * 20_000);
    assert!(world.ingest.view(at(0)).totals.summarised > 0);
    let part = file(&[("x", 1)]);
    let Part::Observed(mut observed) = part else { unreachable!() };
    let item = observed.items[&ItemKey::of(["x"])].clone();
    observed.items = (0..20_001).map(|n| (ItemKey::of([n.to_string()]), item.clone())).collect();
    let upload = PartsUpload { version: 1, parts: vec![Part::Observed(observed)] };
    assert_eq!(check_parts(upload).unwrap_err().code, ProblemCode::Malformed);
}

#[test]
fn silence_has_names() {
    let interval = 60_000;
    for (seconds, expected) in [
        (0, Liveness::Alive),
        (180, Liveness::Alive),
        (181, Liveness::Stale),
        (30 * 86_400, Liveness::Stale),
        (30 * 86_400 + 1, Liveness::Dormant),
    ] {
        assert_eq!(liveness(at(0), at(seconds), interval), expected, "after {seconds} s");
    }
    assert_eq!(liveness(at(9), at(0), interval), Liveness::Alive);
}

/// The reports of a host that saw these values of one file, each in its own report.
fn reports(agent: &mut Agent, values: &[i64]) -> Vec<Report> {
    let name: PartName = "/a".parse().unwrap();
    let see = |value: &i64| agent.sees(&[(name.as_str(), file(&[("x", *value)]))]);
    values.iter().map(see).collect()
}

proptest! {
    #[test]
    fn however_reports_arrive_the_state_is_the_same(
        values in proptest::collection::vec(0..3i64, 1..6),
        arrivals in proptest::collection::vec((any::<prop::sample::Index>(), 0..5u8), 0..20),
    ) {
        let (mut straight, mut shuffled) = (World::new(), World::new());
        let (mut agent, _) = straight.enrol("pbx", 1);
        shuffled.enrol("pbx", 1);
        let reports = reports(&mut agent, &values);
        for report in &reports {
            prop_assert_eq!(straight.send(report).unwrap(), vec![Outcome::Applied]);
        }
        for (which, fate) in arrivals {
            if fate == 0 {
                shuffled.restarted();
            }
            shuffled.send(which.get(&reports)).unwrap();
        }
        for report in &reports {
            shuffled.send(report).unwrap(); // what an agent does until all is acknowledged
        }
        prop_assert_eq!(state(&straight, &agent.host), state(&shuffled, &agent.host));
    }
}
