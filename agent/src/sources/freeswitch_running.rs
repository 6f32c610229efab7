//! What a FreeSWITCH runs with: profiles, gateways, global variables, modules, queues.
//!
//! It is asked over its event socket ([`crate::control::esl`]), where the configuration says so.
//! Parts: `process` (version, modules), `profiles` and `gateways` (by state), `variables` (with the
//! keys of `vars.xml`) and `queues` (settings, not counts). A gateway that is registering anew
//! keeps the state it had: it does so every few minutes; where none is known yet, gateways are
//! unobserved for some readings. When FreeSWITCH started stands under `@now`.
//!
//! Tried against a server of our own that speaks as the published documentation of the event socket
//! (developer.signalwire.com, mod_event_socket and mod_commands) says, not against FreeSWITCH.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};
use driftline_protocol::snapshot::{Domain, Reason};
use jiff::Timestamp;
use roxmltree::{Document, Node};

use super::running::{State, Steady, Told, secret, tell};
use super::table::say;
use super::{Manual, Sink, Source, source_name};
use crate::control::esl::Client;
use crate::control::{Login, freeswitch as ask};
use crate::formats::lines::scalar;
use crate::formats::xml;
use crate::machine::Machine;

/// Raised whenever the same answers give other items.
const VERSION: u32 = 1;

/// Variables that are other at each start.
const VOLATILE: [&str; 1] = ["core_uuid"];

/// States of a gateway on its way from one to the next.
const PASSING: [&str; 5] = ["TRYING", "REGISTER", "EXPIRED", "UNREGISTER", "UNREGED"];

/// Columns of a queue that count calls; the others are settings.
const COUNTS: [&str; 3] = ["calls_answered", "calls_abandoned", "ring_progressively_count"];

/// How far two tellings of the same start may lie apart, in seconds.
const SAME_START: u64 = 2;

/// The source; see the page's head.
pub struct FreeSwitchRunning {
    login: Login,
    every: Duration,
    /// When it started, in seconds of the wall clock, as first told.
    started: u64,
    /// The states of its gateways.
    steady: Steady,
}

impl FreeSwitchRunning {
    /// A source that asks where `login` says.
    pub fn new(login: &Login, every: Duration) -> Self {
        Self { login: login.clone(), every, started: 0, steady: Steady::default() }
    }
}

impl Source for FreeSwitchRunning {
    fn name(&self) -> SourceName {
        source_name("freeswitch_running")
    }

    fn domain(&self) -> Domain {
        Domain::Runtime
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "what a FreeSWITCH of this host runs with, asked over its event socket where \
                `[runtime] freeswitch` is set: `process`, `profiles`, `gateways` (by state), \
                `variables`, `queues`",
            ordered: "none",
            version: VERSION,
        }
    }

    fn every(&self) -> Option<Duration> {
        Some(self.every)
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        if !machine.is_running() {
            return Ok(()); // a tree has no server
        }
        let secret = secret(machine, &self.login.secret_file)?;
        let mut client = Client::login(&self.login, &secret)?;
        let parser = ("freeswitch_running", VERSION);
        tell(sink, parser, "process", self.process(machine, &mut client));
        let profiles = client.ask(ask::PROFILES);
        tell(sink, parser, "profiles", profiles.and_then(|told| told.map(profiles_of).transpose()));
        let gateways = client.ask(ask::GATEWAYS);
        let gateways = gateways.and_then(|told| told.map(|xml| self.gateways(&xml)).transpose());
        tell(sink, parser, "gateways", gateways);
        tell(sink, parser, "variables", client.ask(ask::VARIABLES).map(|told| told.map(variables)));
        tell(sink, parser, "queues", client.ask(ask::QUEUES).map(|told| told.map(queues)));
        Ok(())
    }
}

impl FreeSwitchRunning {
    fn process(&mut self, machine: &Machine, client: &mut Client) -> Told {
        let mut items = RawItems::new();
        if let Some(version) = client.ask(ask::VERSION)? {
            say(&mut items, ["version"], ItemValue::text(version.trim()));
        }
        if let Some(modules) = client.ask(ask::MODULES)? {
            say(&mut items, ["modules"], ItemValue::Set(modules_of(&modules)?));
        }
        if let Some(uptime) = client.ask(ask::UPTIME)? {
            let uptime: u64 = uptime.trim().parse().map_err(|_| Reason::Malformed)?;
            let now = machine.clock().duration_since(UNIX_EPOCH).map_err(|_| Reason::Failed)?;
            let started = now.as_secs().saturating_sub(uptime);
            if self.started.abs_diff(started) > SAME_START {
                self.started = started;
                self.steady.clear();
            }
            let at = i64::try_from(self.started).ok().and_then(|s| Timestamp::from_second(s).ok());
            let at = at.ok_or(Reason::Malformed)?.to_string();
            items.insert(ItemKey::momentary(["started"]), RawItem::plain(ItemValue::Text(at)));
        }
        Ok(Some(items))
    }

    fn gateways(&mut self, text: &str) -> Result<RawItems, Reason> {
        let document = xml::parse(text).map_err(|error| error.reason())?;
        let mut items = RawItems::new();
        let mut told = Vec::new();
        for gateway in named(&document, "gateway") {
            let (name, state) = (child(gateway, "name"), child(gateway, "state"));
            told.push(State {
                name: name.to_owned(),
                word: state.to_ascii_lowercase(),
                passing: PASSING.contains(&state),
            });
            let status = child(gateway, "status").to_ascii_lowercase();
            if !status.is_empty() {
                say(&mut items, [name, "status"], ItemValue::Text(status));
            }
        }
        for (name, state) in self.steady.settle(told)? {
            say(&mut items, [name.as_str(), "state"], ItemValue::Text(state));
        }
        Ok(items)
    }
}

fn named<'a>(document: &'a Document<'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.has_tag_name(name))
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> &'a str {
    let found = node.children().find(|child| child.has_tag_name(name));
    found.and_then(|child| child.text()).unwrap_or_default().trim()
}

/// Each profile with its state; how many calls stand behind it, in brackets, moves by itself.
fn profiles_of(text: String) -> Result<RawItems, Reason> {
    let document = xml::parse(&text).map_err(|error| error.reason())?;
    let mut items = RawItems::new();
    for profile in named(&document, "profile").filter(|node| child(*node, "type") == "profile") {
        let state = child(profile, "state");
        let state = state.split('(').next().unwrap_or_default().trim().to_ascii_lowercase();
        say(&mut items, [child(profile, "name")], ItemValue::Text(state));
    }
    Ok(items)
}

fn modules_of(json: &str) -> Result<BTreeSet<ItemValue>, Reason> {
    let value: serde_json::Value = serde_json::from_str(json).map_err(|_| Reason::Malformed)?;
    let rows = value.get("rows").and_then(serde_json::Value::as_array);
    let names = rows.into_iter().flatten().filter_map(|row| row.get("ikey")?.as_str());
    Ok(names.map(ItemValue::text).collect())
}

/// `name=value`, one a line.
fn variables(text: String) -> RawItems {
    let mut items = RawItems::new();
    let lines = text.lines().filter_map(|line| line.split_once('='));
    for (name, value) in lines.filter(|(name, _)| !VOLATILE.contains(name)) {
        if name == "conf_dir" {
            let file = RawItem::plain(ItemValue::Text(format!("{value}/vars.xml")));
            items.insert(ItemKey::momentary(["file"]), file);
        }
        say(&mut items, ["X-PRE-PROCESS", "set", name], ItemValue::text(value));
    }
    items
}

/// A table with its columns in the first line and `|` between them.
fn queues(text: String) -> RawItems {
    let mut items = RawItems::new();
    let mut lines = text.lines().filter(|line| line.contains('|'));
    let columns: Vec<&str> = lines.next().unwrap_or_default().split('|').collect();
    for line in lines {
        let cells: Vec<&str> = line.split('|').collect();
        let Some(queue) = cells.first() else { continue };
        say(&mut items, [queue], ItemValue::Nothing);
        for (column, cell) in columns.iter().zip(&cells).skip(1) {
            if !COUNTS.contains(column) {
                say(&mut items, [queue, column], scalar(cell));
            }
        }
    }
    items
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
