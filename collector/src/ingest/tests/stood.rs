//! How a host stood at a moment: what it had observed by then, whenever it told of it and whatever
//! its clock said.

use driftline_protocol::manifest::Manifest;
use driftline_protocol::wire::Report;

use super::*;
use crate::approvals::Stood;

const DAY_SECONDS: i64 = 86_400;

fn x(value: i64) -> [(&'static str, Part); 1] {
    [("/a", file(&[("x", value)]))]
}

/// A host whose file said 1 in second 0 and 2 in second 100, and that told of the second state in
/// second 500, as `told` has it.
fn world(told: impl FnOnce(&mut Report)) -> (World, HostId) {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &x(1));
    let mut report = agent.sees(&x(2));
    told(&mut report);
    world.second = 500;
    assert_eq!(world.send(&report).unwrap(), [Outcome::Applied]);
    (world, agent.host)
}

/// What the file said as the host stood at `second`.
fn said(world: &World, host: &HostId, second: i64) -> Option<i64> {
    let stood = Stood::at(&world.store, host, at(second)).unwrap();
    let Manifest(parts) = stood.0.get(&source())?;
    let digest = parts.values().next()?;
    (1..=2).find(|value| canonical::digest(&x(*value)[0].1) == *digest)
}

fn check(told: impl FnOnce(&mut Report), why: &str) {
    let (world, host) = world(told);
    for (second, expected) in
        [(-1, None), (0, Some(1)), (99, Some(1)), (100, Some(2)), (499, Some(2)), (900, Some(2))]
    {
        assert_eq!(said(&world, &host, second), expected, "in second {second}: {why}");
    }
}

#[test]
fn what_a_host_tells_late_counts_from_when_it_observed_it() {
    check(
        |report| {
            report.versions[0].observed_monotonic_ms = Some(1_000);
            report.monotonic_ms = 401_000;
        },
        "it waited 400 seconds in the spool",
    );
}

#[test]
fn what_the_clock_of_a_host_says_does_not_count() {
    for days in [-3, 3] {
        let ahead = days * DAY_SECONDS;
        check(
            |report| {
                report.versions[0].observed_at = at(100 + ahead);
                report.versions[0].observed_monotonic_ms = Some(1_000);
                (report.monotonic_ms, report.wall) = (401_000, at(500 + ahead));
            },
            &format!("its clock is {days} days ahead"),
        );
    }
}

#[test]
fn who_approves_what_was_compared_does_not_approve_what_came_late() {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &x(1));
    let read = Stood::at(&world.store, &agent.host, at(300)).unwrap();
    assert_eq!(read.etag(), Stood::at(&world.store, &agent.host, at(900)).unwrap().etag());
    let mut late = agent.sees(&x(2));
    late.versions[0].observed_monotonic_ms = Some(1_000);
    late.monotonic_ms = 401_000;
    world.second = 500;
    world.send(&late).unwrap();
    let now = Stood::at(&world.store, &agent.host, at(300)).unwrap();
    assert_ne!(now.etag(), read.etag(), "it stood otherwise, and nobody has read that");
}
