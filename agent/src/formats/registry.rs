//! What the registry editor of Windows exports; see the page ".reg file" of its documentation.
//!
//! A value is an item under its key and name (`(default)` for `@`), numbers as numbers, bytes in
//! hexadecimal as text without layout, strings without escapes. A key or value that the file takes
//! away (`[-KEY]`, `"name"=-`) says `(removed)`. Names of keys are compared without case by
//! Windows and kept as written here. Nothing is ordered: the last setting of a name counts.

use std::borrow::Cow;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::RawItems;

use super::build::Builder;
use super::lines::{continued, decode};
use super::{Format, FormatError};

/// An export of the registry.
pub static FORMAT: Format = Format {
    name: "registry",
    version: 1,
    ordered: "nothing: the last setting of a name counts",
    claims: |path, _| path.ends_with(".reg"),
    read,
};

/// The first line, of today and of Windows 98.
const HEADINGS: [&str; 2] = ["Windows Registry Editor Version 5.00", "REGEDIT4"];

const REMOVED: &str = "(removed)";

/// Whether the file begins as the editor writes it: UTF-16 with its mark. Anything else of so many
/// zeros is no text.
pub(super) fn is_wide(head: &[u8]) -> bool {
    head.starts_with(b"\xff\xfeW\0i\0n\0d\0o\0w\0s\0")
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = text(bytes);
    let mut items = Builder::default();
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
            match name.strip_prefix('-') {
                Some(gone) => items.set(path(gone, REMOVED), ItemValue::Nothing)?,
                None => items.set(path(name, ""), ItemValue::Nothing)?,
            }
            key = (!name.starts_with('-')).then(|| name.to_owned());
            continue;
        }
        let key = key.as_deref().ok_or_else(|| malformed("a value outside a key"))?;
        let (name, value) = pair(line).ok_or_else(|| malformed("a value is `\"name\"=value`"))?;
        let value = data(value).ok_or_else(|| malformed("a value of no known kind"))?;
        items.set(path(key, &name), value)?;
    }
    Ok(items.finish())
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    if !is_wide(bytes) {
        return decode(bytes);
    }
    let units = bytes.chunks_exact(2).skip(1).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn path(key: &str, name: &str) -> ItemKey {
    let segments = key.split('\\').chain(Some(name).filter(|name| !name.is_empty()));
    ItemKey::of(segments)
}

/// The name and the data of `"name"=data` or `@=data`.
fn pair(line: &str) -> Option<(String, &str)> {
    if let Some(data) = line.strip_prefix("@=") {
        return Some(("(default)".to_owned(), data));
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

fn data(text: &str) -> Option<ItemValue> {
    let text = text.trim();
    if text == "-" {
        return Some(ItemValue::text(REMOVED));
    }
    if text.starts_with('"') {
        let (text, rest) = quoted(text)?;
        return rest.is_empty().then_some(ItemValue::Text(text));
    }
    if let Some(digits) = text.strip_prefix("dword:") {
        return u32::from_str_radix(digits, 16).ok().map(|n| ItemValue::Integer(i64::from(n)));
    }
    let rest = text.strip_prefix("hex")?;
    let compact: String = rest.chars().filter(|c| !c.is_whitespace()).collect();
    let is_bytes = |c: char| c.is_ascii_hexdigit() || "(),:".contains(c);
    (compact.contains(':') && compact.chars().all(is_bytes))
        .then(|| ItemValue::text(format!("hex{compact}").to_ascii_lowercase()))
}
