//! Files of one key and its value a line: shell assignments, `sysctl`, `login.defs`, the resolver's
//! files.
//!
//! Each is a format of its own, because they disagree on what matters: how a key ends, what a
//! repeated key means, and whether the words of a value have an order. Shell assignments, the
//! largest family, stand in [`assignments`].

pub mod assignments;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::RawItems;

use super::build::Builder;
use super::lines::{first_word, is_in, meaningful, scalar, word_list, words};
use super::{Format, FormatError};

pub use assignments::ASSIGNMENTS;

/// Kernel parameters, `key = value`; see sysctl.conf(5) and sysctl.d(5).
pub static SYSCTL: Format = Format {
    name: "sysctl",
    version: 1,
    ordered: "nothing: the last setting of a key wins",
    claims: |path, _| {
        path == "/etc/sysctl.conf"
            || ["/etc/sysctl.d", "/usr/lib/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d"]
                .iter()
                .any(|directory| is_in(path, directory, ".conf"))
    },
    read: read_sysctl,
};

/// Defaults of login and account tools, `KEY value`; see login.defs(5).
pub static LOGIN_DEFS: Format = Format {
    name: "login_defs",
    version: 1,
    ordered: "nothing: the last setting of a key wins",
    claims: |path, _| matches!(path, "/etc/login.defs" | "/usr/etc/login.defs"),
    read: read_login_defs,
};

/// The resolver's file; see resolv.conf(5).
pub static RESOLV: Format = Format {
    name: "resolv",
    version: 1,
    ordered: "`nameserver`, `search` and `sortlist` keep their order; `options` do not",
    claims: |path, _| path.ends_with("/resolv.conf") || path.ends_with("/stub-resolv.conf"),
    read: read_resolv,
};

/// Where names are looked up; see nsswitch.conf(5).
pub static NSSWITCH: Format = Format {
    name: "nsswitch",
    version: 1,
    ordered: "the services and actions of each database keep their order",
    claims: |path, _| matches!(path, "/etc/nsswitch.conf" | "/usr/etc/nsswitch.conf"),
    read: read_nsswitch,
};

/// Where the loader looks for libraries; see ldconfig(8).
pub static LD_SO_CONF: Format = Format {
    name: "ld_so_conf",
    version: 1,
    ordered: "directories and includes keep their order",
    claims: |path, _| path == "/etc/ld.so.conf" || is_in(path, "/etc/ld.so.conf.d", ".conf"),
    read: read_ld_so_conf,
};

fn read_sysctl(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for (number, line) in meaningful(&super::lines::decode(bytes), &['#', ';']) {
        match line.split_once('=') {
            Some((key, value)) => {
                items.set(ItemKey::of([sysctl_key(key.trim())]), scalar(&one_space(value)))?;
            }
            // `-key` without a value excludes the key from a later glob.
            None if line.starts_with('-') => {
                items.set(ItemKey::of([sysctl_key(line)]), ItemValue::Nothing)?;
            }
            None => return Err(FormatError::malformed(number, "a setting needs `=`")),
        }
    }
    Ok(items.finish())
}

/// The one form of a kernel parameter's name: where the first separator is a slash, slashes
/// separate and dots belong to names (sysctl.d(5)), so the two change places.
fn sysctl_key(key: &str) -> String {
    if key.find(['.', '/']).and_then(|at| key.get(at..)).is_none_or(|rest| rest.starts_with('.')) {
        return key.to_owned();
    }
    let swap = |c| match c {
        '/' => '.',
        '.' => '/',
        other => other,
    };
    key.chars().map(swap).collect()
}

fn read_login_defs(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for (_, line) in meaningful(&super::lines::decode(bytes), &['#']) {
        let (key, value) = first_word(line);
        let value = if value.is_empty() { ItemValue::Nothing } else { scalar(unquoted(value)) };
        items.set(ItemKey::of([key]), value)?;
    }
    Ok(items.finish())
}

fn read_resolv(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for (_, line) in meaningful(&super::lines::decode(bytes), &['#', ';']) {
        let (key, value) = first_word(line);
        match key {
            "nameserver" => items.extend(ItemKey::of([key]), [ItemValue::text(value)])?,
            "options" => {
                for option in words(value) {
                    let (name, value) = option.split_once(':').unwrap_or((option, ""));
                    let value = if value.is_empty() { ItemValue::Nothing } else { scalar(value) };
                    items.set(ItemKey::of([key, name]), value)?;
                }
            }
            // The last of these wins, and each rules out the other.
            "search" | "sortlist" => items.set(ItemKey::of([key]), word_list(value))?,
            _ => items.set(ItemKey::of([key]), ItemValue::text(value))?,
        }
    }
    Ok(items.finish())
}

fn read_nsswitch(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for (number, line) in meaningful(&super::lines::decode(bytes), &['#']) {
        let line = line.split('#').next().unwrap_or_default();
        let Some((database, services)) = line.split_once(':') else {
            return Err(FormatError::malformed(number, "a database needs `:`"));
        };
        let spaced = services.replace('[', " [").replace(']', "] ");
        items.extend(ItemKey::of([database.trim()]), actions(&spaced))?;
    }
    Ok(items.finish())
}

/// Services and actions in order; an action `[NOTFOUND=return SUCCESS=merge]` is one value whatever
/// its blanks.
fn actions(services: &str) -> Vec<ItemValue> {
    let mut values: Vec<String> = Vec::new();
    let mut inside = false;
    for word in words(services) {
        match values.last_mut() {
            Some(action) if inside => {
                let gap = if action.ends_with('[') || word.starts_with(']') { "" } else { " " };
                action.push_str(gap);
                action.push_str(word);
            }
            _ => values.push(word.to_owned()),
        }
        inside = (inside || word.starts_with('[')) && !word.ends_with(']');
    }
    values.into_iter().map(ItemValue::Text).collect()
}

fn read_ld_so_conf(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for (_, line) in meaningful(&super::lines::decode(bytes), &['#']) {
        let line = line.split('#').next().unwrap_or_default();
        match first_word(line) {
            ("include", pattern) => items.place(&["include", pattern], ItemValue::Nothing)?,
            _ => items.place(&["directory", line.trim()], ItemValue::Nothing)?,
        }
    }
    Ok(items.finish())
}

/// A value with every run of blanks as one space.
fn one_space(value: &str) -> String {
    words(value).collect::<Vec<_>>().join(" ")
}

/// A value without the double quotes around it.
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}
