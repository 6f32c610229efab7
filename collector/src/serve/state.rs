//! What all request handlers share, and who may do what with it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::HeaderMap;
use driftline_protocol::ids::HostId;
use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};
use prometheus::{Histogram, HistogramOpts};
use tokio::sync::Notify;

use super::answer::Refusal;
use super::body::Budget;
use super::case_intake::Columns;
use super::correlation::Latest;
use super::request_intake::{Readings, Turns};
use crate::auth::{EnrolmentSecret, Held, Keys, Person, browser};
use crate::config::Config;
use crate::ingest::{Context, FleetView, Ingest};
use crate::metrics::live::Live;
use crate::metrics::table;
use crate::standards::Standards;
use crate::store::Scope;
use crate::writer::{Reads, Writer};

/// One running collector, shared by all its handlers and tasks.
pub struct Collector {
    /// The way to the store's writer.
    pub writer: Writer,
    /// The read halves of the store.
    pub read: Arc<dyn Reads>,
    /// Who has a token.
    pub keys: Arc<Keys>,
    /// What is in memory of hosts and requests.
    pub live: Arc<Live>,
    /// Bytes of bodies in memory.
    pub budget: Budget,
    /// From a report read to its versions durable.
    pub ingest_duration: Histogram,
    /// What the newest correlation pass came to.
    pub correlated: Latest,
    /// What was odd about the columns of the newest readings of cases.
    pub case_columns: Columns,
    /// How the newest readings of change requests went.
    pub request_readings: Readings,
    /// Whose turn it is to decide on change requests.
    pub request_turns: Turns,
    /// The address listened on.
    pub address: SocketAddr,
    /// Whether connections are encrypted.
    pub tls: bool,
    settings: RwLock<Settings>,
    standards_changed: Notify,
    refused_reload: RwLock<Option<String>>,
    reloaded_at_ms: AtomicI64,
}

/// What a reload replaces.
#[derive(Clone)]
pub struct Settings {
    /// The configuration in use.
    pub config: Arc<Config>,
    /// The secret agents enrol with.
    pub secret: Option<EnrolmentSecret>,
    /// What hosts are held to.
    pub standards: Arc<Standards>,
}

/// What a collector is made of.
pub struct Made {
    /// The way to the store's writer.
    pub writer: Writer,
    /// The read halves of the store.
    pub read: Arc<dyn Reads>,
    /// Who has a token.
    pub keys: Arc<Keys>,
    /// What is in memory.
    pub live: Arc<Live>,
    /// The first configuration.
    pub settings: Settings,
    /// The address listened on.
    pub address: SocketAddr,
}

impl Collector {
    /// Puts a collector together.
    pub fn new(made: Made) -> Self {
        let Made { writer, read, keys, live, settings, address } = made;
        let metric = &table::INGEST_DURATION;
        let options =
            HistogramOpts::new(metric.name, metric.help).buckets(table::DURATION_BUCKETS.to_vec());
        Self {
            writer,
            read,
            keys,
            live,
            budget: Budget::default(),
            ingest_duration: Histogram::with_opts(options)
                .expect("the table's names are valid and its buckets grow; a test reads them"),
            correlated: Latest::default(),
            case_columns: Columns::default(),
            request_readings: Readings::default(),
            request_turns: Turns::default(),
            address,
            tls: settings.config.tls.is_some(),
            settings: RwLock::new(settings),
            standards_changed: Notify::new(),
            refused_reload: RwLock::default(),
            reloaded_at_ms: AtomicI64::new(Timestamp::now().as_millisecond()),
        }
    }

    /// The fleet as it stands.
    ///
    /// # Errors
    /// A [`Refusal`] when that cannot be told.
    pub async fn fleet(&self) -> Result<FleetView, Refusal> {
        let view = self.writer.at_once(|ingest, _| Some(ingest.view(Timestamp::now())));
        view.await.ok_or_else(Refusal::failed)
    }

    /// The moment before which retention keeps nothing at `now`.
    pub fn kept_from(&self, now: Timestamp) -> Timestamp {
        let kept = SignedDuration::try_from(self.settings().config.retention());
        kept.ok().and_then(|kept| now.checked_sub(kept).ok()).unwrap_or(Timestamp::MIN)
    }

    /// The configuration in use.
    pub fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Uses other settings from now on, and has every host held to its standards again.
    pub async fn use_settings(&self, settings: Settings) {
        let standards = Arc::clone(&settings.standards);
        let adopt = move |ingest: &mut Ingest, _: Context<'_>| {
            ingest.adopt(standards);
            Some(())
        };
        self.writer.at_once(adopt).await;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        self.reloaded_at_ms.store(Timestamp::now().as_millisecond(), Ordering::Relaxed);
        *self.refused_reload.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.judge_again();
    }

    /// Has every host held to the rules and to what was agreed again.
    pub fn judge_again(&self) {
        self.standards_changed.notify_one();
    }

    /// Waits until other standards are in use; one change is remembered.
    pub async fn standards_changed(&self) {
        self.standards_changed.notified().await;
    }

    /// Notes that a reload was refused, and why.
    pub fn refuse_reload(&self, problem: String) {
        *self.refused_reload.write().unwrap_or_else(PoisonError::into_inner) = Some(problem);
    }

    /// Why the newest configuration is not in use; nothing where it is.
    pub fn refused_reload(&self) -> Option<String> {
        let refused = self.refused_reload.read().unwrap_or_else(PoisonError::into_inner).clone();
        refused.filter(|_| !mutant::active(Mutant::RefusedReloadsAreOnlyLogged))
    }

    /// Whether the newest configuration is in use, and since when it is.
    pub fn reload_state(&self) -> (bool, Timestamp) {
        let at = Timestamp::from_millisecond(self.reloaded_at_ms.load(Ordering::Relaxed));
        let refused = self.refused_reload.read().unwrap_or_else(PoisonError::into_inner);
        (refused.is_none(), at.unwrap_or_default())
    }

    /// The address of the portal, for links.
    pub fn url(&self) -> String {
        if mutant::active(Mutant::NoPortalAddress) {
            return String::new();
        }
        let scheme = if self.tls { "https" } else { "http" };
        let public = self.settings().config.public_url.clone();
        public.unwrap_or_else(|| format!("{scheme}://{}", self.address))
    }

    /// The host whose agent sent these headers.
    ///
    /// # Errors
    /// The one refusal for whoever is not let in.
    pub fn agent(&self, headers: &HeaderMap) -> Result<HostId, Refusal> {
        self.keys.agent(headers).ok_or_else(Refusal::unauthorised)
    }

    /// The person who sent these headers and may do what `scope` says.
    ///
    /// On loopback nobody needs a token; one that is given must be right all the same.
    ///
    /// # Errors
    /// What lacks of the token; another refusal when a foreign page or a proxy is behind it.
    pub fn person(&self, headers: &HeaderMap, scope: Scope) -> Result<Person, Refusal> {
        if headers.contains_key(axum::http::header::AUTHORIZATION) {
            let now = Timestamp::now();
            let refused = || Refusal::of_token(&self.keys.what_is_held(headers, now), scope);
            return self.keys.person(headers, scope, now).ok_or_else(refused);
        }
        if !self.address.ip().is_loopback() {
            return Err(Refusal::of_token(&Held::None, scope));
        }
        let public = self.settings().config.public_url.clone();
        browser::check_name(headers, self.address, public.as_deref())
            .map_err(Refusal::malformed)?;
        Ok(Person { name: "loopback".into(), is_local: true, is_admin: false })
    }

    /// The person who may change something.
    ///
    /// # Errors
    /// As [`Collector::person`] with the scope `admin`, and what [`browser::check_change`] refuses.
    pub fn admin(&self, headers: &HeaderMap) -> Result<Person, Refusal> {
        let person = self.person(headers, Scope::Admin)?;
        let public = self.settings().config.public_url.clone();
        browser::check_change(headers, public.as_deref()).map_err(Refusal::malformed)?;
        Ok(person)
    }

    /// The system that may send what `scope` says.
    ///
    /// # Errors
    /// As [`Collector::person`], and what [`browser::check_import`] refuses.
    pub fn system(&self, headers: &HeaderMap, scope: Scope) -> Result<Person, Refusal> {
        let person = self.person(headers, scope)?;
        let public = self.settings().config.public_url.clone();
        browser::check_import(headers, public.as_deref()).map_err(Refusal::malformed)?;
        Ok(person)
    }
}
