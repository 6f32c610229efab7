//! How answers and refusals look on the wire.
//!
//! A refusal is a [`Problem`] with the status its code stands for. Which secret or name was wrong
//! is never told; whoever holds a token that counts learns which scope it lacks. Refusals are
//! counted once, where they leave ([`ProblemCode`] rides along as an extension).

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use driftline_protocol::wire::{Problem, ProblemCode};
use serde::Serialize;

use crate::auth::Held;
use crate::store::{Scope, StoreError};
use crate::words::unknown;
use crate::writer::WriteError;

/// The longest time to stay away when busy, in seconds; each sender draws its own below it, so that
/// those who were turned away together do not come back together.
pub const RETRY_SECONDS: u32 = 10;

/// Why a request is refused, ready to be sent.
#[derive(Debug)]
pub struct Refusal {
    problem: Problem,
}

impl Refusal {
    /// A refusal with a detail for people.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { problem: Problem { code, detail: detail.into() } }
    }

    /// What kind of refusal it is.
    pub fn code(&self) -> ProblemCode {
        self.problem.code
    }

    /// Why, in a sentence.
    pub fn detail(&self) -> &str {
        &self.problem.detail
    }

    /// The one answer to whoever is not let in, whatever was wrong.
    pub fn unauthorised() -> Self {
        Self::new(
            ProblemCode::Unauthorised,
            "not allowed; `driftline-collector token create` makes tokens, agents enrol for theirs",
        )
    }

    /// The answer to a person whose token does not let in: what its holder may know anyway.
    pub fn of_token(held: &Held, wanted: Scope) -> Self {
        let wanted = wanted.as_str();
        let detail = match held {
            Held::None => format!(
                "no token was sent, and this needs one of the scope {wanted}; \
                 `driftline-collector token create` makes it, --token-file FILE sends it"
            ),
            Held::Unknown => "the token is not known here, or has expired; \
                 `driftline-collector token create` makes another"
                .to_owned(),
            Held::Other(name, scope) => format!(
                "the token {name} has the scope {}, and this needs the scope {wanted}",
                scope.as_str()
            ),
        };
        let code = match held {
            Held::None | Held::Unknown => ProblemCode::Unauthorised,
            Held::Other(..) => ProblemCode::Forbidden,
        };
        Self::new(code, detail)
    }

    /// Too much to do.
    pub fn busy() -> Self {
        Self::new(ProblemCode::Busy, "too much to do; come back after the time in Retry-After")
    }

    /// The collector failed.
    pub fn failed() -> Self {
        Self::new(ProblemCode::Failed, "the collector failed; its log says how")
    }

    /// There is nothing under this address.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(ProblemCode::NotFound, format!("there is no {what}"))
    }

    /// There is nothing of this name; `command` lists those there are.
    pub fn unknown(what: impl std::fmt::Display, command: &str) -> Self {
        Self::new(ProblemCode::NotFound, unknown(what, command))
    }

    /// The request is not what it should be.
    pub fn malformed(detail: impl std::fmt::Display) -> Self {
        Self::new(ProblemCode::Malformed, detail.to_string())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        // Who holds a token must not learn from the answer what else exists.
        if problem.code == ProblemCode::Unauthorised {
            Self::unauthorised()
        } else {
            Self { problem }
        }
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Busy => Self::busy(),
            WriteError::Refused(problem) => problem.into(),
            WriteError::Failed => Self::failed(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, cause = cause.unwrap_or_default(), "reading the store failed");
        Self::failed()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let code = self.problem.code;
        let mut response = (status(code), axum::Json(&self.problem)).into_response();
        response.extensions_mut().insert(code);
        let headers = response.headers_mut();
        if code == ProblemCode::Busy || code == ProblemCode::Failed {
            let seconds = 1 + jitter(RETRY_SECONDS);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if code == ProblemCode::Unauthorised {
            let realm = HeaderValue::from_static("Basic realm=\"driftline\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}

/// The status that a code stands for.
pub(super) fn status(code: ProblemCode) -> StatusCode {
    match code {
        ProblemCode::Unauthorised => StatusCode::UNAUTHORIZED,
        ProblemCode::Clone | ProblemCode::Conflict => StatusCode::CONFLICT,
        ProblemCode::Retired => StatusCode::GONE,
        ProblemCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ProblemCode::Malformed | ProblemCode::Version => StatusCode::BAD_REQUEST,
        ProblemCode::Busy => StatusCode::SERVICE_UNAVAILABLE,
        ProblemCode::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        ProblemCode::NotFound => StatusCode::NOT_FOUND,
        ProblemCode::Forbidden => StatusCode::FORBIDDEN,
    }
}

/// A random number below `most`; 0 when the operating system has no randomness to give.
pub fn jitter(most: u32) -> u32 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes) % most.max(1),
        Err(_) => 0,
    }
}

/// A JSON answer that no cache keeps.
pub fn json<T: Serialize>(value: &T) -> Response<Body> {
    let mut response = axum::Json(value).into_response();
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}
