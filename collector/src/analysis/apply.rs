//! The way back: changes applied to the items before give the items after. Pure.
//!
//! This is what makes a change log worth trusting, and a test holds [`super::diff`] to it.

use std::collections::BTreeMap;

use driftline_protocol::item::{Item, ItemKey, Items};

use super::change::{Change, ChangeKind};

/// The items after `changes` of one part, which began with the items `before`.
///
/// Part-wide changes (no key) say nothing about items. Items that no change names keep their order
/// among each other and fill the places that changed items leave free.
pub fn apply(before: &Items, changes: &[Change]) -> Items {
    let mut items = before.clone();
    let mut placed: BTreeMap<u32, ItemKey> = BTreeMap::new();
    for change in changes {
        let Some(key) = &change.key else { continue };
        items.remove(key);
        let after = match change.kind {
            ChangeKind::Removed | ChangeKind::Cosmetic => continue,
            ChangeKind::Added | ChangeKind::Modified | ChangeKind::Moved | ChangeKind::Recast => {
                &change.after
            }
        };
        placed.extend(after.as_ref().and_then(|item| item.rank).map(|rank| (rank, key.clone())));
    }
    close_up(&mut items, &placed);
    for change in changes {
        if let (Some(key), Some(item)) = (&change.key, &change.after) {
            items.insert(key.clone(), item.clone());
        }
    }
    items
}

/// Gives the ordered items their places anew, in their old order, leaving out those in `placed`.
fn close_up(items: &mut Items, placed: &BTreeMap<u32, ItemKey>) {
    let mut ordered: Vec<&mut Item> = items.values_mut().filter(|i| i.rank.is_some()).collect();
    ordered.sort_by_key(|item| item.rank);
    let mut free = (0u32..).filter(|rank| !placed.contains_key(rank));
    for item in ordered {
        item.rank = free.next();
    }
}
