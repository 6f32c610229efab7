//! Who may log in and how: the effective settings of sshd.
//!
//! One part, `sshd`, from `/etc/ssh/sshd_config` and everything it includes, resolved as sshd
//! resolves it: first value wins, includes in place, `Match` blocks in order. It says what is
//! *set*: a keyword that is not set has the default of the installed version, which sshd knows and
//! this page does not (the version is in `packages`). One file that cannot be read leaves the whole
//! part unobserved, since it may decide any keyword.

use std::path::{Path, PathBuf};

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::SourceName;
use driftline_protocol::limits;
use driftline_protocol::redact::RawPart;
use driftline_protocol::snapshot::{Domain, Reading, Reason};

use crate::formats::Malformed;
use crate::formats::sshd::{self, Policy, Step};
use crate::machine::Machine;
use crate::sources::look::{Look, Memory};
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
            parts: "`sshd`: what sshd_config and its includes set",
            ordered: "`Match` blocks, algorithm lists and AuthorizedKeysFile",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        vec![FILE.into(), format!("{FILE}.d").into()]
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let name = part_name("sshd");
        if self.memory.carry(&name, machine, sink) == Carry::Carried {
            return Ok(());
        }
        let mut walk = Walk { look: Look::new(machine), policy: Policy::default(), files: 0 };
        let reading = Reading {
            parser: "sshd_policy".into(),
            version: self.version,
            scope: scope_digest([""; 0]),
        };
        let part = match walk.file(Path::new(FILE), 0) {
            Ok(Found::Nothing) => return Ok(()),
            Ok(Found::File) => walk.look.part(reading, Ok(walk.policy.items())),
            Err(Trouble::Malformed(malformed)) => walk.look.part(reading, Err(malformed)),
            Err(Trouble::Unread(reason)) => RawPart::Unobserved(reason),
        };
        self.memory.say((name, part), walk.look, sink);
        Ok(())
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

/// Why the policy is not known.
enum Trouble {
    Malformed(Malformed),
    Unread(Reason),
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
pub(in crate::sources) mod tests;
