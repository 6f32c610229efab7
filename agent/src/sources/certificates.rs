//! Which certificates lie on the host, and which roots it trusts.
//!
//! A part for each file below `/etc` and `/usr/local/share/ca-certificates` that holds X.509
//! certificates (PEM or DER, by its ending), under its path, and `trust_store`: the bundle of
//! roots as a counted set. Of each certificate stand here what it says of itself (subject, names,
//! issuer, validity, key, signature) and of the file whether its chain is complete, with the trust
//! store at its end.
//!
//! It checks no signature and no clock: how many days are left is a matter of when one asks. Files
//! that are secrets as a whole are not opened; of one that holds a private key beside its
//! certificate no digest is kept. Links of `/etc/ssl/certs` to the distribution's roots are not
//! told one by one, nor are the numbered copies in an archive of ACME clients, nor certificates in
//! key stores (`.p12`, `.jks`), which are encrypted.

mod chain;
pub(in crate::sources) mod facts;
mod pem;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::limits;
use driftline_protocol::redact::RawPart;
use driftline_protocol::snapshot::{Domain, Reading, Reason};

use self::chain::Trust;
use self::pem::Found;
use crate::content::{holds_private_key, reading};
use crate::machine::{Entry, Machine};
use crate::platform::FileType;
use crate::platform::path_bytes;
use crate::sources::files::scope::Scope;
use crate::sources::glob::GlobError;
use crate::sources::look::{Look, Memory};
use crate::sources::table::Trouble;
use crate::sources::{Carry, Manual, Sink, Source, part_name, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 1;

/// Where certificates are looked for.
const INCLUDE: &[&str] = &[
    "/etc/**/*.{pem,crt,cer,der,cert}",
    "/usr/local/share/ca-certificates/**/*.{pem,crt,cer,der,cert}",
];

/// Where they are not: made from others, or old by name.
const EXCLUDE: &[&str] = &[
    "/etc/pki/ca-trust/extracted/**",
    "/etc/ca-certificates/extracted/**",
    "/etc/letsencrypt/archive/**",
    "/etc/ssl/certs/java/**",
    "/etc/{.git,.hg,.bzr}/**",
];

/// Bundles of all trusted roots, of which a distribution has one.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// Where links to single roots of the bundle lie, and where they lead.
const LINKS: &str = "/etc/ssl/certs";
const ROOTS: [&str; 2] = ["/usr/share/ca-certificates/", "/usr/local/share/ca-certificates/"];

/// The most directories that are listed; `/etc` has a few hundred.
const DIRECTORIES: usize = 20_000;

/// The source; see the page's head.
pub struct Certificates {
    version: u32,
    scope: Scope,
    memory: Memory,
}

impl Certificates {
    /// A source that looks at the known places, and at `more`.
    ///
    /// # Errors
    /// [`GlobError`] for the first text that is no pattern.
    pub fn new(more: &[String]) -> Result<Self, GlobError> {
        let include: Vec<&str> =
            INCLUDE.iter().copied().chain(more.iter().map(String::as_str)).collect();
        let scope = Scope::new(&include, EXCLUDE, &[] as &[&str])?;
        Ok(Self { version: VERSION, scope, memory: Memory::default() })
    }
}

impl Source for Certificates {
    fn name(&self) -> SourceName {
        source_name("certificates")
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "each file with certificates below `/etc` and \
                `/usr/local/share/ca-certificates` and where `[certificates] include` says, and \
                `trust_store`, the roots the host trusts",
            ordered: "the certificates of a file keep their order; roots have none",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let roots = self.scope.roots();
        roots.iter().map(String::as_str).chain(BUNDLES).map(PathBuf::from).collect()
    }

    fn covers(&self, part: &PartName) -> bool {
        *part == part_name("trust_store") || self.scope.covers(part.as_str())
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let mut trust = Trust::of(BUNDLES.into_iter().find(|path| is_there(machine, path)));
        let mut named = BTreeSet::new();
        if let Some(path) = trust.path() {
            named.insert(self.trust_store(path, machine, sink));
        }
        let is_bundle = |path: &Path| BUNDLES.iter().any(|bundle| path == Path::new(bundle));
        for path in self.files(machine, sink) {
            if !is_bundle(&path) {
                named.insert(self.file(&path, &mut trust, (machine, sink)));
            }
        }
        self.memory.retain(|part| named.contains(part));
        Ok(())
    }
}

fn is_there(machine: &Machine, path: &str) -> bool {
    // A bundle that cannot be looked at is there as far as anybody knows.
    !matches!(machine.stat_followed(Path::new(path)), Ok(None))
}

impl Certificates {
    fn reading(&self) -> Reading {
        reading("certificates", self.version)
    }

    /// The roots the host trusts, as a set with its size.
    fn trust_store(&mut self, path: &str, machine: &Machine, sink: &mut dyn Sink) -> PartName {
        let name = part_name("trust_store");
        if self.memory.carry(&name, machine, sink) == Carry::Carried {
            return name;
        }
        let mut look = Look::new(machine);
        let part = match chain::roots(&mut look, path) {
            Ok(items) => look.part(self.reading(), Ok(items)),
            Err(Trouble::Malformed(malformed)) => look.part(self.reading(), Err(malformed)),
            Err(Trouble::Unread(reason)) => RawPart::Unobserved(reason),
        };
        self.memory.say((name.clone(), part), look, sink);
        name
    }

    /// The certificates of one file; nothing is said of a file that holds something else.
    fn file(
        &mut self,
        path: &Path,
        trust: &mut Trust,
        (machine, sink): (&Machine, &mut dyn Sink),
    ) -> PartName {
        let name = PartName::from_bytes(&path_bytes(path));
        if self.memory.carry(&name, machine, sink) == Carry::Carried {
            return name;
        }
        let mut look = Look::new(machine);
        let part = match look.read(path, limits::FILE_BYTES) {
            Ok(None) => return name,
            Err(reason) => RawPart::Unobserved(reason),
            Ok(Some(content)) => {
                let read = match pem::certificates(&content.bytes) {
                    Ok(Found::SomethingElse) => return name,
                    Ok(Found::Certificates(found)) => facts::items(&found, trust, &mut look),
                    Err(malformed) => Err(malformed.into()),
                };
                if holds_private_key(&content.bytes) {
                    look.without_bytes();
                }
                match read {
                    Ok(items) => look.part(self.reading(), Ok(items)),
                    Err(Trouble::Malformed(malformed)) => look.part(self.reading(), Err(malformed)),
                    Err(Trouble::Unread(reason)) => RawPart::Unobserved(reason),
                }
            }
        };
        self.memory.say((name.clone(), part), look, sink);
        name
    }

    /// The files to look into, sorted; what could not be listed is said to be blind.
    fn files(&self, machine: &Machine, sink: &mut dyn Sink) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        let mut waiting: Vec<PathBuf> = self.scope.roots().into_iter().map(PathBuf::from).collect();
        let mut listed = 0;
        while let Some(directory) = waiting.pop() {
            listed += 1;
            if listed > DIRECTORIES {
                sink.blind(&PartName::from_bytes(b"."), Reason::TooLarge);
                break;
            }
            let entries = match machine.entries(&directory) {
                Ok(entries) => entries.unwrap_or_default(),
                Err(reason) => {
                    let place = PartName::from_bytes(&path_bytes(directory.as_ref()));
                    sink.blind(&place, reason);
                    continue;
                }
            };
            for entry in entries {
                let path = directory.join(&entry.name);
                match self.place(machine, &path, &entry) {
                    Place::Directory => waiting.push(path),
                    Place::File => {
                        files.insert(path);
                    }
                    Place::Nothing => {}
                }
            }
        }
        files
    }

    fn place(&self, machine: &Machine, path: &Path, entry: &Entry) -> Place {
        let name = PartName::from_bytes(&path_bytes(path));
        let name = name.as_str();
        if self.scope.excludes(name) {
            return Place::Nothing;
        }
        let kind = if entry.kind == FileType::Unknown {
            let stat = machine.stat(path).ok().flatten();
            stat.map_or(FileType::RegularFile, |stat| FileType::from_raw_mode(stat.st_mode))
        } else {
            entry.kind
        };
        if kind == FileType::Directory {
            let enters = self.scope.reaches_below(name);
            return if enters { Place::Directory } else { Place::Nothing };
        }
        let is_file = matches!(kind, FileType::RegularFile | FileType::Symlink);
        if !is_file || !self.scope.includes(name) || self.scope.withholds(name) {
            return Place::Nothing;
        }
        if kind == FileType::Symlink && is_link_to_a_root(machine, path) {
            return Place::Nothing;
        }
        Place::File
    }
}

/// What stands at a path, for us.
enum Place {
    Directory,
    File,
    Nothing,
}

/// Whether `path` is one of the links by which OpenSSL finds a root that the bundle holds too.
fn is_link_to_a_root(machine: &Machine, path: &Path) -> bool {
    path.parent() == Some(Path::new(LINKS))
        && machine
            .link_target(path)
            .ok()
            .flatten()
            .is_some_and(|target| ROOTS.iter().any(|root| target.starts_with(root.as_bytes())))
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
