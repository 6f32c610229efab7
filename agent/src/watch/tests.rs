//! The watcher against a real kernel: what happens in the tree makes the right source due.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use driftline_protocol::redact::Redactor;

use super::*;

/// How long an event may take to arrive before a test fails.
const LIMIT: Duration = Duration::from_secs(10);

struct Bench {
    folder: tempfile::TempDir,
    watcher: Watcher,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// A tree made by `before`, with `etc` watched by `files` and `/etc/passwd` by `accounts`.
    fn new(before: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        before(folder.path());
        let machine = Machine::open(folder.path(), Redactor::new([7; 32])).unwrap();
        let watched = [("files", "/etc"), ("accounts", "/etc/passwd"), ("packages", "/var/lib/db")];
        let watched = watched
            .map(|(source, path)| Watched { source: source.parse().unwrap(), path: path.into() });
        let watcher = Watcher::start(Arc::new(machine), watched.to_vec());
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
