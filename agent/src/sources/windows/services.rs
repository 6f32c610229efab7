//! Services and drivers: what starts when, from where and as whom.

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Domain;

use super::{Look, Product, Trouble, chosen, kept, key, manual, say};

pub(super) const SERVICES: Product = Product {
    name: "services",
    domain: Domain::Config,
    manual: manual("`services`, drivers too: how each starts, its program and account"),
    tables: &[kept("services", services)],
};

/// Bits of `Type` and what they say.
const KINDS: [(u64, &str); 2] = [(0x30, "service"), (0x0b, "driver")];

/// The copy that a person has of a service while logged in.
const INSTANCE: u64 = 0x80;

/// Names of `Start`.
const STARTS: [&str; 5] = ["boot", "system", "automatic", "manual", "disabled"];

fn services(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    const NAMES: [&str; 4] = ["ImagePath", "ObjectName", "DelayedAutostart", "DependOnService"];
    let Some(all) = key(look, r"SYSTEM\CurrentControlSet\Services", 2)? else { return Ok(None) };
    // The key holds counters and caches of services as well, which change by themselves.
    look.without_bytes();
    let mut items = RawItems::new();
    for (name, service) in &all.keys {
        let bits = service.number("Type").filter(|bits| bits & INSTANCE == 0).unwrap_or_default();
        let Some((_, kind)) = KINDS.iter().find(|(kind, _)| bits & kind != 0) else { continue };
        say(&mut items, [name.as_str(), "kind"], ItemValue::text(*kind));
        if let Some(start) = service.number("Start") {
            let word = usize::try_from(start).ok().and_then(|start| STARTS.get(start));
            let word = word.map_or_else(|| start.to_string(), ToString::to_string);
            say(&mut items, [name.as_str(), "start"], ItemValue::Text(word));
        }
        chosen(&mut items, &[name], service, &NAMES);
        if let Some(parameters) = service.below(&["Parameters"]) {
            chosen(&mut items, &[name, "Parameters"], parameters, &["ServiceDll"]);
        }
    }
    Ok(Some(items))
}
