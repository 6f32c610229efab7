//! The lists that the script's modules read: destinations, permissions, TLS domains.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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

/// A domain of `tls.cfg`: its header and its settings.
struct Written<'a> {
    header: &'a str,
    settings: Vec<(&'a str, &'a str)>,
}

impl<'a> Written<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.settings.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    /// What names it: several of one address are told apart by the name callers ask for.
    fn path(&self) -> Vec<&'a str> {
        let name = self.get("server_name").filter(|name| !name.is_empty());
        [self.header].into_iter().chain(name).filter(|part| !part.is_empty()).collect()
    }
}

/// `[server:ADDRESS]` and `[client:ADDRESS]` with `name = value`; `#` ends a line outside quotes.
fn written(text: &str) -> Result<Vec<Written<'_>>, FormatError> {
    let mut domains = vec![Written { header: "", settings: Vec::new() }];
    for (number, line) in numbered(text) {
        let line = without_comment(line.trim_matches(BLANKS), '#').trim_matches(BLANKS);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let (name, _) = header
                .rsplit_once(']')
                .ok_or_else(|| FormatError::malformed(number, "a domain needs `]`"))?;
            domains.push(Written { header: name.trim_matches(BLANKS), settings: Vec::new() });
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let setting = (name.trim_matches(BLANKS), unquoted(value.trim_matches(BLANKS)));
        if let Some(domain) = domains.last_mut() {
            domain.settings.push(setting);
        }
    }
    Ok(domains)
}

/// The domains of `tls.cfg` with their settings.
pub(super) fn read_tls(text: &str) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for domain in written(text)? {
        let path = domain.path();
        if !path.is_empty() {
            items.set(ItemKey::of(&path), ItemValue::Nothing)?;
        }
        for (name, value) in &domain.settings {
            items.set(ItemKey::of(path.iter().chain([name])), scalar(value))?;
        }
    }
    Ok(items.finish())
}

/// A domain that callers meet.
pub struct Domain {
    /// `ADDRESS:PORT`, `any` or `default`.
    pub place: String,
    /// The name that callers ask for, where it is for those only.
    pub name: Option<String>,
    /// The file of its certificate.
    pub certificate: Option<PathBuf>,
}

/// The domains of the `tls.cfg` in `folder` that callers meet.
///
/// # Errors
/// As reading it as a format.
pub(super) fn domains(text: &str, folder: &Path) -> Result<Vec<Domain>, FormatError> {
    let met = |domain: Written<'_>| {
        let place = domain.header.strip_prefix("server:")?.to_owned();
        let name = domain.get("server_name").filter(|name| !name.is_empty());
        let certificate = domain.get("certificate").map(|path| folder.join(path));
        Some(Domain { place, name: name.map(str::to_owned), certificate })
    };
    Ok(written(text)?.into_iter().filter_map(met).collect())
}
