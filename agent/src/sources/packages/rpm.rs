//! Packages that rpm has installed, from its database in SQLite.
//!
//! The table `Packages` holds a header a row (`lib/header.c` of rpm): the number of its entries,
//! the bytes of its data, the entries of four numbers each, then the data; all in network order.
//! A database in Berkeley DB or NDB is `unsupported`. Keys are `name.arch/version`, with the epoch
//! where there is one; several versions of one package, as kernels have, are a set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use driftline_protocol::item::ItemValue;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Reason;

use super::lock;
use crate::machine::Machine;
use crate::sources::database::{self, pages::Value};
use crate::sources::look::Look;
use crate::sources::table::{Trouble, say};

/// Where the database stands, newer first.
const FOLDERS: [&str; 2] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];

/// What stands in each of the folders and wakes the source: the database, what SQLite keeps beside
/// it, and databases of other kinds.
const NAMES: [&str; 5] =
    ["rpmdb.sqlite", "rpmdb.sqlite-wal", "rpmdb.sqlite-journal", "Packages.db", "Packages"];

/// The paths whose change wakes the source.
pub(super) fn watched() -> impl Iterator<Item = PathBuf> {
    FOLDERS.iter().flat_map(|folder| NAMES.map(|name| Path::new(folder).join(name)))
}

/// Databases of other kinds: NDB, Berkeley DB.
const OTHERS: [&str; 2] = ["Packages.db", "Packages"];

/// The largest database that is read, in bytes. A desktop with 3,000 packages has 300 MB.
const DATABASE_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// The largest header, in bytes (`HEADER_DATA_MAX` in rpm is 256 MiB; a kernel's has 5).
const HEADER_BYTES: usize = 64 * 1024 * 1024;

/// The most entries a header may have (`HEADER_TAGS_MAX`).
const ENTRIES: usize = 65_535;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const ARCH: u32 = 1022;

/// The version of each package; nothing where rpm keeps none.
pub(super) fn installed(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    for folder in FOLDERS {
        let path = Path::new(folder).join("rpmdb.sqlite");
        database::rely(look, &path)?;
        if let Some(items) = packages(look.machine(), &path)? {
            // A transaction may have begun, and be half done, since the lock was last asked.
            lock::is_free(look.machine())?;
            return Ok(Some(items));
        }
        for other in OTHERS {
            let other = Path::new(folder).join(other);
            let is_there = look.machine().stat_followed(&other)?.is_some();
            if is_there && !mutant::active(Mutant::OtherDatabasesAreEmpty) {
                look.rely(&other)?;
                return Err(Trouble::Unread(Reason::Unsupported));
            }
        }
    }
    Ok(None)
}

fn packages(machine: &Machine, path: &Path) -> Result<Option<RawItems>, Reason> {
    let mut versions: BTreeMap<String, BTreeSet<ItemValue>> = BTreeMap::new();
    // `hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL` (lib/backend/sqlite.c of rpm).
    let read = database::rows(machine, (path, DATABASE_BYTES), "Packages", &mut |row| {
        let Some(Value::Blob(blob)) = row.column(1) else { return Err(Reason::Malformed) };
        let (name, version) = package(blob).ok_or(Reason::Malformed)?;
        versions.entry(name).or_default().insert(ItemValue::Text(version));
        Ok(())
    })?;
    let mut items = RawItems::new();
    for (name, mut all) in versions {
        let only = if all.len() == 1 { all.pop_first() } else { None };
        say(&mut items, [&name, "version"], only.unwrap_or(ItemValue::Set(all)));
    }
    Ok(read.map(|()| items))
}

/// `name.arch` and `epoch:version-release` of a header.
pub(super) fn package(header: &[u8]) -> Option<(String, String)> {
    const FIRST: usize = 8;
    const ENTRY: usize = 16;
    let entries = usize::try_from(number(header, 0)?).ok().filter(|n| *n <= ENTRIES)?;
    let data = header.get(FIRST + entries * ENTRY..).filter(|data| data.len() <= HEADER_BYTES)?;
    let mut found: BTreeMap<u32, &[u8]> = BTreeMap::new();
    for entry in header.get(FIRST..FIRST + entries * ENTRY)?.chunks_exact(ENTRY) {
        let (tag, offset) = (number(entry, 0)?, number(entry, 8)?);
        if [NAME, VERSION, RELEASE, EPOCH, ARCH].contains(&tag) {
            found.insert(tag, data.get(usize::try_from(offset).ok()?..)?);
        }
    }
    let text = |tag| {
        let bytes = found.get(&tag)?.split(|byte| *byte == 0).next()?;
        std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())
    };
    let name = match text(ARCH) {
        Some(arch) => format!("{}.{arch}", text(NAME)?),
        None => text(NAME)?.to_owned(), // a public key that is trusted
    };
    let epoch = found.get(&EPOCH).and_then(|bytes| number(bytes, 0));
    let epoch = epoch.filter(|_| !mutant::active(Mutant::VersionsLoseTheirEpoch));
    let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
    Some((name, format!("{epoch}{}-{}", text(VERSION)?, text(RELEASE)?)))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
