//! JSON, as one item a scalar, keyed by the names on the way to it.
//!
//! The members of an object have no order. An array of scalars is one ordered list. An array of
//! anything else has a key per element: its `id` or `name` where every element has its own, so that
//! an element inserted in front moves nothing, else its place counted from 0; the order of such an
//! array shows as the list `(order)` beside its elements. An object or array without members is an
//! item of its own.
//!
//! A repeated member is malformed: readers disagree on which one counts (RFC 8259, section 4).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::build::Builder;
use super::lines::decode;
use super::{Format, FormatError};

/// JSON; see RFC 8259.
pub static FORMAT: Format = Format {
    name: "json",
    version: 1,
    ordered: "arrays keep their order; members of objects have none",
    claims: |path, _| path.ends_with(".json"),
    read,
};

/// The list that keeps the order of an array whose elements have keys.
const ORDER: &str = "(order)";

enum Value {
    Scalar(ItemValue),
    Array(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut left = limits::ITEMS_PER_PART;
    let mut too_large = false;
    let mut reader = serde_json::Deserializer::from_str(&text);
    let bound = Bound { left: &mut left, too_large: &mut too_large, depth: 0 };
    let parsed = bound.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    let value = match parsed {
        Ok(value) => value,
        Err(_) if too_large => return Err(FormatError::TooLarge),
        Err(error) => {
            let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
            return Err(FormatError::malformed(line, what(&error)));
        }
    };
    let mut items = Builder::default();
    put(&mut items, &mut Vec::new(), value)?;
    Ok(items.finish())
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

fn put(items: &mut Builder, path: &mut Vec<String>, value: Value) -> Result<(), FormatError> {
    match value {
        Value::Scalar(scalar) => items.set(ItemKey::of(&*path), scalar),
        Value::Object(members) if members.is_empty() => {
            items.set(ItemKey::of(&*path), ItemValue::Set(BTreeSet::new()))
        }
        Value::Object(members) => {
            members.into_iter().try_for_each(|(name, value)| put_below(items, path, (name, value)))
        }
        Value::Array(elements) => put_array(items, path, elements),
    }
}

fn put_below(
    items: &mut Builder,
    path: &mut Vec<String>,
    (name, value): (String, Value),
) -> Result<(), FormatError> {
    path.push(name);
    let put = put(items, path, value);
    path.pop();
    put
}

fn put_array(
    items: &mut Builder,
    path: &mut Vec<String>,
    elements: Vec<Value>,
) -> Result<(), FormatError> {
    if elements.iter().all(|element| matches!(element, Value::Scalar(_))) {
        let scalar = |element| match element {
            Value::Scalar(scalar) => Some(scalar),
            Value::Array(_) | Value::Object(_) => None,
        };
        let values = elements.into_iter().filter_map(scalar).collect();
        return items.set(ItemKey::of(&*path), ItemValue::List(values));
    }
    let Some(names) = natural_names(&elements) else {
        let numbered = (0u32..).map(|place| place.to_string()).zip(elements);
        return numbered.into_iter().try_for_each(|element| put_below(items, path, element));
    };
    let order = names.iter().map(ItemValue::text).collect();
    put_below(items, path, (ORDER.to_owned(), Value::Scalar(ItemValue::List(order))))?;
    names.into_iter().zip(elements).try_for_each(|element| put_below(items, path, element))
}

/// The `id`, else the `name`, of every element, where each has its own.
fn natural_names(elements: &[Value]) -> Option<Vec<String>> {
    ["id", "name"].iter().find_map(|member| {
        let names: Vec<String> =
            elements.iter().map(|element| name_of(element, member)).collect::<Option<_>>()?;
        let distinct: BTreeSet<&String> = names.iter().collect();
        (distinct.len() == names.len() && !distinct.contains(&ORDER.to_owned())).then_some(names)
    })
}

fn name_of(element: &Value, member: &str) -> Option<String> {
    let Value::Object(members) = element else { return None };
    match members.get(member)? {
        Value::Scalar(ItemValue::Text(text)) => Some(text.clone()),
        Value::Scalar(ItemValue::Integer(number)) => Some(number.to_string()),
        Value::Scalar(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Reads one value, counting what it makes against the bounds.
struct Bound<'a> {
    left: &'a mut usize,
    too_large: &'a mut bool,
    depth: usize,
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
