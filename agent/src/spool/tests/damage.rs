//! What a kill, a damaged file or a broken-off repair leaves, and that it is on the books.

use super::world::*;
use super::*;

#[test]
fn generations_never_go_back_when_the_file_is_gone() {
    let mut world = World::new();
    world.observe(&source(0), &[1]);
    world.deliver(1, true);
    let (before, incarnation) = (world.status().generation, world.spool().identity().incarnation);
    world.spool = None;
    fs::remove_file(world.folder.path().join("agent.db")).unwrap();
    world.spool = Some(open(world.folder.path()));
    world.observe(&source(0), &[2]);
    let status = world.status();
    assert!(status.generation > before);
    assert_eq!(status.repairs, 1);
    assert_ne!(world.spool().identity().incarnation, incarnation);
}

#[test]
fn what_a_damaged_file_held_is_counted_as_expired() {
    let mut world = World::new();
    world.observe(&source(0), &[1]);
    world.observe(&source(0), &[2]);
    let damage = "UPDATE parts SET sealed = zeroblob(100)";
    world.spool().with_connection(|connection| connection.execute_batch(damage).unwrap());
    assert!(matches!(world.try_deliver(1, true), Err(SpoolError::Damaged(_))));
    world.strictness = Strictness::Gaps;
    world.observe(&source(0), &[2]);
    let account = world.status().sections[&source(0)].account;
    assert_eq!((account.observed, account.expired, account.waiting), (3, 2, 1));
    let waiting = world.spool().waiting(9).unwrap();
    assert_eq!(waiting[0].expired, 2);
    assert!(world.folder.path().join("agent.db.damaged-1").exists());
}

#[test]
fn whatever_moment_the_agent_is_killed_at_the_last_committed_state_is_there() {
    const COMMITS: u64 = 400;
    let folder = tempfile::tempdir().unwrap();
    let values = |number: u64| [(number % 200) as u8, (number / 200) as u8];
    let committed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (path, committed) = (folder.path(), &committed);
        let mut spool = open(path);
        scope.spawn(move || {
            for number in 1..=COMMITS {
                let generation = observe(&mut spool, &source(0), &values(number)).unwrap();
                assert_eq!(generation, Some(Generation(number)));
                committed.store(number, Ordering::Release);
            }
        });
        let mut images = 0;
        while committed.load(Ordering::Acquire) < COMMITS {
            let before = committed.load(Ordering::Acquire);
            let image = image(path);
            let mut spool = open(image.path());
            let status = spool.status().unwrap();
            assert_eq!(status.repairs, 0, "a kill is no damage");
            if let Some(section) = status.sections.get(&source(0)) {
                let found = section.generation.0;
                assert!(found >= before, "{before} was committed and {found} is there");
                assert_eq!(section.account.imbalance(), 0);
                assert_eq!(spool.begin(&source(0)).unwrap(), manifest_of(&values(found)));
                images += 1;
            } else {
                assert_eq!(before, 0);
            }
        }
        assert!(images > 0);
    });
}

/// How far a repair came before the crash.
#[derive(Clone, Copy, Debug)]
enum Repair {
    Prepared,
    FileMoved,
    FileAndLogMoved,
}

#[test]
fn a_repair_that_breaks_off_anywhere_is_carried_on_and_its_loss_is_on_the_books() {
    for reached in [Repair::Prepared, Repair::FileMoved, Repair::FileAndLogMoved] {
        let mut world = World::new();
        world.observe(&source(0), &[1]);
        world.observe(&source(0), &[2]);
        let incarnation = world.spool().identity().incarnation;
        let image = image(world.folder.path());
        world.spool = None;
        world.folder = image;
        let folder = world.folder.path().to_path_buf();
        let mut keeper = identity::Keeper::open(&folder).unwrap();
        assert_eq!(repair::prepare(&folder, &mut keeper).unwrap(), 2);
        let aside = |suffix: &str| {
            let to = folder.join(format!("agent.db.damaged-1{suffix}"));
            match fs::rename(folder.join(format!("agent.db{suffix}")), to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
                _ => (),
            }
        };
        match reached {
            Repair::Prepared => (),
            Repair::FileMoved => aside(""),
            Repair::FileAndLogMoved => ["", "-wal"].into_iter().for_each(aside),
        }
        world.spool = Some(open(&folder));
        world.strictness = Strictness::Gaps;
        world.observe(&source(0), &[2]);
        let status = world.status();
        let account = status.sections[&source(0)].account;
        assert_eq!((account.observed, account.expired, account.waiting), (3, 2, 1), "{reached:?}");
        assert!(status.sections[&source(0)].generation > Generation(2), "{reached:?}");
        assert_eq!(status.repairs, 1, "{reached:?}");
        assert_ne!(world.spool().identity().incarnation, incarnation);
        assert!(folder.join("agent.db.damaged-1").exists());
        world.crash("agent.db", |_| ());
        assert_eq!(world.status().repairs, 1, "a repair is carried on once");
        world.settle();
        world.check_delivered();
    }
}
