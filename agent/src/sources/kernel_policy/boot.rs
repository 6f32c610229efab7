//! The kernel's command line, by parameter.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};

use crate::formats::lines::scalar;
use crate::sources::look::Look;
use crate::sources::table::{Trouble, say, text};

/// The kernel's bound is 4 KiB on most machines.
const BYTES: u64 = 64 * 1024;

/// What the boot loader adds for each kernel; which one runs is told by `os`.
const OF_THE_LOADER: [&str; 2] = ["BOOT_IMAGE", "initrd"];

/// Each parameter with its value; one that repeats has all of them in order, for some (`console`)
/// add up.
pub(super) fn running(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let Some(line) = text(look, "/proc/cmdline", BYTES)? else { return Ok(None) };
    let mut items = RawItems::new();
    for word in words(line.trim()) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, scalar(&value.replace('"', ""))),
            None => (word.as_str(), ItemValue::Nothing),
        };
        if OF_THE_LOADER.contains(&name) {
            continue;
        }
        match items.get_mut(&ItemKey::of([name])) {
            Some(RawItem { value: ItemValue::List(values), .. }) => values.push(value),
            Some(item) => {
                let first = std::mem::replace(&mut item.value, ItemValue::Nothing);
                item.value = ItemValue::List(vec![first, value]);
            }
            None => say(&mut items, [name], value),
        }
    }
    Ok(Some(items))
}

/// The words of a command line; double quotes keep blanks together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        quoted ^= c == '"';
        if c.is_ascii_whitespace() && !quoted {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
