//! Serves the portal's pages: who may see them, on which thread they are drawn, under which
//! headers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use driftline_protocol::ids::HostId;
use driftline_protocol::wire::{AgentStatus, ProblemCode};
use jiff::{SignedDuration, Timestamp};

use super::answer::Refusal;
use super::body::Class;
use super::state::Collector;
use crate::api::acts::{self, Acceptance};
use crate::api::{baselines, suspects};
use crate::auth::browser;
use crate::portal::{self, Frame, PageError, Query};
use crate::store::{Act, Outcome, Scope};

type Shared = State<Arc<Collector>>;

/// The routes of the portal; which pages there are is said by [`portal::PAGES`].
pub(super) fn router() -> Router<Arc<Collector>> {
    let files = Router::new()
        .route(portal::STYLE_PATH, get(style))
        .route(portal::ICON_PATH, get(icon))
        .route("/suspects/{number}", post(say))
        .route("/findings/{number}", post(do_about))
        .route("/baselines/{subject}", post(remove_baseline));
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
    let config = Arc::clone(&settings.config);
    let frame = Frame {
        now: Timestamp::now(),
        stale_after: signed(config.stale()),
        dormant_after: signed(config.dormant()),
        config,
        cases_known: collector.correlated.get().map(|latest| latest.watermark),
        cases: collector.correlated.cases(),
        levels: collector.correlated.levels(),
        request_readings: collector.request_readings.all(),
        agent: agent(&collector, uri.path()).await?,
    };
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

/// How the agent of the host fares whose page is at `path`; nothing for any other page.
async fn agent(collector: &Collector, path: &str) -> Result<Option<AgentStatus>, Refusal> {
    let id = path.strip_prefix("/hosts/").and_then(|id| id.parse::<HostId>().ok());
    let Some(id) = id else { return Ok(None) };
    Ok(collector.fleet().await?.hosts.remove(&id).and_then(|host| host.status))
}

/// What a person sent by a form of one of our own pages, which no other page can send.
async fn form(
    collector: &Collector,
    request: Request,
) -> Result<(crate::auth::Person, Query), Refusal> {
    let (head, body) = request.into_parts();
    let person = collector.person(&head.headers, Scope::Admin)?;
    let public = collector.settings().config.public_url.clone();
    browser::check_form(&head.headers, public.as_deref()).map_err(Refusal::malformed)?;
    let received = collector.budget.read(Class::Small, &head.headers, body).await?;
    let text = std::str::from_utf8(&received.bytes).map_err(Refusal::malformed)?;
    Ok((person, Query::parse(text)))
}

/// What a person says of a suspect, by the form of its page.
async fn say(
    State(collector): Shared,
    Path(number): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let (person, form) = form(&collector, request).await?;
    let outcome = match form.get("outcome") {
        Some("confirmed") => Outcome::Confirmed,
        Some("rejected") => Outcome::Rejected,
        Some(_) | None => return Err(Refusal::malformed("the outcome is confirmed or rejected")),
    };
    let reason = form.get("reason").unwrap_or_default().to_owned();
    suspects::judge(&collector, (person, &number), (outcome, reason)).await?;
    Ok(Redirect::to(&format!("/suspects/{number}")).into_response())
}

/// What a person does about a finding, by the forms of its page.
async fn do_about(
    State(collector): Shared,
    Path(number): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let (person, form) = form(&collector, request).await?;
    let field = |name: &str| form.get(name).map(str::to_owned);
    let asked = form.get("act").unwrap_or_default();
    let Some(what) = Act::ALL.into_iter().find(|act| act.as_str() == asked) else {
        return Err(Refusal::malformed("the act is acknowledge, assign, note or accept"));
    };
    if what == Act::Accept {
        let reason = field("reason").unwrap_or_default();
        let etag = field("etag").unwrap_or_default();
        let acceptance =
            Acceptance { reason, etag, expires: field("expires"), zone: field("zone") };
        let done = acts::accept(&collector, (person, &number), acceptance).await;
        if done.as_ref().is_err_and(|refusal| refusal.code() == ProblemCode::Conflict) {
            let mut page = refused(&PageError::Conflict { number }, ("/findings", &form));
            page.extensions_mut().insert(ProblemCode::Conflict);
            return Ok(page);
        }
        done?;
    } else {
        let text = field("text").unwrap_or_default();
        acts::note(&collector, (person, &number), (what, text)).await?;
    }
    Ok(Redirect::to(&format!("/findings/{number}")).into_response())
}

/// Takes back what was agreed of a group, by the form of its page.
async fn remove_baseline(
    State(collector): Shared,
    Path(subject): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let (person, form) = form(&collector, request).await?;
    if form.get("act") != Some("remove") {
        return Err(Refusal::malformed("the act is remove"));
    }
    let reason = form.get("reason").unwrap_or_default();
    baselines::remove_by(&collector, (person, &subject), reason).await?;
    Ok(Redirect::to("/baselines").into_response())
}

/// The page that says why there is no page.
pub(super) fn refused(error: &PageError, asked: (&str, &Query)) -> Response {
    (status(error), security(), Html(portal::error_page(error, asked))).into_response()
}

fn status(error: &PageError) -> StatusCode {
    match error {
        PageError::NotFound { .. } => StatusCode::NOT_FOUND,
        PageError::Query { .. } => StatusCode::BAD_REQUEST,
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

fn security() -> [(HeaderName, &'static str); 4] {
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
