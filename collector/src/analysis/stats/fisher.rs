//! Fisher's exact test of a table exposed/unexposed by after/before. Pure.
//!
//! Given all margins the count of exposed cases after the change is hypergeometric; with an effect
//! it is Fisher's noncentral hypergeometric, whose maximum-likelihood odds ratio and exact interval
//! are found by bisection on the log odds.

use super::poisson::{SAME, SIDE};
use super::special::ln_choose;

/// Cases by exposure and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Exposed sites, after.
    pub exposed_after: u64,
    /// Exposed sites, before.
    pub exposed_before: u64,
    /// Unexposed sites, after.
    pub unexposed_after: u64,
    /// Unexposed sites, before.
    pub unexposed_before: u64,
}

/// What the exact test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fisher {
    /// One-sided: exposed sites have more after than their share.
    pub p_greater: f64,
    /// Two-sided: all tables no more likely than this one.
    pub p_two: f64,
    /// Conditional maximum-likelihood odds ratio; infinite at the upper edge of what can be.
    pub odds_ratio: f64,
    /// Lower end of the exact 95 % interval.
    pub low: f64,
    /// Upper end of the exact 95 % interval; may be infinite.
    pub high: f64,
}

/// Tests `table` (R `fisher.test`).
pub fn fisher(table: &Table) -> Fisher {
    let margins = Margins::of(table);
    let observed = table.exposed_after;
    let central = margins.chances(0.0);
    let here = margins.chance(&central, observed) * SAME;
    let p_two = central.iter().filter(|p| **p <= here).sum::<f64>().min(1.0);
    let (bottom, top) = (observed == margins.least, observed == margins.most);
    Fisher {
        p_greater: margins.at_least(&central, observed),
        p_two,
        odds_ratio: margins.likeliest(observed),
        low: if bottom {
            0.0
        } else {
            margins.solve(|chances| margins.at_least(chances, observed) >= SIDE)
        },
        high: if top {
            f64::INFINITY
        } else {
            margins.solve(|chances| margins.at_most(chances, observed) < SIDE)
        },
    }
}

/// `P(exposed_after or more)` with no effect.
pub fn at_least(table: &Table) -> f64 {
    let margins = Margins::of(table);
    margins.at_least(&margins.chances(0.0), table.exposed_after)
}

/// The margins of a table and the logarithm of the ways to each count.
struct Margins {
    least: u64,
    most: u64,
    ways: Vec<f64>,
}

impl Margins {
    fn of(table: &Table) -> Self {
        let exposed = table.exposed_after + table.exposed_before;
        let unexposed = table.unexposed_after + table.unexposed_before;
        let after = table.exposed_after + table.unexposed_after;
        let least = after.saturating_sub(unexposed);
        let most = after.min(exposed);
        let ways = (least..=most).map(|k| {
            ln_choose(exposed as f64, k as f64) + ln_choose(unexposed as f64, (after - k) as f64)
        });
        Self { least, most, ways: ways.collect() }
    }

    /// The chance of each possible count when the log odds ratio is `effect`.
    fn chances(&self, effect: f64) -> Vec<f64> {
        let weight = |(k, ways): (u64, &f64)| ways + effect * k as f64;
        let weights: Vec<f64> = (self.least..).zip(&self.ways).map(weight).collect();
        let top = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = weights.iter().map(|weight| (weight - top).exp()).sum();
        weights.iter().map(|weight| (weight - top).exp() / total).collect()
    }

    fn chance(&self, chances: &[f64], count: u64) -> f64 {
        chances.get((count - self.least) as usize).copied().unwrap_or(0.0)
    }

    fn at_least(&self, chances: &[f64], count: u64) -> f64 {
        // Smallest first, so that nothing is lost of a far tail.
        chances.iter().skip((count - self.least) as usize).rev().sum::<f64>().min(1.0)
    }

    fn at_most(&self, chances: &[f64], count: u64) -> f64 {
        chances.iter().take((count - self.least) as usize + 1).sum::<f64>().min(1.0)
    }

    /// The odds ratio under which `observed` is the mean.
    fn likeliest(&self, observed: u64) -> f64 {
        if observed == self.least {
            return 0.0;
        }
        if observed == self.most {
            return f64::INFINITY;
        }
        let mean = |chances: &[f64]| -> f64 {
            (self.least..).zip(chances).map(|(k, chance)| k as f64 * chance).sum()
        };
        self.solve(|chances| mean(chances) >= observed as f64)
    }

    /// The odds ratio above which `reached` holds.
    fn solve(&self, reached: impl Fn(&[f64]) -> bool) -> f64 {
        let (mut low, mut high) = (-60.0, 60.0);
        for _ in 0..80 {
            let middle = 0.5 * (low + high);
            if reached(&self.chances(middle)) {
                high = middle;
            } else {
                low = middle;
            }
        }
        f64::exp(0.5 * (low + high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of a table made with R 4.2.2 `fisher.test`; its odds ratio is good to 1e-4.
    #[test]
    fn a_table_is_tested_as_in_r() {
        let rows = [
            ((2, 1, 3, 12), 0.171_568_627_450_98, 6.878_633_784_552_53, 0.275_690_382_426_245),
            ((5, 1, 3, 12), 0.013_931_888_544_891_8, 16.507_608_813_994_5, 1.248_265_977_562_13),
            ((0, 8, 3, 12), 1.0, 0.0, 0.0),
        ];
        for ((ya, yb, ua, ub), p_greater, odds_ratio, low) in rows {
            let found = fisher(&Table {
                exposed_after: ya,
                exposed_before: yb,
                unexposed_after: ua,
                unexposed_before: ub,
            });
            assert!((found.p_greater - p_greater).abs() < 1e-9 * p_greater);
            assert!((found.odds_ratio - odds_ratio).abs() <= 1e-3 * odds_ratio);
            assert!((found.low - low).abs() <= 1e-3 * low, "{} {low}", found.low);
        }
    }
}
