//! What the engines tell of a container in the same words.

use std::collections::BTreeSet;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};

use crate::sources::table::say;

/// Says each text that is there.
pub(super) fn texts<'a, S: AsRef<str>>(
    items: &mut RawItems,
    all: impl IntoIterator<Item = (&'a str, S)>,
) {
    for (key, text) in all {
        if !text.as_ref().is_empty() {
            say(items, [key], ItemValue::text(text.as_ref()));
        }
    }
}

/// Says each set that is not empty.
pub(super) fn sets<'a>(
    items: &mut RawItems,
    all: impl IntoIterator<Item = (&'a str, BTreeSet<ItemValue>)>,
) {
    for (key, set) in all.into_iter().filter(|(_, set)| !set.is_empty()) {
        say(items, [key], ItemValue::Set(set));
    }
}

/// Says words in their order.
pub(super) fn words(items: &mut RawItems, key: &str, words: &[String]) {
    say(items, [key], ItemValue::List(words.iter().map(ItemValue::text).collect()));
}

/// Says the environment, `NAME=VALUE` each; values are secrets, whatever they are called. A
/// container that is not told its name is called by its `id`, which says nothing.
pub(super) fn environment(items: &mut RawItems, pairs: &[String], id: &[u8]) {
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_id = !value.is_empty() && id.starts_with(value.as_bytes());
        if name != "HOSTNAME" || !is_id {
            let key = ItemKey::of(["environment", name]);
            items.insert(key, RawItem::secret(ItemValue::text(value)));
        }
    }
}
