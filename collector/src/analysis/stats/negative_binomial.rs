//! Negative binomial counts by mean and size: tails and quantiles. Pure.
//!
//! Variance is `mean + mean^2 / size`; an infinite size is the Poisson distribution.

use super::poisson;
use super::special::{beta_above, beta_below, ln_gamma};

/// A negative binomial distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NegativeBinomial {
    /// Expected count, greater than 0.
    pub mean: f64,
    /// Size, greater than 0; may be infinite.
    pub size: f64,
}

impl NegativeBinomial {
    /// The distribution with this mean and variance; Poisson when the variance is no greater.
    pub fn of_variance(mean: f64, variance: f64) -> Self {
        let size = if variance > mean { mean * mean / (variance - mean) } else { f64::INFINITY };
        Self { mean, size }
    }

    /// `P(Y >= count)`.
    pub fn at_least(&self, count: u64) -> f64 {
        if count == 0 {
            return 1.0;
        }
        if !self.size.is_finite() {
            return poisson::at_least(count, self.mean);
        }
        beta_below(count as f64, self.size, self.mean / (self.mean + self.size))
    }

    /// `P(Y > count) + P(Y = count) / 2`.
    pub fn mid_p(&self, count: u64) -> f64 {
        self.at_least(count) - 0.5 * self.exactly(count)
    }

    /// `P(Y = count)`.
    pub fn exactly(&self, count: u64) -> f64 {
        let k = count as f64;
        if !self.size.is_finite() {
            return (k * self.mean.ln() - self.mean - ln_gamma(k + 1.0)).exp();
        }
        let ways = ln_gamma(k + self.size) - ln_gamma(self.size) - ln_gamma(k + 1.0);
        let rare = k * (self.mean / (self.mean + self.size)).ln();
        (ways + rare - self.size * (self.mean / self.size).ln_1p()).exp()
    }

    /// The least count that is not exceeded with probability `p < 1`.
    pub fn quantile(&self, p: f64) -> u64 {
        if !self.size.is_finite() {
            return poisson::quantile(p, self.mean);
        }
        let chance = self.mean / (self.mean + self.size);
        poisson::least(|count| beta_above(count as f64 + 1.0, self.size, chance) >= p)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of a table made with R 4.2.2 `pnbinom`, `dnbinom`.
    #[test]
    fn tails_agree_with_r() {
        let rows = [
            (0, 0.3, 0.5, 1.0, 0.604_715_292_478_953),
            (5, 0.3, 0.5, 0.002_205_580_759_849_96, 0.001_484_196_045_313_33),
            (80, 0.3, 0.5, 6.640_011_352_479_9e-36, 4.557_377_513_159_11e-36),
            (5, 2.0, 0.5, 0.144_927_605_404_08, 0.126_895_953_233_522),
        ];
        for (count, mean, size, at_least, mid_p) in rows {
            let counts = NegativeBinomial { mean, size };
            for (ours, theirs) in [(counts.at_least(count), at_least), (counts.mid_p(count), mid_p)]
            {
                assert!((ours - theirs).abs() <= 1e-9 * theirs, "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn without_extra_variance_it_is_poisson() {
        let counts = NegativeBinomial::of_variance(4.0, 4.0);
        assert_eq!(counts.at_least(9), poisson::at_least(9, 4.0));
        assert_eq!(counts.quantile(0.99), poisson::quantile(0.99, 4.0));
    }
}
