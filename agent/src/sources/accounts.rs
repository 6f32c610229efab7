//! Who is known to this host, and who may become whom.
//!
//! Parts: `passwd`, `group`, `shadow`, `gshadow` (local accounts; what a directory adds is not in
//! these files), `sudoers` with its includes resolved, and `authorized_keys/USER` for each home
//! that has one. Of a password its *state* is told (locked, none, which algorithm, when changed)
//! and a keyed fingerprint of its hash. The hash itself never leaves; without the fingerprint a
//! hash that was replaced by hand, which leaves the day of change alone, would be told by the
//! file's digest only and pass for cosmetic. It shows, too, one image's password on many hosts.
//!
//! What cannot be read is unobserved: without root that is `shadow`, `sudoers` and other people's
//! homes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reading, Reason};

use crate::formats::Malformed;
use crate::formats::sudoers::{self, Entry, Policy};
use crate::machine::Machine;
use crate::sources::look::{Look, Memory};
use crate::sources::{Carry, Manual, Sink, Source, include, part_name, source_name};

mod keys;
mod tables;

/// Raised whenever the same files give other items.
const VERSION: u32 = 1;

const PASSWD: &str = "/etc/passwd";
const SUDOERS: &str = "/etc/sudoers";

/// The other tables: part, path and reader.
const TABLES: &[(&str, &str, Reader)] = &[
    ("group", "/etc/group", tables::group),
    ("shadow", "/etc/shadow", tables::shadow),
    ("gshadow", "/etc/gshadow", tables::gshadow),
];

/// The files of a home that sshd reads where nobody configured others (sshd_config(5),
/// AuthorizedKeysFile).
const KEY_FILES: &[&str] = &["authorized_keys", "authorized_keys2"];

/// The place of all parts that come from homes.
const KEYS_PLACE: &str = "authorized_keys";

/// How many sudoers files may be read, and so how deep includes go (sudo itself stops at a depth of
/// 128).
const SUDOERS_FILES: usize = 1_024;
const SUDOERS_DEPTH: usize = 128;

type Reader = fn(&[u8]) -> Result<RawItems, Malformed>;

/// The source; see the page's head.
pub struct Accounts {
    version: u32,
    memory: Memory,
    homes: BTreeMap<String, PathBuf>,
}

impl Accounts {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default(), homes: BTreeMap::new() }
    }
}

impl Default for Accounts {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for Accounts {
    fn name(&self) -> SourceName {
        source_name("accounts")
    }

    fn domain(&self) -> Domain {
        Domain::Identity
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`passwd`, `group`, `shadow`, `gshadow`, `sudoers` with its includes, and \
                `authorized_keys/USER` for each home that has keys",
            ordered: "the rules of `sudoers`, and member lists with a negated member",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let tables = TABLES.iter().map(|(_, path, _)| (*path).into());
        let fixed = [PASSWD.into(), SUDOERS.into(), format!("{SUDOERS}.d").into()];
        let homes = self.homes.values().map(|home| home.join(".ssh"));
        fixed.into_iter().chain(tables).chain(homes).collect()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let pass = &mut Pass { machine, sink };
        let homes = self.passwd(pass);
        for (name, path, reader) in TABLES {
            self.part(pass, part_name(name), |look, reading| {
                Ok(look
                    .read(Path::new(path), limits::FILE_BYTES)?
                    .map(|content| look.part(reading, reader(&content.bytes))))
            });
        }
        self.part(pass, part_name("sudoers"), sudoers);
        match homes {
            Ok(()) => self.keys(pass),
            Err(reason) => pass.sink.blind(&part_name(KEYS_PLACE), reason),
        }
        Ok(())
    }
}

/// What one pass reads from and speaks to.
struct Pass<'a> {
    machine: &'a Machine,
    sink: &'a mut dyn Sink,
}

impl Accounts {
    /// Says what `read` makes of one part, or that it is the same.
    fn part(
        &mut self,
        pass: &mut Pass<'_>,
        name: PartName,
        read: impl FnOnce(&mut Look<'_>, Reading) -> Result<Option<RawPart>, Reason>,
    ) {
        if self.memory.carry(&name, pass.machine, pass.sink) == Carry::Carried {
            return;
        }
        let mut look = Look::new(pass.machine);
        let reading = Reading {
            parser: "accounts".into(),
            version: self.version,
            scope: scope_digest([""; 0]),
        };
        let part = match read(&mut look, reading) {
            Ok(None) => return,
            Ok(Some(part)) => part,
            Err(reason) => RawPart::Unobserved(reason),
        };
        self.memory.say((name, part), look, pass.sink);
    }

    /// Reads passwd and learns the homes; an error says why they are not known.
    fn passwd(&mut self, pass: &mut Pass<'_>) -> Result<(), Reason> {
        let mut homes = Ok(None);
        self.part(pass, part_name("passwd"), |look, reading| {
            let content =
                look.read(Path::new(PASSWD), limits::FILE_BYTES).inspect_err(|reason| {
                    homes = Err(*reason);
                })?;
            let bytes = content.as_ref().map_or(&[][..], |content| &content.bytes);
            homes = tables::homes(bytes).map(Some).map_err(|_| Reason::Malformed);
            Ok(content.map(|content| look.part(reading, tables::passwd(&content.bytes))))
        });
        if let Some(homes) = homes? {
            self.homes = homes;
        }
        Ok(())
    }

    fn keys(&mut self, pass: &mut Pass<'_>) {
        let name = |user: &str| PartName::from_bytes(format!("{KEYS_PLACE}/{user}").as_bytes());
        for (user, home) in self.homes.clone() {
            self.part(pass, name(&user), |look, reading| keys(look, reading, &home));
        }
        let there: Vec<PartName> = self.homes.keys().map(|user| name(user)).collect();
        let place = format!("{KEYS_PLACE}/");
        self.memory.retain(|part| !part.as_str().starts_with(&place) || there.contains(part));
    }
}

/// The keys of one home, if it has any.
fn keys(look: &mut Look<'_>, reading: Reading, home: &Path) -> Result<Option<RawPart>, Reason> {
    let mut items = Ok(RawItems::new());
    let mut is_there = false;
    for name in KEY_FILES {
        let path = home.join(".ssh").join(name);
        let Some(content) = look.read(&path, limits::FILE_BYTES)? else { continue };
        is_there = true;
        items = items.and_then(|mut items| {
            items.extend(keys::authorized_keys(name, &content.bytes)?);
            Ok(items)
        });
    }
    Ok(is_there.then(|| look.part(reading, items)))
}

/// The rules of sudo, includes resolved.
fn sudoers(look: &mut Look<'_>, reading: Reading) -> Result<Option<RawPart>, Reason> {
    let mut walk = Walk { look, policy: Policy::default(), malformed: None, files: 0 };
    if !walk.file(Path::new(SUDOERS), 0)? {
        return Ok(None);
    }
    let Walk { policy, malformed, .. } = walk;
    let items = malformed.map_or_else(|| Ok(policy.items()), Err);
    Ok(Some(look.part(reading, items)))
}

/// The way through the sudoers files, in the order in which sudo reads them.
struct Walk<'look, 'machine> {
    look: &'look mut Look<'machine>,
    policy: Policy,
    malformed: Option<Malformed>,
    files: usize,
}

impl Walk<'_, '_> {
    /// Reads one file and what it includes; gives whether it is there.
    fn file(&mut self, path: &Path, depth: usize) -> Result<bool, Reason> {
        self.files += 1;
        if depth > SUDOERS_DEPTH || self.files > SUDOERS_FILES {
            return Err(Reason::TooLarge);
        }
        let Some(content) = self.look.read(path, limits::FILE_BYTES)? else { return Ok(false) };
        let entries = match sudoers::entries(&content.bytes) {
            Ok(entries) => entries,
            Err(malformed) => {
                self.malformed.get_or_insert(malformed);
                return Ok(true);
            }
        };
        for entry in entries {
            match entry {
                Entry::Include(ref included) => {
                    self.file(&resolved(path, included)?, depth + 1)?;
                }
                Entry::IncludeDirectory(ref included) => {
                    self.directory(&resolved(path, included)?, depth)?;
                }
                Entry::Alias(_) | Entry::Defaults(_) | Entry::Rule(_) => self.policy.add(entry),
            }
        }
        Ok(true)
    }

    fn directory(&mut self, directory: &Path, depth: usize) -> Result<(), Reason> {
        for entry in self.look.entries(directory)?.unwrap_or_default() {
            if entry.name.to_str().is_some_and(sudoers::is_included) {
                match self.file(&directory.join(&entry.name), depth + 1) {
                    // sudo passes over whatever is no regular file.
                    Ok(_) | Err(Reason::Unsupported) => {}
                    Err(reason) => return Err(reason),
                }
            }
        }
        Ok(())
    }
}

/// The path of an include as written in `file`; `%h`, the host's name, would make one part differ
/// by host.
fn resolved(file: &Path, included: &str) -> Result<PathBuf, Reason> {
    if included.contains("%h") {
        return Err(Reason::Unsupported);
    }
    let directory = file.parent().unwrap_or(Path::new("/"));
    Ok(include::beside(directory, included).into())
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
