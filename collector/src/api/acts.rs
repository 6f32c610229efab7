//! What persons do about findings, through the API: acknowledge, assign, note, and read the log.

use axum::Extension;
use axum::extract::{Path, Request, State};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::{Problem, ProblemCode};
use serde::Deserialize;
use serde_json::json;

use super::change::{act, body};
use super::read::read;
use super::{Answer, Shared};
use crate::auth::Person;
use crate::ingest::IngestError;
use crate::serve::answer::{self, Refusal};
use crate::store::{Act, ActRecord, FindingFilter, MAX_LIMIT, Step};

/// The longest note or name, in bytes: a paragraph.
const TEXT_BYTES: usize = 2_000;

/// The most lines of one kind in the log of a finding: more is a program that writes to itself.
/// Each kind has its own, so that whoever may write notes cannot keep others from acknowledging.
const LINES_MOST: usize = 1_000;

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
    let number = finding(&number)?;
    let ActBody { act: what, text } = body(&collector, request).await?;
    let text = text.trim().to_owned();
    let needs = what != Act::Acknowledge;
    if text.len() > TEXT_BYTES || (needs && text.is_empty()) {
        let least = u8::from(needs);
        let detail = format!("text must have {least} to {TEXT_BYTES} bytes: to whom, or what");
        return Err(Refusal::malformed(detail));
    }
    act(&collector, move |_, context| {
        let filter = FindingFilter { number: Some(number), limit: 1, ..FindingFilter::default() };
        let refused = |code, detail| Err(IngestError::Refused(Problem { code, detail }));
        let Some(record) = context.store.findings(&filter)?.pop() else {
            return refused(ProblemCode::NotFound, format!("there is no finding {number}"));
        };
        if is_full(&context.store.acts(number, MAX_LIMIT)?, what) {
            let detail = format!("finding {number} has {LINES_MOST} lines of this kind already");
            return refused(ProblemCode::TooLarge, detail);
        }
        let (at, who, opening) = (context.now, person.name, record.openings);
        Ok(vec![Step::Act(ActRecord { finding: number, at, who, act: what, text, opening })])
    })
    .await
}

/// Whether `acts`, the log of a finding, has all the lines there may be of what somebody does.
pub fn is_full(acts: &[ActRecord], what: Act) -> bool {
    let counts = |one: &&ActRecord| one.act == what || mutant::active(Mutant::NotesTakeAllLines);
    acts.iter().filter(counts).count() >= LINES_MOST
}

fn finding(number: &str) -> Result<i64, Refusal> {
    number.parse().map_err(|_| Refusal::not_found(format!("finding {number:?}")))
}
