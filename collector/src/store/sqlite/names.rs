//! Names as small numbers, each written once.
//!
//! Keeps the numbers of names it has met, so that a batch looks up each name once. What a
//! transaction that failed had numbered must be forgotten: call [`Names::forget`].

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

/// How many names of one kind are remembered: a few megabytes; a fleet of one image has some
/// thousands.
const REMEMBERED: usize = 50_000;

/// The numbers of hosts, sources, part names and words of cases.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) hosts: Kind,
    pub(super) sources: Kind,
    pub(super) parts: Kind,
    pub(super) words: Kind,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            hosts: Kind::new(FIND_HOST, "INSERT INTO host_name (name) VALUES (?1) RETURNING id"),
            sources: Kind::new(
                FIND_SOURCE,
                "INSERT INTO source_name (name) VALUES (?1) RETURNING id",
            ),
            parts: Kind::new(FIND_PART, "INSERT INTO part_name (name) VALUES (?1) RETURNING id"),
            words: Kind::new(FIND_WORD, "INSERT INTO case_word (name) VALUES (?1) RETURNING id"),
        }
    }
}

impl Names {
    /// Forgets everything, since the transaction that may have numbered some of it failed.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// The number of a host, source or part name, for a reader.
pub(super) const FIND_HOST: &str = "SELECT id FROM host_name WHERE name = ?1";
pub(super) const FIND_SOURCE: &str = "SELECT id FROM source_name WHERE name = ?1";
pub(super) const FIND_PART: &str = "SELECT id FROM part_name WHERE name = ?1";

const FIND_WORD: &str = "SELECT id FROM case_word WHERE name = ?1";

/// The numbers of one kind of name.
#[derive(Debug)]
pub(super) struct Kind {
    find: &'static str,
    add: &'static str,
    known: HashMap<Box<str>, i64>,
}

impl Kind {
    fn new(find: &'static str, add: &'static str) -> Self {
        Self { find, add, known: HashMap::new() }
    }

    /// The number of `name`, which gets one if it has none.
    pub(super) fn number(&mut self, db: &Connection, name: &str) -> rusqlite::Result<i64> {
        if let Some(number) = self.found(db, name)? {
            return Ok(number);
        }
        let number = db.prepare_cached(self.add)?.query_row([name], |row| row.get(0))?;
        self.remember(name, number);
        Ok(number)
    }

    /// The number of `name`, if it has one.
    pub(super) fn found(&mut self, db: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
        if let Some(number) = self.known.get(name) {
            return Ok(Some(*number));
        }
        let number = find(db, self.find, name)?;
        if let Some(number) = number {
            self.remember(name, number);
        }
        Ok(number)
    }

    fn remember(&mut self, name: &str, number: i64) {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(name.into(), number);
    }

    /// Forgets what it has met, since some of it was taken away.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

/// The number of `name`, if it has one, by one of the `FIND_` queries.
pub(super) fn find(
    db: &Connection,
    query: &'static str,
    name: &str,
) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached(query)?.query_row([name], |row| row.get(0)).optional()
}
