//! Have counts been above expectation for long enough? The cumulative sum. Pure.
//!
//! Page (Biometrika 1954) on counts brought near the normal by the transformation of Rossi,
//! Lampugnani and Marchi (Statistics in Medicine 1999). It needs a rate that stands still: on
//! counts with a rhythm it follows the rhythm.

/// Rossi's allowance.
const ALLOWANCE: f64 = 1.04;

/// How far the sum goes beyond a decision on average, with that allowance.
const OVERSHOOT: f64 = 0.57;

/// The least decision: a sum of nothing is never an alarm.
const LEAST: f64 = 0.05;

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
        Self { allowance: ALLOWANCE, decision: 2.26, baseline }
    }

    /// Rossi's allowance, and the decision that a share of at most `alpha` of all quiet points is
    /// above.
    ///
    /// A sum that is never set back stands like the highest point of a walk with steps of
    /// `normal - allowance`, whose tail is `exp(-2 allowance (decision + OVERSHOOT))`: Siegmund's
    /// approximation (1985), with the overshoot of this allowance, found by iterating the law of
    /// the sum on a grid. From a decision of 1 on (shares up to .04) it is right to a twentieth;
    /// below, the true share is less.
    pub fn of_share(alpha: f64, baseline: usize) -> Self {
        let decision = -alpha.ln() / (2.0 * ALLOWANCE) - OVERSHOOT;
        Self { decision: decision.max(LEAST), ..Self::new(baseline) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::stats::random::Random;

    /// The sum of twelve even chances less six is as good as normal.
    fn share(alpha: f64) -> f64 {
        let settings = CusumSettings::of_share(alpha, 0);
        let mut random = Random::seeded(&["cusum", &alpha.to_string()]);
        let (mut sum, mut alarms, points) = (0.0_f64, 0_u32, 400_000_u32);
        for _ in 0..points {
            let chances: f64 = (0..12).map(|_| random.below(1 << 30) as f64).sum();
            let normal = chances / f64::from(1 << 30) - 6.0;
            sum = f64::max(0.0, sum + normal - settings.allowance);
            alarms += u32::from(sum >= settings.decision);
        }
        f64::from(alarms) / f64::from(points)
    }

    #[test]
    fn of_quiet_points_as_many_are_alarms_as_was_said() {
        for (alpha, within) in [(0.003, 0.15), (0.01, 0.1), (0.03, 0.1)] {
            let share = share(alpha);
            assert!((share / alpha - 1.0).abs() < within, "{alpha}: {share}");
        }
        for alpha in [0.1, 0.3, 0.9] {
            assert!(share(alpha) <= 1.02 * alpha, "{alpha}: {}", share(alpha));
        }
    }

    #[test]
    fn what_rossi_chose_is_about_three_in_a_thousand() {
        let (rossi, ours) = (CusumSettings::new(8), CusumSettings::of_share(0.0028, 8));
        assert!((rossi.decision - ours.decision).abs() < 0.01, "{}", ours.decision);
    }
}
