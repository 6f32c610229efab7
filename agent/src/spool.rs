//! What was seen waits here, on disk, until the collector has it.
//!
//! One SQLite file in the state folder holds the last observed manifest of every source, the versions that
//! wait, and the sealed parts they need. A pass is one transaction: the state moves on and the version waits,
//! or neither; a kill at any moment loses nothing that was observed. See the `Keep` half for what a pass may do.

use std::collections::BTreeMap;

use driftline_protocol::ids::{Digest, Generation, SourceName};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::redact::Sealed;
use driftline_protocol::snapshot::{Domain, Reason};
use driftline_protocol::wire::SourceReading;
use jiff::Timestamp;

/// The half a pass holds: begin, keep parts, then commit or abandon. One observation is open at a time.
pub trait Keep {
    /// Opens an observation of `source` and gives the manifest of the last one (empty before the first).
    ///
    /// # Errors
    /// [`SpoolError`]; nothing is open then.
    fn begin(&mut self, source: &SourceName) -> Result<Manifest, SpoolError>;

    /// Keeps a part of the open observation; a digest already kept stays as it is.
    ///
    /// # Errors
    /// [`SpoolError`]; the observation must then be abandoned.
    fn keep(&mut self, digest: Digest, part: &Sealed) -> Result<(), SpoolError>;

    /// Makes the open observation durable: a new version when its manifest differs from the last one's.
    /// Gives that version's generation, or `None` when nothing differs.
    ///
    /// # Errors
    /// [`SpoolError`]; nothing of the observation is kept then, and the next pass sees it again.
    fn commit(&mut self, observation: Observation) -> Result<Option<Generation>, SpoolError>;

    /// Forgets the open observation.
    fn abandon(&mut self);
}

/// What one pass over one source saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Which source.
    pub source: SourceName,
    /// What kind of fact it reads.
    pub domain: Domain,
    /// The digest of each part now.
    pub manifest: Manifest,
    /// How many parts are unobserved, by reason.
    pub unobserved: BTreeMap<Reason, u64>,
    /// When the pass began, by the host's wall clock.
    pub observed_at: Timestamp,
    /// The same moment by the host's monotonic clock, in milliseconds.
    pub observed_monotonic_ms: u64,
    /// How the reading went.
    pub reading: SourceReading,
}

/// Why the spool could not keep something.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The database refused or failed, for instance because the disk is full.
    #[error("{doing} in the spool")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
}
