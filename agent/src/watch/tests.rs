//! The watcher against a real kernel: what happens in the tree makes the right source due.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use driftline_protocol::redact::Redactor;
use notify::event::{
    AccessKind, AccessMode, CreateKind, DataChange, Event, EventKind, Flag, MetadataKind,
    ModifyKind, RemoveKind, RenameMode,
};
use notify::{Error, ErrorKind, EventHandler};

use super::kernel::{Attempt, attempt};
use super::mailbox::{Listener, PATHS, Told, Touch, touch};
use super::*;

/// How long an event may take to arrive before a test fails.
const LIMIT: Duration = Duration::from_secs(10);

/// A tree by `files`, a file in it by `accounts`, a file elsewhere by `packages`.
fn watched() -> Vec<Watched> {
    let watched = [("files", "/etc"), ("accounts", "/etc/passwd"), ("packages", "/var/lib/db")];
    let one = |(source, path): (&str, &str)| Watched {
        source: source.parse().unwrap(),
        path: path.into(),
        reach: Reach::Whole,
    };
    watched.map(one).to_vec()
}

struct Bench {
    folder: tempfile::TempDir,
    watcher: Watcher,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// A tree made by `before`, watched as [`watched`] says.
    fn new(before: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        before(folder.path());
        let machine = Machine::open(folder.path(), Redactor::new([7; 32])).unwrap();
        let watcher = Watcher::start(Arc::new(machine), watched());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { folder, watcher, runtime }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// Waits until all of `sources` were called due, and forgets what came with them.
    #[track_caller]
    fn expect(&self, sources: &[&str]) {
        let mut missing: BTreeSet<SourceName> =
            sources.iter().map(|source| source.parse().unwrap()).collect();
        let all = async {
            while !missing.is_empty() {
                for source in self.watcher.due().await {
                    missing.remove(&source);
                }
            }
        };
        let done = self.runtime.block_on(async { tokio::time::timeout(LIMIT, all).await });
        assert!(done.is_ok(), "{missing:?} were not called due");
        self.settle();
    }

    /// Lets every event made so far be handled, by making one more and waiting for it.
    fn settle(&self) -> BTreeSet<SourceName> {
        let mut due = BTreeSet::new();
        let sentinel = self.path("/var/lib/db");
        fs::write(&sentinel, "x").unwrap();
        let packages: SourceName = "packages".parse().unwrap();
        let arrived = async {
            while !due.contains(&packages) {
                due.extend(self.watcher.due().await);
            }
        };
        self.runtime.block_on(async { tokio::time::timeout(LIMIT, arrived).await }).unwrap();
        due.remove(&packages);
        due
    }
}

fn etc(root: &Path) {
    fs::create_dir_all(root.join("etc/sub/deep")).unwrap();
    fs::create_dir_all(root.join("var/lib")).unwrap();
    fs::write(root.join("etc/passwd"), "x").unwrap();
    fs::write(root.join("etc/sub/file"), "x").unwrap();
}

#[test]
fn a_written_file_makes_its_source_due() {
    let bench = Bench::new(etc);
    fs::write(bench.path("/etc/sub/deep/new"), "1").unwrap();
    bench.expect(&["files"]);
    fs::write(bench.path("/etc/passwd"), "2").unwrap();
    bench.expect(&["files", "accounts"]);
    fs::remove_file(bench.path("/etc/sub/file")).unwrap();
    bench.expect(&["files"]);
}

#[test]
fn a_file_beside_a_watched_one_does_not_concern_its_source() {
    let bench = Bench::new(etc);
    fs::write(bench.path("/etc/group"), "1").unwrap();
    fs::write(bench.path("/var/lib/other"), "1").unwrap();
    let due = bench.settle();
    let files: SourceName = "files".parse().unwrap();
    assert_eq!(due, [files].into());
}

#[test]
fn reading_makes_nothing_due() {
    let bench = Bench::new(etc);
    bench.settle();
    for _ in 0..100 {
        fs::read(bench.path("/etc/sub/file")).unwrap();
        assert_eq!(fs::read_dir(bench.path("/etc")).unwrap().count(), 2);
    }
    assert_eq!(bench.settle(), BTreeSet::new());
}

#[test]
fn rename_on_save_makes_the_source_due() {
    let bench = Bench::new(etc);
    fs::write(bench.path("/etc/passwd+"), "2").unwrap();
    bench.expect(&["files"]);
    fs::rename(bench.path("/etc/passwd+"), bench.path("/etc/passwd")).unwrap();
    bench.expect(&["files", "accounts"]);
}

#[test]
fn directories_made_later_are_watched_to_their_depth() {
    let bench = Bench::new(etc);
    fs::create_dir_all(bench.path("/etc/a/b/c")).unwrap();
    bench.expect(&["files"]);
    fs::write(bench.path("/etc/a/b/c/file"), "1").unwrap();
    bench.expect(&["files"]);
}

#[test]
fn a_directory_moved_in_is_watched_and_one_moved_out_is_not() {
    let bench = Bench::new(|root| {
        etc(root);
        fs::create_dir_all(root.join("outside/tree")).unwrap();
    });
    fs::rename(bench.path("/outside/tree"), bench.path("/etc/tree")).unwrap();
    bench.expect(&["files"]);
    fs::write(bench.path("/etc/tree/file"), "1").unwrap();
    bench.expect(&["files"]);
    fs::rename(bench.path("/etc/tree"), bench.path("/outside/tree")).unwrap();
    bench.expect(&["files"]);
    fs::write(bench.path("/outside/tree/file"), "2").unwrap();
    assert_eq!(bench.settle(), BTreeSet::new());
}

#[test]
fn a_directory_renamed_inside_is_watched_under_its_new_name() {
    let bench = Bench::new(etc);
    fs::rename(bench.path("/etc/sub"), bench.path("/etc/other")).unwrap();
    bench.expect(&["files"]);
    fs::write(bench.path("/etc/other/deep/file"), "1").unwrap();
    bench.expect(&["files"]);
}

#[test]
fn a_root_that_is_deleted_and_made_again_is_watched_again() {
    let bench = Bench::new(etc);
    fs::rename(bench.path("/etc"), bench.path("/etc.old")).unwrap();
    bench.expect(&["files", "accounts"]);
    fs::create_dir(bench.path("/etc")).unwrap();
    bench.expect(&["files", "accounts"]);
    fs::write(bench.path("/etc/passwd"), "1").unwrap();
    bench.expect(&["files", "accounts"]);
    fs::remove_dir_all(bench.path("/etc")).unwrap();
    bench.expect(&["files", "accounts"]);
}

#[test]
fn a_root_that_is_not_there_yet_is_found_when_it_comes() {
    let bench = Bench::new(|root| fs::create_dir_all(root.join("var/lib")).unwrap());
    fs::create_dir_all(bench.path("/etc/sub")).unwrap();
    bench.expect(&["files", "accounts"]);
    fs::write(bench.path("/etc/sub/file"), "1").unwrap();
    bench.expect(&["files"]);
}

#[test]
fn links_are_not_followed() {
    let bench = Bench::new(|root| {
        etc(root);
        fs::create_dir_all(root.join("outside")).unwrap();
        symlink(root.join("outside"), root.join("etc/link")).unwrap();
        symlink("../outside", root.join("etc/short")).unwrap();
    });
    fs::write(bench.path("/outside/file"), "1").unwrap();
    assert_eq!(bench.settle(), BTreeSet::new());
}

#[test]
fn a_flood_of_events_loses_no_source() {
    let bench = Bench::new(etc);
    for number in 0..3_000 {
        fs::write(bench.path(&format!("/etc/sub/deep/{}", number % 7)), "1").unwrap();
        fs::rename(
            bench.path(&format!("/etc/sub/deep/{}", number % 7)),
            bench.path("/etc/sub/deep/x"),
        )
        .unwrap();
    }
    bench.expect(&["files"]);
    fs::write(bench.path("/etc/sub/deep/last"), "1").unwrap();
    bench.expect(&["files"]);
}

#[test]
fn what_is_watched_is_counted() {
    let bench = Bench::new(etc);
    // The root, etc, sub, deep, var and lib.
    assert_eq!(bench.watcher.directories(), 6);
    assert!(!bench.watcher.limited());
}

/// A tree nobody follows, so that a test decides when events are handled.
struct Unfollowed {
    folder: tempfile::TempDir,
    machine: Machine,
    mailbox: Arc<Mailbox>,
    tree: Tree,
}

impl Unfollowed {
    fn new(most: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        etc(folder.path());
        let machine = Machine::open(folder.path(), Redactor::new([7; 32])).unwrap();
        let mailbox = Arc::new(Mailbox::default());
        let kernel = Kernel::new(Arc::clone(&mailbox)).unwrap();
        let mut tree = Tree::new(kernel, watched(), most);
        tree.sync(&machine);
        Self { folder, machine, mailbox, tree }
    }

    #[track_caller]
    fn told(&self) -> Told {
        match self.mailbox.wait(LIMIT) {
            Woken::Told(told) => told,
            other @ (Woken::Stopped | Woken::Closed | Woken::TimedOut) => {
                panic!("nothing was told: {other:?}")
            }
        }
    }

    /// Handles events until `source` is due.
    #[track_caller]
    fn handle_until(&mut self, source: &str) {
        let source: SourceName = source.parse().unwrap();
        loop {
            let told = self.told();
            if self.tree.handle(told, &self.machine).contains(&source) {
                return;
            }
        }
    }
}

#[test]
fn reading_a_watched_file_wakes_nobody() {
    let bench = Unfollowed::new(DIRECTORIES);
    let folder = bench.folder.path();
    for _ in 0..100 {
        fs::read(folder.join("etc/sub/file")).unwrap();
        assert_eq!(fs::read_dir(folder.join("etc")).unwrap().count(), 2);
    }
    let link = folder.join("etc/link");
    symlink("sub", &link).unwrap();
    // Events come in order, so whatever reading had told would be told before the link.
    let expected = [(link, Touch::Entry)].into();
    assert_eq!(bench.told(), Told { touched: expected, ..Told::default() });
}

#[test]
fn only_what_may_have_changed_something_is_listened_to() {
    let check = |kind: EventKind, expected| assert_eq!(touch(&kind), expected, "{kind:?}");
    check(EventKind::Access(AccessKind::Open(AccessMode::Any)), None);
    check(EventKind::Access(AccessKind::Read), None);
    check(EventKind::Access(AccessKind::Close(AccessMode::Read)), None);
    check(EventKind::Access(AccessKind::Close(AccessMode::Write)), Some(Touch::Content));
    check(EventKind::Modify(ModifyKind::Data(DataChange::Any)), None);
    check(EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), Some(Touch::Attributes));
    check(EventKind::Modify(ModifyKind::Name(RenameMode::From)), Some(Touch::Entry));
    check(EventKind::Modify(ModifyKind::Name(RenameMode::To)), Some(Touch::Entry));
    check(EventKind::Modify(ModifyKind::Name(RenameMode::Both)), None);
    check(EventKind::Create(CreateKind::File), Some(Touch::Entry));
    check(EventKind::Remove(RemoveKind::Folder), Some(Touch::Entry));
}

#[test]
fn what_waits_is_one_entry_a_path_and_bounded() {
    let mailbox = Arc::new(Mailbox::default());
    let mut listener = Listener(Arc::clone(&mailbox));
    let mut tell = |kind, number: usize| {
        listener.handle_event(Ok(Event::new(kind).add_path(format!("/{number}").into())));
    };
    let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
    for _ in 0..3 {
        tell(EventKind::Create(CreateKind::File), 0);
        (0..PATHS).for_each(|number| tell(written, number));
    }
    let Woken::Told(told) = mailbox.wait(LIMIT) else { panic!("nothing was told") };
    assert_eq!((told.touched.len(), told.lost), (PATHS, false));
    assert_eq!(told.touched[Path::new("/0")], Touch::Entry, "writing hid that it was made");
    (0..=PATHS).for_each(|number| tell(written, number));
    assert_eq!(mailbox.wait(LIMIT), Woken::Told(Told { lost: true, ..Told::default() }));
    listener.handle_event(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    assert_eq!(mailbox.wait(LIMIT), Woken::Told(Told { lost: true, ..Told::default() }));
    drop(listener);
    assert_eq!(mailbox.wait(LIMIT), Woken::Closed);
}

#[test]
fn a_kernel_without_room_is_told_from_a_directory_that_may_not_be_watched() {
    let check = |kind, expected| assert_eq!(attempt(&Error::new(kind)), expected);
    check(ErrorKind::MaxFilesWatch, Attempt::Exhausted);
    check(ErrorKind::Io(std::io::ErrorKind::OutOfMemory.into()), Attempt::Exhausted);
    check(ErrorKind::Io(std::io::ErrorKind::PermissionDenied.into()), Attempt::Refused);
    check(ErrorKind::PathNotFound, Attempt::Refused);
}

#[test]
fn a_directory_found_under_a_new_name_first_stays_watched() {
    let mut bench = Unfollowed::new(DIRECTORIES);
    let (old, new) = (bench.folder.path().join("etc/sub"), bench.folder.path().join("etc/new"));
    // Found by looking, before notify hears of the old name's end and would stop the watch.
    let held = bench.mailbox.hold();
    fs::create_dir(bench.folder.path().join("etc/one")).unwrap();
    fs::rename(&old, &new).unwrap();
    drop(held);
    bench.tree.renew(&bench.machine);
    while let Woken::Told(told) = bench.mailbox.wait(Duration::from_millis(100)) {
        bench.tree.handle(told, &bench.machine);
    }
    assert_eq!(bench.tree.directories(), 7);
    fs::write(new.join("deep/file"), "1").unwrap();
    bench.handle_until("files");
}

#[test]
fn a_reached_bound_is_told_and_what_is_watched_stays_watched() {
    let mut bench = Unfollowed::new(2);
    assert!(bench.tree.limited());
    assert_eq!(bench.tree.directories(), 2);
    fs::remove_dir_all(bench.folder.path().join("etc")).unwrap();
    bench.handle_until("files");
    fs::remove_dir_all(bench.folder.path().join("var")).unwrap();
    bench.tree.sync(&bench.machine);
    assert!(!bench.tree.limited(), "a bound that is no longer reached is still told");
}

/// Asks for `paths` to be watched for `accounts` by themselves, and waits until they are.
fn want(bench: &Bench, paths: &[&str]) {
    let one = |path: &&str| Watched {
        source: "accounts".parse().unwrap(),
        path: path.into(),
        reach: Reach::Itself,
    };
    bench.watcher.want(&"accounts".parse().unwrap(), paths.iter().map(one).collect());
    bench.expect(&["accounts"]);
}

/// Two homes beside the tree, the first with a key.
fn homes(root: &Path) {
    etc(root);
    fs::create_dir_all(root.join("home/ada/.ssh/deep")).unwrap();
    fs::create_dir_all(root.join("home/eve")).unwrap();
    fs::write(root.join("home/ada/.ssh/keys"), "x").unwrap();
}

#[test]
fn a_single_file_is_watched_once_it_is_wanted_and_nothing_beside_it() {
    let bench = Bench::new(homes);
    let accounts: SourceName = "accounts".parse().unwrap();
    fs::write(bench.path("/home/ada/.ssh/keys"), "1").unwrap();
    assert_eq!(bench.settle(), BTreeSet::new());
    let before = bench.watcher.directories();
    want(&bench, &["/home/ada/.ssh/keys"]);
    assert_eq!(bench.watcher.directories(), before + 3, "home, ada and .ssh");
    fs::write(bench.path("/home/ada/.ssh/known"), "1").unwrap();
    fs::write(bench.path("/home/ada/.ssh/deep/file"), "1").unwrap();
    fs::write(bench.path("/etc/passwd"), "its place was taken").unwrap();
    assert!(!bench.settle().contains(&accounts));
    fs::write(bench.path("/home/ada/.ssh/keys"), "2").unwrap();
    bench.expect(&["accounts"]);
    // The way to it may come and go.
    fs::rename(bench.path("/home/ada/.ssh"), bench.path("/home/ada/.old")).unwrap();
    bench.expect(&["accounts"]);
    fs::create_dir(bench.path("/home/ada/.ssh")).unwrap();
    bench.expect(&["accounts"]);
    fs::write(bench.path("/home/ada/.ssh/keys"), "3").unwrap();
    bench.expect(&["accounts"]);
    want(&bench, &["/home/eve/.ssh/keys"]);
    assert_eq!(bench.watcher.directories(), before + 2, "what is left is watched on");
    fs::write(bench.path("/home/ada/.ssh/keys"), "4").unwrap();
    assert_eq!(bench.settle(), BTreeSet::new());
}

#[test]
fn a_folder_that_is_watched_alone_tells_its_names_and_nothing_below() {
    let bench = Bench::new(homes);
    want(&bench, &["/home/ada/.ssh"]);
    fs::write(bench.path("/home/ada/.ssh/new"), "1").unwrap();
    bench.expect(&["accounts"]);
    fs::write(bench.path("/home/ada/.ssh/deep/new"), "1").unwrap();
    assert_eq!(bench.settle(), BTreeSet::new());
}

#[test]
fn a_link_in_a_home_gives_no_folder_another_name() {
    let bench = Bench::new(|root| {
        homes(root);
        let link = root.join("home/eve/.ssh");
        symlink("/etc/sub", &link).unwrap();
        std::os::unix::fs::lchown(link, Some(1_000), None).unwrap();
        symlink("/home/ada", root.join("home/linked")).unwrap();
    });
    // As it is after all events were lost, when there is no telling which is found first.
    want(&bench, &["/home/eve/.ssh/file", "/home/linked/.ssh/keys"]);
    bench.watcher.stop.as_ref().unwrap().0.lose_all();
    bench.expect(&["files", "accounts"]);
    fs::write(bench.path("/etc/sub/file"), "1").unwrap();
    let due = bench.settle();
    assert_eq!(due, ["files".parse().unwrap()].into(), "the link is followed");
    // Root's own are: homes may have been moved.
    fs::write(bench.path("/home/ada/.ssh/keys"), "1").unwrap();
    bench.expect(&["accounts"]);
}

#[test]
fn homes_where_everything_writes_are_not_watched_and_too_many_are_told() {
    let bench = Bench::new(|root| {
        homes(root);
        fs::create_dir_all(root.join("dev/.ssh")).unwrap();
    });
    want(&bench, &["/dev/.ssh/keys"]);
    fs::write(bench.path("/dev/.ssh/keys"), "1").unwrap();
    assert_eq!(bench.settle(), BTreeSet::new());
    let many: Vec<String> =
        (0..=wanted::PATHS).map(|number| format!("/home/{number}/.ssh/keys")).collect();
    want(&bench, &many.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(bench.watcher.limited());
    want(&bench, &["/home/ada/.ssh/keys"]);
    assert!(!bench.watcher.limited(), "a bound that is no longer reached is still told");
}

#[test]
fn single_files_leave_watches_to_folders_that_come() {
    let mut bench = Unfollowed::new(8);
    for number in 0..4 {
        fs::create_dir_all(bench.folder.path().join(format!("home/{number}"))).unwrap();
    }
    let one = |number| Watched {
        source: "accounts".parse().unwrap(),
        path: format!("/home/{number}/keys").into(),
        reach: Reach::Itself,
    };
    bench.mailbox.want(&"accounts".parse().unwrap(), (0..4).map(one).collect());
    bench.handle_until("accounts");
    assert_eq!((bench.tree.directories(), bench.tree.limited()), (6, true));
    fs::create_dir(bench.folder.path().join("etc/new")).unwrap();
    bench.handle_until("files");
    assert_eq!(bench.tree.directories(), 7);
}

#[test]
fn events_the_kernel_lost_make_every_source_due() {
    let mut bench = Unfollowed::new(DIRECTORIES);
    let bound = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let bound: usize = bound.trim().parse().unwrap();
    let names = ["a", "b"].map(|name| bench.folder.path().join("etc/sub").join(name));
    let held = bench.mailbox.hold();
    fs::write(&names[0], "x").unwrap();
    for number in 0..=bound {
        fs::rename(&names[number % 2], &names[(number + 1) % 2]).unwrap();
    }
    drop(held);
    bench.handle_until("packages");
    assert_eq!(bench.tree.directories(), 6);
}
