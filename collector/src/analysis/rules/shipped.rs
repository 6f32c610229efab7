//! The packs that come with the program: one line each.

use super::Pack;
use super::reading::{self, Mistake};

/// Name and text of every pack, in the order of their names; the folder `rules/packs` has the same.
pub const PACKS: &[(&str, &str)] = &[
    ("accounts", include_str!("../../../../rules/packs/accounts.toml")),
    ("browser", include_str!("../../../../rules/packs/browser.toml")),
    ("certificates", include_str!("../../../../rules/packs/certificates.toml")),
    ("dns", include_str!("../../../../rules/packs/dns.toml")),
    ("endpoint", include_str!("../../../../rules/packs/endpoint.toml")),
    ("file-modes", include_str!("../../../../rules/packs/file-modes.toml")),
    ("kernel", include_str!("../../../../rules/packs/kernel.toml")),
    ("packages", include_str!("../../../../rules/packs/packages.toml")),
    ("services", include_str!("../../../../rules/packs/services.toml")),
    ("sshd", include_str!("../../../../rules/packs/sshd.toml")),
    ("sudo", include_str!("../../../../rules/packs/sudo.toml")),
    ("time", include_str!("../../../../rules/packs/time.toml")),
    ("voice", include_str!("../../../../rules/packs/voice.toml")),
];

/// The pack of that name.
///
/// # Errors
/// Its mistakes; a test reads every pack, so a released program has none.
pub fn pack(name: &str, text: &str) -> Result<Pack, Vec<Mistake>> {
    reading::read(&format!("rules/packs/{name}.toml"), name, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_pack_is_embedded_and_has_no_mistake() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules/packs");
        #[allow(clippy::disallowed_methods, reason = "a test compares the folder with the list")]
        let entries = std::fs::read_dir(folder).unwrap();
        let mut files: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| Some(name.strip_suffix(".toml")?.to_owned()))
            .collect();
        files.sort();
        let names: Vec<&str> = PACKS.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, names, "rules/packs and PACKS differ");
        let mut rules = BTreeSet::new();
        for (name, text) in PACKS {
            let pack = pack(name, text).unwrap_or_else(|mistakes| {
                let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                panic!("{}", lines.join("\n"))
            });
            assert!(!pack.rules.is_empty(), "{name} has no rule");
            for rule in pack.rules {
                assert!(rules.insert(rule.name.clone()), "two packs have {}", rule.name);
            }
        }
    }

    #[test]
    fn sample_and_docs_name_every_pack() {
        let names: Vec<String> = PACKS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let sample = include_str!("../../config/sample.toml").replace("\n# ", " ");
        let told = format!("are on: patterns of {}; none", names.join(", "));
        assert!(sample.contains(&told), "config/sample.toml does not say {told:?}");
        let (last, before) = names.split_last().unwrap();
        let before = before.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let docs = include_str!("../../../../docs/rules.md").replace('\n', " ");
        let told = format!("are {before} and `{last}`;");
        assert!(docs.contains(&told), "docs/rules.md does not say {told:?}");
    }

    #[test]
    fn every_shipped_rule_says_where_it_comes_from() {
        for (name, text) in PACKS {
            for rule in pack(name, text).unwrap().rules {
                for text in [&rule.title, &rule.reason, &rule.reference] {
                    assert!(text.len() > 5, "{} of {name} says too little", rule.name);
                }
            }
        }
    }
}
