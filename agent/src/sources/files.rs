//! The files of the host: who may read them, where links point, what they say.
//!
//! Every path in scope is one part, whatever it is: file, directory, link, FIFO, socket, device.
//! Attributes are items (`@type`, `@mode`, `@owner`, `@group`, `@target`, `@device`, `@mount`);
//! what a file says is read by the format that claims it, and opaque content is one item,
//! `@content`. Nothing but regular files is opened, links are never followed but at a root, and
//! whole secrets are never read.
//!
//! The walk stays on the file system of its root. A directory where another one is mounted is a
//! part with `@mount`, what lies below it is unobserved; name it in `include` to have it read. So a
//! dead network share below `/etc` cannot hang the agent, and nobody's home is read because it was
//! mounted in the wrong place.
//!
//! Between passes a path costs 44 bytes. A file whose identity, size, times, mode and owners are
//! what they were is not opened; once a day each file is read all the same, because times can lie.
//! Every pass looks at every path, also where the kernel would have told of a change: a rescan is
//! there for what it does not tell.

mod cache;
mod look;
pub mod scope;
#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
mod walk;
#[cfg(test)]
pub(in crate::sources) mod windows;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::snapshot::{Domain, Reason};
use serde::Deserialize;

use self::cache::Cache;
use self::look::Looker;
use self::scope::Scope;
use self::walk::{Trust, Walk};
use super::glob::GlobError;
use super::{Manual, Sink, Source, source_name};
use crate::machine::Machine;
use crate::platform::System;

/// How long an unchanged file is trusted without being read again.
const FULL_READ_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// Added to the version of every format and of the attributes: raised whenever this source makes
/// other items of what they say.
const VERSION: u32 = 0;

/// Which files are read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Paths that are parts, as patterns with `*`, `?`, `**`, `[a-z]` and `{a,b}`. Default:
    /// `/etc/**`.
    pub include: Vec<String>,
    /// Paths that are not, with everything below them. Default: what changes by itself, such as
    /// `/etc/mtab`.
    pub exclude: Vec<String>,
    /// Files whose content is a secret as a whole, beside the known ones such as `/etc/shadow`.
    /// Default: none.
    pub withhold: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self::of(System::HOST)
    }
}

impl Config {
    /// What is read of a host of `system` where nothing is said.
    pub fn of(system: System) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let include = match system {
            System::Unix => scope::INCLUDE,
            System::Windows => scope::WINDOWS,
        };
        Self { include: owned(include), exclude: owned(scope::EXCLUDE), withhold: Vec::new() }
    }
}

/// See the module.
pub struct Files {
    version: u32,
    scope: Scope,
    roots: BTreeSet<String>,
    cache: Cache,
    full_read_every: Duration,
    /// When every file was last read.
    full_read: Option<Instant>,
}

impl Files {
    /// The files that `config` names.
    ///
    /// # Errors
    /// [`GlobError`] for the first text that is no pattern.
    pub fn new(config: &Config) -> Result<Self, GlobError> {
        let scope = Scope::new(&config.include, &config.exclude, &config.withhold)?;
        Ok(Self {
            version: VERSION,
            roots: scope.roots(),
            scope,
            cache: Cache::default(),
            full_read_every: FULL_READ_EVERY,
            full_read: None,
        })
    }
}

impl Source for Files {
    fn name(&self) -> SourceName {
        source_name("files")
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "each path below `[files] include`, read by the format that claims it \
                (see formats.md); its attributes alone where none does",
            ordered: "as the format says",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        self.roots.iter().map(PathBuf::from).collect()
    }

    fn covers(&self, part: &PartName) -> bool {
        self.scope.covers(part.as_str())
    }

    #[allow(clippy::disallowed_methods, reason = "how long ago all bytes were read decides")]
    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let full = self.full_read.is_none_or(|at| at.elapsed() >= self.full_read_every);
        let trust = if full { Trust::Bytes } else { Trust::Times };
        self.cache.begin();
        let looker = Looker::new(machine, &self.scope, self.version);
        Walk::new(looker, &self.roots, &mut self.cache, sink).run(trust);
        self.cache.end();
        if full {
            self.full_read = Some(Instant::now());
        }
        Ok(())
    }
}
