//! The fallback where nobody is unexposed: the same hours of past weeks, and nothing else.
//!
//! A shock that hits everybody looks the same from here, so the answer is never more than
//! `possible`. The tail is negative binomial with the variance past windows of the same length had
//! against the weeks before them.

use super::dispersion::Sums;
use super::evidence::mean_of;
use super::panel::Shape;
use crate::analysis::stats::negative_binomial::NegativeBinomial;

/// Past windows below which their spread says nothing.
const MIN_WINDOWS: usize = 6;
/// What is assumed of a service whose past says nothing: the median of real service desks.
const USUAL_DISPERSION: f64 = 4.6;

/// Cases after and in the reference weeks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Alone {
    pub(super) after: f64,
    pub(super) before: f64,
    pub(super) weeks: f64,
}

impl Alone {
    /// Cases a week like those before would have.
    pub(super) fn expected(&self) -> f64 {
        self.before / self.weeks
    }

    /// The chance of so many cases or more.
    pub(super) fn tail(&self, dispersion: f64) -> f64 {
        let mean = (self.before + 0.5) / self.weeks;
        let variance = dispersion * mean * (1.0 + 1.0 / self.weeks);
        NegativeBinomial::of_variance(mean, variance).at_least((self.after + 1e-3).floor() as u64)
    }

    /// Log rate ratio and its variance for a dispersion of 1.
    pub(super) fn log_ratio(&self) -> (f64, f64) {
        let (after, before) = (self.after + 0.5, self.before + 0.5);
        ((after * self.weeks / before).ln(), 1.0 / after + 1.0 / before)
    }

    /// How much better rises of several sizes explain the cases than none, as with controls.
    pub(super) fn evidence(&self, dispersion: f64) -> f64 {
        let all = self.after + self.before;
        let share = 1.0 / (1.0 + self.weeks);
        mean_of(|ratio| {
            (self.after * ratio.ln() - all * (1.0 + share * (ratio - 1.0)).ln()) / dispersion
        })
    }

    /// Log likelihood a rise gains, signed, over `dispersion`.
    pub(super) fn likelihood_ratio(&self, dispersion: f64) -> f64 {
        let all = self.after + self.before;
        let part = |seen: f64, share: f64| {
            if seen > 0.0 { seen * (seen / (all * share)).ln() } else { 0.0 }
        };
        let share = 1.0 / (1.0 + self.weeks);
        let gain = part(self.after, share) + part(self.before, 1.0 - share);
        gain.max(0.0).copysign(self.after - all * share) / dispersion
    }
}

/// How much more whole windows of `cohort` vary than Poisson counts would, at least 1.
pub(super) fn dispersion(shape: &Shape, cohort: &[f32]) -> f64 {
    let sums = Sums::of(cohort);
    let length = shape.window_days;
    let (mut squares, mut variances, mut windows) = (0.0, 0.0, 0);
    for first in 0..shape.days.saturating_sub(length + 6) {
        let past: Vec<f64> = (1..=4)
            .map(|back| first + 7 * back)
            .filter(|from| from + length <= shape.days)
            .map(|from| sums.window(from, length))
            .collect();
        if past.is_empty() {
            break;
        }
        let weeks = past.len() as f64;
        let mean = past.iter().sum::<f64>() / weeks;
        squares += (sums.window(first, length) - mean).powi(2);
        variances += mean * (1.0 + 1.0 / weeks);
        windows += 1;
    }
    if windows < MIN_WINDOWS || variances <= 0.0 {
        return USUAL_DISPERSION;
    }
    f64::max(squares / variances, 1.0)
}
