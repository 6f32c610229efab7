//! What this host depends on and whether it answers, as [`crate::probes`] found.
//!
//! One part a target, `SERVICE/HOP/KIND ADDRESS`, with what holds still: whether it answers, the
//! code, what is to be said of its certificate, the servers that DNS names for a domain. Round
//! trip, loss, the certificate's end and the time of asking stand under `@now`: they are measured,
//! and no change.

use std::time::Duration;

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reason};

use super::table::{momentary, say};
use super::{Manual, Sink, Source, source_name};
use crate::content::reading;
use crate::machine::Machine;
use crate::probes::{Config, Outcome, Stage, Target};

/// Raised whenever the same answers give other items.
const VERSION: u32 = 1;

/// The source; see the page's head.
pub struct Probes {
    config: Config,
    /// Begins with the first reading of a running host.
    stage: Option<Stage>,
}

impl Probes {
    /// A source that has asked nobody yet.
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), stage: None }
    }
}

impl Source for Probes {
    fn name(&self) -> SourceName {
        source_name("probes")
    }

    fn domain(&self) -> Domain {
        Domain::Runtime
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "one for each of `[probes] targets`, `SERVICE/HOP/KIND ADDRESS`: whether it \
                answers, its code, what is to be said of its certificate, the `servers` of a \
                domain and the one that was `reached`, `records` of DNS; nobody is asked where no \
                target is named",
            ordered: "none",
            version: VERSION,
        }
    }

    fn every(&self) -> Option<Duration> {
        (!self.config.targets.is_empty()).then(|| Duration::from_secs(self.config.every_seconds))
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        if !machine.is_running() || self.config.targets.is_empty() {
            return Ok(());
        }
        let stage = match self.stage.take() {
            Some(stage) => stage,
            None => Stage::start(&self.config).map_err(|_| Reason::Failed)?,
        };
        let outcomes = self.stage.insert(stage).outcomes();
        for (place, target) in self.config.targets.iter().enumerate() {
            let name = name(target);
            match outcomes.get(&place) {
                // Whoever asks has not come round for long, and nobody knows what is there now.
                Some(outcome) if outcome.ended.elapsed() > self.config.patience() => {
                    sink.seen(name, RawPart::Unobserved(Reason::TimedOut));
                }
                Some(outcome) => {
                    let reading = reading("probes", VERSION);
                    sink.seen(name, momentary(reading, items(target, outcome)));
                }
                // It was not asked yet.
                None => sink.blind(&name, Reason::TimedOut),
            }
        }
        Ok(())
    }
}

fn name(target: &Target) -> PartName {
    let Target { service, hop, kind, address, name: _, ca_file: _ } = target;
    PartName::from_bytes(format!("{service}/{hop}/{} {address}", kind.as_str()).as_bytes())
}

fn items(target: &Target, outcome: &Outcome) -> RawItems {
    let mut items = RawItems::new();
    say(&mut items, ["service"], ItemValue::text(&target.service));
    say(&mut items, ["hop"], ItemValue::text(&target.hop));
    say(&mut items, ["answer"], ItemValue::text(outcome.answer.as_str()));
    if let Some(code) = outcome.code {
        say(&mut items, ["code"], ItemValue::Integer(i64::from(code)));
    }
    let took = outcome.round_trip;
    let took = took.map(|took| i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
    let measured = [
        ("at", Some(outcome.at.as_second())),
        ("loss_percent", Some(i64::from(outcome.loss_percent))),
        ("round_trip_us", took),
        ("expires", outcome.certificate.as_ref().map(|certificate| certificate.expires)),
    ];
    for (name, value) in measured.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        items.insert(ItemKey::momentary([name]), RawItem::plain(ItemValue::Integer(value)));
    }
    let text = |text: &String| ItemValue::text(text.as_str());
    if let Some(records) = &outcome.records {
        say(&mut items, ["records"], ItemValue::Set(records.iter().map(text).collect()));
    }
    if let Some((servers, reached)) = &outcome.servers {
        say(&mut items, ["servers"], ItemValue::List(servers.iter().map(text).collect()));
        if let Some(reached) = reached {
            say(&mut items, ["reached"], text(reached));
        }
    }
    if let Some(certificate) = &outcome.certificate {
        say(&mut items, ["certificate"], ItemValue::text(certificate.verdict));
    }
    items
}
