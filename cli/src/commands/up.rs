//! `driftline up`: collector and agent for this machine, in one process, with nothing to set up.
//!
//! Everything lives under one data folder, and a second start goes on where the first ended. On
//! loopback the portal needs no login; on any other address an own certificate authority and an
//! admin token are made on first start. Without root, what may not be read is unobserved, and said.

mod authority;
mod found;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use driftline_agent::config as agent;
use driftline_collector::config as collector;
use driftline_collector::telemetry::{self, LogFormat};
use tokio::sync::watch;

use crate::client::{Address, Client};
use crate::{Verdict, eprintln_message};

/// How often the agent reports, in seconds: this machine alone, so a person sees changes at once.
const HEARTBEAT_SECONDS: u64 = 10;

/// Runs collector and agent for this machine and prints the portal's address.
#[derive(clap::Args)]
pub(crate) struct Up {
    /// Where everything is kept. Default: /var/lib/driftline for root, else
    /// ~/.local/share/driftline.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where the portal listens. Beyond loopback it is served over TLS and needs a token.
    #[arg(long, default_value = "127.0.0.1:9470", value_parser = address)]
    listen: SocketAddr,
    /// Packs of rules this machine is held to, such as sshd,certificates or '*'; see
    /// `driftline-collector check-rules`. Without it none is on.
    #[arg(long, value_name = "PACK", value_delimiter = ',')]
    rules: Vec<String>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be ADDRESS:PORT, such as 127.0.0.1:9471".to_owned())
}

/// What is ready before anything runs.
struct Prepared {
    collector: collector::Config,
    agent: agent::Config,
    access: Address,
}

impl Up {
    /// Runs until Ctrl-C or SIGTERM.
    pub(crate) async fn run(self) -> anyhow::Result<Verdict> {
        let filter = std::env::var("DRIFTLINE_LOG").unwrap_or_else(|_| "warn".to_owned());
        telemetry::start(LogFormat::Text, Some(&filter))?;
        let started = jiff::Timestamp::now();
        let data = self.data.clone().map_or_else(default_data, Ok)?;
        let mut prepared = prepare(&data, self.listen)?;
        prepared.collector.rules.packs = self.rules;
        let (stop, stopped) = watch::channel(false);
        let running =
            driftline_collector::serve::serve(prepared.collector, told(stopped.clone())).await?;
        let mut agent = prepared.agent;
        let url = authority::reachable(&running.url, running.address);
        agent.collector = Some(url.clone());
        crate::output::write(&format!("portal {url}\n"))?;
        let client = Client::new(&prepared.access.at(&url))?;
        let ended = async {
            asked_to_stop().await;
            // Both listen until they have stopped; nobody listening means both have.
            stop.send_replace(true);
        };
        let found = async {
            if let Err(error) = found::say(&client, started, stopped.clone()).await {
                eprintln_message(&format!("{error:#}"));
            }
        };
        let agent = async {
            let result = driftline_agent::run::run(agent, told(stopped.clone())).await;
            stop.send_replace(true);
            result
        };
        let collector = async {
            let result = running.finished().await;
            stop.send_replace(true);
            result
        };
        let ended = async {
            tokio::select! {
                () = ended => {}
                () = told(stopped.clone()) => {}
            }
        };
        let (agent, collector, (), ()) = tokio::join!(agent, collector, found, ended);
        agent.context("the agent stopped")?;
        collector?;
        Ok(Verdict::Fine)
    }
}

/// Waits until everything is to stop.
async fn told(mut stopped: watch::Receiver<bool>) {
    // The sender lives as long as the command; if it is gone, so is the reason to run.
    let gone = stopped.wait_for(|stop| *stop).await.is_err();
    debug_assert!(!gone || *stopped.borrow());
}

/// Waits for Ctrl-C or SIGTERM.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(error) => {
            eprintln_message(&format!("SIGTERM cannot be caught ({error}); use Ctrl-C"));
            if let Err(error) = tokio::signal::ctrl_c().await {
                eprintln_message(&format!("Ctrl-C cannot be caught either: {error}"));
            }
        }
    }
}

/// Where data lives when nobody says.
fn default_data() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/driftline"));
    }
    let home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".local/share"))
    });
    let home = home.context("neither XDG_DATA_HOME nor HOME is set; say --data DIR")?;
    Ok(home.join("driftline"))
}

fn prepare(data: &Path, listen: SocketAddr) -> anyhow::Result<Prepared> {
    authority::private_dir(data)?;
    let secret = authority::secret_file(&data.join("enrolment-secret"))?;
    let mut collector = collector::Config {
        listen,
        state_dir: data.join("collector"),
        enrolment_secret_file: Some(secret.clone()),
        heartbeat_seconds: HEARTBEAT_SECONDS,
        ..collector::Config::default()
    };
    let mut agent = agent::Config {
        state_dir: data.join("agent"),
        enrolment_secret_file: Some(secret),
        heartbeat_seconds: HEARTBEAT_SECONDS,
        ..agent::Config::default()
    };
    let mut access = Address::default();
    if !listen.ip().is_loopback() {
        let open = authority::open_door(data, &collector)?;
        collector.tls = Some(open.tls);
        // Nobody elsewhere reaches "every address", so links need a name.
        let name = authority::host_name().filter(|_| listen.ip().is_unspecified());
        collector.public_url = name.map(|name| format!("https://{name}:{}", listen.port()));
        agent.ca_file = Some(open.ca_file.clone());
        access = access.with(open.token_file.clone(), open.ca_file.clone());
        eprintln_message(&format!(
            "beyond loopback: certificates are signed by {}, the admin token is in {}",
            open.ca_file.display(),
            open.token_file.display(),
        ));
    }
    Ok(Prepared { collector, agent, access })
}
