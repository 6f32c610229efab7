//! What is kept of each path between passes, so that an unchanged file is not opened.
//!
//! A path is kept as 16 bytes of a hash, its attributes, its bytes and its part as 8 each: 44 bytes
//! a path, whatever its length, in one vector, which is all that 50,000 files cost while nothing
//! happens. A keyed 128-bit hash has no accidental collisions, and nobody without the key can make
//! one.
//!
//! The vector has the order in which the last pass visited its paths. A tree that is as it was is
//! visited in the same order, so each path is looked for where the pass has come to, and found
//! there: one memory access after the other, where a search by hash went through all of the cache.
//! Only a pass in which something came, went or moved sorts an index.

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
    /// The pass before left this of it, in this place.
    Known(Known, Place),
    /// It is new.
    Unknown,
}

/// Where a path of the passes before is kept, until this one ends.
#[derive(Clone, Copy)]
pub(super) struct Place(usize);

/// See the module.
#[derive(Default)]
pub(super) struct Cache {
    /// As the last pass visited them.
    kept: Vec<Entry>,
    /// The place behind the last path that was visited.
    next: usize,
    /// The places of `kept`, sorted by path; empty until somebody asks.
    index: Vec<u32>,
    /// Paths that the pass before did not visit.
    fresh: HashMap<Print, Fresh>,
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

/// A path that is new.
struct Fresh {
    /// The place that came next when it was visited, and how many were new before it.
    order: (usize, usize),
    known: Known,
}

const _: () = assert!(size_of::<Entry>() <= 44, "an entry is all that a watched file costs");

impl Cache {
    /// Begins a pass in which no path was visited yet.
    pub(super) fn begin(&mut self) {
        self.pass = !self.pass;
        self.next = 0;
    }

    /// Forgets every path this pass has not visited.
    pub(super) fn end(&mut self) {
        self.index = Vec::new();
        if self.fresh.is_empty() {
            let pass = self.pass;
            self.kept.retain(|entry| entry.pass == pass);
        } else {
            self.merge();
        }
        self.kept.shrink_to_fit();
    }

    /// Puts the new paths between those of the pass before.
    fn merge(&mut self) {
        let pass = self.pass;
        let mut fresh: Vec<_> = std::mem::take(&mut self.fresh).into_iter().collect();
        fresh.sort_unstable_by_key(|(_, fresh)| fresh.order);
        let mut fresh = fresh.into_iter().peekable();
        let mut merged = Vec::with_capacity(self.kept.len().saturating_add(fresh.len()));
        let kept = std::mem::take(&mut self.kept);
        for (place, entry) in kept.into_iter().map(Some).chain([None]).enumerate() {
            // All that is left comes behind the last one.
            let is_before = |fresh: &(Print, Fresh)| entry.is_none() || fresh.1.order.0 <= place;
            while let Some((path, Fresh { known, .. })) = fresh.next_if(is_before) {
                merged.push(Entry { path, known, pass });
            }
            merged.extend(entry.filter(|entry| entry.pass == pass));
        }
        self.kept = merged;
    }

    /// What the pass before left of `path`, if that is the path it visited next.
    pub(super) fn expected(&self, path: Print) -> Option<(Known, Place)> {
        let entry = self.kept.get(self.next)?;
        let is_it = entry.path == path && entry.pass != self.pass;
        is_it.then_some((entry.known, Place(self.next)))
    }

    pub(super) fn find(&mut self, path: Print) -> Found {
        let kept = self.place(path).and_then(|place| Some((place, self.kept.get(place)?)));
        match kept {
            Some((_, entry)) if entry.pass == self.pass => Found::Visited,
            Some((place, entry)) => Found::Known(entry.known, Place(place)),
            None if self.fresh.contains_key(&path) => Found::Visited,
            None => Found::Unknown,
        }
    }

    /// What is known of this path is true of it in this pass too.
    pub(super) fn carry(&mut self, Place(place): Place) {
        if let Some(entry) = self.kept.get_mut(place) {
            entry.pass = self.pass;
            self.next = place.saturating_add(1);
        }
    }

    pub(super) fn put(&mut self, path: Print, known: Known) {
        let Some(place) = self.place(path) else {
            let order = (self.next, self.fresh.len());
            self.fresh.insert(path, Fresh { order, known });
            return;
        };
        if let Some(entry) = self.kept.get_mut(place) {
            entry.known = known;
        }
        self.carry(Place(place));
    }

    /// Where `path` stands among the kept ones.
    fn place(&mut self, path: Print) -> Option<usize> {
        if self.kept.get(self.next).is_some_and(|entry| entry.path == path) {
            return Some(self.next);
        }
        let path_of = |kept: &[Entry], place: u32| kept.get(place as usize).map(|entry| entry.path);
        if self.index.len() != self.kept.len() {
            // No section has 2^32 parts.
            self.index = (0..u32::try_from(self.kept.len()).ok()?).collect();
            self.index.sort_unstable_by_key(|place| path_of(&self.kept, *place));
        }
        let found =
            self.index.binary_search_by_key(&Some(path), |place| path_of(&self.kept, *place));
        self.index.get(found.ok()?).map(|place| *place as usize)
    }
}

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
                (proptest::collection::btree_set(0_u16..600, 0..300), any::<bool>()), 1..5),
        ) {
            let redactor = Redactor::new([7; 32]);
            let print = |number: &u16| Print::of_path(&redactor, &number.to_le_bytes());
            let mut cache = Cache::default();
            let mut before = BTreeSet::new();
            for (pass, backward) in passes {
                cache.begin();
                let mut order: Vec<_> = pass.iter().collect();
                if backward {
                    order.reverse();
                }
                for number in order {
                    if cache.expected(print(number)).is_some() {
                        prop_assert!(matches!(cache.find(print(number)), Found::Known(..)));
                    }
                    match cache.find(print(number)) {
                        Found::Visited => prop_assert!(false, "{number} was not visited"),
                        Found::Known(found, place) => {
                            prop_assert!(before.contains(number));
                            prop_assert!(found.stat == known(&number.to_string()).stat);
                            if number % 2 == 0 {
                                cache.carry(place);
                                continue;
                            }
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

        /// However a tree changed, the pass after it finds each path where it has come to.
        #[test]
        fn what_is_visited_in_order_is_expected_in_order(
            first in proptest::collection::btree_set(0_u16..200, 0..100),
            second in proptest::collection::btree_set(0_u16..200, 0..100),
        ) {
            let redactor = Redactor::new([7; 32]);
            let print = |number: &u16| Print::of_path(&redactor, &number.to_le_bytes());
            let mut cache = Cache::default();
            for pass in [&first, &second] {
                cache.begin();
                pass.iter().for_each(|number| cache.put(print(number), known("x")));
                cache.end();
            }
            cache.begin();
            for number in &second {
                let expected = cache.expected(print(number));
                prop_assert!(expected.is_some(), "{number} stands elsewhere");
                expected.into_iter().for_each(|(_, place)| cache.carry(place));
            }
            prop_assert!(cache.index.is_empty());
        }
    }
}
