//! Which lines went into the log lately: whoever answers decides how often there is something to
//! say, and must not fill the disk with it.

use std::collections::BTreeMap;

use crate::clock;

/// How long a line of one kind is not said again, in milliseconds.
const AGAIN_MS: u64 = 60_000;

/// When each kind of line was said last.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// By kind, and by what of: a source of this host or a code. Bounded by the number of both.
    last: BTreeMap<(&'static str, String), u64>,
}

impl Told {
    /// Whether a line of `kind` about `what` is to be said now; then it counts as said.
    pub(super) fn is_due(&mut self, kind: &'static str, what: &str) -> bool {
        self.is_due_at(kind, what, clock::monotonic_ms())
    }

    fn is_due_at(&mut self, kind: &'static str, what: &str, now_ms: u64) -> bool {
        let said = self.last.get(&(kind, what.to_owned()));
        if said.is_some_and(|said| now_ms < said.saturating_add(AGAIN_MS)) {
            return false;
        }
        self.last.insert((kind, what.to_owned()), now_ms);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_at_once_and_then_once_in_its_time() {
        let mut told = Told::default();
        let said = (0..10 * AGAIN_MS).step_by(100).filter(|now| told.is_due_at("a", "", *now));
        assert_eq!(said.count(), 10);
        assert!(told.is_due_at("a", "b", 1), "of something else");
        assert!(told.is_due_at("b", "", 1), "another line");
    }
}
