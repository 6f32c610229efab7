//! When freed memory goes back to the system.
//!
//! Giving back costs twice: the whole heap is walked, and each page that goes is made anew by the
//! next pass. What the smallest passes leave is kept; what any other leaves is not. What a large
//! one read is being delivered when it ends, and that has its own large buffers; so memory is given
//! back once more a while later.

use driftline_protocol::mutant::{self, Mutant};

/// What may be held beyond what was left when memory was last given back, in bytes. Two megabytes
/// were kept of passes that read manifests; since they do not, a pass over 50,000 files that are as
/// they were leaves one, for as long as nothing larger comes, and that is what an agent may be.
const KEPT_BYTES: u64 = 256 << 10;

/// How long what a large pass read may take until it is delivered, in milliseconds.
const DELIVERED_MS: u64 = 30_000;

/// How much was left when memory was last given back, and when that is to be done once more.
#[derive(Debug, Default)]
pub(super) struct Heap {
    left_bytes: u64,
    again_at: Option<u64>,
}

impl Heap {
    /// Gives back what is free where `resident` says that it is worth it.
    pub(super) fn give_back(
        &mut self,
        now_ms: u64,
        resident: impl Fn() -> u64,
        give_back: impl FnOnce(),
    ) {
        // Where the system does not tell, it is 0, and nothing is ever given back.
        let held = resident();
        // What went by itself is not to come back unnoticed.
        self.left_bytes = self.left_bytes.min(held);
        if mutant::active(Mutant::FreedMemoryIsKept) {
            return;
        }
        if held > self.left_bytes.saturating_add(KEPT_BYTES) {
            self.give(resident, give_back);
            self.again_at = Some(now_ms.saturating_add(DELIVERED_MS));
        }
    }

    /// Gives back once more what was still in use when a large pass ended.
    pub(super) fn settle(
        &mut self,
        now_ms: u64,
        resident: impl Fn() -> u64,
        give_back: impl FnOnce(),
    ) {
        let due = self.again_at.take_if(|at| *at <= now_ms).is_some();
        if due && !mutant::active(Mutant::DeliveredMemoryIsKept) {
            self.give(resident, give_back);
        }
    }

    fn give(&mut self, resident: impl Fn() -> u64, give_back: impl FnOnce()) {
        give_back();
        self.left_bytes = resident();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_small_passes_leave_is_kept_and_what_a_large_one_leaves_is_not() {
        let (mut heap, resident, given) = (Heap::default(), Cell::new(0), Cell::new(0));
        let left = 12 << 20;
        for (holds, expect) in [
            // The first pass of all.
            (40 << 20, 1),
            (left + KEPT_BYTES, 1),
            (left + KEPT_BYTES + 1, 2),
            (left + 1, 2),
            (30 << 20, 3),
        ] {
            resident.set(holds);
            heap.give_back(
                0,
                || resident.get(),
                || {
                    given.set(given.get() + 1);
                    resident.set(left);
                },
            );
            assert_eq!(given.get(), expect, "{holds} bytes are held");
            assert!(resident.get() <= left + KEPT_BYTES);
        }
    }

    /// A pass ends while 20 MB are on their way; they are free by the time they have arrived.
    #[test]
    fn what_was_on_its_way_when_a_pass_ended_is_given_back() {
        let (mut heap, resident, given) = (Heap::default(), Cell::new(40 << 20), Cell::new(0));
        heap.give_back(5, || resident.get(), || resident.set(32 << 20));
        let mut settle = |now_ms| {
            let gives = || {
                given.set(given.get() + 1);
                resident.set(12 << 20);
            };
            heap.settle(now_ms, || resident.get(), gives);
            given.get()
        };
        assert_eq!(settle(DELIVERED_MS), 0, "too early");
        assert_eq!(settle(DELIVERED_MS + 5), 1);
        assert_eq!(settle(DELIVERED_MS * 9), 1, "once");
        assert_eq!(heap.left_bytes, 12 << 20);
    }
}
