//! What may come in and go out: the packet filter as configured, and whether it stands.
//!
//! Parts: each script of nftables in a known place, each file of saved iptables rules, ufw's
//! settings and rules, firewalld's settings, zones, services and policies, under their paths; and
//! on a running host `chains`, the base chains the kernel has with hook, priority and policy, and
//! `rules`, the rules of each chain. The kernel tells them to nobody without CAP_NET_ADMIN, which
//! the agent's unit does not have: there both are unobserved (`denied`). What containers, VPNs and
//! fail2ban add and remove all day is not told. Rules keep their order.

mod chains;
mod rules;

use std::path::PathBuf;

use driftline_protocol::ids::SourceName;
use driftline_protocol::redact::{RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reason};

use crate::content::reading;
use crate::formats::{key_value, nftables, xml};
use crate::machine::Machine;
use crate::netlink::{self, Question};
use crate::sources::each::Places;
use crate::sources::look::Memory;
use crate::sources::table::momentary;
use crate::sources::{Manual, Sink, Source, part_name, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 1;

const PLACES: Places = Places {
    files: &[
        ("/etc/nftables.conf", &nftables::NFT),
        ("/etc/sysconfig/nftables.conf", &nftables::NFT),
        ("/etc/iptables/rules.v4", &nftables::IPTABLES),
        ("/etc/iptables/rules.v6", &nftables::IPTABLES),
        ("/etc/iptables/iptables.rules", &nftables::IPTABLES),
        ("/etc/iptables/ip6tables.rules", &nftables::IPTABLES),
        ("/etc/sysconfig/iptables", &nftables::IPTABLES),
        ("/etc/sysconfig/ip6tables", &nftables::IPTABLES),
        ("/etc/default/ufw", &key_value::ASSIGNMENTS),
        ("/etc/ufw/ufw.conf", &key_value::ASSIGNMENTS),
        ("/etc/firewalld/firewalld.conf", &key_value::ASSIGNMENTS),
    ],
    folders: &[
        ("/etc/nftables.d", ".nft", &nftables::NFT),
        ("/etc/nftables", ".nft", &nftables::NFT),
        ("/etc/ufw", ".rules", &nftables::IPTABLES),
        ("/etc/firewalld", ".xml", &xml::FORMAT),
        ("/etc/firewalld/zones", ".xml", &xml::FORMAT),
        ("/etc/firewalld/services", ".xml", &xml::FORMAT),
        ("/etc/firewalld/policies", ".xml", &xml::FORMAT),
        ("/etc/firewalld/ipsets", ".xml", &xml::FORMAT),
        ("/etc/firewalld/icmptypes", ".xml", &xml::FORMAT),
    ],
};

/// The source; see the page's head.
pub struct Firewall {
    version: u32,
    memory: Memory,
}

impl Firewall {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default() }
    }
}

impl Default for Firewall {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for Firewall {
    fn name(&self) -> SourceName {
        source_name("firewall")
    }

    fn domain(&self) -> Domain {
        Domain::Policy
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "the files of nftables, iptables, ufw and firewalld under their paths, and on a \
                running host `chains`, the base chains of the kernel with their policy, and \
                `rules` of all chains but those of containers, guests, VPNs and fail2ban; both are \
                unobserved without CAP_NET_ADMIN",
            ordered: "rules",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        PLACES.watched()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let named = PLACES.read(self.version, &mut self.memory, (machine, sink));
        self.memory.retain(|part| named.contains(part));
        if machine.is_running() {
            for table in [CHAINS, RULES] {
                sink.seen(part_name(table.name), table.part(self.version));
            }
        }
        Ok(())
    }
}

/// What the kernel is asked, and what is made of its answer.
struct Running {
    name: &'static str,
    parser: &'static str,
    question: Question,
    items: fn(&[Vec<u8>]) -> RawItems,
}

const CHAINS: Running = Running {
    name: "chains",
    parser: "firewall_chains",
    question: Question::Chains,
    items: chains::items,
};

const RULES: Running = Running {
    name: "rules",
    parser: "firewall_rules",
    question: Question::Rules,
    items: rules::items,
};

impl Running {
    fn part(&self, version: u32) -> RawPart {
        match netlink::ask(self.question) {
            Ok(messages) => momentary(reading(self.parser, version), (self.items)(&messages)),
            Err(reason) => RawPart::Unobserved(reason),
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
