//! The reading thread: asks the schedule what is due, reads it, and keeps what it saw.
//!
//! It owns the sources and reads one at a time. It ends when the other end of its channel is
//! dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use driftline_protocol::ids::{Incarnation, SourceName};
use tokio::sync::Notify;

use crate::assemble::{self, End, Now};
use crate::clock;
use crate::machine::Machine;
use crate::schedule::{Ended, Schedule};
use crate::sources::Source;
use crate::spool::{Deliver, Spool};
use crate::transport::chain;

/// The longest sleep, in milliseconds: long enough to cost nothing, short enough that a spool that
/// begins anew is soon full again.
const SLEEP_MS: u64 = 5_000;

/// Something has changed for these sources.
pub(super) struct Wake {
    pub(super) due: BTreeSet<SourceName>,
}

/// The sources with what reading them needs.
pub(super) struct Passes {
    sources: BTreeMap<SourceName, Box<dyn Source>>,
    schedule: Schedule,
    machine: Arc<Machine>,
    spool: Spool,
    news: Arc<Notify>,
    /// The state the last passes went into.
    incarnation: Incarnation,
}

impl Passes {
    #[allow(clippy::too_many_arguments, reason = "each is a different owner's")]
    pub(super) fn new(
        sources: Vec<Box<dyn Source>>,
        machine: Arc<Machine>,
        spool: Spool,
        rescan_ms: u64,
        news: Arc<Notify>,
    ) -> Self {
        let names = sources.iter().map(|source| (source.name(), rescan_ms));
        // The key id differs between hosts that have their own key; the random spread makes up for
        // the rest.
        let seed = seed(&machine);
        let schedule = Schedule::new(names, seed, clock::monotonic_ms());
        let sources = sources.into_iter().map(|source| (source.name(), source)).collect();
        let incarnation = spool.identity().incarnation;
        Self { sources, schedule, machine, spool, news, incarnation }
    }

    /// Reads what is due until nobody can wake it any more.
    pub(super) fn run(mut self, woken: &Receiver<Wake>) {
        loop {
            let now = clock::monotonic_ms();
            let wait = match self.schedule.wake_at() {
                Some(at) => at.saturating_sub(now).min(SLEEP_MS),
                None => SLEEP_MS,
            };
            match woken.recv_timeout(Duration::from_millis(wait)) {
                Ok(wake) => {
                    let now = clock::monotonic_ms();
                    wake.due.iter().for_each(|source| self.schedule.event(source, now));
                }
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.notice_loss();
            // After a wake-up too: a host that never comes to rest must not put its readings off
            // for ever.
            self.read_one_due();
        }
    }

    /// Reads everything again once the spool has begun anew.
    fn notice_loss(&mut self) {
        let incarnation = self.spool.identity().incarnation;
        if incarnation != self.incarnation {
            self.incarnation = incarnation;
            self.schedule.event_everywhere(clock::monotonic_ms());
        }
    }

    /// Reads the source that has waited longest, so that a stop waits for one source at most.
    fn read_one_due(&mut self) {
        let Some(name) = self.schedule.due(clock::monotonic_ms()).cloned() else { return };
        self.schedule.begin(&name, clock::monotonic_ms());
        let ended = self.read(&name);
        self.schedule.end(&name, clock::monotonic_ms(), ended);
        if let Err(error) = self.spool.shrink() {
            tracing::warn!(error = chain(&error), "cannot shrink the cache");
        }
    }

    fn read(&mut self, name: &SourceName) -> Ended {
        let Some(source) = self.sources.get_mut(name) else { return Ended::Well };
        let now = Now { wall: clock::wall(), monotonic_ms: clock::monotonic_ms() };
        match assemble::pass(source.as_mut(), &self.machine, &mut self.spool, now) {
            Ok(outcome) => {
                let (parts, micros) = (outcome.parts, outcome.reading.micros);
                if let Some(generation) = outcome.generation {
                    tracing::info!(source = %name, %generation, parts, micros, "state changed");
                    self.news.notify_one();
                }
                match outcome.end {
                    End::Complete => Ended::Well,
                    End::Failed(reason) => {
                        tracing::warn!(source = %name, %reason, "source said nothing");
                        Ended::Badly
                    }
                    End::Panicked => {
                        tracing::error!(source = %name, "source broke an assertion");
                        Ended::Badly
                    }
                }
            }
            Err(error) => {
                tracing::error!(source = %name, error = chain(&error), "pass was not kept");
                Ended::Badly
            }
        }
    }
}

fn seed(machine: &Machine) -> u64 {
    let mut bytes = machine.redactor().key_id().0;
    // Without randomness hosts under one site key spread less, and nothing else.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::debug!("no random seed for the schedule");
    }
    u64::from_le_bytes(bytes)
}
