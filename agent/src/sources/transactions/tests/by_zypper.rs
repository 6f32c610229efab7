//! What zypper writes down of its runs, against what was asked and what rpm lists before and after.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::tz::TimeZone;

use super::by_dnf::{FIRST, NEWER};
use crate::sources::oracle::rpms::Rpms;
use crate::sources::transactions::run::{Outcome, Run, Verb};
use crate::sources::transactions::zypper;

/// What is asked of zypper in turn, and how many lines of packages come of it.
const RUNS: [&[&str]; 4] = [
    &["install", "--from", "first", "app", "tool"],
    &["update"],
    &["remove", "--clean-deps", "tool"],
    &["install", "--oldpackage", "app-1:1.0-1"],
];

fn zypper(rpms: &Rpms, root: &Path, words: &[&str]) -> Option<(String, bool)> {
    let root = root.display().to_string();
    let fixed = ["zypper", "--root", &root, "--non-interactive", "--no-gpg-checks"];
    rpms.said(&[&fixed, words].concat())
}

/// Each package with its version, as rpm lists them.
fn installed(rpms: &Rpms, root: &Path) -> BTreeSet<String> {
    rpms.listed(root).into_iter().collect()
}

#[test]
fn zypper_tells_what_rpm_lists_after_each_run() {
    let Some(rpms) = Rpms::with_repositories(&[("first", &FIRST), ("newer", &NEWER)]) else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    for name in ["first", "newer"] {
        let path = rpms.path(name).display().to_string();
        let Some((said, succeeded)) = zypper(&rpms, root.path(), &["addrepo", &path, name]) else {
            return;
        };
        assert!(succeeded, "{said}");
    }
    let mut states = vec![BTreeSet::new()];
    for words in RUNS {
        let (said, succeeded) = zypper(&rpms, root.path(), words).unwrap();
        assert!(succeeded, "{said}");
        states.push(installed(&rpms, root.path()));
    }
    let log = std::fs::read_to_string(root.path().join(zypper::LOG.trim_start_matches('/')));
    let (runs, unread) = zypper::runs(&log.unwrap(), &TimeZone::UTC).unwrap();
    assert_eq!(unread, 0);
    let runs: Vec<&Run> = runs.iter().filter(|run| !run.packages.is_empty()).collect();
    assert_eq!(runs.len(), RUNS.len());
    for ((run, words), states) in runs.iter().zip(RUNS).zip(states.windows(2)) {
        held(run, words, &states[0], &states[1]);
    }
}

fn held(run: &Run, words: &[&str], before: &BTreeSet<String>, after: &BTreeSet<String>) {
    let what = |verb: Verb| -> BTreeSet<String> {
        let these = run.packages.iter().filter(|package| package.verb == verb);
        these.map(|package| format!("{} {}", package.name, package.version)).collect()
    };
    let came: BTreeSet<String> = after.difference(before).cloned().collect();
    assert_eq!(what(Verb::Installed), came, "{words:?}");
    // What another version took the place of is no line of its own.
    let name = |package: &str| package.split(' ').next().unwrap().to_owned();
    let there: BTreeSet<String> = after.iter().map(|package| name(package)).collect();
    let went = before.difference(after).filter(|package| !there.contains(&name(package)));
    assert_eq!(what(Verb::Removed), went.cloned().collect(), "{words:?}");
    let command = run.command.as_deref().unwrap();
    assert!(command.ends_with(&words.join(" ")), "{command}");
    assert_eq!(run.outcome, Outcome::Success);
    for package in run.packages.iter().filter(|package| package.verb == Verb::Installed) {
        let (name, _) = package.name.rsplit_once('.').unwrap();
        let named = words.iter().any(|word| word.split("-1").next() == Some(name));
        assert_eq!(package.automatic, !named, "{name} of {words:?}");
    }
}
