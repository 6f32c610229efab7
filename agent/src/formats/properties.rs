//! Java's properties; see `java.util.Properties.load`.
//!
//! A key ends at the first `=`, `:` or blank that no backslash stands before; a line that ends in a
//! backslash goes on in the next; `#` and `!` begin a comment at the start of a line only. Escapes
//! are what Java takes them for. The last value of a key counts.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::RawItems;

use super::build::Builder;
use super::lines::{BLANKS, continued, decode, scalar};
use super::{Format, FormatError};

/// Java's properties.
pub static FORMAT: Format = Format {
    name: "properties",
    version: 1,
    ordered: "nothing: the last value of a key counts",
    claims: |path, _| path.ends_with(".properties"),
    read,
};

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for (number, line) in continued(&decode(bytes), &['#', '!']) {
        let line = line.trim_start_matches(BLANKS);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let (key, value) = line.split_at(end_of_key(line));
        let value = value.trim_start_matches(BLANKS);
        let value = value.strip_prefix(['=', ':']).unwrap_or(value).trim_start_matches(BLANKS);
        let wrong = || FormatError::malformed(number, "an escape is cut short");
        let (key, value) = (plain(key).ok_or_else(wrong)?, plain(value).ok_or_else(wrong)?);
        let value = if value.is_empty() { ItemValue::Nothing } else { scalar(&value) };
        items.set(ItemKey::of([key]), value)?;
    }
    Ok(items.finish())
}

/// Where the key of a line ends, in bytes.
fn end_of_key(line: &str) -> usize {
    let mut escaped = false;
    for (at, character) in line.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '=' | ':' => return at,
            blank if BLANKS.contains(&blank) => return at,
            _ => {}
        }
    }
    line.len()
}

/// The text without its escapes; `None` where a `\u` has less than four digits.
fn plain(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            None => {}
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\x0c'),
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                let number = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4)?;
                // Half of a surrogate pair is no character of its own.
                plain.push(char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => plain.push(other),
        }
    }
    Some(plain)
}
