//! Old history on its way into a collector: what an agent would have said, had there been one.
//!
//! It is no agent's word and never mixes with one: its section is named apart ([`is_imported`]), it
//! has no chain and no account, and its versions are numbered by whoever read the history, so that
//! sending the same history again changes nothing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Held;
use crate::ids::{Digest, Generation, HostId, SourceName};
use crate::manifest::ManifestDelta;
use crate::snapshot::Part;
use crate::wire::HostKind;

/// How the names of imported sections begin; no agent may speak of one.
pub const IMPORTED: &str = "imported_";

/// Whether a section was imported and is no agent's.
pub fn is_imported(source: &SourceName) -> bool {
    source.as_str().starts_with(IMPORTED)
}

/// Versions of one imported section, oldest first.
///
/// Without versions it keeps its parts, if any, and asks what the collector has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import<P = Part> {
    /// [`super::PROTOCOL_VERSION`] of the sender.
    pub version: u32,
    /// Whose history; made by the first version where no such host is known.
    pub host: HostId,
    /// What kind of host it is, where it is not known yet.
    pub kind: HostKind,
    /// The section; its name must begin with [`IMPORTED`].
    pub source: SourceName,
    /// The versions, at most [`crate::limits::VERSIONS_PER_REPORT`].
    pub versions: Vec<ImportedVersion>,
    /// Parts that these or later versions name.
    pub parts: Vec<P>,
}

/// One state of an imported section, against the state before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedVersion {
    /// Its number in the history, from 1; applied only when newer than what the collector has.
    pub generation: Generation,
    /// When the history says it began, by whatever clock wrote that.
    pub observed_at: Timestamp,
    /// What turns the manifest before into this one.
    pub delta: ManifestDelta,
    /// The digest of this manifest.
    pub digest: Digest,
}

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportAnswer {
    /// What the collector has of the section now.
    pub held: Held,
    /// Versions that are durable now and were not before.
    pub applied: u64,
    /// Parts of them recorded as one change, because their version passed its bound of changes.
    pub summarised: u64,
    /// Why the first version that was not applied was not, and none after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Changes from before this moment are not kept by this collector.
    pub kept_from: Timestamp,
}
