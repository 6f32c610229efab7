//! Serves the portal's pages: who may see them, on which thread they are drawn, under which
//! headers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use driftline_protocol::ids::HostId;
use driftline_protocol::wire::AgentStatus;
use jiff::{SignedDuration, Timestamp};

use super::answer::Refusal;
use super::forms;
use super::state::Collector;
use crate::api::suspects;
use crate::portal::{self, Frame, PageError, Query};
use crate::store::Scope;

type Shared = State<Arc<Collector>>;

/// The routes of the portal; which pages there are is said by [`portal::PAGES`].
pub(super) fn router() -> Router<Arc<Collector>> {
    let files = Router::new()
        .route(portal::STYLE_PATH, get(style))
        .route(portal::ICON_PATH, get(icon))
        .route("/suspects/{number}", post(forms::say))
        .route("/findings/{number}", post(forms::do_about))
        .route(forms::EXCEPTIONS, post(forms::except))
        .route("/baselines/{subject}", post(forms::remove_baseline));
    portal::PAGES.iter().fold(files, |router, path| router.route(path, get(page)))
}

async fn style() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, portal::STYLE)
}

async fn icon() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, portal::ICON)
}

async fn page(State(collector): Shared, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    collector.person(&headers, Scope::Read)?;
    let settings = collector.settings();
    let frame = frame(&collector, uri.path()).await?;
    let many = ["/cases", "/outliers", "/rollouts", "/baselines/"];
    let counts = many.iter().any(|page| uri.path().starts_with(page));
    let turn = if counts { suspects::COUNTING.acquire().await.ok() } else { None };
    let drawn = tokio::task::spawn_blocking(move || {
        let query = Query::parse(uri.query().unwrap_or_default());
        let source = (&*collector.read, &*settings.standards);
        let drawn = portal::respond(source, &frame, uri.path(), &query);
        match drawn {
            Ok(html) => (StatusCode::OK, security(), Html(html)).into_response(),
            Err(error) => refused(&error, (uri.path(), &query)),
        }
    });
    let drawn = drawn.await;
    drop(turn);
    drawn.map_err(|_| Refusal::failed())
}

/// What the page at `path` knows besides the store.
pub(super) async fn frame(collector: &Collector, path: &str) -> Result<Frame, Refusal> {
    let config = Arc::clone(&collector.settings().config);
    Ok(Frame {
        now: Timestamp::now(),
        stale_after: signed(config.stale()),
        dormant_after: signed(config.dormant()),
        config,
        refused_reload: collector.refused_reload(),
        refused_enrolments: collector.live.enrolments.standing(Timestamp::now()),
        cases_known: collector.correlated.get().map(|latest| latest.watermark),
        cases: collector.correlated.cases(),
        levels: collector.correlated.levels(),
        case_columns: collector.case_columns.all(),
        request_readings: collector.request_readings.all(),
        agent: agent(collector, path).await?,
        heard: heard(collector, path).await?,
    })
}

/// Pages beside those of hosts that say how a host stands.
const TELL_STATES: [&str; 2] = ["/", "/service-paths"];

/// When hosts were heard since that was last written, for a page at `path` that tells it.
async fn heard(collector: &Collector, path: &str) -> Result<BTreeMap<HostId, Timestamp>, Refusal> {
    if !TELL_STATES.contains(&path) && !path.starts_with("/hosts/") {
        return Ok(BTreeMap::new());
    }
    let heard = collector.writer.at_once(|ingest, _| Some(ingest.heard_lately()));
    heard.await.ok_or_else(Refusal::failed)
}

/// How the agent of the host fares whose page is at `path`; nothing for any other page.
async fn agent(collector: &Collector, path: &str) -> Result<Option<AgentStatus>, Refusal> {
    let id = path.strip_prefix("/hosts/").and_then(|id| id.parse::<HostId>().ok());
    let Some(id) = id else { return Ok(None) };
    Ok(collector.fleet().await?.hosts.remove(&id).and_then(|host| host.status))
}

/// The page that says why there is no page.
pub(super) fn refused(error: &PageError, asked: (&str, &Query)) -> Response {
    (status(error), security(), Html(portal::error_page(error, asked))).into_response()
}

fn status(error: &PageError) -> StatusCode {
    match error {
        PageError::NotFound { .. } => StatusCode::NOT_FOUND,
        PageError::Query { .. } | PageError::Form { .. } => StatusCode::BAD_REQUEST,
        PageError::Conflict { .. } => StatusCode::CONFLICT,
        PageError::Store(_) | PageError::Template(_) => {
            tracing::error!(error = %chain(error), "drawing a page failed");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// The error with its causes; pages show the first sentence only.
fn chain(error: &PageError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

pub(super) fn security() -> [(HeaderName, &'static str); 4] {
    [
        (header::CONTENT_SECURITY_POLICY, portal::CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ]
}

/// Configured spans are bounded far below what overflows.
fn signed(span: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX)
}
