//! Which ports the host offers to others: listening TCP and bound UDP sockets, and who holds them.
//!
//! The kernel is asked over `sock_diag`; where that is refused, and in a tree, `/proc/net` says the
//! same. Parts: `tcp` and `udp`, with one item `ADDRESS:PORT` for each, and on a running host
//! `owners`, the systemd units that hold each by the control group of the socket. No process is
//! looked at: whose file descriptor a socket is, only a privilege we do not have would tell, and
//! the control group tells better. A socket that systemd opened for a unit belongs to `init.scope`.
//!
//! What comes and goes with people, calls and networks is left out; `momentary` says how it is
//! told. It does not know interfaces a socket is bound to, nor whether `[::]` takes IPv4 as well.
//! Nothing is ordered.

mod decode;
mod momentary;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::ItemValue;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reading, Reason};

use self::momentary::World;
use self::units::Units;
use crate::content::reading;
use crate::machine::Machine;
use crate::netlink::{self, Family, Question};
use crate::sources::look::Look;
use crate::sources::table::{Trouble, momentary, say};
use crate::sources::{Manual, Sink, Source, part_name, source_name};

/// Raised whenever the same sockets give other items.
const VERSION: u32 = 2;

/// The largest table of `/proc/net` that is read, in bytes: about 50,000 sockets.
const TABLE_BYTES: u64 = 8 * 1024 * 1024;

/// The source; see the page's head.
pub struct Listeners {
    version: u32,
}

impl Listeners {
    /// The source. It remembers nothing: no file tells when a socket opens.
    pub fn new() -> Self {
        Self { version: VERSION }
    }
}

impl Default for Listeners {
    fn default() -> Self {
        Self::new()
    }
}

/// One socket that waits for others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listener {
    address: SocketAddr,
    /// Who opened it, where the kernel tells.
    holder: Option<Holder>,
}

/// Who opened a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    /// The id of his control group.
    group: u64,
    /// The number of his account.
    owner: u32,
}

/// How a socket waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    fn questions(self) -> [Question; 2] {
        let question = match self {
            Self::Tcp => Question::Listening,
            Self::Udp => Question::Bound,
        };
        [question(Family::V4), question(Family::V6)]
    }

    fn tables(self) -> [&'static str; 2] {
        match self {
            Self::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
            Self::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        }
    }
}

impl Source for Listeners {
    fn name(&self) -> SourceName {
        source_name("listeners")
    }

    fn domain(&self) -> Domain {
        Domain::Runtime
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`tcp` and `udp`, one item for each address and port that waits for others, and \
                `owners`, the units that hold them. Left out: what people's sessions open, ports \
                the kernel chose, UDP ports from 10000 on (media), DHCP clients, what follows a \
                leased address by itself, and addresses of tunnels",
            ordered: "none",
            version: self.version,
        }
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let world = World::of(machine);
        let mut holders = Ok(Holders::default());
        let mut units = Units::new(machine);
        for transport in [Transport::Tcp, Transport::Udp] {
            let (part, told) = match self.sockets(machine, transport) {
                Ok(None) => continue,
                Err(part) => {
                    let reason = why(&part);
                    (*part, Err(reason))
                }
                Ok(Some(found)) => self.told(transport, &found, (&world, &mut units)),
            };
            sink.seen(part_name(transport.name()), part);
            holders = holders.and_then(|mut all: Holders| {
                all.extend(told?);
                Ok(all)
            });
        }
        if machine.is_running() {
            let part = match holders {
                Ok(holders) => momentary(self.reading(), owners(holders)),
                Err(reason) => RawPart::Unobserved(reason),
            };
            sink.seen(part_name("owners"), part);
        }
        Ok(())
    }
}

/// The units that hold each socket.
type Holders = BTreeMap<String, BTreeSet<ItemValue>>;

impl Listeners {
    fn reading(&self) -> Reading {
        reading("listeners", self.version)
    }

    /// The sockets of one transport; `None` where the host has no such table, and the part that
    /// says so where they are not known.
    fn sockets(
        &self,
        machine: &Machine,
        transport: Transport,
    ) -> Result<Option<Vec<Listener>>, Box<RawPart>> {
        if machine.is_running() {
            let answers = transport.questions().map(netlink::ask);
            if let [Ok(mut found), Ok(six)] = answers {
                if !mutant::active(Mutant::ListenersForgetIpv6) {
                    found.extend(six);
                }
                return Ok(Some(found.iter().filter_map(|m| decode::socket(m)).collect()));
            }
        }
        let mut look = Look::new(machine);
        match tables(&mut look, transport) {
            Ok(found) => Ok(found),
            Err(Trouble::Unread(reason)) => Err(Box::new(RawPart::Unobserved(reason))),
            Err(Trouble::Malformed(malformed)) => {
                Err(Box::new(look.part(self.reading(), Err(malformed))))
            }
        }
    }

    /// The part of one transport, and who holds what it says.
    fn told(
        &self,
        transport: Transport,
        found: &[Listener],
        (world, units): (&World, &mut Units<'_>),
    ) -> (RawPart, Result<Holders, Reason>) {
        let mut items = RawItems::new();
        let mut holders = Ok(Holders::default());
        for listener in found {
            let Some(name) = world.name(transport, listener.address) else { continue };
            let holder = listener.holder.ok_or(Reason::Unsupported);
            let unit = holder.and_then(|Holder { group, owner }| units.unit(group, owner));
            let unit = match unit {
                Ok(None) => continue,
                Ok(Some(unit)) => Ok(unit),
                // This host tells of nobody's socket whose it is, so none is left out.
                Err(Reason::Unsupported) => Err(Reason::Unsupported),
                // It may be a person's, which are not told.
                Err(reason) => return (RawPart::Unobserved(reason), Err(reason)),
            };
            say(&mut items, [&name], ItemValue::Nothing);
            holders = holders.and_then(|mut holders: Holders| {
                let unit = ItemValue::Text(unit?);
                holders.entry(format!("{} {name}", transport.name())).or_default().insert(unit);
                Ok(holders)
            });
        }
        (momentary(self.reading(), items), holders)
    }
}

/// Why a part is not known.
fn why(part: &RawPart) -> Reason {
    match part {
        RawPart::Unobserved(reason) => *reason,
        RawPart::Observed(_) => Reason::Malformed,
    }
}

fn owners(holders: Holders) -> RawItems {
    let mut items = RawItems::new();
    for (name, units) in holders {
        say(&mut items, [name], ItemValue::Set(units));
    }
    items
}

fn tables(look: &mut Look<'_>, transport: Transport) -> Result<Option<Vec<Listener>>, Trouble> {
    let mut all = None;
    for path in transport.tables() {
        let read = look.read(Path::new(path), TABLE_BYTES).map_err(Trouble::Unread)?;
        let Some(content) = read else { continue };
        let found = decode::table(&content.bytes, transport).map_err(Trouble::Malformed)?;
        all.get_or_insert_with(Vec::new).extend(found);
    }
    Ok(all)
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
