//! What a pass heard to be the same, while nothing differs: a sum, and no manifest.
//!
//! A manifest of 50,000 files is 7 MB to be decoded and 15 MB to be compared; at rest nothing of
//! it is needed. Each part that is the same is heard as one hash over its name and its receipt. As
//! long as a pass hears nothing else, their sum is enough: where it is the one that the last
//! committed pass came to, the section is what it was. Where anything differs the manifest is read,
//! and what was heard is found in it by the same hash.
//!
//! The hash has 128 bits under keys that nobody knows and that end with the process, so no two
//! parts meet by accident and none by intent.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use driftline_protocol::ids::{Digest, PartName};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;

use crate::sources::Receipt;
use crate::spool::Tally;

static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);

/// A part in one state.
type Mark = [u8; 16];

/// The parts that were heard to be the same, and the tally they are held against.
pub(super) struct Heard {
    tally: Tally,
    marks: Vec<(Mark, Option<Reason>)>,
    sum: u128,
}

const _: () = assert!(size_of::<(Mark, Option<Reason>)>() == 17, "what a pass holds of each file");

impl Heard {
    /// Nothing yet.
    pub(super) fn against(tally: Tally) -> Self {
        let marks = Vec::with_capacity(usize::try_from(tally.parts).unwrap_or(0));
        Self { tally, marks, sum: 0 }
    }

    pub(super) fn hear(&mut self, part: &PartName, receipt: &Receipt) {
        let mark = mark(part, receipt);
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(mark));
        self.marks.push((mark, receipt.unobserved));
    }

    /// The tally, if what was heard is the whole of it.
    pub(super) fn is_all(&self) -> Option<&Tally> {
        let all = (self.tally.parts, self.tally.sum) == (self.marks.len() as u64, self.sum);
        (all || mutant::active(Mutant::NothingIsMissed)).then_some(&self.tally)
    }

    /// Takes out of `known` what was heard. `None` where something else was heard than is there.
    pub(super) fn take_from(
        mut self,
        known: &mut BTreeMap<PartName, Digest>,
    ) -> Option<Vec<(PartName, Digest, Option<Reason>)>> {
        self.marks.sort_unstable();
        self.marks.dedup();
        let reasons: Vec<_> =
            std::iter::once(None).chain(self.tally.unobserved.keys().copied().map(Some)).collect();
        let heard = |name: &PartName, digest: &Digest| {
            reasons.iter().copied().find(|reason| {
                let mark = mark(name, &Receipt::of(*digest, *reason));
                self.marks.binary_search(&(mark, *reason)).is_ok()
            })
        };
        let mut taken = Vec::with_capacity(self.marks.len());
        let mut rest = BTreeMap::new();
        for (name, digest) in std::mem::take(known) {
            match heard(&name, &digest) {
                Some(reason) => taken.push((name, digest, reason)),
                None => drop(rest.insert(name, digest)),
            }
        }
        *known = rest;
        (taken.len() == self.marks.len()).then_some(taken)
    }
}

/// The tally of a section of these parts.
pub(super) fn tally<'a>(
    parts: impl Iterator<Item = (&'a PartName, Receipt)>,
    unobserved: &BTreeMap<Reason, u64>,
) -> Tally {
    let mut tally = Tally { parts: 0, sum: 0, unobserved: unobserved.clone() };
    for (name, receipt) in parts {
        tally.parts += 1;
        tally.sum = tally.sum.wrapping_add(u128::from_le_bytes(mark(name, &receipt)));
    }
    tally
}

fn mark(part: &PartName, receipt: &Receipt) -> Mark {
    let [low, high] = KEYS.each_ref().map(|key| key.hash_one((part.as_str(), receipt)));
    ((u128::from(high) << 64) | u128::from(low)).to_le_bytes()
}
