//! The store in one SQLite file: one writer, some readers, every commit on disk before it returns.
//!
//! WAL with `synchronous=FULL`: a commit is one fsync of the log, readers never wait for it, and a
//! kill or power cut loses nothing that was answered. The log is folded into the file by a
//! [`Checkpointer`] on a thread of its own, since that takes up to 0.4 s. A damaged file is
//! reported, never recreated. Does not know when to write, checkpoint or expire: the shell decides.

mod baselines;
mod case_words;
mod cases;
pub(in crate::store) mod codec;
mod exceptions;
mod expire;
mod findings;
mod history;
mod intent;
mod names;
mod pool;
mod state;
mod suspects;
mod versions;
mod write;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use driftline_protocol::mutant::{self, Mutant};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use self::codec::Doing;
use self::names::Names;
use self::pool::Pool;
use super::{StoreError, migrations};

/// How many bytes of log are worth folding into the file: smaller folds write the same pages again
/// and again (measured: 68 % more changes a second at 256 MB than at 64 MB), larger ones stall
/// commits.
pub const CHECKPOINT_BYTES: u64 = 256 * 1024 * 1024;

/// How long one connection waits for another's lock. Only a second program on the same file is that
/// slow.
const BUSY: Duration = Duration::from_secs(10);

/// The write half of a store.
#[derive(Debug)]
pub struct Writer {
    db: Connection,
    names: Names,
    epoch: u64,
    path: PathBuf,
    /// From how many bytes of log on this writer folds the rest; [`CHECKPOINT_BYTES`].
    fold_from: u64,
    /// Where the sweep for parts goes on.
    swept: i64,
}

/// The read half of a store. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: Arc<Pool>,
}

/// Opens the store at `path`, making it when nothing is there.
///
/// Reads the whole file once to check it, about a second for each gigabyte.
///
/// # Errors
/// [`StoreError::Damaged`] when what is there is no intact store, [`StoreError::Newer`] when a
/// newer program wrote it, [`StoreError::File`] and [`StoreError::Database`] when it cannot be
/// reached.
pub fn open(path: &Path) -> Result<(Writer, Reader), StoreError> {
    if !path.try_exists().map_err(|source| file("looking for", path, source))? {
        make(path)?;
    }
    check_header(path)?;
    for ending in ["", "-wal", "-shm"] {
        tighten(&beside(path, ending))?;
    }
    let mut db = connect(path)?;
    check(&db, path)?;
    migrations::migrate(&mut db)?;
    let epoch = next_epoch(&db).doing(|| "counting this opening of the store")?;
    if mutant::active(Mutant::CountFromZeroAtStart) {
        let forget = "DELETE FROM counter WHERE name LIKE 'changes/%'";
        db.execute(forget, []).doing(|| "forgetting the sums of changes")?;
    }
    let reader = Reader { pool: Arc::new(Pool::new(path)) };
    let writer = Writer {
        db,
        names: Names::default(),
        epoch,
        path: path.into(),
        fold_from: CHECKPOINT_BYTES,
        swept: 0,
    };
    Ok((writer, reader))
}

/// Makes an empty store under another name first, so that a kill leaves a whole store or none.
fn make(path: &Path) -> Result<(), StoreError> {
    if beside(path, "-wal").exists() {
        let what = format!("{} is gone while its log is there, so the main file", path.display());
        return Err(StoreError::Damaged { what });
    }
    let new = beside(path, ".new");
    for leftover in [new.clone(), beside(&new, "-wal"), beside(&new, "-shm")] {
        remove_if_there(&leftover)?;
    }
    make_private(&new)?;
    let mut db = connect(&new)?;
    migrations::migrate(&mut db)?;
    db.close().map_err(|(_, error)| error).doing(|| format!("closing {}", new.display()))?;
    rename_durably(&new, path)
}

/// Makes an empty file that only its owner may read: a store tells what runs where and how. SQLite
/// gives its log and index the mode of the file itself.
pub(in crate::store) fn make_private(path: &Path) -> Result<File, StoreError> {
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|source| file("making", path, source))
}

/// Takes a file from everybody but its owner: it may have been copied here with another mode.
fn tighten(path: &Path) -> Result<(), StoreError> {
    let failed = |source| file("protecting", path, source);
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(found) if found.permissions().mode() & 0o077 == 0 => Ok(()),
        Ok(_) => fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed),
    }
}

/// Checks a copy of a store that nobody uses, and folds its log into it.
pub(in crate::store) fn check_copy(path: &Path) -> Result<(), StoreError> {
    let db = connect(path)?;
    check(&db, path)?;
    let found = migrations::version(&db)?;
    if found > migrations::NEWEST {
        return Err(StoreError::Newer { found, known: migrations::NEWEST });
    }
    close(db)
}

/// Folds the log of a store that nobody uses any more into its file, so that none stays beside it.
///
/// # Errors
/// [`StoreError`]; the log stays then, and counts.
pub fn settle(path: &Path) -> Result<(), StoreError> {
    close(connect(path)?)
}

/// The last connection to close takes the log with it; readers cannot.
fn close(db: Connection) -> Result<(), StoreError> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .doing(|| "folding the store's log into its file")?;
    db.close().map_err(|(_, error)| error).doing(|| "closing the store")
}

/// Opens one read-write connection with the settings of the store.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY)?;
        // Plans that do not depend on values: else statements are planned anew when a value
        // differs.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        db.pragma_update(None, "page_size", 4_096)?;
        db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
        db.pragma_update(None, "foreign_keys", "OFF")?;
        db.pragma_update(None, "cache_size", -64 * 1_024)?; // 64 MiB: every inner index page
        db.set_prepared_statement_cache_capacity(64);
        Ok(db)
    };
    open().doing(|| format!("opening the store {}", path.display()))
}

/// Refuses a file that is not ours before SQLite, which would take an empty one for a new one,
/// touches it.
///
/// See <https://sqlite.org/fileformat2.html#the_database_header>. The header of a store in use is
/// in its file from the start, as [`make`] closes the store before anybody sees it.
pub(in crate::store) fn check_header(path: &Path) -> Result<(), StoreError> {
    let opened = File::open(path).map_err(|source| file("opening", path, source))?;
    let mut header = Vec::new();
    opened
        .take(HEADER_BYTES)
        .read_to_end(&mut header)
        .map_err(|source| file("reading", path, source))?;
    let owner = header.get(68..72).map(|bytes| bytes == APPLICATION_ID.to_be_bytes());
    if header.starts_with(b"SQLite format 3\0") && owner == Some(true) {
        return Ok(());
    }
    Err(damaged(path))
}

/// The length of the header of an SQLite file.
const HEADER_BYTES: u64 = 100;

fn damaged(path: &Path) -> StoreError {
    StoreError::Damaged { what: format!("the file {}", path.display()) }
}

/// Refuses what is not intact.
fn check(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let doing = || format!("checking the store {}", path.display());
    let verdict: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).doing(doing)?;
    if verdict != "ok" || migrations::version(db)? == 0 {
        return Err(damaged(path));
    }
    Ok(())
}

/// `DRFT` in ASCII, as the first migration writes it.
const APPLICATION_ID: u32 = 0x4452_4654;

fn next_epoch(db: &Connection) -> rusqlite::Result<u64> {
    let next = "INSERT INTO counter (name, value) VALUES ('epoch', 1)
         ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value";
    db.query_row(next, [], |row| codec::bits(row, 0))
}

impl Writer {
    /// How often this store has been opened, this time included; a restored backup has a smaller
    /// one.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What folds this store's log into its file, for a thread of its own.
    ///
    /// # Errors
    /// [`StoreError`] when no further connection can be opened.
    pub fn checkpointer(&self) -> Result<Checkpointer, StoreError> {
        Ok(Checkpointer { db: connect(&self.path)? })
    }

    /// Folds what a [`Checkpointer`] left of a long log.
    ///
    /// Only a log that is folded to its end begins anew, and a checkpointer never gets there while
    /// commits add to it: without this the log would grow for as long as the store is busy. What is
    /// left is what came in during one fold, so it is short; a log nobody folds is left to the
    /// checkpointer.
    fn fold_the_rest(&self) -> Result<(), StoreError> {
        let (log, waiting) = log_bytes(&self.db)?;
        if log >= self.fold_from && waiting <= self.fold_from / 4 {
            fold(&self.db)?;
        }
        Ok(())
    }

    /// Folds the log into the file and ends. Dropping a writer is safe too; it only leaves the log.
    ///
    /// # Errors
    /// [`StoreError`]; what was applied stays durable.
    pub fn close(self) -> Result<(), StoreError> {
        fold(&self.db)?;
        self.db.close().map_err(|(_, error)| error).doing(|| "closing the store")
    }
}

/// Folds the log into the file while others read and write.
#[derive(Debug)]
pub struct Checkpointer {
    db: Connection,
}

impl Checkpointer {
    /// How many bytes of log wait to be folded; act from [`CHECKPOINT_BYTES`] on. Costs
    /// microseconds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn waiting_bytes(&self) -> Result<u64, StoreError> {
        log_bytes(&self.db).map(|(_, waiting)| waiting)
    }

    /// Folds as much as readers allow, without making anybody wait.
    ///
    /// # Errors
    /// [`StoreError`]; the log stays as it was.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        fold(&self.db)
    }
}

/// The bytes of the log, and those of them that wait to be folded.
fn log_bytes(db: &Connection) -> Result<(u64, u64), StoreError> {
    let pages = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let (log, folded) = db
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], pages)
        .doing(|| "measuring the store's log")?;
    let bytes = |pages: i64| u64::try_from(pages).unwrap_or(0).saturating_mul(4_096);
    Ok((bytes(log), bytes(log - folded)))
}

fn fold(db: &Connection) -> Result<(), StoreError> {
    let folded = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    folded.doing(|| "folding the store's log into its file")
}

/// `path` with `ending` after its name.
pub(in crate::store) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

pub(in crate::store) fn file(doing: &str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File { doing: format!("{doing} {}", path.display()), source }
}

pub(in crate::store) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(file("removing", path, error))
        }
        _ => Ok(()),
    }
}

/// Gives `from` the name `to` in one step that survives a power cut.
pub(in crate::store) fn rename_durably(from: &Path, to: &Path) -> Result<(), StoreError> {
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    sync(from).map_err(|source| file("writing", from, source))?;
    fs::rename(from, to).map_err(|source| file("naming", to, source))?;
    let folder = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(folder).map_err(|source| file("writing", folder, source))
}

impl Reader {
    /// The store's file.
    pub fn path(&self) -> &Path {
        self.pool.path()
    }

    /// Runs `act` on one connection that only reads.
    pub(in crate::store) fn with<T>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.pool.with(act)
    }
}
