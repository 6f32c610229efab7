//! The lists that the script's modules read: destinations, permissions, TLS domains.

use std::collections::BTreeMap;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::RawItems;

use super::super::FormatError;
use super::super::build::Builder;
use super::super::lines::{
    BLANKS, continued, first_word, meaningful, numbered, scalar, without_comment, words,
};

/// `SET URI FLAGS PRIORITY name=value;…`: one destination a line, named by set and address. Flags
/// and priority that are not written are 0.
pub(super) fn read_dispatcher(text: &str) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    let mut times = BTreeMap::new();
    for (number, line) in meaningful(text, &['#']) {
        let line = without_comment(line, '#');
        let (set, rest) = first_word(line);
        let (uri, rest) = first_word(rest);
        if set.parse::<i64>().is_err() || uri.is_empty() {
            return Err(FormatError::malformed(number, "a destination needs a set and an address"));
        }
        let mut path = vec![set.to_owned(), unquoted(uri).to_owned()];
        let times = times.entry(path.clone()).and_modify(|times| *times += 1).or_insert(1u32);
        if *times > 1 {
            path.push(format!("#{times}"));
        }
        items.set(ItemKey::of(&path), ItemValue::Nothing)?;
        let (flags, rest) = first_word(rest);
        let (priority, attributes) = first_word(rest);
        for (name, field) in [("flags", flags), ("priority", priority)] {
            let value = if field.is_empty() { ItemValue::Integer(0) } else { scalar(field) };
            items.set(below(&path, name), value)?;
        }
        attributes_of(&mut items, &path, attributes)?;
    }
    Ok(items.finish())
}

fn attributes_of(
    items: &mut Builder,
    path: &[String],
    attributes: &str,
) -> Result<(), FormatError> {
    for attribute in unquoted(attributes).split(';').map(|text| text.trim_matches(BLANKS)) {
        if attribute.is_empty() {
            continue;
        }
        let (name, value) = match attribute.split_once('=') {
            Some((name, value)) => (name, scalar(value.trim_matches(BLANKS))),
            None => (attribute, ItemValue::Nothing),
        };
        let name = name.trim_matches(BLANKS);
        // The columns keep their names.
        let name =
            if name == "flags" || name == "priority" { format!("{name};") } else { name.into() };
        items.add(below(path, &name), value)?;
    }
    Ok(())
}

fn below(path: &[String], name: &str) -> ItemKey {
    ItemKey::of(path.iter().map(String::as_str).chain([name]))
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// `FROM [EXCEPT …] : TO [EXCEPT …]`, one rule a line, its own key.
pub(super) fn read_permissions(text: &str) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for (_, line) in continued(text, &['#']) {
        let rule = words(without_comment(&line, '#')).collect::<Vec<_>>().join(" ");
        if !rule.is_empty() {
            items.place(&[&rule], ItemValue::Nothing)?;
        }
    }
    Ok(items.finish())
}

/// `[server:ADDRESS]` and `[client:ADDRESS]` with `name = value`; `#` ends a line outside quotes.
pub(super) fn read_tls(text: &str) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    let mut domain = "";
    for (number, line) in numbered(text) {
        let line = without_comment(line.trim_matches(BLANKS), '#').trim_matches(BLANKS);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let (name, _) = header
                .split_once(']')
                .ok_or_else(|| FormatError::malformed(number, "a domain needs `]`"))?;
            domain = name.trim_matches(BLANKS);
            items.set(ItemKey::of([domain]), ItemValue::Nothing)?;
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let value = unquoted(value.trim_matches(BLANKS));
        items.set(ItemKey::of([domain, name.trim_matches(BLANKS)]), scalar(value))?;
    }
    Ok(items.finish())
}
