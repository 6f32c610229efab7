//! What a person should know: open drift and deviations, worst first.

use askama::Template;
use driftline_protocol::ids::HostId;

use super::value::{class_words, readable_key, sides};
use super::{Frame, Moment, PageError, Query, Reader, STYLE_PATH, link};
use crate::analysis::classify::weigh::{FindingClass, Meant};
use crate::analysis::finding::{Finding, FindingKind, Resolution, Severity, Status};
use crate::analysis::sight;
use crate::finding_list::{Among, FindingList, Whereabouts};
use crate::owners::Owners;
use crate::permits::Permits;
use crate::standards::Standards;
use crate::store::{Badness, ChangeId, Cursor, FindingFilter, FindingRecord, WorstFilter};

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
    /// Fields of free text: name, heading and what was typed.
    fields: Vec<(&'static str, &'static str, String)>,
    /// Fields of closed lists: name, heading, and each word with whether it is chosen.
    lists: Vec<(&'static str, &'static str, Words)>,
    all: bool,
    /// Whether only some of them were asked for.
    narrowed: bool,
    next: Option<String>,
    findings: Vec<FindingRow>,
}

/// Each word of a list, and whether it is the one that was chosen.
type Words = Vec<(&'static str, bool)>;

/// The open findings that ask for somebody: neither permitted nor meant nor noise.
pub(super) const ASKING: &str = "asking";

/// Those that were meant or are noise.
pub(super) const QUIET: &str = "quiet";

/// Those that an exception permits.
pub(super) const PERMITTED: &str = "permitted";

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
    let mut permits = Permits::at(store, standards, frame.now)?;
    let mut owners = Owners::at(store, standards, frame.now);
    let list = asked(store, frame, query)?;
    let text = |field: &str| query.get(field).map(str::to_owned);
    let permitted = match query.get("class") {
        Some(ASKING | QUIET) => Some(false),
        Some(PERMITTED) => Some(true),
        Some(_) | None => None,
    };
    let among = Among { owner: text("owner"), part: text("part"), permitted };
    let (found, last) = list.page(store, (&mut owners, &mut permits), (&among, SHOWN))?;
    let next = last.map(|last| query.with("/findings", "after", &list.place(&last)));
    let fields = FIELDS.map(|(name, heading)| (name, heading, text(name).unwrap_or_default()));
    let lists = lists(query);
    let is_any = |(_, _, words): &(_, _, Words)| words.first().is_some_and(|(_, chosen)| *chosen);
    let typed = fields.iter().any(|(_, _, text)| !text.is_empty());
    let page = Page {
        style: STYLE_PATH,
        all: matches!(list, FindingList::Newest(_)),
        narrowed: typed || query.get("after").is_some() || !lists.iter().all(is_any),
        fields: fields.into(),
        lists,
        next,
        findings: finding_rows(&found, (permits, owners), frame)?,
    };
    Ok(page.render()?)
}

/// What may be typed: the name of each field and its heading.
const FIELDS: [(&str, &str); 6] = [
    ("host", "Host"),
    ("service", "Service"),
    ("site", "Site"),
    ("group", "Group"),
    ("part", "Part"),
    ("owner", "Owner"),
];

/// What may be chosen, the word for every one first.
fn lists(query: &Query) -> Vec<(&'static str, &'static str, Words)> {
    let lists: [(&str, &str, Vec<&'static str>); 3] = [
        ("kind", "Kind", FindingKind::ALL.map(FindingKind::as_str).into()),
        ("severity", "Severity", Severity::ALL.map(Severity::as_str).into()),
        (
            "class",
            "Class",
            [ASKING, QUIET, PERMITTED]
                .into_iter()
                .chain(FindingClass::all().map(FindingClass::as_str))
                .collect(),
        ),
    ];
    let list = |(name, heading, words): (&'static str, &'static str, Vec<&'static str>)| {
        let chosen = query.get(name).unwrap_or(ANY);
        let words = std::iter::once(ANY).chain(words).map(|word| (word, word == chosen));
        (name, heading, words.collect())
    };
    lists.into_iter().map(list).collect()
}

/// What a query asks of the store.
fn asked(store: &dyn Reader, frame: &Frame, query: &Query) -> Result<FindingList, PageError> {
    let text = |field: &str| query.get(field).map(str::to_owned);
    let whereabouts = Whereabouts {
        host: query.id::<HostId>("host", "the name of a host")?,
        service: text("service"),
        site: text("site"),
        group: text("group"),
    };
    let hosts = whereabouts.hosts(store, &frame.config)?;
    let classes = classes(query)?;
    let kind = word(query, "kind", FindingKind::named)?;
    let severity = word(query, "severity", |word| {
        Severity::ALL.into_iter().find(|severity| severity.as_str() == word)
    })?;
    if query.get("status") == Some("all") {
        let after = query.id::<Cursor>("after", PLACE)?;
        let more = FindingFilter::default();
        let filter = FindingFilter { hosts, kind, severity, classes, after, ..more };
        return Ok(FindingList::Newest(filter));
    }
    let after = query.id::<Badness>("after", PLACE)?;
    let more = WorstFilter::default();
    Ok(FindingList::Worst(WorstFilter { hosts, kind, severity, classes, after, ..more }))
}

/// One word of a closed list; nothing for the word that means any.
fn word<T>(
    query: &Query,
    field: &'static str,
    named: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, PageError> {
    let word = query.get(field).unwrap_or(ANY);
    if word == ANY {
        return Ok(None);
    }
    let rule = "any, or one of those that the form lists";
    named(word).map(Some).ok_or(PageError::Query { field, rule })
}

/// The word for every class.
const ANY: &str = "any";

/// The classes asked for; any unless the query says otherwise.
fn classes(query: &Query) -> Result<Vec<FindingClass>, PageError> {
    let all = FindingClass::all();
    Ok(match query.get("class").unwrap_or(ANY) {
        ANY | PERMITTED => Vec::new(),
        ASKING => all.filter(|class| !class.is_quiet()).collect(),
        QUIET => all.filter(|class| class.is_quiet()).collect(),
        _ => word(query, "class", FindingClass::named)?.into_iter().collect(),
    })
}
