//! The configuration of FreeSWITCH: XML behind a preprocessor of lines.
//!
//! Elements are keyed as its modules look them up: `param` and `variable` by name, `user` by id,
//! `condition` by field, `action` by application (and by the variable that `set` and the like set),
//! `tier` by agent and queue. Order counts everywhere: the dial plan is read from top to bottom,
//! and of two parameters of one name the later wins. `<include>` is no level of its own, since the
//! preprocessor drops it. `$${variable}` stands as it is written; where it is set is an item of its
//! own, so that one change there is one change.
//!
//! The preprocessor works on lines before anything reads XML, so an `X-PRE-PROCESS` in a comment is
//! in force: see `preprocess`. Nothing it names is opened or run.
//!
//! Its own reader forgives more than XML does: several elements at the top, a bare `&` in a value.
//! Such a file is told as malformed all the same, since every other reader of it refuses it and
//! whoever keeps it wants to know; reading it as FreeSWITCH does was tried, and hid that.
//!
//! From `src/switch_xml.c` and `conf/vanilla` of FreeSWITCH 1.10.

mod preprocess;
#[cfg(test)]
mod tests;

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;

use super::lines::{decode, original};
use super::xml::{self, Element, Named};
use super::{Format, FormatError};

/// Files of FreeSWITCH.
pub static FORMAT: Format = Format {
    name: "freeswitch",
    version: 2,
    ordered: "elements keep their order, in the dial plan as elsewhere; attributes have none",
    claims,
    read,
};

/// Folders that its configuration has, wherever that stands.
const FOLDERS: [&str; 9] = [
    "/freeswitch/",
    "/autoload_configs/",
    "/chatplan/",
    "/dialplan/",
    "/directory/",
    "/ivr_menus/",
    "/jingle_profiles/",
    "/sip_profiles/",
    "/skinny_profiles/",
];

/// Applications whose data is `variable=value`.
const SETTERS: [&str; 4] = ["export", "set", "set_global", "set_profile_var"];

/// How an element begins that only the preprocessor understands.
const MARK: &[u8] = b"<X-PRE-PROCESS";

fn claims(path: &str, head: &[u8]) -> bool {
    let path = original(path);
    let file = path.rsplit('/').next().unwrap_or_default();
    let marked = || head.windows(MARK.len()).any(|bytes| bytes.eq_ignore_ascii_case(MARK));
    path.ends_with(".xml")
        && (matches!(file, "freeswitch.xml" | "vars.xml")
            || file.ends_with(".conf.xml")
            || FOLDERS.iter().any(|folder| path.contains(folder))
            || marked())
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let document = xml::parse(&text)?;
    let mut items = xml::items(&document, named)?;
    let comments = document.root().descendants().filter(|node| node.is_comment());
    for comment in comments.filter_map(|node| node.text()) {
        for command in preprocess::commands(comment) {
            let (name, value) = command.split();
            let mut key = vec!["X-PRE-PROCESS in a comment", command.name];
            key.extend(name);
            items.place(&key, value.map_or(ItemValue::Nothing, ItemValue::text))?;
        }
    }
    Ok(items.finish())
}

fn named<'a>(element: &Element<'a>) -> Named<'a> {
    let value = |name: &'static str| element.attributes.get(name).copied();
    let tag = element.tag.to_ascii_lowercase();
    let found = match tag.as_str() {
        "include" => Some(Named { transparent: true, ..Named::default() }),
        "x-pre-process" => value("cmd").zip(value("data")).map(|(name, data)| {
            let (variable, value) = preprocess::Command { name, data }.split();
            keyed([name].into_iter().chain(variable), value, &["cmd", "data"])
        }),
        "action" | "anti-action" => value("application").map(|name| action(name, value("data"))),
        "condition" => value("field")
            .map(|field| keyed([field], value("expression"), &["field", "expression"])),
        "load" => value("module").map(|module| keyed([module], None, &["module"])),
        "user" | "domain" => value("id").map(|id| keyed([id], None, &["id"])),
        "tier" => value("agent")
            .zip(value("queue"))
            .map(|(agent, queue)| keyed([agent, queue], None, &["agent", "queue"])),
        "node" => [("cidr", &["cidr"]), ("domain", &["domain"])]
            .into_iter()
            .find_map(|(name, spent)| Some(keyed([value(name)?], None, spent))),
        "entry" => {
            value("digits").map(|digits| keyed([digits], value("param"), &["digits", "param"]))
        }
        _ => None,
    };
    found.unwrap_or_else(|| otherwise(element, &tag))
}

/// An element that is keyed as in any document. Where one of its tag has another key, the
/// attribute's name stands in it, so that two different ones never look the same.
fn otherwise<'a>(element: &Element<'a>, tag: &str) -> Named<'a> {
    let mut named = xml::named(element);
    if matches!(
        tag,
        "load" | "user" | "domain" | "tier" | "node" | "entry" | "condition" | "action"
    ) {
        named.name = named.name.into_iter().map(|name| format!("name={name}")).collect();
    }
    named
}

fn keyed<'a>(
    name: impl IntoIterator<Item = &'a str>,
    value: Option<&str>,
    spent: &[&'static str],
) -> Named<'a> {
    Named {
        name: name.into_iter().map(str::to_owned).collect(),
        value: value.map(str::to_owned),
        spent: spent.iter().copied().collect(),
        transparent: false,
    }
}

fn action<'a>(application: &'a str, data: Option<&'a str>) -> Named<'a> {
    let spent = ["application", "data"];
    match data.and_then(|data| data.split_once('=')) {
        Some((variable, value)) if SETTERS.contains(&application) => {
            keyed([application, variable], Some(value), &spent)
        }
        _ if application == "conference" => keyed([application], data.map(room).as_deref(), &spent),
        _ => keyed([application], data, &spent),
    }
}

/// `room@profile+PIN+flags{…}` with the PIN behind a name, for the redactor to know it by.
fn room(data: &str) -> String {
    let mut parts: Vec<&str> = data.split('+').collect();
    let is_pin = |part: &&str| !part.is_empty() && !part.starts_with(['$', '{']);
    match parts.get(1).copied().filter(|part| is_pin(part) && !part.starts_with("flags{")) {
        Some(pin) => {
            parts.remove(1);
            format!("{} pin={pin}", parts.join("+"))
        }
        None => data.to_owned(),
    }
}
