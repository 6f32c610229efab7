//! What JSON, YAML and TOML share: names, lists and scalars inside each other, as items.
//!
//! A scalar is one item, keyed by the names on the way to it. The members of an object have no
//! order. An array of scalars is one ordered list. An array of anything else has a key per element:
//! its own name where every element has one, so that an element inserted in front moves nothing,
//! else its place counted from 0; the order of such an array shows as the list `(order)` beside its
//! elements. An object or array without members is an item of its own. Which members name an
//! element, the format says.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems, key_names};

use super::FormatError;
use super::build::Builder;

/// The list that keeps the order of an array whose elements have keys.
const ORDER: &str = "(order)";

/// What names an element of an array, first choice first: the values of these members together.
pub(super) type Names = &'static [&'static [&'static str]];

/// The usual names.
pub(super) const NAMES: Names = &[&["id"], &["name"]];

/// A document.
#[derive(Clone)]
pub(super) enum Value {
    Scalar(ItemValue),
    Array(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

/// The items of a document.
///
/// # Errors
/// [`FormatError::TooLarge`] when there are too many.
pub(super) fn items(value: Value, names: Names) -> Result<RawItems, FormatError> {
    let mut tree = Tree { items: Builder::default(), path: Vec::new(), names };
    tree.put(value)?;
    Ok(tree.items.finish())
}

struct Tree {
    items: Builder,
    path: Vec<String>,
    names: Names,
}

impl Tree {
    fn put(&mut self, value: Value) -> Result<(), FormatError> {
        match value {
            Value::Scalar(scalar) => self.set(scalar),
            Value::Object(members) if members.is_empty() => {
                self.set(ItemValue::Set(BTreeSet::new()))
            }
            Value::Object(members) => {
                let named = named_secret(&members);
                members.into_iter().try_for_each(|(name, value)| match (named.as_ref(), value) {
                    (Some(key), Value::Scalar(scalar)) if is_value(&name) => {
                        let secret = key_names::names_secret(key, &scalar);
                        let below = self.path.iter().chain([&name]);
                        let item = if secret { RawItem::secret } else { RawItem::plain };
                        self.items.insert(ItemKey::of(below), item(scalar))
                    }
                    (_, value) => self.put_below(name, value),
                })
            }
            Value::Array(elements) => self.put_array(elements),
        }
    }

    fn set(&mut self, value: ItemValue) -> Result<(), FormatError> {
        self.items.set(ItemKey::of(&*self.path), value)
    }

    fn put_below(&mut self, name: String, value: Value) -> Result<(), FormatError> {
        self.path.push(name);
        let put = self.put(value);
        self.path.pop();
        put
    }

    fn put_array(&mut self, elements: Vec<Value>) -> Result<(), FormatError> {
        if elements.iter().all(|element| matches!(element, Value::Scalar(_))) {
            let scalar = |element| match element {
                Value::Scalar(scalar) => Some(scalar),
                Value::Array(_) | Value::Object(_) => None,
            };
            return self.set(ItemValue::List(elements.into_iter().filter_map(scalar).collect()));
        }
        let Some(names) = self.natural_names(&elements) else {
            let mut numbered = (0u32..).map(|place| place.to_string()).zip(elements);
            return numbered.try_for_each(|(place, element)| self.put_below(place, element));
        };
        let order = names.iter().map(ItemValue::text).collect();
        self.put_below(ORDER.to_owned(), Value::Scalar(ItemValue::List(order)))?;
        let mut named = names.into_iter().zip(elements);
        named.try_for_each(|(name, element)| self.put_below(name, element))
    }

    /// The name of every element, by the first choice under which each has its own.
    fn natural_names(&self, elements: &[Value]) -> Option<Vec<String>> {
        self.names.iter().find_map(|members| {
            let names: Vec<String> =
                elements.iter().map(|element| name_of(element, members)).collect::<Option<_>>()?;
            let distinct: BTreeSet<&String> = names.iter().collect();
            (distinct.len() == names.len() && !distinct.contains(&ORDER.to_owned()))
                .then_some(names)
        })
    }
}

/// The name that an object's own member gives its value, where that is one of a secret:
/// `{"name": "DB_PASSWORD", "value": …}`.
fn named_secret(members: &BTreeMap<String, Value>) -> Option<ItemKey> {
    let named = members.iter().find(|(name, _)| is_one_of(name, &["name", "key"]));
    let Some((_, Value::Scalar(ItemValue::Text(name)))) = named else { return None };
    key_names::word_names_secret(name).then(|| ItemKey::of([name]))
}

fn is_value(name: &str) -> bool {
    is_one_of(name, &["value", "val"])
}

fn is_one_of(name: &str, words: &[&str]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// The members of `element` that name it, with blanks between; the first must be there.
fn name_of(element: &Value, members: &[&str]) -> Option<String> {
    let Value::Object(object) = element else { return None };
    let name = |member: &&str| match object.get(*member)? {
        Value::Scalar(ItemValue::Text(text)) => Some(text.clone()),
        Value::Scalar(ItemValue::Integer(number)) => Some(number.to_string()),
        Value::Scalar(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let (first, others) = members.split_first()?;
    let names = std::iter::once(name(first)?).chain(others.iter().filter_map(name));
    Some(names.collect::<Vec<_>>().join(" "))
}
