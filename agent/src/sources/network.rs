//! How the host is told to use networks: interfaces, routes, names, proxies, profiles.
//!
//! Parts: `interfaces` and `routes` of a running host, as far as somebody configured them;
//! `resolver`, who writes `resolv.conf` and what resolved is told; `proxy`, every proxy that
//! environment, package manager or desktop is told; `ifupdown`; and each profile of NetworkManager
//! below its path, without its secrets. `/etc/hosts`, netplan and the rest of `/etc` are told by
//! `files`.
//!
//! A laptop changes its network all day, and none of that is a change: leased addresses and
//! the routes that come with them, interfaces that are plugged in (USB), made by a container or a
//! tunnel, name servers that a network handed out, and profiles that a person keeps for themself
//! are left out. Name servers, domains and the interfaces of a stanza are ordered.

mod ifupdown;
mod profiles;
mod proxy;
mod resolver;
mod running;

use std::path::PathBuf;

use driftline_protocol::ids::SourceName;
use driftline_protocol::redact::RawPart;
use driftline_protocol::snapshot::{Domain, Reading, Reason};

use crate::content::reading;
use crate::machine::Machine;
use crate::sources::look::Memory;
use crate::sources::table::{Bytes, Table, momentary, read_all};
use crate::sources::{Manual, Sink, Source, part_name, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 3;

const PARSER: &str = "network";

const TABLES: &[Table] = &[
    Table { name: "resolver", bytes: Bytes::Kept, read: resolver::configured },
    Table { name: "proxy", bytes: Bytes::Kept, read: proxy::configured },
    Table { name: "ifupdown", bytes: Bytes::Kept, read: ifupdown::configured },
];

/// The source; see the page's head.
pub struct Network {
    version: u32,
    memory: Memory,
}

impl Network {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default() }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for Network {
    fn name(&self) -> SourceName {
        source_name("network")
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`interfaces` and `routes` (on a running host), `resolver`, `proxy`, \
                `ifupdown`, and each profile of NetworkManager without its secrets",
            ordered: "name servers and domains; the options of an ifupdown stanza that repeat",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let places = ["/etc/resolv.conf", "/etc/network", "/etc/environment", profiles::DIRECTORY];
        let more = ["/etc/systemd/resolved.conf", "/etc/dconf/db", "/etc/profile.d"];
        let more = more.into_iter().chain(["/etc/apt/apt.conf", "/etc/apt/apt.conf.d"]);
        let drop_ins = resolver::DROP_INS;
        places.into_iter().chain(more).chain(drop_ins).map(PathBuf::from).collect()
    }

    fn watched_alone(&self) -> Vec<PathBuf> {
        self.memory.beyond(&self.watched())
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        read_all(TABLES, (PARSER, self.version), &mut self.memory, (machine, sink));
        profiles::read(&self.reading(), &mut self.memory, (machine, sink));
        if machine.is_running() {
            let (interfaces, routes) = running::read(machine);
            for (name, found) in [("interfaces", interfaces), ("routes", routes)] {
                let part = match found {
                    Ok(items) => momentary(self.reading(), items),
                    Err(reason) => RawPart::Unobserved(reason),
                };
                sink.seen(part_name(name), part);
            }
        }
        Ok(())
    }
}

impl Network {
    fn reading(&self) -> Reading {
        reading(PARSER, self.version)
    }
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
