//! One suspect: its evidence, what changed, and what people said of it.

use askama::Template;

use super::cases::{SuspectRow, row};
use super::{Frame, PageError, Reader, STYLE_PATH, calibration, over_time};
use crate::api::suspects::{BaseRate, base_rates, said_last};
use crate::store::{MAX_LIMIT, StoreError, SuspectFilter};

#[derive(Template)]
#[template(path = "suspect.html")]
struct Page {
    style: &'static str,
    suspect: SuspectRow,
    kind: String,
    rates: Vec<BaseRate>,
    tiers: Vec<BaseRate>,
    calibration: String,
    over_time: String,
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
        over_time: over_time(store, frame)?,
    };
    Ok(page.render()?)
}

/// How many claims would stand one by one; nothing where more suspects are kept than can be asked
/// for, because the best come first and the dull ones count.
fn over_time(store: &dyn Reader, frame: &Frame) -> Result<String, StoreError> {
    let all = store.suspects(&SuspectFilter { limit: MAX_LIMIT, ..SuspectFilter::default() })?;
    if all.len() >= MAX_LIMIT as usize {
        return Ok(String::new());
    }
    let q = frame.config.correlation.wrong_claims_percent as f64 / 100.0;
    Ok(over_time::sentence(&all, q))
}
