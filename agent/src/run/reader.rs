//! One reading of one source on a thread of its own, which can be given up.
//!
//! A read that hangs in the kernel (a dead network share, a broken FUSE file system) cannot be
//! broken off. So the thread is left behind: its lease on the spool is taken back first, so that
//! whatever it says later is kept nowhere, and it holds the seat of its source until it ends, so
//! that no second thread runs into the same hole.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use driftline_protocol::ids::{Digest, Generation, SourceName};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::redact::Sealed;
use driftline_protocol::wire::SourceReading;

use super::passes::Event;
use super::vitals::{Seat, Stuck};
use crate::assemble::{self, Now, Outcome};
use crate::budget::Budgets;
use crate::clock;
use crate::machine::Machine;
use crate::sources::Source;
use crate::spool::{Keep, Observation, Spool, SpoolError, Tally};
use crate::watch::{Reach, Watched};

/// How long a reading may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Without a single part being said, in milliseconds.
    pub(super) still_ms: u64,
    /// In all, in milliseconds.
    pub(super) whole_ms: u64,
}

impl Default for Patience {
    /// One part is one file at most, and the largest takes seconds on the slowest disk; a section
    /// of the largest size takes minutes there.
    fn default() -> Self {
        Self { still_ms: 60_000, whole_ms: 1_800_000 }
    }
}

/// A reading that goes on.
pub(super) struct Reading {
    /// Of which source.
    pub(super) source: SourceName,
    number: u64,
    lease: Lease,
    stuck: Stuck,
    thread: JoinHandle<()>,
    begun_ms: u64,
    /// Parts said when this was last looked at, and when that number was new.
    said: (u64, u64),
}

/// A reading that has ended.
pub(super) struct Done {
    /// Which reading.
    pub(super) number: u64,
    /// The source, to be read again.
    pub(super) source: Box<dyn Source>,
    /// What it came to; `None` when something beside the source broke an assertion.
    pub(super) result: Option<Result<Outcome, SpoolError>>,
    /// What it wants to be woken for now.
    pub(super) watched: Vec<Watched>,
}

/// What `source` wants to be woken for, as far as it knows.
pub(super) fn watched(source: &dyn Source) -> Vec<Watched> {
    let one = |path, reach| Watched { source: source.name(), path, reach };
    let whole = source.watched().into_iter().map(|path| one(path, Reach::Whole));
    let alone = source.watched_alone().into_iter().map(|path| one(path, Reach::Itself));
    whole.chain(alone).collect()
}

/// What a reading needs of its surroundings.
pub(super) struct Ground<'a> {
    pub(super) machine: &'a Arc<Machine>,
    /// What the pass may use up.
    pub(super) budgets: Budgets,
    pub(super) spool: &'a Spool,
    pub(super) tell: &'a SyncSender<Event>,
}

impl Reading {
    /// Begins reading `number`.
    ///
    /// # Errors
    /// When the operating system gives no thread; the source is gone then.
    pub(super) fn begin(
        mut source: Box<dyn Source>,
        number: u64,
        ground: &Ground<'_>,
        seat: Seat,
    ) -> io::Result<Self> {
        let lease =
            Lease { spool: Arc::new(Mutex::new(Some(ground.spool.clone()))), said: Arc::default() };
        let (machine, tell) = (Arc::clone(ground.machine), ground.tell.clone());
        let budgets = ground.budgets;
        let (name, stuck, mut keep) = (source.name(), seat.stuck(), lease.clone());
        let work = move || {
            let now = Now { wall: clock::wall(), monotonic_ms: clock::monotonic_ms() };
            let machine = machine.for_pass(budgets);
            let pass = || {
                let result = assemble::pass(source.as_mut(), &machine, &mut keep, now);
                (result, watched(source.as_ref()))
            };
            // The source is made anew after a panic, and the spool changes by transactions only.
            let (result, watched) = catch_unwind(AssertUnwindSafe(pass)).ok().unzip();
            let watched = watched.unwrap_or_default();
            // Before the end is told, so that the next reading finds the seat free.
            drop(seat);
            if tell.send(Event::Done(Box::new(Done { number, source, result, watched }))).is_err() {
                tracing::debug!("a reading ended after the agent");
            }
        };
        let thread = std::thread::Builder::new().name("source".into()).spawn(work)?;
        let begun_ms = clock::monotonic_ms();
        let said = (0, begun_ms);
        Ok(Self { source: name, number, lease, stuck, thread, begun_ms, said })
    }

    /// Whether `done` is the end of this one, and not of one that was given up.
    pub(super) fn is_ended_by(&self, done: &Done) -> bool {
        self.number == done.number
    }

    /// Waits for the thread, which has told that it is about to end.
    pub(super) fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!(source = %self.source, "a reading thread broke off");
        }
    }

    /// Whether it has taken longer than `patience` allows.
    pub(super) fn is_stuck(&mut self, now_ms: u64, patience: Patience) -> bool {
        let said = self.lease.said.load(Ordering::Relaxed);
        if said != self.said.0 {
            self.said = (said, now_ms);
        }
        now_ms.saturating_sub(self.said.1) >= patience.still_ms
            || now_ms.saturating_sub(self.begun_ms) >= patience.whole_ms
    }

    /// Leaves the thread to itself; nothing it says is kept any more.
    pub(super) fn give_up(self, vitals: &super::vitals::Vitals) -> SourceName {
        self.lease.take_back();
        self.stuck.give_up(vitals);
        self.source
    }
}

/// The spool for as long as the reading is not given up.
#[derive(Clone)]
struct Lease {
    spool: Arc<Mutex<Option<Spool>>>,
    /// How many parts were said.
    said: Arc<AtomicU64>,
}

impl Lease {
    /// The lock is held during the call, so nothing is kept once [`Lease::take_back`] returned.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Spool) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.as_mut().map_or(Err(SpoolError::NotOpen), work)
    }

    fn take_back(&self) {
        let spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut spool) = spool {
            spool.abandon();
        }
    }
}

impl Keep for Lease {
    fn tally(&mut self, source: &SourceName) -> Result<Option<Tally>, SpoolError> {
        self.with(|spool| spool.tally(source))
    }

    fn begin(&mut self, source: &SourceName) -> Result<Manifest, SpoolError> {
        self.with(|spool| spool.begin(source))
    }

    fn said(&mut self) {
        self.said.fetch_add(1, Ordering::Relaxed);
    }

    fn keep(&mut self, digest: Digest, part: &Sealed) -> Result<(), SpoolError> {
        self.with(|spool| spool.keep(digest, part))
    }

    fn commit(&mut self, observation: Observation) -> Result<Option<Generation>, SpoolError> {
        self.with(|spool| spool.commit(observation))
    }

    fn stay(&mut self, source: &SourceName, reading: SourceReading) -> Result<(), SpoolError> {
        self.with(|spool| spool.stay(source, reading))
    }

    fn abandon(&mut self) {
        let abandoned = self.with(|spool| {
            spool.abandon();
            Ok(())
        });
        if abandoned.is_err() {
            tracing::debug!("a reading that was given up has nothing to abandon");
        }
    }
}
