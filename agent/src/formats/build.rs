//! How a format puts items together within the bounds of a part.
//!
//! A [`Builder`] knows the three ways in which configuration repeats a key: the last one wins, the
//! values add up, or each occurrence has its place. It refuses whatever would pass a bound, so a
//! format that uses nothing else cannot.

use std::collections::BTreeMap;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems};

use super::FormatError;

/// Room for the file's own attributes (`@mode` …) beside the items of its content.
const ATTRIBUTES: usize = 16;

/// How often a key that was too long may be asked for. Each time costs as much as the names on the
/// way to it, and one name may be nearly the whole file: without a bound, work grows with its
/// square.
pub(super) const CUT_KEYS: u32 = 128;

/// Items of one file in the making.
#[derive(Default)]
pub struct Builder {
    items: RawItems,
    occurrences: BTreeMap<ItemKey, u32>,
    ranks: u32,
    cut: u32,
}

impl Builder {
    /// Sets `key`; where the key repeats, the last value wins.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when the part would have too many items.
    pub fn set(&mut self, key: ItemKey, value: ItemValue) -> Result<(), FormatError> {
        if mutant::active(Mutant::OrderAlwaysCounts) {
            let rank = self.ranks;
            self.ranks += 1;
            return self.insert(key, RawItem::plain(value).at(rank));
        }
        self.insert(key, RawItem::plain(value))
    }

    /// Adds to `key`; where the key repeats, its values become a list in their order.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when the part would have too many items or the list too many
    /// values.
    pub fn add(&mut self, key: ItemKey, value: ItemValue) -> Result<(), FormatError> {
        self.weigh(&key)?;
        let repeats = self.occurrences.entry(key.clone()).or_default();
        *repeats += 1;
        let Some(item) = self.items.get_mut(&key) else { return self.set(key, value) };
        if *repeats == 2 {
            let first = std::mem::replace(&mut item.value, ItemValue::Nothing);
            item.value = ItemValue::List(vec![first, value]);
        } else if let ItemValue::List(values) = &mut item.value {
            if values.len() >= limits::VALUES_PER_ITEM {
                return Err(FormatError::TooLarge);
            }
            values.push(value);
        }
        Ok(())
    }

    /// Extends the list under `key`.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when the part would have too many items or the list too many
    /// values.
    pub fn extend(
        &mut self,
        key: ItemKey,
        more: impl IntoIterator<Item = ItemValue>,
    ) -> Result<(), FormatError> {
        let mut values = match self.items.remove(&key) {
            Some(RawItem { value: ItemValue::List(values), .. }) => values,
            Some(item) => vec![item.value],
            None => Vec::new(),
        };
        for value in more {
            if values.len() >= limits::VALUES_PER_ITEM {
                return Err(FormatError::TooLarge);
            }
            values.push(value);
        }
        self.set(key, ItemValue::List(values))
    }

    /// Gives `key` the next place among the ordered items; a key that repeats gets its number as
    /// one more segment (`…/2`).
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when the part would have too many items.
    pub fn place(&mut self, segments: &[&str], value: ItemValue) -> Result<(), FormatError> {
        self.place_item(segments, RawItem::plain(value))
    }

    /// As [`Builder::place`], for an item the format knows more about.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when the part would have too many items.
    pub fn place_item(&mut self, segments: &[&str], item: RawItem) -> Result<(), FormatError> {
        let key = self.unused(segments);
        let item = item.at(self.ranks);
        self.ranks += 1;
        self.insert(key, item)
    }

    /// Sets `key`, or the key with its number as one more segment where it repeats.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when the part would have too many items.
    pub fn set_each(&mut self, segments: &[&str], value: ItemValue) -> Result<(), FormatError> {
        self.each_item(segments, RawItem::plain(value))
    }

    /// As [`Builder::set_each`], for an item the format knows more about.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when the part would have too many items.
    pub fn each_item(&mut self, segments: &[&str], item: RawItem) -> Result<(), FormatError> {
        let key = self.unused(segments);
        if item.sensitive {
            return self.insert(key, item);
        }
        self.set(key, item.value)
    }

    /// Inserts an item as it is, replacing one of the same key.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when the part would have too many items, or too many of its
    /// keys were too long.
    pub fn insert(&mut self, key: ItemKey, item: RawItem) -> Result<(), FormatError> {
        self.weigh(&key)?;
        let is_full = self.items.len() >= limits::ITEMS_PER_PART - ATTRIBUTES
            && !mutant::active(Mutant::PartsWithoutEnd);
        if is_full && !self.items.contains_key(&key) {
            return Err(FormatError::TooLarge);
        }
        self.items.insert(key, item);
        Ok(())
    }

    /// Whether there is an item of this key.
    pub fn has(&self, key: &ItemKey) -> bool {
        self.items.contains_key(key)
    }

    /// The items.
    pub fn finish(self) -> RawItems {
        self.items
    }

    /// Counts the keys that cost more than they are long.
    fn weigh(&mut self, key: &ItemKey) -> Result<(), FormatError> {
        self.cut += u32::from(key.is_cut());
        if self.cut > CUT_KEYS && !mutant::active(Mutant::NamesWithoutEnd) {
            return Err(FormatError::TooLarge);
        }
        Ok(())
    }

    fn unused(&mut self, segments: &[&str]) -> ItemKey {
        let key = ItemKey::of(segments);
        let count = self.occurrences.entry(key.clone()).or_default();
        *count += 1;
        if *count == 1 && !self.items.contains_key(&key) {
            return key;
        }
        loop {
            let number = count.to_string();
            let key = ItemKey::of(segments.iter().copied().chain([number.as_str()]));
            if !self.items.contains_key(&key) {
                return key;
            }
            *count += 1;
        }
    }
}
