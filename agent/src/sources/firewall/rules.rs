//! Rules of the running packet filter as the kernel tells them; see linux/netfilter/nf_tables.h.
//!
//! Pure. The kernel keeps a rule as a row of small steps (load this field, compare it, then that
//! verdict), and so it is told: `nft --debug=netlink list ruleset` prints the same steps. What
//! counts by itself (packets, bytes, quotas used up) is left out, and so is what programs add and
//! remove all day for containers, guests, VPNs and banned addresses, with the rules that lead
//! there.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use driftline_protocol::item::ItemValue;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::RawItems;

use super::chains::{family_name, number, text};
use crate::netlink::attributes;
use crate::sources::table::say;

/// The bytes of an `nfgenmsg` before the attributes.
const BODY: usize = 4;

const TABLE: u16 = 1;
const CHAIN: u16 = 2;
const EXPRESSIONS: u16 = 4;
const ELEMENT: u16 = 1;
const NAME: u16 = 1;
const DATA: u16 = 2;

/// How names begin of tables, chains and interfaces that a program keeps for itself.
const OF_PROGRAMS: [&str; 22] = [
    "DOCKER",
    "docker",
    "br-",
    "veth",
    "cni",
    "CNI-",
    "NETAVARK",
    "netavark",
    "podman",
    "KUBE-",
    "kube",
    "cali",
    "CILIUM",
    "cilium",
    "LIBVIRT",
    "libvirt",
    "virbr",
    "f2b",
    "ts-",
    "tailscale",
    "wg-quick",
    "nm-sh",
];

/// `FAMILY TABLE/CHAIN/rules`: the rules of each chain in their order, its steps a text each.
pub(super) fn items(messages: &[Vec<u8>]) -> RawItems {
    let mut chains: BTreeMap<(String, String), Vec<ItemValue>> = BTreeMap::new();
    for (place, rule) in messages.iter().filter_map(|message| rule(message)) {
        chains.entry(place).or_default().push(ItemValue::Text(rule));
    }
    let mut items = RawItems::new();
    for ((table, chain), mut rules) in chains {
        if mutant::active(Mutant::RunningRulesHaveNoOrder) {
            rules.sort();
        }
        say(&mut items, [table.as_str(), chain.as_str(), "rules"], ItemValue::List(rules));
    }
    items
}

fn rule(message: &[u8]) -> Option<((String, String), String)> {
    let family = *message.first()?;
    let (mut table, mut chain, mut steps) = (None, None, Vec::new());
    for (kind, value) in attributes(message, BODY) {
        match kind {
            TABLE => table = Some(text(value)),
            CHAIN => chain = Some(text(value)),
            EXPRESSIONS => steps = all_steps(value)?,
            _ => {}
        }
    }
    let (table, chain) = (table?, chain?);
    if is_of_program(&table) || is_of_program(&chain) {
        return None;
    }
    Some(((format!("{} {table}", family_name(family)), chain), steps.join(", ")))
}

/// The steps of a rule; nothing where one leads to what a program keeps for itself.
fn all_steps(expressions: &[u8]) -> Option<Vec<String>> {
    let mut steps = Vec::new();
    let mut loads_address = false;
    for (_, expression) in attributes(expressions, 0).iter().filter(|(kind, _)| *kind == ELEMENT) {
        let (mut name, mut data) = (String::new(), Vec::new());
        for (kind, value) in attributes(expression, 0) {
            match kind {
                NAME => name = text(value),
                DATA => data = attributes(value, 0),
                _ => {}
            }
        }
        steps.push(step(&name, &data, loads_address)?);
        loads_address = name == "payload" && part(&data, 4) == Some(4);
    }
    Some(steps)
}

/// One step; `address` says that four bytes of a packet were loaded before it.
fn step(name: &str, data: &[(u16, &[u8])], address: bool) -> Option<String> {
    const META: [&str; 17] = [
        "len",
        "protocol",
        "priority",
        "mark",
        "iif",
        "oif",
        "iifname",
        "oifname",
        "iiftype",
        "oiftype",
        "skuid",
        "skgid",
        "nftrace",
        "rtclassid",
        "secmark",
        "nfproto",
        "l4proto",
    ];
    const COMPARED: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
    const LAYERS: [&str; 4] = ["link", "network", "transport", "inner"];
    let word = |words: &[&str], kind| {
        let number = part(data, kind)?;
        let word = usize::try_from(number).ok().and_then(|at| words.get(at));
        Some(word.map_or_else(|| number.to_string(), ToString::to_string))
    };
    Some(match name {
        // They count by themselves.
        "counter" | "last" => name.to_owned(),
        "quota" => {
            all(name, &data.iter().copied().filter(|(kind, _)| *kind == 1).collect::<Vec<_>>())
        }
        "immediate" => verdict(value(data, 2)?)?,
        "cmp" => format!("{} {}", word(&COMPARED, 2)?, compared(value(data, 3)?, address)?),
        "payload" if value(data, 1).is_some() => {
            format!("{} {}+{}", word(&LAYERS, 2)?, part(data, 3)?, part(data, 4)?)
        }
        "meta" if value(data, 1).is_some() => format!("meta {}", word(&META, 2)?),
        "lookup" => format!("in @{}", text(value(data, 1)?)),
        _ => all(name, data),
    })
}

/// A verdict, or what is written for a later step.
fn verdict(data: &[u8]) -> Option<String> {
    let inner = attributes(data, 0);
    let Some(verdict) = value(&inner, 2).map(|verdict| attributes(verdict, 0)) else {
        return Some(format!("= {}", digits(value(&inner, 1)?)));
    };
    let to = value(&verdict, 2).map(text);
    let word = match part(&verdict, 1)?.cast_signed() {
        0 => "drop",
        1 => "accept",
        3 => "queue",
        -1 => "continue",
        -2 => "break",
        -3 => "jump",
        -4 => "goto",
        -5 => "return",
        _ => "other",
    };
    match to {
        Some(to) if is_of_program(&to) => None,
        Some(to) => Some(format!("{word} {to}")),
        None => Some(word.to_owned()),
    }
}

/// What a field is compared with: a name, an address, a number, else its digits.
fn compared(data: &[u8], address: bool) -> Option<String> {
    let inner = attributes(data, 0);
    let bytes = value(&inner, 1)?;
    let name = text(bytes.split(|byte| *byte == 0).next().unwrap_or_default());
    let is_name = bytes.len() > 4 && name.len() > 1 && name.bytes().all(|b| b.is_ascii_graphic());
    Some(match *bytes {
        [] => String::new(),
        _ if is_name && is_of_program(&name) => return None,
        _ if is_name => format!("{name:?}"),
        [number] => number.to_string(),
        [high, low] => u16::from_be_bytes([high, low]).to_string(),
        [a, b, c, d] if address => Ipv4Addr::new(a, b, c, d).to_string(),
        _ => digits(bytes),
    })
}

/// A step that has no words here, with everything the kernel tells of it.
fn all(name: &str, data: &[(u16, &[u8])]) -> String {
    let told = data.iter().map(|(kind, value)| format!(" {kind}={}", digits(value)));
    std::iter::once(name.to_owned()).chain(told).collect()
}

fn digits(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    std::iter::once("0x".to_owned()).chain(digits).collect()
}

fn value<'a>(data: &[(u16, &'a [u8])], kind: u16) -> Option<&'a [u8]> {
    data.iter().find(|(own, _)| *own == kind).map(|(_, value)| *value)
}

fn part(data: &[(u16, &[u8])], kind: u16) -> Option<u32> {
    number(value(data, kind)?)
}

fn is_of_program(name: &str) -> bool {
    OF_PROGRAMS.iter().any(|begin| name.starts_with(begin))
}
