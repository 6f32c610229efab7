//! What the kernel is told to do, and whether it does it: parameters, modules, mounts, security.
//!
//! Parts: `sysctl` and `modules`, what the files of `sysctl.d`, `modules-load.d` and `modprobe.d`
//! say once their precedence is resolved; for each parameter that is configured the value that
//! runs, as a part of its own (`/proc/sys/…`), since some may be read by root only;
//! `modules_running`, whether the modules named there are loaded; `mounts`, how the file systems of
//! `fstab` are mounted; `security`, which security modules are on; `boot`, the kernel's command
//! line.
//!
//! It does not tell what nobody configured: the thousand other parameters, modules that come with
//! a device, mounts that come with a login, a container or a stick. Parameters with a pattern
//! (`net.ipv4.conf.*.rp_filter`) are told as they are written, and not what they come to on each
//! interface. What runs has no order; the loading of modules has one.

mod boot;
mod modules;
mod mounts;
mod security;
mod sysctl;

use std::path::PathBuf;

use driftline_protocol::ids::SourceName;
use driftline_protocol::snapshot::{Domain, Reason};

use crate::machine::Machine;
use crate::sources::look::Memory;
use crate::sources::table::{Bytes, Table, read_all};
use crate::sources::{Manual, Sink, Source, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 2;

/// Names the reading of every part.
const PARSER: &str = "kernel_policy";

const TABLES: &[Table] = &[
    Table { name: "sysctl", bytes: Bytes::Kept, read: sysctl::configured },
    Table { name: "modules", bytes: Bytes::Kept, read: modules::configured },
    Table { name: "modules_running", bytes: Bytes::Momentary, read: modules::running },
    Table { name: "mounts", bytes: Bytes::Momentary, read: mounts::running },
    Table { name: "security", bytes: Bytes::Momentary, read: security::running },
    Table { name: "boot", bytes: Bytes::Momentary, read: boot::running },
];

/// The source; see the page's head.
pub struct KernelPolicy {
    version: u32,
    memory: Memory,
}

impl KernelPolicy {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default() }
    }
}

impl Default for KernelPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for KernelPolicy {
    fn name(&self) -> SourceName {
        source_name("kernel_policy")
    }

    fn domain(&self) -> Domain {
        Domain::Policy
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`sysctl` and `modules` as configured, `/proc/sys/…` for each parameter \
                configured, `modules_running`, `mounts` of fstab, `security`, `boot`",
            ordered: "modules in the order in which they are loaded, security modules in theirs",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let directories = [sysctl::DIRECTORIES.as_slice(), &modules::LOAD, &modules::PROBE];
        let files = ["/etc/fstab", "/etc/modules", "/etc/selinux/config"];
        directories.concat().into_iter().chain(files).map(PathBuf::from).collect()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let reading = (PARSER, self.version);
        read_all(TABLES, reading, &mut self.memory, (machine, sink));
        sysctl::running(reading, (machine, sink));
        Ok(())
    }
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
