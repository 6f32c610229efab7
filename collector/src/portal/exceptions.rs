//! Who may differ, why, and until when; what is over stays to be read.

use askama::Template;

use super::{Frame, Moment, PageError, Reader, STYLE_PATH};
use crate::analysis::exceptions::{Exception, Standing};

#[derive(Template)]
#[template(path = "exceptions.html")]
struct Page {
    style: &'static str,
    rows: Vec<Row>,
}

struct Row {
    exception: Exception,
    scope: String,
    until: Moment,
    standing: &'static str,
}

/// Draws the page, what counts first and then what ends first.
///
/// # Errors
/// [`PageError::Store`] when the store fails.
pub(super) fn page(store: &dyn Reader, frame: &Frame) -> Result<String, PageError> {
    let mut all = store.exceptions()?;
    all.sort_by_key(|e| (e.standing(frame.now), e.expires_at));
    let row = |exception: Exception| Row {
        scope: exception.words(),
        until: Moment::until(exception.expires_at, frame.now),
        standing: match exception.standing(frame.now) {
            Standing::Active => "active",
            Standing::Expired => "expired",
            Standing::Ended => "ended",
        },
        exception,
    };
    Ok(Page { style: STYLE_PATH, rows: all.into_iter().map(row).collect() }.render()?)
}
