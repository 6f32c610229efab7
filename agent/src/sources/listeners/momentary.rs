//! Which sockets are a fact of the host, and which come and go by themselves.
//!
//! A roaming laptop opens and closes sockets all day, and a telephone server two for each call;
//! none of that is a change anybody made. Told is a port that somebody chose:
//!
//! - not one of `net.ipv4.ip_local_port_range`, from which the kernel chooses, unless it is listed
//!   in `net.ipv4.ip_local_reserved_ports`: whoever runs a service there must reserve its port
//!   anyway, or it will be taken one day;
//! - for UDP not one from 10,000 on, where RTP lives by default in Asterisk (10000), FreeSWITCH
//!   (16384) and rtpengine (30000), with the same exception;
//! - not a DHCP client, which opens a socket when it renews;
//! - not on an address of a tunnel, which is there while the tunnel is.
//!
//! An address that is leased, or of one link, is written `leased`: another network gives another.
//! Left out there is what opens a socket on each new address by itself, such as ntpd.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;

use driftline_protocol::mutant::{self, Mutant};

use super::Transport;
use crate::machine::Machine;
use crate::netlink::route::{Address, Link};
use crate::netlink::{self, Question};

/// The range where nothing else is configured (ip-sysctl).
const CHOSEN_BY_KERNEL: RangeInclusive<u16> = 32_768..=60_999;

const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// The largest of these files, in bytes: every second port reserved.
const BYTES: u64 = 256 * 1024;

/// From here on UDP ports belong to calls.
const MEDIA: u16 = 10_000;

/// Clients of DHCP and DHCPv6.
const DHCP_CLIENTS: [u16; 2] = [68, 546];

/// What opens a socket on each address that comes: NTP, NetBIOS, SSDP, WS-Discovery, mDNS, LLMNR.
const FOLLOWING: [u16; 7] = [123, 137, 138, 1_900, 3_702, 5_353, 5_355];

/// What of the host decides what its sockets mean.
pub(super) struct World {
    pub(super) chosen: RangeInclusive<u16>,
    pub(super) reserved: Vec<RangeInclusive<u16>>,
    /// Addresses somebody configured; `None` where the kernel was not asked.
    pub(super) steady: Option<BTreeSet<IpAddr>>,
    /// Addresses of tunnels.
    pub(super) tunnels: BTreeSet<IpAddr>,
}

impl World {
    /// The world of this machine; what cannot be read is as where nothing is configured.
    pub(super) fn of(machine: &Machine) -> Self {
        let text = |path: &str| {
            let content = machine.read(Path::new(path), BYTES).ok().flatten()?;
            String::from_utf8(content.bytes).ok()
        };
        let chosen = text(RANGE).and_then(|text| {
            let mut bounds = text.split_ascii_whitespace().map(str::parse);
            Some(bounds.next()?.ok()?..=bounds.next()?.ok()?)
        });
        let reserved = text(RESERVED).unwrap_or_default();
        let (steady, tunnels) =
            if machine.is_running() { addresses() } else { (None, BTreeSet::new()) };
        Self {
            chosen: chosen.unwrap_or(CHOSEN_BY_KERNEL),
            reserved: reserved.trim().split(',').filter_map(ports).collect(),
            steady,
            tunnels,
        }
    }

    /// What a socket is called; `None` when it is not told.
    pub(super) fn name(&self, transport: Transport, socket: SocketAddr) -> Option<String> {
        let (address, port) = (socket.ip(), socket.port());
        let reserved = self.reserved.iter().any(|range| range.contains(&port));
        let by_chance = match transport {
            Transport::Tcp => self.chosen.contains(&port),
            Transport::Udp => {
                self.chosen.contains(&port) || port >= MEDIA || DHCP_CLIENTS.contains(&port)
            }
        };
        let by_chance = by_chance && !mutant::active(Mutant::ChosenPortsAreTold);
        if (by_chance && !reserved) || port == 0 || self.tunnels.contains(&address) {
            return None;
        }
        let everywhere = address.is_unspecified() || address.is_loopback();
        if !everywhere && transport == Transport::Udp && FOLLOWING.contains(&port) {
            return None;
        }
        if everywhere || self.is_steady(address) {
            return Some(socket.to_string());
        }
        Some(format!("leased:{port}"))
    }

    fn is_steady(&self, address: IpAddr) -> bool {
        let of_a_link = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        !of_a_link && self.steady.as_ref().is_none_or(|steady| steady.contains(&address))
    }
}

/// `8080` or `5000-5010`.
fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// The addresses that are there to stay, where the kernel tells, and those of tunnels.
fn addresses() -> (Option<BTreeSet<IpAddr>>, BTreeSet<IpAddr>) {
    let (Ok(links), Ok(addresses)) =
        (netlink::ask(Question::Links), netlink::ask(Question::Addresses))
    else {
        return (None, BTreeSet::new());
    };
    let links = links.iter().filter_map(|message| Link::of(message));
    let tunnels: BTreeSet<u32> =
        links.filter(|link| link.is_tunnel).map(|link| link.index).collect();
    let (mut steady, mut fleeting) = (BTreeSet::new(), BTreeSet::new());
    for address in addresses.iter().filter_map(|message| Address::of(message)) {
        if tunnels.contains(&address.link) {
            fleeting.insert(address.address);
        } else if address.is_permanent {
            steady.insert(address.address);
        }
    }
    (Some(steady), fleeting)
}
