//! The pages people read: overview, host, part, timeline, change, change requests, findings,
//! baselines, rollouts, outliers, rules, exceptions, events, service paths, cases, suspect,
//! runbooks.
//!
//! Every view is a URL and plain HTML that needs no script; text from hosts is escaped by the
//! templates, and the content security policy forbids anything but our own style sheet. Pages only
//! read: they hold the `Read` halves of the store and the time, and know nothing of HTTP beyond a
//! path and a query. What cannot be known is shown as unknown, never left out.

mod baselines;
mod calibration;
mod case_chart;
mod cases;
mod change;
mod chart;
mod events;
mod exceptions;
mod finding;
mod findings;
mod host;
mod link;
mod outliers;
mod over_time;
mod overview;
mod part;
mod plain;
mod requests;
mod rollouts;
mod rules;
mod runbooks;
mod service_paths;
mod suspect;
mod timeline;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use driftline_protocol::ids::HostId;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::AgentStatus;
use jiff::{SignedDuration, Timestamp};

pub use exceptions::ExceptionDraft;
pub use finding::Draft;
pub use link::Query;

use crate::cases::ColumnNotes;
use crate::config::Config;
use crate::metrics::enrolments::Refused;
use crate::pass::Cached;
use crate::pass::levels::ServiceLevels;
use crate::serve::request_intake::RequestReading;
use crate::standards::Standards;
use crate::store::{HostRecord, StoreError};
pub(crate) use crate::writer::Reads as Reader;

/// The policy every page is served under: no script at all, and styles from our own file only.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'";

/// The style sheet, served under [`STYLE_PATH`].
pub const STYLE: &str = include_str!("../assets/portal.css");

/// Where the style sheet lies; the version in it makes it cacheable for ever.
pub const STYLE_PATH: &str = concat!("/assets/portal-", env!("CARGO_PKG_VERSION"), ".css");

/// The icon of the pages, served under [`ICON_PATH`].
pub const ICON: &str = include_str!("../assets/icon.svg");

/// Where browsers look for the icon, whether a page names it or not.
pub const ICON_PATH: &str = "/favicon.ico";

/// What every page knows besides the store.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The moment the page speaks for.
    pub now: Timestamp,
    /// A host not heard for longer than this is stale.
    pub stale_after: SignedDuration,
    /// A host not heard for longer than this is dormant.
    pub dormant_after: SignedDuration,
    /// The configuration in use.
    pub config: Arc<Config>,
    /// Why the newest configuration is not in use; nothing where it is.
    pub refused_reload: Option<String>,
    /// Enrolments that were refused, by reason.
    pub refused_enrolments: Vec<Refused>,
    /// Up to when nearly all cases are known; `None` before the first pass.
    pub cases_known: Option<Timestamp>,
    /// The cases the newest pass read.
    pub cases: Option<Arc<Cached>>,
    /// Where open cases stand against their targets.
    pub levels: Arc<ServiceLevels>,
    /// What was odd about the columns of the newest readings of cases, by source.
    pub case_columns: BTreeMap<String, ColumnNotes>,
    /// How the newest readings of change requests went, by source.
    pub request_readings: Vec<RequestReading>,
    /// How the agent of the host that the page is about fares, once it was heard.
    pub agent: Option<AgentStatus>,
    /// When hosts were last heard, where that is later than the store says: it is written once a
    /// minute. Of pages that tell it.
    pub heard: BTreeMap<HostId, Timestamp>,
}

impl Frame {
    /// When a host was last heard.
    pub fn last_seen(&self, record: &HostRecord) -> Timestamp {
        let stored = record.last_seen;
        self.heard.get(&record.id).map_or(stored, |heard| stored.max(*heard))
    }
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// Nothing has this address.
    #[error("no {what} has this address; begin at the overview")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The query holds something that cannot be.
    #[error("{field} must be {rule}")]
    Query {
        /// Which field of the query.
        field: &'static str,
        /// What it must look like.
        rule: &'static str,
    },
    /// A form accepts a finding that is not what was read any more.
    #[error("{}", crate::ingest::moved_on(&format!("finding {number}")))]
    Conflict {
        /// Its number, as it was asked for.
        number: String,
    },
    /// A form asks for something that cannot be.
    #[error("{problem}")]
    Form {
        /// Why, in a sentence.
        problem: String,
        /// The page of the form.
        back: String,
    },
    /// The store failed.
    #[error("reading the store for a page")]
    Store(#[from] StoreError),
    /// The template failed; a bug of ours.
    #[error("drawing a page")]
    Template(#[from] askama::Error),
}

/// Where the pages are, as routes: the server's list and [`respond`]'s, which knows no page that
/// is not on it.
pub const PAGES: &[&str] = &[
    "/",
    "/hosts/{host}",
    "/hosts/{host}/{source}",
    "/timeline",
    "/changes/{id}",
    "/requests",
    "/findings",
    "/findings/{number}",
    "/baselines",
    "/baselines/{subject}",
    "/rollouts",
    "/rollouts/{number}",
    "/outliers",
    "/exceptions",
    "/events",
    "/cases",
    "/suspects/{number}",
    "/service-paths",
    "/rules",
    "/runbooks",
    "/runbooks/{name}",
];

/// Whether a page of [`PAGES`] is meant.
fn is_page(segments: &[&str]) -> bool {
    PAGES.iter().any(|page| {
        let known: Vec<&str> = page.split('/').filter(|segment| !segment.is_empty()).collect();
        let alike = |(known, segment): (&&str, &&str)| known.starts_with('{') || known == segment;
        known.len() == segments.len() && known.iter().zip(segments).all(alike)
    })
}

/// The page at `path`, as HTML.
///
/// # Errors
/// [`PageError`]; the server answers with [`error_page`].
pub fn respond(
    (store, standards): (&dyn Reader, &Standards),
    frame: &Frame,
    path: &str,
    query: &Query,
) -> Result<String, PageError> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if !is_page(&segments) {
        return Err(PageError::NotFound { what: "page" });
    }
    let page = match segments.as_slice() {
        [] => overview::page((store, standards), frame),
        ["hosts", id] => host::page((store, standards), frame, id),
        ["hosts", id, source] => part::page(store, frame, (id, source), query),
        ["timeline"] => timeline::page(store, frame, query),
        ["changes", id] => change::page(store, frame, id),
        ["requests"] => requests::page((store, &standards.config), frame, query),
        ["findings"] => findings::page((store, standards), frame, query),
        ["findings", number] => {
            finding::page((store, standards), frame, (number, Draft::default()))
        }
        ["baselines"] => baselines::list(store, frame, query),
        ["baselines", subject] => baselines::page((store, standards), frame, subject),
        ["rollouts"] => rollouts::page(store, frame, query),
        ["rollouts", number] => rollouts::one_page(store, frame, number),
        ["outliers"] => outliers::page((store, &standards.config), query),
        ["exceptions"] => exceptions::page(store, frame, ExceptionDraft::default()),
        ["events"] => events::page(store, frame, query),
        ["cases"] => cases::page(store, frame, query),
        ["suspects", id] => suspect::page(store, frame, id),
        ["service-paths"] => service_paths::page((store, standards), frame),
        ["rules"] => rules::page(&standards.rules, frame),
        ["runbooks"] => runbooks::list(),
        ["runbooks", name] => runbooks::page(name),
        _ => Err(PageError::NotFound { what: "page" }),
    }?;
    if mutant::active(Mutant::PagesAskElsewhere) {
        return Ok(page.replace(STYLE_PATH, "http://192.0.2.1/portal.css"));
    }
    Ok(page)
}

/// The page of finding `number` again, with what one of its forms brought and why that was refused.
///
/// # Errors
/// As [`respond`].
pub fn finding_again(
    (store, standards): (&dyn Reader, &Standards),
    frame: &Frame,
    (number, draft): (&str, Draft),
) -> Result<String, PageError> {
    finding::page((store, standards), frame, (number, draft))
}

/// The page of exceptions again, with what one of its forms brought and why that was refused.
///
/// # Errors
/// As [`respond`].
pub fn exceptions_again(
    store: &dyn Reader,
    frame: &Frame,
    draft: ExceptionDraft,
) -> Result<String, PageError> {
    exceptions::page(store, frame, draft)
}

/// The page that says why there is no page; `asked` is the path and the query that were asked for.
pub fn error_page(error: &PageError, asked: (&str, &Query)) -> String {
    #[derive(Template)]
    #[template(path = "error.html")]
    struct Page<'a> {
        style: &'static str,
        heading: &'static str,
        message: &'a str,
        /// Where to go on from here, such as the page without the field that cannot be, in words.
        again: Option<(String, &'static str)>,
    }
    let message = error.to_string();
    let (heading, again) = match error {
        PageError::NotFound { .. } => ("There is nothing to show here", None),
        PageError::Query { field, .. } => {
            let link = asked.1.without(asked.0, field);
            ("One field cannot be read", Some((link, "Show the page without it")))
        }
        PageError::Conflict { number } => {
            let link = format!("/findings/{number}");
            ("It is another by now", Some((link, "Read it again")))
        }
        PageError::Form { back, .. } => {
            ("Nothing was done", Some((back.clone(), "Back to the page of the form")))
        }
        PageError::Store(_) | PageError::Template(_) => ("The page cannot be drawn", None),
    };
    let page = Page { style: STYLE_PATH, heading, message: &message, again };
    // A page this plain cannot fail to draw; if it ever does, its text still reaches the reader.
    page.render().unwrap_or(message)
}

/// A moment as people read it, and as machines do.
pub(crate) struct Moment {
    /// `2026-11-22 13:19:36`, always UTC.
    text: String,
    /// RFC 3339.
    machine: String,
    /// `3 min ago`.
    ago: String,
}

impl Moment {
    /// A moment that may lie ahead.
    fn until(at: Timestamp, now: Timestamp) -> Self {
        let ahead = now.duration_until(at);
        let ago = match ahead.as_secs() {
            ..0 => ago(now.duration_since(at)),
            0.. => format!("in {}", span(ahead)),
        };
        Self { ago, ..Self::new(at, now) }
    }

    fn new(at: Timestamp, now: Timestamp) -> Self {
        Self {
            text: at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            machine: at.to_string(),
            ago: ago(now.duration_since(at)),
        }
    }
}

/// How long ago, in the largest unit that says something.
fn ago(past: SignedDuration) -> String {
    match past.as_secs() {
        ..0 => "in the future".to_owned(),
        0.. => format!("{} ago", span(past)),
    }
}

/// How long, in the largest unit that says something.
fn span(long: SignedDuration) -> String {
    let seconds = long.as_secs();
    let (value, unit) = match seconds {
        ..90 => (seconds, "s"),
        90..5_400 => (seconds / 60, "min"),
        5_400..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{value} {unit}")
}

/// How a host stands by the time it was last heard; a closed list of words.
fn host_state(record: &HostRecord, frame: &Frame) -> &'static str {
    let silence = frame.now.duration_since(frame.last_seen(record));
    if record.retired_at.is_some() {
        "retired"
    } else if record.is_imported() {
        "imported"
    } else if silence > frame.dormant_after {
        "dormant"
    } else if silence > frame.stale_after {
        "stale"
    } else {
        "alive"
    }
}

#[cfg(test)]
mod tests;
