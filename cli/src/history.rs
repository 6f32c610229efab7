//! A git history as one host whose files changed at each commit.
//!
//! Data goes down this page: [`git`] gives commits and blobs, [`parts`] makes a part of each blob
//! as the agent would of a file, [`timeline`] compares it with what was known as the collector
//! would, and `line` is the contract of what comes out. Nothing decides here what a change is.
//!
//! Memory holds the parts of one commit and the changes of one commit, however long the history.

mod git;
pub(crate) mod line;
mod log;
mod parts;
pub(crate) mod progress;
pub(crate) mod timeline;
mod walk;

pub(crate) use walk::{History, Keyed, Witness};
