//! One commit as one line of NDJSON: a contract, read by other programs.

use driftline_collector::analysis::change::{Change, ChangeKind};
use driftline_collector::analysis::reach::Reach;
use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey};
use driftline_protocol::snapshot::Reason;
use jiff::Timestamp;
use serde::Serialize;

/// What one commit did. Every file of `files` stands in one of the four lists after it, or in more.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Line {
    /// The commit.
    pub(crate) commit: String,
    /// When it was committed, in UTC; null for a time that no clock shows.
    pub(crate) time: Option<Timestamp>,
    /// The files that git says differ from the first parent; renames are two files.
    pub(crate) files: Vec<PartName>,
    /// What means something else than before, item by item.
    pub(crate) changes: Vec<Row>,
    /// Files whose bytes differ and whose meaning does not.
    pub(crate) cosmetic: Vec<PartName>,
    /// Items that only changed their place among those whose order counts.
    pub(crate) moved: Vec<Row>,
    /// Files of which something is unknown after this commit, or was before it so that nothing can
    /// be compared.
    pub(crate) unobserved: Vec<Unobserved>,
}

/// One change of one item.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The source that would have read it.
    pub(crate) section: SourceName,
    /// The file.
    pub(crate) part: PartName,
    /// The item; null for the file as a whole.
    pub(crate) key: Option<ItemKey>,
    /// What happened.
    pub(crate) kind: ChangeKind,
    /// The item as it was.
    pub(crate) before: Option<Item>,
    /// The item as it is.
    pub(crate) after: Option<Item>,
    /// Whether it was meant to happen; null, since a history knows no change requests.
    pub(crate) class: Option<&'static str>,
    /// Where else it is felt, where that is in more than one place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reach: Option<Reach>,
}

/// A file of which something is unknown.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Unobserved {
    /// The file.
    pub(crate) part: PartName,
    /// Why.
    pub(crate) reason: Reason,
}

impl Row {
    /// The row of a change that `section` would report.
    pub(crate) fn of(section: &SourceName, change: Change) -> Self {
        let Change { part, key, kind, before, after } = change;
        Self { section: section.clone(), part, key, kind, before, after, class: None, reach: None }
    }
}
