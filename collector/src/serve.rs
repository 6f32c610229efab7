//! One port for agents, Prometheus and people: what listens, what is refused, what runs beside it.
//!
//! [`serve`] binds, starts the writer and the upkeep, and gives back a [`Running`] collector with
//! its address; it ends when told to, with everything acknowledged on disk. Beyond loopback it
//! starts only with TLS and at least one token. Which messages mean what is not known here.

pub mod agents;
pub mod answer;
pub mod body;
mod case_folders;
pub mod case_intake;
mod classification;
pub mod connections;
pub mod correlation;
mod folders;
mod forms;
mod judging;
pub mod pages;
mod portal;
pub mod reload;
mod request_folders;
pub mod request_intake;
pub mod state;
pub mod upkeep;
mod watchdog;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::compare;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::auth::{EnrolmentSecret, Keys};
use crate::config::Config;
use crate::metrics::live::Live;
use crate::standards::Standards;
use crate::store::Append;
use crate::writer::{Parts, Reads, Writer};
use crate::{ingest, tls};
use connections::{CONNECTIONS, Capped};
use state::{Collector, Made, Settings};

/// How long requests under way may take when the collector stops.
const GRACE: Duration = Duration::from_secs(10);

/// How long a connection may be silent beyond a heartbeat before it is closed; also bounds slow
/// headers.
const IDLE_SLACK: Duration = Duration::from_secs(15);

/// What is read ahead of one connection, in bytes; headers must fit. Tokens and names need under a
/// kilobyte.
const READ_BYTES: usize = 32 * 1024;

/// An opened store.
pub struct Stores {
    /// The write half.
    pub append: Box<dyn Append>,
    /// The read halves.
    pub read: Arc<dyn Reads>,
    /// How often the store was opened; see [`ingest::Config`].
    pub epoch: u64,
    /// What folds the store's log, for a thread of its own.
    pub checkpoint: Option<crate::store::sqlite::Checkpointer>,
    /// What keeps other collectors away from it.
    pub lock: Option<upkeep::Lock>,
}

/// What a collector starts from.
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// The file it came from, watched for changes; `None` when there is none to reload.
    pub config_file: Option<PathBuf>,
    /// The store.
    pub stores: Stores,
}

/// A collector that listens.
pub struct Running {
    /// The address it listens on; the port is known even when the configuration said 0.
    pub address: SocketAddr,
    /// The address of the portal.
    pub url: String,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Waits until the collector has stopped, with everything acknowledged on disk.
    ///
    /// # Errors
    /// Whatever made it stop before it was told to.
    pub async fn finished(self) -> anyhow::Result<()> {
        self.task.await.context("the collector broke")?
    }
}

/// Opens the embedded store of `config` and serves until `shutdown`.
///
/// # Errors
/// With what to do about it, when the store, the address, the certificate or a secret cannot be
/// used, or when the address is open to others without TLS and tokens.
pub async fn serve(
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<Running> {
    let stores = upkeep::open_alone(&config)?;
    start(Start { config, config_file: None, stores }, shutdown).await
}

/// Serves from an opened store until `shutdown`; see [`serve`].
///
/// # Errors
/// As [`serve`].
pub async fn start(
    start: Start,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<Running> {
    let Start { config, config_file, stores } = start;
    let keys = Arc::new(Keys::default());
    keys.replace(&stores.read.hosts()?, stores.read.tokens()?);
    let config = Arc::new(config);
    let standards = Arc::new(Standards::load(&config)?);
    let (tls, secret) = check(&config)?;
    let tls = tls.map(RustlsConfig::from_config);
    refuse_locked_doors(&config, &keys)?;
    let listener = TcpListener::bind(config.listen).with_context(|| {
        format!(
            "listening on {}; is another collector running? `listen` of the configuration, or \
             `--listen` of `driftline up`, chooses another address",
            config.listen
        )
    })?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let live = Arc::new(Live::default());
    let Stores { append, read, epoch, checkpoint, lock } = stores;
    let interval_ms = config.heartbeat_seconds * 1000;
    let writer = Writer::start(Parts {
        append,
        read: Arc::clone(&read),
        config: ingest::Config { interval_ms, epoch, ..ingest::Config::default() },
        keys: Arc::clone(&keys),
        live: Arc::clone(&live),
    })?;
    let adopted = Arc::clone(&standards);
    let adopt = move |ingest: &mut ingest::Ingest, _: ingest::Context<'_>| {
        ingest.adopt(adopted);
        Some(())
    };
    writer.at_once(adopt).await;
    let settings = Settings { config, secret, standards };
    let collector = Arc::new(Collector::new(Made { writer, read, keys, live, settings, address }));
    let (stop, stopped) = watch::channel(());
    let mut tasks = JoinSet::new();
    upkeep::spawn(&mut tasks, &collector, checkpoint, &stopped);
    reload::spawn(&mut tasks, &collector, (config_file, tls.clone()), &stopped)?;
    let url = collector.url();
    tracing::info!(%address, url, "the collector listens");
    for warning in collector.settings().config.warnings(Timestamp::now()) {
        tracing::warn!("{warning}");
    }
    watchdog::spawn(&mut tasks, &collector, &stopped);
    let task = tokio::spawn(async move {
        let result = listen(&collector, (listener, tls), shutdown).await;
        watchdog::stopping();
        drop(stop);
        while tasks.join_next().await.is_some() {}
        finish(collector, lock).await;
        result
    });
    Ok(Running { address, url, task })
}

/// Everything that can be said of a configuration without its store: what [`start`] starts from.
///
/// # Errors
/// With what to do about it: certificate or secret cannot be used, or the address is open to others
/// without TLS.
pub fn check(
    config: &Config,
) -> anyhow::Result<(Option<Arc<rustls::ServerConfig>>, Option<EnrolmentSecret>)> {
    let listen = config.listen;
    if !listen.ip().is_loopback() && config.tls.is_none() {
        bail!(
            "{listen} is open to others and [tls] is not set; give cert_file and key_file, or \
             listen on 127.0.0.1"
        );
    }
    Ok((config.tls.as_ref().map(tls::load).transpose()?, secret(config)?))
}

/// Refuses an address that others reach while no token lets anybody in.
fn refuse_locked_doors(config: &Config, keys: &Keys) -> anyhow::Result<()> {
    let listen = config.listen;
    if !listen.ip().is_loopback() && !keys.any_person(Timestamp::now()) {
        bail!(
            "{listen} is open to others and nobody has a token; make one with \
             `driftline-collector token create admin --scope admin --days 90`, or listen on \
             127.0.0.1"
        );
    }
    Ok(())
}

/// Reads the enrolment secret, if one is configured.
///
/// Beyond loopback it must not be readable by everybody on this machine; by its group only warns.
fn secret(config: &Config) -> anyhow::Result<Option<EnrolmentSecret>> {
    let Some(file) = config.enrolment_secret_file.as_deref() else { return Ok(None) };
    let secret = EnrolmentSecret::load(file)?;
    let mode = std::fs::metadata(file)?.permissions().mode();
    let name = file.display();
    if mode & 0o004 != 0 && !config.listen.ip().is_loopback() {
        bail!("everybody on this machine can read the enrolment secret; `chmod 600 {name}`");
    }
    // A credential of the service is guarded by its folder, and its list of rights looks like a
    // group's.
    let given = std::env::var_os("CREDENTIALS_DIRECTORY");
    if mode & 0o044 != 0 && !given.is_some_and(|given| file.starts_with(given)) {
        tracing::warn!("others on this machine can read the enrolment secret; `chmod 600 {name}`");
    }
    Ok(Some(secret))
}

/// Accepts connections until `shutdown`, then lets requests under way come to their end.
async fn listen(
    collector: &Arc<Collector>,
    (listener, tls): (TcpListener, Option<RustlsConfig>),
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let app = router(collector).into_make_service_with_connect_info::<SocketAddr>();
    let handle = Handle::new();
    let capped = Capped::new(CONNECTIONS, Arc::clone(&collector.live));
    let idle = collector.settings().config.heartbeat() + IDLE_SLACK;
    let server = axum_server::from_tcp(listener)?.handle(handle.clone());
    let stop = async {
        shutdown.await;
        handle.graceful_shutdown(Some(GRACE));
        std::future::pending().await
    };
    // `http1_only` comes last: setting an acceptor would forget it.
    let serving = async {
        match tls {
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(tls).acceptor(capped);
                let mut server = server.acceptor(acceptor).http1_only();
                set_bounds(server.http_builder(), idle);
                server.serve(app).await
            }
            None => {
                let mut server = server.acceptor(capped).http1_only();
                set_bounds(server.http_builder(), idle);
                server.serve(app).await
            }
        }
    };
    tokio::select! {
        result = serving => result.context("accepting connections"),
        () = stop => Ok(()),
    }
}

fn set_bounds(
    builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>,
    idle: Duration,
) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(READ_BYTES)
        .keep_alive(true);
}

/// Every address the collector answers.
fn router(collector: &Arc<Collector>) -> Router {
    use axum::routing::{get, post};
    let agents = Router::new()
        .route("/api/v1/enrol", post(agents::enrol))
        .route("/api/v1/heartbeat", post(agents::heartbeat))
        .route("/api/v1/parts", post(agents::parts))
        .route("/api/v1/report", post(agents::report));
    let machines = Router::new()
        .route("/metrics", get(pages::metrics))
        .route("/-/healthy", get(pages::healthy))
        .route("/-/ready", get(pages::ready));
    agents
        .merge(machines)
        .merge(crate::api::router(collector))
        .merge(portal::router())
        .fallback(pages::nothing)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(collector), pages::count))
        .with_state(Arc::clone(collector))
}

/// Writes down what is only in memory and closes the store.
async fn finish(collector: Arc<Collector>, lock: Option<upkeep::Lock>) {
    upkeep::note_seen(&collector).await;
    let stopped = tokio::task::spawn_blocking(move || {
        collector.writer.stop();
        drop(collector);
        if let Some(Err(error)) = lock.map(|lock| lock.settle()) {
            tracing::warn!(%error, "the store's log stays beside the store");
        }
    })
    .await;
    match stopped {
        Ok(()) => tracing::info!("the collector stopped"),
        Err(error) => tracing::error!(%error, "stopping the writer failed"),
    }
}
