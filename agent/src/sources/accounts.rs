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
//! homes. So are keys behind a link that leads out of a home: what stands there may be for root
//! alone, and whoever owns the home may have put the link there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reading, Reason};

use crate::content::reading;
use crate::formats::Malformed;
use crate::formats::build::Builder;
use crate::formats::sudoers::{self, Entry, Policy};
use crate::machine::Machine;
use crate::sources::local_accounts::{self, Home, Homes, PASSWD, Who};
use crate::sources::look::{Look, Memory};
use crate::sources::{
    Carry, HOME_FILE_BYTES, Manual, Sink, Source, include, part_name, source_name,
};

mod keys;
mod tables;

/// Raised whenever the same files give other items.
const VERSION: u32 = 2;

const SUDOERS: &str = "/etc/sudoers";

/// The other tables: part, path and reader.
const TABLES: &[(&str, &str, Reader)] = &[
    ("group", "/etc/group", tables::group),
    ("shadow", "/etc/shadow", tables::shadow),
    ("gshadow", "/etc/gshadow", tables::gshadow),
];

/// The folder of a home, and the files there, that sshd reads where nobody configured others
/// (sshd_config(5), AuthorizedKeysFile).
const KEYS_FOLDER: &str = ".ssh";
const KEY_FILES: [&str; 2] = ["authorized_keys", "authorized_keys2"];

/// The place of all parts that come from homes.
const KEYS_PLACE: &str = "authorized_keys";

/// The most homes that are looked into; each costs some three looks that find nothing.
const HOMES: usize = 16 * 1_024;

/// How many sudoers files may be read, and so how deep includes go (sudo itself stops at a depth of
/// 128).
const SUDOERS_FILES: usize = 1_024;
const SUDOERS_DEPTH: usize = 128;

type Reader = fn(&[u8]) -> Result<RawItems, Malformed>;

/// The source; see the page's head.
pub struct Accounts {
    version: u32,
    memory: Memory,
    homes: Homes,
}

impl Accounts {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default(), homes: Homes::default() }
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
                `authorized_keys/USER` for each home that has keys. Those are unobserved behind a \
                link that leads out of the home, and in a home that belongs neither to its account \
                nor to root. `authorized_keys` is unobserved where `/etc/passwd` cannot be read, \
                has a malformed line or more than 16,384 homes: what was known of accounts that \
                this may hide is unobserved, too",
            ordered: "the rules of `sudoers`, and member lists with a negated member",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let tables = TABLES.iter().map(|(_, path, _)| (*path).into());
        let fixed = [PASSWD.into(), SUDOERS.into(), format!("{SUDOERS}.d").into()];
        fixed.into_iter().chain(tables).collect()
    }

    fn watched_alone(&self) -> Vec<PathBuf> {
        let folders = self.homes.known.iter().map(|home| home.path.join(KEYS_FOLDER));
        let keys = folders.flat_map(|folder| KEY_FILES.map(|name| folder.join(name)));
        keys.chain(self.memory.beyond(&self.watched())).collect()
    }

    fn covers(&self, part: &PartName) -> bool {
        let user = part.as_str().split_once('/').filter(|(place, _)| *place == KEYS_PLACE);
        user.is_none_or(|(_, user)| self.homes.covers(user))
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let pass = &mut Pass { machine, sink };
        self.passwd(pass);
        for (name, path, reader) in TABLES {
            self.part(pass, part_name(name), |look, reading| {
                Ok(look
                    .read(Path::new(path), limits::FILE_BYTES)?
                    .map(|content| look.part(reading, reader(&content.bytes))))
            });
        }
        self.part(pass, part_name("sudoers"), sudoers);
        self.keys(pass);
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
        let mut look = Look::of_people(pass.machine);
        let reading = reading("accounts", self.version);
        let part = match read(&mut look, reading) {
            Ok(None) => return,
            Ok(Some(part)) => part,
            Err(reason) => RawPart::Unobserved(reason),
        };
        self.memory.say((name, part), look, pass.sink);
    }

    /// Reads passwd, and learns the homes where it is not the same.
    fn passwd(&mut self, pass: &mut Pass<'_>) {
        let mut homes = None;
        self.part(pass, part_name("passwd"), |look, reading| {
            let read = look.read(Path::new(PASSWD), limits::FILE_BYTES);
            let content = read.inspect_err(|reason| homes = Some(Homes::unknown_for(*reason)))?;
            let bytes = content.as_ref().map_or(&[][..], |content| &content.bytes);
            homes = Some(local_accounts::Accounts::of(bytes).homes(&Who::Everybody, HOMES));
            Ok(content.map(|content| look.part(reading, tables::passwd(&content.bytes))))
        });
        if let Some(homes) = homes {
            self.homes = homes;
        }
    }

    fn keys(&mut self, pass: &mut Pass<'_>) {
        let homes = std::mem::take(&mut self.homes);
        let mut there = BTreeSet::new();
        for home in &homes.known {
            let name = PartName::from_bytes(format!("{KEYS_PLACE}/{}", home.name).as_bytes());
            match home.fence(pass.machine) {
                Ok(None) => continue,
                Ok(Some(machine)) => {
                    let pass = &mut Pass { machine: &machine, sink: pass.sink };
                    self.part(pass, name.clone(), |look, reading| keys(look, reading, home));
                }
                Err(reason) => {
                    // Where no keys are none are hidden; that is all that is looked at of them.
                    let folder = pass.machine.stat_followed(&home.path.join(KEYS_FOLDER));
                    if !matches!(folder, Ok(None)) {
                        pass.sink.seen(name.clone(), RawPart::Unobserved(reason));
                    }
                }
            }
            there.insert(name);
        }
        let place = format!("{KEYS_PLACE}/");
        self.memory.retain(|part| !part.as_str().starts_with(&place) || there.contains(part));
        match (homes.nobody(), homes.unknown()) {
            (Some(reason), _) => pass.sink.blind(&part_name(KEYS_PLACE), reason),
            (None, Some(reason)) => {
                pass.sink.seen(part_name(KEYS_PLACE), RawPart::Unobserved(reason));
            }
            (None, None) => {}
        }
        self.homes = homes;
    }
}

/// The keys of one home, if it has any.
fn keys(look: &mut Look<'_>, reading: Reading, home: &Home) -> Result<Option<RawPart>, Reason> {
    let mut items = Builder::default();
    let mut is_there = false;
    for name in KEY_FILES {
        let path = home.path.join(KEYS_FOLDER).join(name);
        let Some(content) = look.read(&path, HOME_FILE_BYTES)? else { continue };
        is_there = true;
        keys::authorized_keys(name, &content.bytes, &mut items).map_err(|error| error.reason())?;
    }
    Ok(is_there.then(|| look.part(reading, Ok(items.finish()))))
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
