//! The keys that may log in to an account: authorized_keys as sshd(8) describes it.
//!
//! A key is named by its SHA-256 fingerprint as `ssh-keygen -l` prints it, which is the name
//! administrators know; a public key is no secret. Options stay readable, since they are policy; an
//! environment variable among them is an item of its own, so that the redactor sees its name.
//!
//! sshd passes over a line that it cannot use and goes on with the next, and so do we: such lines
//! are one set under [`UNUSABLE`], each a fingerprint, for nobody knows what was pasted there.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::RawItem;

use crate::formats::FormatError;
use crate::formats::build::Builder;
use crate::formats::lines::decode;

/// What separates words of a line, to sshd.
const BLANKS: [char; 2] = [' ', '\t'];

/// Names the lines that are no key.
const UNUSABLE: &str = "unusable lines";

/// One key with what stands beside it.
struct Key<'a> {
    options: &'a str,
    kind: &'a str,
    fingerprint: String,
    comment: &'a str,
}

/// Adds items `FINGERPRINT/type`, `comment` and `option/NAME`; under the file's name where it is
/// not the usual file. Nothing is kept beyond what a part may hold: whose home it is may write
/// what he likes.
///
/// # Errors
/// [`FormatError::TooLarge`] as soon as the part would have too many items or values.
pub(super) fn authorized_keys(
    file: &str,
    bytes: &[u8],
    items: &mut Builder,
) -> Result<(), FormatError> {
    let place = if file == "authorized_keys" { None } else { Some(file) };
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    let mut unusable = BTreeSet::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = text(line);
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(key) = key(line).filter(|key| are_quoted(key.options)) else {
            unusable.insert(ItemValue::text(line));
            within(unusable.len())?;
            continue;
        };
        let time = times.entry(key.fingerprint.clone()).and_modify(|time| *time += 1).or_insert(1);
        let name = match *time {
            1 => key.fingerprint.clone(),
            time => format!("{} #{time}", key.fingerprint),
        };
        let place: Vec<&str> = place.into_iter().chain([name.as_str()]).collect();
        let mut add = |path: &[&str], value| items.set(ItemKey::of([&place, path].concat()), value);
        add(&["type"], ItemValue::text(key.kind))?;
        add(&["comment"], ItemValue::text(key.comment))?;
        options(key.options, add)?;
    }
    if unusable.is_empty() {
        return Ok(());
    }
    let key = ItemKey::of(place.into_iter().chain([UNUSABLE]));
    items.insert(key, RawItem::secret(ItemValue::Set(unusable)))
}

/// A line as text. A byte-order mark is part of it, as it is to sshd.
fn text(line: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(line).map_or_else(|_| decode(line), Cow::Borrowed)
}

fn within(values: usize) -> Result<(), FormatError> {
    if values > limits::VALUES_PER_ITEM { Err(FormatError::TooLarge) } else { Ok(()) }
}

/// The key of a line: at its beginning, or after its options.
fn key(line: &str) -> Option<Key<'_>> {
    if let Some(key) = bare_key("", line) {
        return Some(key);
    }
    let end = outside_quotes(line, |c| BLANKS.contains(&c))?;
    let (options, rest) = line.split_at(end);
    bare_key(options, rest.trim_start_matches(BLANKS))
}

fn bare_key<'a>(options: &'a str, text: &'a str) -> Option<Key<'a>> {
    let (kind, rest) = text.split_once(BLANKS)?;
    let rest = rest.trim_start_matches(BLANKS);
    let (encoded, comment) = rest.split_once(BLANKS).unwrap_or((rest, ""));
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

/// The options in `text`, by what stands before and behind the first `=` of each.
fn each_option(mut text: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let end = outside_quotes(text, |c| c == ',').unwrap_or(text.len());
        let (option, rest) = text.split_at(end);
        text = rest.strip_prefix(',').unwrap_or(rest);
        Some(option.split_once('=').unwrap_or((option, "")))
    })
}

/// Whether each value that begins with a quote ends with one.
fn are_quoted(options: &str) -> bool {
    each_option(options).all(|(_, value)| match value.strip_prefix('"') {
        Some(quoted) => quoted.ends_with('"'),
        None => true,
    })
}

/// Gives each option to `add`; those that may repeat as a set.
fn options(
    text: &str,
    mut add: impl FnMut(&[&str], ItemValue) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let mut repeated: BTreeMap<String, BTreeSet<ItemValue>> = BTreeMap::new();
    for (name, value) in each_option(text) {
        let name = name.to_ascii_lowercase();
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = quoted.map_or(Cow::Borrowed(value), |value| value.replace("\\\"", "\"").into());
        match name.as_str() {
            "" => {}
            "environment" => {
                let (variable, value) = value.split_once('=').unwrap_or((&value, ""));
                add(&["option", "environment", variable], ItemValue::text(value))?;
            }
            "from" | "permitlisten" | "permitopen" | "principals" => {
                let values = repeated.entry(name).or_default();
                for value in value.split(',') {
                    values.insert(ItemValue::text(value));
                    within(values.len())?;
                }
            }
            _ if value.is_empty() => add(&["option", &name], ItemValue::Nothing)?,
            _ => add(&["option", &name], ItemValue::text(value))?,
        }
    }
    repeated
        .into_iter()
        .try_for_each(|(name, values)| add(&["option", &name], ItemValue::Set(values)))
}

/// Where the first character outside double quotes that `ends` accepts stands. Of all characters
/// only a quote is escaped, in quotes and outside (`sshkey_advance_past_options` of OpenSSH).
fn outside_quotes(text: &str, ends: fn(char) -> bool) -> Option<usize> {
    let mut quoted = false;
    let mut before = '\0';
    for (at, c) in text.char_indices() {
        match c {
            '"' if before == '\\' => {}
            '"' => quoted = !quoted,
            c if !quoted && ends(c) => return Some(at),
            _ => {}
        }
        before = c;
    }
    None
}
