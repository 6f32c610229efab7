//! What was agreed of hosts and groups: the list, and one with its approvals and what differs.

use askama::Template;
use driftline_protocol::ids::HostId;

use super::value::{readable_key, sides};
use super::{Frame, Moment, PageError, Query, Reader, STYLE_PATH, link};
use crate::analysis::agreement::{Exemption, Subject};
use crate::approvals::{Overridden, compare, members, overridden};
use crate::standards::Standards;
use crate::store::{ApprovalRecord, DEFAULT_LIMIT};
use crate::words::counted;

/// How many differences and hosts a page shows.
const SHOWN: usize = 200;

#[derive(Template)]
#[template(path = "baselines.html")]
struct List {
    style: &'static str,
    rows: Vec<Row>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "baseline.html")]
struct Page {
    style: &'static str,
    subject: String,
    is_group: bool,
    is_removed: bool,
    hosts: Vec<(String, String)>,
    more_hosts: usize,
    /// Hosts on which some of it does not count, since they were approved by themselves later.
    overridden: Vec<OverriddenRow>,
    exempt: Vec<String>,
    approvals: Vec<Row>,
    differences: Vec<Difference>,
    more: bool,
}

struct Row {
    number: i64,
    subject: String,
    link: String,
    at: Moment,
    who: String,
    what: String,
    why: String,
}

struct OverriddenRow {
    host: String,
    link: String,
    approval: i64,
    at: Moment,
    parts: String,
}

struct Difference {
    host: String,
    host_link: String,
    part: String,
    part_link: String,
    key: String,
    agreed: String,
    now: String,
}

/// Draws the list.
///
/// # Errors
/// [`PageError::Store`] when the store fails.
pub(super) fn list(store: &dyn Reader, frame: &Frame, query: &Query) -> Result<String, PageError> {
    let found = store.baselines(query.get("after").unwrap_or_default(), DEFAULT_LIMIT)?;
    let last = found.last().filter(|_| found.len() >= DEFAULT_LIMIT as usize);
    let next = last.map(|last| query.with("/baselines", "after", &last.subject.to_string()));
    let rows = found.iter().map(|one| row(one, frame)).collect();
    Ok(List { style: STYLE_PATH, rows, next }.render()?)
}

/// Draws one.
///
/// # Errors
/// [`PageError::NotFound`] where nothing was agreed, [`PageError::Store`] when the store fails.
pub(super) fn page(
    (store, standards): (&dyn Reader, &Standards),
    frame: &Frame,
    name: &str,
) -> Result<String, PageError> {
    let unknown = || PageError::NotFound { what: "baseline" };
    let name = percent_decoded(name);
    let subject: Subject = name.parse().map_err(|_| unknown())?;
    let approvals = store.approvals(Some(&subject), None, DEFAULT_LIMIT)?;
    let newest = approvals.first().ok_or_else(unknown)?;
    let hosts = members(store, standards, &subject)?;
    let overridden = overridden_rows((store, &subject), &hosts, frame)?;
    let (found, more) = compare((store, standards), &subject, frame.now)?;
    let differences = found.iter().take(SHOWN).map(|one| {
        let (agreed, now) = sides(one.desired.as_ref(), one.current.as_ref());
        let id = &one.id;
        Difference {
            host: id.host.to_string(),
            host_link: link::host(&id.host),
            part: id.part.to_string(),
            part_link: link::part(&id.host, &id.source, &id.part),
            key: id.key.as_ref().map_or_else(|| "the whole part".to_owned(), readable_key),
            agreed,
            now,
        }
    });
    let page = Page {
        style: STYLE_PATH,
        is_group: matches!(subject, Subject::Group(_)),
        is_removed: newest.removes(),
        subject: subject.to_string(),
        more_hosts: hosts.len().saturating_sub(SHOWN),
        hosts: hosts.iter().take(SHOWN).map(|host| (host.to_string(), link::host(host))).collect(),
        overridden,
        exempt: newest.exempt.iter().map(Exemption::words).collect(),
        differences: differences.collect(),
        more: more || found.len() > SHOWN,
        approvals: approvals.iter().map(|one| row(one, frame)).collect(),
    };
    Ok(page.render()?)
}

/// The hosts of a group on which some of its baseline does not count.
fn overridden_rows(
    (store, subject): (&dyn Reader, &Subject),
    hosts: &[HostId],
    frame: &Frame,
) -> Result<Vec<OverriddenRow>, PageError> {
    let baseline = match subject {
        Subject::Host(_) => None,
        Subject::Group(_) => store.baseline(subject)?,
    };
    let Some(baseline) = baseline else { return Ok(Vec::new()) };
    let (found, _) = overridden(store, (hosts, &baseline))?;
    let row = |one: Overridden| OverriddenRow {
        link: link::baseline(&Subject::Host(one.host.clone())),
        host: one.host.to_string(),
        approval: one.approval,
        at: Moment::new(one.at, frame.now),
        parts: counted(one.parts as u64, "part"),
    };
    Ok(found.into_iter().take(SHOWN).map(row).collect())
}

/// The name in an address: a group's may hold anything.
fn percent_decoded(text: &str) -> String {
    let escaped = text.replace('+', "%2B");
    form_urlencoded::parse(escaped.as_bytes())
        .next()
        .map_or_else(String::new, |(name, _)| name.into())
}

fn row(one: &ApprovalRecord, frame: &Frame) -> Row {
    Row {
        number: one.number,
        subject: one.subject.to_string(),
        link: link::baseline(&one.subject),
        at: Moment::new(one.at, frame.now),
        who: one.who.clone(),
        what: one.what(),
        why: one.why.clone(),
    }
}
