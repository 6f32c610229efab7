//! What may be changed and when: change requests, windows and blackouts, and where requests come
//! from.

use askama::Template;

use super::{Frame, Moment, PageError, Query, Reader, STYLE_PATH};
use crate::analysis::classify::ignore::Ignore;
use crate::analysis::classify::request::{Approval, ChangeRequest};
use crate::cases::ColumnNotes;
use crate::config::{Config, ShownWindow};
use crate::store::{Cursor, DEFAULT_LIMIT, RequestFilter};

#[derive(Template)]
#[template(path = "requests.html")]
struct Page {
    style: &'static str,
    windows: Vec<WindowRow>,
    ignores: Vec<Ignore>,
    rows: Vec<Row>,
    refused: Vec<RefusedRow>,
    /// What was odd about the columns of the newest readings, by source.
    columns: Vec<(String, ColumnNotes)>,
    source: String,
    id: String,
    older: Option<String>,
}

/// A source whose newest reading was not taken whole.
struct RefusedRow {
    source: String,
    at: Moment,
    problem: String,
}

struct WindowRow {
    window: ShownWindow,
    /// The stretch it is in, or the next one.
    from: Option<Moment>,
    until: Option<Moment>,
}

struct Row {
    request: ChangeRequest,
    scope: String,
    from: Moment,
    until: Moment,
    state: &'static str,
    changes: String,
}

/// Draws the page.
///
/// # Errors
/// [`PageError::Query`] for a field that cannot be, [`PageError::Store`] when the store fails.
pub(super) fn page(
    (store, config): (&dyn Reader, &Config),
    frame: &Frame,
    query: &Query,
) -> Result<String, PageError> {
    let text = |name: &str| query.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let filter = RequestFilter {
        source: text("source"),
        id: text("id"),
        after: query.id::<Cursor>("after", "a place in the list")?,
        limit: DEFAULT_LIMIT,
        ..RequestFilter::default()
    };
    let found = store.change_requests(&filter)?;
    let full = found.len() >= DEFAULT_LIMIT as usize;
    let last = found.last().filter(|_| full).map(|record| record.place().to_string());
    let window = |window: ShownWindow| WindowRow {
        from: window.next.map(|span| Moment::until(span.start, frame.now)),
        until: window.next.map(|span| Moment::until(span.end, frame.now)),
        window,
    };
    let readings = frame.request_readings.iter().filter(|one| !one.problem.is_empty());
    let refused = readings.map(|reading| RefusedRow {
        source: reading.source.clone(),
        at: Moment::new(reading.at, frame.now),
        problem: reading.problem.clone(),
    });
    let odd = frame.request_readings.iter().filter(|one| !one.columns.is_empty());
    let columns = odd.map(|reading| (reading.source.clone(), reading.columns.clone()));
    let page = Page {
        style: STYLE_PATH,
        windows: config.windows_at(frame.now).into_iter().map(window).collect(),
        ignores: config.ignored(),
        rows: found.into_iter().map(|record| row(record.request, frame)).collect(),
        refused: refused.collect(),
        columns: columns.collect(),
        source: text("source").unwrap_or_default(),
        id: text("id").unwrap_or_default(),
        older: last.map(|place| query.with("/requests", "after", &place)),
    };
    Ok(page.render()?)
}

fn row(request: ChangeRequest, frame: &Frame) -> Row {
    let state = if request.approval == Approval::Rejected {
        "rejected"
    } else if frame.now < request.start {
        "to come"
    } else if frame.now < request.end {
        "open"
    } else {
        "over"
    };
    Row {
        scope: request.scope.concerns(),
        from: Moment::until(request.start, frame.now),
        until: Moment::until(request.end, frame.now),
        state,
        changes: format!("/timeline?from={}&to={}", request.start, request.end),
        request,
    }
}
