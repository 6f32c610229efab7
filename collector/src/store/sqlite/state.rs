//! What ingest must know before it can decide.

use std::collections::BTreeMap;

use driftline_protocol::canonical;
use driftline_protocol::ids::{
    Digest, Generation, HostId, Incarnation, KeyId, PartName, SourceName,
};
use driftline_protocol::ledger::Chain;
use driftline_protocol::snapshot::{Part, Reason};
use driftline_protocol::wire::decompress;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::Reader;
use super::codec::{At, Json, at, bits, json, name, word};
use super::names::{self, FIND_HOST, FIND_PART, FIND_SOURCE};
use crate::store::records::*;
use crate::store::{BlindCount, ReadState, StoreError};

const HOST: &str = "SELECT n.name, h.kind, h.incarnation, h.token, h.enrolled_at, h.last_seen,
         h.agent_version, h.fingerprint_key, h.site_key, h.retired_at
     FROM host h JOIN host_name n ON n.id = h.host";

const PARTS: &str = "SELECT n.name, d.digest, p.unread, s.digest, r.digest
     FROM part_now p
     JOIN part_name n ON n.id = p.part
     JOIN part d ON d.id = p.digest
     LEFT JOIN part s ON s.id = p.seen
     LEFT JOIN part r ON r.id = p.read
     WHERE p.host = ?1 AND p.source = ?2";

const SECTION: &str = "SELECT n.name, s.domain, s.generation, s.digest, s.chain, s.delivered,
         s.coalesced, s.expired, s.observed_at
     FROM section s JOIN source_name n ON n.id = s.source";

impl ReadState for Reader {
    fn host(&self, host: &HostId) -> Result<Option<HostRecord>, StoreError> {
        self.pool.read("a host", |db| {
            let mut find = db.prepare_cached(&format!("{HOST} WHERE n.name = ?1"))?;
            find.query_row([host.as_str()], host_record).optional()
        })
    }

    fn hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        self.pool.read("the hosts", |db| {
            let mut find = db.prepare_cached(&format!("{HOST} ORDER BY n.name"))?;
            find.query_map([], host_record)?.collect()
        })
    }

    fn sections(&self, host: &HostId) -> Result<Vec<SectionRecord>, StoreError> {
        self.pool.read("the sections of a host", |db| {
            let Some(host) = names::find(db, FIND_HOST, host.as_str())? else {
                return Ok(Vec::new());
            };
            let mut find =
                db.prepare_cached(&format!("{SECTION} WHERE s.host = ?1 ORDER BY n.name"))?;
            find.query_map([host], section_record)?.collect()
        })
    }

    fn section(
        &self,
        host: &HostId,
        source: &SourceName,
    ) -> Result<Option<(SectionRecord, Vec<PartRecord>)>, StoreError> {
        self.pool.read("a section", |db| {
            let Some(place) = place(db, host, source)? else { return Ok(None) };
            let mut find =
                db.prepare_cached(&format!("{SECTION} WHERE s.host = ?1 AND s.source = ?2"))?;
            let record = find.query_row(place, section_record).optional()?;
            record.map(|record| Ok((record, parts(db, place)?))).transpose()
        })
    }

    fn section_parts(
        &self,
        host: &HostId,
        source: &SourceName,
    ) -> Result<Vec<PartRecord>, StoreError> {
        self.pool.read("the parts of a section", |db| {
            place(db, host, source)?.map_or_else(|| Ok(Vec::new()), |place| parts(db, place))
        })
    }

    fn part_record(
        &self,
        host: &HostId,
        source: &SourceName,
        part: &PartName,
    ) -> Result<Option<PartRecord>, StoreError> {
        self.pool.read("a part of a section", |db| {
            let Some([host, source]) = place(db, host, source)? else { return Ok(None) };
            let Some(part) = names::find(db, FIND_PART, part.as_str())? else { return Ok(None) };
            let mut find = db.prepare_cached(&format!("{PARTS} AND p.part = ?3"))?;
            find.query_row([host, source, part], part_record).optional()
        })
    }

    fn blind_counts(&self, before: Timestamp) -> Result<Vec<BlindCount>, StoreError> {
        self.pool.read("parts that are not read any more", |db| {
            let mut find = db.prepare_cached(
                "SELECT n.name, p.unread, count(*) FROM part_now p INDEXED BY part_blind
                 LEFT JOIN version v ON v.host = p.host AND v.source = p.source
                     AND v.ordinal = p.since
                 JOIN host h ON h.host = p.host JOIN host_name n ON n.id = p.host
                 WHERE p.unread IS NOT NULL AND p.read IS NOT NULL AND h.retired_at IS NULL
                     -- A version that retention took was long ago.
                     AND (v.received_at < ?1 OR v.received_at IS NULL)
                 GROUP BY p.host, p.unread",
            )?;
            let row = |row: &Row<'_>| {
                let unread: Json<Unread> = row.get(1)?;
                Ok(((name(row, 0)?, unread.0.reason()), bits(row, 2)?))
            };
            let mut counts: BTreeMap<(HostId, Reason), u64> = BTreeMap::new();
            for row in find.query_map([At(before)], row)? {
                let (key, count) = row?;
                *counts.entry(key).or_default() += count;
            }
            let count = |((host, reason), count)| BlindCount { host, reason, count };
            Ok(counts.into_iter().map(count).collect())
        })
    }

    fn part(&self, digest: &Digest) -> Result<Option<Part>, StoreError> {
        let body = self.pool.read("a part", |db| {
            let mut find = db.prepare_cached(
                "SELECT b.body FROM part p JOIN part_body b ON b.id = p.id WHERE p.digest = ?1",
            )?;
            find.query_row([digest.0], |row| row.get::<_, Vec<u8>>(0)).optional()
        })?;
        body.map(|body| decode_part(digest, &body)).transpose()
    }

    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        self.pool.read("which parts are there", |db| {
            let mut find = db.prepare_cached(
                "SELECT 1 FROM part
                 WHERE digest = ?1 AND is_here AND doomed_at IS NULL",
            )?;
            let mut missing = Vec::new();
            for digest in digests {
                if !find.exists([digest.0])? {
                    missing.push(*digest);
                }
            }
            Ok(missing)
        })
    }
}

/// The numbers of a section's host and source.
fn place(
    db: &Connection,
    host: &HostId,
    source: &SourceName,
) -> rusqlite::Result<Option<[i64; 2]>> {
    let host = names::find(db, FIND_HOST, host.as_str())?;
    let source = names::find(db, FIND_SOURCE, source.as_str())?;
    Ok(host.zip(source).map(|(host, source)| [host, source]))
}

/// The parts of a section, by name.
fn parts(db: &Connection, place: [i64; 2]) -> rusqlite::Result<Vec<PartRecord>> {
    let mut find = db.prepare_cached(PARTS)?;
    let found = find.query_map(place, part_record)?;
    let mut found = found.collect::<Result<Vec<_>, _>>()?;
    found.sort_by(|a, b| a.part.cmp(&b.part));
    Ok(found)
}

/// The part in `body`, once it is known to be the one `digest` names.
fn decode_part(digest: &Digest, body: &[u8]) -> Result<Part, StoreError> {
    let damaged = || StoreError::Damaged { what: format!("part {digest}") };
    let bytes = decompress(body).map_err(|_| damaged())?;
    if canonical::digest_of_canonical(&bytes) != *digest {
        return Err(damaged());
    }
    serde_json::from_slice(&bytes).map_err(|_| damaged())
}

fn host_record(row: &Row<'_>) -> rusqlite::Result<HostRecord> {
    Ok(HostRecord {
        id: name(row, 0)?,
        kind: word(row, 1)?,
        incarnation: Incarnation(row.get(2)?),
        token: row.get(3)?,
        enrolled_at: at(row, 4)?,
        last_seen: at(row, 5)?,
        agent_version: row.get(6)?,
        key: row.get::<_, Option<[u8; 8]>>(7)?.map(KeyId),
        site_key: row.get(8)?,
        retired_at: row.get::<_, Option<At>>(9)?.map(|at| at.0),
    })
}

fn section_record(row: &Row<'_>) -> rusqlite::Result<SectionRecord> {
    Ok(SectionRecord {
        source: name(row, 0)?,
        domain: word(row, 1)?,
        generation: Generation(bits(row, 2)?),
        digest: Digest(row.get(3)?),
        chain: Chain(Digest(row.get(4)?)),
        delivered: bits(row, 5)?,
        coalesced: bits(row, 6)?,
        expired: bits(row, 7)?,
        observed_at: at(row, 8)?,
    })
}

fn part_record(row: &Row<'_>) -> rusqlite::Result<PartRecord> {
    let digest = Digest(row.get(1)?);
    let unread: Option<Unread> = json(row, 2)?;
    let known = |index| row.get::<_, Option<[u8; 32]>>(index).map(|known| known.map(Digest));
    let (seen, read) = match unread {
        None => (Some(digest), Some(digest)),
        Some(_) => (known(3)?, known(4)?),
    };
    Ok(PartRecord { part: name(row, 0)?, digest, unread, seen, read })
}
