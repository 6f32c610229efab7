//! What one section of a host holds: its parts, or the items of one part.

use askama::Template;
use driftline_protocol::ids::{HostId, PartName, SourceName};
use driftline_protocol::snapshot::Part;

use super::value::{lines, readable_key};
use super::{Frame, Moment, PageError, Query, Reader, STYLE_PATH, link};
use crate::analysis::sight;
use crate::store::{PartRecord, Unread};

/// How many parts one page lists; a search narrows further.
const LISTED: usize = 500;

#[derive(Template)]
#[template(path = "section.html")]
struct SectionPage {
    style: &'static str,
    host: String,
    host_link: String,
    source: String,
    observed: Moment,
    search: String,
    total: usize,
    left_out: usize,
    parts: Vec<PartRow>,
}

struct PartRow {
    name: String,
    link: String,
    unread: String,
}

#[derive(Template)]
#[template(path = "part.html")]
struct PartPage {
    style: &'static str,
    host: String,
    host_link: String,
    source: String,
    section_link: String,
    part: String,
    unread: String,
    reading: String,
    items: Vec<ItemRow>,
    history: String,
}

struct ItemRow {
    key: String,
    place: String,
    lines: Vec<String>,
}

/// Draws the list of parts, or with `part` in the query the items of one.
///
/// # Errors
/// [`PageError::NotFound`] for an unknown host, section or part; [`PageError::Store`] when the
/// store fails.
pub(super) fn page(
    store: &dyn Reader,
    frame: &Frame,
    (host, source): (&str, &str),
    query: &Query,
) -> Result<String, PageError> {
    let host: HostId = host.parse().map_err(|_| PageError::NotFound { what: "host" })?;
    let unknown = || PageError::NotFound { what: "section" };
    let source: SourceName = source.parse().map_err(|_| unknown())?;
    let parts = store.section_parts(&host, &source)?;
    match query.id::<PartName>("part", "the name of a file or table")? {
        Some(name) => one(store, (&host, &source), &parts, &name),
        None => {
            let sections = store.sections(&host)?;
            let section = sections.iter().find(|s| s.source == source).ok_or_else(unknown)?;
            let observed = Moment::new(section.observed_at, frame.now);
            list((&host, &source), &parts, query, observed)
        }
    }
}

fn list(
    (host, source): (&HostId, &SourceName),
    parts: &[PartRecord],
    query: &Query,
    observed: Moment,
) -> Result<String, PageError> {
    let search = query.get("search").unwrap_or_default();
    let found: Vec<_> = parts.iter().filter(|p| p.part.as_str().contains(search)).collect();
    let rows = found.iter().take(LISTED).map(|record| PartRow {
        name: record.part.to_string(),
        link: link::part(host, source, &record.part),
        unread: unread(record.unread),
    });
    let page = SectionPage {
        style: STYLE_PATH,
        host: host.to_string(),
        host_link: link::host(host),
        source: source.to_string(),
        observed,
        search: search.to_owned(),
        total: parts.len(),
        left_out: found.len().saturating_sub(LISTED),
        parts: rows.collect(),
    };
    Ok(page.render()?)
}

fn one(
    store: &dyn Reader,
    (host, source): (&HostId, &SourceName),
    parts: &[PartRecord],
    name: &PartName,
) -> Result<String, PageError> {
    let unknown = || PageError::NotFound { what: "part" };
    let record = parts.iter().find(|record| record.part == *name).ok_or_else(unknown)?;
    // Where the newest state is unobserved, the last one that was seen is the better answer, said
    // as such.
    let shown = record.seen.unwrap_or(record.digest);
    let part = store.part(&shown)?.ok_or_else(unknown)?;
    let wrong = part.observed().and_then(sight::wrong).map(|wrong| format!(" ({wrong})"));
    let wrong = wrong.unwrap_or_default();
    let (reading, items) = match &part {
        Part::Unobserved(reason) => (format!("never observed: {reason}"), Vec::new()),
        Part::Observed(observed) => {
            let reading = &observed.reading;
            let rows = observed.items.iter().map(|(key, item)| ItemRow {
                key: readable_key(key),
                place: item.rank.map_or(String::new(), |rank| (rank + 1).to_string()),
                lines: lines(&item.value),
            });
            (format!("{} (version {})", reading.parser, reading.version), rows.collect())
        }
    };
    let history = Query::default().with("/timeline", "host", host.as_str());
    let history = format!("{history}&{}", query_pair("source", source.as_str()));
    let page = PartPage {
        style: STYLE_PATH,
        host: host.to_string(),
        host_link: link::host(host),
        source: source.to_string(),
        section_link: link::section(host, source),
        part: name.to_string(),
        unread: unread(record.unread) + &wrong,
        reading,
        items,
        history: format!("{history}&{}", query_pair("part", name.as_str())),
    };
    Ok(page.render()?)
}

fn query_pair(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

fn unread(unread: Option<Unread>) -> String {
    match unread {
        None => String::new(),
        Some(Unread::Content(reason)) => format!("content unobserved: {reason}"),
        Some(Unread::Whole(reason)) => format!("unobserved: {reason}; shown as last seen"),
    }
}
