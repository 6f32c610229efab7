//! What runs at a time of its own: tables of cron and anacron, scripts of `cron.daily` and its kin,
//! and who may have a table.
//!
//! A part for each table under its path (`/etc/crontab`, `/etc/cron.d/…`, a user's in
//! `/var/spool/cron`), `scripts` with each script that `run-parts` would run, and `access` with
//! `cron.allow`, `cron.deny` and their kin of at(1). Timers of systemd are units: `services` tells
//! them, with what they start. Jobs of at(1) run once and are gone, so they are left out, and so is
//! when anything ran last. Which names count, `names` says. Order is as the format says.

mod names;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::{Domain, Reason};

use crate::formats::{Format, crontab};
use crate::machine::{Entry, Machine};
use crate::platform::FileType;
use crate::sources::cron::names::Names;
use crate::sources::look::{Look, Memory};
use crate::sources::table::{Bytes, Table, Trouble, read_all, say, text};
use crate::sources::{Manual, Sink, Source, each, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 2;

const TABLES: &[Table] = &[
    Table { name: "scripts", bytes: Bytes::Kept, read: scripts },
    Table { name: "access", bytes: Bytes::Kept, read: access },
];

/// Single tables.
const FILES: [(&str, &Format); 2] =
    [("/etc/crontab", &crontab::SYSTEM), ("/etc/anacrontab", &crontab::ANACRON)];

/// Where tables of the system stand.
const SYSTEM: &str = "/etc/cron.d";

/// Where tables stand, one a file.
const DIRECTORIES: [(&str, &Format); 4] = [
    (SYSTEM, &crontab::SYSTEM),
    ("/var/spool/cron/crontabs", &crontab::USER),
    ("/var/spool/cron/tabs", &crontab::USER),
    ("/var/spool/cron", &crontab::USER),
];

const SCRIPTS: [&str; 5] =
    ["/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly", YEARLY];
const YEARLY: &str = "/etc/cron.yearly";

const ACCESS: [&str; 4] = ["/etc/cron.allow", "/etc/cron.deny", "/etc/at.allow", "/etc/at.deny"];

/// The source; see the page's head.
pub struct Cron {
    version: u32,
    memory: Memory,
}

impl Cron {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default() }
    }
}

impl Default for Cron {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for Cron {
    fn name(&self) -> SourceName {
        source_name("cron")
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "each table of cron and anacron under its path, `scripts` (`cron.daily` and its \
                kin), `access` (`cron.allow` and its kin)",
            ordered: "as the format says",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let files = FILES.map(|(path, _)| path);
        let directories = DIRECTORIES.map(|(path, _)| path);
        let all = files.into_iter().chain(directories).chain(SCRIPTS).chain(ACCESS);
        // Which names count depends on the distribution.
        all.chain([names::DEBIAN]).map(PathBuf::from).collect()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        read_all(TABLES, ("cron", self.version), &mut self.memory, (machine, sink));
        let mut named = BTreeSet::new();
        for (path, format) in FILES {
            named.extend(each::file(
                (Path::new(path), format),
                self.version,
                &mut self.memory,
                (machine, sink),
            ));
        }
        let names = Names::of(machine);
        for (directory, format) in DIRECTORIES {
            let is_table = |entry: &Entry| {
                let name = entry.name.as_encoded_bytes();
                entry.kind != FileType::Directory
                    && match directory {
                        SYSTEM => names.is_table(name),
                        _ => names::is_table_of_user(name),
                    }
            };
            for path in each::below(directory, is_table, (machine, sink)) {
                named.extend(each::file(
                    (&path, format),
                    self.version,
                    &mut self.memory,
                    (machine, sink),
                ));
            }
        }
        self.memory.retain(|part| !part.as_str().starts_with('/') || named.contains(part));
        Ok(())
    }
}

/// `DIRECTORY/NAME` for each script: whether it would run, which it does when it is executable.
fn scripts(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    look.rely(Path::new(names::DEBIAN))?;
    let names = Names::of(look.machine());
    for directory in SCRIPTS {
        for entry in look.entries(Path::new(directory))?.unwrap_or_default() {
            if !names.is_script(entry.name.as_encoded_bytes()) {
                continue;
            }
            let path = Path::new(directory).join(&entry.name);
            look.rely(&path)?;
            let Some(stat) = look.machine().stat_followed(&path)? else { continue };
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                continue;
            }
            let short = directory.trim_start_matches("/etc/cron.");
            let name = entry.name.to_string_lossy();
            say(&mut items, [short, &name], ItemValue::Flag(stat.st_mode & 0o111 != 0));
        }
    }
    Ok((!items.is_empty()).then_some(items))
}

/// The users each file names, as a set.
fn access(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    for path in ACCESS {
        if let Some(text) = text(look, path, limits::FILE_BYTES)? {
            let users = text.lines().map(str::trim);
            let users = users.filter(|line| !line.is_empty() && !line.starts_with('#'));
            let users = users.map(ItemValue::text).collect();
            let short = path.trim_start_matches("/etc/");
            say(&mut items, [short], ItemValue::Set(users));
        }
    }
    Ok((!items.is_empty()).then_some(items))
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
