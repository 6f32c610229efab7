//! The running agent: what it costs while nothing happens, and how soon a saved file is seen.
//!
//! At rest two agents watch the same tree. One passes over it each minute, the most an agent can be
//! told, which gives memory after three passes and the cost of a pass; the other is as shipped and
//! passes once an hour, which nobody waits for: its idle minute, and an hour's share of one pass.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::files::tree_root;
use super::{Depth, MEGABYTE};
use crate::http::{self, Connection};
use crate::programs::{Running, find, free_address};
use crate::site::{Passes, Site, Transport};
use crate::statistics::{Seeded, percentile, ratio, significant};
use crate::table::{Reached, Row};
use crate::tree::{self, Face};
use crate::usage::{cpu_of, memory_of};

/// What an agent may take at rest.
const REST: Cost = Cost { cpu: 0.001, memory: 20e6 };

/// From a saved file to `/metrics`, 99 in 100, in seconds.
const SAVED: f64 = 1.0;

/// A pass a minute costs as many times what a pass an hour costs.
const MINUTES: f64 = 60.0;

/// How often the exporter is scraped: what Prometheus users set.
const SCRAPE: Duration = Duration::from_secs(10);

/// How long a change may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// One agent over 5,000 files reporting to one collector: first at rest, then with files saved.
///
/// # Errors
/// When a program cannot be run or a change is never seen.
pub fn rest_and_saved(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let tree = tree_root(site, Face::Configuration)?.join("etc");
    let (_collector, target) = site.collector("agent-side", Transport::Plain)?;
    let include = format!("{}/**", tree.display());
    let place = (target.address, include.as_str());
    let agent = site.agent("agent", place, Passes::EachMinute)?;
    let mut rows = rest(site, &agent, (place, "5,000"), depth)?;
    let mut connection = Connection::open(&target)?;
    rows.push(saved(&mut connection, &tree, if depth == Depth::Full { 200 } else { 20 })?);
    Ok(rows)
}

/// One agent over ten times as many files at rest.
///
/// # Errors
/// When a program cannot be run.
pub fn rest_with_many(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let tree = site.path("many").join("etc");
    tree::write(&tree, (Face::Configuration, tree::MANY_FILES)).context("writing the tree")?;
    let (_collector, target) = site.collector("many-side", Transport::Plain)?;
    let include = format!("{}/**", tree.display());
    let place = (target.address, include.as_str());
    let agent = site.agent("agent-of-many", place, Passes::EachMinute)?;
    rest(site, &agent, (place, "50,000"), depth)
}

/// All side by side, the last minute counted: a minute after the third pass, one pass in it.
fn rest(
    site: &Site,
    each_minute: &Running,
    (place, files): ((SocketAddr, &str), &str),
    depth: Depth,
) -> anyhow::Result<Vec<Row>> {
    let (settle, window) = if depth == Depth::Full { (190, 60) } else { (20, 20) };
    let shipped = site.agent("as-shipped", place, Passes::AsShipped)?;
    let exporter = exporter(&site.path("exporter.log"))?;
    let address = exporter.as_ref().map(|(_, address)| *address);
    scrape_until(address, Instant::now() + Duration::from_secs(settle))?;
    let peer = exporter.as_ref().map(|(one, _)| one.id());
    let ids: Vec<u32> = [each_minute.id(), shipped.id()].into_iter().chain(peer).collect();
    let before = ids.iter().map(|id| cpu_of(*id)).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    scrape_until(address, began + Duration::from_secs(window))?;
    let elapsed = began.elapsed().as_secs_f64();
    let mut costs = Vec::new();
    for (id, before) in ids.iter().zip(before) {
        costs.push(Cost { cpu: (cpu_of(*id)? - before) / elapsed, memory: memory_of(*id)? });
    }
    let [each_minute, shipped, peer @ ..] = costs.as_slice() else { bail!("no agent") };
    let peer = peer.first().copied().unwrap_or_default();
    let hourly = shipped.cpu + (each_minute.cpu - shipped.cpu).max(0.0) / MINUTES;
    let what =
        |passes: &str, of: &str| format!("agent at rest, {files} watched files{passes}: {of}");
    Ok(vec![
        memory_row(what("", "memory, MB"), each_minute, &peer),
        share_row(what(", as shipped (one pass an hour)", "% of a core"), hourly, &peer),
        share_row(what(", one pass a minute", "% of a core"), each_minute.cpu, &peer),
    ])
}

/// What a running program takes.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// Of one core, from 0 to 1.
    cpu: f64,
    /// In bytes.
    memory: f64,
}

fn memory_row(what: String, ours: &Cost, peer: &Cost) -> Row {
    Row {
        what,
        ours: significant(ours.memory / MEGABYTE),
        peer: format!("node-exporter {}", significant(peer.memory / MEGABYTE)),
        ratio: ratio(ours.memory, peer.memory),
        bar: format!("≤ {} MB", significant(REST.memory / MEGABYTE)),
        reached: Reached::at_most(ours.memory, REST.memory),
    }
}

fn share_row(what: String, ours: f64, peer: &Cost) -> Row {
    Row {
        what,
        ours: significant(ours * 100.0),
        peer: format!("node-exporter {}", significant(peer.cpu * 100.0)),
        ratio: ratio(ours, peer.cpu),
        bar: format!("≤ {} %", significant(REST.cpu * 100.0)),
        reached: Reached::at_most(ours, REST.cpu),
    }
}

fn exporter(log: &Path) -> anyhow::Result<Option<(Running, SocketAddr)>> {
    let Some(program) = find("prometheus-node-exporter") else { return Ok(None) };
    let address = free_address()?;
    let command = [program, format!("--web.listen-address={address}")];
    Ok(Some((Running::serving(&command, address, log)?, address)))
}

fn scrape_until(address: Option<SocketAddr>, end: Instant) -> anyhow::Result<()> {
    while Instant::now() < end {
        if let Some(address) = address {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            let mut text = Vec::new();
            stream.take(16 * 1024 * 1024).read_to_end(&mut text)?;
        }
        std::thread::sleep(SCRAPE.min(end.saturating_duration_since(Instant::now())));
    }
    Ok(())
}

/// Saves a file as editors do, beside it and renamed over it, and looks until a change is counted.
fn saved(connection: &mut Connection, tree: &Path, saves: usize) -> anyhow::Result<Row> {
    let file = tree.join("app001/unit0001.conf");
    let beside = tree.join("app001/.unit0001.conf.new");
    let mut seeded = Seeded(1);
    let mut latencies = Vec::with_capacity(saves);
    wait_beyond(connection, -1.0)?;
    for save in 0..saves {
        // No rhythm with the agent's own clock, and every save after the one before is at rest.
        std::thread::sleep(Duration::from_millis(200 + seeded.below(400)));
        let before = changes(connection)?;
        fs::write(&beside, format!("codec={}\nrevision={save}\n", seeded.word(12)))?;
        let began = Instant::now();
        fs::rename(&beside, &file)?;
        wait_beyond(connection, before)?;
        latencies.push(began.elapsed().as_secs_f64());
    }
    let (half, most) = (percentile(&latencies, 0.5), percentile(&latencies, 0.99));
    Ok(Row {
        what: format!("file saved → on /metrics, {saves} saves: p99, s"),
        ours: format!("{} (p50 {})", significant(most), significant(half)),
        peer: "-".into(),
        ratio: "-".into(),
        bar: format!("≤ {} s", significant(SAVED)),
        reached: Reached::at_most(most, SAVED),
    })
}

fn wait_beyond(connection: &mut Connection, before: f64) -> anyhow::Result<()> {
    let began = Instant::now();
    while changes(connection)? <= before {
        if began.elapsed() > PATIENCE {
            bail!("a change was not seen within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(4));
    }
    Ok(())
}

/// All changes the collector has counted.
fn changes(connection: &mut Connection) -> anyhow::Result<f64> {
    let answer = connection.ask(&http::get("/metrics"))?;
    let text = std::str::from_utf8(answer.body)?;
    Ok(sum(text, "driftline_changes_total"))
}

/// The sum over all series of `name` in an exposition.
fn sum(exposition: &str, name: &str) -> f64 {
    let series = exposition
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_series_of_one_metric_are_added_and_no_other() {
        let text = "# HELP a_total x\na_total{k=\"b\"} 2\na_total{k=\"c d\"} 3\na_total_more 7\n";
        assert_eq!(sum(text, "a_total"), 5.0);
        assert_eq!(sum(text, "b_total"), 0.0);
    }
}
