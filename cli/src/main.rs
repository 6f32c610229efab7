//! `driftline`: quick start, differences and queries.
//!
//! Data goes to stdout, progress and messages to stderr. Exit code 0 is fine, 1 means that a check
//! was asked for and found something, 2 that the command was wrong or failed. The command only asks
//! a collector and reads snapshot files and histories; what is a change is said by the collector's
//! own analysis.

mod client;
mod commands;
mod help;
mod history;
mod manual;
mod moment;
mod output;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use client::EVERY_COMMAND;
use driftline_collector::arguments::{FAILURE, FOUND};
use output::Output;

/// Says what is configured, who is known, which policy applies, what changed and what drifted.
#[derive(Parser)]
#[command(name = "driftline", version, max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How to print what was found; default: table (replay: ndjson).
    #[arg(long, global = true, value_enum, help_heading = EVERY_COMMAND)]
    output: Option<Output>,
    #[command(flatten)]
    collector: client::Address,
}

/// Every command there is.
#[derive(Subcommand)]
enum Command {
    /// Run collector and agent for this machine and print the portal's address.
    Up(commands::up::Up),
    /// List the hosts a collector knows.
    Hosts,
    /// Show the sections of one host, and how much of each is unobserved.
    Host(commands::host::Host),
    /// List what changed, newest first.
    Changes(commands::changes::Changes),
    /// List rollouts: the same change on several hosts as one row, with the hosts that lack it.
    Rollouts(commands::rollouts::Rollouts),
    /// List open drift and deviations.
    Findings(commands::findings::Findings),
    /// Show, acknowledge, assign or accept a finding, write a note to it, or read its log.
    #[command(subcommand)]
    Finding(commands::act::FindingCommand),
    /// List who did what, and what befell hosts and the store, newest first.
    Events(commands::events::Events),
    /// List cases, newest opened first.
    Cases(commands::cases::Cases),
    /// Permit findings to be for a while, with owner, reason and end.
    #[command(subcommand)]
    Exception(commands::exception::ExceptionCommand),
    /// Add, send and list change requests, and say when changes may be made.
    #[command(subcommand)]
    Request(commands::request::RequestCommand),
    /// Rank the changes the collector saw by how well they go together with a rise in cases.
    Suspects(commands::suspects::Suspects),
    /// List the rules hosts are held to, and their parameters.
    Rules(commands::rules::Rules),
    /// List what asks for nobody: items that change by themselves, and everyday work.
    Ignores,
    /// List what is odd among hosts that should be alike; needs no baseline and no rule.
    Outliers(commands::outliers::Outliers),
    /// Agree to the state of hosts and groups, and list, show and compare what was agreed.
    #[command(subcommand)]
    Baseline(commands::baseline::Baseline),
    /// Take a host out of service; its history stays.
    Retire(commands::retire::Which),
    /// Let a retired host report again.
    Reinstate(commands::retire::Which),
    /// Make, list and remove tokens of people and programs.
    #[command(subcommand)]
    Token(commands::token::Token),
    /// Say what stands in the way of a healthy collector.
    Doctor,
    /// Compare two snapshots item by item.
    Diff(commands::diff::Diff),
    /// Say what each commit of a git history changed, one line a commit.
    Replay(commands::replay::Replay),
    /// Fill the timeline of a host with a git history; raises no finding.
    Import(commands::import::Import),
    /// Rank changes by how well they go together with a rise in cases.
    Correlate(commands::correlate::Correlate),
    /// Say which counts of cases are above what the past lets expect.
    Volume(commands::volume::Volume),
    /// Print the completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print a manual page, as roff: of this command, the agent or the collector.
    Man {
        /// Whose.
        #[arg(value_enum, default_value = "driftline")]
        program: manual::Program,
    },
}

fn main() -> ExitCode {
    let mut command = help::grouped(Cli::command());
    let cli = Cli::from_arg_matches(&command.get_matches_mut())
        .unwrap_or_else(|error| error.format(&mut command).exit());
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln_message("another TLS provider is installed; this is a bug of driftline");
        return ExitCode::from(FAILURE);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln_message(&format!("starting: {error}"));
            return ExitCode::from(FAILURE);
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Found) => ExitCode::from(FOUND),
        Err(error) => {
            eprintln_message(&format!("{error:#}"));
            ExitCode::from(FAILURE)
        }
    }
}

/// What a command came to.
enum Verdict {
    /// Nothing to report.
    Fine,
    /// A check was asked for, and something was found.
    Found,
}

async fn run(cli: Cli) -> anyhow::Result<Verdict> {
    let client = || client::Client::new(&cli.collector);
    let output = cli.output.unwrap_or(Output::Table);
    match cli.command {
        Command::Up(up) => up.run().await,
        Command::Hosts => commands::hosts::run(&client()?, output).await,
        Command::Host(host) => host.run(&client()?, output).await,
        Command::Changes(changes) => changes.run(&client()?, output).await,
        Command::Rollouts(rollouts) => rollouts.run(&client()?, output).await,
        Command::Findings(findings) => findings.run(&client()?, output).await,
        Command::Finding(command) => command.run(&client()?, output).await,
        Command::Events(events) => events.run(&client()?, output).await,
        Command::Cases(cases) => cases.run(&client()?, output).await,
        Command::Exception(command) => command.run(&client()?, output).await,
        Command::Request(command) => command.run(&client()?, output).await,
        Command::Suspects(suspects) => suspects.run(&client()?, output).await,
        Command::Rules(rules) => rules.run(&client()?, output).await,
        Command::Ignores => commands::ignores::run(&client()?, output).await,
        Command::Outliers(outliers) => outliers.run(&client()?, output).await,
        Command::Baseline(baseline) => baseline.run(&client()?, output).await,
        Command::Retire(which) => which.retire(&client()?).await,
        Command::Reinstate(which) => which.reinstate(&client()?).await,
        Command::Token(token) => token.run(&client()?, output).await,
        Command::Doctor => commands::doctor::run(&client()?, output).await,
        Command::Diff(diff) => diff.run(client, output).await,
        Command::Replay(replay) => replay.run(cli.output),
        Command::Import(import) => import.run(client()?, output).await,
        Command::Correlate(correlate) => correlate.run(output),
        Command::Volume(volume) => volume.run(output),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "driftline", &mut text);
            output::write(&String::from_utf8(text)?)?;
            Ok(Verdict::Fine)
        }
        Command::Man { program } => {
            output::write(&manual::page(program)?)?;
            Ok(Verdict::Fine)
        }
    }
}

/// Says something to the person, where it does not mix with data.
#[allow(clippy::print_stderr, reason = "messages of a command belong on stderr")]
fn eprintln_message(text: &str) {
    eprintln!("driftline: {text}");
}
