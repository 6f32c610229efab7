//! Which source is due because something below its watched paths has changed.
//!
//! inotify is used directly, not through a watching library: the library at hand also asks for *open* events,
//! so every file we or anybody else reads in a watched directory wakes the agent, and one pass over 20,000 files
//! overflows the kernel's queue, which asks for another pass, for ever. Its debouncer keeps a path and an
//! inode for each file. We keep one path for each directory.
//!
//! Directories are watched, files through the directory they stand in, so that rename-on-save is seen. Every
//! directory on the way to a watched path is watched too: a root that is deleted, renamed or created later is
//! noticed by its parent. Symbolic links are never followed out of the machine's root, and below a watched path
//! never followed at all. Written files count once they are closed; a file that is held open for writing is found
//! by the periodic rescan, as is everything else the kernel does not tell.
//!
//! The invariant: a source is called due only *after* the watches that the change asked for are set, so
//! nothing can slip between a reading and the next event.

#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use driftline_protocol::ids::SourceName;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify;
use rustix::io::Errno;

use self::tree::Tree;
use crate::machine::Machine;

/// The most directories that are watched; beyond it changes are found by rescan. Each costs the kernel a
/// kilobyte and us a path.
pub const DIRECTORIES: usize = 32_768;

/// How often watches that the kernel refused are tried again, in seconds.
const RETRY_SECONDS: i64 = 600;

/// Room for events read at once, in bytes: some hundred with their names.
const EVENTS_BYTES: usize = 32 * 1024;

/// A path whose change makes a source due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The source to wake.
    pub source: SourceName,
    /// A file, or a directory with everything below it, as the machine names it.
    pub path: PathBuf,
}

/// Watches until it is dropped.
pub struct Watcher {
    shared: Arc<Shared>,
    stop: Option<(OwnedFd, JoinHandle<()>)>,
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
    /// Begins to watch. All watches are set when this returns, so a reading that begins now misses nothing.
    ///
    /// Never fails: where the kernel gives no watches, [`Watcher::limited`] says so and rescans find changes.
    pub fn start(machine: Arc<Machine>, watched: Vec<Watched>) -> Self {
        let shared = Arc::new(Shared::default());
        let stop = run(machine, watched, Arc::clone(&shared));
        if let Err(error) = &stop {
            shared.limited.store(true, Ordering::Relaxed);
            tracing::warn!(%error, "changes are found by rescan only: cannot watch");
        }
        Self { shared, stop: stop.ok() }
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
        if let Some((stop, thread)) = self.stop.take() {
            // Both fail only when the thread has ended already, which is what is asked for.
            if rustix::io::write(&stop, &1u64.to_ne_bytes()).is_ok() && thread.join().is_err() {
                tracing::error!("the watching thread panicked");
            }
        }
    }
}

fn run(
    machine: Arc<Machine>,
    watched: Vec<Watched>,
    shared: Arc<Shared>,
) -> io::Result<(OwnedFd, JoinHandle<()>)> {
    let inotify = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
    let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let stopped = stop.try_clone()?;
    let mut tree = Tree::new(inotify, watched);
    tree.sync(&machine);
    shared.say(&tree);
    let thread = std::thread::Builder::new()
        .name("watch".into())
        .spawn(move || follow(&mut tree, &machine, &shared, &stopped))?;
    Ok((stop, thread))
}

/// Handles events until `stop` is written to.
fn follow(tree: &mut Tree, machine: &Machine, shared: &Shared, stop: &OwnedFd) {
    let mut buffer = vec![std::mem::MaybeUninit::uninit(); EVENTS_BYTES];
    loop {
        match wait(tree, stop) {
            Woken::Stop => return,
            Woken::Retry => tree.sync(machine),
            Woken::Events => {
                let due = tree.handle(&mut buffer, machine);
                shared.call_due(due);
            }
        }
        shared.say(tree);
    }
}

enum Woken {
    Stop,
    Retry,
    Events,
}

fn wait(tree: &Tree, stop: &OwnedFd) -> Woken {
    let retry = Timespec { tv_sec: RETRY_SECONDS, tv_nsec: 0 };
    loop {
        let timeout = tree.limited().then_some(&retry);
        let mut ready =
            [PollFd::new(stop, PollFlags::IN), PollFd::new(tree.inotify(), PollFlags::IN)];
        match poll(&mut ready, timeout) {
            Ok(0) => return Woken::Retry,
            Ok(_) if !ready[0].revents().is_empty() => return Woken::Stop,
            Ok(_) => return Woken::Events,
            Err(Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "changes are found by rescan only: cannot wait for events");
                return Woken::Stop;
            }
        }
    }
}
