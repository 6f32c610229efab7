//! From the change to the first hour above its bound.
//!
//! A hint of when it began, not a test: with so many hours one of them is above its bound by chance
//! often enough.

use super::coverage::{HOUR, WEEK};
use super::exposure::Reach;
use super::lens::Lens;
use super::panel::Panel;
use crate::analysis::stats::negative_binomial::NegativeBinomial;

/// Share of ordinary hours that stay within the bound.
const ORDINARY: f64 = 0.99;

/// Seconds from the (site's own) change to the first hour above its bound.
///
/// `shock` is what unexposed sites did in the window, as a factor on their past.
pub(super) fn lag_seconds(
    (panel, reach): (&Panel, &Reach),
    lens: Lens<'_>,
    (shock, dispersion): (f64, f64),
) -> Option<i64> {
    let weeks = panel.shape.weeks.len() as f64;
    let count = |hour: i64, back: i64| -> f64 {
        let sites = panel.rows.iter().filter_map(|row| Some((row.site, reach.reached(row.site)?)));
        let from = |start: i64| start + hour * HOUR - back * WEEK;
        let sites = sites.map(|(site, at)| (site, from(lens.wall(site, at))));
        sites.map(|(site, at)| lens.plain(site, at, at + HOUR) as f64).sum()
    };
    let hours = reach.window / HOUR;
    let past = |hour: i64| -> f64 { panel.shape.weeks.iter().map(|back| count(hour, *back)).sum() };
    let before: Vec<f64> = (0..hours).map(past).collect();
    let usual = before.iter().sum::<f64>() / hours.max(1) as f64;
    (0..hours)
        .zip(&before)
        .find(|(hour, before)| {
            // One average hour is added, so that an hour that was always empty is not surprising.
            let mean = (shock * (*before + usual) / (weeks + 1.0)).max(1e-3);
            let bound = NegativeBinomial::of_variance(mean, mean * dispersion).quantile(ORDINARY);
            count(*hour, 0) > bound as f64
        })
        .map(|(hour, _)| hour * HOUR)
}
