//! `driftline-bench`: the command line around the library; `benches/run` calls it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line talks to people")]

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use driftline_benches::http::Target;
use driftline_benches::load::{self, Repeat};
use driftline_benches::rows::collector::{enrolled, plan, scripts};
use driftline_benches::rows::{self, Depth};
use driftline_benches::site::{Certificate, Site};
use driftline_benches::table::{self, Row};
use driftline_benches::trials::{self, Trials};
use driftline_benches::{bare, fleet, floor, programs, usage};

/// Measures our programs against their peers on this machine.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures everything, or the groups named, and writes the table.
    Run {
        /// Where our programs are.
        #[arg(long)]
        programs: PathBuf,
        /// Where the table is written; only printed when absent.
        #[arg(long)]
        out: Option<PathBuf>,
        /// A page whose table of what has a bar is written anew.
        #[arg(long)]
        readme: Option<PathBuf>,
        /// Short runs, to see that everything works.
        #[arg(long)]
        quick: bool,
        /// Groups to measure; all when none is named.
        groups: Vec<String>,
    },
    /// Tries the correlation engine on streams whose truth is known.
    Trials(Trials),
    /// Sends the load of a simulated fleet to a collector on loopback.
    Load {
        /// Where it listens.
        address: SocketAddr,
        /// Its certificate, PEM; plain HTTP when absent.
        #[arg(long)]
        trust: Option<PathBuf>,
        /// Holds the enrolment secret.
        #[arg(long)]
        secret_file: PathBuf,
        /// What is sent.
        #[arg(long, value_enum, default_value = "reports")]
        kind: Kind,
        /// How many agents, at most 20,000.
        #[arg(long, default_value_t = 1_000)]
        agents: usize,
        /// Over how many connections, at most 512.
        #[arg(long, default_value_t = 64)]
        connections: usize,
        /// For how long at most, in seconds, up to 600.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Reads and hashes a tree, and nothing else.
    Floor {
        /// The tree.
        tree: PathBuf,
        /// Also what a snapshot of the host reads.
        #[arg(long)]
        host: bool,
    },
    /// Serves the protocol with nothing behind it.
    #[command(hide = true)]
    Bare { address: SocketAddr, chain: PathBuf, key: PathBuf },
    /// Runs one program and prints what it cost.
    #[command(hide = true)]
    Once {
        #[arg(last = true)]
        command: Vec<String>,
    },
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Kind {
    /// Hosts of which one item has changed, eight times each.
    Reports,
    /// Hosts that have not changed.
    Heartbeats,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run { programs, out, readme, quick, groups } => {
            let depth = if quick { Depth::Quick } else { Depth::Full };
            let rows = run(&Site::new(&programs)?, depth, &groups)?;
            let page = page(&rows, depth);
            println!("{page}");
            out.map(|out| std::fs::write(out, page)).transpose().context("writing the table")?;
            if let Some(readme) = readme {
                let shown = std::fs::read_to_string(&readme).context("reading the page")?;
                let shown = table::put_into(&shown, &rows)?;
                std::fs::write(readme, shown).context("writing the page")?;
            }
        }
        Command::Trials(trials) => {
            let page = trials::page(&trials, &|part| println!("{part}"))?;
            let out = trials.out.as_ref();
            out.map(|out| std::fs::write(out, page)).transpose().context("writing the page")?;
        }
        Command::Load { address, trust, secret_file, kind, agents, connections, seconds } => {
            let target = match trust {
                Some(trust) => Target::trusting(address, &trust)?,
                None => Target::plain(address),
            };
            ensure!(address.ip().is_loopback(), "the load stays on loopback");
            ensure!(agents <= 20_000 && connections <= 512 && seconds <= 600, "out of bounds");
            let secret = std::fs::read_to_string(secret_file)?;
            let mut fleet = enrolled(&target, secret.trim(), agents)?;
            let (repeat, plan) = match kind {
                Kind::Reports => (Repeat::Once, plan(seconds, fleet::applied)),
                Kind::Heartbeats => (Repeat::Forever, plan(seconds, |_| Ok(true))),
            };
            let scripts = scripts(&mut fleet, connections, repeat, |agent| match kind {
                Kind::Reports => (0..8).map(|_| agent.report()).collect(),
                Kind::Heartbeats => vec![agent.heartbeat()],
            });
            let outcome = load::run(&target, scripts, plan)?;
            println!(
                "{:.0} answers/s, p50 {:.2} ms, p99 {:.2} ms, {} refused as busy",
                outcome.rate(),
                outcome.milliseconds(0.5),
                outcome.milliseconds(0.99),
                outcome.refused,
            );
        }
        Command::Floor { tree, host } => {
            let host = if host { floor::Host::Whole } else { floor::Host::TreeOnly };
            let (files, bytes, digest) = floor::pass(&tree, host);
            println!("{files} files, {bytes} bytes, {digest}");
        }
        Command::Bare { address, chain, key } => {
            let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
            runtime.block_on(bare::serve(address, &Certificate { chain, key }))?;
        }
        Command::Once { command } => {
            println!("{}", serde_json::to_string(&usage::once(&command)?)?);
        }
    }
    Ok(())
}

/// Measures every group; one that fails says so in the table and stops no other.
fn run(site: &Site, depth: Depth, groups: &[String]) -> anyhow::Result<Vec<Row>> {
    let known = |name: &String| rows::ALL.iter().any(|group| group.name == name);
    if let Some(unknown) = groups.iter().find(|name| !known(name)) {
        let names: Vec<_> = rows::ALL.iter().map(|group| group.name).collect();
        anyhow::bail!("there is no group {unknown:?}; there are {}", names.join(", "));
    }
    let mut table = Vec::new();
    for group in rows::ALL {
        if !groups.is_empty() && !groups.iter().any(|name| name == group.name) {
            continue;
        }
        eprintln!("measuring {} …", group.name);
        match (group.measure)(site, depth) {
            Ok(rows) => {
                eprint!("{}", table::markdown(&rows));
                table.extend(rows);
            }
            Err(error) => {
                eprintln!("{}: {error:#}", group.name);
                table.push(Row::failed(group.name));
            }
        }
    }
    Ok(table)
}

fn page(rows: &[Row], depth: Depth) -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches(['\t', ' ', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let versions = [
        ("aide", "--version"),
        ("integrit", "-V"),
        ("prometheus-node-exporter", "--version"),
        ("facter", "--version"),
    ];
    let versions = versions.map(|(program, argument)| {
        format!("- {program}: {}", programs::version(program, argument))
    });
    let quick = if depth == Depth::Quick { " Short runs: no numbers to quote." } else { "" };
    format!(
        "# Measured\n\n\
         Written by `benches/run`. Turns are taken in one run (ours, peer, ours, peer …), medians \
         are given;\nCPU by `getrusage` of the finished program, memory as its peak. Ratios are \
         ours as a multiple of\nthe peer's. The load generator and the server share the cores.\
         {quick}\n\n\
         - date: {}\n- machine: {model}, {cores} cores; load average {load} at the end\n\
         - driftline: {}\n{}\n\n{}",
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        env!("CARGO_PKG_VERSION"),
        versions.join("\n"),
        table::markdown(rows),
    )
}
