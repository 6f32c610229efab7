//! The settings of a systemd program: its file, and the files dropped in beside it.
//!
//! See systemd-system.conf(5): the main file is read first, then the drop-ins by name; the last
//! setting wins, but lists add up, and an empty setting forgets what was said before.

use std::path::Path;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;

use super::look::Look;
use super::precedence::files;
use super::table::{Trouble, say};
use crate::formats::lines::{decode, meaningful, scalar, words};

/// Where a program's settings stand; of each, the first wins.
pub(super) struct Places {
    pub(super) files: [&'static str; 4],
    pub(super) drop_ins: [&'static str; 4],
    /// The settings that add up.
    pub(super) lists: &'static [&'static str],
}

/// Each setting as the last file that makes it says; nothing where there is no file.
pub(super) fn merged(look: &mut Look<'_>, places: &Places) -> Result<Option<RawItems>, Trouble> {
    let mut texts = Vec::new();
    for path in places.files {
        if let Some(content) = look.read(Path::new(path), limits::FILE_BYTES)? {
            texts.push(content.bytes);
            break;
        }
    }
    texts.extend(files(look, &places.drop_ins, ".conf")?.into_iter().map(|file| file.bytes));
    if texts.is_empty() {
        return Ok(None);
    }
    let mut items = RawItems::new();
    for bytes in texts {
        for (_, line) in meaningful(&decode(&bytes), &['#', ';', '[']) {
            if let Some((name, value)) = line.split_once('=') {
                setting(&mut items, places.lists, (name.trim(), value.trim()));
            }
        }
    }
    Ok(Some(items))
}

fn setting(items: &mut RawItems, lists: &[&str], (name, value): (&str, &str)) {
    let key = ItemKey::of([name]);
    if value.is_empty() {
        items.remove(&key);
    } else if lists.contains(&name) {
        let mut all = match items.remove(&key).map(|item| item.value) {
            Some(ItemValue::List(all)) => all,
            Some(_) | None => Vec::new(),
        };
        all.extend(words(value).map(ItemValue::text));
        say(items, [name], ItemValue::List(all));
    } else {
        say(items, [name], scalar(value));
    }
}
