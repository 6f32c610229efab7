//! One suspect: its evidence, what changed, and what people said of it.

use askama::Template;

use super::cases::{SuspectRow, row};
use super::{Frame, PageError, Reader, STYLE_PATH, calibration};
use crate::api::suspects::{BaseRate, base_rates, said_last};
use crate::store::SuspectFilter;

#[derive(Template)]
#[template(path = "suspect.html")]
struct Page {
    style: &'static str,
    suspect: SuspectRow,
    kind: String,
    rates: Vec<BaseRate>,
    tiers: Vec<BaseRate>,
    calibration: String,
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
    let outcomes = store.outcomes()?;
    let (rates, tiers) = base_rates(&outcomes);
    let page = Page {
        style: STYLE_PATH,
        kind: suspect.kind.clone(),
        suspect: row(&suspect, frame),
        rates,
        tiers,
        calibration: calibration::draw(said_last(&outcomes).into_values()),
    };
    Ok(page.render()?)
}
