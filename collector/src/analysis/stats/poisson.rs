//! Poisson counts: tails, quantiles and the exact test of two rates. Pure.

use super::special::{beta_quantile, gamma_above, gamma_below, ln_choose};

/// Probabilities are the same when they differ by less than this share (as in R).
pub(super) const SAME: f64 = 1.0 + 1e-7;

/// Share of the error that lies on each side of a 95 % interval.
pub(super) const SIDE: f64 = 0.025;

/// What an exact test of two Poisson rates found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioTest {
    /// Rate of the first over rate of the second; infinite when the second saw nothing.
    pub ratio: f64,
    /// One-sided: the first rate is greater.
    pub p_greater: f64,
    /// Two-sided: all outcomes no more likely than this one.
    pub p_two: f64,
    /// Lower end of the exact 95 % interval of the ratio.
    pub low: f64,
    /// Upper end; infinite when the second saw nothing.
    pub high: f64,
}

/// One count and what it was counted over (time, people), the latter greater than 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Events.
    pub count: u64,
    /// Time or people at risk.
    pub over: f64,
}

/// Compares two Poisson rates, given their sum (Przyborowski and Wilenski 1940; R `poisson.test`).
///
/// `None` when neither counted anything.
pub fn ratio_test(first: Rate, second: Rate) -> Option<RatioTest> {
    let n = first.count + second.count;
    if n == 0 {
        return None;
    }
    let (a, b) = (first.count as f64, second.count as f64);
    let share = first.over / (first.over + second.over);
    let ratio_of = |p: f64| p / (1.0 - p) * second.over / first.over;
    let p_greater = if first.count == 0 { 1.0 } else { beta_below_share(a, b, share) };
    let low = if first.count == 0 { 0.0 } else { ratio_of(beta_quantile(a, b + 1.0, SIDE)) };
    let high = if second.count == 0 {
        f64::INFINITY
    } else {
        ratio_of(beta_quantile(a + 1.0, b, 1.0 - SIDE))
    };
    let log_odds = (share.ln(), (-share).ln_1p());
    let chance = |k: u64| {
        let k = k as f64;
        let n = n as f64;
        (ln_choose(n, k) + k * log_odds.0 + (n - k) * log_odds.1).exp()
    };
    let here = chance(first.count) * SAME;
    let p_two = (0..=n).map(chance).filter(|p| *p <= here).sum::<f64>().min(1.0);
    let ratio = (a / first.over) / (b / second.over);
    Some(RatioTest { ratio, p_greater, p_two, low, high })
}

/// `P(X >= a)` for X ~ Binomial(a + b, share), `a > 0`.
fn beta_below_share(a: f64, b: f64, share: f64) -> f64 {
    super::special::beta_below(a, b + 1.0, share)
}

/// `P(X >= k)` for X ~ Binomial(n, share).
pub fn binomial_at_least(k: u64, n: u64, share: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if k > n {
        return 0.0;
    }
    beta_below_share(k as f64, (n - k) as f64, share)
}

/// `P(X >= count)` for X ~ Poisson(mean).
pub fn at_least(count: u64, mean: f64) -> f64 {
    if count == 0 { 1.0 } else { gamma_below(count as f64, mean) }
}

/// The least count that a Poisson variable stays at or below with probability `p < 1`.
pub fn quantile(p: f64, mean: f64) -> u64 {
    let enough = |count: u64| gamma_above(count as f64 + 1.0, mean) >= p;
    least(enough)
}

/// The least count for which `enough` holds, given that it holds for all greater ones.
pub(super) fn least(enough: impl Fn(u64) -> bool) -> u64 {
    let mut high = 1;
    while high < u64::MAX / 4 && !enough(high) {
        high *= 2;
    }
    let mut low = 0;
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of a table made with R 4.2.2 `poisson.test`: a, b, `p_greater`, `p_two`, low, high.
    #[test]
    fn two_rates_compare_as_in_r() {
        let rows = [
            (1, 2, 0.488, 0.488, 0.033_899_921_396_446_1, 38.418_119_538_891_4),
            (8, 2, 7.792_64e-05, 7.792_64e-05, 3.193_009_808_024_96, 154.662_624_318_861),
            (0, 10, 1.0, 0.228_248_064, 0.0, 1.784_502_197_836_7),
        ];
        for (a, b, p_greater, p_two, low, high) in rows {
            let test = ratio_test(Rate { count: a, over: 1.0 }, Rate { count: b, over: 4.0 });
            let test = test.unwrap();
            for (ours, theirs) in [
                (test.p_greater, p_greater),
                (test.p_two, p_two),
                (test.low, low),
                (test.high, high),
            ] {
                assert!((ours - theirs).abs() <= 1e-7 * theirs.max(1e-12), "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn quantiles_agree_with_tails() {
        for mean in [0.2, 3.0, 40.0, 900.0] {
            let bound = quantile(0.99, mean);
            assert!(at_least(bound + 1, mean) <= 0.01, "mean {mean}");
            assert!(bound == 0 || at_least(bound, mean) > 0.01, "mean {mean}");
        }
    }
}
