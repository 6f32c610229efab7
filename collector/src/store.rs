//! Where reports come to rest.
//!
//! Two halves. Ingest holds [`Append`] and pages hold the `Read` traits, so the type of a handle
//! says what its holder may do. All are blocking; the shell decides on which thread. [`memory`] is
//! the model: every test of [`sqlite`] runs the same steps against both and compares. A [`Step`] is
//! one indivisible step: the version, its changes and the findings they open or close are durable
//! together or not at all.

mod act_records;
pub mod backup;
mod badness;
mod baseline_records;
mod blind_records;
mod case_records;
mod cursor;
mod event_records;
mod imported;
mod intent_records;
pub mod memory;
mod migrations;
mod new_part;
mod pages;
pub mod records;
pub mod sqlite;
mod suspect_records;

use std::io::ErrorKind;

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::snapshot::Part;
use jiff::{SignedDuration, Timestamp};
use rusqlite::ErrorCode;

pub use act_records::*;
pub use badness::{Badness, WorstFilter};
pub use baseline_records::*;
pub use blind_records::BlindCount;
pub use case_records::*;
pub use cursor::{Cursor, CursorError};
pub use imported::NO_AGENT;
pub use intent_records::*;
pub use new_part::NewPart;
pub use pages::{each_change, each_finding};
pub use records::*;
pub use suspect_records::*;

use crate::analysis::exceptions::Exception;
use crate::analysis::finding::{Finding, FindingId};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or failed.
    #[error("{doing}{}", of_database(source))]
    Database {
        /// What was being done, to what.
        doing: String,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
    /// A file of the store, or of a backup, cannot be reached or written.
    #[error("{doing}{}", of_file(source))]
    File {
        /// What was being done, to which file.
        doing: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Something kept is not what was put there.
    #[error("{what} in the store is damaged; restore the newest backup")]
    Damaged {
        /// What was damaged.
        what: String,
    },
    /// The store was written by a newer program.
    #[error("store has schema {found}, this program knows up to {known}; run the newer collector")]
    Newer {
        /// The schema found.
        found: u32,
        /// The newest schema known.
        known: u32,
    },
}

/// What to do about a database that refused, where somebody can do something.
fn of_database(error: &rusqlite::Error) -> &'static str {
    let of = |(code, way)| (error.sqlite_error_code() == Some(code)).then_some(way);
    WAYS_OF_DATABASES.into_iter().find_map(of).unwrap_or_default()
}

/// The same of a file.
fn of_file(error: &std::io::Error) -> &'static str {
    let of = |(kind, way)| (error.kind() == kind).then_some(way);
    WAYS_OF_FILES.into_iter().find_map(of).unwrap_or_default()
}

const BUSY: &str = " (another program keeps the store to itself: end that one, or try again later)";
const OTHER_USER: &str = " (run it as root, or as the user that owns the store)";
const NO_ROOM: &str = " (make room on its disk)";

const WAYS_OF_DATABASES: [(ErrorCode, &str); 5] = [
    (ErrorCode::DatabaseBusy, BUSY),
    (ErrorCode::DatabaseLocked, BUSY),
    (ErrorCode::CannotOpen, OTHER_USER),
    (ErrorCode::ReadOnly, OTHER_USER),
    (ErrorCode::DiskFull, NO_ROOM),
];

const WAYS_OF_FILES: [(ErrorKind, &str); 4] = [
    (
        ErrorKind::NotFound,
        " (is the path right? `state_dir` of the configuration names the folder of the store)",
    ),
    (ErrorKind::AlreadyExists, " (name a file that is not there yet)"),
    (ErrorKind::PermissionDenied, OTHER_USER),
    (ErrorKind::StorageFull, NO_ROOM),
];

/// How long a part that nothing refers to stays: parts travel before the report that refers to
/// them, and an hour covers the longest retry of an agent.
pub const ORPHAN_GRACE: SignedDuration = SignedDuration::from_hours(1);

/// The write half.
pub trait Append: Send {
    /// Makes `parts` and then `steps`, in order, durable, all or none; returns only once they would
    /// survive a power cut. Returns how many parts were new.
    ///
    /// A part is kept by the digest of its canonical form; one already there stays. Nothing need
    /// refer to it yet: it stays for at least [`ORPHAN_GRACE`] after `now`.
    ///
    /// A version whose generation is not newer than what its section has changes nothing at all: no
    /// finding, no change, no counter. A host record with another incarnation than before starts
    /// new accounts: generation, counters and chain of its sections begin anew, while digest,
    /// manifest, parts and history stay, so that the next version may build on them.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was applied then.
    fn write(
        &mut self,
        parts: &[NewPart],
        steps: &[Step],
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Parts alone; see [`Append::write`].
    ///
    /// # Errors
    /// [`StoreError`]; nothing was kept then.
    fn keep_parts(&mut self, parts: &[NewPart], now: Timestamp) -> Result<u64, StoreError> {
        self.write(parts, &[], now)
    }

    /// Steps alone; see [`Append::write`].
    ///
    /// # Errors
    /// [`StoreError`]; nothing was applied then.
    fn apply(&mut self, steps: &[Step]) -> Result<(), StoreError> {
        self.write(&[], steps, Timestamp::UNIX_EPOCH).map(drop)
    }

    /// Notes when hosts were last heard, in bulk. Losing the last of these in a crash is harmless.
    ///
    /// # Errors
    /// [`StoreError`].
    fn note_seen(&mut self, seen: &[(HostId, Timestamp)]) -> Result<(), StoreError>;

    /// Removes what retention no longer keeps: changes, events, lines of the logs of findings and
    /// section versions from before `before`, at most `limit` rows. Never a line of an opening that
    /// goes on. Never the version that stood at `before`, hence never a
    /// section's newest, nor a part anything refers to. Returns how many rows went.
    ///
    /// A part nothing refers to is first reported as [`ReadState::missing`], so that whoever needs
    /// it sends it again, and goes only when that was [`ORPHAN_GRACE`] ago: a report on its way
    /// never loses its parts.
    ///
    /// # Errors
    /// [`StoreError`].
    fn expire(&mut self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// What ingest must know before it can decide.
pub trait ReadState: Send + Sync {
    /// One host.
    ///
    /// # Errors
    /// [`StoreError`], as for all of these.
    fn host(&self, host: &HostId) -> Result<Option<HostRecord>, StoreError>;

    /// Every host, retired ones included, by id.
    fn hosts(&self) -> Result<Vec<HostRecord>, StoreError>;

    /// The newest state of each section of `host`.
    fn sections(&self, host: &HostId) -> Result<Vec<SectionRecord>, StoreError>;

    /// The newest state of one section with its parts, both of one moment.
    fn section(
        &self,
        host: &HostId,
        source: &SourceName,
    ) -> Result<Option<(SectionRecord, Vec<PartRecord>)>, StoreError>;

    /// The newest manifest of one section, with the newest digest under which each part was seen
    /// and read.
    fn section_parts(
        &self,
        host: &HostId,
        source: &SourceName,
    ) -> Result<Vec<PartRecord>, StoreError>;

    /// One part of that manifest.
    fn part_record(
        &self,
        host: &HostId,
        source: &SourceName,
        part: &PartName,
    ) -> Result<Option<PartRecord>, StoreError> {
        Ok(self.section_parts(host, source)?.into_iter().find(|record| record.part == *part))
    }

    /// How many parts of each host were read once and have not been since before `before`, by
    /// reason; by host, then by reason. Hosts that were retired are not asked.
    fn blind_counts(&self, before: Timestamp) -> Result<Vec<BlindCount>, StoreError>;

    /// One part by digest.
    fn part(&self, digest: &Digest) -> Result<Option<Part>, StoreError>;

    /// Which of `digests` are not there.
    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, StoreError>;
}

/// What pages and queries ask about the past.
pub trait ReadHistory: Send + Sync {
    /// Changes, newest first: by corrected time, then by number.
    fn changes(&self, filter: &ChangeFilter) -> Result<Vec<ChangeRecord>, StoreError>;

    /// One change.
    fn change(&self, id: ChangeId) -> Result<Option<ChangeRecord>, StoreError>;

    /// The change that was kept last.
    fn newest_change(&self) -> Result<Option<ChangeRecord>, StoreError>;

    /// Changes that were kept after `id`, in the order in which they were, at most `limit`.
    fn changes_after(&self, id: ChangeId, limit: u32) -> Result<Vec<ChangeRecord>, StoreError>;

    /// Section versions of `host`, last received first, at most `limit`.
    fn versions(&self, host: &HostId, limit: u32) -> Result<Vec<VersionRecord>, StoreError>;

    /// Versions of one section with a corrected time from the first moment of `within` to the last,
    /// the newest generation first, at most `limit`.
    fn section_versions(
        &self,
        place: (&HostId, &SourceName),
        within: (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<Vec<VersionRecord>, StoreError>;

    /// The manifest of a section as it stood at `at`: of the last version, in order of generation,
    /// whose corrected time is not after `at`. `None` before its first version or beyond retention.
    fn manifest_at(
        &self,
        host: &HostId,
        source: &SourceName,
        at: Timestamp,
    ) -> Result<Option<Manifest>, StoreError>;

    /// What befell hosts and the store, newest first, each with its place in that order.
    fn placed_events(&self, filter: &EventFilter)
    -> Result<Vec<(Cursor, EventRecord)>, StoreError>;

    /// What befell hosts and the store, newest first, at most `limit`; of one host or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    fn events(&self, host: Option<&HostId>, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        let filter = EventFilter { host: host.cloned(), limit, ..EventFilter::default() };
        Ok(self.placed_events(&filter)?.into_iter().map(|(_, event)| event).collect())
    }

    /// Sums since the store was made, for counters that survive a restart.
    fn totals(&self) -> Result<Totals, StoreError>;
}

/// What pages and queries ask about findings and tokens.
pub trait ReadFindings: Send + Sync {
    /// Findings, newest first: by the start of their present opening, then by number.
    fn findings(&self, filter: &FindingFilter) -> Result<Vec<FindingRecord>, StoreError>;

    /// Open findings, the worst first: what asks for a person before what does not, then by
    /// severity, then the oldest.
    fn worst_findings(&self, filter: &WorstFilter) -> Result<Vec<FindingRecord>, StoreError>;

    /// The open findings of a host, as bad as they were found to be: what ingest goes on from, and
    /// gives back to be kept. Every other list is for readers, with what a class makes of it; that
    /// moves with what was meant and is no step of a host. At most [`MAX_LIMIT`], the newest first.
    fn open_as_found(&self, host: &HostId) -> Result<Vec<Finding>, StoreError>;

    /// One finding.
    fn finding(&self, id: &FindingId) -> Result<Option<FindingRecord>, StoreError>;

    /// How many findings are open, by host, kind, domain and severity; in no order, without zeros.
    fn open_counts(&self) -> Result<Vec<OpenCount>, StoreError>;

    /// Every token that has not been removed, expired ones included.
    fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError>;
}

/// What pages and queries ask about permissions to differ.
pub trait ReadExceptions: Send + Sync {
    /// Every exception by name, those that are over included.
    ///
    /// # Errors
    /// [`StoreError`].
    fn exceptions(&self) -> Result<Vec<Exception>, StoreError>;
}
