//! What an Asterisk runs with: the endpoints it knows, where it registers, its queues.
//!
//! It is asked over its manager interface ([`crate::control::ami`]), where the configuration says
//! so. Parts: `process` (version), `endpoints`, `trunks` (registrations elsewhere, by state) and
//! `queues` (settings and the members that are configured; who logs in and out during the day is
//! no setting). When Asterisk started and was last reloaded as a whole stands under `@now`.
//!
//! Tried against a server of our own that speaks as Asterisk's published manager documentation
//! (docs.asterisk.org, AMI actions and events) says, not against Asterisk itself.

use std::collections::BTreeMap;
use std::time::Duration;

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};
use driftline_protocol::snapshot::{Domain, Reason};

use super::running::{Told, secret, tell};
use super::table::say;
use super::{Manual, Sink, Source, source_name};
use crate::control::ami::{Client, Message};
use crate::control::{Login, asterisk as ask};
use crate::formats::lines::scalar;
use crate::machine::Machine;

/// Raised whenever the same answers give other items.
const VERSION: u32 = 1;

/// The settings of a queue that are told, as the manager names them.
const QUEUE: [&str; 4] = ["Strategy", "Weight", "ServiceLevel", "Max"];

/// The source; see the page's head.
pub struct AsteriskRunning {
    login: Login,
    every: Duration,
}

impl AsteriskRunning {
    /// A source that asks where `login` says.
    pub fn new(login: &Login, every: Duration) -> Self {
        Self { login: login.clone(), every }
    }
}

impl Source for AsteriskRunning {
    fn name(&self) -> SourceName {
        source_name("asterisk_running")
    }

    fn domain(&self) -> Domain {
        Domain::Runtime
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "what an Asterisk of this host runs with, asked over its manager interface \
                where `[runtime] asterisk` is set: `process`, `endpoints`, `trunks` (by state), \
                `queues` (with their configured members)",
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
        let parser = ("asterisk_running", VERSION);
        tell(sink, parser, "process", process(&mut client));
        tell(sink, parser, "endpoints", rows(&mut client, ask::ENDPOINTS, endpoints));
        tell(sink, parser, "trunks", rows(&mut client, ask::TRUNKS, trunks));
        tell(sink, parser, "queues", rows(&mut client, ask::QUEUES, queues));
        Ok(())
    }
}

fn process(client: &mut Client) -> Told {
    let mut items = RawItems::new();
    if let Some((settings, _)) = client.ask(ask::SETTINGS)? {
        say(&mut items, ["version"], ItemValue::text(settings.get("AsteriskVersion")));
    }
    if let Some((status, _)) = client.ask(ask::STATUS)? {
        for (name, date, time) in [
            ("started", "CoreStartupDate", "CoreStartupTime"),
            ("reloaded", "CoreReloadDate", "CoreReloadTime"),
        ] {
            let at = format!("{} {}", status.get(date), status.get(time));
            let at = RawItem::plain(ItemValue::text(at));
            items.insert(ItemKey::momentary([name]), at);
        }
    }
    Ok(Some(items))
}

fn rows(
    client: &mut Client,
    query: crate::control::Query,
    items: fn(&[Message]) -> RawItems,
) -> Told {
    Ok(client.ask(query)?.map(|(_, rows)| items(&rows)))
}

/// The rows that are this event.
fn of<'a>(rows: &'a [Message], event: &'a str) -> impl Iterator<Item = &'a Message> {
    rows.iter().filter(move |row| row.get("Event").eq_ignore_ascii_case(event))
}

fn endpoints(rows: &[Message]) -> RawItems {
    let mut items = RawItems::new();
    for row in of(rows, "EndpointList") {
        say(&mut items, [row.get("ObjectName")], ItemValue::Nothing);
    }
    items
}

fn trunks(rows: &[Message]) -> RawItems {
    let mut items = RawItems::new();
    for row in of(rows, "OutboundRegistrationDetail") {
        let state = ItemValue::Text(row.get("Status").to_ascii_lowercase());
        say(&mut items, [row.get("ObjectName")], state);
    }
    items
}

fn queues(rows: &[Message]) -> RawItems {
    let mut items = RawItems::new();
    for row in of(rows, "QueueParams") {
        let queue = row.get("Queue");
        say(&mut items, [queue], ItemValue::Nothing);
        for name in QUEUE.into_iter().filter(|name| !row.get(name).is_empty()) {
            say(&mut items, [queue, &name.to_ascii_lowercase()], scalar(row.get(name)));
        }
    }
    let mut members: BTreeMap<(&str, &str), &Message> = BTreeMap::new();
    for row in of(rows, "QueueMember").filter(|row| row.get("Membership") == "static") {
        members.insert((row.get("Queue"), row.get("StateInterface")), row);
    }
    for ((queue, interface), row) in members {
        let penalty = scalar(row.get("Penalty"));
        say(&mut items, [queue, "member", interface, "penalty"], penalty);
    }
    items
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
