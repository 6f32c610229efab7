//! Where the level of daily cases moved and stayed: what came to stay is no peak, and a change that
//! falls there is looked at with other eyes. Pure.
//!
//! Two methods must agree ([`breaks`]), on square roots, whose spread does not grow with the level,
//! less what each day of the week usually has. It says when, never why.

use std::ops::Range;

use crate::analysis::stats::breaks;

/// Days without which nothing is said: four weeks.
const FEWEST: usize = 28;
/// Days a level must last.
const LASTS: usize = 7;
/// What a break costs, in variances and logarithms of the number of days.
const COSTS: f64 = 6.0;
/// Variance of the root of a Poisson count.
const CHANCE: f64 = 0.25;
/// The second method must explain a break by chance less often than this.
const P: f64 = 0.001;
/// How many days both methods may be apart.
const APART: usize = 3;
/// The median of absolute normal numbers.
const MEDIAN: f64 = 0.674_489_750_196_081_7;

/// A move of the level.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelMove {
    /// The first day of the new level, counted from the first of the series.
    pub at: usize,
    /// Cases a day on the days before it, from the move before.
    pub before: f64,
    /// Cases a day from then on, to the next move.
    pub after: f64,
}

/// The moves of whole days of cases in a row.
pub fn moves(days: &[u64]) -> Vec<LevelMove> {
    if days.len() < FEWEST {
        return Vec::new();
    }
    let level = without_rhythm(days);
    let penalty = COSTS * (days.len() as f64).ln() * spread(&level);
    let agreed = breaks::divisive(&level, P);
    let near = |at: &usize| agreed.iter().any(|other| other.at.abs_diff(*at) <= APART);
    let places: Vec<usize> =
        breaks::pelt(&level, penalty, LASTS).into_iter().filter(near).collect();
    let begins = std::iter::once(0).chain(places.iter().copied());
    let ends = places.iter().copied().skip(1).chain([days.len()]);
    let moved = begins.zip(&places).zip(ends);
    moved
        .map(|((begin, at), end)| LevelMove {
            at: *at,
            before: mean(days, begin..*at),
            after: mean(days, *at..end),
        })
        .collect()
}

fn mean(days: &[u64], of: Range<usize>) -> f64 {
    let days = days.get(of).unwrap_or_default();
    days.iter().sum::<u64>() as f64 / days.len().max(1) as f64
}

/// Roots of the counts, less the mean of their day of the week.
fn without_rhythm(days: &[u64]) -> Vec<f64> {
    let roots: Vec<f64> = days.iter().map(|count| (*count as f64 + 0.375).sqrt()).collect();
    let usual: Vec<f64> = (0..7)
        .map(|weekday| {
            let of: Vec<f64> = roots.iter().copied().skip(weekday).step_by(7).collect();
            of.iter().sum::<f64>() / of.len().max(1) as f64
        })
        .collect();
    roots.iter().zip(usual.iter().cycle()).map(|(root, usual)| root - usual).collect()
}

/// The variance from day to day and from week to week, whichever is more, at least chance's; of
/// differences, so that a move of the level hardly counts, and by their median.
fn spread(level: &[f64]) -> f64 {
    let over = |lag: usize| {
        let mut apart: Vec<f64> = level
            .iter()
            .skip(lag)
            .zip(level)
            .map(|(later, before)| (later - before).abs())
            .collect();
        let middle = apart.len() / 2;
        if apart.is_empty() {
            return 0.0;
        }
        let median = *apart.select_nth_unstable_by(middle, f64::total_cmp).1;
        (median / MEDIAN).powi(2) / 2.0
    };
    over(1).max(over(7)).max(CHANCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::stats::random::Random;

    /// Sums of many small chances, by weekday: about Poisson, `level` on an ordinary day.
    fn days(level: impl Fn(usize) -> f64, count: usize, seed: usize) -> Vec<u64> {
        let mut random = Random::seeded(&["days", &seed.to_string()]);
        let weekday = [1.3, 1.1, 1.0, 1.0, 0.9, 0.2, 0.1];
        (0..count)
            .map(|day| {
                let mean = level(day) * weekday[day % 7];
                (0..1_000).filter(|_| random.below(1_000_000) < (mean * 1e3) as usize).count()
                    as u64
            })
            .collect()
    }

    #[test]
    fn a_rhythm_alone_is_no_move() {
        let moved = (0..200).filter(|seed| !moves(&days(|_| 12.0, 91, *seed)).is_empty()).count();
        assert!(moved <= 4, "{moved} of 200");
    }

    #[test]
    fn a_peak_is_no_move_and_a_day_off_neither() {
        let found = |special: f64| {
            let level = |day: usize| if day == 45 { special } else { 12.0 };
            (0..40).filter(|seed| !moves(&days(level, 91, *seed)).is_empty()).count()
        };
        assert!(found(90.0) <= 1 && found(0.0) <= 1);
    }

    #[test]
    fn a_doubling_that_stays_is_found_where_it_was() {
        let level = |day: usize| if day < 50 { 12.0 } else { 24.0 };
        let near = |seed: &usize| {
            let found = moves(&days(level, 91, *seed));
            let is_near = |one: &LevelMove| {
                one.at.abs_diff(50) <= 3 && one.before < 12.0 && one.after > 1.7 * one.before
            };
            found.len() == 1 && found.iter().all(is_near)
        };
        let found = (0..40).filter(near).count();
        assert!(found >= 36, "{found} of 40");
    }

    #[test]
    fn little_says_nothing() {
        assert_eq!(moves(&[]), []);
        assert_eq!(moves(&[1; 27]), []);
        assert_eq!(moves(&[0; 60]), []);
    }
}
