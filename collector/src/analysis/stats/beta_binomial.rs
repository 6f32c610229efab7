//! The beta-binomial tail: how many of `n` cases fall to one side when its share wavers. Pure.
//!
//! This is the exact test of the split of cases, widened for dispersion and for a share that is
//! itself an estimate. With no extra variance it is the binomial test.

use super::special::{ln_beta, ln_choose, normal_above};

/// Above this many cases the normal tail is used; by then the two agree to a percent.
const MANY: u64 = 50_000;

/// `P(X >= count)` of `of` cases, for X with mean `of * share` and the given `variance`.
///
/// A variance below the binomial one is taken for it.
pub fn at_least(count: u64, of: u64, share: f64, variance: f64) -> f64 {
    if count == 0 || of == 0 {
        return 1.0;
    }
    let n = of as f64;
    let binomial = n * share * (1.0 - share);
    if of > MANY {
        let far = count as f64 - 0.5 - n * share;
        return normal_above(far / variance.max(binomial).sqrt());
    }
    // variance = n p q (1 + (n - 1) / (s + 1)), solved for the precision s.
    let inflation = (variance / binomial).min(0.999 * n);
    if inflation <= 1.0 + 1e-9 {
        return super::poisson::binomial_at_least(count, of, share);
    }
    let precision = ((n - 1.0) / (inflation - 1.0) - 1.0).max(1e-3);
    let (a, b) = (precision * share, precision * (1.0 - share));
    let k = count as f64;
    let first = ln_choose(n, k) + ln_beta(k + a, n - k + b) - ln_beta(a, b);
    first.exp() * tail(count, of, (a, b))
}

/// The sum of the chances from `count` up, in units of the chance of `count` itself.
fn tail(count: u64, of: u64, (a, b): (f64, f64)) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in count..of {
        let (k, left) = (k as f64, (of - k) as f64);
        term *= left / (k + 1.0) * (k + a) / (left - 1.0 + b);
        sum += term;
        if term < 1e-16 * sum {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_extra_variance_it_is_the_binomial_tail() {
        let exact = super::super::poisson::binomial_at_least(12, 30, 0.25);
        assert!((at_least(12, 30, 0.25, 30.0 * 0.25 * 0.75) - exact).abs() < 1e-12);
    }

    /// Beta(1, 1) makes every count equally likely.
    #[test]
    fn a_share_that_may_be_anything_gives_a_uniform_count() {
        let n = 10.0_f64;
        let variance = n * 0.25 * (1.0 + (n - 1.0) / 3.0);
        for count in 0..=10_u64 {
            let uniform = (11 - count) as f64 / 11.0;
            assert!((at_least(count, 10, 0.5, variance) - uniform).abs() < 1e-9, "{count}");
        }
    }

    #[test]
    fn more_variance_makes_a_far_count_less_surprising() {
        let narrow = at_least(40, 100, 0.25, 20.0);
        let wide = at_least(40, 100, 0.25, 60.0);
        assert!(narrow < wide && wide < 0.1);
    }
}
