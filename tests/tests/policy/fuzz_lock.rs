//! The fuzzers are a workspace of their own, which no build of the product touches: their lock is
//! held against the product's, so that they go on building what is shipped.

use std::collections::{BTreeMap, BTreeSet};

use toml::Table;

/// The workspace of the fuzzers and what only they need.
const THEIR_OWN: [&str; 3] = ["driftline-fuzz", "libfuzzer-sys", "arbitrary"];

/// The names of the packages that each package of a lock needs, by name and version.
fn packages(lock: &Table) -> BTreeMap<(String, String), BTreeSet<String>> {
    let package = |package: &toml::Value| {
        let text = |field: &str| package[field].as_str().unwrap().to_owned();
        let needs = package.get("dependencies").and_then(toml::Value::as_array);
        let name = |need: &toml::Value| need.as_str().unwrap().split(' ').next().unwrap().into();
        ((text("name"), text("version")), needs.into_iter().flatten().map(name).collect())
    };
    lock["package"].as_array().unwrap().iter().map(package).collect()
}

/// What is not in step; `tests_only` says what a crate of ours needs for its tests alone.
fn offences(
    ours: &Table,
    theirs: &Table,
    tests_only: &dyn Fn(&str) -> BTreeSet<String>,
) -> Vec<String> {
    let (ours, theirs) = (packages(ours), packages(theirs));
    let mut offences = Vec::new();
    for (package, needs) in theirs.iter().filter(|((name, _), _)| !THEIR_OWN.contains(&&**name)) {
        let (name, version) = package;
        let Some(shipped) = ours.get(package) else {
            offences.push(format!("{name} {version} is not what Cargo.lock has"));
            continue;
        };
        if name.starts_with("driftline") {
            let tests_only = tests_only(name);
            let missing = shipped.difference(needs).filter(|need| !tests_only.contains(*need));
            offences.extend(missing.map(|need| format!("{name} needs {need}, unknown there")));
            let left = needs.difference(shipped);
            offences.extend(left.map(|need| format!("{name} needs {need} no more")));
        }
    }
    offences
}

#[test]
fn the_fuzzers_lock_is_in_step() {
    let root = driftline_tests::programs::workspace();
    let table = |path: &str| -> Table {
        std::fs::read_to_string(root.join(path)).unwrap().parse().unwrap()
    };
    let tests_only = |name: &str| -> BTreeSet<String> {
        let manifest = table(&format!("{}/Cargo.toml", name.trim_start_matches("driftline-")));
        let names = |list: &str| -> BTreeSet<String> {
            let list = manifest.get(list).and_then(toml::Value::as_table);
            list.into_iter().flat_map(Table::keys).cloned().collect()
        };
        names("dev-dependencies").difference(&names("dependencies")).cloned().collect()
    };
    let offences = offences(&table("Cargo.lock"), &table("fuzz/Cargo.lock"), &tests_only);
    assert_eq!(offences, [""; 0], "cargo update --workspace in fuzz/ mends it");
}

#[test]
fn a_lock_out_of_step_is_seen() {
    let lock = |needs: &str, version: &str| -> Table {
        let text = format!(
            "[[package]]\nname = \"driftline-agent\"\nversion = \"0.1.0\"\n\
             dependencies = [{needs}]\n[[package]]\nname = \"b\"\nversion = \"{version}\"\n"
        );
        text.parse().unwrap()
    };
    let ours = lock("\"b\", \"t\"", "1.0.0");
    let tests_only = |_: &str| BTreeSet::from(["t".to_owned()]);
    let check = |theirs: Table, expected: &[&str]| {
        assert_eq!(offences(&ours, &theirs, &tests_only), expected);
    };
    check(lock("\"b 1.0.0\"", "1.0.0"), &[]);
    check(lock("\"b\"", "1.0.1"), &["b 1.0.1 is not what Cargo.lock has"]);
    check(lock("", "1.0.0"), &["driftline-agent needs b, unknown there"]);
    check(lock("\"b\", \"c\"", "1.0.0"), &["driftline-agent needs c no more"]);
}
