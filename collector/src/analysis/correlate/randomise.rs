//! Would a random cohort of the same size have risen as much?
//!
//! Few sites, or few cohorts of several waves: all cohorts of about that share are listed and held
//! against ours in the window of the change, each measured by the dispersion its own past shows;
//! those of several waves in random order.
//! Many: random cohorts, each in a random window of the past, so that a large site that
//! half of all cohorts hold is not asked about today's cases again and again. How unlike sites are
//! today is not in the past, so our own surplus is widened by it (`present`) before it is held
//! against them. Draws, and lists of several waves, stop after ten cohorts that rose as much (Besag
//! and Clifford 1991), so dull changes cost little; the rest are followed to the end.

use super::cohort::{Cohorts, together};
use super::dispersion::{self, Dispersion};
use super::effect::{self, Table};
use super::listing::Way;
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
    common(panel, Cohorts::new(panel, Random::seeded(&words)))
}

fn common(panel: &Panel, mut cohorts: Cohorts<'_>) -> f64 {
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

/// The dispersion random cohorts with half of all cases share: one number for all changes of a
/// service and an hour, so that ranks do not depend on whose past happened to be quiet.
pub(super) fn halves_dispersion(panel: &Panel) -> f64 {
    common(panel, Cohorts::halves(panel, Random::seeded(&["halves"])))
}

/// A surplus in standard deviations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Surplus {
    /// Widened by the dispersion of the past, as that of each listed cohort is.
    pub(super) like_past: f64,
    /// Widened by the dispersion of the window, too.
    pub(super) today: f64,
}

/// Holds a surplus against random cohorts of `panel`.
pub(super) fn randomise(panel: &Panel, z: &Surplus, draw: &Draw<'_>) -> Randomised {
    let mut cohorts = Cohorts::new(panel, Random::seeded(draw.seed));
    let mut tally = Tally::default();
    if let Some(listed) = cohorts.listed(draw.most) {
        return against_all((cohorts, listed), z.like_past, (panel, draw));
    }
    while tally.draws < draw.most && tally.exceeded < ENOUGH {
        cohorts.draw();
        tally.add_drawn(z.today, &mut cohorts, (panel, draw));
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

/// Holds a surplus against the cohorts of a list, which ours is in.
///
/// Ours is as likely as each to be in any place of the order of surplus, so of those that were
/// looked at, in random order, ten that rose as much say what they do in random draws. At the end
/// of the list the share is exact.
fn against_all(
    (mut cohorts, mut ways): (Cohorts<'_>, Vec<Way>),
    z: f64,
    (panel, draw): (&Panel, &Draw<'_>),
) -> Randomised {
    let attainable = cohorts.ties(&ways).max(1) as f64 / ways.len().max(1) as f64;
    let enough = if cohorts.is_staged() {
        cohorts.shuffle(&mut ways);
        ENOUGH
    } else {
        u32::MAX
    };
    let mut tally = Tally::default();
    for way in &ways {
        cohorts.take(way);
        if cohorts.same {
            continue;
        }
        tally.add_listed(z, &cohorts, (panel, draw));
        if tally.exceeded >= enough {
            let p = f64::from(tally.exceeded) / f64::from(tally.draws);
            return Randomised { p, attainable };
        }
    }
    let p = f64::from(tally.exceeded + 1) / f64::from(tally.draws + 1);
    Randomised { p, attainable }
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
    /// Counts a listed cohort, in the window of the change.
    fn add_listed(&mut self, z: f64, cohorts: &Cohorts<'_>, (panel, draw): (&Panel, &Draw<'_>)) {
        let dispersion = of_history(panel, &cohorts.sums).towards(draw.common);
        let tables = effect::tables(&panel.shape, &cohorts.sums, &panel.total);
        let tables = tables.filter(Table::has_controls);
        let drawn = effect::z(&effect::split(tables), dispersion);
        self.add(cohorts, drawn >= z - SAME);
    }

    /// Counts a drawn cohort, in a random window of the past.
    fn add_drawn(&mut self, z: f64, cohorts: &mut Cohorts<'_>, (panel, draw): (&Panel, &Draw<'_>)) {
        let shape = &panel.shape;
        let windows = (shape.days + 1).saturating_sub(shape.window_days + 7).max(1);
        let back = shape.window_days + cohorts.below(windows);
        let all = together(&cohorts.sums);
        let days = (shape.history(&all), shape.history(&panel.total));
        let past = dispersion::past_z(shape, back, days).unwrap_or(0.0);
        self.add(cohorts, past / draw.common.max(1.0).sqrt() >= z - SAME);
    }

    fn add(&mut self, cohorts: &Cohorts<'_>, exceeded: bool) {
        self.draws += 1;
        self.exceeded += u32::from(exceeded);
        self.same += u32::from(cohorts.same);
    }
}
