//! What a collector that started anew goes on from is what one that ran on has.

use super::*;
use crate::analysis::classify::weigh::Meant;
use crate::analysis::classify::{ChangeClass, Decision, RuleKind};
use crate::analysis::finding::{Finding, FindingKind, Severity};
use crate::store::{ReadFindings as _, Weighing};

/// What happens to a host of which a drift is open that nobody approved.
#[derive(Clone, Copy, Debug)]
enum Befalls {
    /// Its file says this, or is gone.
    Says(Option<i64>),
    /// It is retired.
    Retired,
}
use self::Befalls::{Retired, Says};

/// Whatever steps `then` causes, with a restart before each of it or none.
fn steps(then: &[Befalls], restarts: bool) -> (World, Vec<Step>) {
    let mut world = World::new();
    let (mut agent, _) = world.enrol("pbx", 1);
    world.delivers(&mut agent, &[("/a", file(&[("x", 1)])), ("/b", file(&[]))]);
    approve(&mut world, &agent.host);
    world.delivers(&mut agent, &[("/a", file(&[("x", 2)])), ("/b", file(&[]))]);
    let meant = meant(ChangeClass::Unauthorised);
    let drift = read(&world);
    assert_eq!((drift.id.kind, drift.severity), (FindingKind::Drift, Severity::Info));
    let (finding, opened) = (drift.id, drift.first_seen);
    world.apply(vec![Step::Weighed(vec![Weighing { finding, opened, meant: Some(meant) }])]);
    assert_eq!(read(&world).severity, Severity::Warning, "as readers have it");
    world.steps.clear();
    for one in then {
        if restarts {
            world.restarted();
        }
        world.second += 1;
        match one {
            Says(Some(value)) => {
                let files = [("/a", file(&[("x", *value)])), ("/b", file(&[]))];
                world.delivers(&mut agent, &files);
            }
            Says(None) => {
                world.delivers(&mut agent, &[("/b", file(&[]))]);
            }
            Retired => {
                let context = Context { store: &world.store.clone(), now: at(world.second) };
                let steps = world.ingest.retire(context, (&agent.host, "ann")).unwrap();
                world.apply(steps);
            }
        }
    }
    let mut steps = std::mem::take(&mut world.steps);
    // When a host was heard last is kept from time to time, and in no step of a report.
    steps.retain(|step| !matches!(step, Step::Host(_)));
    (world, steps)
}

fn read(world: &World) -> Finding {
    world.store.findings(&FindingFilter::default()).unwrap().pop().unwrap().finding
}

#[test]
fn a_restart_in_between_changes_no_step() {
    for then in [
        &[Says(None)][..],
        &[Says(None), Says(Some(2))],
        &[Says(None), Says(Some(3)), Says(Some(1))],
        &[Says(Some(3))],
        &[Says(Some(1))],
        &[Retired],
        &[Says(None), Retired],
    ] {
        assert_eq!(steps(then, true).1, steps(then, false).1, "{then:?}");
    }
}

/// The part goes after a restart, and only then somebody says that it was meant.
#[test]
fn how_bad_a_drift_is_moves_with_its_class_whatever_befell_it() {
    for restarts in [true, false] {
        let (mut world, _) = steps(&[Says(None)], restarts);
        let filter = FindingFilter { open_only: true, ..FindingFilter::default() };
        for record in world.store.findings(&filter).unwrap() {
            let (finding, opened) = (record.finding.id, record.finding.first_seen);
            let meant = Some(meant(ChangeClass::Late));
            world.apply(vec![Step::Weighed(vec![Weighing { finding, opened, meant }])]);
        }
        let open = world.store.findings(&filter).unwrap();
        assert!(!open.is_empty());
        let worse = open.iter().filter(|record| record.finding.severity != Severity::Info);
        assert_eq!(worse.count(), 0, "{open:#?}");
    }
}

fn meant(class: ChangeClass) -> Meant {
    let (rule, name, level) = (RuleKind::Nothing, String::new(), None);
    let decision = Decision { class: Some(class), rule, name, level, says: "because".into() };
    Meant { decision, change: None, settles_at: None }
}
