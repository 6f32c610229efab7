//! What people accept of findings is what they read of them.

use driftline_protocol::ids::{FingerprintDigest, KeyId};
use driftline_protocol::item::Fingerprint;
use driftline_protocol::snapshot::Content;

use super::*;
use crate::analysis::finding::{Finding, FindingKind};
use crate::analysis::sight::is_of_all_it_says;
use crate::store::{FindingRecord, ReadFindings as _};

/// A host with an agreed file, which says something else now.
fn drifted(agreed: &[(&str, Part)], now: &[(&str, Part)]) -> (World, Agent) {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, agreed);
    approve(&mut world, &agent.host);
    world.delivers(&mut agent, now);
    (world, agent)
}

/// The one open finding, and the etag that a reader of the store has for it.
fn read(world: &World) -> (Finding, String) {
    let filter = FindingFilter { open_only: true, ..FindingFilter::default() };
    let mut open = world.store.findings(&filter).unwrap();
    assert_eq!(open.len(), 1, "{open:?}");
    let finding = open.remove(0).finding;
    let etag = sight(&world.store, &finding).unwrap().etag;
    (finding, etag)
}

fn accept(world: &mut World, of: &Finding, etag: &str) -> Result<u64, IngestError> {
    let store = world.store.clone();
    let context = Context { store: &store, now: at(world.second) };
    let approval = Approval { who: "ann".into(), why: "as it is".into() };
    let wanted = (vec![(of.id.clone(), etag.to_owned())], "finding 1");
    let Accepted { parts, steps, count, conflicts } =
        world.ingest.accept(context, wanted, &approval)?;
    assert_eq!(conflicts, 0);
    world.keep(Decided { answer: (), parts, steps });
    Ok(count)
}

#[test]
fn what_came_after_it_was_read_is_not_accepted() {
    let x = |value: i64| file(&[("x", value)]);
    let (mut world, mut agent) = drifted(&[("/a", x(1))], &[("/a", x(2))]);
    let (finding, etag) = read(&world);
    world.delivers(&mut agent, &[("/a", x(3))]);
    assert_eq!(refused(accept(&mut world, &finding, &etag)), ProblemCode::Conflict);
    assert_eq!(open_findings(&world), 1, "the baseline stayed where it was");
    // Back again it is what was read; and what is read now may be accepted.
    world.delivers(&mut agent, &[("/a", x(2))]);
    assert_eq!(accept(&mut world, &finding, &etag).unwrap(), 1);
    assert_eq!(open_findings(&world), 0);
    world.delivers(&mut agent, &[("/a", x(3))]);
    let (finding, etag) = read(&world);
    assert_eq!(accept(&mut world, &finding, &etag).unwrap(), 1);
}

#[test]
fn what_is_decided_and_not_yet_durable_counts_as_what_it_has() {
    let x = |value: i64| file(&[("x", value)]);
    let (mut world, mut agent) = drifted(&[("/a", x(1))], &[("/a", x(2))]);
    let (finding, etag) = read(&world);
    let report = agent.sees(&[("/a", x(3))]);
    let context = Context { store: &world.store.clone(), now: at(0) };
    let checked = check_report(report).unwrap();
    let decided = world.ingest.report(context, &agent.host, checked).unwrap();
    assert_eq!(read(&world).1, etag, "whoever asks the store reads the same as before");
    assert_eq!(refused(accept(&mut world, &finding, &etag)), ProblemCode::Conflict);
    world.keep(decided);
}

#[test]
fn a_whole_part_is_accepted_as_it_was_read_and_not_only_as_being_there() {
    let part = |value: i64| [("/a", file(&[("x", 1)])), ("/new", file(&[("y", value)]))];
    let (mut world, mut agent) = drifted(&part(1)[..1], &part(1));
    let (finding, etag) = read(&world);
    assert!(is_of_all_it_says(&finding));
    world.delivers(&mut agent, &part(2));
    assert_eq!(read(&world).0, finding, "the finding says no more than that it is there");
    assert_eq!(refused(accept(&mut world, &finding, &etag)), ProblemCode::Conflict);
    // Not being read for a while is not another state.
    let etag = read(&world).1;
    world.delivers(&mut agent, &[part(2)[0].clone(), ("/new", DENIED)]);
    assert_eq!(read(&world).1, etag);
    assert_eq!(accept(&mut world, &finding, &etag).unwrap(), 1);
}

#[test]
fn an_opening_that_is_over_was_read_for_nothing() {
    let x = |value: i64| file(&[("x", value)]);
    let (mut world, mut agent) = drifted(&[("/a", x(1))], &[("/a", x(2))]);
    let (finding, etag) = read(&world);
    world.delivers(&mut agent, &[("/a", x(1))]);
    assert_eq!(refused(accept(&mut world, &finding, &etag)), ProblemCode::NotFound);
    world.second += 60;
    world.delivers(&mut agent, &[("/a", x(2))]);
    assert_eq!(refused(accept(&mut world, &finding, &etag)), ProblemCode::Conflict);
}

#[test]
fn of_many_those_that_moved_on_are_left_as_they_are() {
    let (one, two) = (file(&[("x", 1), ("y", 1)]), file(&[("x", 2), ("y", 2)]));
    let (mut world, mut agent) = drifted(&[("/a", one)], &[("/a", two)]);
    let filter = FindingFilter { open_only: true, ..FindingFilter::default() };
    let open = world.store.findings(&filter).unwrap();
    let store = world.store.clone();
    let read = |of: &Finding| (of.id.clone(), sight(&store, of).unwrap().etag);
    let all: Vec<_> = open.iter().map(|record| read(&record.finding)).collect();
    world.delivers(&mut agent, &[("/a", file(&[("x", 2), ("y", 3)]))]);
    let store = world.store.clone();
    let context = Context { store: &store, now: at(1) };
    let approval = Approval { who: "ann".into(), why: "the rollout".into() };
    let accepted = world.ingest.accept(context, (all, "rollout 1"), &approval).unwrap();
    assert_eq!((accepted.count, accepted.conflicts), (1, 1));
    world.keep(Decided { answer: (), parts: accepted.parts, steps: accepted.steps });
    assert_eq!(world.store.findings(&filter).unwrap()[0].finding.id.key, Some(ItemKey::of(["y"])));
}

/// A file that does not parse; `bytes` is what tells one from another.
fn malformed(bytes: u8) -> Part {
    let Part::Observed(mut observed) = file(&[]) else { unreachable!() };
    observed.content = Content::Unread(Reason::Malformed);
    let (key, digest) = (KeyId([1; 8]), FingerprintDigest([bytes; 16]));
    observed.raw = Some(Fingerprint { key, digest });
    Part::Observed(observed)
}

#[test]
fn a_file_that_does_not_parse_is_accepted_as_its_bytes() {
    let x = || ("/a", file(&[("x", 1)]));
    // One that is new, and one that could be read before.
    for agreed in [vec![x()], vec![x(), ("/b", file(&[("y", 1)]))]] {
        let (mut world, mut agent) = drifted(&agreed, &[x(), ("/b", malformed(1))]);
        let filter = FindingFilter { open_only: true, ..FindingFilter::default() };
        let open = world.store.findings(&filter).unwrap();
        let deviates = |found: &&FindingRecord| found.finding.id.kind == FindingKind::Deviation;
        assert_eq!(open.iter().filter(deviates).count(), 1, "{open:?}");
        let of = |world: &World| -> Vec<Tagged> {
            open.iter().map(|found| sight(&world.store, &found.finding).unwrap()).collect()
        };
        let read = of(&world);
        world.delivers(&mut agent, &[x(), ("/b", malformed(2))]);
        for ((before, now), found) in read.iter().zip(of(&world)).zip(&open) {
            assert_ne!(before.etag, now.etag, "{found:?}");
            assert_ne!(before.value, now.value, "{found:?}");
        }
        world.delivers(&mut agent, &[x(), ("/b", malformed(1))]);
        assert_eq!(of(&world), read);
    }
}
