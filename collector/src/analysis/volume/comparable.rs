//! Is this count more than the same hour, day or week of past weeks lets expect? Pure.
//!
//! The expectation is the mean of the same slot (hour of the week, day of the week, or any week) in
//! up to `WEEKS` past weeks, the last `LEFT_OUT_WEEKS` left out so that a slow rise is not
//! learned. A mean for each slot is the regression on seasons that Farrington's method asks for,
//! solved in closed form. Twelve points are too few to tell how widely a slot varies, so
//! neighbouring slots, each around its own mean, help with that. Past points that stand out count
//! less, as in the method.
//!
//! The bound is a quantile of the negative binomial that holds the variation of the slot, the error
//! of its mean, and, as Student's t does for the normal, that the variation was itself estimated.
//! Without the last two, one alarm in a hundred becomes one in forty.

use super::Found;
use super::farrington::enough;
use super::series::{Bucket, Cell};
use super::spread::Count;
use crate::analysis::stats::special::{normal_quantile_above, student_above};

/// The most past weeks for hours and days: a quarter, so that the season hardly changes.
const WEEKS: usize = 12;

/// The most past weeks for weeks, of which each gives one point only.
const WEEKS_OF_WEEKS: usize = 26;

/// How many weeks before the present one are left out.
const LEFT_OUT_WEEKS: usize = 1;

/// The fewest points an expectation may stand on.
const FEWEST: usize = 5;

/// A past point counts less from this standardised residual on (Noufaily et al. 2013).
const REWEIGHT_ABOVE: f64 = 2.58;

/// Degrees of freedom above which an estimated variation is as good as a known one.
const MANY_DEGREES: usize = 200;

/// From this rate of false alarms on the bound is about the mean, whatever the variation.
const WIDENED_BELOW: f64 = 0.4;

/// Judges by comparable buckets.
pub struct Comparable {
    per_week: usize,
    weeks: usize,
    /// How many slots before and after help with the variation.
    neighbours: usize,
    alpha: f64,
    /// By degrees of freedom, how much wider the variation is taken because it was estimated.
    widening: Vec<f64>,
    points: Vec<Point>,
}

/// A past count, its slot's mean and its weight.
#[derive(Clone, Copy)]
struct Point {
    slot: usize,
    count: f64,
    weight: f64,
}

impl Comparable {
    pub(super) fn new(bucket: Bucket, alpha: f64) -> Self {
        let (weeks, neighbours) = match bucket {
            Bucket::Hour => (WEEKS, 2),
            Bucket::Day => (WEEKS, 3),
            Bucket::Week => (WEEKS_OF_WEEKS, 0),
        };
        let known = normal_quantile_above(alpha);
        let widening = |degrees| match alpha < WIDENED_BELOW {
            true => (student_quantile_above(alpha, degrees) / known).powi(2).max(1.0),
            false => 1.0,
        };
        let widening = (0..MANY_DEGREES).map(widening).collect();
        let per_week = bucket.per_week();
        Self { per_week, weeks, neighbours, alpha, widening, points: Vec::new() }
    }

    pub(super) fn judge(&mut self, cell: &Cell<'_>, at: usize) -> Option<Found> {
        let observed = *cell.counts.get(at)?;
        self.gather(cell, at);
        self.reweigh();
        let own = self.slot(self.neighbours);
        if own.points < FEWEST {
            return None;
        }
        let (dispersion, degrees) = self.variation();
        let widening = self.widening.get(degrees).copied().unwrap_or(1.0);
        // Half a case more than was seen: a slot without any case is not one that never has one.
        let mean = (own.sum + 0.5) / own.weight;
        let spread = (dispersion * widening).max(1.0) * (1.0 + 1.0 / own.weight);
        let count = Count { mean, dispersion: spread };
        let bound = count.quantile(1.0 - self.alpha);
        Some(Found {
            expected: Some(own.sum / own.weight),
            bound: Some(bound as f64),
            p_value: Some(count.at_least(observed)),
            alarm: observed > bound && enough(&cell.counts, at),
            dispersion: Some(dispersion.max(1.0)),
        })
    }

    /// Past buckets of the same slot and of its neighbours, days off left out.
    fn gather(&mut self, cell: &Cell<'_>, at: usize) {
        self.points.clear();
        for week in LEFT_OUT_WEEKS + 1..=LEFT_OUT_WEEKS + self.weeks {
            let Some(same) = at.checked_sub(week * self.per_week) else { break };
            for slot in 0..=2 * self.neighbours {
                let Some(place) = (same + slot).checked_sub(self.neighbours) else { continue };
                if cell.is_off(place) {
                    continue;
                }
                let count = cell.counts.get(place).map_or(0.0, |count| *count as f64);
                self.points.push(Point { slot, count, weight: 1.0 });
            }
        }
    }

    fn slot(&self, slot: usize) -> Slot {
        let mut sums = Slot::default();
        for point in self.points.iter().filter(|point| point.slot == slot) {
            sums.points += 1;
            sums.weight += point.weight;
            sums.sum += point.weight * point.count;
        }
        sums
    }

    /// Lets points count less that stand far above their slot (Anscombe residuals).
    fn reweigh(&mut self) {
        let (dispersion, _) = self.variation();
        let slots: Vec<Slot> = (0..=2 * self.neighbours).map(|slot| self.slot(slot)).collect();
        for point in &mut self.points {
            let Some(slot) = slots.get(point.slot) else { continue };
            let mean = slot.sum / slot.weight;
            let residual =
                1.5 * (point.count.powf(2.0 / 3.0) * mean.powf(-1.0 / 6.0) - mean.sqrt());
            let standard = residual / (dispersion.max(1.0) * (1.0 - 1.0 / slot.weight)).sqrt();
            if standard > REWEIGHT_ABOVE && standard.is_finite() {
                point.weight = standard.powi(-2);
            }
        }
    }

    /// Pearson's dispersion around the slots' means, and its degrees of freedom.
    fn variation(&self) -> (f64, usize) {
        let (mut pearson, mut degrees) = (0.0, 0usize);
        for number in 0..=2 * self.neighbours {
            let slot = self.slot(number);
            // A slot without a case says nothing of how cases vary.
            if slot.points < 2 || slot.sum <= 0.0 {
                continue;
            }
            let mean = slot.sum / slot.weight;
            // Weights are brought to the number of points, as if all counted the same.
            let scale = slot.points as f64 / slot.weight;
            let points = self.points.iter().filter(|point| point.slot == number);
            let squares = points.map(|p| scale * p.weight * (p.count - mean).powi(2) / mean);
            pearson += squares.sum::<f64>();
            degrees += slot.points - 1;
        }
        if degrees == 0 { (1.0, 0) } else { (pearson / degrees as f64, degrees) }
    }
}

/// Sums over the points of one slot.
#[derive(Clone, Copy, Default)]
struct Slot {
    points: usize,
    weight: f64,
    sum: f64,
}

/// The value that Student's t exceeds with probability `p`, by bisection; with no degrees of
/// freedom as with one.
fn student_quantile_above(p: f64, degrees: usize) -> f64 {
    let degrees = degrees.max(1) as f64;
    let (mut low, mut high) = (0.0, 1.0);
    while student_above(high, degrees) > p && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if student_above(middle, degrees) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}
