//! Have counts been above expectation for long enough? The cumulative sum. Pure.
//!
//! Page (Biometrika 1954) on counts brought near the normal by the transformation of Rossi,
//! Lampugnani and Marchi (Statistics in Medicine 1999). It needs a rate that stands still: on
//! counts with a rhythm it follows the rhythm.

/// What is summed and when that is an alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CusumSettings {
    /// How far above expectation a point must be to add to the sum, in standard deviations.
    pub allowance: f64,
    /// The sum that is an alarm, in standard deviations.
    pub decision: f64,
    /// How many points at the start say what is expected.
    pub baseline: usize,
}

impl CusumSettings {
    /// Rossi's constants: one false alarm in 500 points of a Poisson count.
    pub const fn new(baseline: usize) -> Self {
        Self { allowance: 1.04, decision: 2.26, baseline }
    }
}

/// Where the sum stands at one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CusumBound {
    /// The place of the point in the series, from 0.
    pub at: usize,
    /// What was expected.
    pub expected: f64,
    /// The sum, this point included.
    pub sum: f64,
    /// The smallest count that would have been an alarm.
    pub upper: f64,
    /// Whether it is one.
    pub alarm: bool,
}

/// Judges every point of `series` after the baseline. Without a single case in the baseline nothing
/// can be said.
pub fn cusum(settings: &CusumSettings, series: &[u64]) -> Vec<CusumBound> {
    let Some((baseline, rest)) = series.split_at_checked(settings.baseline) else {
        return Vec::new();
    };
    let expected = baseline.iter().sum::<u64>() as f64 / baseline.len() as f64;
    if !expected.is_finite() || expected <= 0.0 {
        return Vec::new();
    }
    let mut sum = 0.0;
    let mut bounds = Vec::with_capacity(rest.len());
    for (observed, at) in rest.iter().zip(settings.baseline..) {
        let upper = alarming(expected, settings.decision + settings.allowance - sum);
        sum = f64::max(0.0, sum + normal(*observed as f64, expected) - settings.allowance);
        bounds.push(CusumBound { at, expected, sum, upper, alarm: sum >= settings.decision });
    }
    bounds
}

/// Rossi's transformation of a Poisson count.
fn normal(observed: f64, expected: f64) -> f64 {
    (observed - 3.0 * expected + 2.0 * (observed * expected).sqrt()) / (2.0 * expected.sqrt())
}

/// The count whose transformation is `value`: the square of a root, which is negative where the sum
/// is an alarm whatever comes. R `surveillance` 1.20.3 squares it all the same, and so do we.
fn alarming(expected: f64, value: f64) -> f64 {
    let inner = 4.0 * expected + 2.0 * value * expected.sqrt();
    if inner < 0.0 { 0.0 } else { (inner.sqrt() - expected.sqrt()).powi(2) }
}
