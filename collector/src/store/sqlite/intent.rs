//! Change requests, and what changes were judged to be, in the file.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::Reader;
use super::codec::{At, Bits, Json, at, bits};
use super::findings::{FINDING, finding_record};
use super::history::{CHANGE, change_record};
use super::write::{Batch, keyed};
use crate::analysis::classify::ChangeClass;
use crate::analysis::classify::request::ChangeRequest;
use crate::analysis::classify::weigh::FindingClass;
use crate::store::intent_records::*;
use crate::store::{ChangeRecord, FindingRecord, StoreError, effective_limit};

/// Keeps one request in the place of what had its name, unless it says nothing new.
pub(super) fn keep_request(batch: &Batch<'_>, request: &ChangeRequest) -> rusqlite::Result<()> {
    let mut find = batch.db.prepare_cached(
        "SELECT body, coalesce(look_from, starts_at), coalesce(look_to, ends_at)
         FROM change_request WHERE source = ?1 AND id = ?2",
    )?;
    let known = find
        .query_row(params![request.source, request.id], |row| {
            Ok((row.get::<_, Json<ChangeRequest>>(0)?.0, at(row, 1)?, at(row, 2)?))
        })
        .optional()?;
    let mut next = request.clone();
    let (mut from, mut to) = (request.start, request.end);
    if let Some((known, look_from, look_to)) = known {
        if known.says_the_same(request) {
            return Ok(());
        }
        next.received_at = known.received_at;
        (from, to) = (from.min(look_from), to.max(look_to));
    }
    let mut keep = batch.db.prepare_cached(
        "INSERT INTO change_request (source, id, starts_at, ends_at, revision, look_from, look_to,
             body)
         VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7)
         ON CONFLICT (source, id) DO UPDATE SET starts_at = ?3, ends_at = ?4,
             revision = revision + 1, look_from = ?5, look_to = ?6, body = ?7",
    )?;
    let (start, end) = (At(next.start), At(next.end));
    let values = params![next.source, next.id, start, end, At(from), At(to), Json(&next)];
    keep.execute(values).map(drop)
}

/// Notes that changes were judged again for a request as it was.
pub(super) fn reconsidered(
    batch: &Batch<'_>,
    (number, revision): (i64, i64),
) -> rusqlite::Result<()> {
    let mut done = batch.db.prepare_cached(
        "UPDATE change_request SET look_from = NULL, look_to = NULL
         WHERE number = ?1 AND revision = ?2",
    )?;
    done.execute([number, revision]).map(drop)
}

/// Keeps what a change was judged to be, if the change is still there.
pub(super) fn judge(batch: &mut Batch<'_>, judgement: &Judgement) -> rusqlite::Result<()> {
    let Judgement { change, classified } = judgement;
    let mut keep = batch.db.prepare_cached(
        "UPDATE change SET class = ?2, because = ?3 WHERE id = ?1
         RETURNING domain, host, source, part, item_key",
    )?;
    let class = classified.decision.class;
    let word = class.map_or("", ChangeClass::as_str);
    let known = keep.query_row(params![change.0, word, Json(classified)], |row| {
        let item: (i64, i64, i64, Option<String>) =
            (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok((row.get::<_, String>(0)?, item))
    });
    let Some((domain, (host, source, part, key))) = known.optional()? else { return Ok(()) };
    let mut mark = batch.db.prepare_cached(
        "UPDATE finding SET to_weigh = 1
         WHERE host = ?1 AND source = ?2 AND part = ?3 AND kind = 'drift' AND is_open = 1
             AND (?4 IS NULL OR item_key IN (?4, ''))",
    )?;
    mark.execute(params![host, source, part, key])?;
    if class.is_some() {
        batch.count(&format!("classes/{domain}/{word}"), 1);
    }
    Ok(())
}

/// Keeps what a drift was found to be made of, if it is still open as it was then.
pub(super) fn weigh(batch: &mut Batch<'_>, weighing: &Weighing) -> rusqlite::Result<()> {
    let Weighing { finding, opened, meant } = weighing;
    let mut keep = batch.db.prepare_cached(
        "UPDATE finding SET to_weigh = 0, class = coalesce(?7, class),
             because = coalesce(?8, because), settles_at = iif(?7 IS NULL, settles_at, ?9)
         WHERE host = ?1 AND source = ?2 AND part = ?3 AND item_key = ?4 AND kind = ?5
             AND kind = 'drift' AND is_open = 1 AND first_seen = ?6",
    )?;
    let class = meant.as_ref().map(|meant| FindingClass::of(Some(meant)).as_str());
    keep.execute(params![
        batch.names.hosts.number(batch.db, finding.host.as_str())?,
        batch.names.sources.number(batch.db, finding.source.as_str())?,
        batch.names.parts.number(batch.db, finding.part.as_str())?,
        keyed(finding),
        finding.kind.as_str(),
        At(*opened),
        class,
        meant.as_ref().map(Json),
        meant.as_ref().and_then(|meant| meant.settles_at).map(At),
    ])?;
    Ok(())
}

/// Removes requests that were over before `before`.
pub(super) fn remove_requests(
    batch: &Batch<'_>,
    before: Timestamp,
    left: u64,
) -> rusqlite::Result<u64> {
    let mut remove = batch.db.prepare_cached(
        "DELETE FROM change_request WHERE number IN
             (SELECT number FROM change_request WHERE ends_at < ?1 ORDER BY ends_at, number
              LIMIT ?2)",
    )?;
    Ok(remove.execute(params![At(before), Bits(left)])? as u64)
}

impl ReadIntent for Reader {
    fn change_requests(&self, filter: &RequestFilter) -> Result<Vec<RequestRecord>, StoreError> {
        self.pool.read("change requests", |db| {
            // Every text of the query takes every value, whether it asks for it or not.
            let mut terms =
                vec!["?1 IS ?1", "?2 IS ?2", "?3 IS ?3", "?4 IS ?4", "?5 IS ?5", "?6 IS ?6"];
            terms.extend(filter.source.as_ref().map(|_| "source = ?1"));
            terms.extend(filter.id.as_ref().map(|_| "id = ?2"));
            terms.extend(filter.from.map(|_| "ends_at > ?3"));
            terms.extend(filter.to.map(|_| "starts_at < ?4"));
            terms.extend(filter.after.map(|_| "(ends_at, number) < (?5, ?6)"));
            let mut find = db.prepare_cached(&format!(
                "SELECT number, revision, body FROM change_request WHERE {}
                 ORDER BY ends_at DESC, number DESC LIMIT ?7",
                terms.join(" AND ")
            ))?;
            let values = params![
                filter.source,
                filter.id,
                filter.from.map(At),
                filter.to.map(At),
                filter.after.map(|place| At(place.at)),
                filter.after.map(|place| place.number),
                effective_limit(filter.limit),
            ];
            find.query_map(values, request_record)?.collect()
        })
    }

    fn count_requests(&self, source: &str) -> Result<u64, StoreError> {
        self.pool.read("the number of change requests", |db| {
            let count = "SELECT count(*) FROM change_request WHERE source = ?1";
            db.prepare_cached(count)?.query_row([source], |row| bits(row, 0))
        })
    }

    fn to_reconsider(&self, limit: u32) -> Result<Vec<Reconsider>, StoreError> {
        self.pool.read("change requests that are new", |db| {
            let mut find = db.prepare_cached(
                "SELECT number, revision, body, look_from, look_to FROM change_request
                 WHERE look_from IS NOT NULL ORDER BY number LIMIT ?1",
            )?;
            let reconsider = |row: &Row<'_>| {
                Ok(Reconsider { record: request_record(row)?, from: at(row, 3)?, to: at(row, 4)? })
            };
            find.query_map([limit], reconsider)?.collect()
        })
    }

    fn unjudged(&self, limit: u32) -> Result<Vec<ChangeRecord>, StoreError> {
        self.pool.read("changes nobody has judged", |db| {
            let mut find = db.prepare_cached(&format!(
                "{CHANGE} WHERE c.class IS NULL ORDER BY c.id LIMIT ?1"
            ))?;
            find.query_map([limit], change_record)?.collect()
        })
    }

    fn request_sources(&self) -> Result<Vec<String>, StoreError> {
        self.pool.read("the sources of change requests", |db| {
            // From one name to the next by the index: there are few, and of each very many rows.
            let mut find = db.prepare_cached(
                "WITH RECURSIVE known (name) AS (
                     SELECT min(source) FROM change_request
                     UNION ALL SELECT (SELECT min(source) FROM change_request WHERE source > name)
                     FROM known WHERE name IS NOT NULL)
                 SELECT name FROM known WHERE name IS NOT NULL ORDER BY name",
            )?;
            find.query_map([], |row| row.get(0))?.collect()
        })
    }

    fn to_weigh(
        &self,
        now: Timestamp,
        behind: i64,
        limit: u32,
    ) -> Result<Vec<FindingRecord>, StoreError> {
        self.pool.read("drift to be weighed", |db| {
            let mut find = db.prepare_cached(&format!(
                "{FINDING} WHERE f.number IN (
                     SELECT number FROM finding WHERE to_weigh = 1
                     UNION SELECT number FROM finding
                     WHERE settles_at IS NOT NULL AND settles_at <= ?1 AND is_open = 1)
                 ORDER BY f.number <= ?3, f.number LIMIT ?2"
            ))?;
            find.query_map(params![At(now), limit, behind], finding_record)?.collect()
        })
    }
}

fn request_record(row: &Row<'_>) -> rusqlite::Result<RequestRecord> {
    let request = row.get::<_, Json<ChangeRequest>>(2)?.0;
    Ok(RequestRecord { number: row.get(0)?, revision: row.get(1)?, request })
}
