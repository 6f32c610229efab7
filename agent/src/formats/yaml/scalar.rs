//! What a scalar of YAML is.

use driftline_protocol::item::ItemValue;
use saphyr_parser::{ScalarStyle, Tag};

/// The value of a scalar, as YAML 1.2 and 1.1 agree on it.
pub(super) fn value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> ItemValue {
    match tag.and_then(own) {
        Some(tag) if text.is_empty() => ItemValue::text(tag),
        Some(tag) => ItemValue::text(format!("{tag} {text}")),
        // A quoted scalar, and one that says it, is a text whatever it looks like.
        None if style != ScalarStyle::Plain || tag.is_some_and(is_text) => ItemValue::text(text),
        None => plain(text),
    }
}

/// The tag as it is written, where it is none of YAML's own.
pub(super) fn own(tag: &Tag) -> Option<String> {
    let of_yaml = tag.handle == "tag:yaml.org,2002:" || tag.handle == "!!";
    let silent = tag.suffix.is_empty() && tag.handle.trim_matches('!').is_empty();
    (!of_yaml && !silent).then(|| format!("{}{}", tag.handle, tag.suffix))
}

fn is_text(tag: &Tag) -> bool {
    own(tag).is_none() && matches!(tag.suffix.as_str(), "str" | "binary" | "")
}

fn plain(text: &str) -> ItemValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => ItemValue::Nothing,
        "true" | "True" | "TRUE" => ItemValue::Flag(true),
        "false" | "False" | "FALSE" => ItemValue::Flag(false),
        _ => integer(text).map_or_else(|| ItemValue::text(text), ItemValue::Integer),
    }
}

/// A decimal number. With a zero in front it is octal to some readers, with `_` a number to some.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leads = digits.starts_with('0') && digits != "0" || text == "-0";
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (all && !leads).then(|| text.parse().ok())?
}
