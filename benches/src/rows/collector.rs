//! The server under load, against a bare handler of the same framework over the same TLS.
//!
//! Generator and server share the machine's cores, as they did when the bars were set; the CPU time
//! of the server for each request is free of that, so it is given beside each rate.

use std::time::Duration;

use anyhow::Context;

use super::Depth;
use crate::fleet::{self, Agent};
use crate::http::{self, Connection, Target};
use crate::load::{self, Outcome, Plan, Repeat, Script};
use crate::programs::Running;
use crate::site::{SECRET, Site, Transport};
use crate::statistics::{median, ratio, significant};
use crate::table::{Reached, Row};
use crate::usage::{cpu_of, memory_of};

/// Answers a second over all connections: unchanged, and one item changed.
const RATES: (f64, f64) = (20_000.0, 5_000.0);

/// 99 in 100 answers to agents and to people, in milliseconds.
const LATENCIES: (f64, f64) = (50.0, 10.0);

/// A heartbeat may cost this many times the bare handler's CPU.
const OF_BARE: f64 = 2.0;

/// What an agent may cost beyond its TLS connection, in bytes.
const PER_AGENT: f64 = 12e3;

const SEED: u64 = 42;
const AGENTS: usize = 1_000;
const CONNECTIONS: usize = 64;

/// A server with a fleet that it knows.
pub struct Side {
    server: Running,
    target: Target,
    /// The fleet, enrolled, each having told of everything.
    pub agents: Vec<Agent>,
}

/// Enrols `count` agents at `target` and has each report once.
///
/// # Errors
/// When the server refuses.
pub fn enrolled(target: &Target, secret: &str, count: usize) -> anyhow::Result<Vec<Agent>> {
    let mut connection = Connection::open(target)?;
    let mut agents = Vec::with_capacity(count);
    for number in 0..count as u64 {
        let mut agent = Agent::new(SEED, number);
        agent.enrol(&mut connection, secret)?;
        agents.push(agent);
    }
    let first = scripts(&mut agents, 16, Repeat::Once, |agent| vec![agent.report()]);
    load::run(target, first, plan(60, fleet::applied))?;
    Ok(agents)
}

/// What each of `connections` sends for its share of `agents`.
pub fn scripts(
    agents: &mut [Agent],
    connections: usize,
    repeat: Repeat,
    make: impl Fn(&mut Agent) -> Vec<Vec<u8>>,
) -> Vec<Script> {
    let share = agents.len().div_ceil(connections.max(1)).max(1);
    let script = |agents: &mut [Agent]| {
        let mut each: Vec<_> = agents.iter_mut().map(|agent| make(agent).into_iter()).collect();
        // In rounds over the agents, as a fleet reports; each agent's own order is kept.
        let mut requests = Vec::new();
        loop {
            let before = requests.len();
            requests.extend(each.iter_mut().filter_map(Iterator::next));
            if requests.len() == before {
                return Script { requests, repeat };
            }
        }
    };
    agents.chunks_mut(share).map(script).collect()
}

/// As fast as it can, for `seconds` at most.
pub fn plan(seconds: u64, check: fn(&[u8]) -> anyhow::Result<bool>) -> Plan {
    Plan { time: Duration::from_secs(seconds), pace: Duration::ZERO, check }
}

fn both(site: &Site, name: &str, depth: Depth) -> anyhow::Result<[Side; 2]> {
    let count = if depth == Depth::Full { AGENTS } else { 100 };
    let (server, target) = site.collector(name, Transport::Tls)?;
    let agents = enrolled(&target, SECRET, count)?;
    let ours = Side { server, target, agents };
    let (server, target) = site.bare()?;
    let agents = enrolled(&target, SECRET, count)?;
    Ok([ours, Side { server, target, agents }])
}

/// One side over all its turns.
#[derive(Default)]
struct Tally {
    rates: Vec<f64>,
    cpu: Vec<f64>,
    half: Vec<f64>,
    most: Vec<f64>,
    refused: u64,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome, cpu: f64) {
        self.rates.push(outcome.rate());
        self.cpu.push(cpu / outcome.latencies.len().max(1) as f64 * 1e6);
        self.half.push(outcome.milliseconds(0.5));
        self.most.push(outcome.milliseconds(0.99));
        self.refused += outcome.refused;
    }
}

fn take_turns(
    sides: &mut [Side; 2],
    (rounds, repeat): (usize, Repeat),
    make: impl Fn(&mut Agent) -> Vec<Vec<u8>> + Copy,
    plan: Plan,
) -> anyhow::Result<[Tally; 2]> {
    let mut tallies = [Tally::default(), Tally::default()];
    for _ in 0..rounds {
        for (side, tally) in sides.iter_mut().zip(&mut tallies) {
            let scripts = scripts(&mut side.agents, CONNECTIONS, repeat, make);
            let before = cpu_of(side.server.id())?;
            let outcome = load::run(&side.target, scripts, plan)?;
            tally.add(&outcome, cpu_of(side.server.id())? - before);
        }
    }
    Ok(tallies)
}

fn load_rows(what: &str, [ours, bare]: &[Tally; 2], rate: f64, of_bare: Option<f64>) -> Vec<Row> {
    let (our_rate, bare_rate) = (median(&ours.rates), median(&bare.rates));
    let (our_cpu, bare_cpu) = (median(&ours.cpu), median(&bare.cpu));
    let (our_most, bare_most) = (median(&ours.most), median(&bare.most));
    let refused = match ours.refused {
        0 => String::new(),
        refused => format!(" ({refused} refused as busy)"),
    };
    vec![
        Row {
            what: format!("{what}: answers a second"),
            ours: format!("{}{refused}", significant(our_rate)),
            peer: format!("bare axum {}", significant(bare_rate)),
            ratio: ratio(our_rate, bare_rate),
            bar: format!("≥ {}", significant(rate)),
            reached: Reached::at_least(our_rate, rate),
        },
        Row {
            what: format!("{what}: server CPU a request, µs"),
            ours: significant(our_cpu),
            peer: format!("bare axum {}", significant(bare_cpu)),
            ratio: ratio(our_cpu, bare_cpu),
            bar: of_bare.map_or(String::new(), |bar| format!("≤ {}×", significant(bar))),
            reached: of_bare
                .map_or(Reached::NoBar, |bar| Reached::at_most(our_cpu / bare_cpu, bar)),
        },
        Row {
            what: format!("{what}: p99, ms"),
            ours: format!("{} (p50 {})", significant(our_most), significant(median(&ours.half))),
            peer: format!("bare axum {}", significant(bare_most)),
            ratio: ratio(our_most, bare_most),
            bar: format!("≤ {} ms", significant(LATENCIES.0)),
            reached: Reached::at_most(our_most, LATENCIES.0),
        },
    ]
}

/// Heartbeats of hosts that have not changed.
///
/// # Errors
/// When a server refuses.
pub fn heartbeats(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let mut sides = both(site, "heartbeats", depth)?;
    let (rounds, seconds) = if depth == Depth::Full { (5, 4) } else { (1, 2) };
    let make = |agent: &mut Agent| vec![agent.heartbeat()];
    let plan = plan(seconds, |_| Ok(true));
    let tallies = take_turns(&mut sides, (rounds, Repeat::Forever), make, plan)?;
    Ok(load_rows("unchanged 9 kB snapshot (heartbeat)", &tallies, RATES.0, Some(OF_BARE)))
}

/// Reports of hosts of which one item has changed, durable before the answer.
///
/// # Errors
/// When a server refuses.
pub fn reports(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let mut sides = both(site, "reports", depth)?;
    let (rounds, each) = if depth == Depth::Full { (5, 8) } else { (1, 4) };
    let make = move |agent: &mut Agent| (0..each).map(|_| agent.report()).collect();
    let plan = plan(60, fleet::applied);
    let tallies = take_turns(&mut sides, (rounds, Repeat::Once), make, plan)?;
    let what = "9 kB snapshot with one item changed (report; the peer stores nothing)";
    Ok(load_rows(what, &tallies, RATES.1, None))
}

/// What people ask for while some 1,000 reports a second arrive.
///
/// # Errors
/// When the server refuses.
pub fn reads(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let count = if depth == Depth::Full { AGENTS } else { 100 };
    let (_server, target) = site.collector("reads", Transport::Tls)?;
    let mut agents = enrolled(&target, SECRET, count)?;
    let host = agents.first().context("no agents")?.host().clone();
    let seconds: usize = if depth == Depth::Full { 15 } else { 3 };
    let (writers, pace) = (16, Duration::from_millis(16));
    let each = seconds * 1_000 / count + 1;
    let ingest = scripts(&mut agents, writers, Repeat::Once, |agent| {
        (0..each).map(|_| agent.report()).collect()
    });
    // Something must have changed before a change can be shown.
    let first = scripts(&mut agents, 1, Repeat::Once, |agent| vec![agent.heartbeat()]);
    load::run(&target, first, plan(20, |_| Ok(true)))?;
    let time = Duration::from_secs(seconds as u64);
    let paced = Plan { time, pace, check: fleet::applied };
    std::thread::scope(|scope| {
        let ingest = scope.spawn(|| load::run(&target, ingest, paced));
        std::thread::sleep(Duration::from_millis(500));
        let rows = ask_for_pages(&target, host.as_str(), time / 2)?;
        let ingested = ingest.join().map_err(|_| anyhow::anyhow!("the load broke"))??;
        let while_ingesting = format!("while {} reports/s arrive", significant(ingested.rate()));
        Ok(rows.into_iter().map(|row| Row { peer: while_ingesting.clone(), ..row }).collect())
    })
}

fn ask_for_pages(target: &Target, host: &str, time: Duration) -> anyhow::Result<Vec<Row>> {
    let mut connection = Connection::open(target)?;
    let newest = connection.ask(&http::get("/api/v1/changes?limit=1"))?;
    let newest: serde_json::Value = serde_json::from_slice(newest.body)?;
    let id = find_id(&newest).context("no change to show")?;
    let pages = [
        ("page of a host", format!("/hosts/{host}")),
        ("page of a change", format!("/changes/{id}")),
        ("last 100 changes, JSON", "/api/v1/changes?limit=100".to_owned()),
    ];
    let mut rows = Vec::new();
    for (what, path) in pages {
        let script = Script { requests: vec![http::get(&path)], repeat: Repeat::Forever };
        let pace = Duration::from_millis(5);
        let plan = Plan { time: time / 3, pace, check: |_| Ok(true) };
        let outcome = load::run(target, vec![script], plan)?;
        let most = outcome.milliseconds(0.99);
        rows.push(Row {
            what: format!("{what}: p99, ms"),
            ours: format!("{} (p50 {})", significant(most), significant(outcome.milliseconds(0.5))),
            peer: String::new(),
            ratio: "-".into(),
            bar: format!("≤ {} ms", significant(LATENCIES.1)),
            reached: Reached::at_most(most, LATENCIES.1),
        });
    }
    Ok(rows)
}

/// The first `id` in an answer, wherever it stands.
fn find_id(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Object(fields) => fields
            .get("id")
            .map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))
            .or_else(|| fields.values().find_map(find_id)),
        serde_json::Value::Array(values) => values.iter().find_map(find_id),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => None,
    }
}

/// What one connected agent costs: 1,000 idle TLS connections, each enrolled, reported, heard.
///
/// # Errors
/// When a server refuses.
pub fn memory(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let count = if depth == Depth::Full { AGENTS } else { 100 };
    let ours = memory_each(&site.collector("memory", Transport::Tls)?, count)?;
    let bare = memory_each(&site.bare()?, count)?;
    let above = ours - bare;
    let kilobytes = |bytes: f64| significant(bytes / 1e3);
    Ok(vec![Row {
        what: "memory of a connected agent, kB".into(),
        ours: format!("{} ({} above the peer)", kilobytes(ours), kilobytes(above)),
        peer: format!("bare axum + rustls {}", kilobytes(bare)),
        ratio: ratio(ours, bare),
        bar: format!("≤ {} kB above", kilobytes(PER_AGENT)),
        reached: Reached::at_most(above, PER_AGENT),
    }])
}

fn memory_each((server, target): &(Running, Target), count: usize) -> anyhow::Result<f64> {
    let mut held = Vec::with_capacity(count + WARM);
    connect(&mut held, target, 0..WARM as u64)?;
    let before = memory_of(server.id())?;
    connect(&mut held, target, WARM as u64..(WARM + count) as u64)?;
    Ok((memory_of(server.id())? - before) / count as f64)
}

/// Agents connected before memory is first looked at, so that pools and caches exist.
const WARM: usize = 50;

fn connect(
    held: &mut Vec<Connection>,
    target: &Target,
    numbers: std::ops::Range<u64>,
) -> anyhow::Result<()> {
    for number in numbers {
        let mut agent = Agent::new(SEED, number);
        let mut connection = Connection::open(target)?;
        agent.enrol(&mut connection, SECRET)?;
        connection.ask(&agent.report())?;
        connection.ask(&agent.heartbeat())?;
        held.push(connection);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_go_round_over_the_agents_and_keep_each_ones_order() {
        let mut agents: Vec<_> = (0..5).map(|number| Agent::new(1, number)).collect();
        let scripts = scripts(&mut agents, 2, Repeat::Once, |agent| {
            let name = agent.host().as_str().as_bytes().to_vec();
            vec![[name.as_slice(), b" 1"].concat(), [name.as_slice(), b" 2"].concat()]
        });
        let sent = |script: &Script| {
            let text = |request: &Vec<u8>| String::from_utf8_lossy(request).into_owned();
            script.requests.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(scripts.len(), 2);
        let expected = ["bench-00003 1", "bench-00004 1", "bench-00003 2", "bench-00004 2"];
        assert_eq!(sent(&scripts[1]), expected);
    }

    #[test]
    fn an_id_is_found_wherever_it_stands() {
        let value = serde_json::json!({"changes": [{"id": "7-1", "x": 1}]});
        assert_eq!(find_id(&value).as_deref(), Some("7-1"));
        assert_eq!(find_id(&serde_json::json!({"changes": [{"id": 7}]})).as_deref(), Some("7"));
        assert_eq!(find_id(&serde_json::json!([null])), None);
    }
}
