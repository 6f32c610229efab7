//! Installed programs, as the list of them in the settings shows: version and publisher by name.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Domain;

use super::{Look, Product, Trouble, kept, key, manual, say};

pub(super) const PACKAGES: Product = Product {
    name: "packages",
    domain: Domain::Config,
    manual: manual("`programs`, of the whole host, in 64 and 32 bits"),
    tables: &[kept("programs", programs)],
};

const LISTS: [&str; 2] = [
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall",
    r"SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
];

/// A program that is there in several versions has a set of them.
fn programs(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut all: BTreeMap<(String, &str), BTreeSet<ItemValue>> = BTreeMap::new();
    let mut found = false;
    for list in LISTS {
        let Some(list) = key(look, list, 1)? else { continue };
        found = true;
        for program in list.keys.values() {
            // Parts of others, which the settings do not show either.
            let Some(name) = program.text("DisplayName") else { continue };
            if program.number("SystemComponent") == Some(1) {
                continue;
            }
            let version = program.text("DisplayVersion").unwrap_or_default();
            let version = ItemValue::text(version);
            all.entry((name.to_owned(), "version")).or_default().insert(version);
            if let Some(publisher) = program.text("Publisher") {
                let publisher = ItemValue::text(publisher);
                all.entry((name.to_owned(), "publisher")).or_default().insert(publisher);
            }
        }
    }
    let mut items = RawItems::new();
    for ((name, field), mut values) in all {
        let only = if values.len() == 1 { values.pop_first() } else { None };
        say(&mut items, [name.as_str(), field], only.unwrap_or(ItemValue::Set(values)));
    }
    Ok(found.then_some(items))
}
