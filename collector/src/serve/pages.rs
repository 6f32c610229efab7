//! What Prometheus and load balancers ask, and what every request passes: counting, and panics made
//! answers.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use driftline_protocol::wire::ProblemCode;
use jiff::Timestamp;
use prometheus::core::Collector as _;

use super::answer::Refusal;
use super::state::Collector;
use crate::ingest::FleetView;
use crate::metrics::{self, View};
use crate::store::Scope;

type Shared = State<Arc<Collector>>;

/// `GET /metrics`
pub async fn metrics(
    State(collector): Shared,
    headers: HeaderMap,
) -> Result<Response<Body>, Refusal> {
    collector.person(&headers, Scope::Metrics)?;
    let fleet = collector.writer.run(|ingest, _| ingest.view(Timestamp::now())).await?;
    let text = tokio::task::spawn_blocking(move || scrape(&collector, fleet)).await;
    let text = text.map_err(|_| Refusal::failed())??;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

fn scrape(collector: &Collector, fleet: FleetView) -> Result<String, Refusal> {
    let settings = collector.settings();
    let (reload_ok, reloaded_at) = collector.reload_state();
    let view = View {
        now: Timestamp::now(),
        config: &settings.config,
        url: &collector.url(),
        fleet,
        open: collector.read.open_counts()?,
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

/// `GET /-/healthy`: the process answers.
pub async fn healthy() -> &'static str {
    "healthy\n"
}

/// `GET /-/ready`: the store can be read and the writer lives.
pub async fn ready(State(collector): Shared) -> Result<&'static str, Refusal> {
    collector.writer.run(|_, _| ()).await?;
    Ok("ready\n")
}

/// Every other address.
pub async fn nothing() -> Refusal {
    Refusal::not_found("page under this address")
}

/// Counts requests and refusals; a panic of a handler becomes an answer and a count.
pub async fn count(State(collector): Shared, request: Request, next: Next) -> Response<Body> {
    collector.live.count_request(route(request.uri().path()));
    // A task of its own, so that a panic ends the task and not the connection.
    let answer = tokio::spawn(next.run(request)).await;
    let response = answer.unwrap_or_else(|error| {
        if error.is_panic() {
            collector.live.count_panic("request");
            tracing::error!("a request broke the collector; this is a bug, please report it");
        }
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
