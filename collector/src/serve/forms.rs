//! What the forms of the portal send: who may, what is asked for, and the page that answers. What a
//! person typed and cannot be is answered by the form again, with what was typed and why not.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::ProblemCode;

use super::answer::{Refusal, status};
use super::body::Class;
use super::portal::{self, refused};
use super::state::Collector;
use crate::analysis::exceptions::ExceptionScope;
use crate::analysis::finding::FindingKind;
use crate::api::acts::{self, Acceptance};
use crate::api::exceptions::{self, Asked};
use crate::api::{baselines, suspects};
use crate::auth::{Person, browser};
use crate::portal::{
    Draft, ExceptionDraft, Frame, PageError, Query, Reader, exceptions_again, finding_again,
};
use crate::store::{Act, Outcome, Scope};

type Shared = State<Arc<Collector>>;

/// Where the page of exceptions is.
pub(super) const EXCEPTIONS: &str = "/exceptions";

/// What a person sent by a form of one of our own pages, which no other page can send.
async fn form(collector: &Collector, request: Request) -> Result<(Person, Query), Refusal> {
    let (head, body) = request.into_parts();
    let person = collector.person(&head.headers, Scope::Admin)?;
    let public = collector.settings().config.public_url.clone();
    browser::check_form(&head.headers, public.as_deref()).map_err(Refusal::malformed)?;
    let received = collector.budget.read(Class::Small, &head.headers, body).await?;
    let text = std::str::from_utf8(&received.bytes).map_err(Refusal::malformed)?;
    Ok((person, Query::parse(text)))
}

/// What a person says of a suspect, by the form of its page.
pub(super) async fn say(
    State(collector): Shared,
    Path(number): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let (person, form) = form(&collector, request).await?;
    let page = format!("/suspects/{number}");
    let outcome = match form.get("outcome") {
        Some("confirmed") => Outcome::Confirmed,
        Some("rejected") => Outcome::Rejected,
        Some(_) | None => {
            return Ok(not_done(&Refusal::malformed("the outcome is confirmed or rejected"), page));
        }
    };
    let reason = form.get("reason").unwrap_or_default().to_owned();
    let done = suspects::judge(&collector, (person, &number), (outcome, reason)).await;
    Ok(back_to(page, done))
}

/// What a person does about a finding, by the forms of its page.
pub(super) async fn do_about(
    State(collector): Shared,
    Path(number): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let (person, form) = form(&collector, request).await?;
    let page = format!("/findings/{number}");
    let Err(refusal) = act_on(&collector, (person, &number), &form).await else {
        return Ok(Redirect::to(&page).into_response());
    };
    let code = refusal.code();
    if code == ProblemCode::Conflict {
        return Ok(counted(code, refused(&PageError::Conflict { number }, (&page, &form))));
    }
    if !is_the_forms(code) {
        return Ok(not_done(&refusal, page));
    }
    let field = |name: &str| form.get(name).unwrap_or_default().to_owned();
    let draft = Draft {
        act: field("act"),
        text: field("text"),
        reason: field("reason"),
        expires: field("expires"),
        zone: field("zone"),
        etag: field("etag"),
        problem: refusal.detail().to_owned(),
    };
    let again = move |collector: &Collector, frame: &Frame| {
        let source = (&*collector.read as &dyn Reader, &*collector.settings().standards);
        finding_again((source.0, source.1), frame, (&number, draft))
    };
    drawn_again(collector, (code, page, form), again).await
}

/// The page of a form again, as `draw` draws it, under the status of the refusal `code`.
async fn drawn_again(
    collector: Arc<Collector>,
    (code, page, form): (ProblemCode, String, Query),
    draw: impl FnOnce(&Collector, &Frame) -> Result<String, PageError> + Send + 'static,
) -> Result<Response, Refusal> {
    let frame = portal::frame(&collector, &page).await?;
    let drawn = tokio::task::spawn_blocking(move || match draw(&collector, &frame) {
        Ok(html) => (status(code), portal::security(), Html(html)).into_response(),
        Err(error) => refused(&error, (&page, &form)),
    });
    Ok(counted(code, drawn.await.map_err(|_| Refusal::failed())?))
}

/// Permits something, or ends what was permitted, by the forms of the page of exceptions.
pub(super) async fn except(
    State(collector): Shared,
    request: Request,
) -> Result<Response, Refusal> {
    let (person, form) = form(&collector, request).await?;
    let page = EXCEPTIONS.to_owned();
    let refusal = match permit_or_end(&collector, person, &form).await {
        Ok(name) => return Ok(Redirect::to(&format!("{page}#{name}")).into_response()),
        Err(refusal) => refusal,
    };
    let code = refusal.code();
    if !is_the_forms(code) {
        return Ok(not_done(&refusal, page));
    }
    let draft = ExceptionDraft { typed: form.clone(), problem: refusal.detail().to_owned() };
    let again = move |collector: &Collector, frame: &Frame| {
        exceptions_again(&*collector.read, frame, draft)
    };
    drawn_again(collector, (code, page, form), again).await
}

/// Does what a form of the page of exceptions asks for; gives the name of the exception, which is
/// its place on the page.
async fn permit_or_end(
    collector: &Collector,
    person: Person,
    form: &Query,
) -> Result<String, Refusal> {
    let field = |name: &str| form.get(name).map(str::to_owned);
    let name = field("name").unwrap_or_default();
    match form.get("act") {
        Some("end") => drop(exceptions::end_by(collector, person, name.clone()).await?),
        Some("add") => {
            let scope = ExceptionScope {
                host: field("host"),
                group: field("group"),
                site: field("site"),
                kind: parsed(form, "kind", FindingKind::named)?,
                rule: parsed(form, "rule", |text| text.to_owned().try_into().ok())?,
                source: parsed(form, "source", |text| text.parse().ok())?,
                part: field("part"),
                key: field("key"),
            };
            let text = |name: &str| field(name).unwrap_or_default();
            let asked = Asked {
                name: name.clone(),
                scope,
                owner: text("owner"),
                reason: text("reason"),
                expires: text("expires"),
                zone: field("zone"),
            };
            exceptions::permit(collector, person, asked).await?;
        }
        Some(_) | None => return Err(Refusal::malformed("the act is add or end")),
    }
    Ok(name)
}

/// A field that names something, as `read` reads it.
fn parsed<T>(
    form: &Query,
    name: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let Some(text) = form.get(name) else { return Ok(None) };
    let wrong = || Refusal::malformed(format!("there is no {name} {text:?}"));
    read(text.trim()).map(Some).ok_or_else(wrong)
}

/// Does what a form of the page of a finding asks for.
async fn act_on(
    collector: &Arc<Collector>,
    (person, number): (Person, &str),
    form: &Query,
) -> Result<(), Refusal> {
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
        acts::accept(collector, (person, number), acceptance).await.map(drop)
    } else {
        let text = field("text").unwrap_or_default();
        acts::note(collector, (person, number), (what, text)).await.map(drop)
    }
}

/// Whether it is what was typed that is refused, so that the person can mend it.
fn is_the_forms(code: ProblemCode) -> bool {
    let raw = mutant::active(Mutant::FormErrorsLoseWhatWasTyped);
    matches!(code, ProblemCode::Malformed | ProblemCode::TooLarge) && !raw
}

/// Takes back what was agreed of a group, by the form of its page.
pub(super) async fn remove_baseline(
    State(collector): Shared,
    Path(subject): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let (person, form) = form(&collector, request).await?;
    let mut page = form_urlencoded::byte_serialize(subject.as_bytes()).collect::<String>();
    page.insert_str(0, "/baselines/");
    if form.get("act") != Some("remove") {
        return Ok(not_done(&Refusal::malformed("the act is remove"), page));
    }
    let reason = form.get("reason").unwrap_or_default();
    match baselines::remove_by(&collector, (person, &subject), reason).await {
        Ok(_) => Ok(Redirect::to("/baselines").into_response()),
        Err(refusal) => Ok(not_done(&refusal, page)),
    }
}

/// Back to the page of a form after what it asked for, or why it was not done.
fn back_to<T>(page: String, done: Result<T, Refusal>) -> Response {
    match done {
        Ok(_) => Redirect::to(&page).into_response(),
        Err(refusal) => not_done(&refusal, page),
    }
}

/// The page that says why nothing was done, under the status of the refusal.
fn not_done(refusal: &Refusal, back: String) -> Response {
    let problem = refusal.detail().to_owned();
    let error = if refusal.code() == ProblemCode::NotFound {
        PageError::NotFound { what: "page" }
    } else {
        PageError::Form { problem, back }
    };
    let mut page = refused(&error, ("/", &Query::default()));
    *page.status_mut() = status(refusal.code());
    counted(refusal.code(), page)
}

/// A page that stands for a refusal, counted as one.
fn counted(code: ProblemCode, mut page: Response) -> Response {
    page.extensions_mut().insert(code);
    page
}
