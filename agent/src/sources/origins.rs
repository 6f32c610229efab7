//! Where a telephony server takes its settings from, beside the files that say them.
//!
//! One source for each product, one part for each folder it is configured in: `origins of FOLDER`.
//! Two questions are answered that no single file answers: which files are read (`reads/PATH`,
//! following includes as the server does), and what a module, table or web server holds instead of
//! a file: a setting that is not in the files can change while no file does.
//!
//! What the files themselves say is not repeated. They are parts of `files`, read by the product's
//! format, and `files` looks into the folders named here by default. An alternative was to have
//! each product's source read its own files: every file of `/etc` would then have been in two
//! sections, or have left `files` the day a product was installed, which reads as all of it being
//! removed.
//!
//! A file that cannot be read, or does not parse, leaves the part unobserved: it may name any
//! other.

mod asterisk;
mod freeswitch;
mod kamailio;
mod xmpp;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reason};

use crate::content::reading;
use crate::formats::{Format, FormatError, Malformed};
use crate::machine::Machine;
use crate::platform::path_bytes;
use crate::sources::look::{Look, Memory};
use crate::sources::{Carry, Manual, Sink, Source, include, source_name};

pub use asterisk::PRODUCT as ASTERISK;
pub use freeswitch::PRODUCT as FREESWITCH;
pub(super) use kamailio::{Files as ScriptFiles, script};
pub use kamailio::{KAMAILIO, OPENSIPS};
pub use xmpp::{EJABBERD, PROSODY};

/// Every product, in the order a reader meets their sections.
pub const ALL: [&Product; 6] = [&ASTERISK, &KAMAILIO, &OPENSIPS, &FREESWITCH, &EJABBERD, &PROSODY];

/// How deep includes may nest: Kamailio stops at 10, FreeSWITCH at 100.
const DEPTH: usize = 100;

/// The most files one configuration may have; without it, nested patterns could name files without
/// end.
const FILES: usize = 4_096;

/// Raised whenever the same files give other items.
const VERSION: u32 = 1;

/// What is known of one product.
pub struct Product {
    /// The source's name.
    name: &'static str,
    /// The folders it is configured in where nobody says otherwise.
    directories: &'static [&'static str],
    /// Its parts, for the manual.
    parts: &'static str,
    /// Follows its configuration from the main file in this folder.
    follow: fn(&mut Walk<'_>, &Path) -> Result<Found, Trouble>,
}

/// One product's source; see the page's head.
pub struct Origins {
    product: &'static Product,
    version: u32,
    memory: Memory,
}

impl Origins {
    /// A source that remembers nothing yet.
    pub fn new(product: &'static Product) -> Self {
        Self { product, version: VERSION, memory: Memory::default() }
    }
}

impl Source for Origins {
    fn name(&self) -> SourceName {
        source_name(self.product.name)
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual { parts: self.product.parts, ordered: "wizards of an object", version: self.version }
    }

    fn watched(&self) -> Vec<PathBuf> {
        self.product.directories.iter().map(PathBuf::from).collect()
    }

    fn watched_alone(&self) -> Vec<PathBuf> {
        self.memory.beyond(&self.watched())
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        for directory in self.product.directories {
            self.read_directory(directory, machine, sink);
        }
        Ok(())
    }
}

impl Origins {
    fn read_directory(&mut self, directory: &str, machine: &Machine, sink: &mut dyn Sink) {
        let name = PartName::from_bytes(format!("origins of {directory}").as_bytes());
        if self.memory.carry(&name, machine, sink) == Carry::Carried {
            return;
        }
        let mut walk = Walk::new(machine);
        let reading = reading(&format!("{}_origins", self.product.name), self.version);
        let part = match (self.product.follow)(&mut walk, Path::new(directory)) {
            Ok(Found::Nothing) => return,
            Ok(Found::File) => walk.look.part(reading, Ok(walk.said())),
            Err(Trouble::Malformed(malformed)) => walk.look.part(reading, Err(malformed)),
            Err(Trouble::Unread(reason)) => RawPart::Unobserved(reason),
        };
        self.memory.say((name, part), walk.look, sink);
    }
}

/// Whether there was a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    File,
    Nothing,
}

/// Why the origins are not known.
enum Trouble {
    Malformed(Malformed),
    Unread(Reason),
}

impl From<FormatError> for Trouble {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Malformed(malformed) => Self::Malformed(malformed),
            FormatError::TooLarge => Self::Unread(Reason::TooLarge),
        }
    }
}

/// The way through the files of one configuration.
struct Walk<'a> {
    look: Look<'a>,
    items: RawItems,
    /// The files that were read, or are named and not there.
    read: BTreeMap<PathBuf, Found>,
    /// Device and inode of what was read: one file may have names without end (`a/../a`).
    known: BTreeSet<(u64, u64)>,
}

impl<'a> Walk<'a> {
    fn new(machine: &'a Machine) -> Self {
        Self {
            look: Look::new(machine),
            items: RawItems::new(),
            read: BTreeMap::new(),
            known: BTreeSet::new(),
        }
    }

    /// What `path` says by `format`, once; `None` when it is not there or was read before.
    fn file(&mut self, path: &Path, format: &Format) -> Result<Option<RawItems>, Trouble> {
        if self.read.contains_key(path) {
            return Ok(None);
        }
        if self.read.len() >= FILES {
            return Err(Trouble::Unread(Reason::TooLarge));
        }
        let content = self.look.read(path, limits::FILE_BYTES).map_err(Trouble::Unread)?;
        let found = if content.is_some() { Found::File } else { Found::Nothing };
        self.read.insert(path.to_path_buf(), found);
        let Some(content) = content else { return Ok(None) };
        if !self.known.insert((content.stat.st_dev, content.stat.st_ino)) {
            return Ok(None);
        }
        Ok(Some((format.read)(&content.bytes)?))
    }

    /// The files that a pattern in a file of `directory` names, in the server's order; the path
    /// itself where it is no pattern, whether or not anything is there.
    fn named(&mut self, directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, Trouble> {
        let pattern = include::beside(directory, pattern);
        include::expand(&mut self.look, &pattern).map_err(Trouble::Unread)
    }

    /// Says something, without a place: what stands where is the business of `files`.
    fn say<S: AsRef<str>>(&mut self, key: impl IntoIterator<Item = S>, item: RawItem) {
        self.items.insert(ItemKey::of(key), RawItem { rank: None, ..item });
    }

    /// Everything there is to say.
    fn said(&self) -> RawItems {
        let mut items = self.items.clone();
        for (path, found) in &self.read {
            let value = match found {
                Found::File => ItemValue::Nothing,
                Found::Nothing => ItemValue::text("not there"),
            };
            let path = PartName::from_bytes(&path_bytes(path.as_ref()));
            items.insert(ItemKey::of(["reads", path.as_str()]), RawItem::plain(value));
        }
        items
    }

    fn found(&self) -> Found {
        let any = self.read.values().any(|found| *found == Found::File);
        if any { Found::File } else { Found::Nothing }
    }
}

/// The names in `key` from `name` on, if it holds that name.
fn from_name(key: &ItemKey, name: &str) -> Option<Vec<String>> {
    let segments: Vec<String> = key.segments().collect();
    let at = segments.iter().position(|segment| segment == name)?;
    segments.get(at..).map(<[String]>::to_vec)
}

/// The texts of a value.
fn texts(value: &ItemValue) -> BTreeSet<String> {
    match value {
        ItemValue::Text(text) => BTreeSet::from([text.clone()]),
        ItemValue::List(values) => values.iter().flat_map(texts).collect(),
        ItemValue::Set(values) => values.iter().flat_map(texts).collect(),
        ItemValue::Lines(lines) => lines.iter().cloned().collect(),
        ItemValue::Nothing
        | ItemValue::Flag(_)
        | ItemValue::Integer(_)
        | ItemValue::Fingerprint(_) => BTreeSet::new(),
    }
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
