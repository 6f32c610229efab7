//! What persons do about findings, through the API and the forms of the portal: acknowledge,
//! assign, note, accept, and read the log.
//!
//! *Accept* says that it may be so, of what was read: whoever accepts gives back the tag that the
//! page or the answer they read had (`etag`), and where the finding is another by then nothing is
//! accepted. Without an end the baseline moves to what the host has, which
//! only drift can; with an end it is an exception of this one finding as it was read, and asks
//! again when it is another or that is over.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::{Problem, ProblemCode};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::change::{REASON_BYTES, act, body, decide, reason_of};
use super::read::read;
use super::{Answer, Shared};
use crate::analysis::exceptions::end;
use crate::analysis::finding::{FindingKind, Status};
use crate::auth::Person;
use crate::ingest::{Approval, Context, Decided, IngestError, accepted, except, moved_on};
use crate::serve::answer::{self, Refusal};
use crate::serve::state::Collector;
use crate::store::{Act, ActRecord, FindingFilter, FindingRecord, MAX_LIMIT, Step};
use crate::words::unknown;

/// The longest note or name, in bytes: a paragraph.
const TEXT_BYTES: usize = 2_000;

/// The most lines of one kind in the log of a finding: more is a program that writes to itself.
/// Each kind has its own, so that whoever may write notes cannot keep others from acknowledging.
const LINES_MOST: usize = 1_000;

/// The command that lists findings, those that are over included.
const LISTS: &str = "driftline findings --all";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActBody {
    act: Act,
    #[serde(default)]
    text: String,
}

/// `GET /api/v1/findings/{number}/acts`
pub async fn acts(State(collector): Shared, Path(number): Path<String>) -> Answer {
    let number = finding(&number)?;
    let acts = read(&collector, move |store| Ok(store.acts(number, MAX_LIMIT)?)).await?;
    Ok(answer::json(&json!({ "acts": acts, "next": null })))
}

/// `POST /api/v1/findings/{number}/acts`
pub async fn add(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    Path(number): Path<String>,
    request: Request,
) -> Answer {
    let ActBody { act, text } = body(&collector, request).await?;
    note(&collector, (person, &number), (act, text)).await
}

/// Writes down what a person did about a finding.
///
/// # Errors
/// A [`Refusal`].
pub(crate) async fn note(
    collector: &Arc<Collector>,
    (person, number): (Person, &str),
    (what, text): (Act, String),
) -> Answer {
    let number = finding(number)?;
    let text = text.trim().to_owned();
    if what == Act::Accept {
        let detail =
            format!("accepting has an address of its own: /api/v1/findings/{number}/accept");
        return Err(Refusal::malformed(detail));
    }
    let needs = what != Act::Acknowledge;
    if text.len() > TEXT_BYTES || (needs && text.is_empty()) {
        let least = u8::from(needs);
        let missing = match what {
            Act::Assign => "say to whom it goes",
            Act::Acknowledge | Act::Note | Act::Accept => "say what is to be written down",
        };
        let detail = format!("{missing}: `text` must have {least} to {TEXT_BYTES} bytes");
        return Err(Refusal::malformed(detail));
    }
    act(collector, move |_, context| {
        let opening = known(context, number, what)?.openings;
        Ok(vec![line(context, (number, opening), (person.name, what, text))])
    })
    .await
}

/// Why a finding may be as it is, and until when.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acceptance {
    /// Why, in a sentence.
    pub(crate) reason: String,
    /// What was read of it: the tag of its page.
    #[serde(default)]
    pub(crate) etag: String,
    /// Until when; without an end the baseline moves.
    #[serde(default)]
    pub(crate) expires: Option<String>,
    /// The time zone of that end; UTC unless said.
    #[serde(default)]
    pub(crate) zone: Option<String>,
}

/// `POST /api/v1/findings/{number}/accept`
pub async fn accept_one(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    Path(number): Path<String>,
    request: Request,
) -> Answer {
    let acceptance = body(&collector, request).await?;
    Ok(answer::json(&accept(&collector, (person, &number), acceptance).await?))
}

/// Accepts a finding; says what that became.
///
/// # Errors
/// A [`Refusal`].
pub(crate) async fn accept(
    collector: &Arc<Collector>,
    (person, number): (Person, &str),
    acceptance: Acceptance,
) -> Result<Value, Refusal> {
    let number = finding(number)?;
    let why = reason_of(&acceptance.reason)?;
    let etag = acceptance.etag.trim().to_owned();
    if etag.is_empty() {
        let detail = format!(
            "say what you accept: `etag` of GET /api/v1/findings/{number}, as it was when you read \
             it"
        );
        return Err(Refusal::malformed(detail));
    }
    let zone = acceptance.zone.unwrap_or_else(|| "UTC".to_owned());
    let in_zone = TimeZone::get(&zone).map_err(|_| {
        Refusal::malformed(format!("{zone:?} is no time zone, such as Europe/Vienna"))
    })?;
    let until = acceptance.expires.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let until = until.map(|text| end(text, &in_zone)).transpose().map_err(Refusal::malformed)?;
    decide(collector, move |ingest, context| {
        let record = known(context, number, Act::Accept)?;
        let opening = record.openings;
        if record.finding.status != Status::Open {
            let detail = format!("finding {number} is over already");
            return Err(refused(ProblemCode::Malformed, detail));
        }
        let id = record.finding.id;
        let of = format!("finding {number}");
        let sight = ingest.sight(context, &id)?.filter(|sight| sight.is(&etag));
        let Some(sight) = sight else {
            return Err(refused(ProblemCode::Conflict, moved_on(&of)));
        };
        let mut text = why.clone();
        if let Some(expires_at) = until {
            text = format!("{why} (until {expires_at})");
            let (who, end) = ((person.name.as_str(), why), (expires_at, zone));
            let exception = accepted((number, &id, sight.value), who, end, context.now);
            let name = &exception.name;
            let became = json!({ "became": "exception", "name": name, "expires_at": expires_at });
            let mut steps = except(context, exception)?;
            text.truncate(text.floor_char_boundary(REASON_BYTES));
            steps.push(line(context, (number, opening), (person.name, Act::Accept, text)));
            return Ok(Decided { answer: became, parts: Vec::new(), steps });
        }
        if id.kind != FindingKind::Drift {
            let detail = format!(
                "finding {number} is a {}: there is no baseline to move; say until when it may be",
                id.kind.as_str()
            );
            return Err(refused(ProblemCode::Malformed, detail));
        }
        let approval = Approval { who: person.name.clone(), why };
        let accepted = ingest.accept(context, (vec![(id, etag)], &of), &approval)?;
        let mut steps = accepted.steps;
        steps.push(line(context, (number, opening), (person.name, Act::Accept, text)));
        Ok(Decided { answer: json!({ "became": "baseline" }), parts: accepted.parts, steps })
    })
    .await
}

/// The finding of a number whose log has room for one more line of this kind.
fn known(context: Context<'_>, number: i64, what: Act) -> Result<FindingRecord, IngestError> {
    let filter = FindingFilter { number: Some(number), limit: 1, ..FindingFilter::default() };
    let Some(record) = context.store.findings(&filter)?.pop() else {
        return Err(refused(ProblemCode::NotFound, unknown(format!("finding {number}"), LISTS)));
    };
    if is_full(&context.store.acts(number, MAX_LIMIT)?, what) {
        let detail = format!("finding {number} has {LINES_MOST} lines of this kind already");
        return Err(refused(ProblemCode::TooLarge, detail));
    }
    Ok(record)
}

/// Whether `acts`, the log of a finding, has all the lines there may be of what somebody does.
pub fn is_full(acts: &[ActRecord], what: Act) -> bool {
    let counts = |one: &&ActRecord| one.act == what || mutant::active(Mutant::NotesTakeAllLines);
    acts.iter().filter(counts).count() >= LINES_MOST
}

/// A line of the log of a finding, about the opening that is meant.
fn line(
    context: Context<'_>,
    (finding, opening): (i64, u32),
    (who, act, text): (String, Act, String),
) -> Step {
    Step::Act(ActRecord { finding, at: context.now, who, act, text, opening })
}

fn refused(code: ProblemCode, detail: String) -> IngestError {
    IngestError::Refused(Problem { code, detail })
}

fn finding(number: &str) -> Result<i64, Refusal> {
    number.parse().map_err(|_| Refusal::unknown(format!("finding {number}"), LISTS))
}
