//! How large a rise would have had to be to be noticed, printed beside every null result.

/// One-sided 5 % and 80 % power, in standard deviations.
const DISTANCE: f64 = 1.644_853_626_951_472_7 + 0.841_621_233_572_914_2;
/// A ratio beyond this means that nothing would have been noticed.
const LARGEST: f64 = 1_000.0;

/// What is known without the exposed window itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Design {
    /// Cases expected in the exposed window.
    pub(super) expected: f64,
    /// Variance of the log ratio from everything but the exposed window.
    pub(super) rest: f64,
    /// Dispersion of the split.
    pub(super) dispersion: f64,
}

/// The rate ratio that is noticed four times in five; `None` when none would be.
pub(super) fn detectable_ratio(design: &Design) -> Option<f64> {
    let noticed = |ratio: f64| {
        let variance = design.rest + 1.0 / (design.expected * ratio + 0.5);
        ratio.ln() >= DISTANCE * (design.dispersion * variance).sqrt()
    };
    if !noticed(LARGEST) {
        return None;
    }
    let (mut low, mut high) = (1.0, LARGEST);
    for _ in 0..60 {
        let middle = f64::sqrt(low * high);
        if noticed(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the notes: equal volume, four weeks, dispersion 1.67.
    #[test]
    fn forty_three_expected_cases_show_a_doubling() {
        for (expected, ratio) in [(43.0, 2.0), (16.0, 3.0), (7.0, 5.0)] {
            let rest = 1.0 / (4.0 * expected) + 1.0 / expected + 1.0 / (4.0 * expected);
            let found = detectable_ratio(&Design { expected, rest, dispersion: 1.67 }).unwrap();
            assert!((found / ratio - 1.0_f64).abs() < 0.1, "{expected}: {found}");
        }
    }

    #[test]
    fn where_nothing_is_expected_nothing_is_noticed() {
        let design = Design { expected: 0.0, rest: 2.0, dispersion: 9.0 };
        assert_eq!(detectable_ratio(&design), None);
    }
}
