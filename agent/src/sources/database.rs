//! Databases of SQLite that other programs keep, read without a lock and without a word written.
//!
//! One that is at rest is opened by its descriptor, so that the file that is read is the one that
//! was looked at. A program that ends without closing its database leaves its write-ahead log
//! (`-wal`) behind, as dnf 4 does after every run, and one that keeps it open goes on writing
//! there: what it holds may be in the database or not. Then the two are put together here (`wal`),
//! in memory, and so up to a bound that is far below the one of a database at rest. SQLite would do
//! that itself, but opens the log for writing, and whoever watches the file would wake.
//! A rollback journal (`-journal`) means that somebody is at work.

pub mod wal;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;
use rusqlite::{Connection, OpenFlags};

use self::wal::Committed;
use crate::platform::{Stat, opened_path, reason, stat_of};
use crate::sources::look::Look;

/// How many bytes a database and its log may have together to be put together, before and after.
///
/// The log and what they make are held at once, and a pass may take 96 MiB (`budget`), an agent 128
/// (`MemoryMax` of its unit). A history of dnf of ten years has 50 MB, and SQLite begins a log anew
/// at 4.
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
    let Some(mut file) = machine.held(path, bound.min(LOGGED_BYTES))? else { return Ok(None) };
    let before = stat_of(&file).map_err(reason)?;
    let length = usize::try_from(before.st_size).map_err(|_| Reason::TooLarge)?;
    let committed = Committed::to(&words.bytes);
    let whole = committed.length(length).ok_or(Reason::TooLarge)?;
    if (length.max(whole) + words.bytes.len()) as u64 > LOGGED_BYTES {
        return Err(Reason::TooLarge);
    }
    let mut database = Connection::open_in_memory().map_err(|_| Reason::Failed)?;
    let put = Put { file: &mut file, length, committed: &committed };
    let put = database.deserialize_read_exact("main", put, whole, true);
    // What was moved into the database meanwhile is in both; what was added to the log is not.
    let now = machine.stat_followed(log)?;
    let after = stat_of(&file).map_err(reason)?;
    if !now.is_some_and(|now| is_same(&now, &words.stat)) || !is_same(&before, &after) {
        return Err(Reason::Changing);
    }
    put.map(|()| Some(database)).map_err(|_| Reason::Failed)
}

fn is_same(one: &Stat, other: &Stat) -> bool {
    let of = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    of(one) == of(other)
}

/// A database and what was committed to its log, put together in the memory of SQLite itself.
struct Put<'a> {
    file: &'a mut File,
    length: usize,
    committed: &'a Committed<'a>,
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
