//! Something a person should know: a drift, deviation, discrepancy or outlier with its evidence.
//!
//! The shape follows Microsoft Graph's `configurationDrift`: resource, instance, drifted properties
//! with current and desired value, first seen, status.

use std::fmt;

use driftline_protocol::ids::{HostId, PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey};
use driftline_protocol::snapshot::Domain;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Names one finding for ever: the same item drifting again is the same finding with a longer
/// history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FindingId {
    /// The host.
    pub host: HostId,
    /// The source.
    pub source: SourceName,
    /// The file or table.
    pub part: PartName,
    /// The item; `None` for the part as a whole (for instance malformed content).
    pub key: Option<ItemKey>,
    /// What kind of finding.
    pub kind: FindingKind,
    /// The rule that is not met, or the kind of discrepancy; `None` for a drift and for malformed
    /// content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleName>,
}

impl FindingId {
    /// Whether a rule opened it.
    pub fn is_of_a_rule(&self) -> bool {
        self.kind == FindingKind::Deviation && self.rule.is_some()
    }
}

/// Names one rule for ever, such as `sshd-root-login`: 1 to 63 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RuleName(Box<str>);

/// A text that cannot be a rule's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a rule's name must be 1 to 63 of a-z, 0-9 and '-'")]
pub struct RuleNameError;

impl RuleName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RuleName {
    type Error = RuleNameError;
    fn try_from(text: String) -> Result<Self, RuleNameError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=63).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(Self(text.into())) } else { Err(RuleNameError) }
    }
}

impl From<RuleName> for String {
    fn from(name: RuleName) -> String {
        name.0.into()
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of finding; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// An observed difference from a baseline.
    Drift,
    /// A rule not met; needs no earlier state.
    Deviation,
    /// Two places disagree about the same thing: disk and running state.
    Discrepancy,
}

/// How bad it is; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Callers or security are hurt now or soon.
    Critical,
    /// Somebody should look today.
    Warning,
    /// For the record.
    Info,
}

/// One finding as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its name.
    pub id: FindingId,
    /// The kind of fact.
    pub domain: Domain,
    /// How bad it is.
    pub severity: Severity,
    /// The item as the baseline has it; `None` when the baseline has no such item.
    pub desired: Option<Item>,
    /// The item as it was last observed; `None` when it was seen to be absent.
    pub current: Option<Item>,
    /// When it was first seen in this opening, corrected time.
    pub first_seen: Timestamp,
    /// Where it stands.
    pub status: Status,
}

/// Where a finding stands. What cannot be observed moves it neither way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Status {
    /// It holds.
    Open,
    /// It ended.
    Resolved {
        /// When, corrected time.
        at: Timestamp,
        /// How.
        by: Resolution,
    },
}

/// How a finding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// A corrective change: the item is again as the baseline has it.
    Returned,
    /// An intentional change: the baseline moved to what the host has.
    Accepted,
    /// The host was retired.
    Retired,
    /// The rule was turned off or no longer looks at the host, or the host left the group whose
    /// baseline it was held to, or that baseline was removed.
    Withdrawn,
}

impl FindingKind {
    /// Every kind, in the order of the metric reference.
    pub const ALL: [Self; 3] = [Self::Drift, Self::Deviation, Self::Discrepancy];

    /// The one of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Deviation => "deviation",
            Self::Discrepancy => "discrepancy",
        }
    }
}

impl Severity {
    /// Every severity, worst first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Warning, Self::Info];

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// An open drift of `sbc-1` since the beginning of time, for tests.
#[cfg(test)]
pub(crate) fn made_up(part: &str, key: Option<&str>) -> Finding {
    Finding {
        id: FindingId {
            host: "sbc-1".parse().unwrap(),
            source: "files".parse().unwrap(),
            part: part.parse().unwrap(),
            key: key.map(|key| ItemKey::of([key])),
            kind: FindingKind::Drift,
            rule: None,
        },
        domain: Domain::Config,
        severity: Severity::Info,
        desired: None,
        current: None,
        first_seen: Timestamp::UNIX_EPOCH,
        status: Status::Open,
    }
}
