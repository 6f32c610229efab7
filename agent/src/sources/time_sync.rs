//! Who sets the clock: what chrony, ntpd and systemd-timesyncd are told, and whether it came to
//! it.
//!
//! Parts: `chrony`, `ntp` and `timesyncd`, each with its includes resolved as the program
//! resolves them, where its file is there; which of them runs is told by `services`. `state` says
//! `synchronised` where chronyd or timesyncd runs: chronyd is asked, timesyncd leaves a file when
//! it has set the clock once. Asking the kernel (`adjtimex`) would need a system call that the
//! agent's sandbox forbids, since the same call sets the clock; what ntpd thinks of itself is not
//! asked.
//!
//! Servers that a network names (DHCP) are left out: the next network names others. Offsets,
//! strata and reachability change by the second and belong to a metric. Servers of timesyncd are
//! ordered; nothing else is.

mod chronyd;
mod directives;
mod timesyncd;

use std::path::{Path, PathBuf};

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::{Domain, Reason};

use crate::machine::Machine;
use crate::sources::look::{Look, Memory};
use crate::sources::table::{Bytes, Table, Trouble, read_all, say, text};
use crate::sources::{Manual, Sink, Source, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 2;

const TABLES: &[Table] = &[
    Table { name: "chrony", bytes: Bytes::Kept, read: directives::chrony },
    Table { name: "ntp", bytes: Bytes::Kept, read: directives::ntp },
    Table { name: "timesyncd", bytes: Bytes::Kept, read: timesyncd::configured },
    Table { name: "state", bytes: Bytes::Momentary, read: state },
];

/// How long a host may need to find a network and its clock. A laptop is carried home first.
const PATIENCE_SECONDS: u64 = 24 * 60 * 60;

/// Made by timesyncd when it runs, and when it has set the clock.
const RUNS: &str = "/run/systemd/timesync";
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

const UPTIME: &str = "/proc/uptime";
const UPTIME_BYTES: u64 = 4 * 1024;

/// The source; see the page's head.
pub struct TimeSync {
    version: u32,
    memory: Memory,
}

impl TimeSync {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default() }
    }
}

impl Default for TimeSync {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for TimeSync {
    fn name(&self) -> SourceName {
        source_name("time_sync")
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`chrony`, `ntp`, `timesyncd` where they are configured; `state` where \
                chronyd or timesyncd runs, unobserved until the clock is set or a day has passed",
            ordered: "the servers of timesyncd",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let directories = ["/etc/chrony", "/etc/chrony.conf", "/etc/chrony.d", "/etc/ntp.conf"];
        let more = ["/etc/ntpsec", "/etc/systemd/timesyncd.conf", RUNS];
        let drop_ins = timesyncd::DROP_INS;
        directories
            .into_iter()
            .chain(more)
            .chain(chronyd::RUNS)
            .chain(drop_ins)
            .map(PathBuf::from)
            .collect()
    }

    fn watched_alone(&self) -> Vec<PathBuf> {
        self.memory.beyond(&self.watched())
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        read_all(TABLES, ("time_sync", self.version), &mut self.memory, (machine, sink));
        Ok(())
    }
}

/// `synchronised`: whether chronyd follows its sources, or timesyncd has set the clock since boot.
/// That it has not *yet* is no fact about the host, so it is unobserved until [`PATIENCE_SECONDS`]
/// after boot.
fn state(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let machine = look.machine();
    let is_there = |path: &str| -> Result<bool, Reason> {
        Ok(machine.stat_followed(Path::new(path))?.is_some())
    };
    let mut chronyd = false;
    for path in chronyd::RUNS {
        chronyd |= is_there(path)?;
    }
    let synchronised = if chronyd && machine.is_running() {
        chronyd::is_synchronised()?
    } else if is_there(RUNS)? {
        is_there(SYNCHRONISED)?
    } else {
        return Ok(None);
    };
    if !synchronised && uptime(look)?.is_none_or(|seconds| seconds < PATIENCE_SECONDS) {
        return Err(Trouble::Unread(Reason::Changing));
    }
    let mut items = RawItems::new();
    say(&mut items, ["synchronised"], ItemValue::Flag(synchronised));
    Ok(Some(items))
}

fn uptime(look: &mut Look<'_>) -> Result<Option<u64>, Trouble> {
    let text = text(look, UPTIME, UPTIME_BYTES)?.unwrap_or_default();
    Ok(text.split('.').next().and_then(|seconds| seconds.parse().ok()))
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
