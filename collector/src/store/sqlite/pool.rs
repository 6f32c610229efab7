//! A few connections that only read, handed out one to a thread.
//!
//! Bounded, since each holds a page cache and file handles; who comes when all are out waits for
//! the next, and reads take microseconds.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::BUSY;
use super::codec::Doing;
use crate::store::StoreError;

/// How many readers work at once: twice the cores of the machines a collector is planned for.
const CONNECTIONS: usize = 8;

/// The connections.
#[derive(Debug)]
pub(in crate::store) struct Pool {
    path: PathBuf,
    idle: Mutex<Idle>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Idle {
    connections: Vec<Connection>,
    out: usize,
}

impl Pool {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.into(), idle: Mutex::default(), returned: Condvar::new() }
    }

    /// The file behind the connections.
    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `read` on one connection inside one transaction, so that it sees one moment of the
    /// store.
    pub(in crate::store) fn read<T>(
        &self,
        what: &str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.with(|db| {
            let found = Moment::of(db).and_then(|_moment| read(db));
            found.doing(|| format!("reading {what}"))
        })
    }

    /// Runs `act` on one connection.
    pub(in crate::store) fn with<T>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lent = self.lend()?;
        act(lent.db.as_ref().expect("only the drop of a loan takes its connection"))
    }

    fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let mut idle = self.lock();
        while idle.out >= CONNECTIONS {
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
        let kept = idle.connections.pop();
        let db = kept.map_or_else(|| connect(&self.path), Ok)?;
        idle.out += 1;
        drop(idle);
        Ok(Lent { pool: self, db: Some(db) })
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction that only reads: one moment of the store, until it is dropped. Its two statements
/// are kept prepared, which one made anew for each read would not be.
struct Moment<'a>(&'a Connection);

impl<'a> Moment<'a> {
    fn of(db: &'a Connection) -> rusqlite::Result<Self> {
        db.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self(db))
    }
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        // Nothing was written, so an end that fails costs nothing but the next begin, which says
        // so.
        drop(self.0.prepare_cached("COMMIT").and_then(|mut end| end.execute([])));
    }
}

/// A connection until it is given back, be it by a panic.
struct Lent<'a> {
    pool: &'a Pool,
    db: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut idle = self.pool.lock();
        idle.connections.extend(self.db.take());
        idle.out -= 1;
        self.pool.returned.notify_one();
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY)?;
        // Plans that do not depend on values: else statements are planned anew when a value
        // differs.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        db.pragma_update(None, "cache_size", -8 * 1_024)?; // 8 MiB each; the system caches the rest
        db.set_prepared_statement_cache_capacity(64);
        Ok(db)
    };
    open().doing(|| format!("opening the store {} for reading", path.display()))
}
