//! What browsers are told by the host's administrator: managed and recommended policies.
//!
//! A part for each product and level (`chrome/managed`, `firefox`), read as the product reads it:
//! Chromium and its kin take every file of a folder, whatever its name (also a hidden one and what
//! an editor left), and of two that set one policy the last by name wins as a whole. They pass over
//! a file that they cannot read, which is then a part of its own that is unobserved. Firefox takes
//! the first `policies.json` of its places. What a person sets, what a cloud console pushes, and
//! Windows' registry are not here. Lists keep their order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::ItemKey;
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::{Domain, Reason};

use crate::formats::json;
use crate::machine::Machine;
use crate::platform::{FileType, Stat};
use crate::sources::look::{Look, Memory};
use crate::sources::table::{Bytes, Table, Trouble, read_all};
use crate::sources::{Manual, Sink, Source, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 2;

/// The folders of each product and level; a later one wins over an earlier.
const CHROME: &str = "/etc/opt/chrome/policies";
const CHROMIUM: &str = "/etc/chromium/policies";
const CHROMIUM_BROWSER: &str = "/etc/chromium-browser/policies";
const EDGE: &str = "/etc/opt/edge/policies";
const BRAVE: &str = "/etc/brave/policies";

/// Where Firefox looks, the first that is there counts: the system's place before the program's.
const FIREFOX: [&str; 7] = [
    "/etc/firefox/policies/policies.json",
    "/etc/firefox-esr/policies/policies.json",
    "/usr/lib/firefox/distribution/policies.json",
    "/usr/lib/firefox-esr/distribution/policies.json",
    "/usr/lib64/firefox/distribution/policies.json",
    "/usr/share/firefox/distribution/policies.json",
    "/opt/firefox/distribution/policies.json",
];

const TABLES: &[Table] = &[
    kept("chrome/managed", |look| folders(look, &[CHROME], "managed")),
    kept("chrome/recommended", |look| folders(look, &[CHROME], "recommended")),
    kept("chromium/managed", |look| folders(look, &[CHROMIUM_BROWSER, CHROMIUM], "managed")),
    kept("chromium/recommended", |look| {
        folders(look, &[CHROMIUM_BROWSER, CHROMIUM], "recommended")
    }),
    kept("edge/managed", |look| folders(look, &[EDGE], "managed")),
    kept("edge/recommended", |look| folders(look, &[EDGE], "recommended")),
    kept("brave/managed", |look| folders(look, &[BRAVE], "managed")),
    kept("firefox", firefox),
];

const fn kept(name: &'static str, read: crate::sources::table::Reader) -> Table {
    Table { name, bytes: Bytes::Kept, read }
}

/// The source; see the page's head.
pub struct BrowserPolicy {
    version: u32,
    memory: Memory,
}

impl BrowserPolicy {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default() }
    }
}

impl Default for BrowserPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for BrowserPolicy {
    fn name(&self) -> SourceName {
        source_name("browser_policy")
    }

    fn domain(&self) -> Domain {
        Domain::Policy
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`chrome/managed`, `chrome/recommended` and the same of `chromium` and `edge`, \
                `brave/managed`, `firefox`, where there is a policy",
            ordered: "lists of a policy",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let folders = [CHROME, CHROMIUM, CHROMIUM_BROWSER, EDGE, BRAVE];
        folders.into_iter().chain(FIREFOX).map(PathBuf::from).collect()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        read_all(TABLES, ("browser_policy", self.version), &mut self.memory, (machine, sink));
        Ok(())
    }
}

/// The policies of every file of one level, the last file by name first in rank.
fn folders(
    look: &mut Look<'_>,
    folders: &[&str],
    level: &str,
) -> Result<Option<RawItems>, Trouble> {
    let mut all = RawItems::new();
    let mut found = false;
    for folder in folders {
        let folder = Path::new(folder).join(level);
        for entry in look.entries(&folder)?.unwrap_or_default() {
            match file(look, &folder.join(&entry.name)) {
                Ok(None) => continue,
                Ok(Some(items)) => add(&mut all, items),
                // One file that cannot be read blinds no other.
                Err(reason) => {
                    look.blank(entry.name.to_string_lossy().into_owned(), reason)?;
                }
            }
            found = true;
        }
    }
    Ok(found.then_some(all))
}

/// The policies of one file; `None` where it is none.
fn file(look: &mut Look<'_>, path: &Path) -> Result<Option<RawItems>, Reason> {
    let stat = look.machine().stat_followed(path)?;
    let is_file = |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !stat.is_some_and(is_file) {
        return Ok(None);
    }
    let Some(content) = look.read(path, limits::FILE_BYTES)? else { return Ok(None) };
    (json::FORMAT.read)(&lenient(&content.bytes)).map(Some).map_err(|error| error.reason())
}

/// Adds the policies of a later file, each in the place of an earlier one.
fn add(all: &mut RawItems, items: RawItems) {
    let (mut earlier, later) = match mutant::active(Mutant::FirstPolicyCounts) {
        true => (items, std::mem::take(all)),
        false => (std::mem::take(all), items),
    };
    let set: BTreeSet<_> = later.keys().filter_map(policy).collect();
    earlier.retain(|key, _| policy(key).is_none_or(|policy| !set.contains(&policy)));
    earlier.extend(later);
    *all = earlier;
}

/// JSON without what Chromium takes beside it: comments with `//` and `/* */`, and a comma behind
/// the last member. Blanks stand in their place, so that lines stay where they are.
pub fn lenient(bytes: &[u8]) -> Vec<u8> {
    let mut plain = bytes.to_vec();
    // The last comma that nothing but blanks follows yet.
    let mut comma: Option<usize> = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        let length = match (byte, rest.get(1)) {
            (b'"', _) => string(rest),
            (b'/', Some(b'/')) => rest.iter().take_while(|byte| **byte != b'\n').count(),
            (b'/', Some(b'*')) => comment(rest),
            _ => 1,
        };
        match byte {
            b'/' if length > 1 => blank(&mut plain, at, length),
            b'}' | b']' => comma.take().into_iter().for_each(|at| blank(&mut plain, at, 1)),
            b',' => comma = Some(at),
            byte if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at += length;
    }
    plain
}

/// How long the string is that `rest` begins with.
fn string(rest: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.iter().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return at + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// How long the comment is that `rest` begins with.
fn comment(rest: &[u8]) -> usize {
    let end = rest.windows(2).skip(2).position(|pair| pair == b"*/");
    end.map_or(rest.len(), |end| end + 4)
}

fn blank(plain: &mut [u8], at: usize, length: usize) {
    for byte in plain.iter_mut().skip(at).take(length).filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// The policy an item belongs to: the first segment of its key.
fn policy(key: &ItemKey) -> Option<String> {
    key.segments().next()
}

fn firefox(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    for path in FIREFOX {
        if let Some(content) = look.read(Path::new(path), limits::FILE_BYTES)? {
            return Ok(Some((json::FORMAT.read)(&content.bytes)?));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
