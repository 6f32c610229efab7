//! What agents ask: enrol, heartbeat, parts, report.
//!
//! Who speaks is settled from the headers before a body is read. The messages are decided by the
//! writer; here they are only read, bounded and counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Response};
use driftline_protocol::ids::HostId;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::{
    EnrolAnswer, EnrolRequest, Heartbeat, PROTOCOL_VERSION, PartsAnswer, PartsUpload, ProblemCode,
    Report,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::answer::{Refusal, jitter, json};
use super::body::{Class, Received, off_thread};
use super::state::Collector;
use crate::ingest::{Context, Decided, Ingest, Proof, check_parts, check_report};
use crate::metrics::enrolments::{Asker, Why};
use crate::store::{EventKind, EventRecord, Scope, Step};

/// How long agents shall keep reports back under load, in milliseconds, at least and at most.
const DEFER_MS: (u64, u32) = (5_000, 25_000);

type Answer = Result<Response<Body>, Refusal>;
type Shared = State<Arc<Collector>>;

/// `POST /api/v1/enrol`
pub async fn enrol(State(collector): Shared, request: Request) -> Answer {
    let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|from| from.0.ip());
    let mut asker = Asker { host: None, from };
    match try_enrol(&collector, request, &mut asker).await {
        Ok(answer) => {
            asker.host.iter().for_each(|host| collector.live.enrolments.enrolled(host));
            Ok(json(&answer))
        }
        Err((why, refusal)) => {
            tell_refused(&collector, why, asker);
            Err(refusal)
        }
    }
}

/// What an enrolment came to; who asked is known better with each step.
async fn try_enrol(
    collector: &Collector,
    request: Request,
    asker: &mut Asker,
) -> Result<EnrolAnswer, (Why, Refusal)> {
    let of_code = |refusal: Refusal| (Why::of_code(refusal.code()), refusal);
    let (head, body) = request.into_parts();
    let received = collector.budget.read(Class::Enrol, &head.headers, body).await;
    let request: EnrolRequest = parse(&received.map_err(of_code)?).map_err(of_code)?;
    asker.host = Some(request.proposed.clone());
    let proof = prove(collector, &head.headers, &request)?;
    let own_name = request.replaces.is_none().then(|| request.proposed.clone());
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| of_code(Refusal::failed()))?;
    let answer = collector
        .writer
        .ask(move |ingest, context| ingest.enrol(context, &request, (proof, random)));
    let answer = answer.await.map_err(|error| (Why::of_write(&error), error.into()))?;
    if let Some(own_name) = own_name.filter(|own| *own != answer.host) {
        // No more of these than hosts may enrol.
        tracing::warn!(
            host = %answer.host, %own_name,
            "a host was enrolled under another name, for its own is another host's; where that was \
             the same machine, set up anew, `driftline retire` takes the old one out of service"
        );
    }
    Ok(answer)
}

/// Counts a refused enrolment, and logs it as often as that is worth a line.
fn tell_refused(collector: &Collector, why: Why, asker: Asker) {
    if mutant::active(Mutant::RefusedEnrolmentsAreUntold) {
        return;
    }
    let host = asker.host.as_ref().map(ToString::to_string).unwrap_or_default();
    let from = asker.from.map(|from| from.to_string()).unwrap_or_default();
    let (reason, cure) = (why.as_str(), why.cure());
    if let Some(many) = collector.live.enrolments.refused(why, asker, Timestamp::now()) {
        tracing::warn!(reason, many, host, from, cure, "an enrolment was refused");
    }
}

/// What allows this enrolment: the secret, a token of scope `enrol`, or the token of the original
/// of a copy.
fn prove(
    collector: &Collector,
    headers: &HeaderMap,
    request: &EnrolRequest,
) -> Result<Proof, (Why, Refusal)> {
    if let Some(host) = collector.keys.agent(headers) {
        return Ok(Proof::Token(host));
    }
    let now = Timestamp::now();
    let given = request.secret.as_deref();
    let secret = collector.settings().secret;
    let by_secret = secret.as_ref().zip(given).is_some_and(|(own, given)| own.allows(given, now));
    let by_token = || given.and_then(|given| collector.keys.allows(given, Scope::Enrol, now));
    let by_header = || collector.keys.person(headers, Scope::Enrol, now);
    if by_secret || by_token().is_some() || by_header().is_some() {
        return Ok(Proof::Secret);
    }
    let Some(given) = given else { return Err((Why::NoSecret, Refusal::unauthorised())) };
    // Only the log and who may read it are told which: the answer says nothing new to its sender.
    let ended = secret.as_ref().is_some_and(|own| own.is(given));
    let why = match secret {
        _ if ended || collector.keys.enrolled_once(given, now) => Why::Expired,
        Some(_) => Why::WrongSecret,
        None => Why::NoneSet,
    };
    // The commonest mistake of an installation; it tells nothing the sender does not know.
    let detail = "the enrolment secret is not the collector's";
    Err((why, Refusal::new(ProblemCode::Unauthorised, detail)))
}

/// `POST /api/v1/heartbeat`
pub async fn heartbeat(State(collector): Shared, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let token_of = collector.agent(&head.headers)?;
    let received = collector.budget.read(Class::Small, &head.headers, body).await?;
    let heartbeat: Heartbeat = parse(&received)?;
    let caller = sender(&collector, token_of, &heartbeat.host).await?;
    let said = Arc::new((caller, heartbeat));
    let routine = Arc::clone(&said);
    let routine = move |ingest: &mut Ingest, context: Context<'_>| {
        ingest.routine_heartbeat(context, &routine.0, &routine.1)
    };
    let mut answer = match collector.writer.at_once(routine).await {
        Some(answer) => answer,
        None => {
            let decide = move |ingest: &mut Ingest, context: Context<'_>| {
                ingest.heartbeat(context, &said.0, &said.1)
            };
            collector.writer.ask(decide).await?
        }
    };
    if collector.budget.is_tight() && answer.defer_ms.is_none() {
        let (least, more) = DEFER_MS;
        answer.defer_ms = Some(least + u64::from(jitter(more)));
    }
    Ok(json(&answer))
}

/// `POST /api/v1/parts`
pub async fn parts(State(collector): Shared, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let caller = collector.agent(&head.headers)?;
    let received = collector.budget.read(Class::Bulk, &head.headers, body).await?;
    let (checked, _share) = checked(received, |upload: PartsUpload| {
        is_known_version(upload.version)?;
        Ok(check_parts(upload)?)
    })
    .await?;
    let answer = collector.writer.ask(move |ingest, context| {
        ingest.admit(&caller)?;
        let digests: Vec<_> = checked.iter().map(|part| *part.digest()).collect();
        let new = context.store.missing(&digests)?.len() as u64;
        Ok(Decided { answer: PartsAnswer { new }, parts: checked, steps: Vec::new() })
    });
    Ok(json(&answer.await?))
}

/// `POST /api/v1/report`
pub async fn report(State(collector): Shared, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let token_of = collector.agent(&head.headers)?;
    let received = collector.budget.read(Class::Bulk, &head.headers, body).await?;
    let began = Instant::now();
    let (store, own) = (Arc::clone(&collector.read), token_of.clone());
    let (checked, _share) = checked(received, move |report: Report| {
        is_known_version(report.version)?;
        let checked = check_report(report)?;
        Ok(if checked.report.host == own { checked.foreseeing(&*store) } else { checked })
    })
    .await?;
    // Held until the answer is there, so that they are let go here and not by the writer.
    let _held = (checked.foresight.clone(), checked.report.parts.clone());
    let caller = sender(&collector, token_of, &checked.report.host).await?;
    let answer =
        collector.writer.ask(move |ingest, context| ingest.report(context, &caller, checked));
    let answer = answer.await?;
    collector.ingest_duration.observe(began.elapsed().as_secs_f64());
    Ok(json(&answer))
}

/// Reads and checks a large message, off this thread when it is large; its share of the budget
/// stays taken.
pub(crate) async fn checked<M: DeserializeOwned, T: Send + 'static>(
    received: Received,
    check: impl FnOnce(M) -> Result<T, Refusal> + Send + 'static,
) -> Result<(T, Received), Refusal> {
    let size = received.bytes.len();
    off_thread(size, move || {
        let checked = parse(&received).and_then(check)?;
        // The text is no longer needed; its share still stands for what was read from it.
        Ok((checked, received.emptied()))
    })
    .await?
}

fn parse<T: DeserializeOwned>(received: &Received) -> Result<T, Refusal> {
    // The error names line and column, never the content.
    serde_json::from_slice(&received.bytes).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        Refusal::malformed(format!("the body is not the message it should be, at {place}"))
    })
}

/// Refuses a message of a newer protocol.
pub(crate) fn is_known_version(version: u32) -> Result<(), Refusal> {
    if version <= PROTOCOL_VERSION {
        return Ok(());
    }
    let detail =
        format!("protocol {version} is newer than {PROTOCOL_VERSION}; upgrade the collector first");
    Err(Refusal::new(ProblemCode::Version, detail))
}

/// The host whose token it is. Refuses a message that names another, and notes it: one of the two
/// was stolen.
async fn sender(collector: &Collector, caller: HostId, named: &HostId) -> Result<HostId, Refusal> {
    if caller == *named || mutant::active(Mutant::BelieveTheBodyNotTheToken) {
        return Ok(named.clone());
    }
    tracing::warn!(token_of = %caller, %named, "a message names another host than its token");
    if collector.live.may_tell_forgery(&caller, Timestamp::now()) {
        let detail = format!("a message with the token of {caller} named {named}");
        let host = Some(caller);
        let note = move |_: &mut _, context: Context<'_>| {
            let at = context.now;
            let event = EventRecord { at, host, kind: EventKind::Refused, detail };
            Ok(Decided { answer: (), parts: Vec::new(), steps: vec![Step::Event(event)] })
        };
        // The refusal stands whether or not it could be written down.
        if let Err(error) = collector.writer.ask(note).await {
            tracing::warn!(%error, "a forged message could not be noted");
        }
    }
    Err(Refusal::unauthorised())
}
