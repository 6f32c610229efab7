//! What a person should know: open drift and deviations, worst first.

use std::collections::BTreeSet;

use askama::Template;
use driftline_protocol::ids::HostId;

use super::value::{class_words, readable_key, sides};
use super::{Frame, Moment, PageError, Query, Reader, STYLE_PATH, link};
use crate::analysis::classify::weigh::{FindingClass, Meant};
use crate::analysis::finding::{Finding, Resolution, Status};
use crate::analysis::sight;
use crate::finding_list::FindingList;
use crate::owners::Owners;
use crate::permits::Permits;
use crate::standards::Standards;
use crate::store::{
    Badness, ChangeId, Cursor, FindingFilter, FindingRecord, HostRecord, WorstFilter,
};

/// One finding as a row of a table.
pub(super) struct FindingRow {
    /// Its number.
    pub number: i64,
    /// The host's name.
    pub host: String,
    /// The host's page.
    pub host_link: String,
    /// Drift or deviation.
    pub kind: &'static str,
    /// The rule that is not met; empty where there is none.
    pub rule: String,
    /// How bad.
    pub severity: &'static str,
    /// The part.
    pub part: String,
    /// The part's page.
    pub part_link: String,
    /// The item.
    pub key: String,
    /// As agreed.
    pub desired: String,
    /// As it is.
    pub current: String,
    /// Since when.
    pub since: Moment,
    /// Open, or how it ended.
    pub status: String,
    /// What was meant by the change that led to it, once that was judged.
    pub meant: Option<MeantRow>,
    /// Who answers for it, and whether somebody has said so.
    pub owner: String,
    /// What is looked at last: what was meant or is noise, and then what somebody permits.
    pub rank: u8,
}

/// What was meant by the change that led to a finding.
pub(super) struct MeantRow {
    /// Its class, of the style sheet too.
    pub class: &'static str,
    /// The same in words for people.
    pub words: String,
    /// The rule that gave the class, in a sentence.
    pub because: String,
    /// That change's page; empty where none is on record.
    pub change_link: String,
}

#[derive(Template)]
#[template(path = "findings.html")]
struct Page {
    style: &'static str,
    host: String,
    service: String,
    owner: String,
    classes: Vec<(&'static str, bool)>,
    all: bool,
    /// Whether only some of them were asked for.
    narrowed: bool,
    next: Option<String>,
    findings: Vec<FindingRow>,
}

/// What `after` must be.
const PLACE: &str = "what the link to the next page says";

/// How many a page shows.
const SHOWN: u32 = 500;

/// Rows for `records`, in their order; what somebody permits comes last.
pub(super) fn finding_rows(
    records: &[FindingRecord],
    (mut permits, mut owners): (Permits<'_>, Owners<'_>),
    frame: &Frame,
) -> Result<Vec<FindingRow>, PageError> {
    owners.learn(records)?;
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let mut row = row(record, frame);
        let (owner, handled) = owners.of(record)?;
        row.owner = handled.assigned_to.unwrap_or(owner);
        if let Some(by) = handled.acknowledged_by {
            row.owner = format!("{} (seen by {by})", row.owner);
        }
        let open = record.finding.status == Status::Open;
        if let Some(by) = permits.of(&record.finding)?.filter(|_| open) {
            row.status = format!("excepted by {}", by.name);
            row.rank = 2;
        }
        rows.push(row);
    }
    rows.sort_by_key(|row| row.rank);
    Ok(rows)
}

fn row(record: &FindingRecord, frame: &Frame) -> FindingRow {
    let [desired, current] = sight::sides(&record.finding, |desired, current| {
        let (desired, current) = sides(desired, current);
        [desired, current]
    });
    let Finding { id, domain: _, severity, desired: _, current: _, first_seen, status } =
        &record.finding;
    FindingRow {
        number: record.number,
        host: id.host.to_string(),
        host_link: link::host(&id.host),
        kind: id.kind.as_str(),
        rule: id.rule.as_ref().map(ToString::to_string).unwrap_or_default(),
        severity: severity.as_str(),
        part: id.part.to_string(),
        part_link: link::part(&id.host, &id.source, &id.part),
        key: id.key.as_ref().map_or_else(|| "the whole part".to_owned(), readable_key),
        desired,
        current,
        since: Moment::new(*first_seen, frame.now),
        status: match status {
            Status::Open => "open",
            Status::Resolved { by: Resolution::Returned, .. } => "returned",
            Status::Resolved { by: Resolution::Accepted, .. } => "accepted",
            Status::Resolved { by: Resolution::Retired, .. } => "host retired",
            Status::Resolved { by: Resolution::Withdrawn, .. } => "withdrawn",
        }
        .to_owned(),
        meant: record.meant.as_ref().map(|meant| meant_row(meant, record.class())),
        owner: String::new(),
        rank: u8::from(record.class().is_quiet()),
    }
}

fn meant_row(meant: &Meant, class: FindingClass) -> MeantRow {
    let change = meant.change.map(|number| link::change(ChangeId(number)));
    MeantRow {
        class: meant.decision.class.map_or("unclassed", |_| class.as_str()),
        words: class_words(meant.decision.class),
        because: meant.decision.says.clone(),
        change_link: change.unwrap_or_default(),
    }
}

/// Draws the page.
///
/// # Errors
/// [`PageError::Query`] for a field that cannot be, [`PageError::Store`] when the store fails.
pub(super) fn page(
    (store, standards): (&dyn Reader, &Standards),
    frame: &Frame,
    query: &Query,
) -> Result<String, PageError> {
    let permits = Permits::at(store, standards, frame.now)?;
    let mut owners = Owners::at(store, standards, frame.now);
    let list = asked(store, frame, query)?;
    let owner = query.get("owner").unwrap_or_default();
    let wanted = Some(owner).filter(|owner| !owner.is_empty());
    let (found, last) = list.page(store, &mut owners, (wanted, SHOWN))?;
    let next = last.map(|last| query.with("/findings", "after", &list.place(&last)));
    let chosen = query.get("class").unwrap_or(ANY);
    let words = std::iter::once(ANY).chain(FindingClass::all().map(FindingClass::as_str));
    let narrows =
        ["host", "service", "owner", "after"].map(|field| query.get(field).unwrap_or_default());
    let page = Page {
        style: STYLE_PATH,
        host: query.get("host").unwrap_or_default().to_owned(),
        service: query.get("service").unwrap_or_default().to_owned(),
        owner: owner.to_owned(),
        classes: words.map(|class| (class, class == chosen)).collect(),
        all: matches!(list, FindingList::Newest(_)),
        narrowed: chosen != ANY || narrows.iter().any(|text| !text.is_empty()),
        next,
        findings: finding_rows(&found, (permits, owners), frame)?,
    };
    Ok(page.render()?)
}

/// What a query asks of the store.
fn asked(store: &dyn Reader, frame: &Frame, query: &Query) -> Result<FindingList, PageError> {
    let host = query.id::<HostId>("host", "the name of a host")?;
    let classes = classes(query)?;
    if query.get("status") == Some("all") {
        let after = query.id::<Cursor>("after", PLACE)?;
        let filter = FindingFilter { host, classes, after, ..FindingFilter::default() };
        return Ok(FindingList::Newest(filter));
    }
    let hosts = match query.get("service").unwrap_or_default() {
        "" => host.map(|host| [host].into()),
        service => Some(of_service(store, (service, frame), host.as_ref())?),
    };
    let after = query.id::<Badness>("after", PLACE)?;
    Ok(FindingList::Worst(WorstFilter { hosts, classes, after, ..WorstFilter::default() }))
}

/// The word for every class.
const ANY: &str = "any";

/// The classes asked for; any unless the query says otherwise.
fn classes(query: &Query) -> Result<Vec<FindingClass>, PageError> {
    let word = query.get("class").unwrap_or(ANY);
    if word == ANY {
        return Ok(Vec::new());
    }
    let found = FindingClass::named(word);
    let rule = "any or a class of a finding, such as unauthorised";
    found.map(|class| vec![class]).ok_or(PageError::Query { field: "class", rule })
}

/// The hosts behind `service`, or `only` if it is one of them: those whose groups its calls pass,
/// and those that serve it where they stand.
fn of_service(
    store: &dyn Reader,
    (service, frame): (&str, &Frame),
    only: Option<&HostId>,
) -> Result<BTreeSet<HostId>, PageError> {
    let serves = |host: &HostRecord| {
        let serves = frame.config.served(&frame.config.place(&host.id, host.kind));
        serves.iter().any(|served| served.service.as_deref() == Some(service))
    };
    let hosts = store.hosts()?.into_iter();
    let hosts = hosts.filter(|host| only.is_none_or(|only| *only == host.id)).filter(serves);
    Ok(hosts.map(|host| host.id).collect())
}
