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
        scope: scope(&exception),
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

/// What is permitted, field by field.
fn scope(exception: &Exception) -> String {
    let scope = &exception.scope;
    let fields = [
        ("host", scope.host.clone()),
        ("group", scope.group.clone()),
        ("site", scope.site.clone()),
        ("kind", scope.kind.map(|kind| kind.as_str().to_owned())),
        ("rule", scope.rule.as_ref().map(ToString::to_string)),
        ("source", scope.source.as_ref().map(ToString::to_string)),
        ("part", scope.part.clone()),
        ("key", scope.key.clone()),
    ];
    let said = fields.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
    said.collect::<Vec<_>>().join(", ")
}
