//! One finding: what differs, from what, who answers for it, what was done, and the forms by which
//! a person does something about it.

use askama::Template;
use driftline_protocol::snapshot::Reason;

use super::findings::{FindingRow, finding_rows};
use super::value::{readable_key, short};
use super::{Frame, Moment, PageError, Reader, STYLE_PATH};
use crate::analysis::agreement::Subject;
use crate::analysis::finding::{Finding, FindingKind, Resolution, Status};
use crate::analysis::rules::Rule;
use crate::analysis::sight::{Said, SaidItem};
use crate::ingest::{said, sight};
use crate::owners::Owners;
use crate::permits::Permits;
use crate::standards::Standards;
use crate::store::{ApprovalRecord, FindingFilter, FindingRecord, MAX_LIMIT, StoreError};

#[derive(Template)]
#[template(path = "finding.html")]
struct Page {
    style: &'static str,
    row: FindingRow,
    /// The rule that is not met, where it is one that is still on.
    rule: Option<RuleWords>,
    is_open: bool,
    is_drift: bool,
    turn: String,
    /// The tag of it as it stands; empty once it is over, since nothing can be accepted then.
    etag: String,
    openings: u32,
    /// What its part says, where all of that is accepted.
    says: Option<Says>,
    lines: Vec<Line>,
    /// What was asked by one of its forms and refused; empty where the page is only read.
    draft: Draft,
}

/// What a form of the page brought that was refused, and why: the page is drawn again with it, so
/// that nobody types twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The name of the act, as the form sent it.
    pub act: String,
    /// What was typed: to whom, or what is noted.
    pub text: String,
    /// Why it is accepted.
    pub reason: String,
    /// Until when.
    pub expires: String,
    /// In which time zone that is written.
    pub zone: String,
    /// What was read when the form was filled in. It goes into the form again: who corrects a slip
    /// accepts what was read before it, and is told where the host has moved on since.
    pub etag: String,
    /// Why it was refused, in a sentence.
    pub problem: String,
}

impl Draft {
    /// Why one of `acts` was refused; empty where another form or none was sent.
    fn problem_of(&self, acts: &[&str]) -> &str {
        if acts.contains(&self.act.as_str()) { &self.problem } else { "" }
    }

    /// What was typed for one of `acts`.
    fn text_of(&self, acts: &[&str]) -> &str {
        if acts.contains(&self.act.as_str()) { &self.text } else { "" }
    }

    /// Where on the page its form is.
    fn anchor(&self) -> &'static str {
        match self.act.as_str() {
            "accept" => "accept",
            "assign" => "assign",
            _ => "see",
        }
    }
}

/// What a rule asks for and why, and what to do.
struct RuleWords {
    title: String,
    reason: String,
    /// Only addresses of the web are links: a pack is written by people, but not all by us.
    remedy: String,
}

impl RuleWords {
    fn new(rule: &Rule) -> Self {
        let remedy = rule.remedy.clone().filter(|url| url.starts_with("https://"));
        Self {
            title: rule.title.clone(),
            reason: rule.reason.clone(),
            remedy: remedy.unwrap_or_default(),
        }
    }
}

struct Says {
    unread: &'static str,
    wrong: String,
    items: Vec<(String, String)>,
    left_out: String,
}

impl Says {
    fn new(said: &Said) -> Self {
        let item = |one: &SaidItem| (readable_key(&one.key), short(Some(&one.now)));
        Self {
            unread: said.unread.map(Reason::as_str).unwrap_or_default(),
            wrong: said.wrong.as_ref().map(|wrong| format!(": {wrong}")).unwrap_or_default(),
            items: said.items.iter().map(item).collect(),
            left_out: said.left_out(),
        }
    }
}

struct Line {
    at: Moment,
    who: String,
    act: &'static str,
    text: String,
}

/// Draws the page, with what was typed into one of its forms where that was refused.
///
/// # Errors
/// [`PageError::NotFound`] for an unknown finding, [`PageError::Store`] when the store fails.
pub(super) fn page(
    (store, standards): (&dyn Reader, &Standards),
    frame: &Frame,
    (number, draft): (&str, Draft),
) -> Result<String, PageError> {
    let unknown = || PageError::NotFound { what: "finding" };
    let number = number.parse().map_err(|_| unknown())?;
    let filter = FindingFilter { number: Some(number), limit: 1, ..FindingFilter::default() };
    let found = store.findings(&filter)?;
    let record = found.first().ok_or_else(unknown)?;
    let permits = Permits::at(store, standards, frame.now)?;
    let owners = Owners::at(store, standards, frame.now);
    let row = finding_rows(&found, (permits, owners), frame)?.pop().ok_or_else(unknown)?;
    let lines = store.acts(number, MAX_LIMIT)?.into_iter().map(|act| Line {
        at: Moment::new(act.at, frame.now),
        who: act.who,
        act: act.act.as_str(),
        text: act.text,
    });
    let is_open = record.finding.status == Status::Open;
    let rule = record.finding.id.rule.as_ref().and_then(|name| standards.rules.find(name));
    let page = Page {
        style: STYLE_PATH,
        rule: rule.map(RuleWords::new),
        is_open,
        is_drift: record.finding.id.kind == FindingKind::Drift,
        turn: turn((store, standards), record)?,
        etag: match is_open {
            true if draft.etag.is_empty() => sight(store, &record.finding)?.etag,
            true => draft.etag.clone(),
            false => String::new(),
        },
        openings: record.openings,
        says: if is_open { said(store, &record.finding)?.as_ref().map(Says::new) } else { None },
        lines: lines.collect(),
        row,
        draft,
    };
    Ok(page.render()?)
}

/// Which side moved: the host away from its baseline or back to it, or the baseline.
fn turn(
    (store, standards): (&dyn Reader, &Standards),
    record: &FindingRecord,
) -> Result<String, StoreError> {
    let finding = &record.finding;
    if finding.id.kind != FindingKind::Drift {
        return Ok(String::new());
    }
    let moved = |at| approval_at((store, standards), finding, at);
    let led = record.meant.as_ref().is_some_and(|meant| meant.change.is_some());
    let enrolled = store.host(&finding.id.host)?.map(|host| host.enrolled_at);
    Ok(match finding.status {
        Status::Open if led => "The host moved away from its baseline.".to_owned(),
        Status::Open => match moved(finding.first_seen)? {
            Some(approval) if enrolled.is_some_and(|enrolled| enrolled > approval.at) => format!(
                "The host has differed from the baseline of {} since it was first read. {}",
                approval.subject,
                words(&approval)
            ),
            Some(approval) => format!(
                "An intentional change: the baseline of {} moved, and this host has not followed. \
                 {}",
                approval.subject,
                words(&approval)
            ),
            None => "The host differs from its baseline.".to_owned(),
        },
        Status::Resolved { by: Resolution::Returned, .. } => {
            "A corrective change: the host moved back to its baseline.".to_owned()
        }
        Status::Resolved { by: Resolution::Accepted, at } => {
            let by = moved(at)?.map(|approval| words(&approval)).unwrap_or_default();
            format!("An intentional change: the baseline moved to what the host has. {by}")
        }
        Status::Resolved { by: Resolution::Retired, .. } => "The host was retired.".to_owned(),
        Status::Resolved { by: Resolution::Withdrawn, .. } => {
            "Nothing holds the host to this any more.".to_owned()
        }
    })
}

fn words(approval: &ApprovalRecord) -> String {
    let ApprovalRecord { number, who, why, basis, .. } = approval;
    format!("Approval {number} by {who}, {}: {why}", basis.words())
}

/// The approval of the host or of one of its groups that a finding began or ended with.
fn approval_at(
    (store, standards): (&dyn Reader, &Standards),
    finding: &Finding,
    at: jiff::Timestamp,
) -> Result<Option<ApprovalRecord>, StoreError> {
    let host = &finding.id.host;
    let kind = store.host(host)?.map(|record| record.kind).unwrap_or_default();
    let groups = standards.config.place(host, kind).groups;
    let subjects = [Subject::Host(host.clone())].into_iter();
    for subject in subjects.chain(groups.into_iter().map(Subject::Group)) {
        // A group's hosts are held to it a moment later than it moved.
        let near = |one: &ApprovalRecord| match one.subject {
            Subject::Host(_) => one.at == at,
            Subject::Group(_) => {
                (0..=FOLLOWS_SECONDS).contains(&at.duration_since(one.at).as_secs())
            }
        };
        let found = store.approvals(Some(&subject), None, MAX_LIMIT)?.into_iter().find(near);
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// How long after the approval of a group its last host is held to it, in seconds.
const FOLLOWS_SECONDS: i64 = 60;
