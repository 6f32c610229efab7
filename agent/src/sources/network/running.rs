//! Interfaces and routes that are there because somebody configured them.
//!
//! An interface counts when it is hardware of the host itself, or lies on top of such (a bond, a
//! bridge, a VLAN): a USB adapter, a tunnel, and what containers make, come and go. An address
//! counts when it is not leased; a route when an admin or a boot script made it, on an interface
//! that has an address of its own. What DHCP clients, router advertisements, routing daemons and
//! the kernel make is theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use driftline_protocol::item::ItemValue;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Reason;

use crate::machine::Machine;
use crate::netlink::route::{Address, Link, Route};
use crate::netlink::{self, Question};
use crate::sources::table::say;

const INTERFACES: &str = "/sys/class/net";

/// Routes made by a boot script, and by an admin or what he configured (`rt_protos`).
const BY_HAND: [u8; 2] = [3, 4];

/// The table that routes go to where nothing is said.
const MAIN: u32 = 254;

/// How deep one interface may lie on another: a VLAN on a bridge on a bond, and one to spare.
const DEPTH: usize = 4;

type Found = Result<RawItems, Reason>;

/// The items of `interfaces` and of `routes`.
pub(super) fn read(machine: &Machine) -> (Found, Found) {
    let facts = match Facts::ask(machine) {
        Ok(facts) => facts,
        Err(reason) => return (Err(reason), Err(reason)),
    };
    let routes = netlink::ask(Question::Routes);
    let routes = routes.map(|messages| {
        let routes = messages.iter().filter_map(|message| Route::of(message));
        facts.routes(routes)
    });
    (Ok(facts.interfaces()), routes)
}

/// The interfaces of the host that count, with their lasting addresses.
pub(super) struct Facts {
    pub(super) links: BTreeMap<u32, Link>,
    pub(super) addresses: Vec<Address>,
}

impl Facts {
    fn ask(machine: &Machine) -> Result<Self, Reason> {
        let mut links = BTreeMap::new();
        for link in netlink::ask(Question::Links)?.iter().filter_map(|m| Link::of(m)) {
            if !link.is_tunnel && belongs(machine, &link.name, 0)? {
                links.insert(link.index, link);
            }
        }
        let addresses = netlink::ask(Question::Addresses)?;
        let addresses = addresses.iter().filter_map(|message| Address::of(message)).collect();
        Ok(Self { links, addresses })
    }

    /// `NAME/mtu` and `NAME/addresses`.
    pub(super) fn interfaces(&self) -> RawItems {
        let mut items = RawItems::new();
        for link in self.links.values() {
            let mut name = link.name.clone();
            if mutant::active(Mutant::InterfacesAreNumbers) {
                name = link.index.to_string();
            }
            say(&mut items, [&name, "mtu"], ItemValue::Integer(i64::from(link.mtu)));
            let lasting: BTreeSet<ItemValue> = self
                .lasting(link.index)
                .map(|found| ItemValue::Text(format!("{}/{}", found.address, found.prefix)))
                .collect();
            if !lasting.is_empty() {
                say(&mut items, [&name, "addresses"], ItemValue::Set(lasting));
            }
        }
        items
    }

    /// `NETWORK`, or `NETWORK/METRIC` where it has one, with the gateway and the interface.
    pub(super) fn routes(&self, routes: impl Iterator<Item = Route>) -> RawItems {
        let mut items = RawItems::new();
        for route in routes {
            let link = route.link.and_then(|index| self.links.get(&index));
            let Some(link) = link else { continue };
            let by_hand = BY_HAND.contains(&route.protocol) && route.table == MAIN;
            if !by_hand || self.lasting(link.index).next().is_none() {
                continue;
            }
            let (address, prefix) = route.network;
            let network = match (address.is_unspecified() && prefix == 0, address.is_ipv4()) {
                (true, true) => "default".to_owned(),
                (true, false) => "default6".to_owned(),
                (false, _) => format!("{address}/{prefix}"),
            };
            let via = route.gateway.map(|gateway| format!("via {gateway} ")).unwrap_or_default();
            let value = ItemValue::Text(format!("{via}dev {}", link.name));
            match route.metric {
                0 => say(&mut items, [network], value),
                metric => say(&mut items, [network, format!("metric {metric}")], value),
            }
        }
        items
    }

    /// The addresses of a link that are neither leased nor of the link alone.
    fn lasting(&self, link: u32) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |found| {
            let of_the_link = match found.address {
                std::net::IpAddr::V4(address) => address.is_link_local(),
                std::net::IpAddr::V6(address) => address.is_unicast_link_local(),
            };
            let lasts = found.is_permanent || mutant::active(Mutant::LeasesAreConfigured);
            found.link == link && lasts && !of_the_link
        })
    }
}

/// Whether the interface is built into the host, or lies on one that is.
fn belongs(machine: &Machine, name: &str, depth: usize) -> Result<bool, Reason> {
    if mutant::active(Mutant::EveryInterfaceIsTheHosts) {
        return Ok(true);
    }
    let place = Path::new(INTERFACES).join(name);
    if machine.stat_followed(&place.join("device"))?.is_some() {
        let bus = machine.link_target(&place.join("device/subsystem"))?.unwrap_or_default();
        return Ok(!bus.ends_with(b"/usb"));
    }
    if depth >= DEPTH {
        return Ok(false);
    }
    for entry in machine.entries(&place)?.unwrap_or_default() {
        let below = entry.name.as_encoded_bytes().strip_prefix(b"lower_");
        if let Some(Ok(below)) = below.map(std::str::from_utf8)
            && belongs(machine, below, depth + 1)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}
