//! Who did what, and what befell hosts and the store: the log of events, the newest first.

use askama::Template;
use driftline_protocol::ids::HostId;

use super::{Frame, Moment, PageError, Query, Reader, STYLE_PATH, link};
use crate::store::{Cursor, DEFAULT_LIMIT, EventFilter, EventKind};

#[derive(Template)]
#[template(path = "events.html")]
struct Page {
    style: &'static str,
    host: String,
    from: String,
    kinds: Vec<(&'static str, bool)>,
    rows: Vec<Row>,
    older: Option<String>,
}

struct Row {
    at: Moment,
    kind: &'static str,
    host: String,
    host_link: String,
    detail: String,
}

/// The word for every kind.
const ANY: &str = "any";

/// Draws the page.
///
/// # Errors
/// [`PageError::Query`] for a field that cannot be, [`PageError::Store`] when the store fails.
pub(super) fn page(store: &dyn Reader, frame: &Frame, query: &Query) -> Result<String, PageError> {
    let field = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let filter = EventFilter {
        host: query.id::<HostId>("host", "the name of a host")?,
        kind: kind(query)?,
        from: query.moment("from", frame.now)?,
        after: query.id::<Cursor>("after", "a place in the list")?,
        limit: DEFAULT_LIMIT,
    };
    let found = store.placed_events(&filter)?;
    let full = found.len() >= DEFAULT_LIMIT as usize;
    let last = found.last().filter(|_| full).map(|(place, _)| place.to_string());
    let rows = found.into_iter().map(|(_, event)| Row {
        at: Moment::new(event.at, frame.now),
        kind: event.kind.as_str(),
        host: event.host.as_ref().map(ToString::to_string).unwrap_or_default(),
        host_link: event.host.as_ref().map(link::host).unwrap_or_default(),
        detail: event.detail,
    });
    let chosen = query.get("kind").unwrap_or(ANY);
    let kinds = std::iter::once(ANY).chain(EventKind::ALL.map(EventKind::as_str));
    let page = Page {
        style: STYLE_PATH,
        host: field("host"),
        from: field("from"),
        kinds: kinds.map(|kind| (kind, kind == chosen)).collect(),
        rows: rows.collect(),
        older: last.map(|place| query.with("/events", "after", &place)),
    };
    Ok(page.render()?)
}

/// The kind asked for; any unless the query says otherwise.
fn kind(query: &Query) -> Result<Option<EventKind>, PageError> {
    let word = query.get("kind").unwrap_or(ANY);
    if word == ANY {
        return Ok(None);
    }
    let found = EventKind::ALL.into_iter().find(|kind| kind.as_str() == word);
    let rule = "any or a kind of event, such as approved";
    found.map(Some).ok_or(PageError::Query { field: "kind", rule })
}
