//! What browsers are told by the host's administrator: managed and recommended policies.
//!
//! A part for each product and level (`chrome/managed`, `firefox`), read as the product reads it:
//! Chromium and its kin take every `.json` of a folder, and of two that set one policy the last by
//! name wins as a whole; Firefox takes the first `policies.json` of its places. What a person sets,
//! what a cloud console pushes, and Windows' registry are not here. Lists keep their order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::ItemKey;
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::{Domain, Reason};

use crate::formats::json;
use crate::machine::Machine;
use crate::sources::look::{Look, Memory};
use crate::sources::table::{Bytes, Table, Trouble, read_all};
use crate::sources::{Manual, Sink, Source, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 1;

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
            if !entry.name.as_encoded_bytes().ends_with(b".json") {
                continue;
            }
            let Some(content) = look.read(&folder.join(&entry.name), limits::FILE_BYTES)? else {
                continue;
            };
            found = true;
            let items = (json::FORMAT.read)(&content.bytes)?;
            let set: BTreeSet<_> = items.keys().filter_map(policy).collect();
            all.retain(|key, _| policy(key).is_none_or(|policy| !set.contains(&policy)));
            all.extend(items);
        }
    }
    Ok(found.then_some(all))
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
