//! What SQLite itself reads of a database with a log, against what is put together here.

use std::fmt::Write as _;

use super::pages::Value;
use super::*;
use crate::sources::check::machine_at;

/// A tree with a database of these statements.
fn planted(statements: &str) -> (tempfile::TempDir, PathBuf, Connection) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("d.sqlite");
    let database = Connection::open(&path).unwrap();
    database.execute_batch(statements).unwrap();
    (root, path, database)
}

/// What stands in the table `t` of `/d.sqlite`, read page by page; a line a row.
fn paged(machine: &Machine) -> Result<String, Reason> {
    let mut all = Vec::new();
    rows(machine, (Path::new("/d.sqlite"), 1 << 30), "t", &mut |row| {
        let (Some(Value::Integer(a)), Some(Value::Text(b))) = (row.column(0), row.column(1)) else {
            return Err(Reason::Malformed);
        };
        all.push(format!("{a} {}\n", String::from_utf8_lossy(b)));
        Ok(())
    })?;
    all.sort();
    Ok(all.concat())
}

/// Everything that a database holds, a line a row.
fn lines(database: &Connection) -> rusqlite::Result<String> {
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
    let ours =
        asked(&machine, Path::new("/d.sqlite"), &[], |database| lines(database).map_err(refused))?;
    let ours = ours.unwrap();
    // Where no statement is run the same stands in the table.
    if !ours.is_empty() {
        assert_eq!(paged(&machine).unwrap(), ours, "{length} bytes of the log");
    }
    // SQLite recovers the log, and writes; nothing that we did may have come before it.
    let files = std::fs::read_dir(root.path()).unwrap().count();
    assert_eq!(files, 2, "something was written");
    let theirs = Connection::open(&copy).unwrap();
    assert_eq!(lines(&theirs).unwrap_or_default(), ours, "{length} bytes of the log");
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
    let open = || asked(&machine, Path::new("/d.sqlite"), &["t"], |_| Ok(())).map(drop);
    let opened = || [open(), paged(&machine).map(drop)];
    assert_eq!(opened(), [Ok(()); 2]);
    std::fs::write(beside(&path, "-journal"), "x").unwrap();
    assert_eq!(opened(), [Err(Reason::Changing); 2]);
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
    let large = Err(Reason::TooLarge);
    for (database, log, expect) in [
        (52 * mega, 4 * mega, [Ok(()); 2]),
        (52 * mega, 4 * mega + 1, [large; 2]),
        (64 * mega, 1, [large; 2]),
        (mega, 60 * mega, [large; 2]),
        // One that is at rest is not held in memory where only rows are wanted.
        (64 * mega, 0, [large, Ok(())]),
    ] {
        let (root, path, _) = planted("CREATE TABLE t (a, b)");
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(database).unwrap();
        std::fs::File::create(beside(&path, "-wal")).unwrap().set_len(log).unwrap();
        let machine = machine_at(root.path());
        let asked = asked(&machine, Path::new("/d.sqlite"), &["t"], |_| Ok(())).map(drop);
        assert_eq!([asked, paged(&machine).map(drop)], expect, "{database} and {log} bytes");
    }
}

/// An absolute link leads elsewhere for whoever opens a file by its name.
#[test]
fn a_database_is_read_below_its_root_wherever_its_name_leads() {
    let made =
        |text: &str| planted(&format!("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, '{text}')"));
    let (outside, _, _) = made("outside");
    let (root, path, _) = made("inside");
    let below = root.path().join(outside.path().strip_prefix("/").unwrap());
    std::fs::create_dir_all(&below).unwrap();
    std::fs::rename(&path, below.join("d.sqlite")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("d.sqlite"), &path).unwrap();
    let machine = machine_at(root.path());
    assert_eq!(paged(&machine).unwrap(), "1 inside\n");
    let asked = asked(&machine, Path::new("/d.sqlite"), &["t"], |database| {
        lines(database).map_err(refused)
    });
    assert_eq!(asked.unwrap().unwrap(), "1 inside\n");
}

/// The file is renamed, and a FIFO or nothing takes its place, once it is open: SQLite would open
/// what stands there, and wait.
#[test]
fn what_takes_the_place_of_an_open_database_is_not_opened() {
    for fifo in [true, false] {
        let (root, path, _) = planted("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x')");
        let machine = machine_at(root.path());
        let mut seen = Vec::new();
        let told = unchanged(&machine, Path::new("/d.sqlite"), 1 << 20, |file, _| {
            std::fs::remove_file(&path).unwrap();
            if fifo {
                rustix::fs::mknodat(
                    rustix::fs::CWD,
                    &path,
                    rustix::fs::FileType::Fifo,
                    0o600.into(),
                    0,
                )
                .unwrap();
            }
            pages::rows(file, "t", &mut |row| {
                seen.push(row.column(0) == Some(Value::Integer(1)));
                Ok(())
            })
        });
        assert_eq!((seen, told), (vec![true], Err(Reason::Changing)), "{fifo}");
    }
}

#[test]
fn what_is_written_while_it_is_read_is_not_told() {
    let long = "x".repeat(3_000);
    let fill = format!(
        "CREATE TABLE t (a, b);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
         INSERT INTO t SELECT 1, '{long}' FROM n;"
    );
    for mode in ["DELETE", "WAL"] {
        let (root, path, database) = planted(&fill);
        let mode = format!("PRAGMA journal_mode = {mode}");
        database.query_row(&mode, [], |_| Ok(())).unwrap();
        drop(database);
        let machine = machine_at(root.path());
        let mut numbers = Vec::new();
        let mut read = |meanwhile: &dyn Fn()| {
            numbers.clear();
            let told = rows(&machine, (Path::new("/d.sqlite"), 1 << 20), "t", &mut |row| {
                if numbers.len() == 5 {
                    meanwhile();
                }
                numbers.push(row.column(0) == Some(Value::Integer(1)));
                Ok(())
            });
            told.map(|_| numbers.len())
        };
        assert_eq!(read(&|| ()), Ok(50), "{mode}");
        let write =
            || Connection::open(&path).unwrap().execute_batch("UPDATE t SET a = 2").unwrap();
        assert_eq!(read(&write), Err(Reason::Changing), "{mode}");
        // What fails because it was written is no damage.
        assert_eq!(read(&|| std::fs::write(&path, "").unwrap()), Err(Reason::Changing), "{mode}");
    }
}

#[test]
fn only_a_table_of_its_own_pages_is_asked() {
    let endless = "CREATE VIEW t AS WITH RECURSIVE n(a) AS
        (SELECT 1 UNION ALL SELECT a + 1 FROM n) SELECT a, 'x' AS b FROM n";
    let virtual_table = "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema
        VALUES ('table', 't', 't', 0, 'CREATE VIRTUAL TABLE t USING any(a, b)')";
    let malformed = [Err(Reason::Malformed); 2];
    for (statements, expect) in [
        ("CREATE TABLE t (a, b)", [Ok(()); 2]),
        ("CREATE TABLE T (a, b)", [Ok(()); 2]),
        ("CREATE VIEW t AS SELECT 1 AS a, zeroblob(900000000) AS b", malformed),
        (virtual_table, malformed),
        ("CREATE TABLE s (a, b); CREATE INDEX t ON s (a)", malformed),
        ("CREATE TABLE s (a, b)", malformed),
        (endless, malformed),
    ] {
        let (root, _, _) = planted(statements);
        let machine = machine_at(root.path());
        let asked = asked(&machine, Path::new("/d.sqlite"), &["t"], |_| Ok(())).map(drop);
        assert_eq!([asked, paged(&machine).map(drop)], expect, "{statements}");
    }
}

#[test]
fn no_statement_takes_more_than_its_steps_or_makes_more_than_a_field() {
    let of = |statements: &str, ask: &str, steps| {
        let mut database = Connection::open_in_memory().unwrap();
        database.execute_batch(statements).unwrap();
        guard(&mut database, &["t"], steps).unwrap();
        let asked = database.query_row(ask, [], |row| row.get_ref(0).map(drop));
        asked.map_err(refused)
    };
    let endless = "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n)
        SELECT count(*) FROM n, t";
    let table = "CREATE TABLE t (a); INSERT INTO t VALUES (1)";
    assert_eq!(of(table, "SELECT a FROM t", 100_000), Ok(()));
    assert_eq!(of(table, endless, 100_000), Err(Reason::TooLarge));
    let computed = "CREATE TABLE t (a, b AS (zeroblob(900000000))); INSERT INTO t VALUES (1)";
    assert_eq!(of(computed, "SELECT a FROM t", 100_000), Ok(()));
    assert_eq!(of(computed, "SELECT b FROM t", 100_000), Err(Reason::TooLarge));
    let written = "CREATE TABLE t (a); INSERT INTO t VALUES (1)";
    assert_eq!(of(written, "DELETE FROM t RETURNING a", 100_000), Err(Reason::Malformed));
}

/// Rows of every kind and length, on pages of every size, against what SQLite says of them.
#[test]
fn sqlite_has_every_row_of_a_table_as_we_do() {
    for page in [512, 1_024, 4_096, 65_536] {
        let statements = format!(
            "PRAGMA page_size = {page}; CREATE TABLE other (a);
             CREATE TABLE t (number INTEGER PRIMARY KEY, a, b TEXT, c BLOB);
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
             INSERT INTO t SELECT i,
               CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN i / 7.0
                 ELSE ((1 << (i % 63)) - i % 3) * (1 - i % 2 * 2) END,
               substr(hex(zeroblob(i * i)), 1, i * i), randomblob(i * 7 % 1500) FROM n;
             DELETE FROM t WHERE number % 11 = 3;"
        );
        let (root, _, database) = planted(&statements);
        let mut asked = database.prepare("SELECT a, b, c FROM t ORDER BY number").unwrap();
        let theirs = asked.query_map([], |row| Ok([0, 1, 2].map(|at| said(row.get_ref(at)))));
        let theirs: Vec<_> = theirs.unwrap().map(Result::unwrap).collect();
        let mut ours = Vec::new();
        let take = &mut |row: Row<'_>| {
            assert_eq!(row.column(0), Some(Value::Null));
            assert_eq!(row.column(4), None);
            ours.push([1, 2, 3].map(|at| match row.column(at).unwrap() {
                Value::Null => "null".to_owned(),
                Value::Integer(number) => number.to_string(),
                Value::Real(bytes) => format!("{bytes:?}"),
                Value::Text(bytes) | Value::Blob(bytes) => format!("{bytes:?}"),
            }));
            Ok(())
        };
        rows(&machine_at(root.path()), (Path::new("/d.sqlite"), 1 << 30), "t", take).unwrap();
        assert!(ours == theirs, "pages of {page} bytes");
    }
}

fn said(value: rusqlite::Result<rusqlite::types::ValueRef<'_>>) -> String {
    use rusqlite::types::ValueRef;
    match value.unwrap() {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{:?}", number.to_be_bytes()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => format!("{bytes:?}"),
    }
}

/// A page that names itself, or one before it, has no end for whoever believes it.
#[test]
fn a_tree_that_leads_in_a_circle_is_damaged() {
    let fill = "PRAGMA page_size = 512; CREATE TABLE t (a, b);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
        INSERT INTO t SELECT i, hex(zeroblob(200)) FROM n;";
    let (root, path, database) = planted(fill);
    drop(database);
    let machine = machine_at(root.path());
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(paged(&machine).unwrap().lines().count(), 50);
    // Page 2 is the root; its last child, and where its cells lead.
    let cell = usize::from(u16::from_be_bytes([whole[512 + 12], whole[512 + 13]]));
    for at in [512 + 8, 512 + cell] {
        for page in [2_u32, 1, 0, u32::MAX] {
            let mut broken = whole.clone();
            broken[at..at + 4].copy_from_slice(&page.to_be_bytes());
            std::fs::write(&path, &broken).unwrap();
            assert_eq!(paged(&machine), Err(Reason::Malformed), "{at}: {page}");
        }
    }
}

/// Sixteen thousand pointers to one cell of half a page would be gigabytes to copy.
#[test]
fn a_page_whose_cells_are_one_cell_is_damaged() {
    let fill = "PRAGMA page_size = 65536; CREATE TABLE t (a, b);
        INSERT INTO t VALUES (1, hex(zeroblob(15000)));
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
        INSERT INTO t SELECT i, 'x' FROM n;";
    let (root, path, database) = planted(fill);
    drop(database);
    let machine = machine_at(root.path());
    let mut broken = std::fs::read(&path).unwrap();
    assert_eq!(paged(&machine).unwrap().lines().count(), 51);
    // Page 2 is a leaf: the pointers of its cells stand behind a head of eight bytes.
    let pointers = 65_536 + 8;
    let first = [broken[pointers], broken[pointers + 1]];
    for index in 1..51 {
        broken[pointers + 2 * index..][..2].copy_from_slice(&first);
    }
    std::fs::write(&path, &broken).unwrap();
    assert_eq!(paged(&machine), Err(Reason::Malformed));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_log_or_none(
        database in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2_000),
        log in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2_000),
    ) {
        wal::applied(database, &log);
    }

    #[test]
    fn any_bytes_in_a_database_end(
        changes in proptest::collection::vec(
            (0_usize..4_096, proptest::prelude::any::<u8>()), 0..40),
    ) {
        let (_root, path, database) = planted(
            "PRAGMA page_size = 512; CREATE TABLE t (a, b);
             INSERT INTO t VALUES (1, hex(zeroblob(900))), (2, 'x');");
        drop(database);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let read = pages::rows(&mut Cursor::new(bytes), "t", &mut |row| {
            (0..9).for_each(|at| { row.column(at); });
            Ok(())
        });
        proptest::prop_assert_ne!(read, Err(Reason::Changing));
    }
}
