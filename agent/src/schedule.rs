//! Which source is read when: after a change, after its interval, later after a failure.
//!
//! Pure: time comes in as milliseconds of one monotonic clock and the splay as a seed. It does not
//! know what a source is or who reads it; the shell asks [`Schedule::due`], says
//! [`Schedule::begin`] and [`Schedule::end`] around each reading, and sleeps until
//! [`Schedule::wake_at`].
//!
//! The invariant: every event leads to a reading that begins after the event, within [`DELAY_MS`]
//! of it, or as soon as the source's allowance of work and its backoff permit. A source without
//! events is read once an interval and never more often.

#![deny(clippy::disallowed_methods, reason = "scheduling is pure: time comes in as a value")]

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use driftline_protocol::ids::SourceName;

/// How long a source must be quiet before it is read, in milliseconds: an editor's rename-on-save
/// and a package's burst of files are one reading.
pub const QUIET_MS: u64 = 150;

/// How long a reading may be put off by further events, in milliseconds. With one round trip to the
/// collector it stays within the second in which a saved file is to be visible.
pub const DELAY_MS: u64 = 500;

/// How often a source is read without an event, in milliseconds, where its configuration says
/// nothing else: what the kernel could not tell us about is found within the hour.
pub const INTERVAL_MS: u64 = 3_600_000;

/// The share of an interval, as its divisor, over which readings are spread, so that hosts started
/// together do not report together.
const SPLAY_DIVISOR: u64 = 10;

/// The first wait after a failed reading, in milliseconds; it doubles with each further failure.
const BACKOFF_MS: u64 = 5_000;

/// How much reading time a source may use at once, in milliseconds, before its share bounds it.
const ALLOWANCE_MS: u64 = 10_000;

/// The share of time, as its divisor, that a source which never comes to rest may be read.
const SHARE_DIVISOR: u64 = 10;

/// When each source is read next.
#[derive(Clone, Debug)]
pub struct Schedule {
    seed: u64,
    entries: BTreeMap<SourceName, Entry>,
}

/// How a reading ended, as far as the next one is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It came to its end.
    Well,
    /// The source said nothing.
    Badly,
    /// It cost too much, and was stopped.
    Stopped,
}

#[derive(Clone, Debug)]
struct Entry {
    interval_ms: u64,
    /// The next reading without any event.
    rescan_at: u64,
    /// The events that no reading has begun after.
    pending: Option<Pending>,
    /// When the reading in progress began.
    reading_since: Option<u64>,
    /// Failures since the last success.
    failures: u32,
    /// No event brings a reading before this.
    held_until: u64,
    /// How many readings have ended, so that each has another splay.
    readings: u64,
    debt: Debt,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    first: u64,
    last: u64,
}

/// Reading time used and not yet paid back; a leaky bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Debt {
    ms: u64,
    as_of: u64,
}

impl Debt {
    fn at(self, now_ms: u64) -> u64 {
        self.ms.saturating_sub(now_ms.saturating_sub(self.as_of) / SHARE_DIVISOR)
    }

    fn add(&mut self, used_ms: u64, now_ms: u64) {
        *self = Self { ms: self.at(now_ms).saturating_add(used_ms), as_of: now_ms };
    }

    /// When the debt has come down to the allowance.
    fn settled_at(self) -> u64 {
        let above = self.ms.saturating_sub(ALLOWANCE_MS);
        self.as_of.saturating_add(above.saturating_mul(SHARE_DIVISOR))
    }
}

impl Schedule {
    /// A schedule of `sources` with their intervals in milliseconds, all due at once at `now_ms`.
    ///
    /// `seed` should differ between hosts. An interval below [`DELAY_MS`] is taken for that.
    pub fn new(
        sources: impl IntoIterator<Item = (SourceName, u64)>,
        seed: u64,
        now_ms: u64,
    ) -> Self {
        let entry = |(name, interval_ms): (SourceName, u64)| {
            let entry = Entry {
                interval_ms: interval_ms.max(DELAY_MS),
                rescan_at: now_ms,
                pending: None,
                reading_since: None,
                failures: 0,
                held_until: now_ms,
                readings: 0,
                debt: Debt { ms: 0, as_of: now_ms },
            };
            (name, entry)
        };
        Self { seed, entries: sources.into_iter().map(entry).collect() }
    }

    /// Something the source reads has changed. An unknown source is nobody's business.
    pub fn event(&mut self, source: &SourceName, now_ms: u64) {
        if let Some(entry) = self.entries.get_mut(source) {
            let pending = entry.pending.get_or_insert(Pending { first: now_ms, last: now_ms });
            pending.last = pending.last.max(now_ms);
        }
    }

    /// Anything may have changed, for instance after the machine slept.
    pub fn event_everywhere(&mut self, now_ms: u64) {
        let names: Vec<_> = self.entries.keys().cloned().collect();
        for name in names {
            self.event(&name, now_ms);
        }
    }

    /// The source that has waited longest among those due at `now_ms`.
    pub fn due(&self, now_ms: u64) -> Option<&SourceName> {
        self.waiting().filter(|(at, _)| *at <= now_ms).min().map(|(_, name)| name)
    }

    /// When [`Schedule::due`] will next have an answer; `None` while every source is being read.
    pub fn wake_at(&self) -> Option<u64> {
        self.waiting().map(|(at, _)| at).min()
    }

    /// A reading of `source` begins; events from now on ask for another.
    pub fn begin(&mut self, source: &SourceName, now_ms: u64) {
        if let Some(entry) = self.entries.get_mut(source) {
            entry.pending = None;
            entry.reading_since = Some(now_ms);
        }
    }

    /// The reading of `source` that began last has ended.
    pub fn end(&mut self, source: &SourceName, now_ms: u64, ended: Ended) {
        let seed = self.seed;
        let Some(entry) = self.entries.get_mut(source) else { return };
        let since = entry.reading_since.take().unwrap_or(now_ms);
        entry.debt.add(now_ms.saturating_sub(since), now_ms);
        entry.readings += 1;
        match ended {
            Ended::Well => {
                entry.failures = 0;
                entry.held_until = now_ms;
                let splay = spread(seed, source, entry.readings, entry.interval_ms / SPLAY_DIVISOR);
                // Early as often as late, so that the mean is the interval.
                let half = entry.interval_ms / SPLAY_DIVISOR / 2;
                let wait = entry.interval_ms.saturating_add(splay).saturating_sub(half);
                entry.rescan_at = now_ms.saturating_add(wait);
            }
            Ended::Badly => {
                let doublings = entry.failures.min(20);
                entry.failures = entry.failures.saturating_add(1);
                let wait = BACKOFF_MS.saturating_mul(1 << doublings).min(entry.interval_ms);
                entry.held_until = now_ms.saturating_add(wait);
                entry.rescan_at = entry.held_until;
            }
            Ended::Stopped => {
                // The next one would cost as much: nothing brings it before its interval.
                entry.held_until = now_ms.saturating_add(entry.interval_ms);
                entry.rescan_at = entry.held_until;
            }
        }
    }

    /// Each source that is not being read, with the time of its next reading.
    fn waiting(&self) -> impl Iterator<Item = (u64, &SourceName)> {
        self.entries.iter().filter_map(|(name, entry)| Some((entry.next_at()?, name)))
    }
}

impl Entry {
    fn next_at(&self) -> Option<u64> {
        if self.reading_since.is_some() {
            return None;
        }
        let Some(pending) = self.pending else { return Some(self.rescan_at) };
        let quiet = pending.last.saturating_add(QUIET_MS);
        let bound = pending.first.saturating_add(DELAY_MS);
        let earliest = self.held_until.max(self.debt.settled_at());
        Some(quiet.min(bound).max(earliest).min(self.rescan_at))
    }
}

/// A number from 0 to `range`, other for each host, source and reading (splitmix64).
fn spread(seed: u64, source: &SourceName, reading: u64, range: u64) -> u64 {
    let mut state = seed ^ reading.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in source.as_str().bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 27;
    }
    state = state.wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^= state >> 31;
    state % range.saturating_add(1)
}

const _: () = assert!(QUIET_MS < DELAY_MS);
