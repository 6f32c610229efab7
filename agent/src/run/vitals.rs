//! How the agent itself fares: written by its parts, read for the heartbeat and the watchdog.
//!
//! Numbers only; it decides nothing and outlives a reload, so that counts do not begin again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driftline_protocol::ids::SourceName;
use driftline_protocol::wire::Budget;

use crate::transport::stranded::STRANDED;

/// A reading thread that has not come round for this long does not work any more, in milliseconds.
/// It turns every few seconds; what it waits for in between is the disk under the spool.
const LATE_MS: u64 = 30_000;

/// Shared by everything that runs in one agent; clones are the same vitals.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// When the reading thread last came round; 0 while there is none.
    turned_ms: AtomicU64,
    restarts: AtomicU64,
    config_refused: AtomicBool,
    /// Shared with the transport.
    stranded: Arc<AtomicBool>,
    /// Sources a thread is reading, given up or not. Bounded by the number of sources.
    read: Mutex<BTreeSet<SourceName>>,
    /// Readers that were given up and have not ended.
    stuck: AtomicU64,
    /// Sources whose last pass was stopped, and why. Bounded by the number of sources.
    over_budget: Mutex<BTreeMap<SourceName, Budget>>,
}

impl Vitals {
    /// Whether the reading thread works, or there is none yet.
    pub fn alive(&self, now_ms: u64) -> bool {
        let turned = self.inner.turned_ms.load(Ordering::Relaxed);
        turned == 0 || now_ms.saturating_sub(turned) < LATE_MS
    }

    /// How often a source had to be made anew.
    pub fn restarts(&self) -> u64 {
        self.inner.restarts.load(Ordering::Relaxed)
    }

    /// How many sources hang in a reading that was given up.
    pub fn stuck(&self) -> u64 {
        self.inner.stuck.load(Ordering::Relaxed)
    }

    /// Whether the configuration on disk could not be used, and the one before runs on.
    pub fn config_refused(&self) -> bool {
        self.inner.config_refused.load(Ordering::Relaxed)
    }

    /// Where it stands whether only a person can make the collector know this host again.
    pub(super) fn stranded(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.inner.stranded)
    }

    /// What a person should know who asks the service manager how the agent fares.
    pub fn status(&self) -> &'static str {
        if self.inner.stranded.load(Ordering::Relaxed) { STRANDED } else { "" }
    }

    /// The sources whose last pass was stopped, and which bound it passed.
    pub fn over_budget(&self) -> BTreeMap<SourceName, Budget> {
        self.inner.over_budget.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_over_budget(&self, source: &SourceName, over: Option<Budget>) {
        let mut all = self.inner.over_budget.lock().unwrap_or_else(PoisonError::into_inner);
        match over {
            Some(budget) => all.insert(source.clone(), budget),
            None => all.remove(source),
        };
    }

    pub(super) fn set_config_refused(&self, refused: bool) {
        self.inner.config_refused.store(refused, Ordering::Relaxed);
    }

    pub(super) fn turned(&self, now_ms: u64) {
        self.inner.turned_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    /// No reading thread is expected to turn from now on.
    pub(super) fn rests(&self) {
        self.inner.turned_ms.store(0, Ordering::Relaxed);
    }

    #[cfg(test)]
    #[cfg(unix)]
    pub(super) fn turned_ms(&self) -> u64 {
        self.inner.turned_ms.load(Ordering::Relaxed)
    }

    pub(super) fn restarted(&self) {
        self.inner.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// A place for one thread that reads `source`; `None` while another has it.
    pub(super) fn seat(&self, source: &SourceName) -> Option<Seat> {
        let taken = !self.read().insert(source.clone());
        (!taken).then(|| Seat {
            vitals: self.clone(),
            source: source.clone(),
            stuck: Stuck::default(),
        })
    }

    fn read(&self) -> MutexGuard<'_, BTreeSet<SourceName>> {
        // A set is whole between any two of its calls.
        self.inner.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread reads one source for as long as this lives.
pub(super) struct Seat {
    vitals: Vitals,
    source: SourceName,
    stuck: Stuck,
}

/// Marks the thread that holds a seat as given up; counted until the thread ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Stuck(Arc<Mutex<State>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Reads,
    GivenUp,
    Ended,
}

impl Seat {
    pub(super) fn stuck(&self) -> Stuck {
        self.stuck.clone()
    }
}

impl Stuck {
    fn change(&self, to: State) -> State {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), to)
    }

    /// The thread is given up, unless it ended in this moment.
    pub(super) fn give_up(&self, vitals: &Vitals) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Reads {
            *state = State::GivenUp;
            vitals.inner.stuck.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.stuck.change(State::Ended) == State::GivenUp {
            self.vitals.inner.stuck.fetch_sub(1, Ordering::Relaxed);
        }
        self.vitals.read().remove(&self.source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_one_seat_and_a_thread_given_up_counts_until_it_ends() {
        let vitals = Vitals::default();
        let source: SourceName = "files".parse().unwrap();
        let seat = vitals.seat(&source).unwrap();
        assert!(vitals.seat(&source).is_none());
        let stuck = seat.stuck();
        stuck.give_up(&vitals);
        stuck.give_up(&vitals);
        assert_eq!(vitals.stuck(), 1);
        drop(seat);
        assert_eq!(vitals.stuck(), 0);
        stuck.give_up(&vitals);
        assert_eq!(vitals.stuck(), 0, "a thread that has ended hangs in nothing");
        assert!(vitals.seat(&source).is_some());
    }

    #[test]
    fn a_reading_thread_that_does_not_come_round_is_not_alive() {
        let vitals = Vitals::default();
        assert!(vitals.alive(u64::MAX), "it has not begun");
        vitals.turned(1_000);
        assert!(vitals.alive(1_000 + LATE_MS - 1));
        assert!(!vitals.alive(1_000 + LATE_MS));
        vitals.rests();
        assert!(vitals.alive(u64::MAX));
    }
}
