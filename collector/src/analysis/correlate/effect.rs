//! Exposed against unexposed: one table per wave with its own clean controls, pooled.
//!
//! The size of the effect is the log ratio of ratios with halves added, pooled by inverse variance;
//! the test is the hypergeometric score summed over waves (Cochran, Mantel and Haenszel), which
//! stays honest where a table is nearly empty. Both variances are multiplied by the dispersion.
//! Already exposed sites are in no table but their own.

use super::panel::Shape;
use crate::analysis::stats::beta_binomial;

/// Cases by exposure and time, for one wave; fractions when effects were taken away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Table {
    pub(super) exposed_after: f64,
    pub(super) exposed_before: f64,
    pub(super) control_after: f64,
    pub(super) control_before: f64,
}

/// The sums over tables that every number of this page is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Split {
    /// Exposed cases less their share of all, summed over waves.
    pub(super) surplus: f64,
    /// Variance of the surplus under chance alone.
    pub(super) variance: f64,
}

/// One table for each complete wave, from the sums of what each wave reached and of all rows.
pub(super) fn tables<'a>(
    shape: &'a Shape,
    reached: &'a [Vec<f32>],
    total: &'a [f32],
) -> impl Iterator<Item = Table> + 'a {
    let complete = shape.clean.iter().enumerate().zip(reached);
    complete.filter_map(move |((wave, clean), exposed)| {
        let clean = clean.as_ref()?;
        let unreached = |of: &dyn Fn(&[f32]) -> f64| {
            let later = clean.iter().filter_map(|later| reached.get(*later));
            let exposed: f64 = reached.iter().map(|sum| of(sum)).sum();
            (of(total) - exposed).max(0.0) + later.map(|sum| of(sum)).sum::<f64>()
        };
        Some(Table {
            exposed_after: shape.after(exposed, wave),
            exposed_before: shape.before(exposed, wave),
            control_after: unreached(&|sum| shape.after(sum, wave)),
            control_before: unreached(&|sum| shape.before(sum, wave)),
        })
    })
}

impl Table {
    /// Whether unexposed sites had enough cases to say what is usual.
    pub(super) fn has_controls(&self) -> bool {
        self.control_before >= 2.0
    }

    /// The surplus of exposed cases over their share, and its variance.
    fn split(&self) -> Split {
        let after = self.exposed_after + self.control_after;
        let before = self.exposed_before + self.control_before;
        let exposed = self.exposed_after + self.exposed_before;
        let all = after + before;
        if all <= 1.0 {
            return Split::default();
        }
        let surplus = self.exposed_after - after * exposed / all;
        let variance = after * before * exposed * (all - exposed) / (all * all * (all - 1.0));
        Split { surplus, variance }
    }

    /// Log ratio of ratios and its variance, halves added.
    pub(super) fn log_ratio(&self) -> (f64, f64) {
        let [a, b, c, d] =
            [self.exposed_after, self.exposed_before, self.control_after, self.control_before]
                .map(|count| count + 0.5);
        ((a / b).ln() - (c / d).ln(), 1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d)
    }

    /// What the past and the controls let expect of the exposed.
    pub(super) fn expected(&self) -> f64 {
        self.exposed_before * (self.control_after + 0.5) / (self.control_before + 0.5)
    }

    /// Log likelihood the split gains when exposed sites may rise: the scan statistic, with the
    /// baseline and the common shock estimated instead of known. Negative when they fell.
    fn likelihood_gain(&self) -> f64 {
        let after = self.exposed_after + self.control_after;
        let exposed = self.exposed_after + self.exposed_before;
        let all = after + self.exposed_before + self.control_before;
        let part = |seen: f64, row: f64, column: f64| {
            if seen > 0.0 { seen * (seen * all / (row * column)).ln() } else { 0.0 }
        };
        let gain = part(self.exposed_after, after, exposed)
            + part(self.exposed_before, all - after, exposed)
            + part(self.control_after, after, all - exposed)
            + part(self.control_before, all - after, all - exposed);
        gain.max(0.0).copysign(self.split().surplus)
    }
}

/// The summed split of `tables`.
pub(super) fn split(tables: impl Iterator<Item = Table>) -> Split {
    tables.map(|table| table.split()).fold(Split::default(), |sum, split| Split {
        surplus: sum.surplus + split.surplus,
        variance: sum.variance + split.variance,
    })
}

/// Surplus in standard deviations, widened by `dispersion`; 0 when nothing can vary.
pub(super) fn z(split: &Split, dispersion: f64) -> f64 {
    if split.variance > 0.0 { split.surplus / (split.variance * dispersion).sqrt() } else { 0.0 }
}

/// Pooled log rate ratio and its variance for a dispersion of 1.
pub(super) fn pooled(tables: &[Table]) -> (f64, f64) {
    let mut weighted = 0.0;
    let mut weight = 0.0;
    for (theta, variance) in tables.iter().map(Table::log_ratio) {
        weighted += theta / variance;
        weight += 1.0 / variance;
    }
    (weighted / weight, 1.0 / weight)
}

/// Scan log likelihood ratio over all waves, signed, over `dispersion`.
pub(super) fn likelihood_ratio(tables: &[Table], dispersion: f64) -> f64 {
    tables.iter().map(Table::likelihood_gain).sum::<f64>() / dispersion
}

/// The chance of so many exposed cases or more, given all cases: a beta-binomial tail.
///
/// Its mean is the share of the reference weeks with one exposed case added, and its variance that
/// of the split, of the estimated share, and of the dispersion. With one wave and a dispersion of 1
/// this is Fisher's exact test.
pub(super) fn tail(tables: &[Table], dispersion: f64) -> f64 {
    let (mut count, mut of, mut mean, mut variance) = (0.0, 0.0, 0.0, 0.0);
    for table in tables {
        let after = table.exposed_after + table.control_after;
        let before = table.exposed_before + table.control_before;
        let share = (table.exposed_before + 1.0) / (before + 1.0);
        count += table.exposed_after;
        of += after;
        mean += after * share;
        variance += after * share * (1.0 - share) * (1.0 + (after - 1.0).max(0.0) / (before + 2.0));
    }
    // Fractions stem from effects taken away; what is rounded goes against a rise.
    let (count, of) = ((count + 1e-3).floor() as u64, (of - 1e-3).ceil() as u64);
    if of == 0 || mean <= 0.0 {
        return 1.0;
    }
    beta_binomial::at_least(count, of, (mean / of as f64).min(1.0), variance * dispersion)
}
