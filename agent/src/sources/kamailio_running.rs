//! What a Kamailio runs with: destinations, modules, defines, values in force, and which of its
//! files it has not loaded.
//!
//! It is asked over its own control socket ([`crate::control`]). Parts: `process` (version,
//! modules, listening addresses), `files` (what of its script is not loaded), `dispatcher`
//! (destinations as it has them, with the keys of `dispatcher.list`), `destinations` (their
//! states), `defines`, `settings` (values that can be changed at the console, with the keys of the
//! script), `registrations`, `permissions` (who may call), `trunks` (where it registers), `tls`
//! (what its TLS module runs with), and a part for each certificate that it shows to callers.
//!
//! What moves by itself is no change anybody made, so it is not told: latencies, counters, and who
//! is registered; of a location table it is told whether anybody is. A destination that Kamailio
//! is trying again is still used, and counts as active. Which file a part is to be held against
//! stands under `@now/file`, and when the server started under `@now/started`; neither is a change.
//! Kamailio does not tell its routes and parameters, so for the script as a whole it is told from
//! times and from what it said when it was loaded: see `loaded`.

mod certificates;
mod partners;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};
use driftline_protocol::snapshot::{Domain, Reason};
use serde_json::Value;

use super::loaded::Loaded;
use super::origins::{self, ScriptFiles};
use super::running::{Steady, Told, tell};
use super::table::say;
use super::{Manual, Sink, Source, part_name, source_name};
use crate::control::jsonrpc::Client;
use crate::control::{Kamailio, kamailio as ask};
use crate::formats::kamailio::DISPATCHER;
use crate::machine::Machine;
use crate::platform::path_bytes;

/// Raised whenever the same answers give other items.
const VERSION: u32 = 1;

/// Names the reading of all its parts.
const PARSER: (&str, u32) = ("kamailio_running", VERSION);

/// Where Kamailio answers unless it is told otherwise.
const SOCKET: &str = "/run/kamailio/kamailio_rpc.sock";

/// Its script unless it is told otherwise.
const SCRIPT: &str = "/etc/kamailio/kamailio.cfg";

/// Its parts.
const PARTS: [&str; 10] = [
    "defines",
    "destinations",
    "dispatcher",
    "files",
    "permissions",
    "process",
    "registrations",
    "settings",
    "tls",
    "trunks",
];

/// The most destinations that are told.
const DESTINATIONS: usize = 5_000;

/// The source; see the page's head.
pub struct KamailioRunning {
    place: Kamailio,
    /// Whether somebody said that it is here.
    expected: bool,
    every: Duration,
    loaded: Loaded,
    /// The states of its registrations elsewhere.
    trunks: Steady,
}

impl KamailioRunning {
    /// A source that remembers nothing yet.
    pub fn new(place: Option<&Kamailio>, every: Duration) -> Self {
        Self {
            expected: place.is_some(),
            place: place.cloned().unwrap_or_else(|| Kamailio::Socket(SOCKET.into())),
            every,
            loaded: Loaded::default(),
            trunks: Steady::default(),
        }
    }
}

impl Source for KamailioRunning {
    fn name(&self) -> SourceName {
        source_name("kamailio_running")
    }

    fn domain(&self) -> Domain {
        Domain::Runtime
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "what a Kamailio of this host runs with, asked over its control socket: \
                `process`, `files` (what of its script is not loaded), `dispatcher`, \
                `destinations` (their states), `defines`, `settings`, `registrations` (whether \
                there are any), `permissions`, `trunks`, `tls`, and `certificate ADDRESS`, one for \
                each address it speaks TLS at and each name it has a certificate for there",
            ordered: "none",
            version: VERSION,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        vec!["/etc/kamailio".into(), "/usr/local/etc/kamailio".into()]
    }

    fn every(&self) -> Option<Duration> {
        Some(self.every)
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        if !machine.is_running() {
            return Ok(()); // a tree has no server
        }
        let called = Client::new(&self.place).and_then(|mut client| {
            let arguments = client.ask(ask::ARGUMENTS)?.ok_or(Reason::Unsupported)?;
            Ok((client, arguments))
        });
        let (mut client, arguments) = match called {
            Ok(called) => called,
            Err(reason) => return self.silent(machine, reason, sink),
        };
        // Who has answered once and is silent now has stopped, and was not removed.
        self.expected = true;
        let started = self.start(machine, &mut client);
        let script = script(machine, &mut client, &arguments);
        let list = script.as_ref().ok().and_then(|(_, list)| list.clone());
        let process = started.and_then(|started| process(&mut client, &started).map(Some));
        tell(sink, PARSER, "process", process);
        tell(sink, PARSER, "files", started_files(self, machine, &script));
        let found = client.ask(ask::DESTINATIONS).and_then(|answer| match answer {
            Some(answer) => destinations(&answer).map(Some),
            None => Ok(None),
        });
        tell(sink, PARSER, "dispatcher", dispatcher(&found, list.as_deref()));
        tell(sink, PARSER, "destinations", found.map(|found| found.map(|found| states(&found))));
        tell(sink, PARSER, "defines", client.ask(ask::DEFINES).map(|answer| answer.map(defines)));
        let files = script.ok().map(|(files, _)| files).unwrap_or_default();
        tell(sink, PARSER, "settings", settings(&mut client, &files));
        let registrations = client.ask(ask::REGISTRATIONS);
        tell(sink, PARSER, "registrations", registrations.map(|answer| answer.map(registered)));
        tell(sink, PARSER, "permissions", partners::permissions(&mut client));
        tell(sink, PARSER, "trunks", partners::trunks(&mut client, &mut self.trunks));
        certificates::tell_all(machine, &mut client, sink);
        Ok(())
    }
}

impl KamailioRunning {
    /// Nobody answers: what was known is unobserved, as long as a Kamailio is installed.
    fn silent(&self, machine: &Machine, reason: Reason, sink: &mut dyn Sink) -> Result<(), Reason> {
        // What may not be looked at may be there.
        let there = |path: &Path| !matches!(machine.stat_followed(path), Ok(None));
        if self.expected || there(Path::new(SOCKET)) {
            return Err(reason);
        }
        if there(Path::new(SCRIPT)) {
            PARTS.iter().for_each(|part| sink.blind(&part_name(part), reason));
        }
        Ok(())
    }

    /// When the server started, as it tells it; notes it for what is loaded.
    fn start(&mut self, machine: &Machine, client: &mut Client) -> Result<String, Reason> {
        let answer = client.ask(ask::UPTIME)?.ok_or(Reason::Unsupported)?;
        let uptime = answer.get("uptime").and_then(Value::as_i64).ok_or(Reason::Malformed)?;
        let now = machine.clock().duration_since(UNIX_EPOCH).map_err(|_| Reason::Failed)?;
        self.loaded.started(i64::try_from(now.as_secs()).unwrap_or(i64::MAX) - uptime);
        Ok(text(&answer, "up_since").ok_or(Reason::Malformed)?.to_owned())
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The files of the script, by the server's own command line, and that of its destinations.
fn script(
    machine: &Machine,
    client: &mut Client,
    arguments: &Value,
) -> Result<(ScriptFiles, Option<PathBuf>), Reason> {
    let named = texts(arguments).skip_while(|argument| *argument != "-f").nth(1);
    let joined = texts(arguments).find_map(|a| a.strip_prefix("-f").filter(|p| !p.is_empty()));
    let mut main = PathBuf::from(named.or(joined).unwrap_or(SCRIPT));
    if main.is_relative() {
        let folder = client.ask(ask::FOLDER)?.ok_or(Reason::Unsupported)?;
        let folder = texts(&folder).next().ok_or(Reason::Malformed)?;
        main = Path::new(folder).join(main);
    }
    origins::script(machine, &main)?.ok_or(Reason::Failed)
}

fn started_files(
    source: &mut KamailioRunning,
    machine: &Machine,
    script: &Result<(ScriptFiles, Option<PathBuf>), Reason>,
) -> Told {
    let (files, _) = script.as_ref().map_err(|reason| *reason)?;
    let mut told = RawItems::new();
    for (path, items) in files {
        let stat = machine.stat_followed(path)?.ok_or(Reason::Changing)?;
        let name = PartName::from_bytes(&path_bytes(path.as_ref()));
        let staged = source.loaded.staged(path, &stat, items);
        told.insert(ItemKey::momentary(["loaded", name.as_str()]), RawItem::plain(staged));
    }
    Ok(Some(told))
}

fn process(client: &mut Client, started: &str) -> Result<RawItems, Reason> {
    let mut items = RawItems::new();
    let started = RawItem::plain(ItemValue::text(started));
    items.insert(ItemKey::momentary(["started"]), started);
    if let Some(version) = client.ask(ask::VERSION)? {
        say(&mut items, ["version"], ItemValue::text(version.as_str().unwrap_or_default().trim()));
    }
    if let Some(modules) = client.ask(ask::MODULES)? {
        let modules: BTreeSet<_> = texts(&modules).map(ItemValue::text).collect();
        say(&mut items, ["modules"], ItemValue::Set(modules));
    }
    if let Some(listening) = listening(client)? {
        let all = listening
            .into_iter()
            .map(|[proto, address, port]| ItemValue::Text(format!("{proto}:{address}:{port}")));
        say(&mut items, ["listens"], ItemValue::Set(all.collect()));
    }
    Ok(items)
}

/// Protocol, address and port of each place it listens at.
fn listening(client: &mut Client) -> Result<Option<Vec<[String; 3]>>, Reason> {
    let Some(sockets) = client.ask(ask::SOCKETS)? else { return Ok(None) };
    let all = sockets.as_array().into_iter().flatten().filter_map(|each| {
        let socket = each.get("socket")?;
        let [proto, address, port] = ["proto", "address", "port"].map(|n| text(socket, n));
        Some([proto?, address?, port?].map(str::to_owned))
    });
    Ok(Some(all.collect()))
}

/// A destination as the server has it.
struct Destination {
    set: i64,
    uri: String,
    flags: String,
    priority: i64,
    attributes: String,
}

impl Destination {
    fn of(set: i64, target: &Value) -> Option<Self> {
        let target = target.get("DEST")?;
        let body = target.get("ATTRS").and_then(|attributes| text(attributes, "BODY"));
        Some(Self {
            set,
            uri: text(target, "URI")?.to_owned(),
            flags: text(target, "FLAGS")?.to_owned(),
            priority: target.get("PRIORITY").and_then(Value::as_i64).unwrap_or(0),
            attributes: body.unwrap_or_default().to_owned(),
        })
    }

    /// What becomes of calls to it.
    fn state(&self) -> &'static str {
        let (state, probed) = (self.flags.chars().next(), self.flags.contains('P'));
        match state {
            Some('D') => "disabled",
            Some('I') if probed => "not_answering",
            Some('I') => "inactive",
            _ => "active",
        }
    }

    /// What of its state a person or the script decided, as `dispatcher.list` has it.
    fn decided(&self) -> u8 {
        match self.state() {
            "disabled" => 4,
            "inactive" => 1,
            _ => 0,
        }
    }
}

fn destinations(answer: &Value) -> Result<Vec<Destination>, Reason> {
    let sets = answer.get("RECORDS").and_then(Value::as_array);
    let mut all = Vec::new();
    for set in sets.into_iter().flatten() {
        let set = set.get("SET").ok_or(Reason::Malformed)?;
        let number = set.get("ID").and_then(Value::as_i64).ok_or(Reason::Malformed)?;
        let targets = set.get("TARGETS").and_then(Value::as_array).ok_or(Reason::Malformed)?;
        // The server has them the other way round than they were read.
        for target in targets.iter().rev() {
            all.push(Destination::of(number, target).ok_or(Reason::Malformed)?);
        }
        if all.len() > DESTINATIONS {
            return Err(Reason::TooLarge);
        }
    }
    Ok(all)
}

/// The destinations with the keys and values that the format of the file gives them.
fn dispatcher(found: &Result<Option<Vec<Destination>>, Reason>, list: Option<&Path>) -> Told {
    let Some(found) = found.as_ref().map_err(|reason| *reason)? else { return Ok(None) };
    let mut lines = String::new();
    for destination in found {
        let Destination { set, uri, priority, attributes, flags: _ } = destination;
        let decided = destination.decided();
        lines.push_str(&format!("{set} {uri} {decided} {priority} \"{attributes}\"\n"));
    }
    let mut items = (DISPATCHER.read)(lines.as_bytes()).map_err(|error| error.reason())?;
    if let Some(list) = list {
        let name = PartName::from_bytes(&path_bytes(list));
        let name = RawItem::plain(ItemValue::text(name.as_str()));
        items.insert(ItemKey::momentary(["file"]), name);
    }
    Ok(Some(items))
}

fn states(found: &[Destination]) -> RawItems {
    let mut items = RawItems::new();
    for destination in found {
        let set = destination.set.to_string();
        let state = ItemValue::text(destination.state());
        say(&mut items, [&set, &destination.uri], state);
    }
    items
}

/// The defines but for those that Kamailio makes itself.
fn defines(answer: Value) -> RawItems {
    let mut items = RawItems::new();
    for define in answer.as_array().into_iter().flatten() {
        let Some(name) = text(define, "name") else { continue };
        if name.starts_with("MOD_") || name.starts_with("KAMAILIO_") {
            continue;
        }
        let value = match text(define, "value") {
            None | Some("none") => ItemValue::Nothing,
            Some(value) => ItemValue::text(value),
        };
        say(&mut items, [name], value);
    }
    items
}

/// Values in force under the keys they have in the script, and the files they are held against.
fn settings(client: &mut Client, files: &ScriptFiles) -> Told {
    let mut items = RawItems::new();
    for (query, key) in ask::SETTINGS {
        let value = match client.ask(query)? {
            Some(Value::Number(number)) => ItemValue::Integer(number.as_i64().unwrap_or(i64::MAX)),
            Some(Value::String(text)) => ItemValue::Text(text),
            Some(_) | None => continue,
        };
        say(&mut items, key, value);
    }
    if items.is_empty() {
        return Ok(None);
    }
    let names = files.iter().map(|(path, _)| {
        let name = PartName::from_bytes(&path_bytes(path.as_ref()));
        ItemValue::text(name.as_str())
    });
    let names = RawItem::plain(ItemValue::Set(names.collect()));
    items.insert(ItemKey::momentary(["file"]), names);
    Ok(Some(items))
}

/// Whether anybody is registered, by location table: how many are is no setting of anybody.
fn registered(answer: Value) -> RawItems {
    let mut items = RawItems::new();
    for line in texts(&answer) {
        let Some((name, count)) = line.split_once('=') else { continue };
        let name = name.trim().trim_start_matches("usrloc:");
        if let Some(table) = name.strip_suffix("_contacts") {
            let any = if count.trim() == "0" { "none" } else { "some" };
            say(&mut items, [table], ItemValue::text(any));
        }
    }
    items
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
