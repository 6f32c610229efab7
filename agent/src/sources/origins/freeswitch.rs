//! FreeSWITCH: what the preprocessor includes, and what web servers and databases hold instead.
//!
//! The preprocessor follows `X-PRE-PROCESS` includes from `freeswitch.xml`, relative to the file
//! that names them, also inside comments. `xml_curl/…` are the bindings by which a web server
//! answers for the dial plan or the directory before any file is asked; `database/…` are the data
//! sources that modules are given (`odbc-dsn`, `core-db-dsn` …), `module/NAME` says of each module
//! that can take settings out of the files whether it is loaded.

use std::path::Path;

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::{RawItem, RawItems};
use driftline_protocol::snapshot::Reason;

use super::{DEPTH, Product, Trouble, Walk, from_name};
use crate::formats::freeswitch::FORMAT;

/// FreeSWITCH.
pub static PRODUCT: Product = Product {
    name: "freeswitch",
    directories: &["/etc/freeswitch", "/usr/local/freeswitch/conf", "/opt/freeswitch/conf"],
    parts: "`origins of FOLDER`: the files FreeSWITCH's preprocessor reads (`reads`), the parts of \
        the configuration a web server answers for (`xml_curl`), data sources (`database`) and \
        the modules that take settings from elsewhere (`module`)",
    follow: |walk, directory| {
        follow(walk, &directory.join("freeswitch.xml"), 0)?;
        Ok(walk.found())
    },
};

/// Modules by which settings come from elsewhere.
const MODULES: &[&str] =
    &["mod_ldap", "mod_lua", "mod_perl", "mod_python3", "mod_xml_curl", "mod_xml_ldap"];

fn follow(walk: &mut Walk<'_>, path: &Path, depth: usize) -> Result<(), Trouble> {
    if depth > DEPTH {
        return Err(Trouble::Unread(Reason::TooLarge));
    }
    let Some(items) = walk.file(path, &FORMAT)? else { return Ok(()) };
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    say(walk, &file, &items);
    let directory = path.parent().unwrap_or(path);
    for key in items.keys() {
        for mark in ["X-PRE-PROCESS", "X-PRE-PROCESS in a comment"] {
            let names = from_name(key, mark).unwrap_or_default();
            let [_, command, pattern, ..] = names.as_slice() else { continue };
            if !command.eq_ignore_ascii_case("include") {
                continue;
            }
            for path in walk.named(directory, pattern)? {
                follow(walk, &path, depth + 1)?;
            }
        }
    }
    Ok(())
}

fn say(walk: &mut Walk<'_>, file: &str, items: &RawItems) {
    for (key, item) in items {
        let names: Vec<String> = key.segments().collect();
        if let Some(binding) = from_name(key, "binding").filter(|_| file == "xml_curl.conf.xml") {
            let mut names = vec!["xml_curl".to_owned()];
            names.extend(binding.into_iter().skip(1));
            walk.say(names, item.clone());
        } else if names.last().is_some_and(|name| name.ends_with("dsn")) {
            let names = ["database".to_owned(), file.to_owned()].into_iter().chain(names);
            walk.say(names, item.clone());
        } else if let Some([_, module, ..]) = from_name(key, "load").as_deref()
            && MODULES.contains(&module.as_str())
        {
            walk.say(["module", module], RawItem::plain(ItemValue::text("loaded")));
        }
    }
}
