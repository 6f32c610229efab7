//! Exceptions as people make and end them: once under each name, and over when they say.

use super::*;
use crate::analysis::exceptions::{Exception, ExceptionScope, Standing};
use crate::permits::Permits;
use crate::standards::Standards;
use crate::store::{OpenCount, ReadExceptions as _, ReadFindings as _};

/// From second 10 to second 100, for every host called `pbx*`.
fn exception(name: &str) -> Exception {
    Exception {
        name: name.into(),
        scope: ExceptionScope { host: Some("pbx*".into()), ..ExceptionScope::default() },
        value: None,
        owner: "voice".into(),
        reason: "the vendor asks for it".into(),
        made_by: "ann".into(),
        made_at: at(10),
        expires_at: at(100),
        zone: "UTC".into(),
        ended: None,
    }
}

fn make(world: &mut World, exception: Exception) -> Result<(), IngestError> {
    let store = world.store.clone();
    let steps = except(Context { store: &store, now: at(10) }, exception)?;
    world.apply(steps);
    Ok(())
}

fn end(world: &mut World, name: &str, second: i64) -> Result<(), IngestError> {
    let store = world.store.clone();
    let context = Context { store: &store, now: at(second) };
    let steps = end_exception(context, name, "bob".into())?;
    world.apply(steps);
    Ok(())
}

/// Open findings at `second`: those nobody permits, and those that are permitted.
fn counts(world: &World, second: i64) -> (u64, u64) {
    let standards = Standards::default();
    let mut permits = Permits::at(&world.store, &standards, at(second)).unwrap();
    let sum = |counts: Vec<OpenCount>| counts.iter().map(|count| count.count).sum();
    let (open, excepted) = permits.split(world.store.open_counts().unwrap()).unwrap();
    (sum(open), sum(excepted))
}

/// Two hosts, each with one open drift.
fn drifted() -> World {
    let mut world = World::new();
    for (name, state) in [("pbx", 1), ("sbc", 2)] {
        let (mut agent, _) = world.enrol(name, state);
        world.delivers(&mut agent, &[("/a", file(&[("x", 1)]))]);
        approve(&mut world, &agent.host);
        world.delivers(&mut agent, &[("/a", file(&[("x", 2)]))]);
    }
    world
}

#[test]
fn a_permitted_finding_stays_open_and_is_counted_apart_until_the_end() {
    let mut world = drifted();
    assert_eq!(counts(&world, 50), (2, 0));
    make(&mut world, exception("e1")).unwrap();
    assert_eq!(counts(&world, 50), (1, 1));
    assert_eq!(open_findings(&world), 2, "an exception changes no finding");
    assert_eq!(counts(&world, 99), (1, 1));
    assert_eq!(counts(&world, 100), (2, 0), "nothing had to happen for it to end");
}

#[test]
fn an_exception_is_never_renewed_under_its_name() {
    let mut world = drifted();
    make(&mut world, exception("e1")).unwrap();
    let longer = Exception { expires_at: at(5_000), ..exception("e1") };
    assert_eq!(refused(make(&mut world, longer.clone())), ProblemCode::Malformed);
    end(&mut world, "e1", 20).unwrap();
    assert_eq!(counts(&world, 20), (2, 0));
    assert_eq!(refused(make(&mut world, longer)), ProblemCode::Malformed, "nor when it is over");
    make(&mut world, exception("e2")).unwrap();
    assert_eq!(counts(&world, 50), (1, 1));
}

#[test]
fn what_is_over_cannot_be_ended_and_what_is_ended_says_by_whom() {
    let mut world = drifted();
    make(&mut world, exception("e1")).unwrap();
    assert_eq!(refused(end(&mut world, "e2", 20)), ProblemCode::NotFound);
    assert_eq!(refused(end(&mut world, "e1", 100)), ProblemCode::Malformed);
    end(&mut world, "e1", 30).unwrap();
    assert_eq!(refused(end(&mut world, "e1", 40)), ProblemCode::Malformed);
    let kept = world.store.exceptions().unwrap().remove(0);
    assert_eq!(kept.standing(at(40)), Standing::Ended);
    assert_eq!(kept.ended.unwrap().by, "bob");
    let told = [EventKind::ExceptionMade, EventKind::ExceptionEnded];
    assert!(world.events().ends_with(&told), "{:?}", world.events());
}
