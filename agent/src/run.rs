//! Puts the agent together and runs it until it is asked to stop.
//!
//! One thread reads the host, one source at a time; one task sends what is new; the watcher has a
//! thread of its own. Each has an owner here that stops and joins it. Nothing is decided on this
//! page.

mod heap;
mod passes;
mod reader;
mod reload;
#[cfg(test)]
#[cfg(unix)]
mod tests;
mod vitals;

use std::collections::BTreeSet;
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use anyhow::Context;
use driftline_protocol::ids::SourceName;
use driftline_protocol::redact::Redactor;
use tokio::sync::{Notify, watch as signal};

use self::passes::{Event, Make, Passes, Setting};
use self::reader::Patience;
use self::reload::Configs;
pub use self::vitals::Vitals;
use crate::assemble::{self, Now};
use crate::budget;
use crate::clock;
use crate::config::Config;
use crate::machine::Machine;
use crate::platform::System;
use crate::service::state::{self, StateFolder};
use crate::sources::{self, Source, files};
use crate::spool::{self, Spool};
use crate::transport::client::Collector;
use crate::transport::{self, Transport, Watching, Wellbeing};
use crate::watch::Watcher;

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
    live(&config, parts, &Vitals::default(), shutdown).await
}

/// Runs with the configuration in `file`, and with each valid one that replaces it, until
/// `shutdown` is ready.
///
/// A file that cannot be used leaves the configuration before it in force; that is logged and told
/// in the heartbeat. What a new one takes out of scope is recorded as such: those parts are
/// withheld, not gone.
///
/// # Errors
/// As [`run`], for the first configuration.
pub async fn serve(
    file: &Path,
    controls: Controls,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    install_tls();
    let Controls { vitals, reload } = controls;
    let mut configs = Configs::new(file, reload, vitals.clone());
    let mut config = Config::load(file)?;
    let mut parts = open_aside(&config).await?;
    tokio::pin!(shutdown);
    loop {
        let until = async {
            tokio::select! {
                () = &mut shutdown => None,
                next = configs.next(&config) => Some(next),
            }
        };
        let Some(next) = live(&config, parts, &vitals, until).await? else { return Ok(()) };
        (config, parts) = swap(config, next, &vitals).await?;
    }
}

/// What whoever runs an agent shares with it.
#[derive(Clone, Debug, Default)]
pub struct Controls {
    /// How the agent fares.
    pub vitals: Vitals,
    /// Asks for the configuration to be read again.
    pub reload: Arc<Notify>,
}

/// Opens what `next` names; where that fails, what `old` names, and says so.
async fn swap(old: Config, next: Config, vitals: &Vitals) -> anyhow::Result<(Config, Parts)> {
    match open_aside(&next).await {
        Ok(parts) => {
            let scope = old.files != next.files
                || old.runtime != next.runtime
                || old.probes != next.probes
                || old.sources.enable != next.sources.enable;
            tracing::info!(scope_changed = scope, "configuration was replaced");
            Ok((next, parts))
        }
        Err(error) => {
            vitals.set_config_refused(true);
            let error = format!("{error:#}");
            tracing::error!(error, "new configuration cannot be used; the one before runs on");
            let parts = open_aside(&old).await?;
            Ok((old, parts))
        }
    }
}

/// One life of the agent: `parts` work together until `until` is ready.
async fn live<T>(
    config: &Config,
    parts: Parts,
    vitals: &Vitals,
    until: impl Future<Output = T>,
) -> anyhow::Result<T> {
    let collector = collector(config)?;
    let watched = parts.sources.iter().flat_map(|source| reader::watched(source.as_ref()));
    let watcher = Arc::new(Watcher::start(Arc::clone(&parts.machine), watched.collect()));
    let news = Arc::new(Notify::new());
    let (stop, stopped) = signal::channel(false);
    let sending = match collector {
        Some(collector) => {
            let watching = watching(&watcher, vitals);
            let settings = settings(config, &parts, vitals);
            let transport = Transport::new(collector, parts.spool.clone(), settings, watching)?;
            Some(tokio::spawn(transport.run(Arc::clone(&news), stopped)))
        }
        None => {
            tracing::warn!("no collector is configured: what is seen waits here undelivered");
            None
        }
    };
    let Parts { spool, machine, sources, _folder, .. } = parts;
    let reading = Reader::start(|tell, stop| Setting {
        make: maker(config),
        watch: watching_anew(&watcher),
        rescan_ms: config.sources.rescan_seconds.saturating_mul(1_000),
        patience: Patience::default(),
        budgets: config.budget,
        vitals: vitals.clone(),
        sources,
        machine,
        spool,
        news,
        tell,
        stop,
    })?;
    tracing::info!("agent runs");
    let ended = tokio::select! {
        ended = until => Some(ended),
        () = forward(&watcher, &reading.tell) => None,
    };
    tracing::info!("agent stops");
    if stop.send(true).is_ok()
        && let Some(sending) = sending
        && let Err(error) = sending.await
    {
        tracing::error!(%error, "the sending task broke off");
    }
    let joined = tokio::task::spawn_blocking(move || reading.end()).await;
    anyhow::ensure!(matches!(joined, Ok(Ok(()))), "the reading thread broke off");
    ended.context("the reading thread ended")
}

/// The reading thread, told to stop when this is dropped.
struct Reader {
    tell: SyncSender<Event>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Reader {
    fn start(
        setting: impl FnOnce(SyncSender<Event>, Arc<AtomicBool>) -> Setting,
    ) -> anyhow::Result<Self> {
        let (tell, told) = std::sync::mpsc::sync_channel(WAKES);
        let stop = Arc::new(AtomicBool::new(false));
        let passes = Passes::new(setting(tell.clone(), Arc::clone(&stop)));
        let thread = std::thread::Builder::new()
            .name("read".into())
            .spawn(move || passes.run(&told))
            .context("starting the reading thread")?;
        Ok(Self { tell, stop, thread: Some(thread) })
    }

    /// Stops and joins it, which takes seconds at most, whatever a source does.
    fn end(mut self) -> std::thread::Result<()> {
        self.stop();
        self.thread.take().map_or(Ok(()), std::thread::JoinHandle::join)
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        // A full queue, or none, means that the thread comes round anyway.
        if self.tell.try_send(Event::Stop).is_err() {
            tracing::debug!("the reading thread needs no call");
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Enrols the host of `config`, and gives its name and what was done.
///
/// # Errors
/// When the state folder is in use, or the collector refuses.
pub async fn enrol(config: Config) -> anyhow::Result<(String, &'static str)> {
    install_tls();
    let parts = open_aside(&config).await?;
    let nobody = "enrolling: the configuration names no collector; set `collector`, such as \
                  collector = \"https://collector.example.org:9470\"";
    let collector = collector(&config)?.context(nobody)?;
    let watching: Watching = Arc::new(Wellbeing::default);
    let settings = settings(&config, &parts, &Vitals::default());
    let mut transport = Transport::new(collector, parts.spool.clone(), settings, watching)?;
    let (host, done) = transport.enrol().await?;
    Ok((host.to_string(), done.as_str()))
}

/// Reads every source of `config` once below `root` and writes what has passed the redactor as
/// one snapshot.
///
/// Nothing is kept but the host's own key, which is made where there is none and no other is
/// configured. Where it cannot be kept, the fingerprints are under a key that is forgotten, and a
/// warning says so.
///
/// # Errors
/// When the root or the key cannot be used, and those of writing.
pub fn snapshot(config: &Config, root: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let redactor = match &config.fingerprint_key_file {
        Some(path) => state::redactor_of(path)?,
        None => state::host_redactor(&config.state_dir).or_else(|error| {
            let hint = "run as root, or set `fingerprint_key_file`";
            tracing::warn!("{error}; this snapshot can be compared with no other: {hint}");
            state::passing_redactor()
        })?,
    };
    let opening = || format!("opening {} (--root names a folder to read)", root.display());
    let machine = Machine::open(root, redactor).with_context(opening)?;
    let now = Now { wall: clock::wall(), monotonic_ms: clock::monotonic_ms() };
    let mut sources = sources_of(System::at(root), config)?;
    let about = (&config.proposed_host(), now);
    assemble::print(&mut sources, &machine, about, out).context("writing the snapshot")
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
    // It may have been deleted once the host was enrolled.
    if let Some(path) = config.enrolment_secret_file.as_deref().filter(|path| path.exists()) {
        transport::proof::secret_of(path)?;
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
///
/// # Errors
/// What of the configuration is no pattern or no source.
pub fn sources(config: &Config) -> anyhow::Result<Vec<Box<dyn Source>>> {
    sources_of(System::HOST, config)
}

fn sources_of(system: System, config: &Config) -> anyhow::Result<Vec<Box<dyn Source>>> {
    let defaults = files::Config::of(system);
    let chosen = config.files.clone();
    let files = files::Config {
        include: chosen.include.unwrap_or(defaults.include),
        exclude: chosen.exclude.unwrap_or(defaults.exclude),
        withhold: chosen.withhold.unwrap_or(defaults.withhold),
    };
    let chosen = sources::Chosen { files: &files, certificates: &config.certificates.include };
    let mut sources = sources::all(system, &chosen).context("[files] or [certificates]")?;
    sources.extend(sources::running(&config.runtime, &config.probes));
    if let Some(enabled) = &config.sources.enable {
        let known: BTreeSet<SourceName> = sources.iter().map(|source| source.name()).collect();
        for name in enabled {
            let names: Vec<_> = known.iter().map(SourceName::as_str).collect();
            anyhow::ensure!(
                known.contains(name),
                "sources.enable: {:?} is no source\n  hint: one of {}",
                name.as_str(),
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

fn settings(config: &Config, parts: &Parts, vitals: &Vitals) -> transport::Settings {
    transport::Settings {
        proposed: config.proposed_host(),
        kind: config.kind,
        secret_file: config.enrolment_secret_file.clone(),
        heartbeat_ms: config.heartbeat_seconds.saturating_mul(1_000),
        key: parts.redactor.key_id(),
        site_key: parts.site_key,
        stranded: vitals.stranded(),
    }
}

/// What the transport asks for each heartbeat.
fn watching(watcher: &Arc<Watcher>, vitals: &Vitals) -> Watching {
    let (watcher, vitals) = (Arc::clone(watcher), vitals.clone());
    Arc::new(move || Wellbeing {
        watched: watcher.directories(),
        watch_limited: watcher.limited(),
        source_restarts: vitals.restarts(),
        sources_stuck: vitals.stuck(),
        config_refused: vitals.config_refused(),
        over_budget: vitals.over_budget(),
        usage: budget::usage(),
    })
}

/// Hands the watcher what a source wants after a reading.
fn watching_anew(watcher: &Arc<Watcher>) -> passes::Watch {
    let watcher = Arc::clone(watcher);
    Box::new(move |source, watched| watcher.want(source, watched))
}

/// Makes a source of `config` anew, by its name.
fn maker(config: &Config) -> Make {
    let config = config.clone();
    Box::new(move |name| {
        let found = sources(&config)?.into_iter().find(|source| source.name() == *name);
        found.with_context(|| format!("no source {name}"))
    })
}

/// Hands every call of the watcher to the reading thread. Returns only when that thread is gone.
async fn forward(watcher: &Watcher, wake: &SyncSender<Event>) {
    loop {
        let mut next = Event::Wake(watcher.due().await);
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
