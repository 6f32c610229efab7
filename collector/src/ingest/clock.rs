//! When something was observed, by the collector's clock, and how far that may be off. Pure.
//!
//! Within one boot of the host, its monotonic clock tells how long ago an observation was when it
//! was sent, so
//! `corrected = received - (sent - observed)`, whatever the wall clock says. From another boot only
//! the wall clock is left: `corrected = observed_at + offset`, where the offset is measured from
//! what the host's wall clock said in its latest messages. A message can be late and never early,
//! so the smallest difference is the nearest to the truth.

use std::collections::VecDeque;

use jiff::Timestamp;

/// How long a message may be on its way unnoticed, in milliseconds: a slow link and a busy
/// collector.
pub const DELAY_MS: u64 = 1_000;

/// How far a crystal strays, in parts per million: the usual tolerance of a PC's oscillator,
/// doubled.
pub const DRIFT_PPM: u64 = 100;

/// How many messages the offset is measured over; at the default interval, the last quarter of an
/// hour.
pub const SAMPLES: usize = 16;

/// The latest differences between the collector's clock and a host's wall clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skew {
    offsets_ms: VecDeque<i64>,
}

/// When a version was observed, as the host tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// By the host's wall clock.
    pub observed_at: Timestamp,
    /// By its monotonic clock, in milliseconds; `None` in another boot.
    pub observed_monotonic_ms: Option<u64>,
    /// Its monotonic clock when it sent the report, in milliseconds.
    pub sent_monotonic_ms: u64,
}

/// A moment by the collector's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrected {
    /// The moment; never after it was received.
    pub at: Timestamp,
    /// How far it may be off, in milliseconds.
    pub uncertainty_ms: u64,
}

impl Skew {
    /// Notes that the host's wall clock said `wall` in a message received at `received`.
    pub fn measure(&mut self, received: Timestamp, wall: Timestamp) {
        if self.offsets_ms.len() >= SAMPLES {
            self.offsets_ms.pop_front();
        }
        self.offsets_ms.push_back(received.as_millisecond().saturating_sub(wall.as_millisecond()));
    }

    /// How far the host's wall clock is ahead of ours, in milliseconds; `None` before the first
    /// message.
    pub fn ahead_ms(&self) -> Option<i64> {
        self.offsets_ms.iter().min().map(|offset| offset.saturating_neg())
    }

    /// When what the host `told` happened, given that it was received at `received`.
    pub fn correct(&self, told: Told, received: Timestamp) -> Corrected {
        let age_ms = told
            .observed_monotonic_ms
            .and_then(|observed| told.sent_monotonic_ms.checked_sub(observed));
        match age_ms {
            Some(age_ms) => Corrected {
                at: shift(received, -clamp(age_ms)),
                uncertainty_ms: DELAY_MS.saturating_add(age_ms / 1_000_000 * DRIFT_PPM),
            },
            None => self.by_wall_clock(told.observed_at, received),
        }
    }

    /// The clock may have been set since the other boot, so all of the offset is doubtful.
    fn by_wall_clock(&self, observed_at: Timestamp, received: Timestamp) -> Corrected {
        let least = self.offsets_ms.iter().min().copied().unwrap_or(0);
        let most = self.offsets_ms.iter().max().copied().unwrap_or(0);
        let doubt = least.unsigned_abs().max(most.abs_diff(least));
        Corrected {
            at: shift(observed_at, least).min(received),
            uncertainty_ms: DELAY_MS.saturating_add(doubt),
        }
    }
}

fn clamp(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}

/// A time outside what a timestamp can hold stays at its end: a host may say anything.
fn shift(time: Timestamp, by_ms: i64) -> Timestamp {
    let moved = time.as_millisecond().saturating_add(by_ms);
    let end = if by_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(moved).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// A host whose clock is `ahead` seconds ahead observed at 0 s (true time) and reported at 100
    /// s.
    fn check(ahead: i64, same_boot: Option<u64>, expected_second: i64, uncertainty_ms: u64) {
        let mut skew = Skew::default();
        skew.measure(at(40), at(40 + ahead));
        skew.measure(at(100), at(100 + ahead));
        let told = Told {
            observed_at: at(ahead),
            observed_monotonic_ms: same_boot,
            sent_monotonic_ms: 500_000,
        };
        let corrected = skew.correct(told, at(100));
        assert_eq!(corrected, Corrected { at: at(expected_second), uncertainty_ms });
        assert_eq!(skew.ahead_ms(), Some(ahead * 1_000));
    }

    #[test]
    fn within_one_boot_the_wall_clock_does_not_matter() {
        for ahead in [-100_000, 0, 7, 100_000] {
            check(ahead, Some(400_000), 0, DELAY_MS);
        }
    }

    #[test]
    fn from_another_boot_the_measured_offset_is_taken_out_and_doubted() {
        check(0, None, 0, DELAY_MS);
        check(3_600, None, 0, DELAY_MS + 3_600_000);
        check(-30, None, 0, DELAY_MS + 30_000);
    }

    #[test]
    fn nothing_was_observed_after_it_was_received() {
        let skew = Skew::default();
        let told = Told { observed_at: at(500), observed_monotonic_ms: None, sent_monotonic_ms: 0 };
        assert_eq!(skew.correct(told, at(100)).at, at(100));
    }

    #[test]
    fn an_impossible_clock_does_no_harm() {
        let mut skew = Skew::default();
        skew.measure(Timestamp::MIN, Timestamp::MAX);
        skew.measure(Timestamp::MAX, Timestamp::MIN);
        let told = Told {
            observed_at: Timestamp::MAX,
            observed_monotonic_ms: Some(u64::MAX),
            sent_monotonic_ms: 0,
        };
        assert!(skew.correct(told, at(0)).at <= at(0));
        let told = Told { observed_monotonic_ms: Some(0), sent_monotonic_ms: u64::MAX, ..told };
        assert_eq!(skew.correct(told, at(0)).at, Timestamp::MIN);
    }
}
