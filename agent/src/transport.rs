//! Carries what waits in the spool to the collector, and its acknowledgements back.
//!
//! What is sent next is decided by [`exchange`], which is pure; this page asks the spool, the clock
//! and the network on its behalf. It accepts only redacted parts, acknowledges only what the
//! collector called durable, and takes no orders: nothing an answer says can make the agent read,
//! run or change anything.

pub mod client;
pub mod exchange;
pub mod proof;
pub mod stranded;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use driftline_protocol::ids::{Digest, HostId, KeyId, SessionId, SourceName};
use driftline_protocol::limits;
use driftline_protocol::wire::{
    AgentStatus, Budget, EnrolAnswer, EnrolRequest, Heartbeat, HeartbeatAnswer, HostKind, Outcome,
    OutgoingParts, OutgoingReport, PROTOCOL_VERSION, PartsAnswer, ProblemCode, ReportAnswer,
    SectionVersion, Usage,
};
use tokio::sync::{Notify, watch};

use self::client::{Collector, RequestError, words};
use self::exchange::{Answer, Effect, Exchange, Moment, Next, Proof};
use self::proof::{is_token, secret_of};
use self::stranded::{Enrolled, STRANDED};
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
            exchange = exchange.without_secret();
        }
        let session = SessionId(session);
        let failing = false;
        Ok(Self { collector, spool, settings, session, exchange, watching, failing })
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
                    Some(ProblemCode::Clone) => (proof, done) = (Proof::Token, Enrolled::AsCopy),
                    _ => {
                        let error = chain(&error);
                        tracing::warn!(error, "enrolled, as far as this host knows");
                        return Ok((host, Enrolled::Unheard));
                    }
                },
            }
        }
        let proposed = self.proposed();
        self.send_enrolment(proof).await?;
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
        if self.failing && sent.is_ok() {
            tracing::info!("the collector answers again");
        }
        self.failing = sent.is_err();
        let answer = sent.unwrap_or_else(|error| failed(next, &error));
        let at = Moment { now_ms: clock::monotonic_ms(), chance: chance() };
        let effects = self.exchange.answered(answer, at);
        self.tell_stranded();
        for effect in effects {
            if let Err(error) = self.take(effect).await {
                // Nothing is lost: what was not kept is said again by the next answer.
                tracing::warn!(error = chain(&error), "cannot keep what the collector said");
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
            Next::Enrol(proof) => self.send_enrolment(proof).await,
            Next::Heartbeat => self.send_heartbeat().await,
            Next::Parts => self.send_parts().await,
            Next::Report => self.send_report().await,
        }
    }

    async fn send_enrolment(&mut self, proof: Proof) -> Result<Answer, TransportError> {
        let identity = self.spool.identity();
        let (secret, replaces, token) = match proof {
            Proof::Secret => (Some(self.secret()?), None, None),
            Proof::Token => (None, identity.host.clone(), identity.token.clone()),
        };
        let proposed = self.proposed();
        let known = identity.host.filter(|_| proof == Proof::Secret);
        if let Some(host) = &known {
            tracing::warn!(%host, "the collector no longer knows this host; enrolling again");
        }
        let request = EnrolRequest {
            version: PROTOCOL_VERSION,
            secret,
            replaces,
            proposed: match proof {
                Proof::Secret => proposed.clone(),
                Proof::Token => self.settings.proposed.clone(),
            },
            kind: self.settings.kind,
            incarnation: identity.incarnation,
            agent_version: env!("CARGO_PKG_VERSION").into(),
        };
        let answer: EnrolAnswer =
            self.collector.post("/api/v1/enrol", token.as_deref(), &request).await?;
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

    /// The name given before, so that two hosts that propose the same one do not change places.
    fn proposed(&self) -> HostId {
        self.spool.identity().host.unwrap_or_else(|| self.settings.proposed.clone())
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
        let answer: HeartbeatAnswer =
            self.collector.post("/api/v1/heartbeat", identity.token.as_deref(), &heartbeat).await?;
        if answer.epoch < identity.epoch {
            tracing::warn!("the collector was restored from a backup; sending what it lacks");
        }
        if answer.cloned {
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
        let _: PartsAnswer =
            self.collector.post("/api/v1/parts", token.as_deref(), &upload).await?;
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
        let mut answer: ReportAnswer =
            self.collector.post("/api/v1/report", token.as_deref(), &report).await?;
        for outcome in &mut answer.outcomes {
            if let Outcome::Refused { why } = outcome {
                *why = words(why);
            }
        }
        Ok(Answer::Report { sent: report.versions, answer })
    }

    async fn take(&mut self, effect: Effect) -> Result<(), SpoolError> {
        self.with_spool(move |spool| match effect {
            Effect::Acknowledge(source, generation) => spool.acknowledge(&source, generation),
            Effect::Reconcile(source, held) => {
                let reconciled = spool.reconcile(&source, &held)?;
                tracing::debug!(%source, ?reconciled, "reconciled with the collector");
                Ok(())
            }
            Effect::JumpAbove(generation) => {
                tracing::warn!(%generation, "the collector knows a later state of this host");
                spool.jump_above(generation)
            }
            Effect::SawEpoch(epoch) => spool.saw_epoch(epoch),
            Effect::SendWhole(source, why) => {
                tracing::warn!(%source, why, "the collector refused a version; sending all anew");
                spool.send_whole(&source)
            }
            Effect::GiveUp(source, generation, why) => {
                let expired = spool.expire(&source, generation)?;
                tracing::error!(%source, why, expired, "the collector refuses this section");
                Ok(())
            }
        })
        .await
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

/// As many of the oldest versions as make a body of a good size, and at least one.
fn bounded(versions: Vec<SectionVersion>) -> Vec<SectionVersion> {
    let mut bytes = 0;
    let mut bounded = Vec::new();
    for version in versions {
        let names = version.delta.set.keys().chain(&version.delta.unset);
        // A digest in JSON takes 64 digits with their quotes.
        bytes += 512 + names.map(|name| name.as_str().len() + 72).sum::<usize>();
        if bytes > limits::UPLOAD_BYTES && !bounded.is_empty() {
            break;
        }
        bounded.push(version);
    }
    bounded
}

/// The parts the versions name, each once, oldest first.
fn named(versions: &[SectionVersion]) -> Vec<Digest> {
    let mut seen = std::collections::BTreeSet::new();
    let digests = versions.iter().flat_map(|version| version.delta.set.values().copied());
    digests.filter(|digest| seen.insert(*digest)).collect()
}

/// How the collector refused, if it did.
fn refusal(error: &TransportError) -> Option<ProblemCode> {
    if let TransportError::Request(RequestError::Refused { problem, .. }) = error {
        return Some(problem.code);
    }
    None
}

/// What a failed request means for the exchange, logged once.
fn failed(next: Next, error: &TransportError) -> Answer {
    tracing::warn!(request = next.as_str(), error = chain(error), "request failed");
    match error {
        TransportError::Request(RequestError::Refused { problem, retry_after_ms }) => {
            Answer::Refused { code: problem.code, retry_after_ms: *retry_after_ms }
        }
        TransportError::NoSecret
        | TransportError::Secret { .. }
        | TransportError::OpenSecret(_) => {
            Answer::Refused { code: ProblemCode::Unauthorised, retry_after_ms: None }
        }
        TransportError::Request(_) | TransportError::Spool(_) | TransportError::Random(_) => {
            Answer::Unreachable
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
