//! What changed, newest first, as typed differences: one group for each part of each version.

use askama::Template;
use driftline_protocol::ids::{HostId, PartName, SourceName};

use super::value::Row;
use super::{Frame, Moment, PageError, Query, Reader, STYLE_PATH, link};
use crate::analysis::change::ChangeKind;
use crate::analysis::classify::ChangeClass;
use crate::store::{ChangeFilter, ChangeId, ChangeRecord, DEFAULT_LIMIT};

/// Changes that one version brought to one part.
pub(super) struct Group {
    /// When.
    pub at: Moment,
    /// The host's name.
    pub host: String,
    /// The host's page.
    pub host_link: String,
    /// The source.
    pub source: String,
    /// The part.
    pub part: String,
    /// The part's page.
    pub part_link: String,
    /// Its changes.
    pub rows: Vec<Row>,
}

/// Groups consecutive changes of the same version and part; the order stays.
pub(super) fn group(changes: &[ChangeRecord], frame: &Frame) -> Vec<Group> {
    let same = |a: &ChangeRecord, b: &ChangeRecord| {
        (&a.host, &a.source, a.generation, &a.change.part)
            == (&b.host, &b.source, b.generation, &b.change.part)
    };
    let groups = changes.chunk_by(same).filter_map(|chunk| {
        let first = chunk.first()?;
        Some(Group {
            at: Moment::new(first.at, frame.now),
            host: first.host.to_string(),
            host_link: link::host(&first.host),
            source: first.source.to_string(),
            part: first.change.part.to_string(),
            part_link: link::part(&first.host, &first.source, &first.change.part),
            rows: chunk.iter().map(Row::new).collect(),
        })
    });
    groups.collect()
}

#[derive(Template)]
#[template(path = "timeline.html")]
struct Page {
    style: &'static str,
    host: String,
    source: String,
    part: String,
    from: String,
    to: String,
    kinds: Vec<(&'static str, bool)>,
    classes: Vec<(&'static str, bool)>,
    groups: Vec<Group>,
    older: Option<String>,
}

/// Draws the page.
///
/// # Errors
/// [`PageError::Query`] for a field that cannot be, [`PageError::Store`] when the store fails.
pub(super) fn page(store: &dyn Reader, frame: &Frame, query: &Query) -> Result<String, PageError> {
    let field = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let filter = ChangeFilter {
        host: query.id::<HostId>("host", "the name of a host")?,
        source: query.id::<SourceName>("source", "the name of a source")?,
        part: query.id::<PartName>("part", "the name of a file or table")?,
        kinds: kinds(query)?,
        classes: classes(query)?,
        from: query.moment("from", frame.now)?,
        to: query.moment("to", frame.now)?,
        before: query.id::<i64>("before", "the number of a change")?.map(ChangeId),
        limit: DEFAULT_LIMIT,
    };
    let changes = store.changes(&filter)?;
    let full = changes.len() >= DEFAULT_LIMIT as usize;
    let last = changes.last().filter(|_| full);
    let chosen = query.get("kind").unwrap_or("semantic").to_owned();
    let kinds = ["semantic", "all"].into_iter().chain(ChangeKind::ALL.map(ChangeKind::as_str));
    let chosen_class = query.get("class").unwrap_or("any").to_owned();
    let classes = std::iter::once("any").chain(ChangeClass::ALL.map(ChangeClass::as_str));
    let page = Page {
        style: STYLE_PATH,
        host: field("host"),
        source: field("source"),
        part: field("part"),
        from: field("from"),
        to: field("to"),
        kinds: kinds.map(|kind| (kind, kind == chosen)).collect(),
        classes: classes.map(|class| (class, class == chosen_class)).collect(),
        groups: group(&changes, frame),
        older: last.map(|change| query.with("/timeline", "before", &change.id.0.to_string())),
    };
    Ok(page.render()?)
}

/// The classes asked for; any unless the query says otherwise.
fn classes(query: &Query) -> Result<Vec<ChangeClass>, PageError> {
    let word = query.get("class").unwrap_or("any");
    if word == "any" {
        return Ok(Vec::new());
    }
    let found = ChangeClass::ALL.into_iter().find(|class| class.as_str() == word);
    let rule = "any or a class of change, such as unauthorised";
    found.map(|class| vec![class]).ok_or(PageError::Query { field: "class", rule })
}

/// The kinds asked for: what means something unless the query says otherwise.
fn kinds(query: &Query) -> Result<Vec<ChangeKind>, PageError> {
    let all = ChangeKind::ALL.into_iter();
    match query.get("kind").unwrap_or("semantic") {
        "semantic" => Ok(all.filter(|kind| kind.is_semantic()).collect()),
        "all" => Ok(Vec::new()),
        word => {
            let found: Vec<ChangeKind> = all.filter(|kind| kind.as_str() == word).collect();
            let rule = "semantic, all, added, removed, modified, moved, cosmetic or recast";
            if found.is_empty() { Err(PageError::Query { field: "kind", rule }) } else { Ok(found) }
        }
    }
}
