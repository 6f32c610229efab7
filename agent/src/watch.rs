//! Which source is due because something below its watched paths has changed.
//!
//! The events come from `notify`, which tells of every file that anybody opens in a watched
//! directory, too; the `mailbox` drops those before anything wakes. Its recursion is not used,
//! and no debouncer: we keep a path for each directory, not one for each file, and the pure
//! [`crate::schedule`] decides how long a source must be quiet before it is read.
//!
//! Directories are watched, files through the directory they stand in, so that rename-on-save is
//! seen. Every directory on the way to a watched path is watched too: a root that is deleted,
//! renamed or created later is noticed by its parent. Symbolic links are never followed out of the
//! machine's root, and below a watched path never followed at all. What a source turns out to read
//! besides (files of homes, what an include names) is watched by itself, without what is below: a
//! source says it after a reading, and is called once more when the watches are set.
//!
//! Written files count once they are closed; a file that is held open for writing is found by the
//! periodic rescan, as is everything else the kernel does not tell. Neither does it tell what is
//! mounted and unmounted: the watches are compared with the tree once an hour.
//!
//! The invariant: a source is called due only *after* the watches that the change asked for are
//! set, so nothing can slip between a reading and the next event.

mod kernel;
mod mailbox;
mod remote;
#[cfg(test)]
#[cfg(unix)]
mod tests;
mod tree;
mod wanted;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use driftline_protocol::ids::SourceName;
use driftline_protocol::mutant::{self, Mutant};

use self::kernel::Kernel;
use self::mailbox::{Mailbox, Woken};
use self::tree::Tree;
use crate::machine::Machine;

/// The most directories that are watched; beyond it changes are found by rescan. Each costs the
/// kernel a kilobyte and us a few hundred bytes.
pub const DIRECTORIES: usize = 32_768;

/// How often watches that the kernel refused are tried again.
const RETRY: Duration = Duration::from_secs(600);

/// How often the watches are compared with the tree when nothing asks for it.
const RENEWAL: Duration = Duration::from_secs(3_600);

/// A path whose change makes a source due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The source to wake.
    pub source: SourceName,
    /// As the machine names it.
    pub path: PathBuf,
    /// What of it.
    pub reach: Reach,
}

/// How much is watched at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// A file, or a directory with everything below it.
    Whole,
    /// A file, a link, or a directory with the names in it. Somebody else may decide what stands
    /// there: nothing below is watched, nothing by way of a link that is not root's, and nothing on
    /// a file system of another machine.
    Itself,
}

/// Watches until it is dropped.
pub struct Watcher {
    shared: Arc<Shared>,
    stop: Option<(Arc<Mailbox>, JoinHandle<()>)>,
}

/// What the watching thread tells.
#[derive(Default)]
struct Shared {
    /// Bounded by the number of sources.
    due: Mutex<BTreeSet<SourceName>>,
    wake: tokio::sync::Notify,
    directories: AtomicU64,
    limited: AtomicBool,
}

impl Shared {
    fn call_due(&self, sources: impl IntoIterator<Item = SourceName>) {
        if mutant::active(Mutant::DeafWatcher) {
            return;
        }
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.extend(sources);
        if !due.is_empty() {
            self.wake.notify_one();
        }
    }

    fn say(&self, tree: &Tree) {
        self.directories.store(tree.directories() as u64, Ordering::Relaxed);
        self.limited.store(tree.limited(), Ordering::Relaxed);
    }
}

impl Watcher {
    /// Begins to watch. All watches are set when this returns, so a reading that begins now misses
    /// nothing.
    ///
    /// Never fails: where the kernel gives no watches, [`Watcher::limited`] says so and rescans
    /// find changes.
    pub fn start(machine: Arc<Machine>, watched: Vec<Watched>) -> Self {
        let shared = Arc::new(Shared::default());
        let stop = run(machine, watched, Arc::clone(&shared));
        if let Err(error) = &stop {
            shared.limited.store(true, Ordering::Relaxed);
            tracing::warn!(%error, "changes are found by rescan only: cannot watch");
        }
        Self { shared, stop: stop.ok() }
    }

    /// Watches `watched` for `source` from now on, and nothing else, and then calls it due once:
    /// what changed before the watches were set would be missed.
    pub fn want(&self, source: &SourceName, watched: Vec<Watched>) {
        if let Some((mailbox, _)) = &self.stop {
            mailbox.want(source, watched);
        }
    }

    /// The sources something has changed for since this was last asked; waits for the first.
    ///
    /// Dropping the future loses nothing.
    pub async fn due(&self) -> BTreeSet<SourceName> {
        loop {
            let due = self.take_due();
            if !due.is_empty() {
                return due;
            }
            self.shared.wake.notified().await;
        }
    }

    /// The same without waiting.
    pub fn take_due(&self) -> BTreeSet<SourceName> {
        std::mem::take(&mut *self.shared.due.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many directories are watched.
    pub fn directories(&self) -> u64 {
        self.shared.directories.load(Ordering::Relaxed)
    }

    /// Whether some directories could not be watched because of a bound of the kernel or ours.
    pub fn limited(&self) -> bool {
        self.shared.limited.load(Ordering::Relaxed)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some((mailbox, thread)) = self.stop.take() {
            mailbox.stop();
            if thread.join().is_err() {
                tracing::error!("the watching thread panicked");
            }
        }
    }
}

fn run(
    machine: Arc<Machine>,
    watched: Vec<Watched>,
    shared: Arc<Shared>,
) -> notify::Result<(Arc<Mailbox>, JoinHandle<()>)> {
    let mailbox = Arc::new(Mailbox::default());
    let kernel = Kernel::new(Arc::clone(&mailbox))?;
    let mut tree = Tree::new(kernel, watched, DIRECTORIES);
    tree.sync(&machine);
    shared.say(&tree);
    let told = Arc::clone(&mailbox);
    let thread = std::thread::Builder::new().name("watch".into()).spawn(move || {
        let following = Following(&shared);
        follow(&mut tree, &machine, &shared, &told);
        drop(following);
    })?;
    Ok((mailbox, thread))
}

/// Follows what the mailbox holds until it is stopped or `notify` has ended.
fn follow(tree: &mut Tree, machine: &Machine, shared: &Shared, mailbox: &Mailbox) {
    loop {
        let limit = if tree.limited() { RETRY } else { RENEWAL };
        match mailbox.wait(limit) {
            Woken::Stopped => return,
            Woken::Closed => {
                tracing::error!("changes are found by rescan only: the thread of notify ended");
                return;
            }
            Woken::TimedOut => tree.renew(machine),
            Woken::Told(told) => {
                let due = tree.handle(told, machine);
                shared.call_due(due);
            }
        }
        shared.say(tree);
    }
}

/// Says when it is dropped that nobody follows any more, also after a panic.
struct Following<'a>(&'a Shared);

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.0.limited.store(true, Ordering::Relaxed);
    }
}
