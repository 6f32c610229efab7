//! The syntax of unit files, drop-ins and systemd's own configuration (systemd.syntax(7),
//! systemd.unit(5)).
//!
//! [`assignments`] reads one file; [`Settings`] adds files up in the order systemd reads them, so
//! that the reader of one file and the view of a whole unit cannot disagree. An empty assignment
//! resets a list; dependencies cannot be reset. A setting on none of the lists below is one value
//! and the last wins. Specifiers such as `%i` stay as they are written.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems};

use super::lines::{HEADER_BYTES, LONG_HEADER};
use super::{Format, FormatError, Malformed};

/// The format, as the list of all formats names it.
pub const FORMAT: Format = Format {
    name: "systemd",
    version: 3,
    ordered: "commands, conditions, filters and listeners are ordered; \
              dependencies, paths and names are not",
    claims,
    read,
};

/// One `Key=value` of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The section, without brackets.
    pub section: String,
    /// The key.
    pub key: String,
    /// The value, continued lines joined by a blank; empty resets.
    pub value: String,
}

/// What assignments add up to.
#[derive(Clone, Debug, Default)]
pub struct Settings(BTreeMap<(String, String), ItemValue>);

/// Words in any order that an empty assignment does not reset: dependencies.
const DEPENDENCIES: &[&str] = &[
    "After",
    "Also",
    "Alias",
    "Before",
    "BindsTo",
    "Conflicts",
    "JoinsNamespaceOf",
    "OnFailure",
    "OnSuccess",
    "PartOf",
    "PropagatesReloadTo",
    "PropagatesStopTo",
    "ReloadPropagatedFrom",
    "RequiredBy",
    "Requires",
    "RequiresMountsFor",
    "Requisite",
    "StopPropagatedFrom",
    "UpheldBy",
    "Upholds",
    "WantedBy",
    "Wants",
    "WantsMountsFor",
];

/// Words in any order that an empty assignment resets.
const SETS: &[&str] = &[
    "BindPaths",
    "BindReadOnlyPaths",
    "CacheDirectory",
    "ConfigurationDirectory",
    "DeviceAllow",
    "Documentation",
    "ExecPaths",
    "InaccessiblePaths",
    "LogsDirectory",
    "NoExecPaths",
    "PassEnvironment",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "RuntimeDirectory",
    "Sockets",
    "StateDirectory",
    "SupplementaryGroups",
    "Symlinks",
    "TemporaryFileSystem",
    "UnsetEnvironment",
];

/// Assignments that add up in their order, until an empty one resets them.
const LISTS: &[&str] = &[
    "AmbientCapabilities",
    "BPFProgram",
    "CapabilityBoundingSet",
    "EnvironmentFile",
    "ExecCondition",
    "ExecReload",
    "ExecSearchPath",
    "ExecStart",
    "ExecStartPost",
    "ExecStartPre",
    "ExecStop",
    "ExecStopPost",
    "ExecStopPre",
    "IPAddressAllow",
    "IPAddressDeny",
    "ListenDatagram",
    "ListenFIFO",
    "ListenMessageQueue",
    "ListenNetlink",
    "ListenSequentialPacket",
    "ListenSpecial",
    "ListenStream",
    "ListenUSBFunction",
    "LogExtraFields",
    "LogFilterPatterns",
    "OnActiveSec",
    "OnBootSec",
    "OnCalendar",
    "OnStartupSec",
    "OnUnitActiveSec",
    "OnUnitInactiveSec",
    "DirectoryNotEmpty",
    "PathChanged",
    "PathExists",
    "PathExistsGlob",
    "PathModified",
    "RestrictAddressFamilies",
    "RestrictFileSystems",
    "RestrictNamespaces",
    "RestrictNetworkInterfaces",
    "SocketBindAllow",
    "SocketBindDeny",
    "SystemCallArchitectures",
    "SystemCallFilter",
    "SystemCallLog",
    "RestartPreventExitStatus",
    "RestartForceExitStatus",
    "SuccessExitStatus",
];

/// Assignments of `name:value`, one item a name; a credential's value is a secret.
const CREDENTIALS: &[&str] =
    &["LoadCredential", "LoadCredentialEncrypted", "SetCredentialEncrypted"];

/// Endings of the files this format reads below `/etc/systemd`.
const ENDINGS: &[&str] = &[
    "automount",
    "conf",
    "device",
    "link",
    "mount",
    "netdev",
    "network",
    "nspawn",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
];

fn claims(path: &str, _head: &[u8]) -> bool {
    let name = path.strip_prefix("/etc/systemd/");
    let ending = name.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
    ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let items = items(bytes)?;
    if items.len() > limits::ITEMS_PER_PART { Err(FormatError::TooLarge) } else { Ok(items) }
}

/// The items of one file.
fn items(bytes: &[u8]) -> Result<RawItems, Malformed> {
    let mut settings = Settings::default();
    settings.add(assignments(bytes)?);
    Ok(settings.items())
}

/// The assignments of a file, in order.
///
/// # Errors
/// [`Malformed`] where systemd refuses the file: an unclosed section header, text that is no UTF-8,
/// a NUL byte. A line it only warns of and ignores is ignored here too.
pub fn assignments(bytes: &[u8]) -> Result<Vec<Assignment>, Malformed> {
    let mut assignments = Vec::new();
    let mut section: Option<String> = None;
    let mut logical = String::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1u32..) {
        let malformed = |what| Malformed { line: number, what };
        if line.contains(&0) {
            return Err(malformed("a NUL byte"));
        }
        let line = std::str::from_utf8(line).map_err(|_| malformed("not UTF-8"))?;
        let line = if number == 1 { line.trim_start_matches('\u{feff}') } else { line };
        // A comment is left out even between continued lines.
        if line.trim_start_matches(BLANKS).starts_with(['#', ';']) {
            continue;
        }
        let line = line.trim_end_matches('\r');
        if let Some(begun) = continued(line) {
            logical.push_str(begun);
            logical.push(' ');
            continue;
        }
        logical.push_str(line);
        let line = logical.trim_matches(BLANKS);
        if let Some(header) = line.strip_prefix('[') {
            let name =
                header.strip_suffix(']').ok_or_else(|| malformed("an open section header"))?;
            if name.len() > HEADER_BYTES {
                return Err(malformed(LONG_HEADER));
            }
            section = Some(name.to_owned());
        } else if let (Some(section), Some((key, value))) = (&section, line.split_once('=')) {
            assignments.push(Assignment {
                section: section.clone(),
                key: key.trim_end_matches(BLANKS).to_owned(),
                value: value.trim_start_matches(BLANKS).to_owned(),
            });
        }
        logical.clear();
    }
    Ok(assignments)
}

const BLANKS: [char; 3] = [' ', '\t', '\r'];

/// The line without its continuation mark: an odd number of backslashes at its end.
fn continued(line: &str) -> Option<&str> {
    let backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
    if backslashes % 2 == 1 { line.strip_suffix('\\') } else { None }
}

impl Settings {
    /// Adds the assignments of the next file.
    pub fn add(&mut self, assignments: Vec<Assignment>) {
        for assignment in assignments {
            self.assign(assignment);
        }
    }

    /// The words of one setting that is a set, such as `Install/Alias`.
    pub fn words(&self, section: &str, key: &str) -> BTreeSet<String> {
        match self.0.get(&(section.to_owned(), key.to_owned())) {
            Some(ItemValue::Set(words)) => words.iter().filter_map(as_text).collect(),
            _ => BTreeSet::new(),
        }
    }

    /// The text of one setting that is a single value, such as `Install/DefaultInstance`.
    pub fn text(&self, section: &str, key: &str) -> Option<String> {
        self.0.get(&(section.to_owned(), key.to_owned())).and_then(as_text)
    }

    /// The items `Section/Key`, and one for each name below `Environment` and credentials.
    pub fn items(self) -> RawItems {
        let mut items = RawItems::new();
        for ((section, key), value) in self.0 {
            match (key.as_str(), value) {
                ("Environment", ItemValue::List(words)) => {
                    for word in words.iter().filter_map(as_text) {
                        let (name, text) = word.split_once('=').unwrap_or((&word, ""));
                        let key = ItemKey::of([&section, "Environment", name]);
                        items.insert(key, RawItem::plain(ItemValue::text(text)));
                    }
                }
                ("SetCredential", ItemValue::List(words)) => {
                    for word in words.iter().filter_map(as_text) {
                        let (name, secret) = word.split_once(':').unwrap_or((&word, ""));
                        let key = ItemKey::of([&section, "SetCredential", name]);
                        items.insert(key, RawItem::secret(ItemValue::text(secret)));
                    }
                }
                (_, value) => {
                    items.insert(ItemKey::of([&section, &key]), RawItem::plain(value));
                }
            }
        }
        items
    }

    fn assign(&mut self, Assignment { section, key, value }: Assignment) {
        let name = key.as_str();
        let is_dependency = DEPENDENCIES.contains(&name);
        let is_environment = matches!(name, "Environment" | "DefaultEnvironment");
        let is_list = LISTS.contains(&name)
            || CREDENTIALS.contains(&name)
            || name == "SetCredential"
            || name.starts_with("Condition")
            || name.starts_with("Assert");
        let is_set = is_dependency || SETS.contains(&name);
        let at = (section, key.clone());
        if value.is_empty() {
            // Kept as a list of nothing, a reset would differ from no assignment at all; systemd
            // sees no difference.
            if !is_dependency {
                self.0.remove(&at);
            }
            return;
        }
        if is_set {
            // What a device may be used for stays with the device.
            let is_whole = name == "DeviceAllow";
            let words = if is_whole && !mutant::active(Mutant::DevicesShareTheirRights) {
                vec![ItemValue::Text(spaced(&value))]
            } else {
                value.split_ascii_whitespace().map(ItemValue::text).collect()
            };
            let kept = self.0.entry(at).or_insert_with(|| ItemValue::Set(BTreeSet::new()));
            if let ItemValue::Set(set) = kept {
                set.extend(words);
            }
        } else if is_list || is_environment {
            let new = match name {
                _ if is_environment => quoted_words(&value),
                _ if name.starts_with("Exec") => vec![spaced(&value)],
                _ => vec![value],
            };
            let new = new.into_iter().map(ItemValue::Text);
            let kept = self.0.entry(at).or_insert_with(|| ItemValue::List(Vec::new()));
            if let ItemValue::List(list) = kept {
                list.extend(new);
            }
        } else {
            self.0.insert(at, scalar(value));
        }
    }
}

/// A command line with one blank for each run of them: blanks outside quotes only separate.
fn spaced(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut quote = None;
    let (mut escaped, mut apart) = (false, false);
    for c in text.trim_matches(BLANKS).chars() {
        let blank = BLANKS.contains(&c) && quote.is_none() && !escaped;
        if !blank {
            kept.push(c);
        } else if !apart {
            kept.push(' ');
        }
        apart = blank;
        match quote {
            _ if escaped => {}
            Some(open) if open == c => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    kept
}

fn as_text(value: &ItemValue) -> Option<String> {
    let ItemValue::Text(text) = value else { return None };
    Some(text.clone())
}

/// A boolean in any of systemd's spellings (systemd.syntax(7)), except `0` and `1`, which may be
/// numbers.
fn scalar(value: String) -> ItemValue {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => ItemValue::Flag(true),
        "no" | "false" | "off" => ItemValue::Flag(false),
        _ => ItemValue::Text(value),
    }
}

/// Words with quotes removed (systemd.syntax(7), Quoting); an open quote lasts to the end.
fn quoted_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                let escaped = characters.next().unwrap_or('\\');
                let word = word.get_or_insert_default();
                if !matches!(escaped, '"' | '\'' | '\\' | ' ') {
                    word.push('\\');
                }
                word.push(escaped);
            }
            c if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ' ' | '\t' if quote.is_none() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests;
