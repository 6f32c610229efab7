//! Line lists: `hosts`, `fstab`, `services` and their like, where one column of a line is its key.
//!
//! Each file is a row in a table of its own: which column is the key, and whether the order of
//! lines has meaning. Lines whose key repeats are numbered (`…/2`), except in `hosts`, where they
//! add names.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::RawItems;

use super::build::Builder;
use super::lines::{decode, is_in, meaningful, scalar, words};
use super::{Format, FormatError};

/// Names of addresses; see hosts(5).
pub static HOSTS: Format = Format {
    name: "hosts",
    version: 1,
    ordered: "the names of an address keep their order, the first is the canonical one; lines \
              have none",
    claims: |path, _| matches!(path, "/etc/hosts" | "/etc/networks") || is_of_windows(path),
    read: read_hosts,
};

/// Whether it is the same file of Windows, whose names have no case.
fn is_of_windows(path: &str) -> bool {
    const HOSTS: &str = "/c/windows/system32/drivers/etc/hosts";
    path.eq_ignore_ascii_case(HOSTS)
}

/// File systems; see fstab(5). Mounts are nested by their paths, yet `mount -a` goes by line.
pub static FSTAB: Format = Format {
    name: "fstab",
    version: 1,
    ordered: "lines and mount options keep their order",
    claims: |path, _| path == "/etc/fstab",
    read: |bytes| read_columns(bytes, &Columns { key: &[1], ordered: Order::Ranked }),
};

/// Encrypted devices; see crypttab(5).
pub static CRYPTTAB: Format = Format {
    name: "crypttab",
    version: 1,
    ordered: "lines keep their order",
    claims: |path, _| path == "/etc/crypttab",
    read: |bytes| read_columns(bytes, &Columns { key: &[0], ordered: Order::Ranked }),
};

/// Exported directories; see exports(5).
pub static EXPORTS: Format = Format {
    name: "exports",
    version: 1,
    ordered: "clients of a directory keep their order; directories have none",
    claims: |path, _| path == "/etc/exports" || is_in(path, "/etc/exports.d", ".exports"),
    read: |bytes| read_columns(bytes, &Columns { key: &[0], ordered: Order::None }),
};

/// Names of ports and protocols; see services(5) and protocols(5).
pub static SERVICES: Format = Format {
    name: "services",
    version: 1,
    ordered: "aliases of a service keep their order; services have none",
    claims: |path, _| matches!(path, "/etc/services" | "/etc/protocols" | "/etc/rpc"),
    read: |bytes| read_columns(bytes, &Columns { key: &[0, 1], ordered: Order::None }),
};

/// Limits of a login; see limits.conf(5). The most specific domain wins, and of equal ones the last
/// line.
pub static LIMITS: Format = Format {
    name: "limits",
    version: 1,
    ordered: "lines keep their order",
    claims: |path, _| {
        path == "/etc/security/limits.conf" || is_in(path, "/etc/security/limits.d", ".conf")
    },
    read: |bytes| read_columns(bytes, &Columns { key: &[0, 1, 2], ordered: Order::Ranked }),
};

/// Access by host, first match wins; see hosts_access(5). Also package sources and modules, one a
/// line.
pub static RULES: Format = Format {
    name: "rule_lines",
    version: 1,
    ordered: "lines keep their order",
    claims: |path, _| {
        matches!(
            path,
            "/etc/hosts.allow" | "/etc/hosts.deny" | "/etc/modules" | "/etc/apt/sources.list"
        ) || is_in(path, "/etc/apt/sources.list.d", ".list")
            || is_in(path, "/etc/modules-load.d", ".conf")
    },
    read: read_rules,
};

/// Sets of one word a line, such as login shells; see shells(5).
pub static WORDS: Format = Format {
    name: "word_lines",
    version: 1,
    ordered: "nothing",
    claims: |path, _| path == "/etc/shells",
    read: |bytes| read_columns(bytes, &Columns { key: &[0], ordered: Order::None }),
};

/// How the columns of a file are read.
struct Columns {
    /// The columns that name a line, counted from 0; a line with fewer is named by those it has.
    key: &'static [usize],
    ordered: Order,
}

/// Whether the order of lines has meaning.
enum Order {
    Ranked,
    None,
}

fn read_hosts(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for (_, line) in meaningful(&decode(bytes), &['#']) {
        let mut columns = words(line.split('#').next().unwrap_or_default());
        let Some(address) = columns.next() else { continue };
        items.extend(ItemKey::of([address]), columns.map(ItemValue::text))?;
    }
    Ok(items.finish())
}

fn read_columns(bytes: &[u8], columns: &Columns) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for (_, line) in meaningful(&decode(bytes), &['#']) {
        let words: Vec<&str> = words(super::lines::without_comment(line, '#')).collect();
        let mut key: Vec<&str> =
            columns.key.iter().filter_map(|column| words.get(*column).copied()).collect();
        if key.is_empty() {
            key.extend(words.first());
        }
        let rest = words.iter().enumerate().filter(|(column, _)| !columns.key.contains(column));
        let mut values: Vec<ItemValue> = rest.map(|(_, word)| scalar(word)).collect();
        let value = match values.len() {
            0 => ItemValue::Nothing,
            1 => values.remove(0),
            _ => ItemValue::List(values),
        };
        match columns.ordered {
            Order::Ranked => items.place(&key, value)?,
            Order::None => items.set_each(&key, value)?,
        }
    }
    Ok(items.finish())
}

fn read_rules(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut items = Builder::default();
    for (_, line) in super::lines::continued(&text, &['#']) {
        let line = super::lines::without_comment(&line, '#');
        let rule = words(line).collect::<Vec<_>>().join(" ");
        if !rule.is_empty() {
            items.place(&[&rule], ItemValue::Nothing)?;
        }
    }
    Ok(items.finish())
}
