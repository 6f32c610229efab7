//! Which packages dpkg and rpm have installed, in which version, and which are held.
//!
//! Part `rpm` is told in `rpm`. Part `dpkg` comes from `/var/lib/dpkg/status` (deb-control(5),
//! dpkg(1) "Package states"). A host without that file has no part. Keys are `name:arch/version`,
//! `…/status` where a package is anything but properly installed, `…/hold`, and
//! `…/conffile/PATH` for each configuration file, so that dpkg's change of it can be told from one
//! by hand; which of them are as they were shipped is said beside it (`conffiles`). Waiting for
//! triggers is properly installed: each run of dpkg passes through it, and the next one ends it. A
//! package that stays unpacked or half configured is trouble and is told.
//!
//! While a package manager is at work (`lock`) half of its work is no state of the host: the
//! source says `changing`, and is read again until the work is done. It does not know who
//! installed what: that is the package logs' business.

mod conffiles;
mod lock;
mod rpm;

use std::path::{Path, PathBuf};

use conffiles::{Conffile, as_shipped};
use driftline_protocol::ids::SourceName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reading, Reason};

use crate::content::reading;
use crate::formats::Malformed;
use crate::machine::Machine;
use crate::sources::look::{Look, Memory};
use crate::sources::table::{Bytes, Table, read_all};
use crate::sources::{Carry, Manual, Sink, Source, part_name, source_name};

/// Where dpkg keeps what it knows.
const STATUS: &str = "/var/lib/dpkg/status";

/// The largest status file that is read, in bytes. A desktop with 5,000 packages has 10 MB.
const STATUS_BYTES: u64 = 64 * 1024 * 1024;

/// Raised whenever the same status file gives other items.
const VERSION: u32 = 5;

/// The states of a package whose files are in place and whose scripts have run (dpkg(1)).
const SETTLED: [&str; 3] = ["installed", "triggers-awaited", "triggers-pending"];

const TABLES: &[Table] = &[Table { name: "rpm", bytes: Bytes::Kept, read: rpm::installed }];

/// The source; see the page's head.
pub struct Packages {
    version: u32,
    memory: Memory,
}

impl Packages {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default() }
    }
}

impl Default for Packages {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for Packages {
    fn name(&self) -> SourceName {
        source_name("packages")
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`dpkg` and `rpm`, where they keep packages; `rpm` from its database in SQLite, \
                unobserved for those in Berkeley DB and NDB",
            ordered: "none",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        [PathBuf::from(STATUS)].into_iter().chain(rpm::watched()).collect()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        lock::is_free(machine)?;
        self.dpkg(machine, sink);
        read_all(TABLES, ("rpm", self.version), &mut self.memory, (machine, sink));
        Ok(())
    }
}

impl Packages {
    fn dpkg(&mut self, machine: &Machine, sink: &mut dyn Sink) {
        let name = part_name("dpkg");
        if self.memory.carry(&name, machine, sink) == Carry::Carried {
            return;
        }
        let mut look = Look::new(machine);
        let part = match look.read(Path::new(STATUS), STATUS_BYTES) {
            Ok(None) => return,
            Err(reason) => RawPart::Unobserved(reason),
            Ok(Some(content)) => {
                let items = status(&content.bytes).map(|(mut items, conffiles)| {
                    items.extend(as_shipped(machine, &conffiles));
                    items
                });
                // A transaction may have begun, and be half done, since the lock was last asked.
                match lock::is_free(machine) {
                    Ok(()) => look.part(self.reading(), items),
                    Err(reason) => RawPart::Unobserved(reason),
                }
            }
        };
        self.memory.say((name, part), look, sink);
    }

    fn reading(&self) -> Reading {
        reading("dpkg_status", self.version)
    }
}

/// One stanza of the status file, as far as it matters here.
#[derive(Default)]
struct Stanza<'a> {
    line: u32,
    package: Option<&'a str>,
    architecture: Option<&'a str>,
    version: Option<&'a str>,
    status: Option<&'a str>,
    /// Whether the lines that follow name configuration files.
    names_files: bool,
    files: Vec<Conffile<'a>>,
}

/// The items of a status file, and the configuration files that packages ship.
///
/// # Errors
/// [`Malformed`] where dpkg itself would refuse: a line that is no field, a stanza without name or
/// status, an installed package without a version, the same package twice.
fn status(bytes: &[u8]) -> Result<(RawItems, Vec<Conffile<'_>>), Malformed> {
    let (mut items, mut shipped) = (RawItems::new(), Vec::new());
    let mut stanza = Stanza::default();
    let mut number = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        number += 1;
        match line.first() {
            None => std::mem::take(&mut stanza).finish(&mut items, &mut shipped)?,
            Some(b' ' | b'\t') if stanza.line > 0 => stanza.goes_on(line, number)?,
            Some(_) => stanza.field(line, number)?,
        }
    }
    stanza.finish(&mut items, &mut shipped)?;
    Ok((items, shipped))
}

impl<'a> Stanza<'a> {
    /// A line that goes on with its field: of `Conffiles`, a path, a digest and what became of it.
    fn goes_on(&mut self, line: &'a [u8], number: u32) -> Result<(), Malformed> {
        if self.names_files {
            let malformed = |what| Malformed { line: number, what };
            let text = std::str::from_utf8(line).map_err(|_| malformed("not UTF-8"))?;
            self.files.extend(Conffile::of(text));
        }
        Ok(())
    }

    fn field(&mut self, line: &'a [u8], number: u32) -> Result<(), Malformed> {
        let malformed = |what| Malformed { line: number, what };
        self.line = number;
        let colon = line.iter().position(|byte| *byte == b':');
        let colon = colon.filter(|at| *at > 0).ok_or_else(|| malformed("not a field"))?;
        let (name, value) = line.split_at(colon);
        self.names_files = name == b"Conffiles";
        let slot = match name {
            b"Package" => &mut self.package,
            b"Architecture" => &mut self.architecture,
            b"Version" => &mut self.version,
            b"Status" => &mut self.status,
            _ => return Ok(()),
        };
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = std::str::from_utf8(value).map_err(|_| malformed("not UTF-8"))?.trim();
        if value.is_empty() || slot.replace(value).is_some() {
            return Err(malformed("a field is empty or given twice"));
        }
        Ok(())
    }

    fn finish(
        self,
        items: &mut RawItems,
        shipped: &mut Vec<Conffile<'a>>,
    ) -> Result<(), Malformed> {
        let malformed = |what| Malformed { line: self.line, what };
        if self.line == 0 {
            return Ok(());
        }
        let package = self.package.ok_or_else(|| malformed("a stanza without a package"))?;
        let status = self.status.ok_or_else(|| malformed("a package without a status"))?;
        let mut words = status.split_ascii_whitespace();
        let (Some(want), Some(flag), Some(state), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(malformed("a status is not of three words"));
        };
        let name = match self.architecture {
            Some(architecture) => format!("{package}:{architecture}"),
            None => package.to_owned(),
        };
        if state != "not-installed" {
            for file in &self.files {
                let key = ItemKey::of([&name, "conffile", file.path]);
                items.insert(key, RawItem::plain(ItemValue::Flag(true)));
            }
            shipped.extend(self.files);
        }
        let mut add = |field: &str, value| {
            items
                .insert(ItemKey::of([&name, field]), RawItem::plain(value))
                .map_or(Ok(()), |_| Err(malformed("a package is listed twice")))
        };
        if want == "hold" {
            add("hold", ItemValue::Flag(true))?;
        }
        // A name that dpkg only remembers because somebody once selected it is not on the host.
        if state == "not-installed" {
            return Ok(());
        }
        if !(matches!(want, "install" | "hold") && flag == "ok" && SETTLED.contains(&state)) {
            add("status", ItemValue::text(status))?;
        }
        match self.version {
            Some(version) if mutant::active(Mutant::VersionsLoseTheirEpoch) => {
                let plain = version.split_once(':').map_or(version, |(_, plain)| plain);
                add("version", ItemValue::text(plain))
            }
            Some(version) => add("version", ItemValue::text(version)),
            None if state == "config-files" => Ok(()),
            None => Err(malformed("a package without a version")),
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
