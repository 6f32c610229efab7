//! What a Windows host says of itself in its registry, beside the files it is read from.
//!
//! Each source is a list of tables, and each table is made of a few keys of the registry. On the
//! host that runs us the registry is asked; below a tree given with `--root` each key stands as the
//! export of the registry editor in a file of its own, such as
//! `/registry/HKEY_LOCAL_MACHINE/SOFTWARE/Policies/Google/Chrome.reg`. So what a Windows host says
//! can be recorded, and read again anywhere. What people set for themselves is not read: it is
//! there while they are logged in and gone when they are not.

mod accounts;
mod firewall;
mod network;
mod programs;
mod services;
mod settings;
mod stores;
#[cfg(test)]
pub(in crate::sources) mod tests;

use std::path::PathBuf;
use std::time::Duration;

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::ItemKey;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::{Domain, Reason};

use super::look::{Look, Memory};
use super::table::{Bytes, Reader, Table, Trouble, read_all, say};
use super::{Manual, Sink, Source, source_name};
use crate::formats::registry;
use crate::machine::Machine;
use crate::platform;
use crate::registry::{Key, Reach};

/// How often the registry is asked: nobody tells of its changes.
const EVERY: Duration = Duration::from_secs(300);

/// The largest export, in bytes; UTF-16 in digits takes six times what the registry holds.
const EXPORT_BYTES: u64 = 64 * 1024 * 1024;

/// A source made of tables of the registry.
pub struct Registry {
    told: &'static Product,
    version: u32,
    memory: Memory,
}

/// What of Windows such a source tells.
struct Product {
    name: &'static str,
    domain: Domain,
    manual: Manual,
    tables: &'static [Table],
}

/// Every such source, in the order of their sections.
const ALL: [&Product; 10] = [
    &settings::OS,
    &programs::PACKAGES,
    &services::SERVICES,
    &accounts::ACCOUNTS,
    &stores::CERTIFICATES,
    &network::NETWORK,
    &settings::BROWSER_POLICY,
    &firewall::FIREWALL,
    &settings::DESKTOP_UC_CLIENT,
    &settings::REGISTRY,
];

/// Every source of Windows but `files`.
pub fn all() -> Vec<Box<dyn Source>> {
    ALL.into_iter().map(|told| Box::new(Registry::new(told)) as Box<dyn Source>).collect()
}

impl Registry {
    fn new(told: &'static Product) -> Self {
        Self { told, version: told.manual.version, memory: Memory::default() }
    }
}

impl Source for Registry {
    fn name(&self) -> SourceName {
        source_name(self.told.name)
    }

    fn domain(&self) -> Domain {
        self.told.domain
    }

    fn manual(&self) -> Manual {
        self.told.manual
    }

    fn every(&self) -> Option<Duration> {
        Some(EVERY)
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let parser = (self.told.name, self.version);
        read_all(self.told.tables, parser, &mut self.memory, (machine, sink));
        Ok(())
    }
}

const fn kept(name: &'static str, read: Reader) -> Table {
    Table { name, bytes: Bytes::Kept, read }
}

const fn manual(parts: &'static str) -> Manual {
    Manual { parts, ordered: "lists of texts", version: 2 }
}

/// The key at `path` of `HKEY_LOCAL_MACHINE`, and so many steps below it; nothing where it is not.
///
/// What of it cannot be read is noted, and blinds nothing else.
fn key(look: &mut Look<'_>, path: &str, steps: usize) -> Result<Option<Key>, Trouble> {
    reached(look, path, Reach::Steps(steps))
}

fn reached(look: &mut Look<'_>, path: &str, reach: Reach) -> Result<Option<Key>, Trouble> {
    let key = key_within(look, &format!("{}\\{path}", crate::registry::HIVE), reach)?;
    for (below, reason) in key.iter().flat_map(Key::blanks) {
        blank(look, path, &below, reason)?;
    }
    Ok(key)
}

/// Notes that nothing is known of the key at `below` that of `path`.
fn blank(look: &mut Look<'_>, path: &str, below: &str, reason: Reason) -> Result<(), Reason> {
    look.blank(format!("{path}/{below}").replace('\\', "/"), reason)
}

fn key_within(look: &mut Look<'_>, path: &str, reach: Reach) -> Result<Option<Key>, Trouble> {
    if look.machine().is_running() {
        let key = platform::read_key(path, reach)?;
        if let Some(key) = &key {
            // The registry keeps no bytes of a whole key; what it says stands for them.
            look.told(path.as_ref(), |take| key.pieces(take));
        }
        return Ok(key);
    }
    let mut file = PathBuf::from("/registry");
    file.extend(path.split('\\'));
    file.as_mut_os_string().push(".reg");
    let Some(content) = look.read(&file, EXPORT_BYTES)? else { return Ok(None) };
    Ok(Some(registry::key(&content.bytes, path, reach)?))
}

/// All values at and below keys, each key with the name that its items begin with; nothing where
/// none of the keys is.
fn trees(look: &mut Look<'_>, keys: &[(&str, &str)]) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    let mut found = false;
    for (name, path) in keys {
        let Some(key) = reached(look, path, Reach::Whole)? else { continue };
        found = true;
        let begin = if name.is_empty() { Vec::new() } else { vec![*name] };
        tree(&mut items, &begin, &key);
    }
    Ok(found.then_some(items))
}

fn tree(items: &mut RawItems, path: &[&str], key: &Key) {
    for (name, value) in &key.values {
        let name = if name.is_empty() { "(default)" } else { name };
        items.insert(ItemKey::of(path.iter().copied().chain([name])), value.item());
    }
    for (name, below) in &key.keys {
        let path: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
        tree(items, &path, below);
    }
}

/// Says those of `names` that the key has, below `path`.
fn chosen(items: &mut RawItems, path: &[&str], key: &Key, names: &[&str]) {
    for name in names {
        if let Some(value) = key.value(name) {
            items.insert(ItemKey::of(path.iter().chain([name])), value.item());
        }
    }
}
