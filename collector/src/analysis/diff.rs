//! What changed between two consecutive observations of one part. Pure.
//!
//! Three sentences decide everything here. *Unobserved is not absent*: what was not seen now says
//! nothing, and what was not seen before is compared with when it was seen last; attributes and
//! content are seen apart. *Seeing differently is not change*: another parser, version, scope or
//! fingerprint key gives `recast`. *Cosmetic is not drift*: other bytes with the same meaning are
//! one `cosmetic`.
//!
//! | before | now | changes |
//! |---|---|---|
//! | nothing known | observed | every item `added` |
//! | anything | gone | every item last known `removed` |
//! | anything | unobserved | none |
//! | content never read | content read | attributes only: it was unknown, not absent |
//! | read | unread | attributes only |
//! | unread | unread, other bytes | and one `modified`: its raw digest is an item |
//! | read | read, other reading, same bytes or unknown | attributes, and one `recast` |
//! | read | read, other reading, other bytes | and that `recast` has both raw digests |
//! | read | read, same items, other bytes | one `cosmetic` |
//! | read | read, same items, raw digest under another key | one `recast`: bytes unknown |
//!
//! A part's size is never an item: a comment changes it.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{Item, ItemKey, ItemValue, Items};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::{Content, Observed, Part};

use super::change::{Change, ChangeKind};
use super::comparable::{Relation, fingerprints, relation};
use super::order::longest_increasing;

/// What is known of a part from before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The newest observation in which its attributes were seen.
    pub seen: Option<&'a Observed>,
    /// The newest observation in which its content was read.
    pub read: Option<&'a Observed>,
}

/// What changed from `before` to `after`, by key, part-wide changes first; `after` is `None` when
/// the part is no longer on the host.
pub fn diff(part: &PartName, before: Known<'_>, after: Option<&Part>) -> Vec<Change> {
    let maker = Maker { part };
    match after {
        None => maker.removed(before),
        Some(Part::Unobserved(_)) => Vec::new(),
        Some(Part::Observed(after)) => maker.compared(before, after),
    }
}

/// One side of a part: its attributes, or its content.
#[derive(Clone, Copy)]
enum Side {
    Attributes,
    Content,
}

impl Side {
    fn of(self, items: &Items) -> impl Iterator<Item = (&ItemKey, &Item)> {
        let attributes = matches!(self, Self::Attributes);
        // What is so at this moment is evidence for discrepancies, and by itself no change.
        let steady = items.iter().filter(|(key, _)| key.of_the_moment().is_none());
        steady.filter(move |(key, _)| is_of_the_file(key) == attributes)
    }
}

/// Whether `key` is an attribute of the file rather than something it says. `@content` stands for
/// what it says where nothing reads it: it comes and goes with how we see, not with the file.
pub fn is_of_the_file(key: &ItemKey) -> bool {
    key.is_attribute() && key.as_str() != "@content"
}

/// Makes changes of one part.
struct Maker<'a> {
    part: &'a PartName,
}

impl Maker<'_> {
    fn removed(&self, before: Known<'_>) -> Vec<Change> {
        let attributes = before.seen.or(before.read).map(|seen| &seen.items);
        let content = before.read.map(|read| &read.items);
        let attributes = attributes.into_iter().flat_map(|items| Side::Attributes.of(items));
        let content = content.into_iter().flat_map(|items| Side::Content.of(items));
        let removed = |(key, item): (&ItemKey, &Item)| self.item(key, Some(item), None);
        attributes.chain(content).map(removed).collect()
    }

    fn compared(&self, before: Known<'_>, after: &Observed) -> Vec<Change> {
        let Some(seen) = before.seen.or(before.read) else {
            return after
                .items
                .iter()
                .filter(|(key, _)| key.of_the_moment().is_none())
                .map(|(key, item)| self.item(key, None, Some(item)))
                .collect();
        };
        let mut changes = match (before.read, after.content) {
            (Some(read), Content::Read) => self.content(read, after),
            (None, Content::Read) => Vec::new(),
            (None | Some(_), Content::Unread(_)) if seen.content == Content::Read => Vec::new(),
            (None | Some(_), Content::Unread(_)) => self.unread(seen, after),
        };
        changes.extend(self.items(Side::Attributes, &seen.items, &after.items));
        changes
    }

    /// Content that was read on both sides.
    fn content(&self, before: &Observed, after: &Observed) -> Vec<Change> {
        let raw = raw_relation(before, after);
        if before.reading != after.reading && !mutant::active(Mutant::RecastIsAChange) {
            return vec![match raw {
                Some(Relation::Different) => self.raw(ChangeKind::Recast, before, after),
                Some(Relation::Same | Relation::Incomparable) | None => {
                    self.whole(ChangeKind::Recast)
                }
            }];
        }
        let changes = self.items(Side::Content, &before.items, &after.items);
        if !changes.is_empty() {
            return changes;
        }
        match raw {
            Some(Relation::Different) if mutant::active(Mutant::CosmeticIsModified) => {
                vec![self.raw(ChangeKind::Modified, before, after)]
            }
            Some(Relation::Different) => vec![self.whole(ChangeKind::Cosmetic)],
            Some(Relation::Incomparable) => vec![self.whole(ChangeKind::Recast)],
            Some(Relation::Same) | None => Vec::new(),
        }
    }

    /// Content that was read on neither side: only its raw digest can speak.
    fn unread(&self, before: &Observed, after: &Observed) -> Vec<Change> {
        match raw_relation(before, after) {
            Some(Relation::Different) => vec![self.raw(ChangeKind::Modified, before, after)],
            Some(Relation::Same | Relation::Incomparable) | None => Vec::new(),
        }
    }

    /// Items seen to their end on both sides.
    fn items(&self, side: Side, before: &Items, after: &Items) -> Vec<Change> {
        let moved = moved(side, before, after);
        let mut changes = Vec::new();
        for (key, was, is) in aligned(side, before, after) {
            let kind = match was.zip(is).map(|(was, is)| relation(&was.value, &is.value)) {
                Some(Relation::Same) if moved.contains(key) => Some(ChangeKind::Moved),
                Some(Relation::Same) => continue,
                Some(Relation::Incomparable) => Some(ChangeKind::Recast),
                Some(Relation::Different) | None => None,
            };
            let change = self.item(key, was, is);
            changes.push(Change { kind: kind.unwrap_or(change.kind), ..change });
        }
        changes
    }

    fn item(&self, key: &ItemKey, before: Option<&Item>, after: Option<&Item>) -> Change {
        let kind = match (before, after) {
            (None, _) => ChangeKind::Added,
            (Some(_), None) => ChangeKind::Removed,
            (Some(_), Some(_)) => ChangeKind::Modified,
        };
        let (before, after) = (before.cloned(), after.cloned());
        Change { part: self.part.clone(), key: Some(key.clone()), kind, before, after }
    }

    fn whole(&self, kind: ChangeKind) -> Change {
        Change { part: self.part.clone(), key: None, kind, before: None, after: None }
    }

    fn raw(&self, kind: ChangeKind, before: &Observed, after: &Observed) -> Change {
        let (before, after) = (raw_item(before), raw_item(after));
        Change { before, after, ..self.whole(kind) }
    }
}

/// How the bytes stand to each other; `None` where one side has none.
fn raw_relation(before: &Observed, after: &Observed) -> Option<Relation> {
    Some(fingerprints(before.raw?, after.raw?))
}

/// The raw digest in the shape of an item, so that a person sees that bytes differ.
fn raw_item(observed: &Observed) -> Option<Item> {
    observed.raw.map(|raw| Item { value: ItemValue::Fingerprint(raw), rank: None })
}

/// The items of both sides by key, in its order; at least one side has each.
fn aligned<'a>(
    side: Side,
    before: &'a Items,
    after: &'a Items,
) -> impl Iterator<Item = (&'a ItemKey, Option<&'a Item>, Option<&'a Item>)> {
    let (mut before, mut after) = (side.of(before).peekable(), side.of(after).peekable());
    std::iter::from_fn(move || {
        let order = match (before.peek(), after.peek()) {
            (Some((was, _)), Some((is, _))) => was.cmp(is),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let was = if order.is_le() { before.next() } else { None };
        let is = if order.is_ge() { after.next() } else { None };
        let (key, _) = was.or(is)?;
        Some((key, was.map(|(_, item)| item), is.map(|(_, item)| item)))
    })
}

/// Items with the same value and another place: the fewest whose moving explains the order.
///
/// Places that shift only because others came or went are no move. Items with another value carry
/// their new place themselves. An item whose order begins or ceases to matter has moved.
fn moved(side: Side, before: &Items, after: &Items) -> BTreeSet<ItemKey> {
    let mut moved = BTreeSet::new();
    let mut kept: Vec<(u32, u32, &ItemKey)> = Vec::new();
    for (key, was, is) in aligned(side, before, after) {
        let (Some(was), Some(is)) = (was, is) else { continue };
        match (was.rank, is.rank) {
            (None, None) => {}
            (Some(from), Some(to)) if was.value == is.value => kept.push((from, to, key)),
            (Some(_), Some(_)) => {}
            (Some(_), None) | (None, Some(_)) => {
                moved.insert(key.clone());
            }
        }
    }
    kept.sort_unstable();
    let ranks: Vec<u32> = kept.iter().map(|(_, to, _)| *to).collect();
    let stayed: BTreeSet<usize> = longest_increasing(&ranks).into_iter().collect();
    let others = kept.iter().enumerate().filter(|(place, _)| !stayed.contains(place));
    moved.extend(others.map(|(_, (_, _, key))| (*key).clone()));
    moved
}

#[cfg(test)]
mod tests;
