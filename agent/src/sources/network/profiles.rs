//! Profiles of NetworkManager, each a file, without its secrets; see nm-settings-keyfile(5).
//!
//! A profile that a person keeps for themself (`permissions`) is not the host's configuration. What
//! NetworkManager writes by itself (when a profile was last used) is left out.

use std::collections::BTreeSet;
use std::path::Path;

use driftline_protocol::ids::PartName;
use driftline_protocol::item::ItemKey;
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawPart};
use driftline_protocol::snapshot::Reading;

use crate::formats::{FormatError, Malformed, ini};
use crate::machine::Machine;
use crate::platform;
use crate::sources::look::{Look, Memory};
use crate::sources::{Carry, Sink};

pub(super) const DIRECTORY: &str = "/etc/NetworkManager/system-connections";

/// What NetworkManager writes when it uses a profile.
const ITS_OWN: [&str; 2] = ["timestamp", "seen-bssids"];

/// Settings that are secrets, beside those whose name says so.
const SECRETS: [&str; 9] = [
    "psk",
    "pin",
    "wep-key0",
    "wep-key1",
    "wep-key2",
    "wep-key3",
    "private-key",
    "preshared-key",
    "mka-cak",
];

/// Says each profile; a place that cannot be listed is blind.
pub(super) fn read(
    reading: &Reading,
    memory: &mut Memory,
    (machine, sink): (&Machine, &mut dyn Sink),
) {
    let place = PartName::from_bytes(DIRECTORY.as_bytes());
    let entries = match machine.entries(Path::new(DIRECTORY)) {
        Ok(entries) => entries.unwrap_or_default(),
        Err(reason) => return sink.blind(&place, reason),
    };
    let mut named = BTreeSet::new();
    for entry in entries {
        if entry.name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = Path::new(DIRECTORY).join(&entry.name);
        let name = PartName::from_bytes(&platform::path_bytes(&path));
        named.insert(name.clone());
        if memory.carry(&name, machine, sink) == Carry::Carried {
            continue;
        }
        let mut look = Look::new(machine);
        if let Some(part) = profile(&mut look, &path, reading) {
            memory.say((name, part), look, sink);
        }
    }
    memory.retain(|name| !name.as_str().starts_with(DIRECTORY) || named.contains(name));
}

fn profile(look: &mut Look<'_>, path: &Path, reading: &Reading) -> Option<RawPart> {
    let content = match look.read(path, limits::FILE_BYTES) {
        Ok(Some(content)) => content,
        Ok(None) => return None,
        Err(reason) => return Some(RawPart::Unobserved(reason)),
    };
    let mut items = match (ini::FORMAT.read)(&content.bytes) {
        Ok(items) => items,
        Err(FormatError::Malformed(malformed)) => {
            return Some(look.part(reading.clone(), Err(malformed)));
        }
        Err(error @ FormatError::TooLarge) => return Some(RawPart::Unobserved(error.reason())),
    };
    if items.is_empty() {
        let malformed = Malformed { line: 1, what: "no section" };
        return Some(look.part(reading.clone(), Err(malformed)));
    }
    if items.contains_key(&ItemKey::of(["connection", "permissions"])) {
        return None;
    }
    items.retain(|key, _| !key.segments().any(|name| ITS_OWN.contains(&name.as_str())));
    for (key, item) in &mut items {
        let hides = |name: String| {
            name.ends_with("-secrets") || name.ends_with("password") || is_secret(&name)
        };
        if key.segments().any(hides) {
            *item = RawItem { sensitive: true, ..item.clone() };
        }
    }
    // The bytes hold secrets and times of use: their digest tells more than the items.
    look.without_bytes();
    Some(look.part(reading.clone(), Ok(items)))
}

fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}
