//! What dnf itself says of the runs that it made, and what came of them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::sources::check::machine_at;
use crate::sources::look::Look;
use crate::sources::oracle::rpms::Rpms;
use crate::sources::packages::tests::by_rpm::told;
use crate::sources::transactions::dnf;
use crate::sources::transactions::run::{Outcome, Package, Run, Verb};

/// Heads of packages: a program with what it needs and what it likes, a tool with what it needs,
/// one that a newer one takes the place of, and one that cannot be installed.
pub(super) const FIRST: [&str; 6] = [
    "Name: app\nEpoch: 1\nVersion: 1.0\nRelease: 1\nBuildArch: noarch\nRequires: lib\n\
     Recommends: hint\n",
    "Name: lib\nVersion: 1.0\nRelease: 1\n",
    "Name: hint\nVersion: 1.0\nRelease: 1\nBuildArch: noarch\n",
    "Name: tool\nVersion: 3~rc1\nRelease: 1\nBuildArch: noarch\nRequires: toolbase\n",
    "Name: toolbase\nVersion: 3\nRelease: 1.el9\nBuildArch: noarch\n",
    "Name: old\nVersion: 1\nRelease: 1\nBuildArch: noarch\n",
];

pub(super) const NEWER: [&str; 4] = [
    "Name: app\nEpoch: 1\nVersion: 1.1\nRelease: 1\nBuildArch: noarch\nRequires: lib\n",
    "Name: lib\nVersion: 1.1\nRelease: 1\n",
    "Name: new\nVersion: 1\nRelease: 1\nBuildArch: noarch\nObsoletes: old < 2\n",
    "Name: broken\nVersion: 1\nRelease: 1\nBuildArch: noarch\n%pre -p <lua>\nerror(\"no\")\n",
];

/// What is asked of dnf in turn: from which folder of packages, and what.
const RUNS: [(&str, &[&str]); 6] = [
    ("first", &["install", "app", "tool", "old"]),
    ("newer", &["upgrade"]),
    ("first", &["downgrade", "app"]),
    ("first", &["reinstall", "app"]),
    ("newer", &["install", "broken"]),
    ("newer", &["remove", "tool"]),
];

struct Dnf<'a> {
    rpms: &'a Rpms,
    root: &'a Path,
}

impl Dnf<'_> {
    fn said(&self, repository: &str, words: &[&str]) -> Option<(String, bool)> {
        let show = |path: &Path| path.display().to_string();
        let root = format!("--installroot={}", show(self.root));
        let from = format!("--repofrompath={repository},{}", show(&self.rpms.path(repository)));
        let cache = format!("--setopt=cachedir={}", show(&self.rpms.path("cache")));
        let fixed = [
            "dnf",
            "-y",
            "--noplugins",
            "--nogpgcheck",
            "--releasever=9",
            "--setopt=reposdir=/nonexistent",
            &root,
            &from,
            &format!("--repo={repository}"),
            &cache,
        ];
        self.rpms.said(&[&fixed, words].concat())
    }
}

/// Each run of the tree, as the source reads it.
fn runs(root: &Path) -> BTreeMap<String, Run> {
    let machine = machine_at(root);
    let told = dnf::read(&mut Look::new(&machine)).unwrap().unwrap();
    assert_eq!(told.unread, 0);
    told.runs.into_iter().map(|run| (run.id.clone(), run)).collect()
}

/// A package as dnf prints what was done to it.
fn line(package: &Package) -> String {
    let (name, arch) = package.name.rsplit_once('.').unwrap();
    let word = match package.verb {
        Verb::Installed => "Install",
        Verb::Upgraded => "Upgrade",
        Verb::Downgraded => "Downgrade",
        Verb::Reinstalled => "Reinstall",
        Verb::Removed => "Removed",
    };
    format!("{word} {name}-{}.{arch}", package.version)
}

/// The packages that dnf lists below a run, but for those that others took the place of; what was
/// not done stands behind `**`.
fn listed(info: &str) -> Vec<String> {
    let below = info.split("Packages Altered:").nth(1).unwrap();
    let lines = below.lines().skip(1).take_while(|line| line.starts_with(' '));
    let mut listed = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["**", ..] | ["Upgraded" | "Downgraded" | "Reinstalled", ..] => {}
            ["Obsoleted", package, ..] => listed.push(format!("Removed {package}")),
            [word, package, ..] => listed.push(format!("{word} {package}")),
            other => panic!("{other:?}"),
        }
    }
    listed.sort();
    listed
}

/// What stands behind a name in dnf's answer.
fn field<'a>(info: &'a str, name: &str) -> &'a str {
    let line = info.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once(':').unwrap().1.trim()
}

#[test]
fn dnf_tells_every_run_as_we_do() {
    let Some(rpms) = Rpms::with_repositories(&[("first", &FIRST), ("newer", &NEWER)]) else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let dnf = Dnf { rpms: &rpms, root: root.path() };
    for (repository, words) in RUNS {
        let Some((said, succeeded)) = dnf.said(repository, words) else { return };
        assert_eq!(succeeded, !words.contains(&"broken"), "{words:?}: {said}");
    }
    let runs = runs(root.path());
    assert_eq!(runs.len(), RUNS.len());
    for ((_, words), (id, run)) in RUNS.iter().zip(&runs) {
        let (info, _) = dnf.said("newer", &["history", "info", id]).unwrap();
        assert_eq!(field(&info, "Transaction ID"), id);
        let mut ours: Vec<String> = run.packages.iter().map(line).collect();
        ours.sort();
        assert_eq!(ours, listed(&info), "{info}");
        let command = run.command.as_deref().unwrap();
        assert_eq!(command, field(&info, "Command Line"));
        assert!(command.ends_with(&words.join(" ")), "{command}");
        let when = |at: jiff::Timestamp| at.strftime("%a %b %e %H:%M:%S %Y").to_string();
        assert_eq!(when(run.began), field(&info, "Begin time"));
        let ended = field(&info, "End time").split(" (").next().unwrap();
        assert_eq!(when(run.ended.unwrap()), ended);
        let result = match run.outcome {
            Outcome::Success => "Success",
            Outcome::Failed => "Failure: 1",
            Outcome::Unfinished => "** Aborted **",
        };
        assert_eq!(result, field(&info, "Return-Code"));
        // Without a login nobody asked.
        let who = field(&info, "User");
        assert!(who.contains(run.asked_by.as_deref().unwrap_or("<unset>")), "{who}");
    }
    reasons(&dnf, &runs);
    assert_eq!(told(root.path()), Ok(rpms.listed(root.path())));
}

/// Of what is installed, dnf knows what somebody named.
fn reasons(dnf: &Dnf<'_>, runs: &BTreeMap<String, Run>) {
    let (said, _) = dnf.said("newer", &["history", "userinstalled"]).unwrap();
    let (mut named, mut needed) = (0, 0);
    for line in dnf.rpms.listed(dnf.root) {
        let (name, version) = line.split_once(' ').unwrap();
        let mut packages = runs.values().rev().flat_map(|run| &run.packages);
        let ours = packages.find(|package| package.name == name).unwrap();
        assert_eq!(ours.version, version, "{name}");
        let (plain, arch) = name.rsplit_once('.').unwrap();
        let is_named = said.lines().any(|line| line == format!("{plain}-{version}.{arch}"));
        assert_eq!(ours.automatic, !is_named, "{name} of {said}");
        *(if ours.automatic { &mut needed } else { &mut named }) += 1;
    }
    assert!(named > 0 && needed > 1, "{said}");
}
