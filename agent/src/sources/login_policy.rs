//! Who may log in and how: sshd, PAM, passwords and polkit.
//!
//! Part `sshd`, from `/etc/ssh/sshd_config` and everything it includes, resolved as sshd
//! resolves it: first value wins, includes in place, `Match` blocks in order. It says what is
//! *set*: a keyword that is not set has the default of the installed version, which sshd knows and
//! this page does not (the version is in `packages`). One file that cannot be read leaves the whole
//! part unobserved, since it may decide any keyword.
//!
//! Beside it `pam`, the stacks of the services through which people come in with what they include;
//! `login_defs`; `password_quality` and `lock` (pwquality, faillock); `polkit`, the rules by
//! digest.

mod pam;
mod passwords;
mod polkit;

use std::path::{Path, PathBuf};

use driftline_protocol::ids::SourceName;
use driftline_protocol::limits;
use driftline_protocol::redact::RawPart;
use driftline_protocol::snapshot::{Domain, Reason};

use crate::content::reading;
use crate::formats::sshd::{self, Policy, Step};
use crate::machine::Machine;
use crate::sources::look::{Look, Memory};
use crate::sources::table::{Bytes, Table, Trouble, read_all};
use crate::sources::{Carry, Manual, Sink, Source, include, part_name, source_name};

/// Where sshd begins to read, and what relative includes are relative to.
const FILE: &str = "/etc/ssh/sshd_config";
const DIRECTORY: &str = "/etc/ssh";

/// How deep includes may nest (`SERVCONF_MAX_DEPTH` in OpenSSH).
const DEPTH: usize = 16;

/// The most files one policy may have; without it, nested patterns could name files without end.
const FILES: usize = 1_024;

/// Raised whenever the same files give other items.
const VERSION: u32 = 1;

const TABLES: &[Table] = &[
    Table { name: "pam", bytes: Bytes::Kept, read: pam::configured },
    Table { name: "login_defs", bytes: Bytes::Kept, read: passwords::login },
    Table { name: "password_quality", bytes: Bytes::Kept, read: passwords::quality },
    Table { name: "lock", bytes: Bytes::Kept, read: passwords::lock },
    Table { name: "polkit", bytes: Bytes::Kept, read: polkit::rules },
];

/// The source; see the page's head.
pub struct LoginPolicy {
    version: u32,
    memory: Memory,
}

impl LoginPolicy {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default() }
    }
}

impl Default for LoginPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for LoginPolicy {
    fn name(&self) -> SourceName {
        source_name("login_policy")
    }

    fn domain(&self) -> Domain {
        Domain::Policy
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`sshd`: what sshd_config and its includes set; `pam`: the stacks people log in \
                by; `login_defs`, `password_quality`, `lock`, `polkit`",
            ordered: "`Match` blocks, algorithm lists and AuthorizedKeysFile; steps of PAM",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let more = ["/etc/ssh/sshd_config.d", "/etc/login.defs", "/etc/security"];
        let places = [FILE].into_iter().chain(more).chain(pam::DIRECTORIES);
        places.chain(polkit::DIRECTORIES).map(PathBuf::from).collect()
    }

    fn watched_alone(&self) -> Vec<PathBuf> {
        self.memory.beyond(&self.watched())
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        read_all(TABLES, ("login_policy", self.version), &mut self.memory, (machine, sink));
        self.sshd(machine, sink);
        Ok(())
    }
}

impl LoginPolicy {
    fn sshd(&mut self, machine: &Machine, sink: &mut dyn Sink) {
        let name = part_name("sshd");
        if self.memory.carry(&name, machine, sink) == Carry::Carried {
            return;
        }
        let mut walk = Walk { look: Look::new(machine), policy: Policy::default(), files: 0 };
        let reading = reading("sshd_policy", self.version);
        let part = match walk.file(Path::new(FILE), 0) {
            Ok(Found::Nothing) => return,
            Ok(Found::File) => walk.look.part(reading, Ok(walk.policy.items())),
            Err(Trouble::Malformed(malformed)) => walk.look.part(reading, Err(malformed)),
            Err(Trouble::Unread(reason)) => RawPart::Unobserved(reason),
        };
        self.memory.say((name, part), walk.look, sink);
    }
}

/// The way through the files, in the order in which sshd reads them.
struct Walk<'a> {
    look: Look<'a>,
    policy: Policy,
    files: usize,
}

/// Whether there was a file.
enum Found {
    File,
    Nothing,
}

impl Walk<'_> {
    fn file(&mut self, path: &Path, depth: usize) -> Result<Found, Trouble> {
        self.files += 1;
        if depth > DEPTH || self.files > FILES {
            return Err(Trouble::Unread(Reason::TooLarge));
        }
        let content = self.look.read(path, limits::FILE_BYTES).map_err(Trouble::Unread)?;
        let Some(content) = content else { return Ok(Found::Nothing) };
        for directive in sshd::directives(&content.bytes).map_err(Trouble::Malformed)? {
            match self.policy.apply(&directive).map_err(Trouble::Malformed)? {
                Step::Done => {}
                Step::Include(patterns) => self.include(&patterns, depth)?,
            }
        }
        Ok(Found::File)
    }

    fn include(&mut self, patterns: &[String], depth: usize) -> Result<(), Trouble> {
        for pattern in patterns {
            let pattern = include::beside(Path::new(DIRECTORY), pattern);
            let paths = include::expand(&mut self.look, &pattern).map_err(Trouble::Unread)?;
            for path in paths {
                self.policy.enter();
                self.file(&path, depth + 1)?;
                self.policy.leave();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
