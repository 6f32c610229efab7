//! The distribution of a count that varies more than Poisson. Pure.

use crate::analysis::stats::negative_binomial::NegativeBinomial;

/// Up to which mean a quantile is found by adding up: quicker there, and hours with few cases are
/// most of what is judged.
const ADDED_UP: f64 = 100.0;

/// A count with this mean and variance `dispersion * mean`: negative binomial, or Poisson where
/// the dispersion is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Count {
    /// The mean; not negative.
    pub(super) mean: f64,
    /// Variance over mean; at least 1.
    pub(super) dispersion: f64,
}

impl Count {
    /// The chance of `count` or more.
    pub(super) fn at_least(&self, count: u64) -> f64 {
        match (count, self.distribution()) {
            (0, _) => 1.0,
            (_, None) => 0.0,
            (count, Some(distribution)) => distribution.at_least(count),
        }
    }

    /// The smallest count that is exceeded with a chance of at most `1 - p`.
    pub(super) fn quantile(&self, p: f64) -> u64 {
        if self.mean <= ADDED_UP && self.none() > 0.0 {
            return self.added_up(p);
        }
        self.distribution().map_or(0, |distribution| distribution.quantile(p))
    }

    /// The chance of no case.
    fn none(&self) -> f64 {
        if self.dispersion > 1.0 {
            (-self.mean / (self.dispersion - 1.0) * self.dispersion.ln()).exp()
        } else {
            (-self.mean).exp()
        }
    }

    /// The quantile, by adding the chances of one count after the other.
    fn added_up(&self, p: f64) -> u64 {
        let more = 1.0 - 1.0 / self.dispersion;
        let (mut chance, mut sum, mut count) = (self.none(), 0.0, 0u64);
        loop {
            sum += chance;
            // Beyond the last digit of the sum nothing changes any more.
            if sum >= p || (count as f64 > self.mean && chance < f64::EPSILON * sum) {
                return count;
            }
            let k = count as f64;
            // The Poisson distribution is the limit where the second term is all.
            chance *= (k * more + self.mean / self.dispersion) / (k + 1.0);
            count += 1;
        }
    }

    /// `None` where nothing is expected at all.
    fn distribution(&self) -> Option<NegativeBinomial> {
        let Self { mean, dispersion } = *self;
        (mean > 0.0).then(|| NegativeBinomial::of_variance(mean, mean * dispersion))
    }
}
