//! Reads the configuration and the certificate again on SIGHUP and on save: validate, then swap.
//!
//! A file with a mistake keeps the old configuration, lowers `driftline_reload_success`, leaves an
//! event and names file, line and hint in the log; API, overview and `driftline doctor` say it
//! until it is mended. Where it names other files than before, in use or refused, those are watched
//! from then on, also where their folder is made only later: a certificate that is put right where
//! the configuration looks for it is read without another word. What only counts at the start
//! (`listen`, `state_dir`, whether there is TLS, `heartbeat_seconds`) stays as it was and is told.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum_server::tls_rustls::RustlsConfig;
use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;
use notify::{RecursiveMode, Watcher as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::state::{Collector, Settings};
use crate::config::{Config, load};
use crate::ingest::Decided;
use crate::standards::Standards;
use crate::store::{EventKind, EventRecord, Step};
use crate::tls;

/// How long the files must stand still before they are read: editors write in several steps, and a
/// file that is written in place is empty for a moment. Half a file can be a valid one.
const SETTLE: Duration = Duration::from_millis(200);

/// How often that is waited for before the files are read as they are, so that a file somebody
/// writes all the time does not keep the others from being read.
const SETTLES: usize = 25;

/// Starts the task, unless there is no file to reload.
///
/// # Errors
/// When SIGHUP cannot be listened for.
pub fn spawn(
    tasks: &mut JoinSet<()>,
    collector: &Arc<Collector>,
    (file, certificate): (Option<PathBuf>, Option<RustlsConfig>),
    stopped: &watch::Receiver<()>,
) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    let hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
        .context("listening for SIGHUP")?;
    let collector = Arc::clone(collector);
    let newest = collector.settings().config;
    let ends = newest.tls.as_ref().and_then(tls::ends);
    let reload = Reload { collector, file, certificate, newest, ends, told: String::new() };
    tasks.spawn(run(reload, hangup, stopped.clone()));
    Ok(())
}

/// What the files say, as [`Reload::read`] gives it.
type Read = anyhow::Result<Option<(Settings, String)>>;

struct Reload {
    collector: Arc<Collector>,
    file: PathBuf,
    certificate: Option<RustlsConfig>,
    /// The configuration that was read last, whether or not it is the one in use.
    newest: Arc<Config>,
    /// When the certificate in use ends.
    ends: Option<Timestamp>,
    /// What was wrong last time; the same mistake is told once, however often a file is saved.
    told: String,
}

async fn run(
    mut reload: Reload,
    mut hangup: tokio::signal::unix::Signal,
    mut stopped: watch::Receiver<()>,
) {
    // One place is enough: it says that something was saved, not what.
    let (saved, mut saves) = mpsc::channel(1);
    let mut watched = Watched { saved, of: Places::default(), watcher: None };
    watched.follow(&reload.file, &reload.newest);
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            _ = hangup.recv() => {}
            _ = saves.recv() => {}
        }
        let read = tokio::select! {
            _ = stopped.changed() => return,
            read = reload.read_at_rest() => read,
        };
        reload.take(read).await;
        if !mutant::active(Mutant::OldPlacesAreWatched) {
            watched.follow(&reload.file, &reload.newest);
        }
    }
}

fn certificate_files(config: &Config) -> Vec<&Path> {
    config.tls.iter().flat_map(|tls| [&*tls.cert_file, &*tls.key_file]).collect()
}

/// What of the watched folders is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ours {
    /// Names of files, wherever they are: others write beside a certificate.
    names: Vec<OsString>,
    /// Folders of which everything counts.
    folders: Vec<PathBuf>,
    /// Where a folder is to come that is named and not there yet.
    awaited: BTreeSet<PathBuf>,
}

impl Ours {
    /// Those of the configuration `file`, whose folder is `folder`.
    fn of(config: &Config, (file, folder): (&Path, &Path)) -> Self {
        let tls = certificate_files(config);
        let files = [file].into_iter().chain(tls.iter().copied()).filter_map(Path::file_name);
        // Kubernetes replaces a link of this name in place of the files.
        let link = [OsString::from("..data")];
        let names = files.map(OsString::from).chain(link).collect();
        let beside = load::FOLDERS.map(|more| folder.join(more));
        let rules = &config.rules.folder;
        let rules = rules.canonicalize().unwrap_or_else(|_| rules.clone());
        let folders = beside.into_iter().chain([rules]).collect();
        Self { names, folders, awaited: BTreeSet::new() }
    }

    fn has(&self, path: &Path) -> bool {
        let within = path.parent().is_some_and(|parent| self.folders.iter().any(|f| f == parent));
        let named = path.file_name().is_some_and(|own| self.names.iter().any(|name| name == own));
        let comes = self.awaited.contains(path);
        named || within || comes || self.folders.iter().any(|folder| folder == path)
    }
}

/// Which folders are watched, and what in them counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Places {
    ours: Ours,
    folders: BTreeSet<PathBuf>,
    /// The nearest folders that are there above those that are not.
    above: BTreeSet<PathBuf>,
}

impl Places {
    /// The folders of the configuration `file` and of what `config` names: editors replace files,
    /// so the files themselves would be lost. For one that is not there, where the next step of its
    /// path is to come; who looks again then comes nearer to it.
    fn of(file: &Path, config: &Config) -> notify::Result<Self> {
        let folder = file.parent().filter(|path| !path.as_os_str().is_empty());
        // As the kernel names it, since events carry such paths.
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().map_err(notify::Error::io)?;
        let ours = Ours::of(config, (file, &folder));
        let tls = certificate_files(config);
        let tls = tls.iter().filter_map(|file| file.parent());
        let named = ours.folders.iter().map(PathBuf::as_path).chain(tls).chain([&*folder]);
        let named: Vec<PathBuf> = named.map(Path::to_path_buf).collect();
        let mut places = Self { ours, ..Self::default() };
        for named in named {
            if let Some(there) = folder_at(&named) {
                places.folders.insert(there);
            } else {
                places.wait_for(&named);
            }
        }
        Ok(places)
    }

    fn wait_for(&mut self, missing: &Path) {
        for above in missing.ancestors().skip(1) {
            let next = missing.strip_prefix(above).ok().and_then(|rest| rest.components().next());
            if let (Some(there), Some(next)) = (folder_at(above), next) {
                self.ours.awaited.insert(there.join(next));
                self.above.insert(there);
                return;
            }
        }
    }
}

/// The folder at `path`, as the kernel names it; `None` when none is there.
fn folder_at(path: &Path) -> Option<PathBuf> {
    let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    here.canonicalize().ok().filter(|path| path.is_dir())
}

/// What is watched, and who is told of a save.
struct Watched {
    saved: mpsc::Sender<()>,
    of: Places,
    watcher: Option<notify::RecommendedWatcher>,
}

impl Watched {
    /// Watches what `config` names, where that is something else than so far.
    fn follow(&mut self, file: &Path, config: &Config) {
        let (before, places) = match Places::of(file, config) {
            Ok(places) if self.watcher.is_some() && places == self.of => return,
            Ok(places) => (self.watcher.take(), places),
            Err(error) => return not_noticed(&error),
        };
        match watch(&places, self.saved.clone()) {
            Ok(watcher) => {
                self.watcher = Some(watcher);
                self.of = places;
                // What was saved there before anybody watched is read now.
                if before.is_some() {
                    self.saved.try_send(()).ok();
                }
            }
            Err(error) => {
                self.watcher = before;
                not_noticed(&error);
            }
        }
    }
}

fn not_noticed(error: &notify::Error) {
    tracing::warn!(%error, "saves are not noticed; SIGHUP reloads the configuration");
}

/// Tells `saved` of each save at `places`.
fn watch(places: &Places, saved: mpsc::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
    let ours = places.ours.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let matters = match &event {
            Ok(event) => !event.kind.is_access() && event.paths.iter().any(|path| ours.has(path)),
            // It may hide a save; reading again for nothing is harmless.
            Err(_) => true,
        };
        if matters {
            // Full means that a reload is due already.
            saved.try_send(()).ok();
        }
    })?;
    for watched in &places.folders {
        watcher.watch(watched, RecursiveMode::NonRecursive)?;
    }
    // Nobody named these, and not everybody may read them: without them the others still count.
    for above in places.above.difference(&places.folders) {
        if let Err(error) = watcher.watch(above, RecursiveMode::NonRecursive) {
            let above = above.display();
            tracing::warn!(%error, "what comes in {above} is not noticed; SIGHUP reloads");
        }
    }
    Ok(watcher)
}

impl Reload {
    /// Reads the files once nobody is writing them, before or while they are read.
    async fn read_at_rest(&mut self) -> Read {
        let mut before = self.standing();
        for _ in 0..SETTLES {
            tokio::time::sleep(SETTLE).await;
            let now = self.standing();
            if now == before {
                let read = self.read();
                if self.standing() == now {
                    return read;
                }
            }
            before = now;
        }
        tracing::warn!("the configuration is being written all the time; it is read as it is");
        self.read()
    }

    /// How the configuration and the certificate stand on the disk.
    fn standing(&self) -> load::Standing {
        load::standing(&self.file, &certificate_files(&self.newest))
    }

    async fn take(&mut self, read: Read) {
        let detail = match read {
            Ok(None) => return self.note_certificate(),
            Ok(Some((settings, note))) => {
                self.told.clear();
                self.collector.use_settings(settings).await;
                self.note_certificate();
                let detail = format!("the configuration was reloaded{note}");
                tracing::info!("{detail}");
                detail
            }
            Err(error) => {
                let problem = format!("{error:#}");
                let detail = format!("the configuration was not reloaded: {problem}");
                self.collector.refuse_reload(problem);
                if detail == self.told {
                    return;
                }
                self.told.clone_from(&detail);
                tracing::error!("{detail}; the old one stays in use");
                detail
            }
        };
        let event = move |_: &mut _, context: crate::ingest::Context<'_>| {
            let kind = EventKind::Reloaded;
            let step = Step::Event(EventRecord { at: context.now, host: None, kind, detail });
            Ok(Decided { answer: (), parts: Vec::new(), steps: vec![step] })
        };
        if let Err(error) = self.collector.writer.ask(event).await {
            tracing::warn!(%error, "a reload could not be noted");
        }
    }

    /// Tells of a certificate that took the place of another. One that could not be used is a
    /// reload that was refused.
    fn note_certificate(&mut self) {
        let ends = self.collector.settings().config.tls.as_ref().and_then(tls::ends);
        if ends != self.ends {
            let until = ends.map_or_else(|| "an unknown time".to_owned(), |ends| ends.to_string());
            tracing::info!("the certificate was replaced by one that holds until {until}");
            self.ends = ends;
        }
    }

    /// The settings in the files, or `None` when they are those in use; with what has to wait for a
    /// start.
    fn read(&mut self) -> Read {
        let mut config = load::load(&self.file)?;
        self.newest = Arc::new(config.clone());
        let secret = super::secret(&config)?;
        let old = self.collector.settings();
        let renewed = config.tls.as_ref().filter(|_| self.certificate.is_some());
        let renewed = renewed.map(tls::load).transpose()?;
        let waits = keep_start_settings(&mut config, &old.config);
        let config = Arc::new(config);
        let standards = Arc::new(Standards::load(&config)?);
        // When nothing can be refused any more: no reload is half taken.
        if let (Some(certificate), Some(renewed)) = (&self.certificate, renewed) {
            certificate.reload_from_config(renewed);
        }
        // Packs are files of their own; whether they say the same is told by what was read.
        let rules = standards.rules.packs() == old.standards.rules.packs();
        let same = config == old.config && secret == old.secret && rules;
        if same && self.collector.reload_state().0 && waits.is_empty() {
            return Ok(None);
        }
        Ok(Some((Settings { config, secret, standards }, waits)))
    }
}

/// Keeps what only counts at the start as it was. Says what waits for the next start.
fn keep_start_settings(config: &mut Config, old: &Config) -> String {
    let mut waits = Vec::new();
    if config.listen != old.listen {
        waits.push("listen");
        config.listen = old.listen;
    }
    if config.state_dir != old.state_dir {
        waits.push("state_dir");
        config.state_dir.clone_from(&old.state_dir);
    }
    if config.heartbeat_seconds != old.heartbeat_seconds {
        waits.push("heartbeat_seconds");
        config.heartbeat_seconds = old.heartbeat_seconds;
    }
    if config.tls.is_some() != old.tls.is_some() {
        waits.push("tls");
        config.tls.clone_from(&old.tls);
    }
    if waits.is_empty() {
        return String::new();
    }
    format!("; {} will count after a restart", waits.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A save is told by the kernel within milliseconds; a busy machine may take longer.
    const TOLD: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_certificate_that_is_replaced_is_read_and_what_lies_beside_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["site", "tls", "packs"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        let mut config = Config::default();
        config.rules.folder = path("packs");
        let [cert_file, key_file] = ["tls/hub.pem", "tls/hub.key"].map(path);
        config.tls = Some(crate::config::Tls { cert_file, key_file });
        let file = path("site/collector.toml");
        let ours = Ours::of(&config, (&file, &path("site")));
        for (name, counts) in [
            ("tls/hub.pem", true),
            ("tls/hub.key", true),
            ("tls/..data", true),
            ("tls/other.log", false),
            ("site/collector.toml", true),
            ("site/store.db-wal", false),
            ("packs/own.toml", true),
        ] {
            assert_eq!(ours.has(&path(name)), counts, "{name}");
        }
        let (saved, mut saves) = mpsc::channel(1);
        let watcher = watch(&Places::of(&file, &config).unwrap(), saved).unwrap();
        for name in ["tls/hub.pem", "tls/hub.key", "packs/own.toml", "site/collector.toml"] {
            std::fs::write(path(name), "x").unwrap();
            tokio::time::timeout(TOLD, saves.recv()).await.expect(name).unwrap();
        }
        drop(watcher);
    }

    #[tokio::test]
    async fn a_folder_that_is_made_after_it_was_named_is_watched_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("site")).unwrap();
        let file = root.join("site/collector.toml");
        let (saved, mut saves) = mpsc::channel(1);
        let mut watched = Watched { saved, of: Places::default(), watcher: None };
        watched.follow(&file, &Config::default());
        let mut config = Config::default();
        let later = root.join("made/later");
        let [cert_file, key_file] = ["hub.pem", "hub.key"].map(|name| later.join(name));
        config.tls = Some(crate::config::Tls { cert_file, key_file });
        config.rules.folder = root.join("own/packs");
        watched.follow(&file, &config);
        // One step of the path after the other, as nobody would who has `mkdir -p`.
        for name in ["made", "made/later", "own", "own/packs"] {
            let comes = root.join(name);
            std::fs::create_dir(&comes).unwrap();
            let noticed = async {
                while !watched.of.folders.contains(&comes) && !watched.of.above.contains(&comes) {
                    saves.recv().await.unwrap();
                    watched.follow(&file, &config);
                }
            };
            tokio::time::timeout(TOLD, noticed).await.expect(name);
        }
        assert!(watched.of.ours.has(&root.join("own/packs/ours.toml")));
    }
}
