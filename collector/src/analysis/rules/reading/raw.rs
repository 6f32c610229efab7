//! A pack as it is written: every field there is, and nothing of what it means.

use std::collections::BTreeMap;

use driftline_protocol::wire::HostKind;
use jiff::Timestamp;
use serde::Deserialize;
use toml::Spanned;

use crate::analysis::finding::Severity;
use crate::analysis::rules::units::Unit;

/// A file of rules.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPack {
    /// What the pack is about.
    pub title: String,
    /// What a site may decide, by name.
    #[serde(default)]
    pub parameters: BTreeMap<String, RawParameter>,
    /// The rules.
    #[serde(default)]
    pub rule: Vec<Spanned<RawRule>>,
}

/// What a site may decide.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawParameter {
    /// What counts where it does not.
    pub default: toml::Value,
    /// What it means.
    pub meaning: String,
}

/// One rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    /// Its name, for ever.
    pub name: Spanned<String>,
    /// What must be so.
    pub title: String,
    /// How bad it is otherwise.
    pub severity: Severity,
    /// Why.
    pub reason: String,
    /// Where the demand comes from.
    pub reference: String,
    /// Who is asked.
    pub owner: Option<String>,
    /// A page that says what to do.
    pub remedy: Option<String>,
    /// Kinds of host.
    #[serde(default)]
    pub kinds: Vec<HostKind>,
    /// The section.
    pub source: Spanned<String>,
    /// A pattern of parts.
    pub part: String,
    /// A pattern of keys.
    pub key: Option<Spanned<String>>,
    /// Keys left out.
    #[serde(default)]
    pub except: Vec<String>,
    /// How the value must stand.
    pub operator: Option<Spanned<Operation>>,
    /// To what.
    pub value: Option<Spanned<toml::Value>>,
    /// What its numbers count.
    #[serde(default)]
    pub unit: Unit,
    /// What must be true, where an operator cannot say it.
    pub expression: Option<Spanned<String>>,
    /// What holds where the item is not there.
    pub default: Option<Spanned<toml::Value>>,
    /// When it fires, and when not.
    #[serde(default)]
    pub example: Vec<Spanned<RawExample>>,
}

/// A part, and whether the rule fires over it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExample {
    /// Whether.
    pub fires: bool,
    /// The items; no such field means that the part is not on the host.
    pub items: Option<BTreeMap<String, toml::Value>>,
    /// When it is looked at; only rules that count the days left ask.
    pub at: Option<Timestamp>,
}

/// The operators, as written.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    Present,
    Absent,
    Is,
    IsNot,
    Contains,
    AtLeast,
    AtMost,
    Within,
    Matches,
    MatchesNot,
}
