//! Holds hosts to the rules and to what was agreed of their groups again: all of them at the start
//! and when either or their place changed, and some at each turn of the clock, where a rule asks
//! how much time is left.
//!
//! Each host is looked at aside first, on a thread for blocking work; only one whose findings
//! differ costs the writer a turn. A host that reports meanwhile is judged by the new rules as it
//! reports.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;
use tokio::sync::watch;

use super::state::Collector;
use crate::analysis::agreement::Agreements;
use crate::ingest::{Because, Decided, is_judged_otherwise};
use crate::standards::Standards;
use crate::store::{HostRecord, agreements};

/// How long the start has for itself before the first pass.
const SETTLE: Duration = Duration::from_secs(1);

/// How often time is looked at. What a host is told by it is told in days.
const TURN: Duration = Duration::from_secs(10);

/// In so many turns the whole fleet is looked at once: an hour. A pass that is spread costs little
/// at any moment; of 100,000 hosts it looks at 28 a second.
const TURNS: usize = 360;

/// So many hosts are looked at in any turn, so that a small fleet does not wait for its hour.
const HOSTS_LEAST: usize = 50;

/// Judges the fleet until told to stop.
pub(super) async fn judging(collector: Arc<Collector>, mut stopped: watch::Receiver<()>) {
    if !super::upkeep::goes_on(&mut stopped, SETTLE).await {
        return;
    }
    let mut round = Round::new();
    let mut because = Because::OfTheRules;
    loop {
        let standards = collector.settings().standards;
        let (hosts, agreed) = match because {
            Because::OfTheRules => (hosts(&collector), agreed(&collector)),
            // Nobody agreed to a clock.
            Because::OfTheClock => (round.turn(|| hosts(&collector)), Arc::default()),
        };
        for host in hosts {
            // An error means that the sender is gone, which is how the end is told.
            if stopped.has_changed().is_err() {
                return;
            }
            one(&collector, (&standards, &agreed), (host, because)).await;
        }
        because = tokio::select! {
            _ = stopped.changed() => return,
            because = next(&collector) => because,
        };
    }
}

/// Waits for other standards, or for the clock where one of them asks it.
async fn next(collector: &Collector) -> Because {
    loop {
        tokio::select! {
            () = collector.standards_changed() => return Because::OfTheRules,
            () = tokio::time::sleep(TURN) => {}
        }
        let asked = !collector.settings().standards.rules.of_the_clock().is_empty();
        if asked && !mutant::active(Mutant::TimeStandsStill) {
            return Because::OfTheClock;
        }
    }
}

/// Who waits for a turn.
struct Round<T> {
    waiting: VecDeque<T>,
    each: usize,
}

impl<T> Round<T> {
    fn new() -> Self {
        Self { waiting: VecDeque::new(), each: HOSTS_LEAST }
    }

    /// Those of the next turn; `all` says who takes part in the next round.
    fn turn(&mut self, all: impl FnOnce() -> Vec<T>) -> Vec<T> {
        if self.waiting.is_empty() {
            self.waiting = all().into();
            self.each = self.waiting.len().div_ceil(TURNS).max(HOSTS_LEAST);
        }
        self.waiting.drain(..self.each.min(self.waiting.len())).collect()
    }
}

fn hosts(collector: &Collector) -> Vec<HostRecord> {
    collector.read.hosts().unwrap_or_else(|error| {
        tracing::warn!(%error, "hosts could not be read, so none was held to the rules again");
        Vec::new()
    })
}

fn agreed(collector: &Collector) -> Arc<Agreements> {
    Arc::new(agreements(&*collector.read).unwrap_or_else(|error| {
        tracing::warn!(%error, "baselines could not be read, so no host was held to its groups'");
        Agreements::default()
    }))
}

async fn one(
    collector: &Arc<Collector>,
    (standards, agreements): (&Arc<Standards>, &Arc<Agreements>),
    (host, because): (HostRecord, Because),
) {
    let (read, rules) = (Arc::clone(&collector.read), Arc::clone(standards));
    let (id, agreed) = (host.id.clone(), Arc::clone(agreements));
    let look =
        move || is_judged_otherwise((&rules, &agreed), &*read, (&host, Timestamp::now()), because);
    let otherwise = match tokio::task::spawn_blocking(look).await {
        Ok(Ok(otherwise)) => otherwise,
        Ok(Err(error)) => {
            tracing::warn!(%error, host = %id, "a host could not be held to the rules");
            return;
        }
        Err(_) => return,
    };
    if !otherwise {
        return;
    }
    let judged = collector.writer.ask(move |ingest, context| {
        let steps = ingest.rejudge(context, &id)?;
        Ok(Decided { answer: (), parts: Vec::new(), steps })
    });
    if let Err(error) = judged.await {
        tracing::warn!(%error, "a host was not held to the rules; it is when it next reports");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_gives_everybody_one_turn_within_an_hour() {
        for many in [1, HOSTS_LEAST, 1_000, 100_000] {
            let mut round = Round::new();
            let mut seen = Vec::new();
            let mut turns = 0;
            while seen.len() < many {
                seen.extend(round.turn(|| (0..many).collect()));
                turns += 1;
            }
            assert_eq!(seen, (0..many).collect::<Vec<_>>(), "{many}");
            assert!(turns <= TURNS, "{many} take {turns} turns");
        }
        assert!(Round::<u8>::new().turn(Vec::new).is_empty(), "nobody is there");
    }
}
