//! Dependency policy: what `deny.toml` lets in, held against Cargo.lock and `cargo metadata`.
//!
//! Covers licences, sources, bans, duplicates and wildcards; `deny.toml` says what it does not
//! cover. The checks are pure functions of parsed values, so that each is shown to bite.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_types,
    reason = "a test may stop at the first surprise; cargo is asked for its own view of the tree"
)]

mod fuzz_lock;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use toml::Table;

/// The table of `deny.toml` that a check reads, as plain names.
fn names(policy: &Table, table: &str, list: &str) -> BTreeSet<String> {
    policy[table][list]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let name = entry.get("crate").unwrap_or(entry);
            assert!(
                entry.get("crate").is_none() || entry.get("reason").is_some(),
                "{entry}: each exception says why"
            );
            name.as_str().unwrap().to_string()
        })
        .collect()
}

/// Whether a licence expression can be met with allowed licences only.
fn licence_is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&words, &mut at, allowed);
    met && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(words, at, allowed);
    }
    met
}

fn all_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = any_of(words, at, allowed);
        *at += 1;
        return met;
    }
    let mut licence = word.to_string();
    if words.get(*at) == Some(&"WITH") {
        licence = format!("{licence} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allowed.contains(&licence)
}

/// Everything the policy has against these packages.
fn offences(policy: &Table, packages: &[Value]) -> Vec<String> {
    let licences = names(policy, "licenses", "allow");
    let registries = names(policy, "sources", "allow-registry");
    let banned = names(policy, "bans", "deny");
    let skipped = names(policy, "bans", "skip");
    let mut offences = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        versions.entry(name).or_default().insert(package["version"].as_str().unwrap());
        let licence = package["license"].as_str().unwrap_or("none");
        if !licence_is_met(licence, &licences) {
            offences.push(format!("{name}: licence {licence} is not allowed"));
        }
        let source = package["source"].as_str();
        let known = source.is_none_or(|s| {
            s.strip_prefix("registry+").is_some_and(|registry| registries.contains(registry))
        });
        if !known {
            offences.push(format!("{name}: source {} is unknown", source.unwrap_or_default()));
        }
        if banned.contains(name) {
            offences.push(format!("{name}: is banned"));
        }
        if source.is_none() {
            let all = package["dependencies"].as_array().unwrap();
            let wild = all.iter().filter(|d| d["req"] == "*" && d["path"].is_null());
            offences.extend(wild.map(|d| format!("{name}: any version of {} will do", d["name"])));
        }
    }
    for (name, versions) in &versions {
        if versions.len() > 1 && !skipped.contains(*name) {
            offences.push(format!("{name}: {} versions: {versions:?}", versions.len()));
        }
    }
    let gone = |name: &&String| versions.get(name.as_str()).is_none_or(|all| all.len() < 2);
    offences.extend(skipped.iter().filter(gone).map(|n| format!("{n}: skip without a duplicate")));
    offences
}

fn policy() -> Table {
    let path = driftline_tests::programs::workspace().join("deny.toml");
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

#[test]
fn every_dependency_is_welcome() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(driftline_tests::programs::workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let offences = offences(&policy(), packages);
    assert!(offences.is_empty(), "{} packages:\n{}", packages.len(), offences.join("\n"));
}

#[test]
fn licence_expressions_are_understood() {
    let allowed: BTreeSet<String> =
        ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(String::from).into();
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND ISC", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("(MIT OR ISC) AND GPL-3.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
        ("none", false),
        ("MIT ISC", false),
    ] {
        assert_eq!(licence_is_met(expression, &allowed), met, "{expression}");
    }
}

#[test]
fn every_rule_of_the_policy_bites() {
    let mut policy = policy();
    policy["bans"].as_table_mut().unwrap().insert("skip".into(), toml::Value::Array(vec![]));
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let package = |name: &str, version: &str, licence: &str, source: Value| {
        serde_json::json!({
            "name": name, "version": version, "license": licence, "source": source,
            "dependencies": [],
        })
    };
    let good = package("a", "1.0.0", "MIT", registry.into());
    let mut wild = package("own", "0.1.0", "MIT", Value::Null);
    wild["dependencies"] = serde_json::json!([{"name": "x", "req": "*", "path": null}]);
    let cases = [
        (vec![good.clone()], ""),
        (vec![package("b", "1.0.0", "AGPL-3.0", registry.into())], "licence"),
        (vec![package("c", "1.0.0", "MIT", "git+https://example.org/c".into())], "source"),
        (vec![package("openssl", "1.0.0", "MIT", registry.into())], "banned"),
        (vec![good.clone(), package("a", "2.0.0", "MIT", registry.into())], "2 versions"),
        (vec![wild], "any version"),
    ];
    for (packages, expected) in cases {
        let offences = offences(&policy, &packages).join("\n");
        assert_eq!(offences.is_empty(), expected.is_empty(), "{offences}");
        assert!(offences.contains(expected), "{offences}");
    }
}
