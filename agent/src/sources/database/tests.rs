//! What SQLite itself reads of a database with a log, against what is put together here.

use std::fmt::Write as _;

use super::*;
use crate::sources::check::machine_at;

/// Everything that a database holds, a line a row.
fn rows(database: &Connection) -> rusqlite::Result<String> {
    let mut all = String::new();
    let mut asked = database.prepare("SELECT a, b FROM t ORDER BY a, b")?;
    let mut rows = asked.query([])?;
    while let Some(row) = rows.next()? {
        let (a, b): (i64, String) = (row.get(0)?, row.get(1)?);
        writeln!(all, "{a} {b}").unwrap();
    }
    Ok(all)
}

/// What is read of copies of the database at `path` and its log, cut after `length` bytes of it.
fn read(path: &Path, length: usize) -> Result<String, Reason> {
    let root = tempfile::tempdir().unwrap();
    let copy = root.path().join("d.sqlite");
    std::fs::copy(path, &copy).unwrap();
    let mut log = std::fs::read(beside(path, "-wal")).unwrap();
    log.truncate(length);
    std::fs::write(beside(&copy, "-wal"), log).unwrap();
    let machine = machine_at(root.path());
    let database = open(&mut Look::new(&machine), Path::new("/d.sqlite"), 1 << 20)?.unwrap();
    let ours = rows(&database).map_err(|_| Reason::Failed)?;
    // SQLite recovers the log, and writes; nothing that we did may have come before it.
    let files = std::fs::read_dir(root.path()).unwrap().count();
    assert_eq!(files, 2, "something was written");
    let theirs = Connection::open(&copy).unwrap();
    assert_eq!(rows(&theirs).unwrap_or_default(), ours, "{length} bytes of the log");
    Ok(ours)
}

/// A log of several transactions, cut at every place that could matter.
#[test]
fn sqlite_reads_a_log_as_we_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.sqlite");
    let database = Connection::open(&path).unwrap();
    let made = "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
        CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (0, 'kept');
        PRAGMA wal_checkpoint(RESTART);";
    database.execute_batch(made).unwrap();
    for number in 1..6 {
        let long = "x".repeat(700 * number);
        let more = format!(
            "BEGIN; INSERT INTO t VALUES ({number}, '{long}');
             UPDATE t SET b = b || '+' WHERE a < {number}; COMMIT;"
        );
        database.execute_batch(&more).unwrap();
    }
    database.execute_batch("DELETE FROM t WHERE a = 5; VACUUM;").unwrap();
    let whole = std::fs::metadata(beside(&path, "-wal")).unwrap().len();
    let whole = usize::try_from(whole).unwrap();
    let all = read(&path, whole).unwrap();
    assert_eq!(all.lines().count(), 5, "{all}");
    let mut answers = std::collections::BTreeSet::new();
    for frames in 0..=(whole - 32) / (1024 + 24) {
        for more in [0, 7, 24, 1040] {
            answers.insert(read(&path, 32 + frames * (1024 + 24) + more).unwrap());
        }
    }
    assert!(answers.len() > 5, "only {} states of the database", answers.len());
    // Of a log that is none nothing counts, and a transaction that is open has not been made.
    assert_eq!(read(&path, 31).unwrap(), "0 kept\n");
    database.execute_batch("BEGIN; INSERT INTO t VALUES (9, 'open');").unwrap();
    assert_eq!(read(&path, usize::MAX).unwrap(), all);
}

#[test]
fn a_database_with_a_journal_is_changing() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("d.sqlite");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a, b)").unwrap();
    let machine = machine_at(root.path());
    let open = || open(&mut Look::new(&machine), Path::new("/d.sqlite"), 1 << 20).map(drop);
    assert_eq!(open(), Ok(()));
    std::fs::write(beside(&path, "-journal"), "x").unwrap();
    assert_eq!(open(), Err(Reason::Changing));
}

/// The word `MemoryMax` of the unit that packages bring, in bytes.
fn memory_of_the_unit() -> u64 {
    let unit = include_str!("../../../../packaging/systemd/driftline-agent.service");
    let mega = unit.lines().find_map(|line| line.strip_prefix("MemoryMax=")?.strip_suffix('M'));
    mega.unwrap().parse::<u64>().unwrap() << 20
}

#[test]
fn what_is_put_together_leaves_the_agent_half_of_its_memory() {
    let budget = crate::budget::Budgets::default().memory_bytes;
    // The log, and the one buffer in which it is put into the database.
    assert!(LOGGED_BYTES <= memory_of_the_unit() / 2, "{}", memory_of_the_unit());
    assert!(LOGGED_BYTES <= budget / 3 * 2, "{budget}");
}

#[test]
fn a_database_and_a_log_that_are_large_together_are_too_large_and_not_changing() {
    let mega = 1024 * 1024;
    for (database, log, expect) in [
        (52 * mega, 4 * mega, Ok(())),
        (52 * mega, 4 * mega + 1, Err(Reason::TooLarge)),
        (64 * mega, 1, Err(Reason::TooLarge)),
        (mega, 60 * mega, Err(Reason::TooLarge)),
        // One that is at rest is not held in memory.
        (64 * mega, 0, Ok(())),
    ] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("d.sqlite");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a, b)").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(database).unwrap();
        std::fs::File::create(beside(&path, "-wal")).unwrap().set_len(log).unwrap();
        let machine = machine_at(root.path());
        let opened = open(&mut Look::new(&machine), Path::new("/d.sqlite"), 1 << 30).map(drop);
        assert_eq!(opened, expect, "{database} and {log} bytes");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_log_or_none(
        database in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2_000),
        log in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2_000),
    ) {
        wal::applied(database, &log);
    }
}
