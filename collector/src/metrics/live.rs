//! What happened since the start, counted; in memory only.
//!
//! Counters are cheap to raise from anywhere and read only by `/metrics`. Nothing here decides
//! anything but how often a forged message is worth writing down.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use driftline_protocol::ids::HostId;
use driftline_protocol::wire::ProblemCode;
use jiff::Timestamp;

use super::enrolments::Enrolments;
use super::table::{ROUTES, STAGES};

/// Everything in memory that `/metrics` shows.
#[derive(Default)]
pub struct Live {
    /// When a forged message was last written down, by the host whose token it had; bounded by the
    /// hosts.
    forgeries: Mutex<BTreeMap<HostId, Timestamp>>,
    /// Since when each host has told of runs that no change was held against yet; bounded by the
    /// hosts.
    told: Mutex<BTreeMap<HostId, Timestamp>>,
    /// Requests by place in [`ROUTES`].
    pub requests: [AtomicU64; ROUTES.len()],
    /// Refusals by place in [`ProblemCode::ALL`].
    pub refused: [AtomicU64; ProblemCode::ALL.len()],
    /// Enrolments that were refused.
    pub enrolments: Enrolments,
    /// Panics by place in [`STAGES`].
    pub panics: [AtomicU64; STAGES.len()],
    /// Connections refused at the cap.
    pub connections_refused: AtomicU64,
    /// Passes that held changes against fewer change requests than there were.
    pub requests_left_out: AtomicU64,
    /// Change requests refused because their source has too many.
    pub requests_refused: AtomicU64,
    /// Requests waiting for the writer.
    pub queued: AtomicU64,
    /// Groups made durable.
    pub batches: AtomicU64,
    /// Parts received that were there.
    pub part_hits: AtomicU64,
    /// Parts received that were new.
    pub part_misses: AtomicU64,
}

/// How often forged messages with one token are written down, in seconds: a flood of them must not
/// become a flood of writes. The counter of refusals counts each.
const FORGERY_SECONDS: i64 = 60;

impl Live {
    /// Whether a forged message with the token of `host` is to be written down at `now`.
    pub fn may_tell_forgery(&self, host: &HostId, now: Timestamp) -> bool {
        let mut forgeries = self.forgeries.lock().unwrap_or_else(PoisonError::into_inner);
        let told = forgeries.get(host).map(|told| told.as_second());
        let due = told.is_none_or(|told| now.as_second().saturating_sub(told) >= FORGERY_SECONDS);
        if due {
            forgeries.insert(host.clone(), now);
        }
        due
    }

    /// Notes that `host` told of runs, from `at` on.
    pub fn note_told(&self, host: &HostId, at: Timestamp) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.entry(host.clone()).and_modify(|since| *since = at.min(*since)).or_insert(at);
    }

    /// At most `most` of the hosts that told of runs, each of which is given once.
    pub fn take_told(&self, most: usize) -> BTreeMap<HostId, Timestamp> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = BTreeMap::new();
        while taken.len() < most
            && let Some((host, at)) = told.pop_first()
        {
            taken.insert(host, at);
        }
        taken
    }

    /// Counts one request of a route named in [`ROUTES`].
    pub fn count_request(&self, route: &str) {
        count(&self.requests, ROUTES.iter().position(|known| *known == route));
    }

    /// Counts one refusal.
    pub fn count_refusal(&self, code: ProblemCode) {
        count(&self.refused, ProblemCode::ALL.iter().position(|known| *known == code));
    }

    /// Counts one panic of a stage named in [`STAGES`].
    pub fn count_panic(&self, stage: &str) {
        count(&self.panics, STAGES.iter().position(|known| *known == stage));
    }
}

fn count(counters: &[AtomicU64], place: Option<usize>) {
    if let Some(counter) = place.and_then(|place| counters.get(place)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
