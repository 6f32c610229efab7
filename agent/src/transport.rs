//! Carries what waits in the spool to the collector, and its acknowledgements back.
//!
//! What is sent next is decided by [`exchange`], which is pure; this page asks the spool, the clock
//! and the network on its behalf. It accepts only redacted parts, acknowledges only what the
//! collector called durable, and takes no orders: nothing an answer says can make the agent read,
//! run or change anything.

mod batch;
pub mod client;
pub mod exchange;
pub mod proof;
mod refusal;
pub mod stranded;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use driftline_protocol::ids::{HostId, KeyId, SessionId, SourceName};
use driftline_protocol::limits;
use driftline_protocol::wire::{
    AgentStatus, Budget, EnrolAnswer, EnrolRequest, Heartbeat, HeartbeatAnswer, HostKind, Outcome,
    OutgoingParts, OutgoingReport, PROTOCOL_VERSION, PartsAnswer, ProblemCode, ReportAnswer, Usage,
};
use tokio::sync::{Notify, watch};

use self::batch::{answer_bytes, bounded, named};
use self::client::{Collector, RequestError, words};
use self::exchange::{Answer, Effect, Exchange, Moment, Next, Proof};
use self::proof::{is_token, secret_of};
use self::refusal::{meaning, refusal};
use self::stranded::{Enrolled, STRANDED, is_form_of};
use self::told::Told;
use crate::clock;
use crate::spool::{Deliver, SpoolError};

/// Parts that travel inside a report, at most this many bytes: a saved file is then one round trip.
const INLINE_BYTES: usize = 256 * 1024;

/// More parts than this are not sent unasked: the collector may hold most of them from other hosts.
const INLINE_PARTS: usize = 32;

/// Who the agent says it is, and how it enrols.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the host calls itself.
    pub proposed: HostId,
    /// What kind of host it says it is.
    pub kind: HostKind,
    /// Holds the shared enrolment secret.
    pub secret_file: Option<PathBuf>,
    /// How often a heartbeat is sent until the collector says otherwise, in milliseconds.
    pub heartbeat_ms: u64,
    /// The key fingerprints are made under.
    pub key: KeyId,
    /// Whether that key is the site's.
    pub site_key: bool,
    /// Becomes whether the agent waits for somebody to do what [`STRANDED`] says.
    pub stranded: Arc<AtomicBool>,
}

/// Why the transport cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The spool failed.
    #[error("keeping what the collector said")]
    Spool(#[from] SpoolError),
    /// The enrolment secret cannot be read.
    #[error("reading the enrolment secret from {}", path.display())]
    Secret {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Others could read the enrolment secret.
    #[error("{} can be read by others; do: chmod 600 {}", .0.display(), .0.display())]
    OpenSecret(PathBuf),
    /// There is no enrolment secret.
    #[error("the collector does not know this host, and `enrolment_secret_file` is not set")]
    NoSecret,
    /// The collector did not do what was asked.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The operating system gave no random bytes.
    #[error("asking for random bytes: {0}")]
    Random(String),
}

/// How the agent itself fares, beside what its spool says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wellbeing {
    /// Directories watched for changes.
    pub watched: u64,
    /// Whether the kernel refused more watches.
    pub watch_limited: bool,
    /// How often a source was made anew.
    pub source_restarts: u64,
    /// Sources that hang in a reading that was given up.
    pub sources_stuck: u64,
    /// Whether the configuration on disk could not be used.
    pub config_refused: bool,
    /// Sources that were stopped, and which budget they passed.
    pub over_budget: BTreeMap<SourceName, Budget>,
    /// What the agent itself uses.
    pub usage: Usage,
}

/// Tells the transport how the agent fares, for the heartbeat.
pub type Watching = Arc<dyn Fn() -> Wellbeing + Send + Sync>;

/// One agent's connection to its collector.
pub struct Transport<D> {
    collector: Collector,
    spool: D,
    settings: Settings,
    session: SessionId,
    exchange: Exchange,
    watching: Watching,
    /// Whether the last request failed, so that its end is told once.
    failing: bool,
    told: Told,
}

impl<D: Deliver + Clone + Send + 'static> Transport<D> {
    /// A transport from `spool` to `collector`.
    ///
    /// # Errors
    /// [`TransportError::Random`].
    pub fn new(
        collector: Collector,
        spool: D,
        settings: Settings,
        watching: Watching,
    ) -> Result<Self, TransportError> {
        let mut session = [0; 16];
        getrandom::fill(&mut session).map_err(|error| TransportError::Random(error.to_string()))?;
        let identity = spool.identity();
        let needed = identity.token.is_none().then_some(Proof::Secret);
        let mut exchange = Exchange::new(needed, settings.heartbeat_ms, clock::monotonic_ms());
        if collector.is_plain() {
            exchange = exchange.keeping_identity();
        }
        let session = SessionId(session);
        let (failing, told) = (false, Told::default());
        Ok(Self { collector, spool, settings, session, exchange, watching, failing, told })
    }

    /// Sends until `stop` says so. `news` is notified whenever a version has been added.
    pub async fn run(mut self, news: Arc<Notify>, mut stop: watch::Receiver<bool>) {
        loop {
            let turn = async {
                let step = self.turn().await;
                if let Some(rest) = step {
                    tokio::select! {
                        () = tokio::time::sleep(rest) => (),
                        () = news.notified() => (),
                    }
                }
            };
            tokio::select! {
                () = turn => (),
                // A sender that is gone means the same.
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Enrols this host if it is not, if the collector does not know it any more, or if it says
    /// that the host is a copy of another; gives its name and what was done.
    ///
    /// # Errors
    /// See [`TransportError`].
    pub async fn enrol(&mut self) -> Result<(HostId, Enrolled), TransportError> {
        let (mut proof, mut done) = (Proof::Secret, Enrolled::Anew);
        if let Some(host) = self.spool.identity().host {
            match self.send_heartbeat().await {
                Ok(_) => return Ok((host, Enrolled::Known)),
                Err(error) => match refusal(&error) {
                    Some(ProblemCode::Unauthorised) => {}
                    Some(ProblemCode::Clone) if self.collector.is_plain() => {
                        return Ok((host, Enrolled::CalledCopy));
                    }
                    Some(ProblemCode::Clone) => (proof, done) = (Proof::Token, Enrolled::AsCopy),
                    _ => {
                        let error = chain(&error);
                        tracing::warn!(error, "enrolled, as far as this host knows");
                        return Ok((host, Enrolled::Unheard));
                    }
                },
            }
        }
        let known = self.spool.identity().host;
        let own = known.filter(|known| is_form_of(known, &self.settings.proposed));
        let proposed = own.clone().unwrap_or_else(|| self.settings.proposed.clone());
        self.send_enrolment(proof, own).await?;
        let host = self.spool.identity().host.ok_or(TransportError::NoSecret)?;
        if done == Enrolled::Anew && host != proposed {
            done = Enrolled::NameTaken;
        }
        Ok((host, done))
    }

    /// One request and its answer, or the time to rest.
    async fn turn(&mut self) -> Option<Duration> {
        let status = self.with_spool(|spool| spool.status()).await;
        let waiting = match &status {
            Ok(status) => status.sections.values().map(|section| section.account.waiting).sum(),
            Err(_) => 0,
        };
        let now = clock::monotonic_ms();
        let next = self.exchange.next(now, waiting);
        if let Next::Rest { until_ms } = next {
            return Some(Duration::from_millis(until_ms.saturating_sub(now).max(1)));
        }
        let sent = self.send(next).await;
        if self.failing && sent.is_ok() && self.told.is_due("answers again", "") {
            tracing::info!("the collector answers again");
        }
        self.failing = sent.is_err();
        let answer = sent.unwrap_or_else(|error| self.failed(next, &error));
        let at = Moment { now_ms: clock::monotonic_ms(), chance: chance() };
        let effects = self.exchange.answered(answer, at);
        self.tell_stranded();
        for effect in effects {
            if let Err(error) = self.take(effect).await {
                // Nothing is lost: what was not kept is said again by the next answer.
                if self.told.is_due("cannot keep", "") {
                    tracing::warn!(error = chain(&error), "cannot keep what the collector said");
                }
            }
        }
        None
    }

    /// Says, once, that only a person can go on.
    fn tell_stranded(&mut self) {
        let stranded = self.exchange.stranded();
        if !self.settings.stranded.swap(stranded, Ordering::Relaxed) && stranded {
            tracing::error!("{STRANDED}");
        }
    }

    async fn send(&mut self, next: Next) -> Result<Answer, TransportError> {
        match next {
            Next::Rest { .. } => Ok(Answer::Nothing),
            Next::Enrol(proof) => {
                let known = self.spool.identity().host;
                self.send_enrolment(proof, known).await
            }
            Next::Heartbeat => self.send_heartbeat().await,
            Next::Parts => self.send_parts().await,
            Next::Report => self.send_report().await,
        }
    }

    /// Asks for an identity, with the name `known` where the secret proves it and there is one.
    async fn send_enrolment(
        &mut self,
        proof: Proof,
        known: Option<HostId>,
    ) -> Result<Answer, TransportError> {
        let identity = self.spool.identity();
        let (secret, replaces, token) = match proof {
            Proof::Secret => (Some(self.secret()?), None, None),
            Proof::Token => (None, identity.host.clone(), identity.token.clone()),
        };
        let known = known.filter(|_| proof == Proof::Secret);
        if let Some(host) = &known {
            tracing::warn!(%host, "the collector no longer knows this host; enrolling again");
        }
        // The name given before, so that two hosts that propose the same one do not change places.
        let proposed = known.unwrap_or_else(|| self.settings.proposed.clone());
        let request = EnrolRequest {
            version: PROTOCOL_VERSION,
            secret,
            replaces,
            proposed: proposed.clone(),
            kind: self.settings.kind,
            incarnation: identity.incarnation,
            agent_version: env!("CARGO_PKG_VERSION").into(),
        };
        let path = "/api/v1/enrol";
        let answer: EnrolAnswer =
            self.collector.post((path, token.as_deref()), &request, limits::ANSWER_BYTES).await?;
        let EnrolAnswer { host, token, epoch } = answer;
        if !is_token(&token) {
            return Err(RequestError::Answer("it holds a token that no request can carry").into());
        }
        if proof == Proof::Secret && host != proposed {
            tracing::warn!(%host, %proposed, "{}", Enrolled::NameTaken.as_str());
        } else {
            tracing::info!(%host, "enrolled");
        }
        self.with_spool(move |spool| spool.enrolled(host, token, epoch)).await?;
        Ok(Answer::Enrolled)
    }

    fn secret(&self) -> Result<String, TransportError> {
        let path = self.settings.secret_file.as_deref().ok_or(TransportError::NoSecret)?;
        secret_of(path)
    }

    async fn send_heartbeat(&mut self) -> Result<Answer, TransportError> {
        let status = self.with_spool(|spool| spool.status()).await?;
        let identity = self.spool.identity();
        let host = identity.host.clone().ok_or(TransportError::NoSecret)?;
        let wellbeing = (self.watching)();
        let generation = status.generation;
        let heartbeat = Heartbeat {
            version: PROTOCOL_VERSION,
            host,
            incarnation: identity.incarnation,
            session: self.session,
            generation,
            wall: clock::wall(),
            monotonic_ms: clock::monotonic_ms(),
            epoch: identity.epoch,
            key: self.settings.key,
            site_key: self.settings.site_key,
            sections: status.sections,
            status: AgentStatus {
                version: env!("CARGO_PKG_VERSION").into(),
                watched: wellbeing.watched,
                watch_limited: wellbeing.watch_limited,
                spool_bytes: status.bytes,
                spool_limit_bytes: status.limit_bytes,
                spool_repairs: status.repairs,
                source_restarts: wellbeing.source_restarts,
                sources_stuck: wellbeing.sources_stuck,
                config_refused: wellbeing.config_refused,
                over_budget: wellbeing.over_budget,
                usage: wellbeing.usage,
            },
        };
        let (path, token) = ("/api/v1/heartbeat", identity.token.as_deref());
        let mut answer: HeartbeatAnswer =
            self.collector.post((path, token), &heartbeat, limits::ANSWER_BYTES).await?;
        // Each is a task and a look into the spool.
        answer.want.retain(|source, _| heartbeat.sections.contains_key(source));
        if answer.epoch < identity.epoch && self.told.is_due("restored", "") {
            tracing::warn!("the collector was restored from a backup; sending what it lacks");
        }
        if answer.cloned && self.told.is_due("cloned", "") {
            tracing::warn!("another machine speaks with a copy of this host's identity");
        }
        Ok(Answer::Heartbeat { generation, answer })
    }

    async fn send_parts(&mut self) -> Result<Answer, TransportError> {
        let lacking = self.exchange.lacking().to_vec();
        let read = self.with_spool(move |spool| spool.parts(&lacking, limits::UPLOAD_BYTES)).await;
        let parts = match read {
            Err(SpoolError::PartMissing(_)) => return Ok(Answer::Nothing),
            other => other?,
        };
        let count = parts.len();
        let upload = OutgoingParts { version: PROTOCOL_VERSION, parts };
        let token = self.spool.identity().token;
        let (path, bound) = ("/api/v1/parts", limits::ANSWER_BYTES);
        let _: PartsAnswer = self.collector.post((path, token.as_deref()), &upload, bound).await?;
        Ok(Answer::Parts(count))
    }

    async fn send_report(&mut self) -> Result<Answer, TransportError> {
        let read = self
            .with_spool(|spool| {
                let versions = bounded(spool.waiting(limits::VERSIONS_PER_REPORT)?);
                let digests = named(&versions);
                let few = digests.len() <= INLINE_PARTS;
                let parts = if few { spool.parts(&digests, INLINE_BYTES)? } else { Vec::new() };
                Ok((versions, parts))
            })
            .await;
        let (versions, parts) = match read {
            Err(SpoolError::PartMissing(_)) => return Ok(Answer::Nothing),
            other => other?,
        };
        let identity = self.spool.identity();
        let Some(host) = identity.host.filter(|_| !versions.is_empty()) else {
            return Ok(Answer::Nothing);
        };
        let report = OutgoingReport {
            version: PROTOCOL_VERSION,
            host,
            incarnation: identity.incarnation,
            session: self.session,
            monotonic_ms: clock::monotonic_ms(),
            wall: clock::wall(),
            versions,
            parts,
        };
        let token = identity.token;
        let (path, bound) = ("/api/v1/report", answer_bytes(&report.versions));
        let mut answer: ReportAnswer =
            self.collector.post((path, token.as_deref()), &report, bound).await?;
        for outcome in &mut answer.outcomes {
            if let Outcome::Refused { why } = outcome {
                *why = words(why);
            }
        }
        Ok(Answer::Report { sent: report.versions, answer })
    }

    async fn take(&mut self, effect: Effect) -> Result<(), SpoolError> {
        self.tell(&effect);
        self.with_spool(move |spool| match effect {
            Effect::Acknowledge(source, generation) => spool.acknowledge(&source, generation),
            Effect::Reconcile(source, held) => {
                let reconciled = spool.reconcile(&source, &held)?;
                tracing::debug!(%source, ?reconciled, "reconciled with the collector");
                Ok(())
            }
            Effect::JumpAbove(generation) => spool.jump_above(generation),
            Effect::SawEpoch(epoch) => spool.saw_epoch(epoch),
            Effect::SendWhole(source, _) => spool.send_whole(&source),
            Effect::GiveUp(source, generation, _) => {
                let expired = spool.expire(&source, generation)?;
                tracing::debug!(%source, expired, "versions go nowhere");
                Ok(())
            }
        })
        .await
    }

    /// Tells people what they should know of an answer.
    fn tell(&mut self, effect: &Effect) {
        match effect {
            Effect::JumpAbove(generation) => {
                if self.told.is_due("later state", "") {
                    tracing::warn!(%generation, "the collector knows a later state of this host");
                }
            }
            Effect::SendWhole(source, why) => {
                if self.told.is_due("whole", source.as_str()) {
                    tracing::warn!(%source, why, "the collector refused a version; sending all");
                }
            }
            Effect::GiveUp(source, _, why) => {
                if self.told.is_due("given up", source.as_str()) {
                    tracing::error!(%source, why, "the collector refuses this section");
                }
            }
            Effect::Acknowledge(..) | Effect::Reconcile(..) | Effect::SawEpoch(_) => (),
        }
    }

    /// What a failed request means for the exchange, told.
    fn failed(&mut self, next: Next, error: &TransportError) -> Answer {
        let code = refusal(error).map_or("", |code| code.as_str());
        if self.told.is_due(next.as_str(), code) {
            tracing::warn!(request = next.as_str(), error = chain(error), "request failed");
        }
        meaning(error)
    }

    /// Runs `work` on a thread that may block, since the disk may be slow.
    async fn with_spool<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut D) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let mut spool = self.spool.clone();
        match tokio::task::spawn_blocking(move || work(&mut spool)).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(SpoolError::NotOpen),
        }
    }
}

/// The error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A random number for jitter. Without one every wait is its longest, which is safe.
fn chance() -> u64 {
    let mut bytes = [0xff; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => u64::MAX - 1,
    }
}
