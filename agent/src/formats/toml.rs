//! TOML, as one item a scalar, keyed by the names on the way to it; see
//! <https://toml.io/en/v1.0.0>.
//!
//! How names and lists become keys, `tree` says; an element of an array of tables is named by its
//! `id` or `name`. Dates and times are kept as they are written. A repeated key is malformed, as
//! TOML has it.

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use serde::de::DeserializeSeed;

use super::json::Bound;
use super::lines::decode;
use super::tree::{self, NAMES, Value};
use super::{Format, FormatError};

/// TOML.
pub static FORMAT: Format = Format {
    name: "toml",
    version: 1,
    ordered: "arrays keep their order; keys of tables have none",
    claims: |path, _| path.ends_with(".toml"),
    read,
};

/// The key under which the reader hands over a date or time.
const MOMENT: &str = "$__toml_private_datetime";

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    // Line ends mean nothing, also within a text of several lines.
    let text = decode(bytes).replace("\r\n", "\n");
    let mut left = limits::ITEMS_PER_PART;
    let mut too_large = false;
    let reader = match toml::Deserializer::parse(&text) {
        Ok(reader) => reader,
        Err(error) => return Err(malformed(&text, &error)),
    };
    match Bound::new(&mut left, &mut too_large).deserialize(reader) {
        Ok(value) => tree::items(with_moments(value), NAMES),
        Err(_) if too_large => Err(FormatError::TooLarge),
        Err(error) => Err(malformed(&text, &error)),
    }
}

/// Where it is no TOML; what the reader says may quote the file.
fn malformed(text: &str, error: &toml::de::Error) -> FormatError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let lines = before.bytes().filter(|byte| *byte == b'\n').count();
    FormatError::malformed(u32::try_from(lines).map_or(u32::MAX, |n| n + 1), "this is no TOML")
}

/// The same with every date and time as the text it is.
fn with_moments(value: Value) -> Value {
    match value {
        Value::Scalar(_) => value,
        Value::Array(elements) => Value::Array(elements.into_iter().map(with_moments).collect()),
        Value::Object(mut members) => match members.remove(MOMENT) {
            Some(Value::Scalar(ItemValue::Text(moment))) if members.is_empty() => {
                Value::Scalar(ItemValue::Text(moment))
            }
            Some(other) => {
                members.insert(MOMENT.to_owned(), other);
                Value::Object(below(members))
            }
            None => Value::Object(below(members)),
        },
    }
}

fn below(
    members: std::collections::BTreeMap<String, Value>,
) -> std::collections::BTreeMap<String, Value> {
    members.into_iter().map(|(name, value)| (name, with_moments(value))).collect()
}
