//! A copy of a store in use, as one file; restoring is copying it back.
//!
//! The copy is of one moment: the reader holds a transaction while pages are copied, so the writer
//! goes on and the copy does not see what it writes. `FILE` is either whole and checked, or not
//! there.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::StoreError;
use super::sqlite::codec::Doing;
use super::sqlite::{Reader, beside, make_private, remove_if_there, rename_durably};

/// How many pages are copied at a time: 4 MiB, some milliseconds of the disk's time.
const PAGES_AT_A_TIME: i32 = 1_024;

/// How long to wait between two attempts on a store that another program has locked.
const PAUSE: Duration = Duration::from_millis(5);

/// Copies the store behind `reader` to `to`, replacing what is there in one step.
///
/// While it runs the store's log cannot shrink, so it takes room for what is written meanwhile.
///
/// # Errors
/// [`StoreError::File`] and [`StoreError::Database`] when the copy cannot be written, or `to` is
/// the store; [`StoreError::Damaged`] when what was copied is damaged. What was at `to` is as it
/// was then.
pub fn write(reader: &Reader, to: &Path) -> Result<(), StoreError> {
    refuse_the_store_itself(reader, to)?;
    let new = beside(to, ".new");
    remove_leftovers(&new)?;
    let copied = copy(reader, &new).and_then(|()| rename_durably(&new, to));
    if copied.is_err() {
        remove_leftovers(&new)?;
    }
    copied
}

fn refuse_the_store_itself(reader: &Reader, to: &Path) -> Result<(), StoreError> {
    let same = match (reader.path().canonicalize(), to.canonicalize()) {
        (Ok(store), Ok(to)) => store == to,
        _ => false, // nothing is at `to` yet, so it cannot be the store
    };
    if same {
        let source =
            std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is the store itself");
        return Err(super::sqlite::file("writing a backup to", to, source));
    }
    Ok(())
}

fn remove_leftovers(new: &Path) -> Result<(), StoreError> {
    ["", "-wal", "-shm", "-journal"].iter().try_for_each(|e| remove_if_there(&beside(new, e)))
}

fn copy(reader: &Reader, new: &Path) -> Result<(), StoreError> {
    let doing = || format!("copying the store to {}", new.display());
    make_private(new)?;
    reader.with(|from| {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let mut copy = Connection::open_with_flags(new, flags).doing(doing)?;
        let moment = from.unchecked_transaction().doing(doing)?;
        // A transaction begins with its first read; from here on the source stands still for us.
        moment.query_row("SELECT count(*) FROM counter", [], |_| Ok(())).doing(doing)?;
        let backup = Backup::new(&moment, &mut copy).doing(doing)?;
        loop {
            match backup.step(PAGES_AT_A_TIME).doing(doing)? {
                StepResult::Done => break,
                StepResult::More => {}
                StepResult::Busy | StepResult::Locked | _ => std::thread::sleep(PAUSE),
            }
        }
        drop(backup);
        drop(moment);
        let verdict: String =
            copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).doing(doing)?;
        if verdict != "ok" {
            return Err(StoreError::Damaged { what: "what was copied".into() });
        }
        copy.close().map_err(|(_, error)| error).doing(doing)
    })
}
