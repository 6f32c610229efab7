//! What goes on beside the requests: last-seen times, retention, tokens made elsewhere, the store's
//! log.
//!
//! Each task listens for the end and is joined; a step that fails is logged and tried again next
//! time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::state::Collector;
use super::{Stores, case_folders, classification, correlation, request_folders};
use crate::config::Config;
use crate::store::sqlite::{self, CHECKPOINT_BYTES, Checkpointer};

/// The store's file inside the state folder.
pub const STORE_FILE: &str = "collector.sqlite";

/// How often last-seen times are written and tokens read again: what a crash may cost of the
/// former, and how long a token made or removed with the command takes to count.
const NOTE_EVERY: Duration = Duration::from_secs(30);

/// How often retention is applied.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);

/// How many rows retention removes at a time, so that requests wait some milliseconds for it and
/// not more.
const EXPIRE_ROWS: u32 = 2_000;

/// How often the store's log is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(2);

/// Opens the embedded store of `config`, making it when nothing is there.
///
/// # Errors
/// When the folder or the store cannot be used.
pub fn open(config: &Config) -> anyhow::Result<Stores> {
    make_state_dir(config)?;
    let (writer, reader) = sqlite::open(&config.state_dir.join(STORE_FILE))?;
    let epoch = writer.epoch();
    let checkpoint = Some(writer.checkpointer()?);
    let (append, read) = (Box::new(writer), Arc::new(reader));
    Ok(Stores { append, read, epoch, checkpoint, lock: None })
}

/// Opens the embedded store of `config` for the one collector that serves it.
///
/// # Errors
/// As [`open`] and [`lock`].
pub fn open_alone(config: &Config) -> anyhow::Result<Stores> {
    make_state_dir(config)?;
    let lock = Some(lock(config)?);
    Ok(Stores { lock, ..open(config)? })
}

/// The lock on a state folder; given back when this is dropped or the program ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    store: PathBuf,
}

impl Lock {
    /// Folds the log of the store, which nobody uses any more, so that none stays beside it.
    ///
    /// # Errors
    /// [`crate::store::StoreError`]; the log counts then as after a kill.
    pub fn settle(&self) -> Result<(), crate::store::StoreError> {
        sqlite::settle(&self.store)
    }
}

/// Takes the state folder of `config` for whoever serves its store or replaces it.
///
/// # Errors
/// When another program has it, or the lock file cannot be made.
pub fn lock(config: &Config) -> anyhow::Result<Lock> {
    let folder = &config.state_dir;
    let path = folder.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let opening =
        || format!("opening {} (run it as the user that owns the state folder)", path.display());
    let file = options.open(&path).with_context(opening)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock { _file: file, store: folder.join(STORE_FILE) }),
        Err(Errno::WOULDBLOCK) => bail!(
            "a collector or a restore is using {}; stop it first, or choose another folder \
             (`state_dir` of the configuration, `--data` of `driftline up`)",
            folder.display()
        ),
        Err(error) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

/// Makes the state folder, for its owner only: the store tells what runs where and how.
///
/// # Errors
/// When it cannot be made.
pub fn make_state_dir(config: &Config) -> anyhow::Result<()> {
    let folder = &config.state_dir;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| {
        format!(
            "making the state folder {} (run it as root or as the user of the service, or set \
             another `state_dir`)",
            folder.display()
        )
    })
}

/// Starts every task.
pub fn spawn(
    tasks: &mut JoinSet<()>,
    collector: &Arc<Collector>,
    checkpoint: Option<Checkpointer>,
    stopped: &watch::Receiver<()>,
) {
    supervise(tasks, collector, stopped, note);
    supervise(tasks, collector, stopped, expire);
    supervise(tasks, collector, stopped, case_folders::watch);
    supervise(tasks, collector, stopped, request_folders::watch);
    supervise(tasks, collector, stopped, classification::run);
    supervise(tasks, collector, stopped, correlation::run);
    supervise(tasks, collector, stopped, super::judging::judging);
    if let Some(checkpoint) = checkpoint {
        tasks.spawn(fold(checkpoint, stopped.clone()));
    }
}

/// Runs `stage` and starts it again when it breaks. Each begins by waiting, so one that always
/// breaks does not spin.
fn supervise<F: Future<Output = ()> + Send + 'static>(
    tasks: &mut JoinSet<()>,
    collector: &Arc<Collector>,
    stopped: &watch::Receiver<()>,
    stage: fn(Arc<Collector>, watch::Receiver<()>) -> F,
) {
    let (collector, stopped) = (Arc::clone(collector), stopped.clone());
    tasks.spawn(async move {
        loop {
            let run = tokio::spawn(stage(Arc::clone(&collector), stopped.clone())).await;
            if !run.is_err_and(|error| error.is_panic()) {
                return;
            }
            collector.live.count_panic("upkeep");
            tracing::error!("the upkeep broke and starts again; this is a bug, please report it");
        }
    });
}

/// Waits for `time`, or less when the collector stops. Says whether to go on.
pub(super) async fn goes_on(stopped: &mut watch::Receiver<()>, time: Duration) -> bool {
    tokio::select! {
        // An error means that the sender is gone, which is how the end is told.
        _ = stopped.changed() => false,
        () = tokio::time::sleep(time) => true,
    }
}

async fn note(collector: Arc<Collector>, mut stopped: watch::Receiver<()>) {
    while goes_on(&mut stopped, NOTE_EVERY).await {
        note_seen(&collector).await;
        match collector.read.tokens() {
            Ok(tokens) => collector.keys.replace_tokens(tokens),
            Err(error) => tracing::warn!(%error, "tokens could not be read again"),
        }
    }
}

/// Writes down when hosts were last heard.
pub async fn note_seen(collector: &Collector) {
    let noted = collector.writer.run(|ingest, append| {
        let seen = ingest.take_seen();
        if seen.is_empty() { Ok(()) } else { append.note_seen(&seen) }
    });
    match noted.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "last-seen times could not be written"),
        Err(error) => tracing::warn!(%error, "last-seen times could not be written"),
    }
}

async fn expire(collector: Arc<Collector>, mut stopped: watch::Receiver<()>) {
    while goes_on(&mut stopped, EXPIRE_EVERY).await {
        // Catches up step by step, with requests in between.
        while expire_some(&collector).await == u64::from(EXPIRE_ROWS) {
            if !goes_on(&mut stopped, Duration::ZERO).await {
                return;
            }
        }
    }
}

/// Removes some rows that retention no longer keeps. Says how many.
async fn expire_some(collector: &Collector) -> u64 {
    let now = Timestamp::now();
    let before = collector.kept_from(now);
    let gone =
        collector.writer.maintain(move |append| append.expire(before, now, EXPIRE_ROWS)).await;
    match gone {
        Ok(Ok(gone)) => gone,
        Ok(Err(error)) => {
            tracing::warn!(%error, "old history could not be removed");
            0
        }
        // Busy: retention waits for a quieter time.
        Err(_) => 0,
    }
}

async fn fold(mut checkpoint: Checkpointer, mut stopped: watch::Receiver<()>) {
    while goes_on(&mut stopped, MEASURE_EVERY).await {
        let folding = tokio::task::spawn_blocking(move || {
            let folded = checkpoint.waiting_bytes().and_then(|bytes| {
                if bytes >= CHECKPOINT_BYTES { checkpoint.checkpoint() } else { Ok(()) }
            });
            (checkpoint, folded)
        });
        let Ok((back, folded)) = folding.await else { return };
        checkpoint = back;
        if let Err(error) = folded {
            tracing::warn!(%error, "the store's log could not be folded");
        }
    }
    let last = tokio::task::spawn_blocking(move || checkpoint.checkpoint()).await;
    if !matches!(last, Ok(Ok(()))) {
        tracing::warn!("the store's log stays beside the store and is folded at the next start");
    }
}
