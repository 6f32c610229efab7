//! What Prometheus and load balancers ask, and what every request passes: counting, and panics made
//! answers.

use std::future::{Future as _, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, Uri, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use driftline_protocol::wire::ProblemCode;
use jiff::Timestamp;
use prometheus::core::Collector as _;

use super::answer::Refusal;
use super::portal;
use super::state::Collector;
use crate::analysis::probes::{PROBES, Probe};
use crate::auth::EnrolmentSecret;
use crate::blindness::blind;
use crate::ingest::{FleetView, Liveness};
use crate::metrics::{self, View};
use crate::owned::Owned;
use crate::permits::Permits;
use crate::portal::{PageError, Query};
use crate::probed;
use crate::store::Scope;
use crate::writer::Reads;

type Shared = State<Arc<Collector>>;

/// `GET /metrics`
pub async fn metrics(
    State(collector): Shared,
    headers: HeaderMap,
) -> Result<Response<Body>, Refusal> {
    collector.person(&headers, Scope::Metrics)?;
    let fleet = collector.fleet().await?;
    let text = tokio::task::spawn_blocking(move || scrape(&collector, fleet)).await;
    let text = text.map_err(|_| Refusal::failed())??;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

fn scrape(collector: &Collector, fleet: FleetView) -> Result<String, Refusal> {
    let settings = collector.settings();
    let (reload_ok, reloaded_at) = collector.reload_state();
    let now = Timestamp::now();
    let mut permits = Permits::at(&*collector.read, &settings.standards, now)?;
    let (open, excepted) = permits.split(collector.read.open_counts()?)?;
    let reader = (&*collector.read as &dyn Reads, &*settings.standards, now);
    let owned = Owned::of(reader, &fleet, (&mut permits, &open))?;
    let correlated = collector.correlated.get();
    let view = View {
        correlated: correlated.as_deref(),
        levels: &collector.correlated.levels(),
        blind: blind(&*collector.read, now)?,
        feeds: collector.read.case_feeds()?,
        probes: probes(collector, &fleet)?,
        request_readings: collector.request_readings.all(),
        tokens: collector.read.tokens()?,
        secret_ends: settings.secret.as_ref().map(EnrolmentSecret::ends),
        now,
        config: &settings.config,
        url: &collector.url(),
        fleet,
        open,
        excepted,
        owned,
        totals: collector.read.totals()?,
        live: &collector.live,
        in_flight_bytes: collector.budget.in_use(),
        reload_ok,
        reloaded_at,
    };
    metrics::render(&view, collector.ingest_duration.collect()).map_err(|error| {
        tracing::error!(%error, "rendering the metrics failed");
        Refusal::failed()
    })
}

/// What the probes of hosts that speak found last; what a silent one found is old.
fn probes(collector: &Collector, fleet: &FleetView) -> Result<Vec<Probe>, Refusal> {
    let settings = collector.settings();
    let now = Timestamp::now();
    let mut all = Vec::new();
    for (id, host) in &fleet.hosts {
        let asks = host.sources.keys().any(|source| source.as_str() == PROBES);
        if asks && metrics::liveness(host, &settings.config, now) == Liveness::Alive {
            all.extend(probed::of_host(&*collector.read, id)?);
        }
    }
    Ok(all)
}

/// `GET /-/healthy`: the process answers.
pub async fn healthy() -> &'static str {
    "healthy\n"
}

/// `GET /-/ready`: the store can be read and the writer lives. Waits for neither, so that a busy
/// collector is not taken for a broken one.
pub async fn ready(State(collector): Shared) -> Result<&'static str, Refusal> {
    if !collector.writer.is_alive() {
        return Err(Refusal::failed());
    }
    let read = tokio::task::spawn_blocking(move || collector.read.tokens().map(drop)).await;
    read.map_err(|_| Refusal::failed())??;
    Ok("ready\n")
}

/// Every other address: a page for people, a problem for programs.
pub async fn nothing(headers: HeaderMap, uri: Uri) -> Response<Body> {
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let by_a_person = accepted.is_some_and(|accepted| accepted.contains("text/html"));
    if by_a_person && !uri.path().starts_with("/api/") {
        let mut page =
            portal::refused(&PageError::NotFound { what: "page" }, ("/", &Query::default()));
        page.extensions_mut().insert(ProblemCode::NotFound);
        return page;
    }
    Refusal::not_found("page under this address").into_response()
}

/// Counts requests and refusals; a panic of a handler becomes an answer and a count.
pub async fn count(State(collector): Shared, request: Request, next: Next) -> Response<Body> {
    collector.live.count_request(route(request.uri().path()));
    let mut answer = Box::pin(next.run(request));
    // A panic ends the request and not the connection; a task of its own would cost more than most
    // requests.
    let answer = poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context)));
        polled.map_or_else(|_| Poll::Ready(None), |polled| polled.map(Some))
    });
    let response = answer.await.unwrap_or_else(|| {
        collector.live.count_panic("request");
        tracing::error!("a request broke the collector; this is a bug, please report it");
        Refusal::failed().into_response()
    });
    if let Some(code) = response.extensions().get::<ProblemCode>() {
        collector.live.count_refusal(*code);
    }
    response
}

fn route(path: &str) -> &'static str {
    match path {
        "/api/v1/enrol" => "enrol",
        "/api/v1/heartbeat" => "heartbeat",
        "/api/v1/parts" => "parts",
        "/api/v1/report" => "report",
        "/metrics" => "metrics",
        "/-/healthy" | "/-/ready" => "health",
        _ if path.starts_with("/api/") => "api",
        _ => "portal",
    }
}
