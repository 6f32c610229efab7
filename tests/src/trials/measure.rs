//! How sure a share is, how well scores separate, how far p-values are from uniform. Pure sums.

/// The standard normal quantile of a two-sided 95 % interval.
const Z95: f64 = 1.959_963_984_540_054;

/// A share with its 95 % Wilson interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// How many had it.
    pub hits: usize,
    /// Of how many.
    pub of: usize,
}

impl Share {
    /// How many of `values` are true.
    pub fn of(values: impl IntoIterator<Item = bool>) -> Self {
        let mut share = Self { hits: 0, of: 0 };
        for value in values {
            share.of += 1;
            share.hits += usize::from(value);
        }
        share
    }

    /// The share itself; not a number where nothing was counted.
    pub fn value(self) -> f64 {
        self.hits as f64 / self.of as f64
    }

    /// The 95 % interval (Wilson 1927).
    pub fn interval(self) -> (f64, f64) {
        let n = self.of as f64;
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let p = self.value();
        let square = Z95 * Z95;
        let middle = p + square / (2.0 * n);
        let half = Z95 * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
        let scale = 1.0 + square / n;
        (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
    }

    /// `0.047 [0.031, 0.071]`.
    pub fn text(self) -> String {
        let (low, high) = self.interval();
        if self.of == 0 {
            return "-".into();
        }
        format!("{:.3} [{low:.3}, {high:.3}]", self.value())
    }
}

/// The chance that a true one has a higher score than a false one, ties half (Mann and Whitney);
/// half without one of both.
pub fn auc(scores: &[(f64, bool)]) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins) = (0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let positives = tied.iter().filter(|(_, truth)| *truth).count() as f64;
        let negatives = tied.len() as f64 - positives;
        wins += positives * (below + negatives / 2.0);
        below += negatives;
    }
    let positives = scores.iter().filter(|(_, truth)| *truth).count() as f64;
    if positives == 0.0 || below == 0.0 { 0.5 } else { wins / (positives * below) }
}

/// How far the distribution of p-values rises above uniform, one-sided (Kolmogorov and Smirnov).
pub fn excess_over_uniform(p_values: &[f64]) -> f64 {
    let mut sorted = p_values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    (1..).zip(&sorted).map(|(rank, p)| f64::from(rank) / n - p).fold(0.0, f64::max)
}

/// The excess that `count` uniform p-values pass in one of 100 samples (Smirnov's limit).
pub fn excess_allowed(count: usize) -> f64 {
    (-(0.01f64.ln()) / (2.0 * count as f64)).sqrt()
}

/// Which of `p_values` Benjamini and Hochberg's procedure rejects at `q`.
pub fn rejected(p_values: &[f64], q: f64) -> Vec<bool> {
    let mut sorted = p_values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let passes = (1..).zip(&sorted).filter(|(rank, p)| **p <= q * f64::from(*rank) / n);
    let limit = passes.map(|(_, p)| *p).fold(-1.0, f64::max);
    p_values.iter().map(|p| *p <= limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_the_interval_of_the_textbook() {
        // Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
        let (low, high) = Share { hits: 81, of: 263 }.interval();
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
        assert_eq!(Share { hits: 0, of: 0 }.interval(), (0.0, 1.0));
        assert_eq!(Share { hits: 0, of: 10 }.interval().0, 0.0);
    }

    #[test]
    fn scores_that_separate_have_area_one_and_equal_ones_a_half() {
        let yes = |score| (score, true);
        let no = |score| (score, false);
        assert_eq!(auc(&[yes(3.0), no(1.0), no(2.0)]), 1.0);
        assert_eq!(auc(&[yes(1.0), no(1.0)]), 0.5);
        assert_eq!(auc(&[yes(1.0), no(2.0), yes(3.0), no(0.0)]), 0.75);
        assert_eq!(auc(&[]), 0.5);
    }

    #[test]
    fn uniform_values_pass_and_small_ones_do_not() {
        let even: Vec<f64> = (0..1_000).map(|i| (f64::from(i) + 0.5) / 1_000.0).collect();
        assert!(excess_over_uniform(&even) < excess_allowed(1_000));
        let small: Vec<f64> = even.iter().map(|p| p * p).collect();
        assert!(excess_over_uniform(&small) > excess_allowed(1_000));
        let large: Vec<f64> = even.iter().map(|p| p.sqrt()).collect();
        assert!(excess_over_uniform(&large) < 0.002, "conservative is not an offence");
    }

    #[test]
    fn the_procedure_steps_up() {
        assert_eq!(rejected(&[0.04, 0.03, 0.9, 0.02], 0.06), [true, true, false, true]);
        assert_eq!(rejected(&[0.5, 0.9], 0.1), [false, false]);
    }
}
