//! What befalls hosts and the store, for people and as a metric.

use driftline_protocol::ids::HostId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that befell a host or the store, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When.
    pub at: Timestamp,
    /// Which host, if one.
    pub host: Option<HostId>,
    /// What happened.
    pub kind: EventKind,
    /// The details, in a sentence.
    pub detail: String,
}

/// What can befall a host or the store; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A host enrolled.
    Enrolled,
    /// A host enrolled under another name than it has for itself, which another host has or had.
    NameTaken,
    /// A copy of a host's identity spoke and was told to enrol anew.
    Cloned,
    /// A host came back with an older state than it had.
    RolledBack,
    /// A host has more than the store: the store was restored from a backup.
    StoreRestored,
    /// A host was retired.
    Retired,
    /// A retired host came back.
    Returned,
    /// A baseline was approved.
    Approved,
    /// A token was made or removed.
    TokenChanged,
    /// Configuration was reloaded, or a reload was refused.
    Reloaded,
    /// A report was refused as forged or broken.
    Refused,
    /// An exception was made.
    ExceptionMade,
    /// An exception was ended before its time.
    ExceptionEnded,
    /// A person said what a suspect is.
    Judged,
    /// A change request that came late had changes judged again.
    Reclassified,
    /// A change request was written down, or says something else.
    RequestChanged,
}

impl EventKind {
    /// Every kind, in the order of the metric reference.
    pub const ALL: [Self; 16] = [
        Self::Enrolled,
        Self::NameTaken,
        Self::Cloned,
        Self::RolledBack,
        Self::StoreRestored,
        Self::Retired,
        Self::Returned,
        Self::Approved,
        Self::TokenChanged,
        Self::Reloaded,
        Self::Refused,
        Self::ExceptionMade,
        Self::ExceptionEnded,
        Self::Judged,
        Self::Reclassified,
        Self::RequestChanged,
    ];

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::NameTaken => "name_taken",
            Self::Cloned => "cloned",
            Self::RolledBack => "rolled_back",
            Self::StoreRestored => "store_restored",
            Self::Retired => "retired",
            Self::Returned => "returned",
            Self::Approved => "approved",
            Self::TokenChanged => "token_changed",
            Self::Reloaded => "reloaded",
            Self::Refused => "refused",
            Self::ExceptionMade => "exception_made",
            Self::ExceptionEnded => "exception_ended",
            Self::Judged => "judged",
            Self::Reclassified => "reclassified",
            Self::RequestChanged => "request_changed",
        }
    }
}
