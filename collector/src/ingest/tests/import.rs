//! Imported history: it fills timelines, and does nothing else.

use std::collections::BTreeMap;

use driftline_protocol::manifest::{Manifest, ManifestDelta};
use driftline_protocol::wire::{HostKind, ImportedVersion, PROTOCOL_VERSION};

use super::*;
use crate::store::Origin;

/// A history of one file, whose setting `x` has each of `values` in turn.
struct History {
    source: &'static str,
    values: Vec<i64>,
}

impl History {
    fn import(&self, host: &str) -> Import {
        let mut before = Manifest::default();
        let mut import = Import {
            version: PROTOCOL_VERSION,
            host: host.parse().unwrap(),
            kind: HostKind::Uc,
            source: self.source.parse().unwrap(),
            versions: Vec::new(),
            parts: Vec::new(),
        };
        for (number, value) in (1..).zip(&self.values) {
            let part = file(&[("x", *value)]);
            let name: PartName = "/etc/a".parse().unwrap();
            let next = Manifest(BTreeMap::from([(name, canonical::digest(&part))]));
            let mut delta = before.delta_to(&next);
            if number == 1 {
                delta.base = None;
            }
            import.versions.push(ImportedVersion {
                generation: Generation(number),
                observed_at: at(i64::try_from(number).unwrap() - 1_000_000),
                delta,
                digest: next.digest(),
            });
            import.parts.push(part);
            before = next;
        }
        import
    }
}

fn history(values: &[i64]) -> History {
    History { source: "imported_files", values: values.to_vec() }
}

fn imports(world: &mut World, import: Import) -> Result<Imported, IngestError> {
    let import = check_import(import).map_err(IngestError::Refused)?;
    let context = Context { store: &world.store.clone(), now: at(world.second) };
    let decided = world.ingest.import(context, import)?;
    let answer = decided.answer.clone();
    world.store.write(&decided.parts, &decided.steps, at(world.second)).unwrap();
    world.ingest.settle(&world.store, Settlement::Durable).unwrap();
    Ok(answer)
}

fn liveness_of(world: &World, host: &str) -> Liveness {
    world.ingest.view(at(world.second)).hosts[&host.parse::<HostId>().unwrap()].liveness
}

#[test]
fn an_import_fills_the_timeline_and_nothing_else() {
    let mut world = World::new();
    let answer = imports(&mut world, history(&[1, 2, 2, 5]).import("pbx")).unwrap();
    assert_eq!((answer.applied, answer.refused), (4, None));
    let host = "pbx".parse().unwrap();
    let (sections, changes, versions) = state(&world, &host);
    assert_eq!((sections.len(), changes.len(), versions), (1, 2, 4), "{changes:?}");
    let versions = world.store.versions(&host, 10).unwrap();
    assert!(versions.iter().all(|version| version.origin == Origin::Import));
    assert!(versions.iter().all(|version| version.corrected_at < at(-999_000)));
    assert_eq!(open_findings(&world), 0);
    assert!(world.store.totals().unwrap().changes.values().all(|count| *count == 0));
    assert!(world.store.totals().unwrap().events.values().all(|count| *count == 0));
    assert_eq!(world.ingest.totals, IngestTotals::default());
    world.second = 90 * 86_400;
    assert_eq!(liveness_of(&world, "pbx"), Liveness::Imported, "silence is no alert");
    let context = Context { store: &world.store.clone(), now: at(world.second) };
    let approval = Approval { who: "ann".into(), why: "".into() };
    assert_eq!(
        refused(world.ingest.approve(context, Proposal::present(host.clone()), approval)),
        ProblemCode::NotFound,
        "how a host was is nothing to agree to"
    );
}

#[test]
fn importing_again_adds_nothing_and_a_longer_history_goes_on() {
    let mut world = World::new();
    imports(&mut world, history(&[1, 2]).import("pbx")).unwrap();
    let host: HostId = "pbx".parse().unwrap();
    let before = state(&world, &host);
    for restart in [false, true] {
        if restart {
            world.restarted();
        }
        let answer = imports(&mut world, history(&[1, 2]).import("pbx")).unwrap();
        assert_eq!((answer.applied, answer.held.generation), (0, Generation(2)));
        assert_eq!(state(&world, &host), before);
    }
    let answer = imports(&mut world, history(&[1, 2, 3]).import("pbx")).unwrap();
    assert_eq!(answer.applied, 1);
    assert_eq!(state(&world, &host).1.len(), 2);
}

#[test]
fn another_history_does_not_mix_with_the_one_that_is_there() {
    let mut world = World::new();
    imports(&mut world, history(&[1, 2]).import("pbx")).unwrap();
    let before = state(&world, &"pbx".parse().unwrap());
    let other = imports(&mut world, history(&[1, 7, 8]).import("pbx")).unwrap();
    assert!(other.refused.is_some() && other.applied == 0, "{other:?}");
    let mut broken = history(&[1, 2, 3]).import("pbx");
    broken.versions[2].digest = Digest([9; 32]);
    assert!(imports(&mut world, broken).unwrap().refused.is_some());
    let mut partless = history(&[1, 2, 4]).import("pbx");
    partless.parts.clear();
    assert!(imports(&mut world, partless).unwrap().refused.is_some());
    assert_eq!(state(&world, &"pbx".parse().unwrap()), before);
    let beside = History { source: "imported_router", ..history(&[1, 7]) };
    assert_eq!(imports(&mut world, beside.import("pbx")).unwrap().applied, 2);
}

#[test]
fn a_history_that_is_read_otherwise_now_goes_on_with_a_whole_state() {
    let mut world = World::new();
    imports(&mut world, history(&[1, 2]).import("pbx")).unwrap();
    let mut whole = history(&[1, 7, 8]).import("pbx");
    let last = whole.versions.last_mut().unwrap();
    let part = canonical::digest(whole.parts.last().unwrap());
    let set = BTreeMap::from([("/etc/a".parse().unwrap(), part)]);
    last.delta = ManifestDelta { set, ..ManifestDelta::default() };
    let answer = imports(&mut world, whole).unwrap();
    assert_eq!((answer.applied, answer.refused), (1, None));
    assert_eq!(state(&world, &"pbx".parse().unwrap()).1.len(), 2);
}

#[test]
fn a_history_that_does_not_fit_makes_no_host() {
    let mut world = World::new();
    let mut partless = history(&[1]).import("pbx");
    partless.parts.clear();
    assert!(imports(&mut world, partless).unwrap().refused.is_some());
    assert!(world.ingest.view(at(0)).hosts.is_empty());
    let agents = History { source: "files", ..history(&[1]) };
    assert_eq!(refused(imports(&mut world, agents.import("pbx"))), ProblemCode::Malformed);
}

#[test]
fn an_agent_that_comes_later_takes_the_name_and_both_go_on() {
    let mut world = World::new();
    imports(&mut world, history(&[1, 2]).import("pbx")).unwrap();
    let (mut agent, _) = world.enrol("pbx", 1);
    assert_eq!(agent.host.as_str(), "pbx", "the name was free for its own agent");
    assert_eq!(liveness_of(&world, "pbx"), Liveness::Alive);
    let answer = world.heartbeat(&agent).unwrap();
    assert_eq!(answer.generation, Generation(0), "numbers of a history are not the agent's");
    assert_eq!(world.delivers(&mut agent, &[("/etc/a", file(&[("x", 2)]))]), Outcome::Applied);
    assert_eq!(world.delivers(&mut agent, &[("/etc/a", file(&[("x", 3)]))]), Outcome::Applied);
    world.heartbeat(&agent).unwrap();
    assert!(!world.events().contains(&EventKind::RolledBack), "{:?}", world.events());
    let answer = imports(&mut world, history(&[1, 2, 3]).import("pbx")).unwrap();
    assert_eq!((answer.applied, answer.refused), (1, None), "the history goes on as well");
    let (sections, changes, _) = state(&world, &agent.host);
    assert_eq!(sections.len(), 2);
    assert_eq!(changes.len(), 3, "two of the history, one of the agent: {changes:?}");
    approve(&mut world, &agent.host);
    let baseline = world
        .store
        .baseline_sources(&crate::analysis::agreement::Subject::Host(agent.host.clone()))
        .unwrap();
    assert_eq!(baseline, BTreeSet::from([source()]));
    let (copy, _) = world.enrol("pbx", 2);
    assert_eq!(copy.host.as_str(), "pbx-2", "the name is taken now");
}

#[test]
fn an_agent_may_not_speak_of_a_history() {
    let mut world = World::new();
    imports(&mut world, history(&[1]).import("pbx")).unwrap();
    let (mut agent, _) = world.enrol("pbx", 1);
    let mut report = agent.sees(&[("/etc/a", file(&[("x", 9)]))]);
    report.versions[0].source = "imported_files".parse().unwrap();
    report.versions[0].generation = Generation(9);
    let outcomes = world.send(&report).unwrap();
    assert!(matches!(outcomes.as_slice(), [Outcome::Refused { .. }]), "{outcomes:?}");
}

#[test]
fn a_retired_host_takes_no_history_and_gives_its_name_to_nobody() {
    let mut world = World::new();
    imports(&mut world, history(&[1]).import("pbx")).unwrap();
    let host: HostId = "pbx".parse().unwrap();
    let context = Context { store: &world.store.clone(), now: at(0) };
    let steps = world.ingest.retire(context, (&host, "ada")).unwrap();
    world.apply(steps);
    let longer = imports(&mut world, history(&[1, 2]).import("pbx"));
    assert_eq!(refused(longer), ProblemCode::Retired);
    let (agent, _) = world.enrol("pbx", 1);
    assert_eq!(agent.host.as_str(), "pbx-2");
}
