//! What people permit for a while: an exception is made once under its name, and can be ended.

use driftline_protocol::ids::Digest;
use driftline_protocol::wire::ProblemCode;
use jiff::Timestamp;

use super::{Context, IngestError};
use crate::analysis::exceptions::{Ended, Exception, ExceptionScope, Standing};
use crate::analysis::finding::FindingId;
use crate::store::{EventKind, EventRecord, Step};
use crate::words::unknown;

/// The most exceptions a store may hold, ended ones included: as many as are read at once in some
/// milliseconds. More of them is a rule that should be off.
pub const EXCEPTIONS_MOST: usize = 10_000;

/// Makes `exception`, whose ends were checked; its name must never have been one before, so that
/// none is renewed in silence.
///
/// # Errors
/// [`IngestError`]: it may not be made, or the store cannot be read.
pub fn except(context: Context<'_>, exception: Exception) -> Result<Vec<Step>, IngestError> {
    let refused = |detail: String| IngestError::refused(ProblemCode::Malformed, detail);
    exception.check().map_err(|error| refused(error.to_string()))?;
    let known = context.store.exceptions()?;
    if known.iter().any(|known| known.name == exception.name) {
        let name = &exception.name;
        let detail = format!("{name} was an exception before; make another, with its own reason");
        return Err(refused(detail));
    }
    if known.len() >= EXCEPTIONS_MOST {
        return Err(refused(format!("there are {EXCEPTIONS_MOST} exceptions already")));
    }
    let Exception { name, owner, reason, made_by, expires_at, .. } = &exception;
    let scope = exception.words();
    let detail =
        format!("{made_by} permits {name} ({scope}) until {expires_at} for {owner}: {reason}");
    let event = event(context, EventKind::ExceptionMade, detail);
    Ok(vec![Step::Exception(Box::new(exception)), event])
}

/// The exception that somebody makes who accepts one finding for a while: it permits that finding
/// with the value it was read with, and no other, as far as patterns can say that.
pub fn accepted(
    (number, id, value): (i64, &FindingId, Digest),
    (who, reason): (&str, String),
    (expires_at, zone): (Timestamp, String),
    now: Timestamp,
) -> Exception {
    // A star in a name would stand for any text; a question mark stands for it alone.
    let exactly = |text: &str| text.replace('*', "?");
    Exception {
        name: format!("accept-{number}-{}", now.as_millisecond()),
        scope: ExceptionScope {
            host: Some(id.host.to_string()),
            kind: Some(id.kind),
            rule: id.rule.clone(),
            source: Some(id.source.clone()),
            part: Some(exactly(id.part.as_str())),
            key: id.key.as_ref().map(|key| exactly(key.as_str())),
            ..ExceptionScope::default()
        },
        value: Some(value),
        owner: who.to_owned(),
        reason,
        made_by: who.to_owned(),
        made_at: now,
        expires_at,
        zone,
        ended: None,
    }
}

/// Ends the exception `name` before its time.
///
/// # Errors
/// [`IngestError`]: there is none that still counts, or the store cannot be read.
pub fn end_exception(
    context: Context<'_>,
    name: &str,
    who: String,
) -> Result<Vec<Step>, IngestError> {
    let known = context.store.exceptions()?.into_iter().find(|known| known.name == name);
    let exception = known.ok_or_else(|| {
        let detail = unknown(format!("exception {name:?}"), "driftline exception list");
        IngestError::refused(ProblemCode::NotFound, detail)
    })?;
    match exception.standing(context.now) {
        Standing::Active => {}
        Standing::Expired | Standing::Ended => {
            let detail = format!("the exception {name} is over already");
            return Err(IngestError::refused(ProblemCode::Malformed, detail));
        }
    }
    let event = event(context, EventKind::ExceptionEnded, format!("{who} ended {name}"));
    let ended = Some(Ended { at: context.now, by: who });
    Ok(vec![Step::Exception(Box::new(Exception { ended, ..exception })), event])
}

fn event(context: Context<'_>, kind: EventKind, detail: String) -> Step {
    Step::Event(EventRecord { at: context.now, host: None, kind, detail })
}
