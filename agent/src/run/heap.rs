//! When freed memory goes back to the system.
//!
//! Giving back costs twice: the whole heap is walked, and each page that goes is made anew by the
//! next pass. Small passes need the same two megabytes again within a minute, so what they leave
//! is kept; what a large one leaves is not.

use driftline_protocol::mutant::{self, Mutant};

/// What may be held beyond what was left when memory was last given back, in bytes. Passes over
/// files that are as they were stay below it; a pass that reads a tree anew takes ten times that.
const KEPT_BYTES: u64 = 2 << 20;

/// How much was left when memory was last given back.
#[derive(Debug, Default)]
pub(super) struct Heap {
    left_bytes: u64,
}

impl Heap {
    /// Gives back what is free where `resident` says that it is worth it.
    pub(super) fn give_back(&mut self, resident: impl Fn() -> u64, give_back: impl FnOnce()) {
        // Where the system does not tell, it is 0, and nothing is ever given back.
        let held = resident();
        // What went by itself is not to come back unnoticed.
        self.left_bytes = self.left_bytes.min(held);
        if mutant::active(Mutant::FreedMemoryIsKept) {
            return;
        }
        if held > self.left_bytes.saturating_add(KEPT_BYTES) {
            give_back();
            self.left_bytes = resident();
        }
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
}
