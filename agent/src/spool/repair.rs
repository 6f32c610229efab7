//! How the spool file is opened, and what happens when it cannot be trusted.
//!
//! A file that does not read back is set aside (one is kept, for whoever wants to look) and a new
//! one begun under a new incarnation, since its accounts begin again. What the old file still tells
//! about versions that waited is carried over as `expired`, so that the loss itself is on the
//! books.
//!
//! The new file is made complete beside the old one; giving it its name is the one step that
//! decides. Before it nothing has happened, after it every start carries on where the last broke
//! off, so a crash at any moment loses neither the file nor the books.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::{Generation, KeyId, SourceName};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::mutant::{self, Mutant};
use rusqlite::Connection;

use super::SpoolError;
use super::database::{self, doing};
use super::identity::{self, Keeper};
use super::section::Section;
use crate::platform;

const FILE_NAME: &str = "agent.db";

/// The new file while it is made.
const NEXT_NAME: &str = "agent.db.next";

/// The new file, complete, with the number of the repair behind the dash.
const READY_NAME: &str = "agent.db.ready-";

/// Opens the spool of `folder`, repaired where needed, with the newest generation given out.
pub(super) fn open(
    folder: &Path,
    keeper: &mut Keeper,
    key: KeyId,
) -> Result<(Connection, Generation), SpoolError> {
    if mutant::active(Mutant::KeepSpoolInMemory) {
        let connection = Connection::open_in_memory().map_err(doing("opening the file"))?;
        database::create(&connection)?;
        return Ok((connection, keeper.get().reserved));
    }
    finish(folder, keeper, key)?;
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
    // Without a section nothing tells how far the generations came but the reservation; sections
    // that a repair began anew, and that have no version yet, tell as little.
    let told = newest.filter(|generation| *generation > Generation(0));
    let generation = told.unwrap_or(keeper.get().reserved);
    Ok((connection, generation))
}

/// Sets the file aside and begins a new one.
pub(super) fn replace(
    folder: &Path,
    keeper: &mut Keeper,
    key: KeyId,
    error: &SpoolError,
) -> Result<(Connection, Generation), SpoolError> {
    let lost = prepare(folder, keeper)?;
    finish(folder, keeper, key)?;
    tracing::error!(%error, lost, "spool was damaged and begins anew; the old file is kept");
    Ok((database::open(&folder.join(FILE_NAME))?, keeper.get().reserved))
}

/// Makes the new file complete and decides for it. Gives how many versions the old one loses.
pub(super) fn prepare(folder: &Path, keeper: &mut Keeper) -> Result<u64, SpoolError> {
    let salvaged = salvage(&folder.join(FILE_NAME));
    let newest = salvaged.values().map(|section| section.generation).max().unwrap_or_default();
    if newest > keeper.get().reserved {
        keeper.change(|identity| identity.reserved = newest)?;
    }
    let next = folder.join(NEXT_NAME);
    let failed = |source| file_error("making a new spool", &next, source);
    for suffix in SUFFIXES {
        remove(&with_suffix(&next, suffix)).map_err(failed)?;
    }
    let connection = create(&next)?;
    let lost: u64 = salvaged.values().map(|section| section.account.waiting).sum();
    for (source, section) in salvaged {
        let begun = Section::new(&source, section.domain, section.account.waiting);
        database::put_section(&connection, &source, &begun, Some(&Manifest::default()))?;
    }
    // Into the file itself, since the log does not come along.
    database::checkpoint(&connection)?;
    connection.close().map_err(|(_, source)| doing("closing the new file")(source))?;
    let ready = folder.join(format!("{READY_NAME}{}", keeper.get().repairs + 1));
    fs::rename(&next, ready).and_then(|()| platform::sync_folder(folder)).map_err(failed)?;
    Ok(lost)
}

/// Puts the new file, where one is ready, in the place of the old one. Each step may have been done
/// before.
fn finish(folder: &Path, keeper: &mut Keeper, key: KeyId) -> Result<(), SpoolError> {
    let failed = |source| file_error("setting a damaged spool aside", folder, source);
    let Some((ready, number)) = ready(folder).map_err(failed)? else { return Ok(()) };
    if keeper.get().repairs < number {
        let incarnation = identity::fresh_incarnation()?;
        keeper.change(|identity| {
            identity.repairs = number;
            identity.incarnation = incarnation;
            identity.key = Some(key);
        })?;
    }
    set_aside(folder, number).map_err(failed)?;
    fs::rename(ready, folder.join(FILE_NAME))
        .and_then(|()| platform::sync_folder(folder))
        .map_err(failed)
}

/// The new file that was decided for, if there is one, and the number of the repair.
fn ready(folder: &Path) -> io::Result<Option<(PathBuf, u64)>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(READY_NAME));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            return Ok(Some((entry.path(), number)));
        }
    }
    Ok(None)
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
    let made = platform::files_of_owner().write(true).create_new(true).open(path);
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

/// What SQLite keeps beside a file.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

fn set_aside(folder: &Path, number: u64) -> io::Result<()> {
    let aside = format!("{FILE_NAME}.damaged-{number}");
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("agent.db.damaged-") && !name.starts_with(&aside) {
            remove(&entry.path())?;
        }
    }
    for suffix in ["", "-wal"] {
        let from = folder.join(format!("{FILE_NAME}{suffix}"));
        match fs::rename(from, folder.join(format!("{aside}{suffix}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
    }
    remove(&folder.join(format!("{FILE_NAME}-shm")))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes the names in `folder` durable.
fn file_error(doing: &'static str, path: &Path, source: io::Error) -> SpoolError {
    SpoolError::File { doing, path: path.to_path_buf(), source }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What a damaged file still tells of its sections; a row whose checksum fails tells nothing.
fn salvage(damaged: &Path) -> BTreeMap<SourceName, Section> {
    if !damaged.exists() {
        return BTreeMap::new();
    }
    database::open(damaged)
        .and_then(|connection| database::readable_sections(&connection))
        .unwrap_or_default()
}
