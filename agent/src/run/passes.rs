//! The reading thread: asks the schedule what is due, has it read, and sees that it ends.
//!
//! One source is read at a time, on a thread beside this one. A reading that hangs is given up, its
//! source reported as timed out, and the others go on; a source that broke is made anew. A stop
//! never waits for a source.

#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use driftline_protocol::ids::{Incarnation, SourceName};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::{Domain, Reason};
use driftline_protocol::wire::Budget;
use tokio::sync::Notify;

use super::heap::Heap;
use super::reader::{Done, Ground, Patience, Reading, watched};
use super::vitals::Vitals;
use crate::assemble::{self, End, Now, Outcome, Unread};
use crate::budget::Budgets;
use crate::clock;
use crate::machine::Machine;
use crate::platform::{self, resident_bytes};
use crate::schedule::{Ended, Schedule};
use crate::sources::Source;
use crate::spool::{Deliver, Spool, SpoolError};
use crate::transport::chain;
use crate::watch::Watched;

/// The longest sleep, in milliseconds: long enough to cost nothing, short enough that a spool that
/// begins anew is soon full again.
const SLEEP_MS: u64 = 5_000;

/// How long a stop waits for the reading in progress to be kept, in milliseconds. What is not kept
/// is seen again by the next start.
const GRACE_MS: u64 = 2_000;

/// What the reading thread is told.
pub(super) enum Event {
    /// Something has changed for these sources.
    Wake(BTreeSet<SourceName>),
    /// A reading has ended.
    Done(Box<Done>),
    /// Come round and see that the agent ends.
    Stop,
}

/// Makes a source anew.
pub(super) type Make = Box<dyn Fn(&SourceName) -> anyhow::Result<Box<dyn Source>> + Send>;

/// Takes what a source wants to be woken for from now on.
pub(super) type Watch = Box<dyn Fn(&SourceName, Vec<Watched>) + Send>;

/// What the reading thread works with.
pub(super) struct Setting {
    pub(super) sources: Vec<Box<dyn Source>>,
    pub(super) make: Make,
    pub(super) watch: Watch,
    pub(super) machine: Arc<Machine>,
    pub(super) spool: Spool,
    pub(super) rescan_ms: u64,
    pub(super) patience: Patience,
    pub(super) budgets: Budgets,
    /// Told whenever a version was added.
    pub(super) news: Arc<Notify>,
    pub(super) vitals: Vitals,
    /// Ends the thread, once it comes round.
    pub(super) stop: Arc<AtomicBool>,
    /// The other end of what [`Passes::run`] hears.
    pub(super) tell: SyncSender<Event>,
}

/// One source and where it is.
struct Slot {
    domain: Domain,
    /// `None` while it is being read, and after it broke or hung.
    source: Option<Box<dyn Source>>,
    /// The sum of what is watched for it.
    watched: u64,
}

/// The sources with what reading them needs.
pub(super) struct Passes {
    slots: BTreeMap<SourceName, Slot>,
    schedule: Schedule,
    setting: Setting,
    reading: Option<Reading>,
    readings: u64,
    heap: Heap,
    /// The state the last passes went into.
    incarnation: Incarnation,
}

impl Passes {
    pub(super) fn new(mut setting: Setting) -> Self {
        let sources = std::mem::take(&mut setting.sources);
        let interval_ms = |source: &dyn Source| {
            let every = source.every().map(|every| u64::try_from(every.as_millis()));
            every.and_then(Result::ok).unwrap_or(setting.rescan_ms)
        };
        let names: Vec<_> =
            sources.iter().map(|source| (source.name(), interval_ms(source.as_ref()))).collect();
        // The key id differs between hosts that have their own key; the random spread makes up for
        // the rest.
        let seed = seed(&setting.machine);
        let schedule = Schedule::new(names, seed, clock::monotonic_ms());
        let slot = |source: Box<dyn Source>| {
            let watched = sum(&watched(source.as_ref()));
            (source.name(), Slot { domain: source.domain(), source: Some(source), watched })
        };
        let slots = sources.into_iter().map(slot).collect();
        let incarnation = setting.spool.identity().incarnation;
        let heap = Heap::default();
        Self { slots, schedule, setting, reading: None, readings: 0, heap, incarnation }
    }

    /// Reads what is due until it is told to stop.
    pub(super) fn run(mut self, events: &Receiver<Event>) {
        while !self.setting.stop.load(Ordering::Acquire) {
            match events.recv_timeout(self.rest()) {
                Ok(event) => self.hear(event),
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.setting.vitals.turned(clock::monotonic_ms());
            self.notice_loss();
            self.give_up_stuck();
            // After a wake-up too: a host that never comes to rest must not put its readings off
            // for ever.
            self.read_one_due();
            if self.reading.is_none() {
                self.heap.settle(clock::monotonic_ms(), resident_bytes, platform::give_back);
            }
        }
        self.leave(events);
        self.setting.vitals.rests();
    }

    fn rest(&self) -> Duration {
        let patience = self.setting.patience.still_ms.min(SLEEP_MS);
        let until = match (&self.reading, self.schedule.wake_at()) {
            (Some(_), _) => patience,
            (None, Some(at)) => at.saturating_sub(clock::monotonic_ms()).min(SLEEP_MS),
            (None, None) => SLEEP_MS,
        };
        Duration::from_millis(until)
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Wake(due) => {
                let now = clock::monotonic_ms();
                due.iter().for_each(|source| self.schedule.event(source, now));
            }
            Event::Done(done) => self.take(*done),
            Event::Stop => (),
        }
    }

    /// Reads everything again once the spool has begun anew.
    fn notice_loss(&mut self) {
        let incarnation = self.setting.spool.identity().incarnation;
        if incarnation != self.incarnation {
            self.incarnation = incarnation;
            self.schedule.event_everywhere(clock::monotonic_ms());
        }
    }

    /// Begins to read the source that has waited longest, unless one is being read.
    fn read_one_due(&mut self) {
        if self.reading.is_some() {
            return;
        }
        let Some(name) = self.schedule.due(clock::monotonic_ms()).cloned() else { return };
        self.schedule.begin(&name, clock::monotonic_ms());
        match self.begin(&name) {
            Ok(reading) => self.reading = Some(reading),
            Err(reason) => self.unread(&name, reason),
        }
    }

    fn begin(&mut self, name: &SourceName) -> Result<Reading, Reason> {
        // The last reading still hangs, and a second one would hang beside it.
        let seat = self.setting.vitals.seat(name).ok_or(Reason::TimedOut)?;
        let ready = self.slots.get_mut(name).and_then(|slot| slot.source.take());
        let source = ready.map_or_else(|| self.make_anew(name), Ok)?;
        let Setting { machine, spool, tell, budgets, .. } = &self.setting;
        self.readings += 1;
        let ground = Ground { machine, spool, tell, budgets: *budgets };
        Reading::begin(source, self.readings, &ground, seat).map_err(|error| {
            tracing::error!(source = %name, %error, "no thread to read with");
            Reason::Failed
        })
    }

    fn make_anew(&self, name: &SourceName) -> Result<Box<dyn Source>, Reason> {
        let made = (self.setting.make)(name).map_err(|error| {
            tracing::error!(source = %name, error = format!("{error:#}"), "cannot make it anew");
            Reason::Failed
        })?;
        self.setting.vitals.restarted();
        tracing::warn!(source = %name, "source was made anew");
        Ok(made)
    }

    /// Takes a reading that has ended; one that was given up means nothing any more.
    fn take(&mut self, done: Done) {
        let Some(reading) = self.reading.take_if(|reading| reading.is_ended_by(&done)) else {
            return;
        };
        let name = reading.source.clone();
        reading.join();
        let Done { source, result, watched, .. } = done;
        let (ended, whole) = match result {
            Some(result) => self.judge(&name, result),
            None => {
                tracing::error!(source = %name, "a pass broke an assertion");
                (Ended::Badly, false)
            }
        };
        if let Some(slot) = self.slots.get_mut(&name).filter(|_| whole) {
            slot.source = Some(source);
            let sum = sum(&watched);
            if slot.watched != sum && !mutant::active(Mutant::WatchedOnlyAtTheStart) {
                slot.watched = sum;
                (self.setting.watch)(&name, watched);
            }
        }
        self.end(&name, ended);
    }

    /// How the pass ended, and whether its source can be read again.
    fn judge(&self, name: &SourceName, result: Result<Outcome, SpoolError>) -> (Ended, bool) {
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(source = %name, error = chain(&error), "pass was not kept");
                return (Ended::Badly, true);
            }
        };
        self.announce(name, &outcome);
        let over = if let End::OverBudget(budget) = outcome.end { Some(budget) } else { None };
        self.setting.vitals.set_over_budget(name, over);
        match outcome.end {
            End::Complete => (Ended::Well, true),
            End::OverBudget(budget) => {
                let bytes = outcome.reading.bytes;
                tracing::warn!(source = %name, ?budget, bytes, "source passed its budget; stopped");
                // Whatever made it grow goes with it.
                (Ended::Stopped, budget != Budget::Memory)
            }
            End::Failed(reason) => {
                tracing::warn!(source = %name, %reason, "source said nothing");
                (Ended::Badly, true)
            }
            End::Panicked => {
                tracing::error!(source = %name, "source broke an assertion");
                (Ended::Badly, false)
            }
        }
    }

    fn announce(&self, name: &SourceName, outcome: &Outcome) {
        let (parts, micros) = (outcome.parts, outcome.reading.micros);
        if let Some(generation) = outcome.generation {
            tracing::info!(source = %name, %generation, parts, micros, "state changed");
            self.setting.news.notify_one();
        }
    }

    fn give_up_stuck(&mut self) {
        let (now, patience) = (clock::monotonic_ms(), self.setting.patience);
        let stuck = self.reading.take_if(|reading| reading.is_stuck(now, patience));
        let Some(reading) = stuck else { return };
        let name = reading.give_up(&self.setting.vitals);
        tracing::error!(source = %name, "source hangs and was given up; the others go on");
        self.unread(&name, Reason::TimedOut);
    }

    /// Keeps that nothing can be said of a source now, and why.
    fn unread(&mut self, name: &SourceName, reason: Reason) {
        let Some(slot) = self.slots.get(name) else { return };
        let unread = Unread { source: name.clone(), domain: slot.domain, reason };
        let now = Now { wall: clock::wall(), monotonic_ms: clock::monotonic_ms() };
        let Setting { machine, spool, .. } = &mut self.setting;
        match assemble::unread(&unread, machine, spool, now) {
            Ok(outcome) => self.announce(name, &outcome),
            Err(error) => {
                tracing::error!(source = %name, error = chain(&error), "pass was not kept");
            }
        }
        self.end(name, Ended::Badly);
    }

    fn end(&mut self, name: &SourceName, ended: Ended) {
        self.schedule.end(name, clock::monotonic_ms(), ended);
        if let Err(error) = self.setting.spool.shrink() {
            tracing::warn!(error = chain(&error), "cannot shrink the cache");
        }
        // Once for all sources that were due together.
        if self.schedule.due(clock::monotonic_ms()).is_none() {
            self.heap.give_back(clock::monotonic_ms(), resident_bytes, platform::give_back);
        }
    }

    /// Gives the reading in progress a moment to be kept, and leaves it behind if it is not.
    fn leave(&mut self, events: &Receiver<Event>) {
        let until = clock::monotonic_ms().saturating_add(GRACE_MS);
        while self.reading.is_some() {
            let left = until.saturating_sub(clock::monotonic_ms());
            match events.recv_timeout(Duration::from_millis(left)) {
                Ok(Event::Done(done)) => self.take(*done),
                Ok(Event::Wake(_) | Event::Stop) if left > 0 => (),
                Ok(_) | Err(_) => break,
            }
        }
        if let Some(reading) = self.reading.take() {
            let name = reading.give_up(&self.setting.vitals);
            tracing::warn!(source = %name, "stopped while the source was being read");
        }
    }
}

/// Tells what is watched from what was, without keeping it twice.
fn sum(watched: &[Watched]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for one in watched {
        (&one.path, one.reach).hash(&mut hasher);
    }
    hasher.finish()
}

fn seed(machine: &Machine) -> u64 {
    let mut bytes = machine.redactor().key_id().0;
    // Without randomness hosts under one site key spread less, and nothing else.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::debug!("no random seed for the schedule");
    }
    u64::from_le_bytes(bytes)
}
