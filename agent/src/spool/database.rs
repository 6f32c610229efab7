//! The tables of the spool and how their rows are read and written.
//!
//! It knows SQL and nothing of ledgers. Every body is zstd with a checksum, so that a flipped bit
//! in a row is noticed although the database is in order; parts carry their own seal. `refs` counts
//! how often the newest manifests and the versions that wait name a part: it goes away when nothing
//! does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use driftline_protocol::ids::{Digest, Generation, SourceName};
use driftline_protocol::manifest::Manifest;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::SpoolError;
use super::section::{Section, Waiting};

/// The version of the tables, kept as `user_version`.
const FORMAT: i64 = 1;

/// The largest body after decompression, in bytes: a manifest of [`limits::PARTS_PER_SECTION`] long
/// paths.
const BODY_BYTES: u64 = 128 * 1024 * 1024;

/// Pages in the log before they go into the file: about 1 MiB, so that a burst of changes stays
/// small on disk.
const CHECKPOINT_PAGES: u32 = 256;

const SCHEMA: &str = "
    CREATE TABLE sections (source TEXT PRIMARY KEY, body BLOB NOT NULL, manifest BLOB NOT NULL);
    CREATE TABLE versions (
        generation INTEGER PRIMARY KEY, source TEXT NOT NULL, body BLOB NOT NULL,
        offered INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX versions_by_source ON versions (source, generation);
    CREATE TABLE parts (digest BLOB PRIMARY KEY, refs INTEGER NOT NULL, sealed BLOB NOT NULL);
    CREATE INDEX idle_parts ON parts (refs) WHERE refs <= 0;
";

/// How often parts are named, to add or take away.
pub(super) type Refs = BTreeMap<Digest, i64>;

/// Says what was being done when the database refused.
pub(super) fn doing(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> SpoolError {
    move |source| SpoolError::Database { doing, source }
}

/// Makes the tables of a new file.
pub(super) fn create(connection: &Connection) -> Result<(), SpoolError> {
    let batch = format!("BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;");
    connection.execute_batch(&batch).map_err(doing("making the tables"))
}

/// Opens the file, which must be there.
pub(super) fn open(path: &Path) -> Result<Connection, SpoolError> {
    let connection = Connection::open(path).map_err(doing("opening the file"))?;
    let tune = || {
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        // A host has little memory to spare: no mapping, and a cache of 1 MiB that a pass gives
        // back.
        connection.execute_batch(&format!(
            "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA mmap_size = 0; PRAGMA cache_size = -1024; PRAGMA cell_size_check = ON;
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA journal_size_limit = 4194304;"
        ))
    };
    tune().map_err(doing("setting the file up"))?;
    Ok(connection)
}

/// Brings everything from the log into the file.
pub(super) fn checkpoint(connection: &Connection) -> Result<(), SpoolError> {
    let busy: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(doing("emptying the log"))?;
    if busy == 0 { Ok(()) } else { Err(SpoolError::NotOpen) }
}

/// Reads everything once: structure, rows, digests; and counts again how often each part is named.
pub(super) fn verify(connection: &Connection) -> Result<(), SpoolError> {
    let pragma = |name: &str| format!("PRAGMA {name}");
    let version: i64 = connection
        .query_row(&pragma("user_version"), [], |row| row.get(0))
        .map_err(doing("reading the version"))?;
    let check: String = connection
        .query_row(&pragma("quick_check(1)"), [], |row| row.get(0))
        .map_err(doing("checking the file"))?;
    if version != FORMAT || check != "ok" {
        return Err(SpoolError::Damaged("the database"));
    }
    let mut waiting = BTreeMap::<SourceName, u64>::new();
    for version in versions(connection, None, None)? {
        *waiting.entry(version.version.source).or_default() += 1;
    }
    for (source, section) in sections(connection)? {
        let manifest = manifest(connection, &source)?;
        let whole = section.digest.is_none_or(|digest| digest == manifest.digest());
        let counted = waiting.remove(&source).unwrap_or(0) == section.account.waiting;
        if !whole || !counted || section.account.imbalance() != 0 {
            return Err(SpoolError::Damaged("a section does not fit its rows"));
        }
    }
    if !waiting.is_empty() {
        return Err(SpoolError::Damaged("a version has no section"));
    }
    recount(connection)
}

/// Counts from the manifests and the waiting versions how often each part is named.
pub(super) fn recount(connection: &Connection) -> Result<(), SpoolError> {
    let mut refs = Refs::new();
    for source in sections(connection)?.keys() {
        name_all(&mut refs, manifest(connection, source)?.0.values(), 1);
    }
    for waiting in versions(connection, None, None)? {
        name_all(&mut refs, waiting.version.delta.set.values(), 1);
    }
    let wrong = miscounted(connection, refs)?;
    let tx = connection.unchecked_transaction().map_err(doing("counting parts"))?;
    match refer(&tx, &wrong) {
        Err(SpoolError::PartMissing(_)) => return Err(SpoolError::Damaged("a part is missing")),
        other => other?,
    }
    drop_idle(&tx)?;
    tx.commit().map_err(doing("counting parts"))
}

/// What is to be added so that each part is named as often as `refs` says. Rows that are right are
/// not written: at each start that was a log as large as the file.
fn miscounted(connection: &Connection, mut refs: Refs) -> Result<Refs, SpoolError> {
    let mut wrong = Refs::new();
    let counting = doing("counting parts");
    let mut compare = || {
        let mut statement = connection.prepare("SELECT digest, refs FROM parts")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (digest, kept) = (Digest(row.get(0)?), row.get::<_, i64>(1)?);
            let counted = refs.remove(&digest).unwrap_or(0);
            if counted != kept {
                wrong.insert(digest, counted.saturating_sub(kept));
            }
        }
        rusqlite::Result::Ok(())
    };
    compare().map_err(counting)?;
    // What is named and not there is asked for, and missed.
    wrong.extend(refs);
    Ok(wrong)
}

/// Adds `count` for each mention of a part.
pub(super) fn name_all<'a>(refs: &mut Refs, digests: impl Iterator<Item = &'a Digest>, count: i64) {
    for digest in digests {
        *refs.entry(*digest).or_default() += count;
    }
}

/// Changes how often parts are named.
pub(super) fn refer(connection: &Connection, refs: &Refs) -> Result<(), SpoolError> {
    let mut statement = connection
        .prepare_cached("UPDATE parts SET refs = refs + ?2 WHERE digest = ?1")
        .map_err(doing("naming parts"))?;
    for (digest, count) in refs.iter().filter(|(_, count)| **count != 0) {
        let found = statement.execute(params![digest.0, count]).map_err(doing("naming parts"))?;
        if found == 0 && *count > 0 {
            return Err(SpoolError::PartMissing(*digest));
        }
    }
    Ok(())
}

/// Forgets everything.
pub(super) fn clear(connection: &Transaction<'_>) -> Result<(), SpoolError> {
    connection
        .execute_batch("DELETE FROM versions; DELETE FROM sections; DELETE FROM parts")
        .map_err(doing("forgetting everything"))
}

/// Removes parts nothing names, and gives their pages back.
pub(super) fn drop_idle(connection: &Connection) -> Result<(), SpoolError> {
    let removed = connection
        .execute("DELETE FROM parts WHERE refs <= 0", [])
        .map_err(doing("removing parts"))?;
    if removed > 0 {
        connection
            .execute_batch("PRAGMA incremental_vacuum")
            .map_err(doing("giving pages back"))?;
    }
    Ok(())
}

/// Keeps a sealed part that nothing names yet.
pub(super) fn insert_part(
    connection: &Connection,
    digest: &Digest,
    sealed: &[u8],
) -> Result<(), SpoolError> {
    connection
        .prepare_cached(
            "INSERT INTO parts (digest, refs, sealed) VALUES (?1, 0, ?2) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut statement| statement.execute(params![digest.0, sealed]))
        .map_err(doing("keeping a part"))?;
    Ok(())
}

/// The sealed bytes of a part.
pub(super) fn part(
    connection: &Connection,
    digest: &Digest,
) -> Result<Option<Vec<u8>>, SpoolError> {
    connection
        .prepare_cached("SELECT sealed FROM parts WHERE digest = ?1")
        .and_then(|mut statement| statement.query_row([digest.0], |row| row.get(0)).optional())
        .map_err(doing("reading a part"))
}

/// Every section.
pub(super) fn sections(
    connection: &Connection,
) -> Result<BTreeMap<SourceName, Section>, SpoolError> {
    let mut statement = connection
        .prepare_cached("SELECT source, body FROM sections")
        .map_err(doing("reading the sections"))?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))
        .map_err(doing("reading the sections"))?;
    let mut sections = BTreeMap::new();
    for row in rows {
        let (source, body) = row.map_err(doing("reading the sections"))?;
        let source = source.parse().map_err(|_| SpoolError::Damaged("the name of a source"))?;
        sections.insert(source, unpack(&body)?);
    }
    Ok(sections)
}

/// The sections whose rows still read, out of a file that may be damaged anywhere else.
pub(super) fn readable_sections(
    connection: &Connection,
) -> Result<BTreeMap<SourceName, Section>, SpoolError> {
    let mut statement = connection
        .prepare("SELECT source, body FROM sections")
        .map_err(doing("reading the sections"))?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))
        .map_err(doing("reading the sections"))?;
    // The first error ends the walk: the pages behind a broken one are out of reach.
    let readable = rows
        .map_while(Result::ok)
        .filter_map(|(source, body)| Some((source.parse().ok()?, unpack::<Section>(&body).ok()?)));
    Ok(readable.collect())
}

/// One section.
pub(super) fn section(
    connection: &Connection,
    source: &SourceName,
) -> Result<Option<Section>, SpoolError> {
    let body: Option<Vec<u8>> = connection
        .prepare_cached("SELECT body FROM sections WHERE source = ?1")
        .and_then(|mut statement| {
            statement.query_row([source.as_str()], |row| row.get(0)).optional()
        })
        .map_err(doing("reading a section"))?;
    body.as_deref().map(unpack).transpose()
}

/// The newest manifest of a section; empty when there is none.
pub(super) fn manifest(
    connection: &Connection,
    source: &SourceName,
) -> Result<Manifest, SpoolError> {
    let body: Option<Vec<u8>> = connection
        .prepare_cached("SELECT manifest FROM sections WHERE source = ?1")
        .and_then(|mut statement| {
            statement.query_row([source.as_str()], |row| row.get(0)).optional()
        })
        .map_err(doing("reading a manifest"))?;
    body.as_deref().map_or_else(|| Ok(Manifest::default()), unpack)
}

/// Keeps a section, with its manifest where that is another.
pub(super) fn put_section(
    connection: &Connection,
    source: &SourceName,
    section: &Section,
    manifest: Option<&Manifest>,
) -> Result<(), SpoolError> {
    let body = pack(section)?;
    let put = match manifest {
        Some(manifest) => {
            let manifest = pack(manifest)?;
            connection.execute(
                "INSERT INTO sections (source, body, manifest) VALUES (?1, ?2, ?3)
                 ON CONFLICT (source) DO UPDATE SET body = ?2, manifest = ?3",
                params![source.as_str(), body, manifest],
            )
        }
        None => connection.execute(
            "UPDATE sections SET body = ?2 WHERE source = ?1",
            params![source.as_str(), body],
        ),
    };
    put.map(|_| ()).map_err(doing("keeping a section"))
}

/// The versions that wait, oldest first, of one source or all, at most `limit`.
pub(super) fn versions(
    connection: &Connection,
    source: Option<&SourceName>,
    limit: Option<usize>,
) -> Result<Vec<Waiting>, SpoolError> {
    let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let (sql, name) = match source {
        Some(source) => (
            "SELECT body FROM versions WHERE source = ?1 ORDER BY generation LIMIT ?2",
            source.as_str(),
        ),
        None => ("SELECT body FROM versions WHERE ?1 = '' ORDER BY generation LIMIT ?2", ""),
    };
    let mut statement = connection.prepare_cached(sql).map_err(doing("reading versions"))?;
    let rows = statement
        .query_map(params![name, limit], |row| row.get::<_, Vec<u8>>(0))
        .map_err(doing("reading versions"))?;
    rows.map(|row| unpack(&row.map_err(doing("reading versions"))?)).collect()
}

/// Keeps a version that waits.
pub(super) fn put_version(connection: &Connection, waiting: &Waiting) -> Result<(), SpoolError> {
    let version = &waiting.version;
    let body = pack(waiting)?;
    connection
        .execute(
            "INSERT INTO versions (generation, source, body) VALUES (?1, ?2, ?3)",
            params![column(version.generation), version.source.as_str(), body],
        )
        .map(|_| ())
        .map_err(doing("keeping a version"))
}

/// Forgets a version that waited.
pub(super) fn remove_version(
    connection: &Connection,
    generation: Generation,
) -> Result<(), SpoolError> {
    connection
        .execute("DELETE FROM versions WHERE generation = ?1", [column(generation)])
        .map(|_| ())
        .map_err(doing("removing a version"))
}

/// Marks the versions up to this one as perhaps delivered. Such a version is never merged: if only
/// its acknowledgement was lost, it would count once as delivered and once as coalesced.
pub(super) fn offer(connection: &Connection, generation: Generation) -> Result<(), SpoolError> {
    connection
        .execute(
            "UPDATE versions SET offered = 1 WHERE offered = 0 AND generation <= ?1",
            [column(generation)],
        )
        .map(|_| ())
        .map_err(doing("offering versions"))
}

/// The two oldest versions of `source` that were never offered.
pub(super) fn oldest_pair(
    connection: &Connection,
    source: &SourceName,
) -> Result<(Waiting, Waiting), SpoolError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT body FROM versions WHERE source = ?1 AND offered = 0
             ORDER BY generation LIMIT 2",
        )
        .map_err(doing("reading versions"))?;
    let mut rows = statement
        .query_map([source.as_str()], |row| row.get::<_, Vec<u8>>(0))
        .map_err(doing("reading versions"))?;
    let mut next = || {
        let row = rows.next().ok_or(SpoolError::Damaged("a version is missing"))?;
        unpack(&row.map_err(doing("reading versions"))?)
    };
    Ok((next()?, next()?))
}

/// The source whose oldest version is the oldest of all that can be merged with the next.
pub(super) fn mergeable(connection: &Connection) -> Result<Option<SourceName>, SpoolError> {
    let source: Option<String> = connection
        .query_row(
            "SELECT source FROM versions WHERE offered = 0 GROUP BY source
             HAVING count(*) > 1 ORDER BY min(generation) LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()
        .map_err(doing("looking for versions to coalesce"))?;
    let parse = |source: String| source.parse();
    source.map(parse).transpose().map_err(|_| SpoolError::Damaged("the name of a source"))
}

/// Bytes in use, without free pages.
pub(super) fn used_bytes(connection: &Connection) -> Result<u64, SpoolError> {
    let pragma = |name: &'static str| {
        connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
            .map_err(doing("measuring the file"))
    };
    let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    Ok(pages * pragma("page_size")?)
}

fn column(generation: Generation) -> i64 {
    i64::try_from(generation.0).unwrap_or(i64::MAX)
}

fn pack(value: &impl Serialize) -> Result<Vec<u8>, SpoolError> {
    let json = serde_json::to_vec(value).expect("these structs have only string keys");
    let pack = || {
        let mut compressor = zstd::bulk::Compressor::new(1)?;
        compressor.include_checksum(true)?;
        compressor.compress(&json)
    };
    pack().map_err(|_| SpoolError::Damaged("zstd refused to compress"))
}

thread_local! {
    #[cfg_attr(windows, allow(clippy::missing_const_for_thread_local, reason = "it is const"))]
    /// What a frame is decoded with. A pass decodes two for each source, and making one costs more
    /// than decoding a small body: its 95 kB come from the system and go back to it.
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        const { RefCell::new(None) };
}

fn unpack<T: DeserializeOwned>(body: &[u8]) -> Result<T, SpoolError> {
    let damaged = || SpoolError::Damaged("a row");
    // `pack` writes the size into the frame; a frame that claims more than its bound is none of
    // ours.
    let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
    let size = size.filter(|size| *size <= BODY_BYTES).ok_or_else(damaged)?;
    let json = DECOMPRESSOR.with_borrow_mut(|kept| {
        let mut decompressor = match kept.take() {
            Some(decompressor) => decompressor,
            None => zstd::bulk::Decompressor::new().ok()?,
        };
        let json = decompressor.decompress(body, usize::try_from(size).ok()?).ok();
        *kept = Some(decompressor);
        json
    });
    serde_json::from_slice(&json.ok_or_else(damaged)?).map_err(|_| damaged())
}
