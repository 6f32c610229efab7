//! Which rules hosts are held to, and what the site decided about their parameters.

use std::path::PathBuf;

use serde::Deserialize;

/// Which packs of rules are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesConfig {
    /// Patterns of the packs that come with the program and are on. Default: none, so that a site
    /// decides what it is held to.
    pub packs: Vec<String>,
    /// Names of rules that are off.
    pub off: Vec<String>,
    /// The site's own packs; all of them are on, and one named as a pack that comes with the
    /// program takes its place. Default `/etc/driftline/rules.d`.
    pub folder: PathBuf,
}

impl Default for RulesConfig {
    fn default() -> Self {
        let folder = PathBuf::from("/etc/driftline/rules.d");
        Self { packs: Vec::new(), off: Vec::new(), folder }
    }
}

/// `[rules]` of one file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct PartialRules {
    packs: Option<Vec<String>>,
    off: Option<Vec<String>>,
    folder: Option<PathBuf>,
}

/// What the site decided about one parameter of a pack.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterRule {
    /// The parameter, as `pack.name`.
    pub name: String,
    /// What counts.
    pub value: toml::Value,
    /// For hosts of this site only.
    pub site: Option<String>,
}

// A value of TOML has no total equality because of floats, which no rule takes.
impl Eq for ParameterRule {}

impl PartialRules {
    /// Lays this over `config`.
    pub(super) fn merge(self, config: &mut RulesConfig) {
        let Self { packs, off, folder } = self;
        config.packs = packs.unwrap_or(std::mem::take(&mut config.packs));
        config.off = off.unwrap_or(std::mem::take(&mut config.off));
        config.folder = folder.unwrap_or(std::mem::take(&mut config.folder));
    }
}
