//! Suspects, passes and outcomes in the file.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::Reader;
use super::codec::{At, Bits, Json};
use super::write::Batch;
use crate::store::suspect_records::*;
use crate::store::{StoreError, effective_limit};

/// Keeps one suspect under its key; its number stays.
pub(super) fn keep_suspect(batch: &Batch<'_>, suspect: &SuspectRecord) -> rusqlite::Result<()> {
    let mut keep = batch.db.prepare_cached(
        "INSERT INTO suspect (name, at, pass, service, tier, tier_place, score, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (name) DO UPDATE SET
             at = ?2, pass = ?3, service = ?4, tier = ?5, tier_place = ?6, score = ?7, body = ?8",
    )?;
    let plain = SuspectRecord { outcome: None, ..suspect.clone() };
    let tier = suspect.evidence.tier;
    keep.execute(params![
        suspect.key,
        At(suspect.at),
        suspect.pass,
        suspect.candidate.service,
        tier.as_str(),
        tier.place() as i64,
        suspect.evidence.score.unwrap_or(-1.0),
        Json(plain),
    ])?;
    Ok(())
}

/// Keeps one pass, and forgets those no suspect stands by any more.
pub(super) fn keep_pass(batch: &Batch<'_>, pass: &PassRecord) -> rusqlite::Result<()> {
    let mut keep = batch.db.prepare_cached(
        "INSERT INTO correlation_pass (number, body) VALUES (?1, ?2)
         ON CONFLICT (number) DO UPDATE SET body = ?2",
    )?;
    keep.execute(params![pass.number, Json(pass)])?;
    let mut forget = batch.db.prepare_cached(
        "DELETE FROM correlation_pass
         WHERE number < ?1 AND number NOT IN (SELECT pass FROM suspect)",
    )?;
    forget.execute([pass.number]).map(drop)
}

/// Removes suspects the last pass did not find any more, unless a person said something of them.
pub(super) fn drop_suspects(batch: &Batch<'_>, keys: &[String]) -> rusqlite::Result<()> {
    let mut remove = batch.db.prepare_cached(
        "DELETE FROM suspect
         WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM outcome WHERE suspect = suspect.number)",
    )?;
    keys.iter().try_for_each(|key| remove.execute([key]).map(drop))
}

/// Keeps what a person said, and no more of one suspect than [`OUTCOMES_OF_ONE`].
pub(super) fn keep_outcome(batch: &Batch<'_>, outcome: &OutcomeRecord) -> rusqlite::Result<()> {
    let mut keep =
        batch.db.prepare_cached("INSERT INTO outcome (suspect, body) VALUES (?1, ?2)")?;
    keep.execute(params![outcome.suspect, Json(outcome)])?;
    let mut forget = batch.db.prepare_cached(
        "DELETE FROM outcome WHERE suspect = ?1 AND id <= (
             SELECT id FROM outcome WHERE suspect = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?;
    forget.execute(params![outcome.suspect, Bits(OUTCOMES_OF_ONE as u64)]).map(drop)
}

/// Removes the oldest suspects from before `before`, at most `left`; says how many went.
pub(super) fn remove_suspects(
    batch: &Batch<'_>,
    before: Timestamp,
    left: u64,
) -> rusqlite::Result<u64> {
    let mut remove = batch.db.prepare_cached(
        "DELETE FROM suspect WHERE number IN
             (SELECT number FROM suspect WHERE at < ?1 ORDER BY at, number LIMIT ?2)",
    )?;
    Ok(remove.execute(params![At(before), Bits(left)])? as u64)
}

fn suspect(row: &Row<'_>) -> rusqlite::Result<SuspectRecord> {
    let number = row.get(0)?;
    let record: Json<SuspectRecord> = row.get(1)?;
    let outcome: Option<Json<OutcomeRecord>> = row.get(2)?;
    Ok(SuspectRecord { number, outcome: outcome.map(|outcome| outcome.0), ..record.0 })
}

impl ReadSuspects for Reader {
    fn suspects(&self, filter: &SuspectFilter) -> Result<Vec<SuspectRecord>, StoreError> {
        self.pool.read("suspects", |db| {
            // Every text of the query takes every value, whether it asks for it or not.
            let mut terms: Vec<&str> =
                vec!["?1 IS ?1", "?2 IS ?2", "?3 IS ?3", "?4 IS ?4", "?5 IS ?5"];
            let SuspectFilter { number, service, tier, from, to, limit } = filter;
            terms.extend(number.map(|_| "number = ?1"));
            terms.extend(service.as_ref().map(|_| "(service = ?2 OR service IS NULL)"));
            terms.extend(tier.map(|_| "tier = ?3"));
            terms.extend(from.map(|_| "at >= ?4"));
            terms.extend(to.map(|_| "at < ?5"));
            let mut find = db.prepare_cached(&format!(
                "SELECT number, body, (SELECT body FROM outcome WHERE suspect = suspect.number
                     ORDER BY id DESC LIMIT 1)
                 FROM suspect WHERE {} ORDER BY tier_place, score DESC, number LIMIT ?6",
                terms.join(" AND ")
            ))?;
            let tier = tier.map(|tier| tier.as_str());
            let limit = effective_limit(*limit);
            let values = params![number, service, tier, from.map(At), to.map(At), limit];
            find.query_map(values, suspect)?.collect()
        })
    }

    fn pass(&self, number: i64) -> Result<Option<PassRecord>, StoreError> {
        self.pool.read("a pass of the engine", |db| {
            let find = "SELECT body FROM correlation_pass WHERE number = ?1";
            let mut find = db.prepare_cached(find)?;
            let pass = |row: &Row<'_>| Ok(row.get::<_, Json<PassRecord>>(0)?.0);
            find.query_row([number], pass).optional()
        })
    }

    fn last_pass(&self) -> Result<i64, StoreError> {
        self.pool.read("the number of the last pass", |db| {
            let last = "SELECT coalesce(max(number), 0) FROM correlation_pass";
            db.prepare_cached(last)?.query_row([], |row| row.get(0))
        })
    }

    fn outcomes(&self) -> Result<Vec<OutcomeRecord>, StoreError> {
        self.pool.read("what people said of suspects", |db| {
            let mut find = db.prepare_cached("SELECT body FROM outcome ORDER BY id")?;
            let outcome = |row: &Row<'_>| Ok(row.get::<_, Json<OutcomeRecord>>(0)?.0);
            find.query_map([], outcome)?.collect()
        })
    }
}
