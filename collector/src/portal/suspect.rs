//! One suspect: its evidence, what changed, and what people said of it.

use askama::Template;

use super::cases::{SuspectRow, row};
use super::{Frame, PageError, Reader, STYLE_PATH};
use crate::api::suspects::{BaseRate, base_rates};
use crate::store::SuspectFilter;

#[derive(Template)]
#[template(path = "suspect.html")]
struct Page {
    style: &'static str,
    suspect: SuspectRow,
    kind: String,
    rates: Vec<BaseRate>,
    tiers: Vec<BaseRate>,
}

/// Draws the page.
///
/// # Errors
/// [`PageError::NotFound`] for an unknown suspect, [`PageError::Store`] when the store fails.
pub(super) fn page(store: &dyn Reader, frame: &Frame, id: &str) -> Result<String, PageError> {
    let unknown = || PageError::NotFound { what: "suspect" };
    let number = id.parse().map_err(|_| unknown())?;
    let filter = SuspectFilter { number: Some(number), limit: 1, ..SuspectFilter::default() };
    let suspect = store.suspects(&filter)?.pop().ok_or_else(unknown)?;
    let (rates, tiers) = base_rates(&store.outcomes()?);
    let page = Page {
        style: STYLE_PATH,
        kind: suspect.kind.clone(),
        suspect: row(&suspect, frame),
        rates,
        tiers,
    };
    Ok(page.render()?)
}
