//! Sections of keys: `*.ini`, desktop files, NetworkManager, and every `.conf` that begins with a
//! section.
//!
//! Programs disagree on almost everything else, so only what all of them agree on is taken away:
//! comments on lines of their own, blanks around keys and values, and how the sections are ordered.
//! A section that comes again continues the first; a key that repeats keeps all its values in
//! order. `#` and `;` inside a value stay, since for most programs they belong to it. systemd's
//! units are a format of their own.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};

use super::build::Builder;
use super::lines::{BLANKS, decode, meaningful, numbered, original, scalar};
use super::{Format, FormatError};

/// Sections of keys.
pub static FORMAT: Format = Format {
    name: "ini",
    version: 2,
    ordered: "the values of a repeated key keep their order; sections and keys have none",
    claims,
    read,
};

/// The configuration of CouchDB, whose section `admins` has a password for each name: elsewhere
/// such a section says who the admins are.
pub static COUCHDB: Format = Format {
    name: "couchdb",
    version: 1,
    ordered: "the values of a repeated key keep their order; sections and keys have none",
    claims: |path, _| path.contains("/couchdb/") && original(path).ends_with(".ini"),
    read: read_couchdb,
};

const MARKS: &[char] = &['#', ';'];

/// Endings of files that may hold sections; whether they do, their first line tells.
const ENDINGS: &[&str] = &[
    ".cfg",
    ".cnf",
    ".conf",
    ".config",
    ".desktop",
    ".ini",
    ".nmconnection",
    ".pc",
    ".rc",
    ".theme",
];

fn claims(path: &str, head: &[u8]) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = ENDINGS.iter().any(|ending| name.ends_with(ending)) || !name.contains('.');
    let text = decode(head);
    ending && (begins_with_section(&text) || (name.ends_with(".ini") && begins_with_key(&text)))
}

/// Whether keys without a section come first, as in a file that has none.
fn begins_with_key(head: &str) -> bool {
    meaningful(head, MARKS).next().is_some_and(|(_, line)| {
        let name = line.split_once('=').map(|(name, _)| name.trim_matches(BLANKS));
        let part = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        name.is_some_and(|name| !name.is_empty() && name.chars().all(part))
    })
}

fn begins_with_section(head: &str) -> bool {
    meaningful(head, MARKS).next().is_some_and(|(_, line)| section(line).is_some())
}

/// The name in `[name]`; a list or a table in other syntaxes holds quotes, commas or more brackets.
fn section(line: &str) -> Option<&str> {
    let name = line.strip_prefix('[')?.split_once(']')?;
    let rest = name.1.trim_start_matches(BLANKS);
    let alone = rest.is_empty() || rest.starts_with(MARKS);
    (alone && !name.0.contains(['[', ','])).then(|| name.0.trim_matches(BLANKS))
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut items = Builder::default();
    let mut within = "";
    let mut last: Option<ItemKey> = None;
    for (number, line) in numbered(&text) {
        let trimmed = line.trim_matches(BLANKS);
        if trimmed.is_empty() || trimmed.starts_with(MARKS) {
            continue;
        }
        if let (Some(key), true) = (&last, line.starts_with(BLANKS) && !trimmed.contains('=')) {
            // Python's configparser continues a value on indented lines.
            items.add(key.clone(), ItemValue::text(trimmed))?;
            continue;
        }
        if let Some(name) = section(trimmed) {
            within = name;
            last = None;
            continue;
        }
        if trimmed.starts_with('[') {
            return Err(FormatError::malformed(number, "a section needs `]`"));
        }
        let (key, value) = match trimmed.split_once('=') {
            Some((key, value)) => {
                // Asterisk writes `key => value` for what others write `key = value`.
                let value = value.strip_prefix('>').unwrap_or(value);
                (key.trim_end_matches(BLANKS), scalar(unquoted(value)))
            }
            None => (trimmed, ItemValue::Nothing),
        };
        let key = ItemKey::of([within, key]);
        items.add(key.clone(), value)?;
        last = Some(key);
    }
    Ok(items.finish())
}

fn read_couchdb(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let hidden = |(key, item): (ItemKey, RawItem)| {
        let is_admin = key.segments().next().is_some_and(|section| section == "admins");
        let item = if is_admin { RawItem::secret(item.value) } else { item };
        (key, item)
    };
    Ok(read(bytes)?.into_iter().map(hidden).collect())
}

fn unquoted(value: &str) -> &str {
    let value = value.trim_matches(BLANKS);
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.filter(|inner| !inner.contains(['"', '\\'])).unwrap_or(value)
}
