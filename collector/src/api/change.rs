//! What people decide through the API: approve, retire, bring back, make and remove tokens.
//!
//! Everything goes through the writer and leaves an event that names who did it.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use driftline_protocol::wire::{Problem, ProblemCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::read::host_id;
use super::{Answer, Shared};
use crate::auth::tokens::{self, Namesake};
use crate::auth::{self, AuthError, Person};
use crate::ingest::{Approval, Context, Decided, Ingest, IngestError, Proposal};
use crate::serve::answer::{self, Refusal};
use crate::serve::body::Class;
use crate::serve::state::Collector;
use crate::store::{Scope, Step};
use crate::words::unknown;

/// The longest reason, in bytes: a paragraph.
pub(super) const REASON_BYTES: usize = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproveBody {
    reason: String,
}

/// `POST /api/v1/hosts/{host}/baseline`
pub async fn approve(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    Path(host): Path<String>,
    request: Request,
) -> Answer {
    let host = host_id(&host)?;
    let ApproveBody { reason } = body(&collector, request).await?;
    let approval = Approval { who: person.name, why: reason_of(&reason)? };
    act(&collector, move |ingest, context| {
        ingest.approve(context, Proposal::present(host), approval)
    })
    .await
}

/// `POST /api/v1/hosts/{host}/retire`
pub async fn retire(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    Path(host): Path<String>,
) -> Answer {
    let host = host_id(&host)?;
    act(&collector, move |ingest, context| ingest.retire(context, (&host, &person.name))).await
}

/// `POST /api/v1/hosts/{host}/reinstate`
pub async fn reinstate(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    Path(host): Path<String>,
) -> Answer {
    let host = host_id(&host)?;
    act(&collector, move |ingest, context| ingest.reinstate(context, (&host, &person.name))).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    name: String,
    scope: Scope,
    days: u32,
    #[serde(default)]
    replace: bool,
}

/// `POST /api/v1/tokens`
pub async fn create_token(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    request: Request,
) -> Answer {
    let TokenBody { name, scope, days, replace } = body(&collector, request).await?;
    let (token, record) = auth::make(&name, scope, days, Timestamp::now()).map_err(refused)?;
    let shown =
        json!({ "name": name, "scope": scope, "expires_at": record.expires_at, "token": token });
    let made = (record, Namesake::of(replace));
    act(&collector, move |_, context| {
        let by = (person.name.as_str(), context.now);
        tokens::kept(made, &context.store.tokens()?, by).map_err(|taken| {
            let detail = taken.to_string();
            IngestError::Refused(Problem { code: ProblemCode::Conflict, detail })
        })
    })
    .await?;
    Ok((StatusCode::CREATED, answer::json(&shown)).into_response())
}

/// `DELETE /api/v1/tokens/{name}`
pub async fn remove_token(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    Path(name): Path<String>,
) -> Answer {
    act(&collector, move |_, context| {
        if !context.store.tokens()?.iter().any(|token| token.name == name) {
            let detail = unknown(format!("token {name:?}"), "driftline token list");
            return Err(IngestError::Refused(Problem { code: ProblemCode::NotFound, detail }));
        }
        Ok(tokens::removed(name, (&person.name, context.now)))
    })
    .await
}

fn refused(error: AuthError) -> Refusal {
    match error {
        AuthError::Name(_) | AuthError::Days(_) => Refusal::malformed(error),
        AuthError::Taken(_) => {
            Refusal::from(Problem { code: ProblemCode::Conflict, detail: error.to_string() })
        }
        AuthError::Unknown(name) => {
            Refusal::unknown(format!("token {name:?}"), "driftline token list")
        }
        AuthError::Random(_)
        | AuthError::Store(_)
        | AuthError::SecretFile { .. }
        | AuthError::Secret { .. } => {
            tracing::error!(%error, "making a token failed");
            Refusal::failed()
        }
    }
}

pub(super) type Steps = Result<Vec<Step>, IngestError>;

/// The reason a person gave.
pub(super) fn reason_of(text: &str) -> Result<String, Refusal> {
    let why = text.trim();
    if why.is_empty() || why.len() > REASON_BYTES {
        let detail = format!("the reason must have 1 to {REASON_BYTES} bytes");
        return Err(Refusal::malformed(detail));
    }
    Ok(why.to_owned())
}

/// Makes durable what `work` decides, and gives its answer. What persons do is decided by what the
/// store says (whether a name is taken, whether a log is full), so nothing of that is on its way by
/// then.
pub(super) async fn decide<A: Send + 'static>(
    collector: &Collector,
    work: impl FnOnce(&mut Ingest, Context<'_>) -> Result<Decided<A>, IngestError> + Send + 'static,
) -> Result<A, Refusal> {
    Ok(collector.writer.ask_after(work).await?)
}

/// Makes durable what `work` decides, and answers with an empty object.
pub(super) async fn act(
    collector: &Collector,
    work: impl FnOnce(&mut Ingest, Context<'_>) -> Steps + Send + 'static,
) -> Answer {
    decide(collector, move |ingest, context| {
        let steps = work(ingest, context)?;
        Ok(Decided { answer: (), parts: Vec::new(), steps })
    })
    .await?;
    Ok(answer::json(&json!({})))
}

pub(super) async fn body<T: DeserializeOwned>(
    collector: &Collector,
    request: Request,
) -> Result<T, Refusal> {
    let (head, body): (_, Body) = request.into_parts();
    let received = collector.budget.read(Class::Enrol, &head.headers, body).await?;
    serde_json::from_slice(&received.bytes).map_err(Refusal::malformed)
}
