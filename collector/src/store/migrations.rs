//! How a store of any older schema becomes one of the newest: numbered steps, forward only.
//!
//! A step that has been released is never edited; the schema they add up to stands in `schema.sql`,
//! and a test compares. Each step and its number become durable together, so a kill between two
//! steps is harmless.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;
use super::sqlite::codec::Doing;

/// Every step, oldest first; the schema's number is how many have been taken.
const STEPS: [&str; 1] = [include_str!("migrations/0001.sql")];

/// The newest schema this program knows.
pub(super) const NEWEST: u32 = STEPS.len() as u32;

/// Brings the schema of `db` to [`NEWEST`].
///
/// # Errors
/// [`StoreError::Newer`] when it is beyond that; [`StoreError::Database`] when a step fails, which
/// leaves the steps before it.
pub(super) fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let found = version(db)?;
    if found > NEWEST {
        return Err(StoreError::Newer { found, known: NEWEST });
    }
    for (number, step) in (1..).zip(STEPS).skip(found as usize) {
        take(db, number, step).doing(|| format!("bringing the store to schema {number}"))?;
    }
    Ok(())
}

/// The schema of `db`; 0 when it has none yet.
pub(super) fn version(db: &Connection) -> Result<u32, StoreError> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
        .doing(|| "reading the schema's number")
}

fn take(db: &mut Connection, number: u32, step: &str) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "user_version", number)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(db: &Connection) -> String {
        let mut rows = db
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name")
            .unwrap();
        let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(|sql| sql.unwrap() + ";\n").collect()
    }

    #[test]
    fn the_steps_add_up_to_the_written_schema() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        assert_eq!(schema(&db), include_str!("schema.sql"), "write the left side to schema.sql");
        migrate(&mut db).expect("the second time there is nothing to do");
    }

    #[test]
    fn a_newer_schema_is_refused_by_number() {
        let mut db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "user_version", NEWEST + 1).unwrap();
        let refused = migrate(&mut db);
        assert!(matches!(refused, Err(StoreError::Newer { found, .. }) if found == NEWEST + 1));
    }
}
