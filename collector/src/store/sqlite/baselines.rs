//! Baselines and approvals in the file. A group stands among the names of hosts with `@` before
//! its own, which no host's name has.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{Digest, PartName, SourceName};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Reader;
use super::codec::{Json, name};
use super::names::{self, FIND_HOST};
use super::write::Batch;
use crate::analysis::agreement::{Agreed, Covers, EVERYTHING, Layer, Subject};
use crate::config::place::matches;
use crate::store::{
    APPROVALS_KEPT, ApprovalRecord, Baseline, ReadBaselines, StoreError, effective_limit,
};

/// Keeps an approval, and what it speaks of in the place of what was agreed before.
pub(super) fn approve(
    batch: &mut Batch<'_>,
    approval: &ApprovalRecord,
    covers: &BTreeMap<SourceName, Covers>,
) -> rusqlite::Result<()> {
    let subject = batch.names.hosts.number(batch.db, &approval.subject.to_string())?;
    let mut keep = batch.db.prepare_cached(
        "INSERT OR REPLACE INTO approval (number, subject, body) VALUES (?1, ?2, ?3)",
    )?;
    keep.execute(params![approval.number, subject, Json(approval)])?;
    let mut forget = batch.db.prepare_cached(
        "DELETE FROM approval WHERE subject = ?1 AND number <= (SELECT number FROM approval
             WHERE subject = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?;
    forget.execute(params![subject, APPROVALS_KEPT])?;
    if approval.removes() {
        return remove(batch, subject);
    }
    for (source, covers) in covers {
        let source = batch.names.sources.number(batch.db, source.as_str())?;
        let place = (subject, source, approval.number);
        match covers {
            Covers::All { pattern, parts } => {
                speak(batch, place, pattern)?;
                parts
                    .iter()
                    .try_for_each(|(part, digest)| agree(batch, place, (part, Some(digest))))?;
            }
            Covers::Parts(parts) => {
                let all = parts.iter();
                all.map(|(part, digest)| (part, digest.as_ref()))
                    .try_for_each(|part| agree(batch, place, part))?;
            }
        }
    }
    Ok(())
}

/// Forgets all that was agreed of a subject; its approvals stay to be read.
fn remove(batch: &mut Batch<'_>, subject: i64) -> rusqlite::Result<()> {
    let mut find = batch.db.prepare_cached(
        "SELECT digest FROM agreed_part WHERE subject = ?1 AND digest IS NOT NULL",
    )?;
    let digests = find.query_map([subject], |row| row.get(0))?;
    let digests = digests.collect::<Result<Vec<i64>, _>>()?;
    digests.into_iter().for_each(|digest| batch.refer(digest, -1));
    for table in ["agreed_part", "agreed_pattern"] {
        let clear = format!("DELETE FROM {table} WHERE subject = ?1");
        batch.db.prepare_cached(&clear)?.execute([subject])?;
    }
    Ok(())
}

/// Speaks of all parts that follow `pattern`: what was agreed of them before counts no more.
fn speak(
    batch: &mut Batch<'_>,
    (subject, source, approval): (i64, i64, i64),
    pattern: &str,
) -> rusqlite::Result<()> {
    if pattern == EVERYTHING {
        let mut clear = batch
            .db
            .prepare_cached("DELETE FROM agreed_pattern WHERE subject = ?1 AND source = ?2")?;
        clear.execute([subject, source])?;
    }
    let mut keep = batch.db.prepare_cached(
        "INSERT OR REPLACE INTO agreed_pattern (subject, source, pattern, approval)
         VALUES (?1, ?2, ?3, ?4)",
    )?;
    keep.execute(params![subject, source, pattern, approval])?;
    let mut find = batch.db.prepare_cached(
        "SELECT a.part, n.name, a.digest FROM agreed_part a JOIN part_name n ON n.id = a.part
         WHERE a.subject = ?1 AND a.source = ?2",
    )?;
    let agreed = find.query_map([subject, source], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?))
    })?;
    let mut remove = batch.db.prepare_cached(
        "DELETE FROM agreed_part WHERE subject = ?1 AND source = ?2 AND part = ?3",
    )?;
    for (part, name, digest) in agreed.collect::<Result<Vec<_>, _>>()? {
        if matches(pattern, &name) {
            remove.execute([subject, source, part])?;
            digest.into_iter().for_each(|digest| batch.refer(digest, -1));
        }
    }
    Ok(())
}

/// Agrees to one part.
fn agree(
    batch: &mut Batch<'_>,
    (subject, source, approval): (i64, i64, i64),
    (part, digest): (&PartName, Option<&Digest>),
) -> rusqlite::Result<()> {
    let part = batch.part(part)?;
    let digest = digest.map(|digest| batch.digest(digest)).transpose()?;
    let mut find = batch.db.prepare_cached(
        "SELECT digest FROM agreed_part WHERE subject = ?1 AND source = ?2 AND part = ?3",
    )?;
    let before: Option<Option<i64>> =
        find.query_row([subject, source, part], |row| row.get(0)).optional()?;
    let mut keep = batch.db.prepare_cached(
        "INSERT OR REPLACE INTO agreed_part (subject, source, part, digest, approval)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    keep.execute(params![subject, source, part, digest, approval])?;
    before.flatten().into_iter().for_each(|digest| batch.refer(digest, -1));
    digest.into_iter().for_each(|digest| batch.refer(digest, 1));
    Ok(())
}

impl ReadBaselines for Reader {
    fn baseline(&self, subject: &Subject) -> Result<Option<Baseline>, StoreError> {
        self.pool.read("a baseline", |db| {
            let Some(number) = names::find(db, FIND_HOST, &subject.to_string())? else {
                return Ok(None);
            };
            let mut find = db.prepare_cached(
                "SELECT body FROM approval WHERE subject = ?1 ORDER BY number DESC LIMIT 1",
            )?;
            let Some(approval) = find.query_row([number], approval).optional()? else {
                return Ok(None);
            };
            if approval.removes() {
                return Ok(None);
            }
            Ok(Some(Baseline { sections: layers(db, number)?, approval }))
        })
    }

    fn baseline_sources(&self, subject: &Subject) -> Result<BTreeSet<SourceName>, StoreError> {
        self.pool.read("the sections of a baseline", |db| {
            let Some(number) = names::find(db, FIND_HOST, &subject.to_string())? else {
                return Ok(BTreeSet::new());
            };
            let mut find = db.prepare_cached(
                "SELECT name FROM source_name WHERE id IN (
                     SELECT source FROM agreed_pattern WHERE subject = ?1
                     UNION SELECT source FROM agreed_part WHERE subject = ?1)",
            )?;
            find.query_map([number], |row| name(row, 0))?.collect()
        })
    }

    fn baseline_part(
        &self,
        subject: &Subject,
        source: &SourceName,
        part: &PartName,
    ) -> Result<Option<Agreed>, StoreError> {
        self.pool.read("a part of a baseline", |db| {
            let subject = subject.to_string();
            let mut find = db.prepare_cached(
                "SELECT a.approval, d.digest FROM agreed_part a
                 JOIN host_name h ON h.id = a.subject JOIN source_name s ON s.id = a.source
                 JOIN part_name n ON n.id = a.part LEFT JOIN part d ON d.id = a.digest
                 WHERE h.name = ?1 AND s.name = ?2 AND n.name = ?3",
            )?;
            let names = [subject.as_str(), source.as_str(), part.as_str()];
            if let Some(agreed) = find.query_row(names, |row| agreed(row, 0)).optional()? {
                return Ok(Some(agreed));
            }
            let mut find = db.prepare_cached(
                "SELECT p.pattern, p.approval FROM agreed_pattern p
                 JOIN host_name h ON h.id = p.subject JOIN source_name s ON s.id = p.source
                 WHERE h.name = ?1 AND s.name = ?2",
            )?;
            let mut layer = Layer::default();
            let mut rows = find.query([subject.as_str(), source.as_str()])?;
            while let Some(row) = rows.next()? {
                layer.spoken.insert(row.get(0)?, row.get(1)?);
            }
            Ok(layer.says(part))
        })
    }

    fn baselines(&self, after: &str, limit: u32) -> Result<Vec<ApprovalRecord>, StoreError> {
        self.pool.read("the baselines", |db| {
            let mut find = db.prepare_cached(
                "SELECT (SELECT body FROM approval WHERE subject = h.id
                     ORDER BY number DESC LIMIT 1)
                 FROM host_name h WHERE h.name > ?1
                     AND EXISTS (SELECT 1 FROM approval WHERE subject = h.id)
                     AND (EXISTS (SELECT 1 FROM agreed_pattern WHERE subject = h.id)
                         OR EXISTS (SELECT 1 FROM agreed_part WHERE subject = h.id))
                 ORDER BY h.name LIMIT ?2",
            )?;
            find.query_map(params![after, effective_limit(limit)], approval)?.collect()
        })
    }

    fn approvals(
        &self,
        subject: Option<&Subject>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ApprovalRecord>, StoreError> {
        self.pool.read("approvals", |db| {
            let name = subject.map(ToString::to_string);
            let number = name.map(|name| names::find(db, FIND_HOST, &name)).transpose()?;
            if number == Some(None) {
                return Ok(Vec::new());
            }
            let mut find = db.prepare_cached(match number {
                None => {
                    "SELECT body FROM approval WHERE number < ?2 AND ?1 IS NULL
                     ORDER BY number DESC LIMIT ?3"
                }
                Some(_) => {
                    "SELECT body FROM approval WHERE subject = ?1 AND number < ?2
                     ORDER BY number DESC LIMIT ?3"
                }
            })?;
            let before = before.unwrap_or(i64::MAX);
            let values = params![number.flatten(), before, effective_limit(limit)];
            find.query_map(values, approval)?.collect()
        })
    }
}

fn approval(row: &Row<'_>) -> rusqlite::Result<ApprovalRecord> {
    Ok(row.get::<_, Json<ApprovalRecord>>(0)?.0)
}

/// An approval's number and the digest behind it.
fn agreed(row: &Row<'_>, index: usize) -> rusqlite::Result<Agreed> {
    let digest: Option<[u8; 32]> = row.get(index + 1)?;
    Ok(Agreed { approval: row.get(index)?, digest: digest.map(Digest) })
}

fn layers(db: &Connection, subject: i64) -> rusqlite::Result<BTreeMap<SourceName, Layer>> {
    let mut layers: BTreeMap<SourceName, Layer> = BTreeMap::new();
    let mut find = db.prepare_cached(
        "SELECT s.name, p.pattern, p.approval FROM agreed_pattern p
         JOIN source_name s ON s.id = p.source WHERE p.subject = ?1",
    )?;
    let mut rows = find.query([subject])?;
    while let Some(row) = rows.next()? {
        let layer = layers.entry(name(row, 0)?).or_default();
        layer.spoken.insert(row.get(1)?, row.get(2)?);
    }
    let mut find = db.prepare_cached(
        "SELECT s.name, n.name, a.approval, d.digest FROM agreed_part a
         JOIN source_name s ON s.id = a.source JOIN part_name n ON n.id = a.part
         LEFT JOIN part d ON d.id = a.digest WHERE a.subject = ?1",
    )?;
    let mut rows = find.query([subject])?;
    while let Some(row) = rows.next()? {
        let layer = layers.entry(name(row, 0)?).or_default();
        layer.parts.insert(name(row, 1)?, agreed(row, 2)?);
    }
    Ok(layers)
}
