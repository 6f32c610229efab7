//! Approved intent: what a change request says of a change. Pure.
//!
//! A request covers a change when its scope does and the time fits. Of several requests the one
//! that says the most for the change is believed, then the one that names it most exactly, then the
//! one that begins last; so the answer does not depend on the order in which requests came.

use std::cmp::Reverse;

use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::scope::{Fit, IntentScope, Level, Subject};
use super::{ChangeClass, Decision, RuleKind, Spans};

/// One change request as its system knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    /// The system it comes from.
    pub source: String,
    /// Its name there.
    pub id: String,
    /// What sort of request.
    pub kind: RequestKind,
    /// Whether it may be done.
    pub approval: Approval,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// Whom it concerns; never nothing.
    pub scope: IntentScope,
    /// Where people read it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// When we first heard of it; a request that is sent again keeps this.
    pub received_at: Timestamp,
}

/// What sort of request; ITIL's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// One that is assessed.
    Normal,
    /// One that was approved beforehand, for its kind.
    Standard,
    /// One that could not wait, and may be written down afterwards.
    Emergency,
}

impl RequestKind {
    /// The word used in pages and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Standard => "standard",
            Self::Emergency => "emergency",
        }
    }

    /// What a change system means by `word`; capitals do not matter, and nothing is normal.
    pub fn meant_by(word: &str) -> Option<Self> {
        match word.trim().to_lowercase().as_str() {
            "" | "normal" | "minor" | "major" | "significant" => Some(Self::Normal),
            "standard" | "preapproved" | "pre-approved" | "routine" => Some(Self::Standard),
            "emergency" | "expedited" | "urgent" => Some(Self::Emergency),
            _ => None,
        }
    }
}

/// Whether a request may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// It may.
    Approved,
    /// Somebody has been asked, or will be.
    Requested,
    /// It may not, or was called off.
    Rejected,
}

impl Approval {
    /// The word used in pages and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Requested => "requested",
            Self::Rejected => "rejected",
        }
    }

    /// What a change system means by `word`; capitals do not matter, and nothing is not approved.
    pub fn meant_by(word: &str) -> Option<Self> {
        match word.trim().to_lowercase().as_str() {
            "approved" | "authorized" | "authorised" | "granted" | "scheduled" | "implement"
            | "implementing" | "implemented" | "review" | "closed" | "true" => Some(Self::Approved),
            "" | "requested" | "not requested" | "not yet requested" | "pending" | "new"
            | "draft" | "open" | "assess" | "authorize" | "authorise" | "false" => {
                Some(Self::Requested)
            }
            "rejected" | "denied" | "cancelled" | "canceled" | "withdrawn" => Some(Self::Rejected),
            _ => None,
        }
    }
}

impl ChangeRequest {
    /// `source/id`, which names it for ever.
    pub fn name(&self) -> String {
        format!("{}/{}", self.source, self.id)
    }

    /// Whether it says the same as `other`, whenever that was heard.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let received_at = other.received_at;
        Self { received_at, ..self.clone() } == *other
    }

    /// What it says that `before`, which had its name, did not say, and what that said instead, in
    /// at most `NEWS_BYTES`; `None` when that is nothing. Destructured, so that a new field cannot
    /// be forgotten.
    pub fn news(&self, before: Option<&Self>) -> Option<String> {
        let Some(before) = before else {
            return Some(format!("new, {}", self.approval.as_str()));
        };
        let Self { source: _, id: _, kind, approval, start, end, scope, url, received_at: _ } =
            self;
        let span = |request: &Self| format!("{} to {} UTC", wall(request.start), wall(request.end));
        let address = |url: &str| match url {
            "" => "no address".to_owned(),
            url => format!("address {url}"),
        };
        let was = |now: String, was: &str| format!("{now}, which was {was}");
        let told = [
            (*approval != before.approval)
                .then(|| was(approval.as_str().to_owned(), before.approval.as_str())),
            (*kind != before.kind).then(|| was(kind.as_str().to_owned(), before.kind.as_str())),
            ((start, end) != (&before.start, &before.end)).then(|| was(span(self), &span(before))),
            scope.news(&before.scope),
            (*url != before.url).then(|| was(address(url), &address(&before.url))),
        ];
        let told: Vec<String> = told.into_iter().flatten().collect();
        (!told.is_empty()).then(|| shortened(told.join("; ")))
    }

    /// The stretch in which changes may have to do with it.
    pub fn reach(&self, spans: &Spans) -> (Timestamp, Timestamp) {
        let before = spans.early.max(spans.emergency).max(spans.slack);
        let after = spans.late.max(spans.slack);
        (earlier(self.start, before), later(self.end, after))
    }
}

/// What the request that is believed says of a change.
#[derive(Clone, Debug)]
pub struct Believed<'a> {
    /// Which.
    pub request: &'a ChangeRequest,
    /// What it makes of the change.
    pub decision: Decision,
}

/// What `requests` say of `subject`: of all that say something, the one to be believed.
pub fn best<'a>(
    subject: &Subject<'_>,
    requests: &[&'a ChangeRequest],
    spans: &Spans,
) -> Option<Believed<'a>> {
    best_of(subject, requests, (spans, |_| true))
}

/// The same of those that make an emergency of it, whatever others say.
pub fn emergency<'a>(
    subject: &Subject<'_>,
    requests: &[&'a ChangeRequest],
    spans: &Spans,
) -> Option<Believed<'a>> {
    best_of(subject, requests, (spans, |class| class == ChangeClass::Emergency))
}

fn best_of<'a>(
    subject: &Subject<'_>,
    requests: &[&'a ChangeRequest],
    (spans, counts): (&Spans, fn(ChangeClass) -> bool),
) -> Option<Believed<'a>> {
    let said = requests.iter().copied().filter_map(|request| {
        let (class, level) = of_one(subject, request, spans)?;
        counts(class).then_some((request, class, level))
    });
    let believed = said.min_by_key(|(request, class, level)| {
        (rank(*class), *level, Reverse(request.start), &request.source, &request.id)
    });
    believed.map(|(request, class, level)| Believed {
        request,
        decision: Decision {
            class: Some(class),
            rule: rule(request, class),
            name: request.name(),
            level,
            says: says(request, class, level),
        },
    })
}

/// An emergency is believed before it is approved, and not for ever.
fn rule(request: &ChangeRequest, class: ChangeClass) -> RuleKind {
    let approved = request.approval == Approval::Approved;
    let believed = class == ChangeClass::Emergency && !approved;
    let quiet = mutant::active(Mutant::UnapprovedEmergenciesAreQuiet);
    if believed && !quiet { RuleKind::Claim } else { RuleKind::Request }
}

impl Believed<'_> {
    /// Whether it is an emergency that begins after the change it speaks of.
    pub fn came_after(&self, subject: &Subject<'_>, spans: &Spans) -> bool {
        self.decision.class == Some(ChangeClass::Emergency)
            && subject.at < earlier(self.request.start, spans.slack)
    }

    /// Whether it is an emergency that names no item, so that what a package brought to its hosts
    /// may have had nothing to do with it.
    pub fn may_be_patching(&self) -> bool {
        self.decision.class == Some(ChangeClass::Emergency)
            && self.decision.level != Some(Level::Item)
            && !mutant::active(Mutant::EmergenciesClaimPatching)
    }
}

/// Whether a request, approved or not, covers `subject` and its time has come: then nothing about
/// it is noise.
pub fn is_open(subject: &Subject<'_>, requests: &[&ChangeRequest], spans: &Spans) -> bool {
    requests.iter().any(|request| {
        matches!(request.scope.fit(subject), Fit::Covers(_))
            && timing(subject.at, request, spans) == Timing::Inside
    })
}

/// Where a change stands to the time of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timing {
    Inside,
    Early,
    Late,
    Outside,
}

fn timing(at: Timestamp, request: &ChangeRequest, spans: &Spans) -> Timing {
    let within = |from: Timestamp, until: Timestamp| from <= at && at < until;
    let start = earlier(request.start, spans.slack);
    let end = later(request.end, spans.slack);
    if within(start, end) {
        Timing::Inside
    } else if within(earlier(request.start, spans.early), start) {
        Timing::Early
    } else if within(end, later(request.end, spans.late)) {
        Timing::Late
    } else {
        Timing::Outside
    }
}

fn of_one(
    subject: &Subject<'_>,
    request: &ChangeRequest,
    spans: &Spans,
) -> Option<(ChangeClass, Option<Level>)> {
    let timing = timing(subject.at, request, spans);
    let approved =
        request.approval == Approval::Approved || mutant::active(Mutant::EveryRequestIsApproved);
    let level = match request.scope.fit(subject) {
        Fit::Covers(level) => level,
        _ if mutant::active(Mutant::RequestsCoverEverything) => Level::Place,
        // One that names nothing was refused at the door; it covers nothing.
        Fit::Everything | Fit::Elsewhere => return None,
        Fit::Beside => {
            let near = approved && timing == Timing::Inside;
            return near.then_some((ChangeClass::OutOfScope, None));
        }
    };
    if request.kind == RequestKind::Emergency && request.approval != Approval::Rejected {
        let from = earlier(request.start, spans.emergency.max(spans.slack));
        // Nobody has approved it yet: it is believed for as long as one may be written down late.
        let unapproved = later(request.start, spans.emergency.max(spans.slack));
        let end = if approved { request.end } else { request.end.min(unapproved) };
        if from <= subject.at && subject.at < later(end, spans.slack) {
            return Some((ChangeClass::Emergency, Some(level)));
        }
        if approved {
            return None;
        }
    }
    let class = match (approved, timing) {
        (true, Timing::Inside) => ChangeClass::Expected,
        (true, Timing::Early) => ChangeClass::Early,
        (true, Timing::Late) => ChangeClass::Late,
        (false, Timing::Inside) => ChangeClass::Unapproved,
        (false, Timing::Early | Timing::Late) | (_, Timing::Outside) => return None,
    };
    Some((class, Some(level)))
}

/// What is said for a change counts before what is said against it.
fn rank(class: ChangeClass) -> u8 {
    match class {
        ChangeClass::Expected => 0,
        ChangeClass::Emergency => 1,
        ChangeClass::Early | ChangeClass::Late => 2,
        ChangeClass::Unapproved => 3,
        ChangeClass::OutOfScope
        | ChangeClass::Unauthorised
        | ChangeClass::Excepted
        | ChangeClass::Reverted
        | ChangeClass::Flapping
        | ChangeClass::Volatile
        | ChangeClass::Routine => 4,
    }
}

/// The longest news of one request, in bytes: some lines of the twenty that one event tells.
const NEWS_BYTES: usize = 400;

fn shortened(mut text: String) -> String {
    if text.len() > NEWS_BYTES {
        text.truncate(text.floor_char_boundary(NEWS_BYTES - '…'.len_utf8()));
        text.push('…');
    }
    text
}

/// A moment in UTC, to the minute where it is a whole one.
fn wall(at: Timestamp) -> String {
    let format = if at.as_second() % 60 == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
    at.strftime(format).to_string()
}

fn says(request: &ChangeRequest, class: ChangeClass, level: Option<Level>) -> String {
    let (name, approval) = (request.name(), request.approval.as_str());
    let span = format!("{} to {} UTC", wall(request.start), wall(request.end));
    let on = level.map_or("", Level::as_str);
    match class {
        ChangeClass::OutOfScope => {
            let scope = request.scope.words();
            format!("{approval} request {name} is open from {span} and names {scope}")
        }
        ChangeClass::Emergency if request.approval != Approval::Approved => {
            format!("emergency request {name}, {span}, names its {on}; nobody has approved it yet")
        }
        ChangeClass::Emergency => format!("emergency request {name}, {span}, names its {on}"),
        ChangeClass::Early => format!("before {approval} request {name}, {span}, names its {on}"),
        ChangeClass::Late => format!("after {approval} request {name}, {span}, names its {on}"),
        ChangeClass::Expected
        | ChangeClass::Unapproved
        | ChangeClass::Unauthorised
        | ChangeClass::Excepted
        | ChangeClass::Reverted
        | ChangeClass::Flapping
        | ChangeClass::Volatile
        | ChangeClass::Routine => {
            format!("{approval} request {name}, {span}, names its {on}")
        }
    }
}

fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
