//! The sink of one pass: holds what is known, takes what is said, and accounts for the rest.
//!
//! `known` begins as the manifest of the last pass and shrinks with each part that is accounted
//! for; what is left at the end was looked for and is gone. A name moves from `known` to `next`, so
//! there is one of each.

use std::collections::BTreeMap;

use driftline_protocol::canonical;
use driftline_protocol::ids::{Digest, PartName};
use driftline_protocol::item::ItemKey;
use driftline_protocol::limits;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::redact::{RawItem, RawObserved, RawPart, Redactor, Sealed};
use driftline_protocol::snapshot::{Content, Reason};

use super::whole;
use crate::sources::{Carry, Receipt, Sink};
use crate::spool::{Keep, SpoolError};

/// What one pass came to, ready to be committed.
pub(super) struct Assembled {
    /// The digest of each part now.
    pub(super) manifest: Manifest,
    /// How many parts are unobserved, by reason.
    pub(super) unobserved: BTreeMap<Reason, u64>,
}

/// A part that this pass has accounted for.
#[derive(Clone, Copy)]
struct Placed {
    /// As it was sealed.
    digest: Digest,
    /// Why something of it is unknown, if anything is.
    unobserved: Option<Reason>,
}

/// See the module.
pub(super) struct Assembler<'a> {
    redactor: &'a Redactor,
    keep: &'a mut dyn Keep,
    /// Parts of the last pass that this one has not accounted for yet.
    known: BTreeMap<PartName, Digest>,
    /// Parts this pass has accounted for.
    next: BTreeMap<PartName, Placed>,
    /// Wholly unobserved parts, which are equal for equal reasons.
    blanks: BTreeMap<Reason, Placed>,
    /// How many parts that were not known before still have room.
    room: usize,
    /// The spool's first refusal; the pass goes on to its end and then gives it back.
    refusal: Option<SpoolError>,
}

impl<'a> Assembler<'a> {
    pub(super) fn new(redactor: &'a Redactor, keep: &'a mut dyn Keep, previous: Manifest) -> Self {
        // One place is left for the part that says the section is full.
        let room = limits::PARTS_PER_SECTION.saturating_sub(previous.0.len() + 1);
        Self {
            redactor,
            keep,
            known: previous.0,
            next: BTreeMap::new(),
            blanks: BTreeMap::new(),
            room,
            refusal: None,
        }
    }

    /// Every part known before is unobserved; a source that never said anything has one part,
    /// itself.
    pub(super) fn blind_everything(&mut self, reason: Reason) {
        let placed = self.blank(reason);
        if self.known.is_empty() {
            self.next.insert(whole(), placed);
        }
        for (name, _) in std::mem::take(&mut self.known) {
            self.next.insert(name, placed);
        }
    }

    /// Accounts for what was known and not said: gone where `covers`, unobserved elsewhere.
    pub(super) fn finish(
        mut self,
        covers: &dyn Fn(&PartName) -> bool,
    ) -> Result<Assembled, SpoolError> {
        for (name, _) in std::mem::take(&mut self.known) {
            if name != whole() && !covers(&name) {
                let placed = self.blank(Reason::Withheld);
                self.next.insert(name, placed);
            }
        }
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let mut unobserved = BTreeMap::new();
        for reason in self.next.values().filter_map(|placed| placed.unobserved) {
            *unobserved.entry(reason).or_insert(0) += 1;
        }
        let digests = self.next.into_iter().map(|(name, placed)| (name, placed.digest));
        Ok(Assembled { manifest: Manifest(digests.collect()), unobserved })
    }

    /// A part that is unobserved as a whole.
    fn blank(&mut self, reason: Reason) -> Placed {
        if let Some(placed) = self.blanks.get(&reason) {
            return *placed;
        }
        let (placed, sealed) = seal(self.redactor, RawPart::Unobserved(reason));
        self.keep(&placed, &sealed);
        self.blanks.insert(reason, placed);
        placed
    }

    fn keep(&mut self, placed: &Placed, sealed: &Sealed) {
        if self.refusal.is_none() {
            self.refusal = self.keep.keep(placed.digest, sealed).err();
        }
    }

    /// Whether a part of this name has a place in the section; one that was known always has.
    fn admits(&mut self, part: &PartName) -> bool {
        if self.known.contains_key(part) || self.next.contains_key(part) {
            return true;
        }
        if self.room > 0 {
            self.room -= 1;
            return true;
        }
        let placed = self.blank(Reason::TooLarge);
        self.known.remove(&whole());
        self.next.insert(whole(), placed);
        false
    }
}

impl Sink for Assembler<'_> {
    fn seen(&mut self, part: PartName, raw: RawPart) -> Receipt {
        self.keep.said();
        let (placed, sealed) = seal(self.redactor, raw);
        if self.admits(&part) {
            if self.known.remove(&part) != Some(placed.digest) {
                self.keep(&placed, &sealed);
            }
            self.next.insert(part, placed);
        }
        Receipt::of(placed.digest, placed.unobserved)
    }

    fn same(&mut self, part: &PartName, receipt: &Receipt) -> Carry {
        self.keep.said();
        if !self.known.get(part).is_some_and(|digest| receipt.is_for(digest)) {
            return Carry::ReadAgain;
        }
        if let Some((name, digest)) = self.known.remove_entry(part) {
            self.next.insert(name, Placed { digest, unobserved: receipt.unobserved });
        }
        Carry::Carried
    }

    fn blind(&mut self, place: &PartName, reason: Reason) {
        self.keep.said();
        let placed = self.blank(reason);
        if !self.next.contains_key(place) && self.admits(place) {
            self.known.remove(place);
            self.next.insert(place.clone(), placed);
        }
        for name in below(&self.known, place) {
            self.known.remove(&name);
            self.next.insert(name, placed);
        }
    }
}

/// The names in `known` that lie below `place`; the whole source's place is above everything.
fn below(known: &BTreeMap<PartName, Digest>, place: &PartName) -> Vec<PartName> {
    if *place == whole() {
        return known.keys().cloned().collect();
    }
    let prefix = format!("{}/", place.as_str().trim_end_matches('/'));
    let Ok(from) = prefix.parse::<PartName>() else { return Vec::new() };
    let names = known.range(from..).map(|(name, _)| name);
    names.take_while(|name| name.as_str().starts_with(&prefix)).cloned().collect()
}

/// Redacts and seals a part; one that breaks a bound keeps its attributes alone.
fn seal(redactor: &Redactor, raw: RawPart) -> (Placed, Sealed) {
    let attributes = attributes_alone(&raw);
    let (placed, sealed, fits) = seal_as_it_is(redactor, raw);
    match attributes {
        Some(attributes) if !fits => {
            let (placed, sealed, _) = seal_as_it_is(redactor, attributes);
            (placed, sealed)
        }
        _ => (placed, sealed),
    }
}

/// The third value says whether the part keeps the bounds of the wire.
fn seal_as_it_is(redactor: &Redactor, raw: RawPart) -> (Placed, Sealed, bool) {
    let redacted = redactor.redact(raw);
    let (digest, sealed) = redactor.seal(&redacted);
    // The seal adds a few bytes, so this refuses a little early and never late.
    let fits =
        sealed.as_bytes().len() <= limits::PART_BYTES && canonical::check(redacted.get()).is_ok();
    (Placed { digest, unobserved: redacted.get().unobserved_reason() }, sealed, fits)
}

/// What is left of a part whose content passes a bound; `None` when it has no content.
fn attributes_alone(raw: &RawPart) -> Option<RawPart> {
    let RawPart::Observed(observed) = raw else { return None };
    let attribute = |(key, item): (&ItemKey, &RawItem)| {
        key.is_attribute().then(|| (key.clone(), RawItem { rank: None, ..item.clone() }))
    };
    Some(RawPart::Observed(RawObserved {
        reading: observed.reading.clone(),
        raw: observed.raw,
        size: observed.size,
        content: Content::Unread(Reason::TooLarge),
        items: observed.items.iter().filter_map(attribute).collect(),
    }))
}
