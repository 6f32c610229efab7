//! JSON, as one item a scalar, keyed by the names on the way to it.
//!
//! How names and lists become keys, `tree` says; an element of an array is named by its `id` or
//! `name`.
//!
//! A repeated member is malformed: readers disagree on which one counts (RFC 8259, section 4).

use std::collections::BTreeMap;
use std::fmt;

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::lines::decode;
use super::tree::{self, NAMES, Value};
use super::{Format, FormatError};

/// JSON; see RFC 8259.
pub static FORMAT: Format = Format {
    name: "json",
    version: 1,
    ordered: "arrays keep their order; members of objects have none",
    claims: |path, _| path.ends_with(".json"),
    read,
};

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut left = limits::ITEMS_PER_PART;
    let mut too_large = false;
    let mut reader = serde_json::Deserializer::from_str(&text);
    let bound = Bound::new(&mut left, &mut too_large);
    let parsed = bound.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    let value = match parsed {
        Ok(value) => value,
        Err(_) if too_large => return Err(FormatError::TooLarge),
        Err(error) => {
            let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
            return Err(FormatError::malformed(line, what(&error)));
        }
    };
    tree::items(value, NAMES)
}

/// What is wrong, without the words of the file that an error of the reader may quote.
fn what(error: &serde_json::Error) -> &'static str {
    if error.is_eof() {
        "the text ends too early"
    } else if error.is_data() {
        "a member of an object repeats"
    } else {
        "this is no JSON"
    }
}

/// Reads one value, counting what it makes against the bounds.
pub(super) struct Bound<'a> {
    left: &'a mut usize,
    too_large: &'a mut bool,
    depth: usize,
}

impl<'a> Bound<'a> {
    /// A reader that makes at most `left` values; whether it stopped at a bound is left in
    /// `too_large`.
    pub(super) fn new(left: &'a mut usize, too_large: &'a mut bool) -> Self {
        Self { left, too_large, depth: 0 }
    }
}

impl Bound<'_> {
    fn inner(&mut self) -> Bound<'_> {
        Bound { left: self.left, too_large: self.too_large, depth: self.depth + 1 }
    }

    fn enter<E: Error>(&mut self) -> Result<(), E> {
        if self.depth > limits::NESTING {
            *self.too_large = true;
            return Err(E::custom("too deep"));
        }
        Ok(())
    }

    fn count<E: Error>(&mut self) -> Result<(), E> {
        let Some(left) = self.left.checked_sub(1) else {
            *self.too_large = true;
            return Err(E::custom("too many values"));
        };
        *self.left = left;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Bound<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bound<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Scalar(ItemValue::Nothing))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Scalar(ItemValue::Flag(flag)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Scalar(ItemValue::Integer(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        let text = || ItemValue::text(number.to_string());
        Ok(Value::Scalar(i64::try_from(number).map_or_else(|_| text(), ItemValue::Integer)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Scalar(ItemValue::text(number.to_string())))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Scalar(ItemValue::text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element_seed(self.inner())? {
            self.count()?;
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut members = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            self.count()?;
            let value = map.next_value_seed(self.inner())?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("repeated member"));
            }
        }
        Ok(Value::Object(members))
    }
}
