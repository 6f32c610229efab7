//! Puts the agent together and runs it until it is asked to stop.
//!
//! One thread reads the host, one source at a time; one task sends what is new; the watcher has a
//! thread of its own. Each has an owner here that stops and joins it. Nothing is decided on this
//! page.

mod passes;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use anyhow::Context;
use driftline_protocol::ids::SourceName;
use driftline_protocol::redact::Redactor;
use driftline_protocol::snapshot::Snapshot;
use tokio::sync::{Notify, watch as signal};
use tokio::task::JoinHandle;

use self::passes::{Passes, Wake};
use crate::assemble::{self, Now};
use crate::clock;
use crate::config::Config;
use crate::machine::Machine;
use crate::service::state::{self, StateFolder};
use crate::sources::{self, Source, files};
use crate::spool::{self, Spool};
use crate::transport::client::Collector;
use crate::transport::{self, Transport, Watching};
use crate::watch::{Watched, Watcher};

/// Wake-ups the reading thread may be behind by; each names every source at most once.
const WAKES: usize = 16;

/// How long to wait before a wake-up that found the queue full is tried again.
const WAKE_AGAIN: Duration = Duration::from_millis(50);

/// Everything `config` names, opened and checked, before anything runs.
struct Parts {
    // Dropped last: the folder is ours until everything else has ended.
    spool: Spool,
    redactor: Redactor,
    site_key: bool,
    machine: Arc<Machine>,
    sources: Vec<Box<dyn Source>>,
    _folder: StateFolder,
}

/// Runs the agent that `config` describes until `shutdown` is ready, then stops cleanly.
///
/// Without a collector it keeps what it sees, and sends nothing.
///
/// # Errors
/// When the state folder, the key, the sources or the collector's address cannot be used. A
/// collector that does not answer is no error.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    install_tls();
    let parts = open_aside(&config).await?;
    let collector = collector(&config)?;
    let watched = parts.sources.iter().flat_map(|source| {
        let paths = source.watched().into_iter();
        paths.map(|path| Watched { source: source.name(), path })
    });
    let watcher = Arc::new(Watcher::start(Arc::clone(&parts.machine), watched.collect()));
    let news = Arc::new(Notify::new());
    let (stop, stopped) = signal::channel(false);
    let sending = match collector {
        Some(collector) => Some(send(&config, &parts, collector, &watcher, &news, stopped)?),
        None => None,
    };
    let (wake, woken) = std::sync::mpsc::sync_channel(WAKES);
    let Parts { spool, machine, sources, _folder, .. } = parts;
    let rescan_ms = config.sources.rescan_seconds.saturating_mul(1_000);
    let passes = Passes::new(sources, machine, spool, rescan_ms, news);
    let reading = std::thread::Builder::new()
        .name("read".into())
        .spawn(move || passes.run(&woken))
        .context("starting the reading thread")?;
    tracing::info!("agent runs");
    tokio::select! {
        () = shutdown => (),
        () = forward(&watcher, &wake) => (),
    }
    tracing::info!("agent stops");
    if stop.send(true).is_ok()
        && let Some(sending) = sending
        && let Err(error) = sending.await
    {
        tracing::error!(%error, "the sending task broke off");
    }
    drop(wake);
    let joined = tokio::task::spawn_blocking(move || reading.join()).await;
    anyhow::ensure!(matches!(joined, Ok(Ok(()))), "the reading thread broke off");
    Ok(())
}

/// Enrols the host of `config`, and gives its name.
///
/// # Errors
/// When the state folder is in use, or the collector refuses.
pub async fn enrol(config: Config) -> anyhow::Result<String> {
    install_tls();
    let parts = open_aside(&config).await?;
    let collector = collector(&config)?.context("`collector` is not set")?;
    let watching: Watching = Arc::new(|| (0, false));
    let settings = settings(&config, &parts);
    let mut transport = Transport::new(collector, parts.spool.clone(), settings, watching)?;
    Ok(transport.enrol().await?.to_string())
}

/// Reads every source of `config` once below `root` and gives what has passed the redactor.
///
/// Nothing is kept. Without a configured fingerprint key the fingerprints are under a key that is
/// forgotten.
///
/// # Errors
/// When the root or the key cannot be used.
pub fn snapshot(config: &Config, root: &Path) -> anyhow::Result<Snapshot> {
    let redactor = match &config.fingerprint_key_file {
        Some(path) => state::redactor_of(path)?,
        None => state::passing_redactor()?,
    };
    let machine = Machine::open(root, redactor).context("opening the root")?;
    let now = Now { wall: clock::wall(), monotonic_ms: clock::monotonic_ms() };
    Ok(assemble::snapshot(&mut sources(config)?, &machine, config.proposed_host(), now))
}

/// Checks what reading the configuration cannot: patterns, names of sources, keys, certificates.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(config: &Config) -> anyhow::Result<()> {
    install_tls();
    config.check()?;
    sources(config)?;
    collector(config)?;
    if let Some(path) = &config.fingerprint_key_file {
        state::redactor_of(path)?;
    }
    Ok(())
}

/// Opens on a thread that may block: checking a large spool takes a moment.
async fn open_aside(config: &Config) -> anyhow::Result<Parts> {
    let config = config.clone();
    tokio::task::spawn_blocking(move || open(&config)).await.context("opening the agent")?
}

fn open(config: &Config) -> anyhow::Result<Parts> {
    let folder = StateFolder::take(&config.state_dir)?;
    let (redactor, site_key) = match &config.fingerprint_key_file {
        Some(path) => (state::redactor_of(path)?, true),
        None => (folder.own_redactor()?, false),
    };
    let settings = spool::Settings {
        folder: folder.path().to_path_buf(),
        limit_bytes: config.spool_limit_bytes,
        boot: clock::boot(),
    };
    let spool = Spool::open(settings, redactor.clone())?;
    let machine = Machine::open(Path::new("/"), redactor.clone()).context("opening the root")?;
    let sources = sources(config)?;
    let machine = Arc::new(machine);
    Ok(Parts { spool, redactor, site_key, machine, sources, _folder: folder })
}

/// The sources `config` enables.
fn sources(config: &Config) -> anyhow::Result<Vec<Box<dyn Source>>> {
    let defaults = files::Config::default();
    let chosen = config.files.clone();
    let files = files::Config {
        include: chosen.include.unwrap_or(defaults.include),
        exclude: chosen.exclude.unwrap_or(defaults.exclude),
        withhold: chosen.withhold.unwrap_or(defaults.withhold),
    };
    let mut sources = sources::all(&files).context("[files]")?;
    if let Some(enabled) = &config.sources.enable {
        let known: BTreeSet<SourceName> = sources.iter().map(|source| source.name()).collect();
        for name in enabled {
            let names: Vec<_> = known.iter().map(SourceName::as_str).collect();
            anyhow::ensure!(
                known.contains(name),
                "sources.enable: no source {name}\n  hint: one of {}",
                names.join(", ")
            );
        }
        sources.retain(|source| enabled.contains(&source.name()));
    }
    Ok(sources)
}

fn collector(config: &Config) -> anyhow::Result<Option<Collector>> {
    let Some(address) = &config.collector else { return Ok(None) };
    Ok(Some(Collector::new(address, config.ca_file.as_deref())?))
}

fn settings(config: &Config, parts: &Parts) -> transport::Settings {
    transport::Settings {
        proposed: config.proposed_host(),
        kind: config.kind,
        secret_file: config.enrolment_secret_file.clone(),
        heartbeat_ms: config.heartbeat_seconds.saturating_mul(1_000),
        key: parts.redactor.key_id(),
        site_key: parts.site_key,
    }
}

#[allow(clippy::too_many_arguments, reason = "the one place where everything meets")]
fn send(
    config: &Config,
    parts: &Parts,
    collector: Collector,
    watcher: &Arc<Watcher>,
    news: &Arc<Notify>,
    stopped: signal::Receiver<bool>,
) -> anyhow::Result<JoinHandle<()>> {
    let watcher = Arc::clone(watcher);
    let watching: Watching = Arc::new(move || (watcher.directories(), watcher.limited()));
    let spool = parts.spool.clone();
    let transport = Transport::new(collector, spool, settings(config, parts), watching)?;
    Ok(tokio::spawn(transport.run(Arc::clone(news), stopped)))
}

/// Hands every call of the watcher to the reading thread. Returns only when that thread is gone.
async fn forward(watcher: &Watcher, wake: &SyncSender<Wake>) {
    loop {
        let mut next = Wake { due: watcher.due().await };
        loop {
            match wake.try_send(next) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(again)) => next = again,
            }
            tokio::time::sleep(WAKE_AGAIN).await;
        }
    }
}

/// TLS by ring. A provider that is installed already stays.
fn install_tls() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider is installed already");
    }
}
