//! Databases of SQLite that other programs keep, read without a lock and without a word written.
//!
//! One that is at rest is opened by its descriptor, so that the file that is read is the one that
//! was looked at. A program that ends without closing its database leaves its write-ahead log
//! (`-wal`) behind, as dnf 4 does after every run, and one that keeps it open goes on writing there:
//! what it holds may be in the database or not. Then the two are put together here (`wal`), in
//! memory, and so up to a bound that is far below the one of a database at rest. SQLite would do
//! that itself, but opens the log for writing, and whoever watches the file would wake.
//! A rollback journal (`-journal`) means that somebody is at work.

pub mod wal;

use std::path::{Path, PathBuf};

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;
use rusqlite::{Connection, OpenFlags};

use crate::platform::opened_path;
use crate::sources::look::Look;

/// How many bytes a database and its log may have together to be put together: as many as what
/// they make.
///
/// What they make is held twice while SQLite copies it, and a pass may take 96 MB (`budget`), an
/// agent 128 (`MemoryMax` of its unit). SQLite begins a log anew at 4 MB.
const LOGGED_BYTES: u64 = wal::WHOLE_BYTES as u64;

/// Opens the database at `path` of at most `bound` bytes; nothing where there is none.
///
/// # Errors
/// [`Reason::Changing`] while it is written; [`Reason::TooLarge`] above `bound`, and where it and
/// its log are too large to be put together; [`Reason::Failed`] where it is no database, else why
/// it could not be read.
pub(super) fn open(
    look: &mut Look<'_>,
    path: &Path,
    bound: u64,
) -> Result<Option<Connection>, Reason> {
    let [log, journal] = ["-wal", "-journal"].map(|end| beside(path, end));
    look.rely(path)?;
    look.rely(&log)?;
    if look.machine().stat_followed(&journal)?.is_some_and(|stat| stat.st_size > 0) {
        return Err(Reason::Changing);
    }
    let is_logged = look.machine().stat_followed(&log)?.is_some_and(|stat| stat.st_size > 0);
    if is_logged && !mutant::active(Mutant::LoggedWordsAreLost) {
        return logged(look, path, &log, bound);
    }
    let Some(file) = look.machine().held(path, bound)? else { return Ok(None) };
    let place = format!("file:{}?immutable=1", opened_path(&file).display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(place, flags).map(Some).map_err(|_| Reason::Failed)
}

/// The path of what SQLite keeps beside a database.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(end);
    beside.into()
}

fn logged(
    look: &Look<'_>,
    path: &Path,
    log: &Path,
    bound: u64,
) -> Result<Option<Connection>, Reason> {
    let machine = look.machine();
    let Some(words) = machine.read(log, bound.min(LOGGED_BYTES))? else {
        return Err(Reason::Changing);
    };
    let rest = LOGGED_BYTES.saturating_sub(words.bytes.len() as u64).min(bound);
    let Some(content) = machine.read(path, rest)? else { return Ok(None) };
    // What was moved into the database meanwhile is in both; what was added to the log is not.
    let now = machine.stat_followed(log)?;
    let is_same = now.is_some_and(|now| {
        (now.st_size, now.st_mtime, now.st_mtime_nsec)
            == (words.stat.st_size, words.stat.st_mtime, words.stat.st_mtime_nsec)
    });
    if !is_same {
        return Err(Reason::Changing);
    }
    let whole = wal::applied(content.bytes, &words.bytes).ok_or(Reason::TooLarge)?;
    // Before SQLite makes its own copy of what they made.
    drop(words);
    let open = || -> rusqlite::Result<Connection> {
        let mut database = Connection::open_in_memory()?;
        database.deserialize_read_exact("main", whole.as_slice(), whole.len(), true)?;
        Ok(database)
    };
    open().map(Some).map_err(|_| Reason::Failed)
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
