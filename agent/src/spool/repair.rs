//! How the spool file is opened, and what happens when it cannot be trusted.
//!
//! A file that does not read back is set aside (one is kept, for whoever wants to look) and a new
//! one begun under a new incarnation, since its accounts begin again. What the old file still tells
//! about versions that waited is carried over as `expired`, so that the loss itself is on the
//! books.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::{Generation, KeyId, SourceName};
use driftline_protocol::manifest::Manifest;
use rusqlite::Connection;

use super::SpoolError;
use super::database::{self, doing};
use super::identity::{self, Keeper};
use super::section::Section;

const FILE_NAME: &str = "agent.db";

/// Opens the spool of `folder`, repaired where needed, with the newest generation given out.
pub(super) fn open(
    folder: &Path,
    keeper: &mut Keeper,
    key: KeyId,
) -> Result<(Connection, Generation), SpoolError> {
    let path = folder.join(FILE_NAME);
    // Generations are reserved before the first version is kept: a reservation without a file, or a
    // file without one, means that one of the two was lost.
    let reserved = keeper.get().reserved > Generation(0);
    let begun = path.exists();
    let opened = match (begun, reserved) {
        (true, _) => verified(&path),
        (false, true) => Err(SpoolError::Damaged("the file is gone")),
        (false, false) => create(&path),
    };
    let connection = match opened {
        Ok(connection) => connection,
        Err(error) if error.is_damage() => return replace(folder, keeper, key, &error),
        Err(error) => return Err(error),
    };
    let newest = database::sections(&connection)?.values().map(|section| section.generation).max();
    if keeper.get().key.is_some_and(|sealed| sealed != key) {
        lose_sections(&connection, |_| true)?;
        tracing::info!("fingerprint key changed, every section begins anew");
    }
    if keeper.get().key != Some(key) {
        keeper.change(|identity| identity.key = Some(key))?;
    }
    // Without a section nothing tells how far the generations came but the reservation.
    let generation = newest.unwrap_or(keeper.get().reserved);
    Ok((connection, generation))
}

/// Sets the file aside and begins a new one.
pub(super) fn replace(
    folder: &Path,
    keeper: &mut Keeper,
    key: KeyId,
    error: &SpoolError,
) -> Result<(Connection, Generation), SpoolError> {
    let incarnation = identity::fresh_incarnation()?;
    let number = keeper.get().repairs + 1;
    let aside = set_aside(folder, number).map_err(|source| SpoolError::File {
        doing: "setting a damaged spool aside",
        path: folder.join(FILE_NAME),
        source,
    })?;
    let salvaged = salvage(&aside);
    let newest = salvaged.values().map(|section| section.generation).max().unwrap_or_default();
    keeper.change(|identity| {
        identity.repairs = number;
        identity.incarnation = incarnation;
        identity.key = Some(key);
        identity.reserved = identity.reserved.max(newest);
    })?;
    let connection = create(&folder.join(FILE_NAME))?;
    let lost: u64 = salvaged.values().map(|section| section.account.waiting).sum();
    for (source, section) in salvaged {
        let begun = Section::new(&source, section.domain, section.account.waiting);
        database::put_section(&connection, &source, &begun, Some(&Manifest::default()))?;
    }
    tracing::error!(%error, lost, "spool was damaged and begins anew; the old file is kept");
    Ok((connection, keeper.get().reserved))
}

/// Drops the state of the sections `which` names; what waited of them is counted as expired.
pub(super) fn lose_sections(
    connection: &Connection,
    which: impl Fn(&SourceName) -> bool,
) -> Result<(), SpoolError> {
    let tx = connection.unchecked_transaction().map_err(doing("dropping sections"))?;
    for (source, mut section) in database::sections(&tx)? {
        if which(&source) {
            section.lose();
            database::put_section(&tx, &source, &section, Some(&Manifest::default()))?;
            tx.execute("DELETE FROM versions WHERE source = ?1", [source.as_str()])
                .map_err(doing("dropping sections"))?;
        }
    }
    tx.commit().map_err(doing("dropping sections"))?;
    database::recount(connection)
}

fn verified(path: &Path) -> Result<Connection, SpoolError> {
    let connection = database::open(path)?;
    database::verify(&connection)?;
    Ok(connection)
}

fn create(path: &Path) -> Result<Connection, SpoolError> {
    // Made here for its mode: SQLite gives its log and index the mode of the file itself.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|source| SpoolError::File {
        doing: "making the spool",
        path: path.to_path_buf(),
        source,
    })?;
    let made = database::open(path).and_then(|connection| {
        database::create(&connection)?;
        Ok(connection)
    });
    if made.is_err() {
        // Half a file would look like damage to the next start, though nothing was ever in it.
        remove(path).map_err(|source| SpoolError::File {
            doing: "removing an unfinished spool",
            path: path.to_path_buf(),
            source,
        })?;
    }
    made
}

fn set_aside(folder: &Path, number: u64) -> io::Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("agent.db.damaged-") {
            remove(&entry.path())?;
        }
    }
    let aside = folder.join(format!("{FILE_NAME}.damaged-{number}"));
    for suffix in ["", "-wal"] {
        let from = folder.join(format!("{FILE_NAME}{suffix}"));
        let to = PathBuf::from(format!("{}{suffix}", aside.display()));
        match fs::rename(from, to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
    }
    remove(&folder.join(format!("{FILE_NAME}-shm")))?;
    Ok(aside)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What a damaged file still tells of its sections; a row whose checksum fails tells nothing.
fn salvage(aside: &Path) -> BTreeMap<SourceName, Section> {
    if !aside.exists() {
        return BTreeMap::new();
    }
    database::open(aside)
        .and_then(|connection| database::readable_sections(&connection))
        .unwrap_or_default()
}
