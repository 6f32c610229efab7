//! What was seen waits here, on disk, until the collector has it.
//!
//! One SQLite file in the state folder holds the last observed manifest of every source, the
//! versions that wait, and the sealed parts they need. A pass is one transaction: the state moves
//! on and the version waits, or neither; a kill at any moment loses nothing that was observed. A
//! pass holds [`Keep`], the transport holds [`Deliver`], and the type of a handle says what its
//! holder may do.
//!
//! The parts of the newest state are kept after delivery too: a collector restored from a backup is
//! sent the whole state at once, without reading the host again. That costs as much disk as the
//! state itself.
//!
//! A damaged file is set aside and a new one begun; what that lost is counted and told. The
//! identity and the reach of the generations stand in a file of their own, so that neither is lost
//! with the spool.

mod database;
mod identity;
mod repair;
mod rows;
mod section;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use driftline_protocol::ids::{Digest, Generation, HostId, SourceName};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::redact::{Sealed, Unsealed};
use driftline_protocol::snapshot::{Domain, Reason};
use driftline_protocol::wire::{Held, SectionStatus, SectionVersion, SourceReading};
use jiff::Timestamp;

pub use identity::Identity;
pub(crate) use identity::replace;
pub use store::{Settings, Spool};

/// The half a pass holds: begin, keep parts, then commit or abandon. One observation is open at a
/// time.
pub trait Keep {
    /// What the last pass over `source` came to, where its state is still the last one: a pass that
    /// comes to the same needs no manifest, and no observation. See [`Keep::stay`].
    ///
    /// # Errors
    /// [`SpoolError`].
    fn tally(&mut self, source: &SourceName) -> Result<Option<Tally>, SpoolError>;

    /// Opens an observation of `source` and gives the manifest of the last one (empty before the
    /// first).
    ///
    /// # Errors
    /// [`SpoolError`]; nothing is open then.
    fn begin(&mut self, source: &SourceName) -> Result<Manifest, SpoolError>;

    /// The source has said something: whoever waits for the pass sees that it goes on.
    fn said(&mut self) {}

    /// Keeps a part of the open observation; a digest already kept stays as it is.
    ///
    /// # Errors
    /// [`SpoolError`]; the observation must then be abandoned.
    fn keep(&mut self, digest: Digest, part: &Sealed) -> Result<(), SpoolError>;

    /// Makes the open observation durable: a new version when its manifest differs from the last
    /// one's. Gives that version's generation, or `None` when nothing differs. Its tally is kept as
    /// long as the process lives and no other observation is opened.
    ///
    /// # Errors
    /// [`SpoolError`]; nothing of the observation is kept then, and the next pass sees it again.
    fn commit(&mut self, observation: Observation) -> Result<Option<Generation>, SpoolError>;

    /// A pass over `source` came to its tally: nothing differs, and nothing was opened.
    ///
    /// # Errors
    /// [`SpoolError`], [`SpoolError::NotOpen`] where that state is no longer the last one.
    fn stay(&mut self, source: &SourceName, reading: SourceReading) -> Result<(), SpoolError>;

    /// Forgets the open observation.
    fn abandon(&mut self);
}

/// The half the transport holds: what waits, and what became of it.
pub trait Deliver {
    /// The state of every section and of the spool itself, for a heartbeat.
    ///
    /// # Errors
    /// [`SpoolError`].
    fn status(&mut self) -> Result<Status, SpoolError>;

    /// Who this agent is.
    fn identity(&self) -> Identity;

    /// The oldest versions that wait, at most `limit`, in order of generation. From now on they may
    /// have been delivered, so they are not merged with others any more.
    ///
    /// # Errors
    /// [`SpoolError`].
    fn waiting(&mut self, limit: usize) -> Result<Vec<SectionVersion>, SpoolError>;

    /// The first of these parts, in this order, up to about `budget` bytes and at least one.
    ///
    /// # Errors
    /// [`SpoolError::PartMissing`] when no version needs it any more: ask for what waits again.
    /// [`SpoolError::Damaged`] when one is lost or its seal is broken: every section begins anew.
    fn parts(&mut self, digests: &[Digest], budget: usize) -> Result<Vec<Unsealed>, SpoolError>;

    /// The collector has the versions of `source` up to `generation`.
    ///
    /// # Errors
    /// [`SpoolError`]; they wait on, and sending twice changes nothing.
    fn acknowledge(
        &mut self,
        source: &SourceName,
        generation: Generation,
    ) -> Result<(), SpoolError>;

    /// Makes what waits of `source` start from what the collector holds. Where that is none of our
    /// states, the whole section becomes a new version that replaces the waiting ones, which count
    /// as coalesced.
    ///
    /// # Errors
    /// [`SpoolError`].
    fn reconcile(&mut self, source: &SourceName, held: &Held) -> Result<Reconciled, SpoolError>;

    /// Puts the whole section, as a new version, in the place of what waits of it, which counts as
    /// coalesced.
    ///
    /// # Errors
    /// [`SpoolError`].
    fn send_whole(&mut self, source: &SourceName) -> Result<(), SpoolError>;

    /// Drops what waits of `source` up to `generation`: it can never be delivered. Gives how many
    /// versions that were; they count as expired.
    ///
    /// # Errors
    /// [`SpoolError`].
    fn expire(&mut self, source: &SourceName, generation: Generation) -> Result<u64, SpoolError>;

    /// Gives out no generation up to this one any more: the collector has it from a later state of
    /// this host. Versions that wait under such a generation are sent whole under a new one.
    ///
    /// # Errors
    /// [`SpoolError`].
    fn jump_above(&mut self, generation: Generation) -> Result<(), SpoolError>;

    /// Keeps the identity the collector gave, and its store epoch.
    ///
    /// # Errors
    /// [`SpoolError::File`].
    fn enrolled(&mut self, host: HostId, token: String, epoch: u64) -> Result<(), SpoolError>;

    /// Keeps the newest store epoch.
    ///
    /// # Errors
    /// [`SpoolError::File`].
    fn saw_epoch(&mut self, epoch: u64) -> Result<(), SpoolError>;
}

/// Whether a section had to be sent whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// What waits fits what the collector holds.
    Fits,
    /// The whole section waits as a new version.
    SentWhole,
}

/// The state of every section and of the spool itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The newest generation given out.
    pub generation: Generation,
    /// Each section that has a state.
    pub sections: BTreeMap<SourceName, SectionStatus>,
    /// Bytes in use in the database, without free pages.
    pub bytes: u64,
    /// Bytes it may use before versions are coalesced.
    pub limit_bytes: u64,
    /// How often it had to be repaired.
    pub repairs: u64,
}

/// What a section came to, small: what a pass while nothing happens is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// How many parts it has.
    pub parts: u64,
    /// The sum over the marks of its parts.
    pub sum: u128,
    /// How many of them are unobserved, by reason.
    pub unobserved: BTreeMap<Reason, u64>,
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
    /// What the next pass may be held against.
    pub tally: Option<Tally>,
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
    /// A file of the state folder could not be read or written.
    #[error("{doing} in {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("asking for random bytes: {0}")]
    Random(String),
    /// Kept data does not read back as it was written. What that lost is counted; the next pass
    /// begins anew.
    #[error("kept data is damaged: {0}")]
    Damaged(&'static str),
    /// A manifest names a part that was never kept, or a part is asked for that no version needs
    /// any more.
    #[error("part {0} is not kept")]
    PartMissing(Digest),
    /// The section was begun anew, or another observation was opened, since this one began.
    #[error("the observation is no longer open")]
    NotOpen,
}

impl SpoolError {
    /// Whether kept data is damaged, rather than out of reach for now.
    fn is_damage(&self) -> bool {
        use rusqlite::{Error, ErrorCode};
        match self {
            Self::Damaged(_) => true,
            Self::Database { source: Error::SqliteFailure(failure, _), .. } => {
                matches!(
                    failure.code,
                    ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch
                ) || [rusqlite::ffi::SQLITE_ERROR, rusqlite::ffi::SQLITE_IOERR_SHORT_READ]
                    .contains(&failure.extended_code)
            }
            Self::Database { source, .. } => matches!(
                source,
                Error::InvalidColumnType(..)
                    | Error::FromSqlConversionFailure(..)
                    | Error::IntegralValueOutOfRange(..)
                    | Error::SqlInputError { .. }
                    | Error::QueryReturnedNoRows
                    | Error::Utf8Error(..)
            ),
            Self::File { .. } | Self::Random(_) | Self::PartMissing(_) | Self::NotOpen => false,
        }
    }
}
