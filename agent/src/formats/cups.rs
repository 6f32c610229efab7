//! Printers and classes of CUPS, which cupsd rewrites with each job; see printers.conf(5).
//!
//! `printers.conf` holds what somebody configured beside what happened to be so when it was
//! written: whether a printer is idle, since when, how much ink it has. Only the former is told,
//! and the bytes are kept not even as a digest. Printers that cups-browsed found in a network
//! (`implicitclass:`) come and go with it and are left out. Users that may or may not print are
//! sets; nothing is ordered.

use std::collections::BTreeSet;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::RawItems;

use super::build::Builder;
use super::lines::{decode, first_word, meaningful, scalar};
use super::{Format, FormatError};

/// Printers and classes.
pub static FORMAT: Format = Format {
    name: "cups_printers",
    version: 1,
    ordered: "nothing",
    claims: |path, _| matches!(path, "/etc/cups/printers.conf" | "/etc/cups/classes.conf"),
    read,
};

/// What cupsd notes for itself.
const STATE: [&str; 10] = [
    "State",
    "StateTime",
    "StateMessage",
    "ConfigTime",
    "Reason",
    "NextPrinterId",
    "PrinterId",
    "UUID",
    "Type",
    "Filter",
];

/// Attributes that a printer tells of itself.
const TOLD: [&str; 2] = ["marker-", "printer-state"];

/// Directives that repeat; each adds to a set.
const SETS: [&str; 3] = ["AllowUser", "DenyUser", "Printer"];

/// Directives with a name and a value.
const PAIRS: [&str; 2] = ["Option", "Attribute"];

/// One `<Printer NAME>` or `<Class NAME>`.
struct Queue<'a> {
    kind: &'a str,
    name: &'a str,
    lines: Vec<(&'a str, &'a str)>,
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut items = Builder::default();
    let mut open: Option<Queue<'_>> = None;
    let mut last = 0;
    for (number, line) in meaningful(&text, &['#']) {
        last = number;
        let heading = line.strip_prefix('<').and_then(|line| line.strip_suffix('>'));
        match (heading, &mut open) {
            (Some(name), Some(_)) if name.starts_with('/') => {
                if let Some(queue) = open.take() {
                    tell(&mut items, &queue)?;
                }
            }
            (Some(heading), None) => {
                let (kind, name) = first_word(heading);
                if name.is_empty() {
                    return Err(FormatError::malformed(number, "a queue without a name"));
                }
                open = Some(Queue { kind, name, lines: Vec::new() });
            }
            (Some(_), Some(_)) => {
                return Err(FormatError::malformed(number, "a queue within a queue"));
            }
            (None, Some(queue)) => queue.lines.push(first_word(line)),
            (None, None) if STATE.contains(&first_word(line).0) => {}
            (None, None) => return Err(FormatError::malformed(number, "a line outside a queue")),
        }
    }
    match open {
        Some(_) => Err(FormatError::malformed(last, "a queue without an end")),
        None => Ok(items.finish()),
    }
}

fn tell(items: &mut Builder, queue: &Queue<'_>) -> Result<(), FormatError> {
    let is_found =
        |(key, value): &(&str, &str)| *key == "DeviceURI" && value.starts_with("implicitclass:");
    if queue.lines.iter().any(is_found) {
        return Ok(());
    }
    // The default printer is `<DefaultPrinter NAME>`, and otherwise a printer like any other.
    let (kind, is_default) = match queue.kind.strip_prefix("Default") {
        Some(kind) => (kind, true),
        None => (queue.kind, false),
    };
    let key = |rest: &[&str]| ItemKey::of([kind, queue.name].iter().chain(rest).copied());
    items.set(key(&["default"]), ItemValue::Flag(is_default))?;
    for name in SETS {
        let all: BTreeSet<_> = queue.lines.iter().filter(|(key, _)| *key == name).collect();
        if !all.is_empty() {
            let all = all.into_iter().map(|(_, value)| ItemValue::text(*value));
            items.set(key(&[name]), ItemValue::Set(all.collect()))?;
        }
    }
    for (name, value) in &queue.lines {
        if STATE.contains(name) || SETS.contains(name) {
            continue;
        }
        if PAIRS.contains(name) {
            let (option, value) = first_word(value);
            if !TOLD.iter().any(|told| option.starts_with(told)) {
                items.set(key(&[name, option]), scalar(value))?;
            }
        } else {
            items.set(key(&[name]), scalar(value))?;
        }
    }
    Ok(())
}
