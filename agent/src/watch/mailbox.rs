//! What the kernel has told, kept until the watching thread takes it.
//!
//! `notify` calls its listener on a thread of its own, which must never wait for ours: it is the
//! thread that sets our watches. So the listener drops what concerns nobody, keeps one entry for
//! each path however often it is touched, and says "anything" when it would have to keep too many.
//!
//! `notify` asks the kernel for *open* and *modify* events too. The invariant: an event that only
//! says that something was read or opened takes no lock, costs no memory and wakes nobody.
//! Otherwise our own reading would call for the next.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use driftline_protocol::ids::SourceName;
use notify::event::{AccessKind, AccessMode, Event, EventKind, ModifyKind, RenameMode};

use super::Watched;

/// The most paths that wait; beyond it everything counts as touched. Some 150 kB, and more than
/// come together unless a tree is written anew.
pub(super) const PATHS: usize = 1_024;

/// See the module.
#[derive(Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    told: Told,
    stopped: bool,
    closed: bool,
}

/// What was told since it was last taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The paths as the kernel knows them; at most [`PATHS`].
    pub(super) touched: BTreeMap<PathBuf, Touch>,
    /// Some events are not in `touched`: anything may have been.
    pub(super) lost: bool,
    /// What is to be watched from now on, for each source that wants something else than before.
    pub(super) wanted: BTreeMap<SourceName, Vec<Watched>>,
}

/// What happened to a path, the most momentous last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Touch {
    /// A file was written and closed.
    Content,
    /// Owner, mode or times changed; what could not be opened perhaps can be now.
    Attributes,
    /// It came, went, or has another name: what stands there may be another directory.
    Entry,
}

/// Why the watching thread is awake.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// It is asked to end.
    Stopped,
    /// Nothing will ever be told again.
    Closed,
    /// Nothing was told in the given time.
    TimedOut,
    /// Something was.
    Told(Told),
}

/// The side of the mailbox that `notify` holds.
pub(super) struct Listener(pub(super) Arc<Mailbox>);

impl notify::EventHandler for Listener {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.0.lose(),
            Ok(event) => {
                if let Some(touch) = touch(&event.kind) {
                    self.0.put(event.paths, touch);
                }
            }
            Err(error) if is_interruption(&error) => {}
            Err(_) => self.0.lose(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.changed.notify_all();
    }
}

impl Mailbox {
    /// Waits until there is something to do, at most for `limit`.
    pub(super) fn wait(&self, limit: Duration) -> Woken {
        let idle = |state: &mut State| !state.stopped && !state.closed && state.told.is_empty();
        let waited = self.changed.wait_timeout_while(self.state(), limit, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.stopped {
            Woken::Stopped
        } else if !state.told.is_empty() {
            Woken::Told(std::mem::take(&mut state.told))
        } else if state.closed {
            Woken::Closed
        } else {
            Woken::TimedOut
        }
    }

    /// Asks the watching thread to end.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    /// Whether `notify` has ended, so that it must not be asked for anything any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Waits until `notify` has ended, at most for `limit`.
    pub(super) fn wait_closed(&self, limit: Duration) {
        let open = |state: &mut State| !state.closed;
        // When it takes longer it ends later; nobody hears of it any more.
        drop(self.changed.wait_timeout_while(self.state(), limit, open));
    }

    /// Asks for `watched` to be watched for `source`, and nothing else; the last word counts.
    pub(super) fn want(&self, source: &SourceName, watched: Vec<Watched>) {
        self.state().told.wanted.insert(source.clone(), watched);
        self.changed.notify_all();
    }

    fn put(&self, paths: Vec<PathBuf>, touch: Touch) {
        let mut state = self.state();
        for path in paths {
            state.told.put(path, touch);
        }
        self.changed.notify_all();
    }

    fn lose(&self) {
        self.state().told.lose();
        self.changed.notify_all();
    }

    /// As if the kernel had lost events.
    #[cfg(test)]
    #[cfg(unix)]
    pub(super) fn lose_all(&self) {
        self.lose();
    }

    /// As long as it is held `notify` waits, as a test may want.
    #[cfg(test)]
    #[cfg(unix)]
    pub(super) fn hold(&self) -> impl Sized + '_ {
        self.state()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn is_empty(&self) -> bool {
        !self.lost && self.touched.is_empty() && self.wanted.is_empty()
    }

    fn put(&mut self, path: PathBuf, touch: Touch) {
        if self.lost {
            return;
        }
        if self.touched.len() >= PATHS && !self.touched.contains_key(&path) {
            self.lose();
            return;
        }
        let before = self.touched.entry(path).or_insert(touch);
        *before = touch.max(*before);
    }

    fn lose(&mut self) {
        self.touched = BTreeMap::new();
        self.lost = true;
    }
}

/// What an event says; `None` when it concerns nobody.
///
/// *Modify data* is left out, for it comes with every write to a log that is held open. Whoever
/// writes a file closes it, and that counts; the few that change a file without (`truncate` by
/// name, a memory map) are found by the periodic rescan. A rename that names *both* paths repeats
/// two events that came before it.
pub(super) fn touch(kind: &EventKind) -> Option<Touch> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Touch::Content),
        EventKind::Access(_)
        | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Name(RenameMode::Both)) => None,
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(Touch::Attributes),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(ModifyKind::Any | ModifyKind::Name(_) | ModifyKind::Other)
        | EventKind::Remove(_)
        | EventKind::Other => Some(Touch::Entry),
    }
}

fn is_interruption(error: &notify::Error) -> bool {
    matches!(&error.kind, notify::ErrorKind::Io(cause)
        if cause.kind() == io::ErrorKind::Interrupted)
}
