//! What is kept of each path between passes, so that an unchanged file is not opened.
//!
//! A path is kept as 16 bytes of a hash, its attributes, its bytes and its part as 8 each: 44 bytes
//! a path, whatever its length, in one sorted vector, which is all that 50,000 files cost while
//! nothing happens. A keyed 128-bit hash has no accidental collisions, and nobody without the key
//! can make one; it is also spread evenly, so a path is found where its first digits say.

use std::collections::HashMap;

use driftline_protocol::snapshot::Reason;

use crate::sources::Receipt;
use crate::sources::stamp::{Mark, Print};

/// What is known of one path.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// Identity, size, times, mode and owners, hashed.
    pub(super) stat: Mark,
    /// Its bytes, mode and owners, hashed, where they are all that decides its items.
    pub(super) said: Option<Mark>,
    /// What the sink said of the part.
    pub(super) receipt: Receipt,
    /// Whether `stat` proves that nothing has changed.
    pub(super) settled: bool,
}

/// How a path stands to the pass that goes on and to the one before.
pub(super) enum Found {
    /// This pass has visited it.
    Visited,
    /// The pass before left this of it.
    Known(Known),
    /// It is new.
    Unknown,
}

/// See the module.
#[derive(Default)]
pub(super) struct Cache {
    /// Sorted by path.
    kept: Vec<Entry>,
    /// Paths that the pass before did not visit.
    fresh: HashMap<Print, Known>,
    /// What visits of this pass are marked with.
    pass: bool,
}

/// One path of the passes before.
#[derive(Clone, Copy)]
struct Entry {
    path: Print,
    known: Known,
    /// The mark of the last pass that visited it.
    pass: bool,
}

const _: () = assert!(size_of::<Entry>() <= 44, "an entry is all that a watched file costs");

impl Cache {
    /// Begins a pass in which no path was visited yet.
    pub(super) fn begin(&mut self) {
        self.pass = !self.pass;
    }

    /// Forgets every path this pass has not visited.
    pub(super) fn end(&mut self) {
        let pass = self.pass;
        self.kept.retain(|entry| entry.pass == pass);
        let fresh = std::mem::take(&mut self.fresh).into_iter();
        if fresh.len() > 0 {
            self.kept.reserve_exact(fresh.len());
            self.kept.extend(fresh.map(|(path, known)| Entry { path, known, pass }));
            self.kept.sort_unstable_by_key(|entry| entry.path);
        }
        self.kept.shrink_to_fit();
    }

    pub(super) fn find(&self, path: Print) -> Found {
        match self.place(path).and_then(|place| self.kept.get(place)) {
            Some(entry) if entry.pass == self.pass => Found::Visited,
            Some(entry) => Found::Known(entry.known),
            None if self.fresh.contains_key(&path) => Found::Visited,
            None => Found::Unknown,
        }
    }

    pub(super) fn put(&mut self, path: Print, known: Known) {
        match self.place(path).and_then(|place| self.kept.get_mut(place)) {
            Some(entry) => *entry = Entry { path, known, pass: self.pass },
            None => {
                self.fresh.insert(path, known);
            }
        }
    }

    /// Where `path` stands among the kept ones: about where its first digits say, for hashes are
    /// spread evenly.
    fn place(&self, path: Print) -> Option<usize> {
        let count = self.kept.len();
        let guess = path.share_of(count);
        let (mut low, mut high, mut step) = (guess, guess, NEIGHBOURS);
        while low > 0 && self.kept.get(low).is_none_or(|entry| entry.path > path) {
            low = low.saturating_sub(step);
            step *= 2;
        }
        step = NEIGHBOURS;
        while high < count && self.kept.get(high).is_some_and(|entry| entry.path <= path) {
            high = high.saturating_add(step).min(count);
            step *= 2;
        }
        let near = self.kept.get(low..high)?;
        near.binary_search_by_key(&path, |entry| entry.path).ok().map(|place| low + place)
    }
}

/// How far from where it should stand a path is looked for first.
const NEIGHBOURS: usize = 8;

/// Why a part is unknown, in one byte; the rest of [`Known`] has no alignment either.
const _: () = assert!(align_of::<Known>() == 1 && size_of::<Option<Reason>>() == 1);

#[cfg(test)]
#[cfg(unix)]
impl Cache {
    /// All that is known, for tests that bend the times.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Known> {
        self.kept.iter_mut().map(|entry| &mut entry.known)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::collections::BTreeSet;

    use driftline_protocol::ids::Digest;
    use driftline_protocol::redact::Redactor;
    use proptest::prelude::*;

    use super::*;

    fn known(text: &str) -> Known {
        let redactor = Redactor::new([7; 32]);
        let stat = Print::of_path(&redactor, text.as_bytes()).mark();
        let receipt = Receipt::of(Digest([3; 32]), None);
        Known { stat, said: None, receipt, settled: true }
    }

    proptest! {
        /// Against a model: what was put in the pass before is known, in this pass visited, and
        /// what was left out is forgotten.
        #[test]
        fn a_cache_knows_what_the_pass_before_put(
            passes in proptest::collection::vec(
                proptest::collection::btree_set(0_u16..600, 0..300), 1..5),
        ) {
            let redactor = Redactor::new([7; 32]);
            let print = |number: &u16| Print::of_path(&redactor, &number.to_le_bytes());
            let mut cache = Cache::default();
            let mut before = BTreeSet::new();
            for pass in passes {
                cache.begin();
                for number in &pass {
                    match cache.find(print(number)) {
                        Found::Visited => prop_assert!(false, "{number} was not visited"),
                        Found::Known(found) => {
                            prop_assert!(before.contains(number));
                            prop_assert!(found.stat == known(&number.to_string()).stat);
                        }
                        Found::Unknown => prop_assert!(!before.contains(number)),
                    }
                    cache.put(print(number), known(&number.to_string()));
                    prop_assert!(matches!(cache.find(print(number)), Found::Visited));
                }
                cache.end();
                prop_assert_eq!(cache.kept.len(), pass.len());
                before = pass;
            }
        }
    }
}
