//! The words of cases as small numbers, and how many of them each source may bring.
//!
//! A word is written once, whoever says it, and counts for the source that said it first. So what
//! one source makes up leaves every other its own words; what is said already costs nobody
//! anything. Names of sources are among the words and never left out.

use std::collections::BTreeMap;

use driftline_protocol::mutant::{self, Mutant};
use rusqlite::{Connection, params};

use super::codec::bits;
use super::write::Batch;
use crate::store::case_records::SOURCE_WORDS;

/// The sum that says how many words a source, by its number, brought; 0 are words of nobody.
const OF_SOURCE: &str = "case_words_of/";

/// The sum of words of a source that were left out since it last had room.
pub(super) const BEYOND: &str = "case_words_beyond/";

/// Words of all sources that were left out since the store was made.
const LEFT_OUT: &str = "case_words_left_out";

/// From so many words of one source on it is worth reading all cases to find those that nothing
/// says any more.
const WORTH_A_LOOK: u64 = SOURCE_WORDS / 4 * 3;

/// The number of a word that a source, by its number, says. `None` for a new one of a source that
/// brought [`SOURCE_WORDS`], which is counted.
pub(super) fn word(
    batch: &mut Batch<'_>,
    (source, word): (i64, &str),
) -> rusqlite::Result<Option<i64>> {
    if word.is_empty() {
        return blank(batch).map(Some);
    }
    if let Some(number) = batch.names.words.found(batch.db, word)? {
        return Ok(Some(number));
    }
    let source = if mutant::active(Mutant::CaseWordsAreShared) { 0 } else { source };
    let brought = format!("{OF_SOURCE}{source}");
    if batch.counted(&brought)? >= SOURCE_WORDS.cast_signed() {
        batch.count(LEFT_OUT, 1);
        batch.count(&format!("{BEYOND}{source}"), 1);
        return Ok(None);
    }
    batch.count(&brought, 1);
    let number = batch.names.words.number(batch.db, word)?;
    let mut note = batch.db.prepare_cached("UPDATE case_word SET brought_by = ?2 WHERE id = ?1")?;
    note.execute([number, source])?;
    Ok(Some(number))
}

/// The number of what says nothing.
pub(super) fn blank(batch: &mut Batch<'_>) -> rusqlite::Result<i64> {
    batch.names.words.number(batch.db, "")
}

/// Words that no case and no past of a case says.
const UNSAID: &str = "DELETE FROM case_word WHERE id NOT IN (
         SELECT source FROM support_case UNION SELECT service FROM support_case
         UNION SELECT site FROM support_case UNION SELECT category FROM support_case
         UNION SELECT team FROM support_case UNION SELECT priority FROM support_case
         UNION SELECT service FROM case_past UNION SELECT site FROM case_past
         UNION SELECT category FROM case_past)";

/// Words of a source that has no case any more, and that others say too, are nobody's: its number
/// may become that of another.
const DISOWN: &str = "UPDATE case_word SET brought_by = 0 WHERE brought_by <> 0 AND NOT EXISTS
         (SELECT 1 FROM support_case WHERE source = case_word.brought_by)";

/// Removes words that nothing says any more, where a source has so many that it is worth it.
pub(super) fn drop_unsaid(batch: &mut Batch<'_>) -> rusqlite::Result<()> {
    let sums = sums(batch.db)?;
    if sums.values().all(|brought| *brought < WORTH_A_LOOK) {
        return Ok(());
    }
    batch.db.execute(UNSAID, [])?;
    batch.db.execute(DISOWN, [])?;
    batch.names.words.clear();
    let left = owned(batch.db)?;
    for source in sums.into_keys() {
        let count = left.get(&source).copied().unwrap_or_default();
        set(batch, &format!("{OF_SOURCE}{source}"), count)?;
        if count < SOURCE_WORDS.cast_signed() {
            set(batch, &format!("{BEYOND}{source}"), 0)?;
        }
    }
    Ok(())
}

fn set(batch: &mut Batch<'_>, name: &str, value: i64) -> rusqlite::Result<()> {
    let known = batch.counted(name)?;
    batch.count(name, value - known);
    Ok(())
}

/// How many words each source brought, by its number.
fn sums(db: &Connection) -> rusqlite::Result<BTreeMap<i64, u64>> {
    let mut find = db.prepare_cached(
        "SELECT cast(substr(name, 1 + length(?1)) AS INTEGER), value FROM counter
         WHERE substr(name, 1, length(?1)) = ?1",
    )?;
    find.query_map(params![OF_SOURCE], |row| Ok((row.get(0)?, bits(row, 1)?)))?.collect()
}

/// The same, counted; those of nobody are not.
fn owned(db: &Connection) -> rusqlite::Result<BTreeMap<i64, i64>> {
    let count = "SELECT brought_by, count(*) FROM case_word WHERE brought_by <> 0 GROUP BY 1";
    let mut find = db.prepare_cached(count)?;
    find.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Every word by its number, in the order of numbers.
pub(super) fn all_words(db: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut find = db.prepare_cached("SELECT id, name FROM case_word ORDER BY id")?;
    find.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
