//! The list of what is measured, and how turns are taken.
//!
//! One file for each side: [`files`] what reading costs, [`agent`] the running agent, [`collector`]
//! the server under load, [`pass`] what judging costs beside the size of the fleet, [`cases`] what
//! holding changes against cases costs.

pub mod agent;
pub mod cases;
pub mod collector;
pub mod files;
pub mod pass;

use crate::site::Site;
use crate::statistics::{median, ratio, significant};
use crate::table::{Reached, Row};
use crate::usage::{self, Usage};

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// As the published table.
    Full,
    /// Enough to see that everything works.
    Quick,
}

/// One group of rows.
pub struct Group {
    /// Its name on the command line.
    pub name: &'static str,
    /// Measures it.
    pub measure: fn(&Site, Depth) -> anyhow::Result<Vec<Row>>,
}

/// Every group, in the order of the table.
pub const ALL: &[Group] = &[
    Group { name: "hash", measure: files::hash },
    Group { name: "semantic", measure: files::semantic },
    Group { name: "snapshot", measure: files::snapshot },
    Group { name: "agent", measure: agent::rest_and_saved },
    Group { name: "many-files", measure: agent::rest_with_many },
    Group { name: "heartbeats", measure: collector::heartbeats },
    Group { name: "reports", measure: collector::reports },
    Group { name: "reads", measure: collector::reads },
    Group { name: "memory", measure: collector::memory },
    Group { name: "pass", measure: pass::pass },
    Group { name: "cases", measure: cases::cases },
];

/// A program that takes turns, with the name it has in the table.
pub struct Contender {
    /// Its name.
    pub name: &'static str,
    /// How it is run.
    pub command: Vec<String>,
}

impl Contender {
    /// `command` under `name`.
    pub fn new<S: Into<String>>(name: &'static str, command: impl IntoIterator<Item = S>) -> Self {
        Self { name, command: command.into_iter().map(Into::into).collect() }
    }
}

/// What a contender cost in the middle of its runs.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Its name.
    pub name: &'static str,
    /// On all cores, in seconds.
    pub cpu: f64,
    /// The most memory at once, in bytes.
    pub peak: f64,
}

/// Runs every contender once unmeasured, so that the cache is warm, and then `rounds` times in
/// turn.
///
/// # Errors
/// When one cannot be started.
pub fn turns(contenders: &[Contender], rounds: usize) -> anyhow::Result<Vec<Standing>> {
    for contender in contenders {
        usage::measure(&contender.command)?;
    }
    let mut runs: Vec<Vec<Usage>> = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (contender, runs) in contenders.iter().zip(&mut runs) {
            runs.push(usage::measure(&contender.command)?);
        }
    }
    let standing = |(contender, runs): (&Contender, Vec<Usage>)| {
        let middle = |of: fn(&Usage) -> f64| median(&runs.iter().map(of).collect::<Vec<_>>());
        Standing { name: contender.name, cpu: middle(|run| run.cpu), peak: middle(|run| run.peak) }
    };
    Ok(contenders.iter().zip(runs).map(standing).collect())
}

/// One row for each peer: our `cpu` against its, with a bar for the ratio where there is one.
fn cpu_rows(what: &str, ours: Standing, peers: &[(Standing, Option<f64>)]) -> Vec<Row> {
    let row = |(peer, bar): &(Standing, Option<f64>)| Row {
        what: format!("{what}: CPU, s"),
        ours: significant(ours.cpu),
        peer: format!("{} {}", peer.name, significant(peer.cpu)),
        ratio: ratio(ours.cpu, peer.cpu),
        bar: bar.map_or(String::new(), |bar| format!("≤ {}×", significant(bar))),
        reached: bar.map_or(Reached::NoBar, |bar| Reached::at_most(ours.cpu / peer.cpu, bar)),
    };
    peers.iter().map(row).collect()
}

const MEGABYTE: f64 = 1e6;
