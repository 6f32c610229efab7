//! Would a random cohort of the same size have risen as much?
//!
//! The statistic is the surplus in standard deviations, each cohort measured by the dispersion its
//! own past shows: a cohort that always wavers, because its sites move together, must rise more to
//! count. Draws stop after ten cohorts that rose as much (Besag and Clifford 1991), so dull changes
//! cost little; the rest are followed to the full number of draws.

use super::cohort::{Cohorts, together};
use super::dispersion::{self, Dispersion};
use super::effect;
use super::panel::Panel;
use crate::analysis::stats::random::Random;

/// Cohorts as far as ours after which the answer is dull enough.
const ENOUGH: u32 = 10;
/// Cohorts whose dispersion is averaged into the common one.
const COMMON: usize = 48;
/// Surplus that counts as the same, so that the order of additions does not decide.
const SAME: f64 = 1e-5;

/// What the cohorts said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Randomised {
    /// Share of cohorts that rose as much, ours among them.
    pub(super) p: f64,
    /// The least p that so few cohorts could give.
    pub(super) attainable: f64,
}

/// The dispersion random cohorts of this size share.
pub(super) fn common_dispersion(panel: &Panel, seed: &[&str]) -> f64 {
    let words: Vec<&str> = seed.iter().copied().chain(["dispersion"]).collect();
    let mut cohorts = Cohorts::new(panel, Random::seeded(&words));
    let mut sum = 0.0;
    for _ in 0..COMMON {
        cohorts.draw();
        sum += of_history(panel, &cohorts.sums).value;
    }
    sum / COMMON as f64
}

/// The dispersion the past of the cohort with these sums shows.
pub(super) fn of_history(panel: &Panel, sums: &[Vec<f32>]) -> Dispersion {
    let all = together(sums);
    let shape = &panel.shape;
    dispersion::of(shape, shape.history(&all), shape.history(&panel.total))
}

/// Holds a surplus of `z` standard deviations against random cohorts of `panel`.
pub(super) fn randomise(panel: &Panel, z: f64, draw: &Draw<'_>) -> Randomised {
    let mut cohorts = Cohorts::new(panel, Random::seeded(draw.seed));
    let mut tally = Tally::default();
    if cohorts.are_few() {
        for bits in 1..cohorts.listed() {
            if cohorts.take(bits) {
                tally.add(z, &cohorts, (panel, draw));
            }
        }
        let p = f64::from(tally.exceeded.max(1)) / f64::from(tally.draws.max(1));
        return Randomised { p, attainable: 1.0 / f64::from(tally.draws.max(1)) };
    }
    while tally.draws < draw.most && tally.exceeded < ENOUGH {
        cohorts.draw();
        tally.add(z, &cohorts, (panel, draw));
    }
    let draws = f64::from(tally.draws.max(1));
    let p = if tally.exceeded >= ENOUGH {
        f64::from(tally.exceeded) / draws
    } else {
        f64::from(tally.exceeded + 1) / (draws + 1.0)
    };
    let again = f64::from(tally.same) / draws;
    Randomised { p, attainable: again.max(1.0 / (f64::from(draw.most) + 1.0)) }
}

/// How to draw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw<'a> {
    /// What the sequence depends on.
    pub(super) seed: &'a [&'a str],
    /// Draws at most.
    pub(super) most: u32,
    /// See [`common_dispersion`].
    pub(super) common: f64,
}

#[derive(Default)]
struct Tally {
    draws: u32,
    exceeded: u32,
    same: u32,
}

impl Tally {
    fn add(&mut self, z: f64, cohorts: &Cohorts<'_>, (panel, draw): (&Panel, &Draw<'_>)) {
        let dispersion = of_history(panel, &cohorts.sums).towards(draw.common);
        let tables = effect::tables(&panel.shape, &cohorts.sums, &panel.total);
        let drawn = effect::z(&effect::split(tables), dispersion);
        self.draws += 1;
        self.exceeded += u32::from(cohorts.same || drawn >= z - SAME);
        self.same += u32::from(cohorts.same);
    }
}
