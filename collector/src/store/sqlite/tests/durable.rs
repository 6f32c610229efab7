//! What is there after a kill, a torn log or a full disk, and which file is no store.

use super::model::*;
use super::*;

#[test]
fn a_kill_keeps_what_was_committed_and_nothing_else() {
    let mut place = Place::new();
    place.writer.apply(&[first_version()]).unwrap();
    assert_eq!(place.killed().reader.changes(&ChangeFilter::default()).unwrap().len(), 1);

    // So small a cache that what is not committed is written to the log all the same.
    place.writer.db.pragma_update(None, "cache_size", 4).unwrap();
    let uncommitted = place.writer.db.transaction().unwrap();
    for number in 0..2_000 {
        uncommitted
            .execute("INSERT INTO event (at, kind, detail) VALUES (?1, 'returned', 'x')", [number])
            .unwrap();
    }
    let log = std::fs::metadata(beside(&place.folder.path().join("store.db"), "-wal")).unwrap();
    assert!(log.len() > 50_000, "nothing was written ahead of the commit");
    let folder = TempDir::new().unwrap();
    for ending in ["", "-wal"] {
        let from = beside(&place.folder.path().join("store.db"), ending);
        std::fs::copy(from, beside(&folder.path().join("store.db"), ending)).unwrap();
    }
    let (_, reader) = open(&folder.path().join("store.db")).unwrap();
    assert_eq!(reader.events(None, 0).unwrap(), []);
    assert_eq!(reader.changes(&ChangeFilter::default()).unwrap().len(), 1);
}

#[test]
fn a_torn_log_loses_only_its_torn_end() {
    let mut place = Place::new();
    place.writer.apply(&[first_version()]).unwrap();
    place.writer.apply(&[Step::Event(event(None, 7))]).unwrap();
    let folder = TempDir::new().unwrap();
    for ending in ["", "-wal"] {
        let mut bytes = std::fs::read(beside(&place.path(), ending)).unwrap();
        if ending == "-wal" {
            bytes.truncate(bytes.len() - 100);
        }
        std::fs::write(beside(&folder.path().join("store.db"), ending), bytes).unwrap();
    }
    let (_, reader) = open(&folder.path().join("store.db")).unwrap();
    assert_eq!(reader.changes(&ChangeFilter::default()).unwrap().len(), 1);
    assert_eq!(reader.events(None, 0).unwrap(), []);
}

#[test]
fn a_full_disk_refuses_whole_batches_and_nothing_is_lost_when_room_is_back() {
    let (mut model, mut place) = (Memory::new(), Place::new());
    model.apply(&[first_version()]).unwrap();
    place.writer.apply(&[first_version()]).unwrap();
    let pages: u32 = place.writer.db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let limit = |db: &rusqlite::Connection, pages: u32| {
        db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    };
    limit(&place.writer.db, pages + 4);
    let mut batch: Vec<_> = (0..2_000).map(|at| Step::Event(event(Some(1), at % 20))).collect();
    batch.push(Step::Host(host_record(1, 1, 3)));
    let refused = place.writer.apply(&batch);
    assert!(matches!(refused, Err(StoreError::Database { .. })), "{refused:?}");
    assert_same(&model, &place.reader);

    limit(&place.writer.db, pages + 4_000);
    model.apply(&batch).unwrap();
    place.writer.apply(&batch).unwrap();
    assert_same(&model, &place.reader);
}

#[test]
fn what_is_no_intact_store_is_refused_and_left_as_it_is() {
    let store = |spoil: fn(&Path)| {
        let mut place = Place::new();
        place.writer.apply(&[first_version()]).unwrap();
        let folder = place.folder;
        drop(place.reader);
        place.writer.close().unwrap();
        spoil(&folder.path().join("store.db"));
        folder
    };
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil); 6] = [
        ("empty", |path| std::fs::write(path, "").unwrap()),
        ("garbage", |path| std::fs::write(path, "no database".repeat(1_000)).unwrap()),
        ("cut off", |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("overwritten", |path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[4_096 * 3..4_096 * 6].fill(0x5a);
            std::fs::write(path, bytes).unwrap();
        }),
        ("another program's", |path| {
            std::fs::remove_file(path).unwrap();
            let other = rusqlite::Connection::open(path).unwrap();
            other.execute_batch("CREATE TABLE theirs (x)").unwrap();
        }),
        ("gone, its log left", |path| std::fs::rename(path, beside(path, "-wal")).unwrap()),
    ];
    for (what, spoil) in cases {
        let folder = store(spoil);
        let path = folder.path().join("store.db");
        let before = std::fs::read(&path).ok();
        let refused = open(&path).map(|_| ());
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{what}: {refused:?}");
        assert!(std::fs::read(&path).ok() == before, "{what}: the file was touched");
    }
}

#[test]
fn a_newer_store_is_refused() {
    let place = Place::new();
    place.writer.db.pragma_update(None, "user_version", 99).unwrap();
    let refused = open(&place.path()).map(|_| ());
    assert!(matches!(refused, Err(StoreError::Newer { found: 99, .. })), "{refused:?}");
}

#[test]
fn a_part_that_is_not_what_was_kept_is_damage() {
    let mut place = Place::new();
    let parts = [NewPart::new(part(1)), NewPart::new(part(2))];
    place.writer.keep_parts(&parts, second(0)).unwrap();
    let swap = "UPDATE part_body SET body = (SELECT body FROM part_body WHERE id =
             (SELECT id FROM part WHERE digest = ?2))
         WHERE id = (SELECT id FROM part WHERE digest = ?1)";
    place.writer.db.execute(swap, [digest(1).0, digest(2).0]).unwrap();
    assert!(matches!(place.reader.part(&digest(1)), Err(StoreError::Damaged { .. })));
    assert_eq!(place.reader.part(&digest(2)).unwrap(), Some(part(2)));
}

#[test]
fn each_opening_has_a_larger_epoch() {
    let place = Place::new();
    let first = place.writer.epoch();
    let place = place.reopened();
    assert_eq!(place.writer.epoch(), first + 1);
    assert_eq!(place.killed().writer.epoch(), first + 2);
}

#[test]
fn extreme_numbers_and_times_do_not_stop_a_batch() {
    let mut place = Place::new();
    let Step::Version(mut step) = first_version() else { unreachable!() };
    step.version.generation = Generation(u64::MAX);
    step.version.coalesced = u64::MAX;
    step.version.observed_at = Timestamp::MAX;
    place.writer.apply(&[Step::Version(step)]).unwrap();
    let section = place.reader.sections(&host(0)).unwrap().remove(0);
    assert_eq!((section.generation, section.coalesced), (Generation(u64::MAX), u64::MAX));
}
