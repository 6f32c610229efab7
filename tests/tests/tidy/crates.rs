//! The arrows between crates, where versions stand, and the headers that keep pure modules pure.

use super::tree::{Offence, Tree};

/// Who may use whom of our own crates; what is not here may use all.
const ARROWS: [(&str, &[&str]); 4] = [
    ("protocol", &[]),
    ("agent", &["protocol"]),
    ("collector", &["protocol"]),
    ("cli", &["protocol", "agent", "collector"]),
];

/// Modules whose first lines refuse clocks, files, network and randomness; sources have a machine
/// for what they read.
const PURE: [&str; 5] = [
    "protocol/src/lib.rs",
    "agent/src/formats.rs",
    "agent/src/schedule.rs",
    "agent/src/sources.rs",
    "collector/src/analysis.rs",
];

const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

fn manifests(tree: &Tree) -> impl Iterator<Item = (&str, &str, toml::Table)> {
    tree.files("", "/Cargo.toml").map(|(path, text)| {
        let folder = path.strip_suffix("/Cargo.toml").unwrap_or(path);
        (folder, path, text.parse().unwrap_or_else(|error| panic!("{path}: {error}")))
    })
}

fn dependencies(manifest: &toml::Table) -> impl Iterator<Item = (&String, &toml::Value)> {
    TABLES.iter().filter_map(|table| manifest.get(*table)?.as_table()).flatten()
}

/// Our crates use each other only as drawn.
pub(crate) fn arrows(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (folder, path, manifest) in manifests(tree) {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == folder) else { continue };
        for (name, _) in dependencies(&manifest) {
            let Some(ours) = name.strip_prefix("driftline-") else { continue };
            if !allowed.contains(&ours) {
                offences.push(Offence {
                    check: "arrows",
                    place: path.into(),
                    what: format!("{folder} uses {ours}"),
                    why: "data goes one way; agent and collector meet only in the protocol",
                    cure: "move what both need to protocol, or turn the arrow round",
                });
            }
        }
    }
    offences
}

/// A member says only `workspace = true`, for dependencies as for lints. Fuzzing is a workspace of
/// its own.
pub(crate) fn versions_in_one_place(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (folder, path, manifest) in manifests(tree) {
        if manifest.contains_key("workspace") || folder.ends_with("fuzz") {
            continue;
        }
        let here = |value: &toml::Value| {
            value.get("workspace").and_then(toml::Value::as_bool) == Some(true)
        };
        let apart = dependencies(&manifest).filter(|(_, value)| !here(value));
        let mut names: Vec<String> = apart.map(|(name, _)| format!("dependency {name}")).collect();
        if !manifest.get("lints").is_some_and(here) {
            names.push("the lints".into());
        }
        offences.extend(names.into_iter().map(|what| Offence {
            check: "versions_in_one_place",
            place: path.into(),
            what: format!("{what} without `workspace = true`"),
            why: "two places for one version or lint drift apart, of all projects in this one",
            cure: "put it in the root Cargo.toml and say `workspace = true` here",
        }));
    }
    offences
}

/// Each pure module refuses impure calls in its first lines.
pub(crate) fn pure_headers(tree: &Tree) -> Vec<Offence> {
    PURE.iter()
        .filter_map(|path| Some((*path, tree.get(path)?)))
        .filter(|(_, text)| {
            let squeezed: String = text.split_whitespace().collect();
            let headers = ["#![deny(", "#![cfg_attr(not(test),deny("];
            headers
                .iter()
                .all(|header| !squeezed.contains(&format!("{header}clippy::disallowed_methods,")))
        })
        .map(|(path, _)| Offence {
            check: "pure_headers",
            place: path.into(),
            what: "does not deny clippy::disallowed_methods".into(),
            why: "what is pure can be tested exhaustively; the header is the proof",
            cure: "begin with #![deny(clippy::disallowed_methods, reason = \"…\")]",
        })
        .collect()
}
