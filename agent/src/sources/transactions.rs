//! What package managers and configuration-management tools wrote down of their own newest runs:
//! who asked, with which command, when, and what each run changed.
//!
//! A part for each tool that keeps such a file: `apt`, `dnf`, `zypper`, `puppet`. All of it is of
//! the moment (`ItemKey::momentary`): evidence for changes that other sources tell of, and no
//! change and no drift by itself. A run that changed nothing is not told, so an agent of Puppet
//! that finds everything in place each half hour costs nothing.
//!
//! | key, below `@now/run/ID/` | value |
//! |---|---|
//! | `began`, `ended` | when, UTC, RFC 3339 |
//! | `result` | `success`, `failed`, or `unfinished` where the tool wrote no end |
//! | `asked_by` | the account, where the tool knows it |
//! | `command` | the command line, through the redactor as any other |
//! | `environment`, `version` | of Puppet: the environment, and the version of its catalogue |
//! | `installed/NAME`, `upgraded/NAME`, … | the version |
//! | `automatic/NAME` | that another package needed it, and nobody named it |
//! | `file/PATH` | the keyed digest of a file that is as the run left it, or no; none if untold |
//! | `gone/PATH` | whether a file that the run removed is gone |
//! | `mode/PATH`, `owner/PATH`, `group_of/PATH` | what the run set, if it still is; else no |
//! | `user/NAME`, `group/NAME`, `package/NAME`, `service/NAME` | the run changed it |
//!
//! Whose a file is, is not told where nobody can say what number the name has.
//!
//! A file is compared when its report is read, since that is what the report is about; a later edit
//! does not make a run have left something else. A secret as a whole is not compared, nor is what
//! the configuration leaves out, a link, and what stands behind one. What is told is what the tools
//! wrote: whoever has root can write these files, as dpkg's own. Nothing is known of tools
//! that keep no such file (Ansible and Salt write to the system's log at most, Chef only where
//! somebody configured a handler), of rotated logs, and of what a run changed beside its resources,
//! such as by a script.

pub mod apt;
mod clock;
mod dnf;
mod known;
pub mod puppet;
mod run;
pub mod zypper;

use std::path::{Path, PathBuf};

use driftline_protocol::ids::SourceName;
use driftline_protocol::redact::RawPart;
use driftline_protocol::snapshot::{Domain, Reading, Reason};
use jiff::tz::TimeZone;

use self::run::{Run, Told};
use crate::content::reading;
use crate::formats::Malformed;
use crate::machine::Machine;
use crate::sources::files::scope::Scope;
use crate::sources::glob::GlobError;
use crate::sources::look::{Look, Memory};
use crate::sources::table::{Trouble, momentary};
use crate::sources::{Carry, Manual, Sink, Source, part_name, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 3;

/// The largest log that is read, in bytes; one of zypper is never rotated.
const LOG_BYTES: u64 = 256 * 1024 * 1024;

/// How much of its end is looked at, in bytes. The upgrade of a whole distribution is a stanza of
/// 300 kB.
const END_BYTES: usize = 4 * 1024 * 1024;

/// Reads what one tool wrote; nothing where it keeps nothing on this host.
type Reader = fn(&mut Look<'_>) -> Result<Option<Told>, Trouble>;

/// The tools: part, the files whose change wakes the source, and reader.
const TOOLS: &[(&str, &[&str], Reader)] = &[
    ("apt", &[apt::LOG], apt::read),
    ("dnf", &dnf::WATCHED, dnf::read),
    ("zypper", &[zypper::LOG], zypper::read),
    ("puppet", &puppet::REPORTS, puppet::read),
];

/// The source; see the page's head.
pub struct Transactions {
    version: u32,
    memory: Memory,
    /// What is a secret as a whole, and compared with nothing.
    secret: Scope,
}

impl Transactions {
    /// A source that remembers nothing yet; files that `withhold` or `exclude` names are not
    /// compared.
    ///
    /// # Errors
    /// [`GlobError`] for the first text that is no pattern.
    pub fn new(withhold: &[String], exclude: &[String]) -> Result<Self, GlobError> {
        let secret = Scope::new(&[], exclude, withhold)?;
        Ok(Self { version: VERSION, memory: Memory::default(), secret })
    }

    fn reading(&self) -> Reading {
        reading("transactions", self.version)
    }
}

impl Source for Transactions {
    fn name(&self) -> SourceName {
        source_name("transactions")
    }

    fn domain(&self) -> Domain {
        Domain::Runtime
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`apt`, `dnf`, `zypper` and `puppet`, where they keep a log of what they did: \
                the newest runs that changed something, as evidence and never as a change",
            ordered: "none",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let files = TOOLS.iter().flat_map(|(_, files, _)| files.iter());
        // Logs tell the hour of the place, not of the world.
        files.chain([&clock::ZONE]).map(PathBuf::from).collect()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        for (tool, _, read) in TOOLS {
            let name = part_name(tool);
            if self.memory.carry(&name, machine, sink) == Carry::Carried {
                continue;
            }
            let mut look = Look::new(machine);
            let part = match read(&mut look) {
                Ok(None) => continue,
                Ok(Some(told)) => momentary(self.reading(), told.items(machine, &self.secret)),
                // It has no attributes that would stay, so that none come with a log that breaks.
                Err(Trouble::Malformed(_)) => RawPart::Unobserved(Reason::Malformed),
                Err(Trouble::Unread(reason)) => RawPart::Unobserved(reason),
            };
            self.memory.say((name, part), look, sink);
        }
        Ok(())
    }
}

/// Gives the runs of a log, and how much of it is none.
type Parser = fn(&str, &TimeZone) -> Result<(Vec<Run>, u64), Malformed>;

/// What the log at `path` tells, which `parse` understands in the host's zone.
fn of_text(look: &mut Look<'_>, path: &str, parse: Parser) -> Result<Option<Told>, Trouble> {
    let Some(text) = end_of(look, path)? else { return Ok(None) };
    let zone = clock::zone(look)?;
    let (runs, unread) = parse(&text, &zone)?;
    Ok(Some(Told { runs, unread }))
}

/// The end of a log, as text; nothing where there is none.
fn end_of(look: &mut Look<'_>, path: &str) -> Result<Option<String>, Reason> {
    let mut end: Vec<u8> = Vec::new();
    let mut take = |piece: &[u8]| {
        end.extend_from_slice(piece);
        if end.len() > 2 * END_BYTES {
            end.drain(..end.len() - END_BYTES);
        }
    };
    let found = look.pieces(Path::new(path), LOG_BYTES, &mut take)?;
    Ok(found.then(|| String::from_utf8_lossy(&end).into_owned()))
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
