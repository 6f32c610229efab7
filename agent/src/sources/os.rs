//! Which system this is: release, kernel, hardware, and who it says it is.
//!
//! Parts: `release`, `kernel` and `hardware` are alike on like hosts; what is one host's own (name,
//! machine id) stands in `identity`, so that the other parts stay shared. Everything is read from
//! files, so that a tree given with `--root` is read like the host itself; only an architecture
//! that the kernel shows nowhere (before Linux 6.1) is asked of the running system, and only at the
//! root `/`. Nothing volatile is here: no boot time, no load.

use std::path::{Path, PathBuf};

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reason};

use crate::content::reading;
use crate::formats::Malformed;
use crate::machine::Machine;
use crate::sources::look::Look;
use crate::sources::{Manual, Sink, Source, part_name, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 2;

/// The largest file read here, in bytes; each is one page.
const BYTES: u64 = 64 * 1024;

/// Total memory is told in steps of this many MiB: the kernel keeps a little more or less of it at
/// each boot.
const MEMORY_STEP_MIB: i64 = 64;

const RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
const HOSTNAME: &str = "/etc/hostname";
const MACHINE_ID: &str = "/etc/machine-id";

/// The source; see the page's head.
pub struct Os {
    version: u32,
}

impl Os {
    /// The source; its files are few and small, so it remembers nothing.
    pub fn new() -> Self {
        Self { version: VERSION }
    }
}

impl Default for Os {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads the items of one part; nothing when its files are not there.
type Reader = fn(&mut Look<'_>, &Machine) -> Result<Option<RawItems>, Trouble>;

/// Why a part's items are not known.
enum Trouble {
    Malformed(Malformed),
    Unread(Reason),
}

impl From<Reason> for Trouble {
    fn from(reason: Reason) -> Self {
        Self::Unread(reason)
    }
}

/// Every part with its reader.
const PARTS: &[(&str, Reader)] =
    &[("release", release), ("kernel", kernel), ("hardware", hardware), ("identity", identity)];

impl Source for Os {
    fn name(&self) -> SourceName {
        source_name("os")
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`release`, `kernel`, `hardware`, `identity`; one is missing where its \
                files are",
            ordered: "none",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        RELEASE.iter().chain([&HOSTNAME, &MACHINE_ID]).map(PathBuf::from).collect()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        for (name, reader) in PARTS {
            let reading = reading("os", self.version);
            let mut look = Look::new(machine);
            let read = reader(&mut look, machine);
            if *name == "hardware" {
                look.without_bytes();
            }
            let part = match read {
                Ok(None) => continue,
                Ok(Some(items)) => look.part(reading, Ok(items)),
                Err(Trouble::Malformed(malformed)) => look.part(reading, Err(malformed)),
                Err(Trouble::Unread(reason)) => RawPart::Unobserved(reason),
            };
            sink.seen(part_name(name), part);
        }
        Ok(())
    }
}

/// The fields of os-release(5), in lower case; the first of its two places wins.
fn release(look: &mut Look<'_>, _machine: &Machine) -> Result<Option<RawItems>, Trouble> {
    for path in RELEASE {
        if let Some(text) = text(look, path)? {
            return os_release(&text).map(Some).map_err(Trouble::Malformed);
        }
    }
    Ok(None)
}

fn os_release(text: &str) -> Result<RawItems, Malformed> {
    let mut items = RawItems::new();
    for (line, number) in text.lines().zip(1u32..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let malformed = Malformed { line: number, what: "not an assignment" };
        let (name, value) = line.split_once('=').ok_or(malformed)?;
        say(&mut items, &name.to_ascii_lowercase(), ItemValue::Text(assigned(value)));
    }
    Ok(items)
}

/// What a shell assigns: between `'` each sign means itself, a backslash between `"` stands before
/// one of [`SPECIAL`], and outside of quotes before any sign. os-release(5) knows no expansions.
fn assigned(value: &str) -> String {
    /// What a backslash between `"` takes the meaning from.
    const SPECIAL: [char; 4] = ['$', '"', '\\', '`'];
    let between = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(text) = between('\'') {
        return text.to_owned();
    }
    let (text, is_quoted) = between('"').map_or((value, false), |text| (text, true));
    let mut assigned = String::with_capacity(text.len());
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        let escaped = |next: &char| !is_quoted || SPECIAL.contains(next);
        let plain = match sign == '\\' && !mutant::active(Mutant::EscapesAreKept) {
            true => signs.next_if(escaped),
            false => None,
        };
        assigned.push(plain.unwrap_or(sign));
    }
    assigned
}

/// `release` and `architecture`, as `uname -rm` gives them.
fn kernel(look: &mut Look<'_>, machine: &Machine) -> Result<Option<RawItems>, Trouble> {
    let Some(release) = text(look, "/proc/sys/kernel/osrelease")? else { return Ok(None) };
    let mut items = RawItems::new();
    say(&mut items, "release", ItemValue::text(release.trim()));
    let architecture = match text(look, "/proc/sys/kernel/arch")? {
        Some(architecture) => Some(architecture.trim().to_owned()),
        None => (machine.root() == Path::new("/")).then(sysinfo::System::cpu_arch),
    };
    if let Some(architecture) = architecture {
        say(&mut items, "architecture", ItemValue::Text(architecture));
    }
    Ok(Some(items))
}

/// `processors`, `memory_mib`, and `vendor` and `model` where the firmware tells them to everybody.
fn hardware(look: &mut Look<'_>, _machine: &Machine) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    if let Some(present) = text(look, "/sys/devices/system/cpu/present")? {
        let malformed = Malformed { line: 1, what: "not a list of processors" };
        let count = processors(present.trim()).ok_or(Trouble::Malformed(malformed))?;
        say(&mut items, "processors", ItemValue::Integer(count));
    }
    if let Some(memory) = text(look, "/proc/meminfo")? {
        let malformed = Malformed { line: 1, what: "no total" };
        let mib = memory_mib(&memory).ok_or(Trouble::Malformed(malformed))?;
        say(&mut items, "memory_mib", ItemValue::Integer(mib));
    }
    for (name, path) in [
        ("vendor", "/sys/class/dmi/id/sys_vendor"),
        ("model", "/sys/class/dmi/id/product_name"),
        ("model", "/proc/device-tree/model"),
    ] {
        if let Some(text) = text(look, path)? {
            let text = text.trim_matches(['\0', '\n', ' ']);
            say(&mut items, name, ItemValue::text(text));
        }
    }
    Ok((!items.is_empty()).then_some(items))
}

/// `hostname`, and `machine_id` as a fingerprint: machine-id(5) asks not to show it.
fn identity(look: &mut Look<'_>, _machine: &Machine) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    if let Some(name) = text(look, HOSTNAME)? {
        let name =
            name.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        say(&mut items, "hostname", ItemValue::text(name.unwrap_or_default()));
    }
    if let Some(id) = text(look, MACHINE_ID)? {
        let id = RawItem::secret(ItemValue::text(id.trim()));
        items.insert(ItemKey::of(["machine_id"]), id);
    }
    Ok((!items.is_empty()).then_some(items))
}

fn say(items: &mut RawItems, name: &str, value: ItemValue) {
    items.insert(ItemKey::of([name]), RawItem::plain(value));
}

fn text(look: &mut Look<'_>, path: &str) -> Result<Option<String>, Trouble> {
    let Some(content) = look.read(Path::new(path), BYTES)? else { return Ok(None) };
    let malformed = Malformed { line: 0, what: "not UTF-8" };
    String::from_utf8(content.bytes).map(Some).map_err(|_| Trouble::Malformed(malformed))
}

/// How many processors a list such as `0-3,8` names.
fn processors(list: &str) -> Option<i64> {
    list.split(',').try_fold(0, |count: i64, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        Some(count + i64::from(last.checked_sub(first)?) + 1)
    })
}

fn memory_mib(text: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let steps = (kib / 1_024 + MEMORY_STEP_MIB - 1) / MEMORY_STEP_MIB;
    Some(steps * MEMORY_STEP_MIB)
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
