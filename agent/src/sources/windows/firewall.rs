//! The firewall: its profiles, and each rule by its name, as local settings and policies have them.
//!
//! A rule stands as `v2.31|Action=Allow|Active=TRUE|Dir=In|LPort=5061|…` (MS-FASP 2.2.19). A
//! field that comes more than once is a set.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Domain;

use super::{Look, Product, Trouble, chosen, kept, key, manual, say};
use crate::registry::{Key, Value};

pub(super) const FIREWALL: Product = Product {
    name: "firewall",
    domain: Domain::Policy,
    manual: manual("`local`, `policy`: profiles, and each rule with its fields"),
    tables: &[
        kept("local", |look| firewall(look, LOCAL)),
        kept("policy", |look| firewall(look, POLICY)),
    ],
};

const LOCAL: &str = r"SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy";
const POLICY: &str = r"SOFTWARE\Policies\Microsoft\WindowsFirewall";

const PROFILES: [&str; 4] = ["DomainProfile", "StandardProfile", "PrivateProfile", "PublicProfile"];

const OF_PROFILE: [&str; 6] = [
    "EnableFirewall",
    "DefaultInboundAction",
    "DefaultOutboundAction",
    "DisableNotifications",
    "DoNotAllowExceptions",
    "AllowLocalPolicyMerge",
];

fn firewall(look: &mut Look<'_>, path: &str) -> Result<Option<RawItems>, Trouble> {
    let Some(policy) = key(look, path, 1)? else { return Ok(None) };
    let mut items = RawItems::new();
    for profile in PROFILES {
        let Some(key) = policy.below(&[profile]) else { continue };
        chosen(&mut items, &[profile], key, &OF_PROFILE);
    }
    if let Some(rules) = policy.below(&["FirewallRules"]) {
        each_rule(&mut items, rules);
    }
    Ok(Some(items))
}

fn each_rule(items: &mut RawItems, rules: &Key) {
    for (id, rule) in &rules.values {
        let Value::Text(rule) = rule else { continue };
        let mut fields: BTreeMap<&str, BTreeSet<ItemValue>> = BTreeMap::new();
        for field in rule.split('|') {
            if let Some((name, value)) = field.split_once('=') {
                fields.entry(name).or_default().insert(ItemValue::text(value));
            }
        }
        for (name, mut values) in fields {
            let only = if values.len() == 1 { values.pop_first() } else { None };
            say(items, ["rules", id, name], only.unwrap_or(ItemValue::Set(values)));
        }
    }
}
