//! The sink of one pass: holds what is known, takes what is said, and accounts for the rest.
//!
//! `known` begins as the manifest of the last pass and shrinks with each part that is accounted
//! for; what is left at the end was looked for and is gone. A name moves from `known` to `next`, so
//! there is one of each. Where the spool has a tally of the last pass, `known` is not read before
//! something is said that it does not settle: see [`super::heard`].

use std::collections::BTreeMap;

use driftline_protocol::canonical;
use driftline_protocol::ids::{Digest, PartName, SourceName};
use driftline_protocol::item::ItemKey;
use driftline_protocol::limits;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::redact::{RawItem, RawObserved, RawPart, Redactor, Sealed};
use driftline_protocol::snapshot::{Content, Reason};

use super::heard::{self, Heard};
use super::whole;
use crate::sources::{Carry, Receipt, Sink};
use crate::spool::{Keep, SpoolError, Tally};

/// What one pass came to.
pub(super) enum Assembled {
    /// Every part is what it was, and nothing was opened for it.
    Still(Tally),
    /// Ready to be committed.
    Anew(Anew),
}

/// A section put together anew.
pub(super) struct Anew {
    /// The digest of each part now.
    pub(super) manifest: Manifest,
    /// How many parts are unobserved, by reason.
    pub(super) unobserved: BTreeMap<Reason, u64>,
    /// What the next pass may be held against. `None` where a part has a state that no source was
    /// given a receipt for.
    pub(super) tally: Option<Tally>,
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
    source: SourceName,
    /// The parts heard so far, while nothing else was said and `known` is not read.
    heard: Option<Heard>,
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
    /// An observation of `source`, which is opened when the first part differs, or now.
    pub(super) fn begin(
        redactor: &'a Redactor,
        keep: &'a mut dyn Keep,
        source: SourceName,
    ) -> Result<Self, SpoolError> {
        let heard = keep.tally(&source)?.map(Heard::against);
        let mut assembler = Self {
            redactor,
            keep,
            source,
            heard: None,
            known: BTreeMap::new(),
            next: BTreeMap::new(),
            blanks: BTreeMap::new(),
            room: 0,
            refusal: None,
        };
        match heard {
            Some(heard) => assembler.heard = Some(heard),
            None => assembler.open()?,
        }
        Ok(assembler)
    }

    /// Opens the observation.
    fn open(&mut self) -> Result<(), SpoolError> {
        self.known = self.keep.begin(&self.source)?.0;
        // One place is left for the part that says the section is full.
        self.room = limits::PARTS_PER_SECTION.saturating_sub(self.known.len() + 1);
        Ok(())
    }

    /// From here on each part counts by itself: what was heard so far is accounted for.
    fn compare(&mut self) {
        let Some(heard) = self.heard.take() else { return };
        if let Err(error) = self.open() {
            self.refusal.get_or_insert(error);
            return;
        }
        match heard.take_from(&mut self.known) {
            Some(taken) => {
                let placed = |(name, digest, unobserved)| (name, Placed { digest, unobserved });
                self.next.extend(taken.into_iter().map(placed));
            }
            // What the tally belonged to is not what is kept now. The next pass begins without one.
            None => self.refusal = self.refusal.take().or(Some(SpoolError::NotOpen)),
        }
    }

    /// Every part known before is unobserved; a source that never said anything has one part,
    /// itself.
    pub(super) fn blind_everything(&mut self, reason: Reason) {
        self.compare();
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
        if let Some(tally) = self.heard.as_ref().and_then(Heard::is_all) {
            return Ok(Assembled::Still(tally.clone()));
        }
        self.compare();
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
        let receipts = self
            .next
            .iter()
            .map(|(name, placed)| (name, Receipt::of(placed.digest, placed.unobserved)));
        let tally = self.blanks.is_empty().then(|| heard::tally(receipts, &unobserved));
        let digests = self.next.into_iter().map(|(name, placed)| (name, placed.digest));
        let manifest = Manifest(digests.collect());
        Ok(Assembled::Anew(Anew { manifest, unobserved, tally }))
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
        self.compare();
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
        if let Some(heard) = &mut self.heard {
            heard.hear(part, receipt);
            return Carry::Carried;
        }
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
        self.compare();
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
