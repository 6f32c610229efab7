//! `driftline-agent`: the command line around the library.
//!
//! The only place that reads the environment and the command line. Data goes to standard output,
//! messages to standard error. Exit code 0 is fine, [`FAILURE`] is wrong usage or failure.

use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser as _;
use driftline_agent::arguments::{Arguments, Command, FAILURE, LOG_VARIABLE};
use driftline_agent::config::{self, Config};
use driftline_agent::{platform, run, service, telemetry};

/// Threads for what may block: the spool, a name to look up, the end of the reading thread.
const BLOCKING_THREADS: usize = 4;

/// How long such a thread waits for more: it works in bursts, and its stack is memory.
const BLOCKING_KEPT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = std::env::var(LOG_VARIABLE).ok();
    telemetry::start(filter.as_deref());
    #[cfg(feature = "mutants")]
    if let Err(unknown) = driftline_protocol::mutant::check() {
        tracing::error!("{unknown}");
        return ExitCode::from(FAILURE);
    }
    match obey(&arguments) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(FAILURE)
        }
    }
}

fn obey(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Run => {
            platform::keep_small();
            service::run(runtime, &arguments.config)?;
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
            let (host, done) = runtime()?.block_on(run::enrol(config))?;
            write(format!("{host}\n").as_bytes())?;
            // Scripts read the name alone.
            writeln!(std::io::stderr(), "{host}: {done}").context("writing to standard error")?;
        }
        #[cfg(windows)]
        Command::Recover => service::recover()?,
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
