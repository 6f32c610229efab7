//! Property lists of Apple's systems in XML; see plist(5).
//!
//! How dictionaries and arrays become keys, `tree` says. Dates and bytes are kept as text without
//! layout. A list in Apple's binary form is no text, and no format claims it.

use std::collections::BTreeMap;

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use roxmltree::Node;

use super::lines::{decode, scalar};
use super::tree::{self, Value};
use super::{Format, FormatError, xml};

/// A property list.
pub static FORMAT: Format = Format {
    name: "plist",
    version: 1,
    ordered: "arrays keep their order; dictionaries have none",
    claims: |path, head| {
        let head = decode(head);
        head.contains("<plist") || (path.ends_with(".plist") && head.trim_start().starts_with('<'))
    },
    read,
};

/// What names an element of an array.
const NAMES: tree::Names = &[&["PayloadIdentifier"], &["Label"], &["name"]];

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let document = xml::parse(&text)?;
    let root = document.root_element();
    if root.tag_name().name() != "plist" {
        return Err(wrong(root, "the root is no `plist`"));
    }
    let mut values = root.children().filter(Node::is_element);
    match (values.next(), values.next()) {
        (Some(only), None) => tree::items(value(only, 0)?, NAMES),
        _ => Err(wrong(root, "a list has one value")),
    }
}

fn value(node: Node<'_, '_>, depth: usize) -> Result<Value, FormatError> {
    if depth > limits::NESTING {
        return Err(FormatError::TooLarge);
    }
    let text = || node.text().unwrap_or_default();
    let dense = || text().split_whitespace().collect::<String>();
    Ok(match node.tag_name().name() {
        "dict" => return dictionary(node, depth),
        "array" => {
            let elements = node.children().filter(Node::is_element);
            let values: Result<_, _> = elements.map(|each| value(each, depth + 1)).collect();
            Value::Array(values?)
        }
        "string" => Value::Scalar(ItemValue::text(text())),
        "integer" => Value::Scalar(scalar(text().trim())),
        "real" | "date" => Value::Scalar(ItemValue::text(text().trim())),
        "data" => Value::Scalar(ItemValue::Text(dense())),
        "true" => Value::Scalar(ItemValue::Flag(true)),
        "false" => Value::Scalar(ItemValue::Flag(false)),
        _ => return Err(wrong(node, "an element that no list has")),
    })
}

fn dictionary(node: Node<'_, '_>, depth: usize) -> Result<Value, FormatError> {
    let mut members = BTreeMap::new();
    let mut key: Option<String> = None;
    for element in node.children().filter(Node::is_element) {
        match (element.tag_name().name(), key.take()) {
            ("key", None) => key = Some(element.text().unwrap_or_default().to_owned()),
            (_, None) => return Err(wrong(element, "a value without a key")),
            ("key", Some(_)) => return Err(wrong(element, "a key without a value")),
            (_, Some(name)) => {
                if members.insert(name, value(element, depth + 1)?).is_some() {
                    return Err(wrong(element, "a key repeats"));
                }
            }
        }
    }
    if key.is_some() {
        return Err(wrong(node, "a key without a value"));
    }
    Ok(Value::Object(members))
}

fn wrong(node: Node<'_, '_>, what: &'static str) -> FormatError {
    let position = node.document().text_pos_at(node.range().start);
    FormatError::malformed(position.row, what)
}
