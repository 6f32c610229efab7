//! Who may differ, why, and until when; what is over stays to be read. The forms by which a person
//! permits something for a while, and ends it before its time.

use askama::Template;

use super::{Frame, Moment, PageError, Query, Reader, STYLE_PATH};
use crate::analysis::exceptions::{Exception, Standing};
use crate::analysis::finding::FindingKind;

#[derive(Template)]
#[template(path = "exceptions.html")]
struct Page {
    style: &'static str,
    rows: Vec<Row>,
    /// Every kind of finding, and whether it is the one that was chosen.
    kinds: Vec<(&'static str, bool)>,
    /// What was asked by one of its forms and refused; empty where the page is only read.
    draft: ExceptionDraft,
}

/// What a form of the page brought that was refused, and why: the page is drawn again with it, so
/// that nobody types twice.
#[derive(Clone, Debug, Default)]
pub struct ExceptionDraft {
    /// What was typed, by field.
    pub typed: Query,
    /// Why it was refused, in a sentence.
    pub problem: String,
}

impl ExceptionDraft {
    /// What was typed into a field of the form that permits something.
    fn text(&self, field: &str) -> &str {
        if self.ends() { "" } else { self.typed.get(field).unwrap_or_default() }
    }

    /// Whether an exception was to be ended.
    fn ends(&self) -> bool {
        self.typed.get("act") == Some("end")
    }
}

struct Row {
    exception: Exception,
    scope: String,
    until: Moment,
    standing: &'static str,
    /// Whether it counts, and so can be ended.
    counts: bool,
    ended_by: String,
}

/// Draws the page, what counts first and then what ends first.
///
/// # Errors
/// [`PageError::Store`] when the store fails.
pub(super) fn page(
    store: &dyn Reader,
    frame: &Frame,
    draft: ExceptionDraft,
) -> Result<String, PageError> {
    let mut all = store.exceptions()?;
    all.sort_by_key(|e| (e.standing(frame.now), e.expires_at));
    let row = |exception: Exception| {
        let standing = exception.standing(frame.now);
        let ended = exception.ended.as_ref();
        Row {
            scope: exception.words(),
            until: Moment::until(exception.expires_at, frame.now),
            standing: match standing {
                Standing::Active => "active",
                Standing::Expired => "expired",
                Standing::Ended => "ended",
            },
            counts: standing == Standing::Active,
            ended_by: ended.map(|ended| ended.by.clone()).unwrap_or_default(),
            exception,
        }
    };
    let kinds = FindingKind::ALL.map(FindingKind::as_str);
    let kinds = kinds.map(|kind| (kind, draft.text("kind") == kind)).to_vec();
    let rows = all.into_iter().map(row).collect();
    Ok(Page { style: STYLE_PATH, rows, kinds, draft }.render()?)
}
