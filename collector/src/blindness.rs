//! What was seen once and is not any more: a blind spot, which is a thing for a person.
//!
//! What is unobserved opens no drift and closes none, so whoever wants to hide a change takes away
//! the right to read it first. It asks the store and decides one thing: how long a part may be away
//! before somebody is told.

use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};

use crate::store::{BlindCount, StoreError};
use crate::writer::Reads;

/// How long a part that was read may be unread: a package being upgraded, a file being written, a
/// network file system that comes back take less.
pub const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// The parts of each host that were read once and have not been for longer than [`GRACE`] at `now`.
///
/// # Errors
/// [`StoreError`].
pub fn blind(store: &dyn Reads, now: Timestamp) -> Result<Vec<BlindCount>, StoreError> {
    if mutant::active(Mutant::BlindnessIsNotTold) {
        return Ok(Vec::new());
    }
    store.blind_counts(now.checked_sub(GRACE).unwrap_or(Timestamp::MIN))
}
