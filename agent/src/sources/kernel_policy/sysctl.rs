//! Kernel parameters: what is configured, and what runs of that.

use std::collections::BTreeSet;
use std::path::Path;

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItems, RawPart};
use driftline_protocol::snapshot::Reason;

use crate::content::reading;
use crate::formats::key_value::SYSCTL;
use crate::formats::lines::{scalar, words};
use crate::machine::Machine;
use crate::sources::Sink;
use crate::sources::look::Look;
use crate::sources::precedence::files;
use crate::sources::table::{Trouble, momentary, say};

/// Where parameters are set; the first wins (sysctl.d(5)). `/etc/sysctl.conf` counts where a link
/// in the first leads to it, as in Debian.
pub(super) const DIRECTORIES: [&str; 5] = [
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
];

/// The longest value of a parameter, in bytes; the kernel gives one page.
const VALUE_BYTES: u64 = 64 * 1024;

/// The most parameters that are looked at; a host sets a few dozen.
const PARAMETERS: usize = 2_000;

/// Each parameter as the last file that sets it says.
pub(super) fn configured(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    let found = files(look, &DIRECTORIES, ".conf")?;
    for file in &found {
        for (key, item) in (SYSCTL.read)(&file.bytes)? {
            // `-key = value` only says that failing to set it is no failure.
            let segments: Vec<String> = key.segments().collect();
            let name = segments.join("/");
            let plain = match (&item.value, name.strip_prefix('-')) {
                (ItemValue::Nothing, _) | (_, None) => name.as_str(),
                (_, Some(plain)) => plain,
            };
            items.insert(ItemKey::of([plain]), item);
        }
    }
    Ok((!found.is_empty()).then_some(items))
}

/// What runs of each parameter that is configured, a part for each.
///
/// Where the configuration is not known, so are they: nothing is said, but that all of
/// `/proc/sys` could not be looked at.
pub(super) fn running((parser, version): (&str, u32), (machine, sink): (&Machine, &mut dyn Sink)) {
    let place = PartName::from_bytes(b"/proc/sys");
    let configured = match configured(&mut Look::new(machine)) {
        Ok(items) => items.unwrap_or_default(),
        Err(Trouble::Unread(reason)) => return sink.blind(&place, reason),
        Err(Trouble::Malformed(_)) => return sink.blind(&place, Reason::Malformed),
    };
    let names = names(&configured);
    if names.len() > PARAMETERS {
        return sink.blind(&place, Reason::TooLarge);
    }
    for name in names {
        let path = path(&name);
        let part = match machine.read(Path::new(&path), VALUE_BYTES) {
            // Its module is not loaded.
            Ok(None) => continue,
            Err(reason) => RawPart::Unobserved(reason),
            Ok(Some(content)) => {
                let text = String::from_utf8_lossy(&content.bytes);
                let value = words(text.trim()).collect::<Vec<_>>().join(" ");
                let mut items = RawItems::new();
                let runs = match configured.get(&ItemKey::of([&name])) {
                    Some(item) if mutant::active(Mutant::ConfiguredParametersRun) => {
                        item.value.clone()
                    }
                    Some(_) | None => scalar(&value),
                };
                say(&mut items, [&name], runs);
                momentary(reading(parser, version), items)
            }
        };
        sink.seen(PartName::from_bytes(path.as_bytes()), part);
    }
}

/// The parameters that are set by their full name.
fn names(configured: &RawItems) -> BTreeSet<String> {
    configured
        .keys()
        .map(|key| key.segments().collect::<Vec<_>>().join("/"))
        .filter(|name| !name.contains(['*', '?', '[']) && !name.starts_with('-'))
        .filter(|name| !name.split('.').any(|piece| piece.is_empty() || piece == ".."))
        .collect()
}

/// Where the kernel shows a parameter: a dot separates, and a slash stands for a dot in a name.
fn path(name: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    format!("/proc/sys/{}", name.chars().map(swap).collect::<String>())
}
