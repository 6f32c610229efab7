//! What persons did about findings: a log that is only ever added to.

use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// One line of the log of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActRecord {
    /// The finding's number.
    pub finding: i64,
    /// When.
    pub at: Timestamp,
    /// Who: the person or token.
    pub who: String,
    /// What.
    pub act: Act,
    /// To whom it was assigned, or what was noted; may be empty where it was acknowledged.
    pub text: String,
    /// Which opening of the finding was meant: how often it had opened by then.
    #[serde(default)]
    pub opening: u32,
}

/// What a person may do about a finding; a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Somebody has seen it and sees to it.
    Acknowledge,
    /// It was given to somebody.
    Assign,
    /// Something was written down.
    Note,
    /// It may be so: the baseline moved to it, or an exception permits it for a while.
    Accept,
}

impl Act {
    /// Every act, in the order of the reference.
    pub const ALL: [Self; 4] = [Self::Acknowledge, Self::Assign, Self::Note, Self::Accept];

    /// The word used in API, command and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Assign => "assign",
            Self::Note => "note",
            Self::Accept => "accept",
        }
    }
}

/// What persons did about a finding since it opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handled {
    /// Who acknowledged it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// When somebody acknowledged it last; of use where it was given away in between.
    #[serde(skip)]
    pub acknowledged_last: Option<Timestamp>,
    /// Whom it was given to last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
    /// When it was given to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_at: Option<Timestamp>,
}

impl Handled {
    /// What `acts`, in any order, come to for a finding that has opened so often: one that opens
    /// anew is nobody's again, whatever the clock of its host says.
    pub fn by<'a>(acts: impl IntoIterator<Item = &'a ActRecord>, openings: u32) -> Self {
        let meant = |one: &&ActRecord| {
            one.opening == openings || mutant::active(Mutant::AcknowledgedForEver)
        };
        let acts: Vec<&ActRecord> = acts.into_iter().filter(meant).collect();
        let of = |act: Act| acts.iter().filter(move |one| one.act == act);
        let first = of(Act::Acknowledge).min_by_key(|one| one.at);
        let last = of(Act::Assign).max_by_key(|one| one.at);
        Self {
            acknowledged_by: first.map(|one| one.who.clone()),
            acknowledged_last: of(Act::Acknowledge).map(|one| one.at).max(),
            assigned_to: last.map(|one| one.text.clone()),
            assigned_at: last.map(|one| one.at),
        }
    }
}

/// What pages and queries ask about what persons did.
pub trait ReadActs: Send + Sync {
    /// The log of a finding, the newest line first, at most `limit` lines.
    ///
    /// # Errors
    /// [`StoreError`].
    fn acts(&self, finding: i64, limit: u32) -> Result<Vec<ActRecord>, StoreError>;

    /// What was done about each of `findings`, notes left out, in the order in which it was done.
    ///
    /// # Errors
    /// [`StoreError`].
    fn acts_of(&self, findings: &[i64]) -> Result<Vec<ActRecord>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_that_opens_anew_is_nobodys_again() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let act = |second, act, who: &str, text: &str, opening| ActRecord {
            finding: 1,
            at: at(second),
            who: who.into(),
            act,
            text: text.into(),
            opening,
        };
        let acts = [
            act(9, Act::Assign, "ada", "bob", 1),
            act(7, Act::Acknowledge, "bob", "", 1),
            act(5, Act::Acknowledge, "ada", "", 1),
            act(8, Act::Assign, "ada", "cyd", 1),
            act(10, Act::Note, "bob", "rebooted", 1),
            // A clock that went back: it opened anew before it was seen to.
            act(3, Act::Acknowledge, "eve", "", 2),
        ];
        let handled = Handled::by(&acts, 1);
        assert_eq!(handled.acknowledged_by.as_deref(), Some("ada"));
        assert_eq!(handled.assigned_to.as_deref(), Some("bob"));
        let again = Handled::by(&acts, 2);
        assert_eq!(again.acknowledged_by.as_deref(), Some("eve"));
        assert_eq!(again.assigned_to, None);
        assert_eq!(Handled::by(&acts, 3), Handled::default());
    }
}
