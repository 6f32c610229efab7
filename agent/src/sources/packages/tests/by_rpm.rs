//! A database that rpm itself writes, against what rpm itself lists.

use std::path::Path;

use driftline_protocol::snapshot::{Part, Reason};

use crate::sources::check::{machine_at, parts};
use crate::sources::oracle::rpms::Rpms;
use crate::sources::oracle::shown;
use crate::sources::packages::Packages;
use crate::sources::part_name;

/// Heads of packages; what is not said here is the same for all.
const PACKAGES: [&str; 7] = [
    "Name: plain\nVersion: 1.0\nRelease: 1\nBuildArch: noarch\n",
    "Name: epoch\nEpoch: 32\nVersion: 9.16\nRelease: 1.el9\nBuildArch: noarch\n",
    "Name: zero\nEpoch: 0\nVersion: 2\nRelease: 3\nBuildArch: noarch\n",
    "Name: odd+name_x.Y-z\nVersion: 1.0~rc1^git2\nRelease: 0.1.el9_2\nBuildArch: noarch\n",
    // Of this machine's own architecture, and twice, as kernels are.
    "Name: kernel\nVersion: 5.14\nRelease: 1\n",
    "Name: kernel\nVersion: 5.15\nRelease: 1\n",
    "Name: gone\nVersion: 1\nRelease: 1\nBuildArch: noarch\n",
];

const NEWER: [&str; 2] = [
    "Name: plain\nVersion: 1.1\nRelease: 1\nBuildArch: noarch\n",
    "Name: epoch\nEpoch: 33\nVersion: 9.16\nRelease: 1.el9\nBuildArch: noarch\n",
];

/// A key of nobody's that is trusted: rpm keeps it as a package without an architecture.
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sources/packages/tests/key.asc");

/// What the source says of the tree below `root`: `name.arch version`.
pub(in crate::sources) fn told(root: &Path) -> Result<Vec<String>, Reason> {
    let parts = parts(&machine_at(root), &mut Packages::new());
    let observed = match parts.get(&part_name("rpm")) {
        None => return Ok(Vec::new()),
        Some(Part::Unobserved(reason)) => return Err(*reason),
        Some(Part::Observed(observed)) => observed,
    };
    let mut told = Vec::new();
    for (key, item) in &observed.items {
        let segments: Vec<String> = key.segments().collect();
        if let [name, field] = segments.as_slice()
            && field == "version"
        {
            told.extend(shown(&item.value).lines().map(|version| format!("{name} {version}")));
        }
    }
    told.sort();
    Ok(told)
}

#[test]
fn rpm_lists_every_package_as_we_do() {
    let Some(rpms) = Rpms::new() else { return };
    let (first, newer) = (rpms.build("first", &PACKAGES), rpms.build("newer", &NEWER));
    let words = |words: &[&'static str], files: &[String]| -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).chain(files.iter().cloned()).collect()
    };
    let root = tempfile::tempdir().unwrap();
    let steps = [
        (words(&["-i", "--nodeps"], &first), 7),
        (words(&["-U", "--nodeps"], &newer), 7),
        (words(&["-e", "gone", "kernel-5.14-1"], &[]), 5),
        (words(&["--import", KEY], &[]), 6),
    ];
    for (step, count) in steps {
        let step: Vec<&str> = step.iter().map(String::as_str).collect();
        rpms.rpm(root.path(), &step);
        let listed = rpms.listed(root.path());
        assert_eq!(listed.len(), count, "{step:?}");
        assert_eq!(told(root.path()), Ok(listed), "{step:?}");
    }
}
