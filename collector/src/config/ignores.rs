//! What asks for nobody: entries of `[[ignore]]`, and the list that comes with the program.

#![deny(clippy::disallowed_methods, reason = "a list is what the configuration says")]

use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, de};

use super::Config;
use crate::analysis::change::ChangeKind;
use crate::analysis::classify::ignore::{Ignore, Noise};
use crate::analysis::classify::scope::IntentScope;

/// The most entries of a configuration: each change is held against every one.
pub const IGNORES_MOST: usize = 500;

/// The longest reason, in bytes: it is kept with every change the entry is about.
const REASON_BYTES: usize = 200;

const SHIPPED: &str = include_str!("../../../rules/ignore/shipped.toml");

/// One entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    r#as: Noise,
    reason: String,
    #[serde(default)]
    kinds: Vec<ChangeKind>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    sites: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    sources: Vec<String>,
    #[serde(default)]
    parts: Vec<String>,
    #[serde(default)]
    keys: Vec<String>,
}

/// One entry of `[[ignore]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IgnoreRule(pub(super) Ignore);

impl<'de> Deserialize<'de> for IgnoreRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        entry(Written::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

/// At most [`IGNORES_MOST`] entries.
pub(super) fn bounded<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<IgnoreRule>, D::Error> {
    super::load::at_most(d, (IGNORES_MOST, "entries to ignore"))
}

fn entry(written: Written) -> Result<Ignore, String> {
    let Written { name, r#as, reason, kinds, hosts, services, sites, groups, .. } = written;
    let Written { sources, parts, keys, .. } = written;
    if !super::cases::is_source_name(&name) {
        return Err(format!("the name {name:?} {}", super::cases::SOURCE_NAME_RULE));
    }
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.len() > REASON_BYTES {
        return Err(format!("the reason must be a sentence of at most {REASON_BYTES} bytes"));
    }
    // A host that is left out altogether is an exception, which has an owner and ends.
    if sources.is_empty() && parts.is_empty() && keys.is_empty() {
        return Err("must name sources, parts or keys; whole hosts need an exception".to_owned());
    }
    if let Some(kind) = kinds.iter().find(|kind| !kind.is_semantic()) {
        return Err(format!("{} is never classified", kind.as_str()));
    }
    let scope = IntentScope { hosts, services, sites, groups, sources, parts, keys };
    Ok(Ignore { name, noise: r#as, reason, scope, kinds, shipped: false })
}

/// The list that comes with the program. Read once: every pass that judges asks for it.
static OWN: LazyLock<Vec<Ignore>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct File {
        ignore: Vec<IgnoreRule>,
    }
    // A test reads it as well, so a program that was released has all of it.
    let file = toml::from_str::<File>(SHIPPED).map(|file| file.ignore).unwrap_or_default();
    file.into_iter().map(|rule| Ignore { shipped: true, ..rule.0 }).collect()
});

impl Config {
    /// Every entry that counts, the site's own first.
    pub fn ignored(&self) -> Vec<Ignore> {
        let own: &[Ignore] = if self.classification.shipped_ignores { &OWN } else { &[] };
        self.ignores.iter().chain(own).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    #[test]
    fn the_shipped_list_is_read_whole_and_can_be_turned_off() {
        let config = Config::default();
        let names = SHIPPED.matches("[[ignore]]").count();
        assert_eq!(config.ignored().len(), names);
        assert!(config.ignored().iter().all(|entry| entry.shipped));
        let config = parse("t", "[classification]\nshipped_ignores = false").unwrap();
        assert_eq!(config.ignored(), []);
    }

    #[test]
    fn an_entry_that_leaves_out_too_much_is_refused_by_line() {
        for (text, expect) in [
            ("name='Mine'\nreason='r'\nparts=['x']", "must be 1 to 63"),
            ("name='n'\nparts=['x']", "missing field `reason`"),
            ("name='n'\nreason=' '\nparts=['x']", "must be a sentence"),
            ("name='n'\nreason='r'\nhosts=['sbc-*']", "whole hosts need an exception"),
            ("name='n'\nreason='r'\nparts=['x']\nkinds=['cosmetic']", "never classified"),
            ("name='n'\nreason='r'\nparts=['x']\nas='silent'", "unknown variant"),
        ] {
            let error = parse("t", &format!("[[ignore]]\n{text}")).unwrap_err().to_string();
            assert!(error.contains(expect) && error.starts_with("t:"), "{error}");
        }
    }
}
