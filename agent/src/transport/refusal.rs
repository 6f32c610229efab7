//! What a request that failed means.

use driftline_protocol::wire::ProblemCode;

use super::TransportError;
use super::client::RequestError;
use super::exchange::Answer;

/// How the collector refused, if it did.
pub(super) fn refusal(error: &TransportError) -> Option<ProblemCode> {
    if let TransportError::Request(RequestError::Refused { problem, .. }) = error {
        return Some(problem.code);
    }
    None
}

/// What it means for the exchange.
pub(super) fn meaning(error: &TransportError) -> Answer {
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
