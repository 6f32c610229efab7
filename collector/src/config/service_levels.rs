//! When an open case is at risk, and which teams and priorities have series of their own.

use serde::{Deserialize, Deserializer, de};

/// The most teams, and the most priorities: each pair of them is four series for each service.
const MOST: usize = 50;

/// How open cases are held against their targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceLevelConfig {
    /// A case is at risk when this share of the time from its opening to its target is left, in
    /// percent, 1 to 99. Default 25.
    pub at_risk_percent: u64,
    /// Teams with series of their own, as case systems write them. Default: none.
    pub teams: Vec<String>,
    /// Priorities with series of their own, as case systems write them. Default: none.
    pub priorities: Vec<String>,
}

impl Default for ServiceLevelConfig {
    fn default() -> Self {
        Self { at_risk_percent: 25, teams: Vec::new(), priorities: Vec::new() }
    }
}

/// `[service_levels]` of one file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct PartialServiceLevels {
    #[serde(default, deserialize_with = "at_risk")]
    at_risk_percent: Option<u64>,
    #[serde(default, deserialize_with = "names")]
    teams: Option<Vec<String>>,
    #[serde(default, deserialize_with = "names")]
    priorities: Option<Vec<String>>,
}

impl PartialServiceLevels {
    /// Lays this over `config`.
    pub(super) fn merge(self, config: &mut ServiceLevelConfig) {
        let Self { at_risk_percent, teams, priorities } = self;
        config.at_risk_percent = at_risk_percent.unwrap_or(config.at_risk_percent);
        config.teams = teams.unwrap_or(std::mem::take(&mut config.teams));
        config.priorities = priorities.unwrap_or(std::mem::take(&mut config.priorities));
    }
}

fn at_risk<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    super::load::within(deserializer, ("at_risk_percent", 1..=99))
}

fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    if names.len() > MOST {
        return Err(de::Error::custom(format!("{} names, and at most {MOST}", names.len())));
    }
    Ok(Some(names))
}
