//! What the registry editor of Windows exports; see the page ".reg file" of its documentation.
//!
//! A value is an item under its key and name (`(default)` for `@`), numbers as numbers, bytes in
//! hexadecimal as text without layout, strings without escapes. A key or value that the file takes
//! away (`[-KEY]`, `"name"=-`) says `(removed)`. Names of keys are compared without case by
//! Windows and kept as written here. Nothing is ordered: the last setting of a name counts.

use std::borrow::Cow;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};

use super::build::Builder;
use super::lines::{continued, decode};
use super::{Format, FormatError};
use crate::registry::{Budget, Key, Reach, Value, wide};

/// An export of the registry.
pub static FORMAT: Format = Format {
    name: "registry",
    version: 2,
    ordered: "nothing: the last setting of a name counts",
    claims: |path, _| path.ends_with(".reg"),
    read,
};

/// The first line, of today and of Windows 98.
const HEADINGS: [&str; 2] = ["Windows Registry Editor Version 5.00", "REGEDIT4"];

const REMOVED: &str = "(removed)";

/// The name of the value that has none.
const DEFAULT: &str = "(default)";

const KIND: &str = "a value of no known kind";

/// Whether the file begins as the editor writes it: UTF-16 with its mark. Anything else of so many
/// zeros is no text.
pub(super) fn is_wide(head: &[u8]) -> bool {
    head.starts_with(b"\xff\xfeW\0i\0n\0d\0o\0w\0s\0")
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    lines(bytes, |number, line| match line {
        Line::Key(name) => items.set(path(name, ""), ItemValue::Nothing),
        Line::Gone(name) => items.set(path(name, REMOVED), ItemValue::Nothing),
        Line::Value { key, name, data: written } => {
            let value = data(written);
            let value = value.ok_or_else(|| FormatError::malformed(number, KIND))?;
            items.insert(path(key, &name), value)
        }
    })?;
    Ok(items.finish())
}

/// The key at `path` as an export of it says, and below it as far as `reach` says.
pub(crate) fn key(bytes: &[u8], path: &str, reach: Reach) -> Result<Key, FormatError> {
    let (mut all, mut budget) = (Key::default(), Budget::default());
    lines(bytes, |number, line| match line {
        Line::Key(name) => {
            budget.key().map_err(|_| FormatError::TooLarge)?;
            at(&mut all, (path, reach), name);
            Ok(())
        }
        Line::Gone(_) => Ok(()),
        Line::Value { key, name, data } => {
            let value = kept(data).ok_or_else(|| FormatError::malformed(number, KIND))?;
            budget.value(name.len() + data.len()).map_err(|_| FormatError::TooLarge)?;
            let name = if name == DEFAULT { String::new() } else { name };
            if let Some(key) = at(&mut all, (path, reach), key) {
                key.values.insert(name, value);
            }
            Ok(())
        }
    })?;
    Ok(all)
}

/// The key `name` below `path`, made where it is not there; nothing where it is elsewhere or
/// deeper.
fn at<'a>(mut key: &'a mut Key, (path, reach): (&str, Reach), name: &str) -> Option<&'a mut Key> {
    let (above, below) = name.split_at_checked(path.len())?;
    if !above.eq_ignore_ascii_case(path) || !(below.is_empty() || below.starts_with('\\')) {
        return None;
    }
    for (taken, step) in below.split('\\').skip(1).enumerate() {
        if taken == reach.steps() {
            key.unread.extend(reach.beyond().map(|reason| (step.to_owned(), reason)));
            return None;
        }
        key = key.keys.entry(step.to_owned()).or_default();
    }
    Some(key)
}

/// The longest name of a key, in bytes: it stands in the key of each value below it.
const HEADING_BYTES: usize = 8 * 1_024;

/// What a line of an export says.
enum Line<'a> {
    /// The key that the values after it belong to.
    Key(&'a str),
    /// A key that is taken away.
    Gone(&'a str),
    Value {
        key: &'a str,
        name: String,
        data: &'a str,
    },
}

/// Hands each line that says something to `take`, with its number.
fn lines(
    bytes: &[u8],
    mut take: impl FnMut(u32, Line<'_>) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let text = text(bytes);
    let mut key: Option<String> = None;
    let mut headed = false;
    for (number, line) in continued(&text, &[';']) {
        let line = line.trim();
        let malformed = |what| FormatError::malformed(number, what);
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        if !headed {
            headed = HEADINGS.contains(&line);
            if !headed {
                return Err(malformed("the heading of an export is missing"));
            }
            continue;
        }
        if let Some(heading) = line.strip_prefix('[') {
            let name = heading.strip_suffix(']').ok_or_else(|| malformed("a key needs `]`"))?;
            if name.len() > HEADING_BYTES {
                return Err(FormatError::TooLarge);
            }
            match name.strip_prefix('-') {
                Some(gone) => take(number, Line::Gone(gone))?,
                None => take(number, Line::Key(name))?,
            }
            key = (!name.starts_with('-')).then(|| name.to_owned());
            continue;
        }
        let key = key.as_deref().ok_or_else(|| malformed("a value outside a key"))?;
        let (name, data) = pair(line).ok_or_else(|| malformed("a value is `\"name\"=value`"))?;
        take(number, Line::Value { key, name, data })?;
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    if !is_wide(bytes) {
        return decode(bytes);
    }
    // Behind the mark.
    Cow::Owned(wide(bytes.get(2..).unwrap_or_default()))
}

fn path(key: &str, name: &str) -> ItemKey {
    let segments = key.split('\\').chain(Some(name).filter(|name| !name.is_empty()));
    ItemKey::of(segments)
}

/// The name and the data of `"name"=data` or `@=data`.
fn pair(line: &str) -> Option<(String, &str)> {
    if let Some(data) = line.strip_prefix("@=") {
        return Some((DEFAULT.to_owned(), data));
    }
    let (name, rest) = quoted(line)?;
    let name = if name.is_empty() { "(empty)".to_owned() } else { name };
    Some((name, rest.trim_start().strip_prefix('=')?))
}

/// The text in quotes at the start of `text`, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut plain = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((plain, inner.get(at + 1..)?)),
            '\\' => plain.push(characters.next()?.1),
            other => plain.push(other),
        }
    }
    None
}

/// The data as an item. Bytes are secret, whatever kind the file says they are: no redactor sees
/// into digits.
fn data(text: &str) -> Option<RawItem> {
    let text = text.trim();
    if text == "-" {
        return Some(RawItem::plain(ItemValue::text(REMOVED)));
    }
    let Some(rest) = text.strip_prefix("hex") else { return Some(kept(text)?.item()) };
    let compact: String = rest.chars().filter(|c| !c.is_whitespace()).collect();
    let is_bytes = |c: char| c.is_ascii_hexdigit() || "(),:".contains(c);
    (compact.contains(':') && compact.chars().all(is_bytes))
        .then(|| RawItem::secret(ItemValue::text(format!("hex{compact}").to_ascii_lowercase())))
}

/// The data as the registry would keep it.
fn kept(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.starts_with('"') {
        let (text, rest) = quoted(text)?;
        return rest.is_empty().then_some(Value::Text(text));
    }
    if let Some(digits) = text.strip_prefix("dword:") {
        return u32::from_str_radix(digits, 16).ok().map(|number| Value::Number(number.into()));
    }
    let (kind, digits) = text.strip_prefix("hex")?.split_once(':')?;
    let kind = match kind.strip_prefix('(') {
        Some(kind) => u32::from_str_radix(kind.strip_suffix(')')?, 16).ok()?,
        None => 3,
    };
    let bytes = digits.split(',').map(str::trim).filter(|digits| !digits.is_empty());
    let bytes: Option<Vec<u8>> = bytes.map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    Some(Value::of(kind, &bytes?))
}
