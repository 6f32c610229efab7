//! What carries media: `rtpengine.conf` and coturn's `turnserver.conf`.
//!
//! Both know only comments on lines of their own, with `#`. rtpengine reads
//! sections of keys as GLib does, where `;` parts the values of one key and the last of a repeated
//! key counts; see <https://rtpengine.readthedocs.io>. coturn reads an option a line, with `=` or
//! blanks before its value, and adds up those that repeat; see turnserver(1). A user of coturn has
//! its password or key behind its name, a Redis server of rtpengine before its address; only the
//! place says so.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};

use super::build::Builder;
use super::lines::{BLANKS, decode, meaningful, original, scalar};
use super::{Format, FormatError};

/// rtpengine's configuration.
pub static RTPENGINE: Format = Format {
    name: "rtpengine",
    version: 1,
    ordered: "the values of a key keep their order; sections and keys have none",
    claims: |path, _| {
        let name = name(path);
        name.starts_with("rtpengine") && name.ends_with(".conf")
    },
    read: rtpengine,
};

/// coturn's configuration.
pub static COTURN: Format = Format {
    name: "coturn",
    version: 1,
    ordered: "`alternate-server` keeps its order; options and their other values have none",
    claims: |path, _| {
        let name = name(path);
        name.starts_with("turnserver") && name.ends_with(".conf")
    },
    read: coturn,
};

/// Options of coturn whose values are tried in their order.
const IN_ORDER: &[&str] = &["alternate-server", "tls-alternate-server"];

fn name(path: &str) -> &str {
    original(path).rsplit('/').next().unwrap_or_default()
}

fn rtpengine(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut items = Builder::default();
    let mut section = String::new();
    for (number, line) in meaningful(&text, &['#']) {
        if let Some(name) = line.strip_prefix('[') {
            let Some(name) = name.strip_suffix(']') else {
                return Err(FormatError::malformed(number, "a section needs `]`"));
            };
            section = name.to_owned();
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(FormatError::malformed(number, "a key needs `=`"));
        };
        let (key, mut value) = (key.trim_matches(BLANKS), value.trim_matches(BLANKS));
        if key.starts_with("redis")
            && let Some((password, server)) = value.rsplit_once('@')
        {
            let password = RawItem::secret(ItemValue::text(password));
            items.insert(ItemKey::of([section.as_str(), key, "password"]), password)?;
            value = server;
        }
        items.set(ItemKey::of([section.as_str(), key]), parted(value))?;
    }
    Ok(items.finish())
}

/// The values of a key; `;` behind the last is none.
fn parted(value: &str) -> ItemValue {
    let value = value.strip_suffix(';').unwrap_or(value);
    if !value.contains(';') {
        return scalar(value);
    }
    ItemValue::List(value.split(';').map(|value| scalar(value.trim_matches(BLANKS))).collect())
}

fn coturn(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut items = Builder::default();
    let mut gathered: BTreeMap<&str, BTreeSet<ItemValue>> = BTreeMap::new();
    for (_, line) in meaningful(&text, &['#']) {
        let (option, value) = option(line);
        match value {
            None => items.set(ItemKey::of([option]), ItemValue::Nothing)?,
            Some(user) if option == "user" => {
                let (name, secret) = user.split_once(':').unwrap_or((user, ""));
                let secret = RawItem::secret(ItemValue::text(secret));
                items.insert(ItemKey::of(["user", name]), secret)?;
            }
            Some(value) if IN_ORDER.contains(&option) => {
                items.place(&[option, value], ItemValue::Nothing)?;
            }
            Some(value) => {
                gathered.entry(option).or_default().insert(scalar(value));
            }
        }
    }
    for (option, mut values) in gathered {
        let value = match values.len() {
            1 => values.pop_first().unwrap_or(ItemValue::Nothing),
            _ => ItemValue::Set(values),
        };
        items.set(ItemKey::of([option]), value)?;
    }
    Ok(items.finish())
}

/// An option and its value, as turnserver(1) cuts them.
fn option(line: &str) -> (&str, Option<&str>) {
    let line = line.trim_start_matches('-');
    let Some(at) = line.find(['=', ' ', '\t']) else { return (line, None) };
    let (option, rest) = line.split_at(at);
    let value = rest.trim_start_matches(['=', ' ', '\t']);
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    (option, Some(quoted.unwrap_or(value)))
}
