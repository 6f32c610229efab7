//! Backup, restore, and who may read the files.

use super::model::*;
use super::*;

/// The batches of a store that grows, so that any prefix of them is known by its length.
fn batches() -> Vec<Vec<Step>> {
    let sketch = |generation: u64| Sketch {
        host: 0,
        source: 0,
        generation,
        from_base: true,
        set: BTreeMap::from([(generation as usize % 4, (generation as u8 % 5, None))]),
        unset: BTreeSet::new(),
        at: generation as i64 % 20,
        received: generation as i64 % 20,
        origin: Origin::Agent,
    };
    (1..=300)
        .map(|n| vec![version_step(&sketch(n), Vec::new()), Step::Event(event(Some(0), 3))])
        .collect()
}

#[test]
fn a_backup_during_writes_is_a_whole_prefix_of_them() {
    let mut place = Place::new();
    let to = place.folder.path().join("backup.db");
    let batches = batches();
    let (first, rest) = batches.split_at(100);
    first.iter().for_each(|batch| place.writer.apply(batch).unwrap());
    let (reader, writer) = (place.reader.clone(), &mut place.writer);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| rest.iter().for_each(|batch| writer.apply(batch).unwrap()));
        while !writing.is_finished() {
            backup::write(&reader, &to).unwrap();
        }
        writing.join().unwrap();
    });
    let entries = std::fs::read_dir(place.folder.path()).unwrap();
    let names: BTreeSet<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.starts_with("backup.db") && name != "backup.db"));

    let restored = TempDir::new().unwrap();
    std::fs::copy(&to, restored.path().join("store.db")).unwrap();
    let (_writer, reader) = open(&restored.path().join("store.db")).unwrap();
    let length = reader.totals().unwrap().versions as usize;
    assert!(length >= 100, "the backup lacks what was there before it began");
    let mut model = Memory::new();
    batches[..length].iter().for_each(|batch| model.apply(batch).unwrap());
    assert_same(&model, &reader);
}

#[test]
fn a_backup_over_the_store_itself_is_refused() {
    let place = Place::new();
    let refused = backup::write(&place.reader, &place.path());
    assert!(matches!(refused, Err(StoreError::File { .. })), "{refused:?}");
    assert!(open(&place.path()).is_ok());
}

#[test]
fn a_restore_moves_nothing_before_its_copy_is_checked() {
    let place = Place::new();
    let (store, copy) = (place.path(), place.folder.path().join("copy.db"));
    backup::save(&store, &copy).unwrap();
    assert!(backup::save(&store, &copy).is_err(), "a backup was overwritten");
    let missing = place.folder.path().join("missing.db");
    assert!(backup::save(&missing, &place.folder.path().join("none.db")).is_err());
    let foreign = place.folder.path().join("foreign.db");
    std::fs::write(&foreign, "SQLite format 3").unwrap();
    let names = || -> BTreeSet<_> {
        let entries = std::fs::read_dir(place.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let before = names();
    for wrong in [&missing, &foreign] {
        assert!(backup::restore(wrong, &store).is_err());
        assert_eq!(names(), before, "{} moved or made something", wrong.display());
    }
    for ending in [".before-restore", ".before-restore-2"] {
        let aside = backup::restore(&copy, &store).unwrap();
        assert_eq!(aside, Some(beside(&store, ending)));
        assert!(open(&store).is_ok());
    }
}

/// Root restores, and the packaged service is another user. Who is not root has no other user to
/// give it to.
#[test]
fn a_restored_store_belongs_to_whoever_owns_its_folder() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    const NOBODY: u32 = 65_534;
    let place = Place::new();
    let copy = place.folder.path().join("copy.db");
    backup::save(&place.path(), &copy).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let given = chown(folder.path(), Some(NOBODY), Some(NOBODY)).is_ok();
    let store = folder.path().join("collector.sqlite");
    assert_eq!(backup::restore(&copy, &store).unwrap(), None);
    let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
    assert_eq!(owner(&store), owner(folder.path()));
    assert_eq!(owner(&store) == NOBODY, given);
}

#[test]
fn a_store_with_another_mode_is_its_owners_again_once_opened() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(place.path(), mode(0o644)).unwrap();
    open(&place.path()).unwrap();
    let found = std::fs::metadata(place.path()).unwrap().permissions().mode();
    assert_eq!(found & 0o777, 0o600);
}

#[test]
fn only_the_owner_may_read_a_store_or_its_backup() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let copy = place.folder.path().join("copy.db");
    backup::write(&place.reader, &copy).unwrap();
    for path in [place.path(), beside(&place.path(), "-wal"), copy] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}
