//! Runs that a host tells of, and the changes that are judged for them.

use std::collections::BTreeMap;

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::{FingerprintDigest, KeyId};
use driftline_protocol::item::{Fingerprint, Item};
use driftline_protocol::snapshot::{Content, Observed, Part, Reading, Reason};

use super::*;
use crate::analysis::change::ChangeKind;
use crate::analysis::classify::RuleKind;
use crate::store::NewPart;

const FILE: &str = "/etc/sip.conf";

/// What a run tells beside its times.
type Told<'a> = (&'a [&'a str], ItemValue);

fn bytes(of: u8) -> Fingerprint {
    Fingerprint { key: KeyId([1; 8]), digest: FingerprintDigest([of; 16]) }
}

fn part(raw: Option<Fingerprint>, items: Vec<(ItemKey, ItemValue)>) -> Part {
    let item = |(key, value)| (key, Item { value, rank: None });
    Part::Observed(Observed {
        reading: Reading { parser: "t".into(), version: 1, scope: scope_digest([""; 0]) },
        raw,
        size: None,
        content: Content::Read,
        items: items.into_iter().map(item).collect(),
    })
}

/// A run of `tool` from one minute to another, with what else it tells.
fn run((tool, id): (&str, &str), (from, to): (i64, i64), more: &[Told<'_>]) -> (String, Part) {
    let of = |names: &[&str]| ItemKey::momentary(["run", id].iter().chain(names));
    let fixed = [
        (of(&["began"]), ItemValue::Text(at(from).to_string())),
        (of(&["ended"]), ItemValue::Text(at(to).to_string())),
        (of(&["result"]), ItemValue::text("success")),
    ];
    let more = more.iter().map(|(names, value)| (of(names), value.clone()));
    (tool.to_owned(), part(None, fixed.into_iter().chain(more).collect()))
}

impl World {
    /// A version of a section at `minute`, with its parts and a change.
    fn seen(
        &mut self,
        (source, minute): (&str, i64),
        parts: &[(String, Part)],
        change: Option<Change>,
    ) {
        self.generation += 1;
        let (mut set, mut new) = (BTreeMap::new(), Vec::new());
        for (name, part) in parts {
            let part = NewPart::new(part.clone());
            set.insert(name.parse().unwrap(), *part.digest());
            new.push(part);
        }
        let step = VersionStep {
            delta: ManifestDelta { base: None, set, unset: [].into() },
            changes: change.into_iter().collect(),
            ..version_step(("sbc-1", source), (minute, self.generation))
        };
        self.store.write(&new, &[Step::Version(Box::new(step))], at(minute)).unwrap();
    }

    /// The file says something else at `minute`, and has these bytes since.
    fn writes(&mut self, minute: i64, of: u8) {
        let change = Change {
            part: FILE.parse().unwrap(),
            key: Some(ItemKey::of(["codec"])),
            kind: ChangeKind::Modified,
            before: Some(text("a")),
            after: Some(text(&of.to_string())),
        };
        let file = (FILE.to_owned(), part(Some(bytes(of)), vec![]));
        self.seen(("files", minute), &[file], Some(change));
    }

    /// A package came at `minute`.
    fn installs(&mut self, minute: i64, name: &str) {
        let key = ItemKey::of([name, "version"]);
        let change = Change {
            part: "dpkg".parse().unwrap(),
            key: Some(key.clone()),
            kind: ChangeKind::Added,
            before: None,
            after: Some(text("1")),
        };
        let table = part(None, vec![(key, ItemValue::text("1"))]);
        self.seen(("packages", minute), &[("dpkg".to_owned(), table)], Some(change));
    }

    /// Runs are told at `minute`, and changes are judged for them.
    fn tells(&mut self, minute: i64, runs: &[(String, Part)]) {
        self.seen(("transactions", minute), runs, None);
        let hosts = [("sbc-1".parse().unwrap(), at(minute))].into();
        let judged = judge_told(&self.store, (&self.config, at(100_000)), &hosts).unwrap();
        self.store.apply(&judged.steps).unwrap();
    }

    fn says(&self, id: i64) -> (RuleKind, String, String) {
        let record = self.store.change(ChangeId(id)).unwrap().unwrap();
        let decision = record.classified.unwrap().decision;
        (decision.rule, decision.name, decision.says)
    }
}

fn left(of: u8) -> Vec<Told<'static>> {
    vec![(&["file", FILE], ItemValue::Fingerprint(bytes(of)))]
}

#[test]
fn a_run_told_after_its_files_has_them_judged_again() {
    let mut world = World::new(CONFIG);
    world.writes(10, 7);
    world.writes(12, 8);
    assert_eq!(world.judged(), [Some(Unauthorised); 2]);
    world.tells(20, &[run(("puppet", "one"), (8, 19), &left(7))]);
    assert_eq!(world.judged(), [Some(Expected), Some(Unauthorised)]);
    assert_eq!(world.earlier(1), [Some(Unauthorised)]);
    let (rule, name, says) = world.says(1);
    assert_eq!((rule, name.as_str()), (RuleKind::Run, "puppet one"));
    assert!(says.starts_with("puppet, 2026-11-"), "{says}");
    let (rule, _, says) = world.says(2);
    assert_eq!(rule, RuleKind::Nothing);
    assert!(says.ends_with("; puppet changed it about then, and this is not what it left"));
}

#[test]
fn a_run_told_before_its_files_explains_them_and_one_that_is_over_does_not() {
    let mut world = World::new(CONFIG);
    world.tells(9, &[run(("puppet", "one"), (1, 9), &left(7))]);
    world.writes(10, 7);
    world.writes(30, 7);
    assert_eq!(world.judged(), [Some(Expected), Some(Unauthorised)]);
}

/// Puppet keeps its last run only: what was told of the one before is in the past of its section.
#[test]
fn a_run_that_another_took_the_place_of_still_explains_its_files() {
    let mut world = World::new(CONFIG);
    world.writes(10, 7);
    world.tells(20, &[run(("puppet", "one"), (8, 19), &left(7))]);
    world.tells(50, &[run(("puppet", "two"), (48, 49), &left(9))]);
    assert_eq!(world.judged(), [Some(Expected)]);
    // Judged again for a request, much later, it is what it was.
    world.tells(5_000, &[]);
    world.request(Approval::Requested, (0, 60));
    assert_eq!(world.judged(), [Some(Expected)]);
}

#[test]
fn a_log_that_was_not_read_explains_nothing() {
    let mut world = World::new(CONFIG);
    world.writes(10, 7);
    world.tells(20, &[("puppet".to_owned(), Part::Unobserved(Reason::Denied))]);
    assert_eq!(world.judged(), [Some(Unauthorised)]);
    let (_, _, says) = world.says(1);
    assert_eq!(says, "no change request, window, package, run or exception covers it");
}

#[test]
fn who_had_a_package_installed_is_told_whoever_decided() {
    let log: [Told<'_>; 5] = [
        (&["installed", "nginx:amd64"], ItemValue::text("1")),
        (&["installed", "libnginx:amd64"], ItemValue::text("1")),
        (&["automatic", "libnginx:amd64"], ItemValue::Flag(true)),
        (&["asked_by"], ItemValue::text("ada")),
        (&["command"], ItemValue::text("apt install nginx")),
    ];
    let mut world = World::new(CONFIG);
    world.installs(10, "nginx:amd64");
    world.installs(11, "libnginx:amd64");
    assert_eq!(world.judged(), [Some(Unauthorised); 2]);
    world.tells(20, &[run(("apt", "r"), (9, 12), &log)]);
    assert_eq!(world.judged(), [Some(Unauthorised), Some(Expected)]);
    let (rule, _, says) = world.says(1);
    assert_eq!(rule, RuleKind::Nothing);
    assert!(says.ends_with(": ada by `apt install nginx`"), "{says}");
    let (rule, name, says) = world.says(2);
    assert_eq!((rule, name.as_str()), (RuleKind::Package, "apt r"));
    assert!(says.ends_with(": ada by `apt install nginx`"), "{says}");
}

#[test]
fn what_dpkg_upgraded_is_told_with_who_asked_also_where_the_log_comes_later() {
    let log: [Told<'_>; 2] = [
        (&["upgraded", "sip:all"], ItemValue::text("1 to 2")),
        (&["command"], ItemValue::text("/usr/bin/unattended-upgrade")),
    ];
    let mut world = World::new(CONFIG);
    world.change(("packages", "dpkg", ItemKey::of(["sip:all", "version"])), 10, ("1", "2"));
    assert_eq!(world.judged(), [Some(Expected)]);
    world.tells(20, &[run(("apt", "r"), (9, 12), &log)]);
    assert_eq!(world.judged(), [Some(Expected)]);
    let (rule, name, says) = world.says(1);
    assert_eq!((rule, name.as_str()), (RuleKind::Package, "dpkg 1"));
    assert!(says.contains("sip:all 1 to 2; apt, ") && says.ends_with(": unattended-upgrade"));
}

#[test]
fn what_a_site_turned_off_explains_nothing() {
    let automatic: [Told<'_>; 2] = [
        (&["installed", "lib:amd64"], ItemValue::text("1")),
        (&["automatic", "lib:amd64"], ItemValue::Flag(true)),
    ];
    for (packages, runs) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut world = World::new(CONFIG);
        world.config.classification.packages = packages;
        world.config.classification.runs = runs;
        world.writes(10, 7);
        world.installs(11, "lib:amd64");
        let puppet = run(("puppet", "one"), (8, 19), &left(7));
        world.tells(20, &[puppet, run(("apt", "r"), (8, 12), &automatic)]);
        let class = |on: bool| Some(if on { Expected } else { Unauthorised });
        assert_eq!(world.judged(), [class(runs), class(packages)], "{packages} {runs}");
    }
}

#[test]
fn a_collector_that_starts_looks_at_what_was_told_lately() {
    let mut world = World::new(CONFIG);
    world.writes(10, 7);
    assert_eq!(world.judged(), [Some(Unauthorised)]);
    let puppet = run(("puppet", "one"), (8, 19), &left(7));
    world.seen(("transactions", 20), &[puppet], None);
    assert!(told_lately(&world.store, at(20 + 24 * 60)).unwrap().is_empty());
    let hosts = told_lately(&world.store, at(30)).unwrap();
    assert_eq!(hosts.len(), 1);
    let judged = judge_told(&world.store, (&world.config, at(30)), &hosts).unwrap();
    world.store.apply(&judged.steps).unwrap();
    assert_eq!(world.judged(), [Some(Expected)]);
}
