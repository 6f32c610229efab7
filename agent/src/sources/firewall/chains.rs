//! Base chains as the kernel tells them; see linux/netfilter/nf_tables.h.
//!
//! Pure. A chain without a hook is called by others and decides nothing by itself.

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;

use crate::netlink::attributes;
use crate::sources::table::say;

/// The bytes of an `nfgenmsg` before the attributes.
const BODY: usize = 4;

const TABLE: u16 = 1;
const NAME: u16 = 3;
const HOOK: u16 = 4;
const POLICY: u16 = 5;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;

/// `FAMILY TABLE/CHAIN`, with hook, priority and policy.
pub(super) fn items(messages: &[Vec<u8>]) -> RawItems {
    let mut items = RawItems::new();
    for (table, chain, value) in messages.iter().filter_map(|message| chain(message)) {
        say(&mut items, [table, chain], ItemValue::Text(value));
    }
    items
}

fn chain(message: &[u8]) -> Option<(String, String, String)> {
    let family = *message.first()?;
    let (mut table, mut name, mut hook, mut policy) = (None, None, None, 1);
    for (kind, value) in attributes(message, BODY) {
        match kind {
            TABLE => table = Some(text(value)),
            NAME => name = Some(text(value)),
            HOOK => hook = Some(value),
            POLICY => policy = number(value)?,
            _ => {}
        }
    }
    let (mut at, mut priority) = (0, 0);
    for (kind, value) in attributes(hook?, 0) {
        match kind {
            HOOK_NUMBER => at = number(value)?,
            HOOK_PRIORITY => priority = number(value)?.cast_signed(),
            _ => {}
        }
    }
    let policy = if policy == 0 { "drop" } else { "accept" };
    let value = format!("hook {} priority {priority} policy {policy}", hook_name(family, at));
    Some((format!("{} {}", family_name(family), table?), name?, value))
}

/// Numbers of netfilter have the order of the network.
pub(super) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

pub(super) fn family_name(family: u8) -> &'static str {
    match family {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "other",
    }
}

fn hook_name(family: u8, hook: u32) -> &'static str {
    match (family, hook) {
        (3, 0) => "input",
        (3, 1) => "output",
        (5, 0) => "ingress",
        (5, 1) => "egress",
        (_, 0) => "prerouting",
        (_, 1) => "input",
        (_, 2) => "forward",
        (_, 3) => "output",
        (_, 4) => "postrouting",
        (_, 5) => "ingress",
        _ => "other",
    }
}
