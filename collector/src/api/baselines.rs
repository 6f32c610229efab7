//! Baselines through the API: list, show, history, compare, approve.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::Uri;
use driftline_protocol::ids::{HostId, SourceName};
use driftline_protocol::wire::{Problem, ProblemCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::change::{act, body, decide, reason_of};
use super::read::{moment, next_page, query, read};
use super::{Answer, Shared};
use crate::analysis::agreement::{Exemption, Subject};
use crate::approvals::{self, LedBy, LedTo, Stood};
use crate::auth::Person;
use crate::ingest::{Approval, Decided, IngestError, Proposal, Then, moved_on};
use crate::serve::answer::{self, Refusal};
use crate::serve::state::Collector;
use crate::store::{Baseline, Step, StoreError, effective_limit};
use crate::writer::Reads;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    after: String,
    #[serde(default)]
    limit: u32,
}

/// `GET /api/v1/baselines`
pub async fn baselines(State(collector): Shared, uri: Uri) -> Answer {
    let ListQuery { after, limit } = query(&uri)?;
    let found = read(&collector, move |store| Ok(store.baselines(&after, limit)?)).await?;
    let last = found.last().filter(|_| found.len() >= effective_limit(limit) as usize);
    let next = last.map(|last| next_page(&uri, ("after", &last.subject.to_string())));
    Ok(answer::json(&json!({ "baselines": found, "next": next })))
}

/// `GET /api/v1/baselines/{subject}`
pub async fn baseline(State(collector): Shared, Path(name): Path<String>) -> Answer {
    let subject = subject(&name)?;
    let standards = collector.settings().standards;
    let shown = read(&collector, move |store| {
        let missing =
            || Refusal::unknown(format!("baseline of {subject}"), "driftline baseline list");
        let baseline = store.baseline(&subject)?.ok_or_else(missing)?;
        let hosts = approvals::members(store, &standards, &subject)?;
        let (overridden, not_looked_at) = match &subject {
            Subject::Host(_) => (Vec::new(), 0),
            Subject::Group(_) => approvals::overridden(store, (&hosts, &baseline))?,
        };
        let Baseline { sections, approval } = baseline;
        let sections: BTreeMap<SourceName, Value> = sections
            .into_iter()
            .map(|(source, layer)| {
                let there = layer.parts.values().filter(|part| part.digest.is_some()).count();
                let patterns: Vec<&String> = layer.spoken.keys().collect();
                (source, json!({ "patterns": patterns, "parts": there }))
            })
            .collect();
        Ok(json!({
            "approval": approval, "sections": sections, "hosts": hosts,
            "overridden": overridden, "not_looked_at": not_looked_at,
        }))
    });
    Ok(answer::json(&shown.await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalsQuery {
    before: Option<i64>,
    #[serde(default)]
    limit: u32,
}

/// `GET /api/v1/baselines/{subject}/approvals`
pub async fn history(State(collector): Shared, Path(name): Path<String>, uri: Uri) -> Answer {
    let subject = subject(&name)?;
    let ApprovalsQuery { before, limit } = query(&uri)?;
    let found =
        read(&collector, move |store| Ok(store.approvals(Some(&subject), before, limit)?)).await?;
    let last = found.last().filter(|_| found.len() >= effective_limit(limit) as usize);
    let next = last.map(|last| next_page(&uri, ("before", &last.number.to_string())));
    Ok(answer::json(&json!({ "approvals": found, "next": next })))
}

/// `GET /api/v1/baselines/{subject}/differences`
pub async fn compare(State(collector): Shared, Path(name): Path<String>) -> Answer {
    let subject = subject(&name)?;
    let standards = collector.settings().standards;
    let now = Timestamp::now();
    let found = read(&collector, move |store| {
        let before = stood(store, &subject, Timestamp::MAX)?;
        let (differences, more) = approvals::compare((store, &standards), &subject, now)?;
        // Where the host told of more meanwhile nobody knows which of it was compared.
        let stood = stood(store, &subject, now)?;
        Ok((differences, more, stood.filter(|stood| before.as_ref() == Some(stood))))
    });
    let (differences, more, etag) = found.await?;
    let shown: Vec<Value> = differences
        .into_iter()
        .map(|one| {
            json!({
                "host": one.id.host, "source": one.id.source, "part": one.id.part,
                "key": one.id.key, "agreed": one.desired, "now": one.current,
            })
        })
        .collect();
    // Whoever approves what they read here says `at` this moment, and the tag.
    Ok(answer::json(&json!({
        "differences": shown, "at": now, "etag": etag, "more": more, "next": null,
    })))
}

/// The tag of how a host stood at `at`; a group has no one state.
fn stood(
    store: &dyn Reads,
    subject: &Subject,
    at: Timestamp,
) -> Result<Option<String>, StoreError> {
    match subject {
        Subject::Host(host) => Ok(Some(Stood::at(store, host, at)?.etag())),
        Subject::Group(_) => Ok(None),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproveBody {
    reason: String,
    from: Option<HostId>,
    at: Option<String>,
    etag: Option<String>,
    source: Option<SourceName>,
    part: Option<String>,
    except: Option<Vec<Exemption>>,
}

/// `POST /api/v1/baselines/{subject}`
pub async fn approve(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    let subject = subject(&name)?;
    let ApproveBody { reason, from, at, etag, source, part, except } =
        body(&collector, request).await?;
    let approval = Approval { who: person.name, why: reason_of(&reason)? };
    let from = match (&subject, from) {
        (_, Some(from)) => from,
        (Subject::Host(host), None) => host.clone(),
        (Subject::Group(_), None) => {
            let detail = "a group follows one of its hosts: say `from` which";
            return Err(Refusal::malformed(detail));
        }
    };
    let then = match at.map(|text| moment(&text)).transpose()? {
        None if etag.is_some() => {
            return Err(Refusal::malformed("an `etag` is of the state `at` a moment: say which"));
        }
        None => None,
        Some(at) if at > Timestamp::now() => {
            let detail =
                format!("{at} has not come yet: approve a state that was, or leave `at` out");
            return Err(Refusal::malformed(detail));
        }
        Some(at) => {
            let host = from.clone();
            let stood = read(&collector, move |store| Ok(Stood::at(store, &host, at)?)).await?;
            if etag.is_some_and(|etag| etag.trim() != stood.etag()) {
                let of = format!("the state of {from} at {at}");
                return Err(Refusal::new(ProblemCode::Conflict, moved_on(&of)));
            }
            Some(Then { at, sections: stood.0 })
        }
    };
    let proposal = Proposal { subject, from, then, source, part, exempt: except };
    let made = decide(&collector, move |ingest, context| {
        let steps = ingest.approve(context, proposal, approval)?;
        let approval = steps.iter().find_map(|step| {
            if let Step::Approve { approval, .. } = step { Some(approval.clone()) } else { None }
        });
        Ok(Decided { answer: approval, parts: Vec::new(), steps })
    });
    let made = made.await?;
    collector.judge_again();
    Ok(answer::json(&json!({ "approval": made })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveBody {
    reason: String,
}

/// `POST /api/v1/baselines/{subject}/remove`
pub async fn remove(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    let RemoveBody { reason } = body(&collector, request).await?;
    remove_by(&collector, (person, &name), &reason).await
}

/// Takes back what was agreed of a group.
///
/// # Errors
/// A [`Refusal`].
pub(crate) async fn remove_by(
    collector: &Arc<Collector>,
    (person, name): (Person, &str),
    reason: &str,
) -> Answer {
    let subject = subject(name)?;
    let approval = Approval { who: person.name, why: reason_of(reason)? };
    let done =
        act(collector, move |ingest, context| ingest.remove_baseline(context, subject, approval));
    let done = done.await?;
    collector.judge_again();
    Ok(done)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptBody {
    reason: String,
    rollout: Option<i64>,
    request: Option<String>,
}

/// `POST /api/v1/baselines/accept`
pub async fn accept(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    request: Request,
) -> Answer {
    let AcceptBody { reason, rollout, request } = body(&collector, request).await?;
    let led_by = match (rollout, request) {
        (Some(number), None) => LedBy::Rollout(number),
        (None, Some(name)) => LedBy::Request(name),
        (None, None) | (Some(_), Some(_)) => {
            return Err(Refusal::malformed("say either `rollout` or `request`"));
        }
    };
    let approval = Approval { who: person.name, why: reason_of(&reason)? };
    accept_led_by(&collector, led_by, approval).await
}

async fn accept_led_by(collector: &Arc<Collector>, led_by: LedBy, approval: Approval) -> Answer {
    let config = collector.settings().config;
    let found = read(collector, move |store| {
        let missing = || Refusal::unknown("rollout of this number", "driftline rollouts");
        approvals::drifts(store, &config, &led_by)?.ok_or_else(missing)
    });
    let LedTo { findings, of, conflicts } = found.await?;
    let done = decide(collector, move |ingest, context| {
        if findings.is_empty() && conflicts > 0 {
            let code = ProblemCode::Conflict;
            let detail = format!(
                "what {of} led to moved on since on every host, and nothing was accepted; read \
                 it in `driftline findings` and accept each by its number"
            );
            return Err(IngestError::Refused(Problem { code, detail }));
        }
        let accepted = ingest.accept(context, (findings, &of), &approval)?;
        let answer =
            json!({ "accepted": accepted.count, "conflicts": accepted.conflicts + conflicts });
        Ok(Decided { answer, parts: accepted.parts, steps: accepted.steps })
    });
    Ok(answer::json(&done.await?))
}

fn subject(name: &str) -> Result<Subject, Refusal> {
    name.parse().map_err(Refusal::malformed)
}
