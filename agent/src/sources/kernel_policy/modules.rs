//! Kernel modules: which are to be loaded, forbidden and how configured, and whether they are.

use std::collections::BTreeSet;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems};

use crate::formats::lines::{continued, decode, first_word, meaningful};
use crate::sources::look::Look;
use crate::sources::precedence::files;
use crate::sources::table::{Trouble, say, text};

/// Where modules to load are named; the first wins (modules-load.d(5)).
pub(super) const LOAD: [&str; 5] = [
    "/etc/modules-load.d",
    "/run/modules-load.d",
    "/usr/local/lib/modules-load.d",
    "/usr/lib/modules-load.d",
    "/lib/modules-load.d",
];

/// Where they are configured; the first wins (modprobe.d(5)).
pub(super) const PROBE: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];

/// Also read by the loader, and by Debian linked from the first directory.
const MODULES: &str = "/etc/modules";

const LOADED: &str = "/proc/modules";

/// `load/NAME` in its order, `blacklist/NAME`, and `options/NAME`, `install/NAME`, `remove/NAME`,
/// `softdep/NAME`, `alias/NAME` with what they say; options that repeat add up in their order.
pub(super) fn configured(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    let mut rank = 0;
    let load = files(look, &LOAD, ".conf")?;
    let linked = load.iter().any(|file| file.path.ends_with("modules.conf"));
    let plain = if linked { None } else { text(look, MODULES, limits::FILE_BYTES)? };
    let texts = load.iter().map(|file| decode(&file.bytes)).chain(plain.map(Into::into));
    for text in texts.collect::<Vec<_>>() {
        for (_, line) in meaningful(&text, &['#', ';']) {
            let (name, options) = first_word(line);
            let key = ItemKey::of(["load", &module(name)]);
            let value =
                if options.is_empty() { ItemValue::Nothing } else { ItemValue::text(options) };
            items.entry(key).or_insert_with(|| {
                rank += 1;
                RawItem::plain(value).at(rank - 1)
            });
        }
    }
    let probe = files(look, &PROBE, ".conf")?;
    for file in &probe {
        for (_, line) in continued(&decode(&file.bytes), &['#']) {
            directive(&mut items, line.trim());
        }
    }
    Ok((!items.is_empty()).then_some(items))
}

fn directive(items: &mut RawItems, line: &str) {
    if line.is_empty() || line.starts_with('#') {
        return;
    }
    let (word, rest) = first_word(line);
    let (name, value) = first_word(rest);
    let key = ItemKey::of([word, &module(name)]);
    let value = value.trim();
    match (items.get_mut(&key), value.is_empty()) {
        (_, true) => say(items, [word, &module(name)], ItemValue::Nothing),
        (Some(RawItem { value: ItemValue::Text(before), .. }), false) if word == "options" => {
            before.push(' ');
            before.push_str(value);
        }
        (_, false) => say(items, [word, &module(name)], ItemValue::text(value)),
    }
}

/// A module has one name, however its dashes are written.
fn module(name: &str) -> String {
    name.replace('-', "_")
}

/// Whether each module that is to be loaded, or is forbidden, is loaded now. A module that is
/// built in is not in the kernel's list, and is told as not loaded.
pub(super) fn running(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let Some(list) = text(look, LOADED, limits::FILE_BYTES)? else { return Ok(None) };
    let loaded: BTreeSet<&str> = list.lines().map(|line| first_word(line).0).collect();
    let configured = configured(look)?.unwrap_or_default();
    let mut items = RawItems::new();
    for key in configured.keys() {
        let segments: Vec<String> = key.segments().collect();
        if let [kind, name] = segments.as_slice()
            && (kind == "load" || kind == "blacklist")
        {
            let is_loaded = ItemValue::Flag(loaded.contains(name.as_str()));
            say(&mut items, [kind, name], is_loaded);
        }
    }
    Ok(Some(items))
}
