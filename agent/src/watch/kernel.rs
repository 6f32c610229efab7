//! The kernel's watches, one directory each, asked for through `notify`.
//!
//! It knows paths as the kernel does, all links resolved, and neither sources nor what is below a
//! directory: `notify`'s own recursion would follow links, cross file systems and know no bound.
//!
//! The invariant: after `notify`'s thread has ended, for whatever reason, it is not spoken to. It
//! panics when it is, and so it does when it is dropped.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{Config, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::mailbox::{Listener, Mailbox};

/// What the kernel is asked to tell. Opening and writing are left out: every program that starts
/// opens files of `/etc`, our own reading opens all of them, and each would wake a thread to be
/// thrown away. A written file is told of once it is closed.
///
/// Only inotify tells of closing; elsewhere a write is told by itself, and opening never is.
const KINDS: EventKindMask = {
    let kinds = EventKindMask::CREATE
        .union(EventKindMask::REMOVE)
        .union(EventKindMask::MODIFY_META)
        .union(EventKindMask::MODIFY_NAME)
        .union(EventKindMask::ACCESS_CLOSE);
    if cfg!(target_os = "linux") { kinds } else { kinds.union(EventKindMask::MODIFY_DATA) }
};

/// How long the end of `notify`'s thread is waited for.
const END_LIMIT: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Kernel {
    notify: Option<RecommendedWatcher>,
    mailbox: Arc<Mailbox>,
}

/// How an attempt to watch a directory ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// It is watched.
    Watched,
    /// It has vanished or may not be watched; others may.
    Refused,
    /// The kernel has no room for this one nor for any other.
    Exhausted,
}

impl Kernel {
    /// Tells `mailbox` what happens in directories watched from now on.
    pub(super) fn new(mailbox: Arc<Mailbox>) -> notify::Result<Self> {
        let config = Config::default().with_event_kinds(KINDS);
        let notify = RecommendedWatcher::new(Listener(Arc::clone(&mailbox)), config)?;
        let kernel = Self { notify: Some(notify), mailbox };
        if kernel.mailbox.is_closed() {
            return Err(notify::Error::generic("the thread of notify did not start"));
        }
        Ok(kernel)
    }

    /// Watches the directory that is now at `path`.
    pub(super) fn watch(&mut self, path: &Path) -> Attempt {
        let Some(notify) = self.alive() else { return Attempt::Exhausted };
        match notify.watch(path, RecursiveMode::NonRecursive) {
            Ok(()) => Attempt::Watched,
            Err(error) => attempt(&error),
        }
    }

    /// Stops watching what was watched at `path`.
    pub(super) fn unwatch(&mut self, path: &Path) {
        if let Some(notify) = self.alive() {
            // It fails when the directory is gone, and nothing comes from it any more either way.
            notify.unwatch(path).ok();
        }
    }

    fn alive(&mut self) -> Option<&mut RecommendedWatcher> {
        if self.mailbox.is_closed() { None } else { self.notify.as_mut() }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if self.mailbox.is_closed() {
            std::mem::forget(self.notify.take());
        } else {
            drop(self.notify.take());
            self.mailbox.wait_closed(END_LIMIT);
        }
    }
}

/// What a refusal means for the directories that are still to come.
pub(super) fn attempt(error: &notify::Error) -> Attempt {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => Attempt::Exhausted,
        notify::ErrorKind::Io(cause) if cause.kind() == io::ErrorKind::OutOfMemory => {
            Attempt::Exhausted
        }
        notify::ErrorKind::Io(_)
        | notify::ErrorKind::Generic(_)
        | notify::ErrorKind::PathNotFound
        | notify::ErrorKind::WatchNotFound
        | notify::ErrorKind::InvalidConfig(_) => Attempt::Refused,
    }
}
