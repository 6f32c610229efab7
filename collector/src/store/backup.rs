//! A copy of a store in use, as one file; restoring is copying it back. No store and no backup is
//! ever overwritten.
//!
//! The copy is of one moment: the reader holds a transaction while pages are copied, so the writer
//! goes on and the copy does not see what it writes. `FILE` is either whole and checked, or not
//! there.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::StoreError;
use super::sqlite::codec::Doing;
use super::sqlite::{
    self, Reader, beside, check_copy, check_header, file, make_private, remove_if_there,
    rename_durably,
};

/// How many pages are copied at a time: 4 MiB, some milliseconds of the disk's time.
const PAGES_AT_A_TIME: i32 = 1_024;

/// How long to wait between two attempts on a store that another program has locked.
const PAUSE: Duration = Duration::from_millis(5);

/// Copies the store at `store` to `to`, where nothing may be yet.
///
/// # Errors
/// [`StoreError::File`] when there is no store, or something is at `to`; else as [`write()`].
pub fn save(store: &Path, to: &Path) -> Result<(), StoreError> {
    // Opening would make an empty store, and its backup would look like one.
    File::open(store).map_err(|source| file("opening the store", store, source))?;
    if to.symlink_metadata().is_ok() {
        let source = Error::new(ErrorKind::AlreadyExists, "something is there already");
        return Err(file("writing a backup to", to, source));
    }
    let (_, reader) = sqlite::open(store)?;
    write(&reader, to)
}

/// How many stores may stand aside; more is a mistake in a script.
const ASIDE: u32 = 1_000;

/// Puts a checked copy of the backup at `from` in the place of `store`. Says where the old store
/// stands now, if there was one. `from` is only read.
///
/// # Errors
/// [`StoreError::File`], [`StoreError::Damaged`] and [`StoreError::Newer`], as when opening a
/// store. Before the copy has been checked nothing is moved.
pub fn restore(from: &Path, store: &Path) -> Result<Option<PathBuf>, StoreError> {
    check_header(from).map_err(|error| match error {
        StoreError::Damaged { .. } => not_a_backup(from, ErrorKind::InvalidData.into()),
        StoreError::File { source, .. } => not_a_backup(from, source),
        other @ (StoreError::Database { .. } | StoreError::Newer { .. }) => other,
    })?;
    let new = beside(store, ".new");
    remove_leftovers(&new)?;
    let placed = take(from, &new).and_then(|()| {
        let aside = set_aside(store)?;
        rename_durably(&new, store)?;
        Ok(aside)
    });
    remove_leftovers(&new)?;
    placed
}

fn not_a_backup(from: &Path, source: Error) -> StoreError {
    file("reading the backup, which `driftline-collector backup FILE` writes, from", from, source)
}

/// Copies the backup, with its log should it be a plain copy of a store, and checks the copy.
fn take(from: &Path, new: &Path) -> Result<(), StoreError> {
    for ending in ["", "-wal"] {
        let (from, new) = (beside(from, ending), beside(new, ending));
        let failed = |source| file("copying", &from, source);
        let mut source = match File::open(&from) {
            Err(error) if error.kind() == ErrorKind::NotFound && !ending.is_empty() => continue,
            opened => opened.map_err(failed)?,
        };
        let mut copy = make_private(&new)?;
        hand_over(&copy, &new)?;
        std::io::copy(&mut source, &mut copy).map_err(failed)?;
    }
    check_copy(new)
}

/// Gives a new file to whoever owns its folder: root restores, and the service, which is another
/// user, must be able to open it. By the open file, since that user may put another in its place.
fn hand_over(made: &File, at: &Path) -> Result<(), StoreError> {
    let folder = at.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |source| file("giving to the owner of its folder", at, source);
    let (owner, ours) = (folder.metadata().map_err(failed)?, made.metadata().map_err(failed)?);
    // Nobody but root can give a file away, and nobody else starts the service as another user.
    if owner.uid() == ours.uid() || ours.uid() != 0 {
        return Ok(());
    }
    fchown(made, Some(owner.uid()), Some(owner.gid())).map_err(failed)
}

/// Gives the store and its log a name that nothing has.
fn set_aside(store: &Path) -> Result<Option<PathBuf>, StoreError> {
    const ENDINGS: [&str; 3] = ["", "-wal", "-shm"];
    let is_free = |name: &PathBuf| {
        ENDINGS.iter().all(|ending| beside(name, ending).symlink_metadata().is_err())
    };
    let mut names = (1..=ASIDE).map(|number| match number {
        1 => beside(store, ".before-restore"),
        _ => beside(store, &format!(".before-restore-{number}")),
    });
    let Some(aside) = names.find(is_free) else {
        let source = Error::new(ErrorKind::AlreadyExists, "too many old stores stand beside it");
        return Err(file("setting aside", store, source));
    };
    let mut moved = None;
    // The log goes with its store, and after it: a log alone is told as damage, a store without
    // its log would be taken for whole.
    for ending in ENDINGS {
        match std::fs::rename(beside(store, ending), beside(&aside, ending)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(file("setting aside", store, source)),
            Ok(()) => moved = Some(aside.clone()),
        }
    }
    Ok(moved)
}

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
