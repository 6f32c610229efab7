//! `driftline-agent`: the command line around the library.
//!
//! The only place that reads the environment and the command line. Data goes to standard output,
//! messages to standard error. Exit code 0 is fine, 1 a finding where a check was asked for, 2
//! usage or failure.

use std::future::Future;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use driftline_agent::clock::monotonic_ms;
use driftline_agent::config::{self, Config};
use driftline_agent::run::{self, Controls};
use driftline_agent::service::systemd;
use driftline_agent::telemetry;
use tokio::signal::unix::{SignalKind, signal};

/// Threads for what may block: the spool, a name to look up, the end of the reading thread.
const BLOCKING_THREADS: usize = 4;

/// How long such a thread waits for more: it works in bursts, and its stack is memory.
const BLOCKING_KEPT: Duration = Duration::from_secs(1);

/// Reports what is configured on this host to a Driftline collector. It only reads.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The configuration file; conf.d/*.toml and agent.d/*.toml beside it are read too.
    #[arg(long, global = true, default_value = "/etc/driftline/agent.toml")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Runs until SIGTERM or SIGINT.
    Run,
    /// Writes one redacted snapshot of this host as JSON. Needs no configuration and no collector.
    Snapshot {
        /// Reads this tree instead of the host.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
    /// Enrols this host with the secret of the configuration.
    Enrol,
    /// Says whether the configuration can be used.
    CheckConfig {
        /// Writes a commented configuration with every key instead.
        #[arg(long)]
        sample: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = std::env::var("DRIFTLINE_LOG").ok();
    telemetry::start(filter.as_deref());
    #[cfg(feature = "mutants")]
    if let Err(unknown) = driftline_protocol::mutant::check() {
        tracing::error!("{unknown}");
        return ExitCode::from(2);
    }
    match obey(&arguments) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn obey(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Run => {
            runtime()?.block_on(serve(&arguments.config))?;
        }
        Command::Snapshot { root } => {
            let config = if arguments.config.exists() {
                Config::load(&arguments.config)?
            } else {
                Config::default()
            };
            let mut out = BufWriter::new(std::io::stdout().lock());
            run::snapshot(&config, root, &mut out)?;
            out.flush().context("writing to standard output")?;
        }
        Command::Enrol => {
            let config = Config::load(&arguments.config)?;
            let host = runtime()?.block_on(run::enrol(config))?;
            write(format!("{host}\n").as_bytes())?;
        }
        Command::CheckConfig { sample: true } => write(config::sample().as_bytes())?,
        Command::CheckConfig { sample: false } => {
            let config = Config::load(&arguments.config)?;
            run::check(&config)?;
            let to = config.collector.as_deref().unwrap_or("no collector: nothing is delivered");
            write(format!("{} is fine; reports to {to}\n", arguments.config.display()).as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs with the service manager told, until a signal asks to stop.
async fn serve(file: &Path) -> anyhow::Result<()> {
    // Half the time allowed, as sd_watchdog_enabled(3) advises; an hour where nobody watches.
    let every = systemd::watched().map_or(Duration::from_secs(3_600), |allowed| allowed / 2);
    let controls = Controls::default();
    let vitals = controls.vitals.clone();
    let mut hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let reload = Arc::clone(&controls.reload);
    let asks = async move {
        while hangup.recv().await.is_some() {
            reload.notify_one();
        }
        // Without signals there is nothing to ask for.
        std::future::pending::<()>().await;
    };
    let stop = stop_signal()?;
    let shutdown = async {
        systemd::ready();
        tokio::pin!(stop, asks);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = &mut asks => (),
                () = tokio::time::sleep(every) => systemd::alive_if(vitals.alive(monotonic_ms())),
            }
        }
        systemd::stopping();
    };
    run::serve(file, controls, shutdown).await
}

fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    // No worker of its own: the agent sends one request at a time, and each thread costs memory.
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_KEPT)
        .enable_all()
        .build()
        .context("starting the runtime")
}

fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("writing to standard output")
}
