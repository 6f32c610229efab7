//! Databases of SQLite that other programs keep, read without a lock and without a word written.
//!
//! One that is at rest is opened by its descriptor, so that the file that is read is the one that
//! was looked at. A program that ends without closing its database leaves its write-ahead log
//! (`-wal`) behind, as dnf 4 does after every run, and one that keeps it open goes on writing
//! there: what it holds may be in the database or not. Then the two are put together here (`wal`),
//! in memory, up to a bound. SQLite would do that itself, but opens the log for writing, and
//! whoever watches the file would wake.
//! A rollback journal (`-journal`) means that somebody is at work.

pub mod wal;

use std::path::{Path, PathBuf};

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;
use rusqlite::{Connection, OpenFlags};

use crate::platform::opened_path;
use crate::sources::look::Look;

/// The largest database, and the largest log, that are put together, in bytes; a history of dnf of
/// ten years has 50 MB, and SQLite begins a log anew at 4.
const LOGGED_BYTES: u64 = 64 * 1024 * 1024;

/// Opens the database at `path` of at most `bound` bytes; nothing where there is none.
///
/// # Errors
/// [`Reason::Changing`] while it is written, or where the log or what it belongs to is too large to
/// be put together; [`Reason::Failed`] where it is no database, else why it could not be read.
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
        return logged(look, path, &log);
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

fn logged(look: &Look<'_>, path: &Path, log: &Path) -> Result<Option<Connection>, Reason> {
    let machine = look.machine();
    let changing = |reason| if reason == Reason::TooLarge { Reason::Changing } else { reason };
    let Some(words) = machine.read(log, LOGGED_BYTES).map_err(changing)? else {
        return Err(Reason::Changing);
    };
    let Some(content) = machine.read(path, LOGGED_BYTES).map_err(changing)? else {
        return Ok(None);
    };
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
