//! What can happen to an item between two observations.

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{Item, ItemKey};
use serde::{Deserialize, Serialize};

/// One item differs between two consecutive observations of its part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The file or table.
    pub part: PartName,
    /// The item; `None` when the part as a whole is meant (`cosmetic`, and `recast` of a whole
    /// file).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ItemKey>,
    /// What happened.
    pub kind: ChangeKind,
    /// The item as it was; present for all kinds but `added`, `cosmetic` and whole-part `recast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Item>,
    /// The item as it is; present for all kinds but `removed`, `cosmetic` and whole-part `recast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Item>,
}

/// What happened to an item; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not there, in a part that was seen to its end.
    Added,
    /// It is no longer there, in a part that was seen to its end or is gone.
    Removed,
    /// Its value differs.
    Modified,
    /// Its value is the same and its place among ordered items is another.
    Moved,
    /// Bytes differ, meaning does not: counted, never alerted.
    Cosmetic,
    /// Only our reading differs (parser, scope, fingerprint key): counted, never drift.
    Recast,
}

impl ChangeKind {
    /// Every kind, in the order of the metric reference.
    pub const ALL: [Self; 6] =
        [Self::Added, Self::Removed, Self::Modified, Self::Moved, Self::Cosmetic, Self::Recast];

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Modified => "modified",
            Self::Moved => "moved",
            Self::Cosmetic => "cosmetic",
            Self::Recast => "recast",
        }
    }

    /// Whether the host means something else than before.
    pub fn is_semantic(self) -> bool {
        match self {
            Self::Added | Self::Removed | Self::Modified | Self::Moved => true,
            Self::Cosmetic | Self::Recast => false,
        }
    }
}
