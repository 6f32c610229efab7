//! The true cohort at the same hours of past weeks, when nothing was changed: a veto, not a proof.
//!
//! A dozen past weeks can never give a small p-value, but they can show that a rise like this one
//! is nothing new at these sites, or that it was there before the change.

use super::cohort::together;
use super::dispersion;
use super::panel::Panel;
use super::verdict::Placebo;
use crate::analysis::stats::special::normal_above;

/// A rise before the change that is less likely than this was there already.
const ALREADY: f64 = 0.01;
/// Past weeks in twenty that may rise as much without a veto.
const ONE_IN: u32 = 20;

/// Tries past weeks for a surplus of `z` standard deviations, both without dispersion.
pub(super) fn placebo(panel: &Panel, z: f64, reached: &[Vec<f32>]) -> Placebo {
    let all = together(reached);
    let history = (panel.shape.history(&all), panel.shape.history(&panel.total));
    let mut tried = Placebo { draws: 0, exceeded: 0 };
    for back in 1..=panel.shape.days / 7 {
        if let Some(past) = dispersion::past_z(&panel.shape, 7 * back, history) {
            tried.draws += 1;
            tried.exceeded += u32::from(past >= z);
        }
    }
    tried
}

/// Whether past weeks rose as much too often.
pub(super) fn is_nothing_new(tried: Placebo) -> bool {
    tried.exceeded * ONE_IN > tried.draws
}

/// Whether the exposed sites were above their usual share in the window before the change.
pub(super) fn pre_existing(panel: &Panel, dispersion: f64, reached: &[Vec<f32>]) -> bool {
    let all = together(reached);
    let history = (panel.shape.history(&all), panel.shape.history(&panel.total));
    let just_before = dispersion::past_z(&panel.shape, panel.shape.window_days, history);
    just_before.is_some_and(|z| normal_above(z / dispersion.sqrt()) <= ALREADY)
}
