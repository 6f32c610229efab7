//! Asterisk: what `extconfig.conf` and `sorcery.conf` take out of the files.
//!
//! `asterisk.conf` may say where the other files are (`astetcdir`), and whether a line `#exec` is
//! run (`execincludes`): then a program decides what is configured. `realtime/FAMILY` is what
//! `extconfig.conf` gives a family (driver, database, table), `sorcery/MODULE/OBJECT` the places,
//! in order, where `sorcery.conf` has a module look for its objects. A family or object that is
//! named there is not in the file of its name, or not there alone.

use std::path::Path;

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::{RawItem, RawItems};
use driftline_protocol::snapshot::Reason;

use super::{DEPTH, Found, Product, Trouble, Walk, from_name, texts};
use crate::formats::asterisk::FORMAT;

/// Asterisk.
pub static PRODUCT: Product = Product {
    name: "asterisk",
    directories: &["/etc/asterisk", "/usr/local/etc/asterisk"],
    parts: "`origins of FOLDER`: what realtime (`realtime`) and sorcery (`sorcery`) take out of \
        Asterisk's files, whether programs decide (`exec`), and the files that say so (`reads`)",
    follow,
};

/// The files that decide what other files mean, and under which name their items are said.
const DECIDE: [(&str, &str); 2] = [("extconfig.conf", "realtime"), ("sorcery.conf", "sorcery")];

fn follow(walk: &mut Walk<'_>, directory: &Path) -> Result<Found, Trouble> {
    let main = read(walk, &directory.join("asterisk.conf"), directory, 0)?;
    let mut directory = directory.to_path_buf();
    for (key, item) in main {
        let names: Vec<String> = key.segments().collect();
        match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["directories" | "directories(!)", "astetcdir"] => {
                // An absolute path replaces the folder, as `push` has it.
                texts(&item.value).into_iter().for_each(|path| directory.push(path));
                walk.say(["folder"], item);
            }
            ["options", "execincludes"] => walk.say(["exec", "allowed"], item),
            _ => {}
        }
    }
    for (file, said) in DECIDE {
        let items = read(walk, &directory.join(file), &directory, 0)?;
        for (key, item) in items {
            let mut names: Vec<String> = key.segments().collect();
            if names.iter().any(|name| name.starts_with('#')) {
                continue; // an include was followed
            }
            // A section that goes on with another one is no other section.
            names.retain(|name| !name.starts_with("(+)"));
            if said == "realtime" && !names.is_empty() {
                // All stand in the one section `settings`.
                names.remove(0);
            }
            names.insert(0, said.to_owned());
            walk.say(names, item);
        }
    }
    Ok(walk.found())
}

/// The items of a file and of those it includes, without sections that say nothing.
fn read(
    walk: &mut Walk<'_>,
    path: &Path,
    directory: &Path,
    depth: usize,
) -> Result<RawItems, Trouble> {
    if depth > DEPTH {
        return Err(Trouble::Unread(Reason::TooLarge));
    }
    let mut all = RawItems::new();
    for (key, item) in walk.file(path, &FORMAT)?.unwrap_or_default() {
        for directive in ["#include", "#tryinclude"] {
            let Some(names) = from_name(&key, directive) else { continue };
            let targets = names.get(1).cloned().into_iter().chain(texts(&item.value));
            for target in targets {
                for path in walk.named(directory, &target)? {
                    all.extend(read(walk, &path, directory, depth + 1)?);
                }
            }
        }
        if let Some(names) = from_name(&key, "#exec") {
            let command = names.get(1).cloned().into_iter().chain(texts(&item.value));
            for command in command {
                walk.say(["exec", &command], RawItem::plain(ItemValue::Nothing));
            }
        }
        if item.value != ItemValue::Nothing || key.segments().count() > 1 {
            all.insert(key, item);
        }
    }
    Ok(all)
}
