//! What pages and queries ask about the past.
//!
//! Each question of a page is answered from one index, in the order the page shows.

use std::collections::BTreeMap;
use std::fs;

use driftline_protocol::ids::{Digest, Generation, HostId, PartName, SourceName};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::snapshot::Domain;
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::codec::{At, Values, at, bits, json, name, word};
use super::names::{self, FIND_HOST, FIND_PART, FIND_SOURCE};
use super::{Reader, beside};
use crate::analysis::change::{Change, ChangeKind};
use crate::analysis::classify::ChangeClass;
use crate::store::records::*;
use crate::store::{Cursor, ReadHistory, StoreError};

pub(super) const CHANGE: &str =
    "SELECT c.id, h.name, s.name, c.domain, c.generation, c.at, p.name, c.item_key,
         c.kind, c.before_item, c.after_item, c.because
     FROM change c
     JOIN host_name h ON h.id = c.host
     JOIN source_name s ON s.id = c.source
     JOIN part_name p ON p.id = c.part";

impl ReadHistory for Reader {
    fn changes(&self, filter: &ChangeFilter) -> Result<Vec<ChangeRecord>, StoreError> {
        self.pool.read("changes", |db| {
            let Some((query, values)) = compose(db, filter)? else { return Ok(Vec::new()) };
            let mut find = db.prepare_cached(&query)?;
            find.query_map(params_from_iter(values), change_record)?.collect()
        })
    }

    fn change(&self, id: ChangeId) -> Result<Option<ChangeRecord>, StoreError> {
        self.pool.read("a change", |db| {
            let mut find = db.prepare_cached(&format!("{CHANGE} WHERE c.id = ?1"))?;
            find.query_row([id.0], change_record).optional()
        })
    }

    fn newest_change(&self) -> Result<Option<ChangeRecord>, StoreError> {
        self.pool.read("the newest change", |db| {
            let mut find =
                db.prepare_cached(&format!("{CHANGE} WHERE c.id = (SELECT max(id) FROM change)"))?;
            find.query_row([], change_record).optional()
        })
    }

    fn changes_after(&self, id: ChangeId, limit: u32) -> Result<Vec<ChangeRecord>, StoreError> {
        self.pool.read("changes that are new", |db| {
            let newer = format!("{CHANGE} WHERE c.id > ?1 ORDER BY c.id LIMIT ?2");
            let mut find = db.prepare_cached(&newer)?;
            find.query_map(params![id.0, effective_limit(limit)], change_record)?.collect()
        })
    }

    fn versions(&self, host: &HostId, limit: u32) -> Result<Vec<VersionRecord>, StoreError> {
        self.pool.read("the versions of a host", |db| {
            let Some(host) = names::find(db, FIND_HOST, host.as_str())? else {
                return Ok(Vec::new());
            };
            let mut find = db.prepare_cached(
                "SELECT n.name, v.domain, v.generation, v.digest, v.observed_at, v.received_at,
                     v.corrected_at, v.uncertainty_ms, v.coalesced, v.expired, v.origin
                 FROM version v JOIN source_name n ON n.id = v.source WHERE v.host = ?1
                 ORDER BY v.received_at DESC, n.name, v.ordinal DESC LIMIT ?2",
            )?;
            find.query_map(params![host, effective_limit(limit)], version_record)?.collect()
        })
    }

    fn section_versions(
        &self,
        (host, source): (&HostId, &SourceName),
        (from, to): (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<Vec<VersionRecord>, StoreError> {
        self.pool.read("the versions of a section", |db| {
            let host = names::find(db, FIND_HOST, host.as_str())?;
            let source = names::find(db, FIND_SOURCE, source.as_str())?;
            let (Some(host), Some(source)) = (host, source) else { return Ok(Vec::new()) };
            let mut find = db.prepare_cached(
                "SELECT n.name, v.domain, v.generation, v.digest, v.observed_at, v.received_at,
                     v.corrected_at, v.uncertainty_ms, v.coalesced, v.expired, v.origin
                 FROM version v JOIN source_name n ON n.id = v.source
                 WHERE v.host = ?1 AND v.source = ?2 AND v.corrected_at BETWEEN ?3 AND ?4
                 ORDER BY v.ordinal DESC LIMIT ?5",
            )?;
            let values = params![host, source, At(from), At(to), effective_limit(limit)];
            find.query_map(values, version_record)?.collect()
        })
    }

    fn manifest_at(
        &self,
        host: &HostId,
        source: &SourceName,
        at: Timestamp,
    ) -> Result<Option<Manifest>, StoreError> {
        self.pool.read("a manifest of the past", |db| {
            let host = names::find(db, FIND_HOST, host.as_str())?;
            let source = names::find(db, FIND_SOURCE, source.as_str())?;
            let (Some(host), Some(source)) = (host, source) else { return Ok(None) };
            let mut standing = db.prepare_cached(
                "SELECT ordinal FROM version WHERE host = ?1 AND source = ?2 AND corrected_at <= ?3
                 ORDER BY ordinal DESC LIMIT 1",
            )?;
            let standing = standing.query_row(params![host, source, At(at)], |row| row.get(0));
            let standing: Option<i64> = standing.optional()?;
            standing.map(|ordinal| manifest(db, (host, source), ordinal)).transpose()
        })
    }

    fn placed_events(
        &self,
        filter: &EventFilter,
    ) -> Result<Vec<(Cursor, EventRecord)>, StoreError> {
        self.pool.read("events", |db| {
            let host = filter.host.as_ref().map(|h| names::find(db, FIND_HOST, h.as_str()));
            let host = host.transpose()?;
            if host == Some(None) {
                return Ok(Vec::new());
            }
            // Every text of the query takes every value, whether it asks for it or not.
            let mut terms = vec!["?1 IS ?1", "?2 IS ?2", "?3 IS ?3", "?5 IS ?5", "?6 IS ?6"];
            terms.extend(host.map(|_| "e.host = ?1"));
            terms.extend(filter.kind.map(|_| "e.kind = ?5"));
            terms.extend(filter.from.map(|_| "e.at >= ?6"));
            terms.extend(filter.after.map(|_| "(e.at, e.id) < (?2, ?3)"));
            let mut find = db.prepare_cached(&format!(
                "SELECT e.at, h.name, e.kind, e.detail, e.id
                 FROM event e LEFT JOIN host_name h ON h.id = e.host
                 WHERE {} ORDER BY e.at DESC, e.id DESC LIMIT ?4",
                terms.join(" AND ")
            ))?;
            let (at, number) = (filter.after.map(|p| At(p.at)), filter.after.map(|p| p.number));
            let limit = effective_limit(filter.limit);
            let placed = |row: &Row<'_>| {
                let event = event_record(row)?;
                Ok((Cursor { at: event.at, number: row.get(4)? }, event))
            };
            let (kind, from) = (filter.kind.map(EventKind::as_str), filter.from.map(At));
            find.query_map(params![host.flatten(), at, number, limit, kind, from], placed)?
                .collect()
        })
    }

    fn totals(&self) -> Result<Totals, StoreError> {
        let mut totals = self.pool.read("the sums", |db| {
            let mut find = db.prepare_cached("SELECT name, value FROM counter")?;
            let mut totals = Totals::default();
            let rows = find.query_map([], |row| Ok((row.get::<_, String>(0)?, bits(row, 1)?)))?;
            for row in rows {
                let (name, value) = row?;
                add_total(&mut totals, &name, value);
            }
            Ok(totals)
        })?;
        // A file that is not there, or is being replaced, takes no room: the sum is for a gauge.
        let size = |ending| fs::metadata(beside(self.pool.path(), ending)).map_or(0, |m| m.len());
        totals.bytes = size("") + size("-wal");
        Ok(totals)
    }
}

fn add_total(totals: &mut Totals, name: &str, value: u64) {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        ["parts"] => totals.parts = value,
        ["versions"] => totals.versions = value,
        ["cases"] => totals.cases = value,
        ["cases_beyond"] => totals.cases_beyond = value,
        ["case_words_left_out"] => totals.case_words_left_out = value,
        ["changes", domain, kind] => {
            let domain = Domain::ALL.into_iter().find(|d| d.as_str() == *domain);
            let kind = ChangeKind::ALL.into_iter().find(|k| k.as_str() == *kind);
            totals.changes.extend(domain.zip(kind).map(|of| (of, value)));
        }
        ["classes", domain, class] => {
            let domain = Domain::ALL.into_iter().find(|d| d.as_str() == *domain);
            let class = ChangeClass::ALL.into_iter().find(|c| c.as_str() == *class);
            totals.classes.extend(domain.zip(class).map(|of| (of, value)));
        }
        ["events", kind] => {
            let kind = EventKind::ALL.into_iter().find(|k| k.as_str() == *kind);
            totals.events.extend(kind.map(|kind| (kind, value)));
        }
        _ => {} // counters for the store's own use
    }
}

/// The query for `filter`; `None` when a name in it is not known, so nothing can match.
///
/// Columns after the first are written `+column` where another index serves better, so that the
/// planner, which has no statistics, takes the index of the narrowest.
pub(super) fn compose(
    db: &Connection,
    filter: &ChangeFilter,
) -> rusqlite::Result<Option<(String, Values)>> {
    let mut terms = Terms::default();
    let named = [
        ("c.host", FIND_HOST, filter.host.as_ref().map(HostId::as_str)),
        ("c.source", FIND_SOURCE, filter.source.as_ref().map(SourceName::as_str)),
        ("+c.part", FIND_PART, filter.part.as_ref().map(PartName::as_str)),
    ];
    for (column, find, asked) in named {
        let Some(asked) = asked else { continue };
        let Some(number) = names::find(db, find, asked)? else { return Ok(None) };
        let plus = if terms.values.is_empty() { "" } else { "+" };
        terms.add(&format!("{plus}{column} ="), number.into());
    }
    if let Some(from) = filter.from {
        terms.add("c.at >=", At(from).nanoseconds().into());
    }
    if let Some(to) = filter.to {
        terms.add("c.at <", At(to).nanoseconds().into());
    }
    if let Some(before) = filter.before {
        let mut find = db.prepare_cached("SELECT at FROM change WHERE id = ?1")?;
        let Some(at) = find.query_row([before.0], |row| row.get::<_, i64>(0)).optional()? else {
            return Ok(None); // retention took it, and so everything older
        };
        terms.add("c.at <=", at.into());
        let older = format!("(c.at < ?{0} OR +c.id <", terms.values.len());
        terms.add(&older, before.0.into());
        terms.close();
    }
    let kinds = ChangeKind::ALL.into_iter().filter(|kind| filter.kinds.contains(kind));
    terms.add_words("c.kind", kinds.map(ChangeKind::as_str));
    if !filter.classes.is_empty() {
        let classes = ChangeClass::ALL.into_iter().filter(|class| filter.classes.contains(class));
        terms.add_words("c.class", classes.map(ChangeClass::as_str));
        terms.text.push_str(" AND c.class <> ''"); // said aloud, so that its index serves
    }
    let limit = i64::from(effective_limit(filter.limit));
    Ok(Some(terms.finish(limit)))
}

/// The terms of a query as they come together, each with its value.
#[derive(Default)]
struct Terms {
    text: String,
    values: Values,
}

impl Terms {
    fn add(&mut self, term: &str, value: Value) {
        let joint = if self.text.is_empty() { "WHERE" } else { "AND" };
        self.values.push(value);
        self.text.push_str(&format!(" {joint} {term} ?{}", self.values.len()));
    }

    fn close(&mut self) {
        self.text.push(')');
    }

    fn add_words(&mut self, column: &str, mut words: impl Iterator<Item = &'static str>) {
        let Some(first) = words.next() else { return };
        self.add(&format!("{column} IN ("), first.to_owned().into());
        for word in words {
            self.values.push(word.to_owned().into());
            self.text.push_str(&format!(", ?{}", self.values.len()));
        }
        self.close();
    }

    fn finish(mut self, limit: i64) -> (String, Values) {
        self.values.push(limit.into());
        let last = self.values.len();
        let query = format!("{CHANGE} {} ORDER BY c.at DESC, c.id DESC LIMIT ?{last}", self.text);
        (query, self.values)
    }
}

/// The manifest of the version `ordinal`: what stands since before, and what did then.
fn manifest(
    db: &Connection,
    (host, source): (i64, i64),
    ordinal: i64,
) -> rusqlite::Result<Manifest> {
    let mut find = db.prepare_cached(
        "SELECT n.name, d.digest FROM (
             SELECT part, digest FROM part_now
             WHERE host = ?1 AND source = ?2 AND since <= ?3
             UNION ALL
             SELECT part, digest FROM part_past
             WHERE host = ?1 AND source = ?2 AND until > ?3 AND since <= ?3
         ) AS stood JOIN part_name n ON n.id = stood.part JOIN part d ON d.id = stood.digest",
    )?;
    let rows = find.query_map(params![host, source, ordinal], |row| {
        Ok((name(row, 0)?, Digest(row.get(1)?)))
    })?;
    rows.collect::<Result<BTreeMap<_, _>, _>>().map(Manifest)
}

pub(super) fn change_record(row: &Row<'_>) -> rusqlite::Result<ChangeRecord> {
    let key: Option<super::codec::Key> = row.get(7)?;
    Ok(ChangeRecord {
        id: ChangeId(row.get(0)?),
        host: name(row, 1)?,
        source: name(row, 2)?,
        domain: word(row, 3)?,
        generation: Generation(bits(row, 4)?),
        at: at(row, 5)?,
        change: Change {
            part: name(row, 6)?,
            key: key.map(|key| key.0),
            kind: word(row, 8)?,
            before: json(row, 9)?,
            after: json(row, 10)?,
        },
        classified: json(row, 11)?,
    })
}

fn version_record(row: &Row<'_>) -> rusqlite::Result<VersionRecord> {
    Ok(VersionRecord {
        source: name(row, 0)?,
        domain: word(row, 1)?,
        generation: Generation(bits(row, 2)?),
        digest: Digest(row.get(3)?),
        observed_at: at(row, 4)?,
        received_at: at(row, 5)?,
        corrected_at: at(row, 6)?,
        uncertainty_ms: bits(row, 7)?,
        coalesced: bits(row, 8)?,
        expired: bits(row, 9)?,
        origin: word(row, 10)?,
    })
}

fn event_record(row: &Row<'_>) -> rusqlite::Result<EventRecord> {
    let host: Option<super::codec::Name<HostId>> = row.get(1)?;
    Ok(EventRecord {
        at: at(row, 0)?,
        host: host.map(|host| host.0),
        kind: word(row, 2)?,
        detail: row.get(3)?,
    })
}
