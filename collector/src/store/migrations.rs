//! How a store of any older schema becomes one of the newest: numbered steps, forward only.
//!
//! A step that has been released is never edited; the schema they add up to stands in `schema.sql`,
//! and a test compares. Each step and its number become durable together, so a kill between two
//! steps is harmless.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde::Deserialize;
use serde_json::json;

use super::StoreError;
use super::sqlite::codec::{Doing, Json, at};

/// Every step, oldest first; the schema's number is how many have been taken.
const STEPS: [Migration; 13] = [
    Migration { sql: include_str!("migrations/0001.sql"), fill: |_| Ok(()) },
    Migration { sql: include_str!("migrations/0002.sql"), fill: name_findings },
    Migration { sql: include_str!("migrations/0003.sql"), fill: |_| Ok(()) },
    Migration { sql: include_str!("migrations/0004.sql"), fill: |_| Ok(()) },
    Migration { sql: include_str!("migrations/0005.sql"), fill: |_| Ok(()) },
    Migration { sql: include_str!("migrations/0006.sql"), fill: |_| Ok(()) },
    Migration { sql: include_str!("migrations/0007.sql"), fill: |_| Ok(()) },
    Migration { sql: include_str!("migrations/0008.sql"), fill: |_| Ok(()) },
    Migration { sql: include_str!("migrations/0009.sql"), fill: number_approvals },
    Migration { sql: include_str!("migrations/0010.sql"), fill: |_| Ok(()) },
    Migration { sql: include_str!("migrations/0011.sql"), fill: |_| Ok(()) },
    Migration { sql: include_str!("migrations/0012.sql"), fill: make_case_key },
    Migration { sql: include_str!("migrations/0013.sql"), fill: |_| Ok(()) },
];

/// One step: what changes of the schema, and what fills it where SQL cannot.
struct Migration {
    sql: &'static str,
    fill: fn(&Transaction<'_>) -> rusqlite::Result<()>,
}

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
    for (number, step) in (1..).zip(&STEPS).skip(found as usize) {
        take(db, number, step).doing(|| format!("bringing the store to schema {number}"))?;
    }
    Ok(())
}

/// The schema of `db`; 0 when it has none yet.
pub(super) fn version(db: &Connection) -> Result<u32, StoreError> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
        .doing(|| "reading the schema's number")
}

fn take(db: &mut Connection, number: u32, step: &Migration) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(step.sql)?;
    (step.fill)(&transaction)?;
    transaction.pragma_update(None, "user_version", number)?;
    transaction.commit()
}

/// What schema 2 reads of a finding; fields may join it later, and these two stay.
#[derive(Deserialize)]
struct Words {
    domain: String,
    severity: String,
}

fn name_findings(db: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut read = db.prepare("SELECT number, body FROM finding WHERE number > ?1 LIMIT 1000")?;
    let mut write =
        db.prepare("UPDATE finding SET domain = ?2, severity = ?3 WHERE number = ?1")?;
    let words =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Json<Words>>(1)?.0));
    let mut last = i64::MIN;
    loop {
        let some = read.query_map([last], words)?.collect::<Result<Vec<_>, _>>()?;
        let Some((number, _)) = some.last() else { return Ok(()) };
        last = *number;
        for (number, Words { domain, severity }) in some {
            write.execute(params![number, domain, severity])?;
        }
    }
}

/// Each baseline becomes the first approval of its host, in the order in which they were made.
fn number_approvals(db: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut read = db.prepare(
        "SELECT b.host, h.name, b.approved_at, b.approved_by, b.reason FROM baseline b
         JOIN host_name h ON h.id = b.host ORDER BY b.approved_at, b.host",
    )?;
    let mut write =
        db.prepare("INSERT INTO approval (number, subject, body) VALUES (?1, ?2, ?3)")?;
    let mut rows = read.query([])?;
    let mut number = 0_i64;
    while let Some(row) = rows.next()? {
        number += 1;
        let body = json!({
            "number": number,
            "subject": row.get::<_, String>(1)?,
            "at": at(row, 2)?,
            "who": row.get::<_, String>(3)?,
            "why": row.get::<_, String>(4)?,
            "basis": { "kind": "present" },
            "exempt": [],
        });
        write.execute(params![number, row.get::<_, i64>(0)?, Json(body)])?;
    }
    db.execute_batch(
        "INSERT INTO agreed_pattern SELECT s.host, s.source, '*', a.number
             FROM baseline_section s JOIN approval a ON a.subject = s.host;
         INSERT INTO agreed_part SELECT p.host, p.source, p.part, p.digest, a.number
             FROM baseline_part p JOIN approval a ON a.subject = p.host;
         DROP TABLE baseline_part; DROP TABLE baseline_section; DROP TABLE baseline;",
    )
}

/// The key of what is hidden in cases. It is made with the store, so that nobody has to keep
/// another secret, and a copy of the store knows its cases again.
fn make_case_key(db: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut key = [0; 32];
    let failed =
        |error: getrandom::Error| rusqlite::Error::ToSqlConversionFailure(error.to_string().into());
    getrandom::fill(&mut key).map_err(failed)?;
    db.execute("INSERT INTO case_key (id, value) VALUES (1, ?1)", [key]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_of_the_first_schema_are_counted_by_their_words() {
        let mut db = Connection::open_in_memory().unwrap();
        take(&mut db, 1, &STEPS[0]).unwrap();
        let body = |domain: &str, padding: usize| {
            let (current, severity) = ("x".repeat(padding), "warning");
            serde_json::json!({ "domain": domain, "severity": severity, "current": current })
        };
        let mut keep = db
            .prepare(
                "INSERT INTO finding (number, host, source, part, item_key, kind, is_open, \
                     first_seen, openings, body) VALUES (?1, 1, 1, ?1, '', 'drift', 1, 0, 1, ?2)",
            )
            .unwrap();
        // The second is long enough to be kept compressed.
        keep.execute(params![1, Json(body("config", 1))]).unwrap();
        keep.execute(params![2, Json(body("identity", 9_000))]).unwrap();
        drop(keep);
        migrate(&mut db).unwrap();
        let mut find = db.prepare("SELECT domain, severity FROM finding ORDER BY number").unwrap();
        let words = find.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let words: Vec<(String, String)> = words.collect::<Result<_, _>>().unwrap();
        let word = |domain: &str| (domain.to_owned(), "warning".to_owned());
        assert_eq!(words, [word("config"), word("identity")]);
    }

    /// A store of the first schema: one part of each kind of reference, one nobody names, one
    /// named and not there; one section of three versions whose times are not in their order.
    const FIRST: &str = "
        INSERT INTO part (id, digest, kept_at, body) VALUES (1, x'01', 0, x'aa'),
            (2, x'02', 0, x'bb'), (3, x'03', 0, x'cc'),
            (4, x'04', 0, x'dd'), (5, x'05', 0, NULL), (6, x'06', 0, x'ee');
        INSERT INTO part_now VALUES (1, 1, 1, 1, 1, NULL, NULL, NULL),
            (1, 1, 2, 1, 5, '\"denied\"', 2, 3);
        INSERT INTO part_past VALUES (1, 1, 2, 1, 1, 4);
        INSERT INTO baseline_part VALUES (1, 1, 1, 1);
        INSERT INTO section VALUES (1, 1, 'config', 3, x'00', x'00', 3, 0, 0, 7, 3, 1);
        INSERT INTO version VALUES (1, 1, 1, 1, 'config', x'00', 1, 1, 1, 0, 0, 0, 'first'),
            (1, 1, 2, 2, 'config', x'00', 9, 9, 9, 0, 0, 0, 'agent'),
            (1, 1, 3, 3, 'config', x'00', 7, 7, 7, 0, 0, 0, 'agent');";

    #[test]
    fn references_bodies_and_expiry_of_the_first_schema_are_counted() {
        let mut db = Connection::open_in_memory().unwrap();
        take(&mut db, 1, &STEPS[0]).unwrap();
        db.execute_batch(FIRST).unwrap();
        migrate(&mut db).unwrap();
        let mut find = db
            .prepare(
                "SELECT p.is_here, p.refs, hex(b.body) FROM part p
                 LEFT JOIN part_body b ON b.id = p.id ORDER BY p.id",
            )
            .unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let parts: Vec<(bool, i64, String)> =
            find.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap();
        let part = |here, refs, body: &str| (here, refs, body.to_owned());
        let expected = [
            part(true, 2, "AA"),
            part(true, 1, "BB"),
            part(true, 1, "CC"),
            part(true, 1, "DD"),
            part(false, 1, ""),
            part(true, 0, "EE"),
        ];
        assert_eq!(parts, expected);
        let expires: i64 =
            db.query_row("SELECT expires_at FROM section", [], |r| r.get(0)).unwrap();
        assert_eq!(expires, 7, "the earliest after the oldest");
    }

    #[test]
    fn a_baseline_of_schema_8_is_the_first_approval_of_its_host() {
        let mut db = Connection::open_in_memory().unwrap();
        for (number, step) in (1..=8).zip(&STEPS) {
            take(&mut db, number, step).unwrap();
        }
        db.execute_batch(
            "INSERT INTO host_name VALUES (1, 'pbx'), (2, 'sbc');
             INSERT INTO baseline VALUES (1, 9000000000, 'ada', 'later'), (2, 5, 'bob', 'first');
             INSERT INTO baseline_section VALUES (1, 1), (2, 1);
             INSERT INTO baseline_part VALUES (1, 1, 4, 7);",
        )
        .unwrap();
        migrate(&mut db).unwrap();
        let told = |sql: &str| -> Vec<String> {
            let mut find = db.prepare(sql).unwrap();
            let rows = find.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let said = "SELECT number || ' ' || subject FROM approval ORDER BY number";
        assert_eq!(told(said), ["1 2", "2 1"]);
        let body: Vec<Json<crate::store::ApprovalRecord>> = {
            let mut find = db.prepare("SELECT body FROM approval ORDER BY number").unwrap();
            let rows = find.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let said: Vec<_> = body.iter().map(|Json(one)| (one.who.as_str(), one.number)).collect();
        assert_eq!(said, [("bob", 1), ("ada", 2)]);
        let part =
            "SELECT subject || ' ' || part || ' ' || digest || ' ' || approval FROM agreed_part";
        assert_eq!(told(part), ["1 4 7 2"]);
        let spoken = "SELECT subject || pattern || approval FROM agreed_pattern";
        assert_eq!(told(spoken), ["1*2", "2*1"]);
    }

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
