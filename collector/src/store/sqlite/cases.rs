//! Cases in the file: written one by one, counted from one scan.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::Reader;
use super::case_words::{self, all_words};
use super::codec::{At, Bits, Word, at, bits, word};
use super::write::Batch;
use crate::store::case_records::*;
use crate::store::{Cursor, StoreError, effective_limit};

/// What of a case may change, as it stands in the table.
#[derive(PartialEq, Eq)]
struct FactsRow {
    words: [i64; 5],
    status: CaseStatus,
    resolved_at: Option<i64>,
    due_at: Option<i64>,
    parent: String,
}

impl FactsRow {
    /// See [`CaseFacts::counts_as`].
    fn counts_as(&self, other: &Self) -> bool {
        let place = |facts: &Self| {
            let [service, site, category, ..] = facts.words;
            [service, site, category]
        };
        place(self) == place(other) && self.parent == other.parent
    }
}

const FACTS: &str = "service, site, category, team, priority, status, resolved_at, due_at, parent";

/// Keeps one case: makes it, or replaces what may change of it. A word that its source has no room
/// for stays what it was.
pub(super) fn keep_case(batch: &mut Batch<'_>, case: &CaseRecord) -> rusqlite::Result<()> {
    // A source is never left out: cases of two would be taken for those of one.
    let source = batch.names.words.number(batch.db, &case.source)?;
    let mut find = batch.db.prepare_cached(&format!(
        "SELECT id, {FACTS} FROM support_case WHERE source = ?1 AND case_id = ?2"
    ))?;
    let known = find.query_row(params![source, case.id], |row| {
        let words = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
        let (status, resolved_at, due_at) = (word(row, 6)?, row.get(7)?, row.get(8)?);
        let parent = row.get(9)?;
        Ok((row.get(0)?, FactsRow { words, status, resolved_at, due_at, parent }))
    });
    let known = known.optional()?;
    let before = known.as_ref().map(|(_, facts): &(i64, FactsRow)| facts.words);
    let new = facts_row(batch, &case.facts, (source, before))?;
    match known {
        None => add(batch, case, (source, &new)),
        Some((_, known)) if known == new => Ok(()),
        Some((id, known)) => {
            if !known.counts_as(&new) {
                keep_past(batch, (id, case.received_at), &known)?;
            }
            replace(batch, id, &new)
        }
    }
}

fn facts_row(
    batch: &mut Batch<'_>,
    facts: &CaseFacts,
    (source, before): (i64, Option<[i64; 5]>),
) -> rusqlite::Result<FactsRow> {
    let CaseFacts { service, site, category, team, priority, .. } = facts;
    let mut words = before.map_or_else(|| case_words::blank(batch).map(|no| [no; 5]), Ok)?;
    for (number, text) in words.iter_mut().zip([service, site, category, team, priority]) {
        *number = case_words::word(batch, (source, text.as_str()))?.unwrap_or(*number);
    }
    Ok(FactsRow {
        words,
        status: facts.status,
        resolved_at: facts.resolved_at.map(|at| At(at).nanoseconds()),
        due_at: facts.due_at.map(|at| At(at).nanoseconds()),
        parent: facts.parent.clone(),
    })
}

fn add(
    batch: &mut Batch<'_>,
    case: &CaseRecord,
    (source, facts): (i64, &FactsRow),
) -> rusqlite::Result<()> {
    let mut add = batch.db.prepare_cached(&format!(
        "INSERT INTO support_case (source, case_id, opened_at, recorded_at, received_at, {FACTS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
    ))?;
    let [service, site, category, team, priority] = facts.words;
    add.execute(params![
        source,
        case.id,
        At(case.opened_at),
        case.recorded_at.map(At),
        At(case.received_at),
        service,
        site,
        category,
        team,
        priority,
        Word(facts.status),
        facts.resolved_at,
        facts.due_at,
        facts.parent
    ])?;
    batch.count("cases", 1);
    count_of_source(batch, source, 1)
}

/// Keeps how a case counted before, and no more of that than [`CASE_PAST`].
fn keep_past(
    batch: &Batch<'_>,
    (id, now): (i64, Timestamp),
    known: &FactsRow,
) -> rusqlite::Result<()> {
    let [service, site, category, ..] = known.words;
    let mut keep = batch.db.prepare_cached(
        "INSERT INTO case_past (of_case, replaced_at, service, site, category, parent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    keep.execute(params![id, At(now), service, site, category, known.parent])?;
    let mut forget = batch.db.prepare_cached(
        "DELETE FROM case_past WHERE of_case = ?1 AND id <= (
             SELECT id FROM case_past WHERE of_case = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?;
    forget.execute(params![id, Bits(CASE_PAST as u64)]).map(drop)
}

/// The sum that says how many cases of a source, by its number, are kept.
fn sum_of_source(source: i64) -> String {
    format!("{OF_SOURCE}{source}")
}

const OF_SOURCE: &str = "cases_of/";

/// Adds `by` to the cases of a source; where nobody counted them yet they are counted now.
fn count_of_source(batch: &mut Batch<'_>, source: i64, by: i64) -> rusqlite::Result<()> {
    let name = sum_of_source(source);
    if batch.counted(&name)? > 0 {
        batch.count(&name, by);
        return Ok(());
    }
    let count = "SELECT count(*) FROM support_case WHERE source = ?1";
    let all: i64 = batch.db.prepare_cached(count)?.query_row([source], |row| row.get(0))?;
    let known = batch.counted(&name)?;
    batch.count(&name, all - known);
    Ok(())
}

fn replace(batch: &Batch<'_>, id: i64, new: &FactsRow) -> rusqlite::Result<()> {
    let mut replace = batch.db.prepare_cached(
        "UPDATE support_case SET service = ?2, site = ?3, category = ?4, team = ?5, priority = ?6,
             status = ?7, resolved_at = ?8, due_at = ?9, parent = ?10 WHERE id = ?1",
    )?;
    let [service, site, category, team, priority] = new.words;
    let (resolved_at, due_at) = (new.resolved_at, new.due_at);
    let status = Word(new.status);
    let words = params![
        id,
        service,
        site,
        category,
        team,
        priority,
        status,
        resolved_at,
        due_at,
        new.parent
    ];
    replace.execute(words).map(drop)
}

/// Notes what a reading of a source came to.
pub(super) fn note_reading(batch: &Batch<'_>, reading: &CaseReading) -> rusqlite::Result<()> {
    let mut find = batch.db.prepare_cached(&feed_query("WHERE source = ?1"))?;
    let known = find.query_row([&reading.source], feed).optional()?;
    let next = FeedRecord::after(known.as_ref(), reading);
    let mut note = batch.db.prepare_cached(
        "INSERT INTO case_feed (source, first_good, last_good, last_read, rows, refused, problem)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (source) DO UPDATE SET
             first_good = ?2, last_good = ?3, last_read = ?4, rows = ?5, refused = ?6,
             problem = ?7",
    )?;
    note.execute(params![
        next.source,
        next.first_good.map(At),
        next.last_good.map(At),
        At(next.last_read),
        Bits(next.rows),
        Bits(next.refused),
        next.problem
    ])?;
    Ok(())
}

/// Removes the oldest cases from before `before`, at most `left`; says how many went.
pub(super) fn remove_cases(
    batch: &mut Batch<'_>,
    before: Timestamp,
    left: u64,
) -> rusqlite::Result<u64> {
    let mut gone = remove_oldest_cases(batch, before, left)?;
    for (source, over) in sources_beyond(batch)? {
        let over = over.min(left - gone);
        let removed = remove_of_source(batch, source, over)?;
        batch.count("cases_beyond", removed.cast_signed());
        gone += removed;
    }
    if gone > 0 {
        case_words::drop_unsaid(batch)?;
    }
    Ok(gone)
}

/// Sources, by number, that have more cases than they may, and how many more.
fn sources_beyond(batch: &Batch<'_>) -> rusqlite::Result<Vec<(i64, u64)>> {
    let mut find = batch.db.prepare_cached(
        "SELECT cast(substr(name, 1 + length(?1)) AS INTEGER), value - ?2 FROM counter
         WHERE substr(name, 1, length(?1)) = ?1 AND value > ?2 ORDER BY name",
    )?;
    let over = |row: &Row<'_>| Ok((row.get(0)?, bits(row, 1)?));
    find.query_map(params![OF_SOURCE, Bits(SOURCE_CASES)], over)?.collect()
}

fn remove_oldest_cases(
    batch: &mut Batch<'_>,
    before: Timestamp,
    left: u64,
) -> rusqlite::Result<u64> {
    let oldest = "SELECT id FROM support_case WHERE opened_at < ?1 ORDER BY opened_at, id LIMIT ?2";
    remove_found(batch, oldest, (At(before).nanoseconds(), left))
}

fn remove_of_source(batch: &mut Batch<'_>, source: i64, count: u64) -> rusqlite::Result<u64> {
    let oldest = "SELECT id FROM support_case WHERE source = ?1 ORDER BY opened_at, id LIMIT ?2";
    remove_found(batch, oldest, (source, count))
}

/// Removes the cases that `find` finds, given a number and how many at most.
fn remove_found(
    batch: &mut Batch<'_>,
    find: &str,
    (number, most): (i64, u64),
) -> rusqlite::Result<u64> {
    let mut remove = batch.db.prepare_cached(&format!(
        "DELETE FROM support_case WHERE id IN ({find}) RETURNING id, source"
    ))?;
    let gone = remove.query_map(params![number, Bits(most)], |row| Ok((row.get(0)?, row.get(1)?)));
    let gone = gone?.collect::<Result<Vec<(i64, i64)>, _>>()?;
    let mut forget = batch.db.prepare_cached("DELETE FROM case_past WHERE of_case = ?1")?;
    for (case, _) in &gone {
        forget.execute([case])?;
    }
    drop((remove, forget));
    let mut of_source: BTreeMap<i64, i64> = BTreeMap::new();
    gone.iter().for_each(|(_, source)| *of_source.entry(*source).or_default() += 1);
    for (source, count) in of_source {
        let name = sum_of_source(source);
        // Of a source that nobody counted yet the next case that comes has all counted.
        let known = batch.counted(&name)?;
        batch.count(&name, -count.min(known));
    }
    Ok(gone.len() as u64)
}

const CASE: &str =
    "SELECT c.id, o.name, c.case_id, c.opened_at, c.recorded_at, c.received_at, s.name, t.name,
         g.name, m.name, p.name, c.status, c.resolved_at, c.due_at, c.parent
     FROM support_case c
     JOIN case_word o ON o.id = c.source
     JOIN case_word s ON s.id = c.service
     JOIN case_word t ON t.id = c.site
     JOIN case_word g ON g.id = c.category
     JOIN case_word m ON m.id = c.team
     JOIN case_word p ON p.id = c.priority";

/// A feed, and how many words of its source were left out.
fn feed_query(rest: &str) -> String {
    let beyond = case_words::BEYOND;
    format!(
        "SELECT source, first_good, last_good, last_read, rows, refused, problem, coalesce(
             (SELECT value FROM counter WHERE name =
                 (SELECT '{beyond}' || id FROM case_word WHERE name = case_feed.source)), 0)
         FROM case_feed {rest}"
    )
}

fn maybe(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<At>>(index)?.map(|at| at.0))
}

fn case_record(row: &Row<'_>) -> rusqlite::Result<CaseRecord> {
    Ok(CaseRecord {
        number: row.get(0)?,
        source: row.get(1)?,
        id: row.get(2)?,
        opened_at: at(row, 3)?,
        recorded_at: maybe(row, 4)?,
        received_at: at(row, 5)?,
        facts: CaseFacts {
            service: row.get(6)?,
            site: row.get(7)?,
            category: row.get(8)?,
            team: row.get(9)?,
            priority: row.get(10)?,
            status: word(row, 11)?,
            resolved_at: maybe(row, 12)?,
            due_at: maybe(row, 13)?,
            parent: row.get(14)?,
        },
    })
}

fn feed(row: &Row<'_>) -> rusqlite::Result<FeedRecord> {
    Ok(FeedRecord {
        source: row.get(0)?,
        first_good: maybe(row, 1)?,
        last_good: maybe(row, 2)?,
        last_read: at(row, 3)?,
        rows: bits(row, 4)?,
        refused: bits(row, 5)?,
        problem: row.get(6)?,
        words_beyond: bits(row, 7)?,
    })
}

/// Every case that counts once, as it was known: its facts of now, unless they were replaced later.
const COUNTED: &str = "SELECT c.source, c.opened_at, c.recorded_at,
         coalesce(p.service, c.service), coalesce(p.site, c.site),
         coalesce(p.category, c.category)
     FROM support_case c LEFT JOIN case_past p ON p.id =
         (SELECT min(id) FROM case_past WHERE of_case = c.id AND id > ?3)
     WHERE c.opened_at >= ?1 AND c.id <= ?2 AND coalesce(p.parent, c.parent) = ''
     ORDER BY c.opened_at DESC LIMIT ?4";

/// Every case that counts once and is open; the index of the same condition holds only these.
const OPEN: &str = "SELECT source, opened_at, due_at, service, site, category, team, priority
     FROM support_case WHERE status IN ('open', 'pending') AND parent = ''
     ORDER BY due_at IS NULL, due_at, id LIMIT ?1";

/// The name of the word whose number stands at `index`.
fn name<'w>(words: &'w [(i64, String)], row: &Row<'_>, index: usize) -> rusqlite::Result<&'w str> {
    let number: i64 = row.get(index)?;
    let word = words.binary_search_by_key(&number, |(number, _)| *number);
    let word = word.ok().and_then(|place| words.get(place));
    Ok(word.map_or("", |(_, name)| name.as_str()))
}

impl ReadCases for Reader {
    fn cases(&self, filter: &CaseFilter) -> Result<Vec<CaseRecord>, StoreError> {
        self.pool.read("cases", |db| {
            // Every text of the query takes every value, whether it asks for it or not.
            let mut terms: Vec<&str> =
                vec!["?1 IS ?1", "?2 IS ?2", "?3 IS ?3", "?4 IS ?4", "?5 IS ?5", "?6 IS ?6"];
            let CaseFilter { source, id, from, to, after, limit } = filter;
            terms.extend(
                source.as_ref().map(|_| "c.source = (SELECT id FROM case_word WHERE name = ?1)"),
            );
            terms.extend(id.as_ref().map(|_| "c.case_id = ?2"));
            terms.extend(from.map(|_| "c.opened_at >= ?3"));
            terms.extend(to.map(|_| "c.opened_at < ?4"));
            terms.extend(after.map(|_| "(c.opened_at, c.id) < (?5, ?6)"));
            let mut find = db.prepare_cached(&format!(
                "{CASE} WHERE {} ORDER BY c.opened_at DESC, c.id DESC LIMIT ?7",
                terms.join(" AND ")
            ))?;
            let place = |after: Cursor| (At(after.at), after.number);
            let (at, number) = after.map(place).unzip();
            let limit = effective_limit(*limit);
            let values = params![source, id, from.map(At), to.map(At), at, number, limit];
            find.query_map(values, case_record)?.collect()
        })
    }

    fn each_case(
        &self,
        (from, known): (Timestamp, CasesKnown),
        limit: u64,
        take: &mut dyn FnMut(CountedCase<'_>),
    ) -> Result<(), StoreError> {
        self.pool.read("the cases of an evaluation", |db| {
            let words = all_words(db)?;
            let word = |row: &Row<'_>, index: usize| name(&words, row, index);
            let mut find = db.prepare_cached(COUNTED)?;
            let values = params![At(from), known.case, known.update, Bits(limit)];
            let mut rows = find.query(values)?;
            while let Some(row) = rows.next()? {
                take(CountedCase {
                    source: word(row, 0)?,
                    opened_at: at(row, 1)?.as_second(),
                    recorded_at: maybe(row, 2)?.map(Timestamp::as_second),
                    service: word(row, 3)?,
                    site: word(row, 4)?,
                    category: word(row, 5)?,
                });
            }
            Ok(())
        })
    }

    fn each_open_case(
        &self,
        limit: u64,
        take: &mut dyn FnMut(OpenCase<'_>),
    ) -> Result<(), StoreError> {
        self.pool.read("open cases", |db| {
            let words = all_words(db)?;
            let word = |row: &Row<'_>, index: usize| name(&words, row, index);
            let mut find = db.prepare_cached(OPEN)?;
            let mut rows = find.query([Bits(limit)])?;
            while let Some(row) = rows.next()? {
                take(OpenCase {
                    source: word(row, 0)?,
                    opened_at: at(row, 1)?.as_second(),
                    due_at: maybe(row, 2)?.map(Timestamp::as_second),
                    service: word(row, 3)?,
                    site: word(row, 4)?,
                    category: word(row, 5)?,
                    team: word(row, 6)?,
                    priority: word(row, 7)?,
                });
            }
            Ok(())
        })
    }

    fn cases_known(&self) -> Result<CasesKnown, StoreError> {
        self.pool.read("how many cases are known", |db| {
            let last = |table: &str| {
                let last = format!("SELECT coalesce(max(id), 0) FROM {table}");
                db.prepare_cached(&last)?.query_row([], |row| row.get(0))
            };
            Ok(CasesKnown { case: last("support_case")?, update: last("case_past")? })
        })
    }

    fn case_counts(&self, from: Timestamp) -> Result<Vec<CaseCount>, StoreError> {
        self.pool.read("cases by their words", |db| {
            let mut find = db.prepare_cached(
                "SELECT o.name, s.name, t.name, g.name, n FROM (
                     SELECT source, service, site, category, count(*) AS n FROM support_case
                     WHERE opened_at >= ?1 AND parent = '' GROUP BY 1, 2, 3, 4) c
                 JOIN case_word o ON o.id = c.source
                 JOIN case_word s ON s.id = c.service
                 JOIN case_word t ON t.id = c.site
                 JOIN case_word g ON g.id = c.category",
            )?;
            let count = |row: &Row<'_>| {
                let (source, service, site) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let (category, cases) = (row.get(3)?, bits(row, 4)?);
                Ok(CaseCount { source, service, site, category, cases })
            };
            find.query_map([At(from)], count)?.collect()
        })
    }

    fn case_delays(&self, limit: u32) -> Result<Vec<i64>, StoreError> {
        self.pool.read("how long cases take to be known", |db| {
            let mut find = db.prepare_cached(
                "SELECT (coalesce(c.recorded_at, c.received_at) - c.opened_at) / 1000000000
                 FROM support_case c JOIN case_word o ON o.id = c.source
                 LEFT JOIN case_feed f ON f.source = o.name
                 WHERE (c.recorded_at IS NOT NULL OR c.opened_at > f.first_good)
                     AND c.opened_at <= c.received_at
                 ORDER BY c.opened_at DESC, c.id DESC LIMIT ?1",
            )?;
            find.query_map([limit], |row| row.get(0))?.collect()
        })
    }

    fn case_key(&self) -> Result<[u8; 32], StoreError> {
        self.pool.read("the key of what is hidden in cases", |db| {
            let mut find = db.prepare_cached("SELECT value FROM case_key")?;
            find.query_row([], |row| row.get(0))
        })
    }

    fn case_feeds(&self) -> Result<Vec<FeedRecord>, StoreError> {
        self.pool.read("the sources of cases", |db| {
            let mut find = db.prepare_cached(&feed_query("ORDER BY source"))?;
            find.query_map([], feed)?.collect()
        })
    }
}
