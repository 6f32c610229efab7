//! Self-controlled case series: each unit is its own control. Pure.
//!
//! Farrington (1995), Whitaker et al. (2006). Given how many events a unit had in all, they fall
//! into its intervals in proportion to `length * exp(terms)`; what never changes about the unit
//! drops out. Answers "was the rate higher just after" where nobody is unexposed.

use std::collections::BTreeMap;

use super::linear::{add_outer, dot, inverse, times, zeros};

/// Rounds after which a fit that still moves is given up.
const MAX_ROUNDS: usize = 100;

/// A piece of one unit's time in which nothing changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// Whose time.
    pub unit: u32,
    /// How long, greater than 0.
    pub length: f64,
    /// Events in it.
    pub events: f64,
    /// The terms: exposed, age groups; no constant, which would drop out.
    pub x: Vec<f64>,
}

/// A fit: coefficients on the logarithm of the rate, and their standard errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Logarithms of rate ratios, one per term.
    pub log_ratios: Vec<f64>,
    /// Their standard errors.
    pub standard_errors: Vec<f64>,
}

/// Fits `intervals` by Newton's method; `None` when the terms are not separable in these units.
pub fn fit(intervals: &[Interval]) -> Option<Estimate> {
    let terms = intervals.first()?.x.len();
    let mut units: BTreeMap<u32, Vec<&Interval>> = BTreeMap::new();
    for interval in intervals {
        units.entry(interval.unit).or_default().push(interval);
    }
    let mut beta = vec![0.0; terms];
    for _ in 0..MAX_ROUNDS {
        let mut information = zeros(terms);
        let mut score = vec![0.0; terms];
        for unit in units.values() {
            add_unit(unit, &beta, (&mut information, &mut score));
        }
        let covariance = inverse(&information)?;
        let step = times(&covariance, &score);
        // A step beyond 2 on the log scale overshoots; half-way there is still on the way.
        let length = step.iter().map(|s| s.abs()).fold(0.0, f64::max);
        let scale = if length > 2.0 { 2.0 / length } else { 1.0 };
        for (b, s) in beta.iter_mut().zip(&step) {
            *b += s * scale;
        }
        if length < 1e-10 {
            let diagonal = covariance.iter().enumerate();
            let errors = diagonal.map(|(i, row)| row.get(i).copied().unwrap_or(0.0).sqrt());
            return Some(Estimate { log_ratios: beta, standard_errors: errors.collect() });
        }
    }
    None
}

fn add_unit(unit: &[&Interval], beta: &[f64], into: (&mut [Vec<f64>], &mut [f64])) {
    let (information, score) = into;
    let events: f64 = unit.iter().map(|i| i.events).sum();
    if events == 0.0 {
        return;
    }
    let weight = |i: &&Interval| i.length * dot(&i.x, beta).exp();
    let total: f64 = unit.iter().map(weight).sum();
    let mut mean = vec![0.0; beta.len()];
    for interval in unit {
        let share = weight(interval) / total;
        add_outer(information, &interval.x, events * share);
        for ((m, s), x) in mean.iter_mut().zip(score.iter_mut()).zip(&interval.x) {
            *m += share * x;
            *s += (interval.events - events * share) * x;
        }
    }
    add_outer(information, &mean, -events);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One unit, one term: the ratio of the two rates.
    #[test]
    fn one_unit_alone_gives_the_ratio_of_its_rates() {
        let interval = |length, events, x| Interval { unit: 1, length, events, x: vec![x] };
        let estimate = fit(&[interval(10.0, 5.0, 1.0), interval(90.0, 9.0, 0.0)]).unwrap();
        assert!((estimate.log_ratios[0] - 5.0_f64.ln()).abs() < 1e-9);
        let variance: f64 = 1.0 / 5.0 + 1.0 / 9.0;
        assert!((estimate.standard_errors[0] - variance.sqrt()).abs() < 1e-9);
    }
}
