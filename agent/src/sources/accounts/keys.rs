//! The keys that may log in to an account: authorized_keys as sshd(8) describes it.
//!
//! A key is named by its SHA-256 fingerprint as `ssh-keygen -l` prints it, which is the name
//! administrators know; a public key is no secret. Options stay readable, since they are policy; an
//! environment variable among them is an item of its own, so that the redactor sees its name.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};

use crate::formats::Malformed;

/// One key with what stands beside it.
struct Key<'a> {
    options: &'a str,
    kind: &'a str,
    fingerprint: String,
    comment: &'a str,
}

/// Items `FINGERPRINT/type`, `comment` and `option/NAME`; under the file's name where it is not the
/// usual file.
pub(super) fn authorized_keys(file: &str, bytes: &[u8]) -> Result<RawItems, Malformed> {
    let mut items = RawItems::new();
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1u32..) {
        let malformed = |what| Malformed { line: number, what };
        let line = std::str::from_utf8(line).map_err(|_| malformed("not UTF-8"))?.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = key(line).ok_or_else(|| malformed("not a key"))?;
        let time = times.entry(key.fingerprint.clone()).and_modify(|time| *time += 1).or_insert(1);
        let name = match *time {
            1 => key.fingerprint.clone(),
            time => format!("{} #{time}", key.fingerprint),
        };
        let mut place: Vec<&str> = vec![&name];
        if file != "authorized_keys" {
            place.insert(0, file);
        }
        let mut add = |path: &[&str], value| {
            items.insert(ItemKey::of([&place, path].concat()), RawItem::plain(value));
        };
        add(&["type"], ItemValue::text(key.kind));
        add(&["comment"], ItemValue::text(key.comment));
        options(key.options, add).ok_or_else(|| malformed("an open quote"))?;
    }
    Ok(items)
}

/// The key of a line: at its beginning, or after its options.
fn key(line: &str) -> Option<Key<'_>> {
    if let Some(key) = bare_key("", line) {
        return Some(key);
    }
    let end = outside_quotes(line, |c| matches!(c, ' ' | '\t'))?;
    let (options, rest) = line.split_at(end);
    bare_key(options, rest.trim_start())
}

fn bare_key<'a>(options: &'a str, text: &'a str) -> Option<Key<'a>> {
    let (kind, rest) = text.split_once([' ', '\t'])?;
    let rest = rest.trim_start();
    let (encoded, comment) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let unpadded = encoded.trim_end_matches('=');
    let blob = STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(unpadded)).ok()?;
    // The blob repeats its type: four bytes of length, then the name (RFC 4253, 6.6).
    let (length, name) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    if name.get(..length)? != kind.as_bytes() {
        return None;
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, &blob);
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(digest));
    Some(Key { options, kind, fingerprint, comment: comment.trim() })
}

/// Gives each option to `add`; those that may repeat as a set. `None` for an open quote.
fn options(mut text: &str, mut add: impl FnMut(&[&str], ItemValue)) -> Option<()> {
    let mut repeated: BTreeMap<String, BTreeSet<ItemValue>> = BTreeMap::new();
    while !text.is_empty() {
        let end = outside_quotes(text, |c| c == ',').unwrap_or(text.len());
        let (option, rest) = text.split_at(end);
        text = rest.strip_prefix(',').unwrap_or(rest);
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let name = name.to_ascii_lowercase();
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"')?.replace("\\\"", "\""),
            None => value.to_owned(),
        };
        match name.as_str() {
            "" => {}
            "environment" => {
                let (variable, value) = value.split_once('=').unwrap_or((&value, ""));
                add(&["option", "environment", variable], ItemValue::text(value));
            }
            "from" | "permitlisten" | "permitopen" | "principals" => {
                let values = value.split(',').map(ItemValue::text);
                repeated.entry(name).or_default().extend(values);
            }
            _ if value.is_empty() => add(&["option", &name], ItemValue::Nothing),
            _ => add(&["option", &name], ItemValue::Text(value)),
        }
    }
    for (name, values) in repeated {
        add(&["option", &name], ItemValue::Set(values));
    }
    Some(())
}

/// Where the first character outside double quotes that `ends` accepts stands.
fn outside_quotes(text: &str, ends: fn(char) -> bool) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted && ends(c) => return Some(at),
            _ => {}
        }
    }
    None
}
