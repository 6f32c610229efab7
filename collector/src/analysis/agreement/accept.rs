//! A part as agreed, but for one item that was accepted as it is. Pure.

use driftline_protocol::item::{Item, ItemKey, Items};
use driftline_protocol::snapshot::{Observed, Part};

use crate::analysis::order::longest_increasing;

/// `agreed` with the item `key` as `accepted`; `None` for an item that shall not be there.
///
/// An item with a place among others is put where it stands in `current`, so that it differs no
/// more and what was not accepted differs as before.
pub fn with_item(
    agreed: &Observed,
    current: Option<&Part>,
    (key, accepted): (&ItemKey, Option<&Item>),
) -> Observed {
    let mut next = agreed.clone();
    let Some(accepted) = accepted else {
        next.items.remove(key);
        return next;
    };
    next.items.insert(key.clone(), accepted.clone());
    let observed = current.and_then(Part::observed);
    if let (Some(_), Some(current)) = (accepted.rank, observed) {
        place(&mut next.items, &current.items, key);
    }
    next
}

/// Numbers the ranked items anew, with `key` where it stands among those of `current` that kept
/// their order: behind the last of them before it.
fn place(items: &mut Items, current: &Items, key: &ItemKey) {
    let mut order: Vec<(u32, ItemKey)> = items
        .iter()
        .filter(|(other, _)| *other != key)
        .filter_map(|(other, item)| Some((item.rank?, other.clone())))
        .collect();
    order.sort();
    let kept: Vec<(usize, u32)> = order
        .iter()
        .enumerate()
        .filter_map(|(position, (_, other))| {
            let (is, was) = (current.get(other)?, items.get(other)?);
            Some((position, is.rank.filter(|_| is.value == was.value)?))
        })
        .collect();
    let ranks: Vec<u32> = kept.iter().map(|(_, rank)| *rank).collect();
    let here = current.get(key).and_then(|item| item.rank).unwrap_or(u32::MAX);
    let stayed = longest_increasing(&ranks).into_iter().filter_map(|place| kept.get(place));
    let before = stayed.take_while(|(_, rank)| *rank < here).last();
    let mut order: Vec<ItemKey> = order.into_iter().map(|(_, other)| other).collect();
    order.insert(before.map_or(0, |(position, _)| position + 1), key.clone());
    for (rank, key) in (0..).zip(&order) {
        if let Some(item) = items.get_mut(key) {
            item.rank = Some(rank);
        }
    }
}
