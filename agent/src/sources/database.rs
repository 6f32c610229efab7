//! Databases of SQLite that other programs keep, read without a lock and without a word written.
//!
//! SQLite opens what it is given by its name, also where that is the name of a descriptor: it
//! follows `/proc/self/fd/N` to a path and opens that. Another file could stand there by then, one
//! outside the root or a FIFO that never ends. So it is given no name. The file is opened once,
//! below the root, and every byte comes from that descriptor: it is put into SQLite's own memory
//! (`asked`), or read page by page without SQLite where it may be large (`rows`).
//!
//! What holds for what is told, and what does not: it is of one file, the one that was looked at,
//! whatever is done to its name. That nothing was written while it was read is asked of the file,
//! its log and its journal when all is read: which files they are, how long, when they were
//! written or changed, and the counter of changes in the head of the database. Where one of them
//! is another, nothing is told (`changing`). A write that leaves all of these as they were, as
//! root could make one through a mapping, is not seen.
//!
//! A program that ends without closing its database leaves its write-ahead log (`-wal`) behind, as
//! dnf 4 does after every run, and one that keeps it open goes on writing there: what it holds may
//! be in the database or not. Then the two are put together here (`wal`), in memory. SQLite would
//! do that itself, but opens the log for writing, and whoever watches the file would wake. A
//! rollback journal (`-journal`) means that somebody is at work.
//!
//! A database is a program too: a view need never end, and a column can be computed and of any
//! length. So `asked` is told which tables there are to be, and bounds steps and lengths.

pub mod pages;
pub mod wal;

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;
use rusqlite::limits::Limit;
use rusqlite::{Connection, Error, ErrorCode};

use self::pages::Row;
use self::wal::Committed;
use crate::machine::{Machine, same_file};
use crate::platform::{Stat, reason, stat_of};
use crate::sources::look::Look;

/// How many bytes a database and its log may have together to be put together, before and after,
/// and one without a log to be put into memory.
///
/// The log and what they make are held at once, and a pass may take 96 MiB (`budget`), an agent 128
/// (`MemoryMax` of its unit). A history of dnf of ten years has 50 MB, and SQLite begins a log anew
/// at 4.
const LOGGED_BYTES: u64 = wal::WHOLE_BYTES as u64;

/// The most bytes of a field, a row or a statement of the schema.
const FIELD_BYTES: i32 = 1024 * 1024;

/// How many steps of SQLite's machine may be taken in one database: some seconds. The packages of
/// 40 runs of dnf among 300,000 take half of it.
const STEPS: u32 = 200_000_000;

/// After how many steps they are counted.
const STRIDE: u32 = 1_000;

/// Notes that a part depends on the database at `path` and its log.
pub(super) fn rely(look: &mut Look<'_>, path: &Path) -> Result<(), Reason> {
    look.rely(path)?;
    look.rely(&beside(path, "-wal"))
}

/// What `ask` learns of the database at `path`, which has these tables; nothing where there is no
/// database.
///
/// # Errors
/// [`Reason::Changing`] where it was written meanwhile; [`Reason::TooLarge`] above 56 MiB with its
/// log, or where it takes too many steps; [`Reason::Malformed`] where it is no database or one of
/// the tables is none; what `ask` gives; else why it could not be read.
pub(super) fn asked<T>(
    machine: &Machine,
    path: &Path,
    tables: &[&str],
    ask: impl FnOnce(&Connection) -> Result<T, Reason>,
) -> Result<Option<T>, Reason> {
    unchanged(machine, path, LOGGED_BYTES, |file, log| {
        let committed = Committed::to(log);
        let (put, whole) = Put::of(file, log, &committed)?;
        let mut database = Connection::open_in_memory().map_err(refused)?;
        database.deserialize_read_exact("main", put, whole, true).map_err(refused)?;
        guard(&mut database, tables, STEPS)?;
        ask(&database)
    })
}

/// Gives `take` each row of one table of the database at `path`, of at most `bound` bytes, one in
/// memory at a time; nothing where there is no database. What `take` got counts only where this
/// ends well.
///
/// # Errors
/// As [`asked`] and [`pages::rows`]; with a log it may have no more than 56 MiB.
pub(super) fn rows(
    machine: &Machine,
    (path, bound): (&Path, u64),
    table: &str,
    take: &mut dyn FnMut(Row<'_>) -> Result<(), Reason>,
) -> Result<Option<()>, Reason> {
    unchanged(machine, path, bound, |file, log| {
        if log.is_empty() {
            return pages::rows(file, table, take);
        }
        let committed = Committed::to(log);
        let (mut put, whole) = Put::of(file, log, &committed)?;
        let mut bytes = vec![0; whole];
        put.read_exact(&mut bytes).map_err(|_| Reason::Failed)?;
        pages::rows(&mut Cursor::new(bytes), table, take)
    })
}

/// Why a database says no more.
pub(super) fn refused(error: Error) -> Reason {
    match error.sqlite_error_code() {
        Some(ErrorCode::TooBig | ErrorCode::OperationInterrupted) => Reason::TooLarge,
        Some(ErrorCode::OutOfMemory) => Reason::Failed,
        _ => Reason::Malformed,
    }
}

/// The path of what SQLite keeps beside a database.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(end);
    beside.into()
}

/// What `read` makes of the database at `path` and what its log holds, where nothing changed while
/// it did.
fn unchanged<T>(
    machine: &Machine,
    path: &Path,
    bound: u64,
    read: impl FnOnce(&mut File, &[u8]) -> Result<T, Reason>,
) -> Result<Option<T>, Reason> {
    let before = found(machine, path)?;
    let [_, log, journal] = &before;
    if journal.is_some() {
        return Err(Reason::Changing);
    }
    let is_logged = log.is_some() && !mutant::active(Mutant::LoggedWordsAreLost);
    let bound = if is_logged { bound.min(LOGGED_BYTES) } else { bound };
    let Some(mut file) = machine.held(path, bound)? else { return Ok(None) };
    let log = if is_logged { machine.read(&beside(path, "-wal"), bound)? } else { None };
    let log = log.map(|log| log.bytes).unwrap_or_default();
    let head = head_of(&mut file);
    let told = read(&mut file, &log);
    // Only now is known whether it was one state that was read. What came of two is no answer, and
    // is no failure either. The file that is open need not be the one that was found first.
    let is_same = is_alike(&before, &found(machine, path)?)
        && head == head_of(&mut file)
        && is_alike(
            before.get(..1).unwrap_or_default(),
            &[stat_of(&file).map(Some).map_err(reason)?],
        );
    if !is_same && !mutant::active(Mutant::DatabasesStandStill) {
        return Err(Reason::Changing);
    }
    told.map(Some)
}

/// The database, its log and its journal. An empty log or journal is as good as none: who only
/// reads makes and removes them.
fn found(machine: &Machine, path: &Path) -> Result<[Option<Stat>; 3], Reason> {
    let beside = |end| -> Result<_, Reason> {
        let stat = machine.stat_followed(&beside(path, end))?;
        Ok(stat.filter(|stat| stat.st_size > 0))
    };
    Ok([machine.stat_followed(path)?, beside("-wal")?, beside("-journal")?])
}

fn is_alike(ones: &[Option<Stat>], others: &[Option<Stat>]) -> bool {
    ones.len() == others.len()
        && ones.iter().zip(others).all(|both| match both {
            (Some(one), Some(other)) => same_file(one, other),
            (one, other) => one.is_none() && other.is_none(),
        })
}

/// The head of a database, where each transaction is counted; nothing where it cannot be read.
fn head_of(file: &mut File) -> Option<Vec<u8>> {
    file.rewind().ok()?;
    let head = limits::read_bounded(&mut file.take(pages::HEAD as u64), pages::HEAD as u64).ok();
    file.rewind().ok()?;
    head
}

/// Sees to it that no statement takes more than it should, and that what is asked for are tables.
fn guard(database: &mut Connection, tables: &[&str], steps: u32) -> Result<(), Reason> {
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, FIELD_BYTES),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, FIELD_BYTES),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        database.set_limit(limit, most).map_err(refused)?;
    }
    let mut left = steps / STRIDE;
    let count = move || {
        left = left.saturating_sub(1);
        left == 0
    };
    database.progress_handler(STRIDE.cast_signed(), Some(count)).map_err(refused)?;
    let careful =
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA query_only = ON";
    database.execute_batch(careful).map_err(refused)?;
    // A virtual table calls itself a table, and has no page.
    let ask = "SELECT count(*), count(iif(type = 'table' AND rootpage > 0, 1, NULL))
        FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')";
    for table in tables {
        let counts = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let counts: (u32, u32) = database.query_row(ask, [table], counts).map_err(refused)?;
        if counts != (1, 1) && !mutant::active(Mutant::ViewsAreTables) {
            return Err(Reason::Malformed);
        }
    }
    Ok(())
}

/// A database and what was committed to its log, put together in memory as they are read.
struct Put<'a> {
    file: &'a mut File,
    length: usize,
    committed: &'a Committed<'a>,
}

impl<'a> Put<'a> {
    /// With how many bytes both make.
    fn of(
        file: &'a mut File,
        log: &[u8],
        committed: &'a Committed<'a>,
    ) -> Result<(Self, usize), Reason> {
        let length = stat_of(file).map_err(reason)?.st_size;
        let length = usize::try_from(length).map_err(|_| Reason::TooLarge)?;
        let whole = committed.length(length).ok_or(Reason::TooLarge)?;
        if (length.max(whole) + log.len()) as u64 > LOGGED_BYTES {
            return Err(Reason::TooLarge);
        }
        if whole == 0 {
            return Err(Reason::Malformed);
        }
        Ok((Self { file, length, committed }, whole))
    }
}

impl Read for Put<'_> {
    /// Gives all of it, as it is asked for, or fails.
    fn read(&mut self, whole: &mut [u8]) -> io::Result<usize> {
        let (there, new) = whole.split_at_mut(self.length.min(whole.len()));
        self.file.read_exact(there)?;
        new.fill(0);
        self.committed.put_into(whole);
        Ok(whole.len())
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
