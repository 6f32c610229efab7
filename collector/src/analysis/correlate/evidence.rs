//! What ranks changes: how much better a rise of the exposed sites explains the cases than none.
//!
//! Four sizes of a rise, fixed beforehand, are held against none, and their likelihoods averaged;
//! the best-fitting size would flatter the cohort with the fewest cases, because there the best fit
//! is the wildest. What all sites did in the window is not known but not anything either: it is
//! averaged over shocks as large as the service's past had them, with a wide remainder for the day
//! that is like no other. So where few cases are left to compare with, the service's own past
//! stands in, which a pure split of the cases throws away. The p-value does not lean on this: there
//! a shock for all may be as large as it likes.
//!
//! Rates come from the reference weeks, helped by the same sites' other hours (as many as are
//! worked in the window, where a calendar says), and are themselves uncertain (gamma). Everything
//! is tempered by one dispersion for all changes of a service and an hour, so that ranks do not
//! depend on whose past happened to be quiet. More cases at exposed sites never make it less:
//! nothing but the cases themselves depends on them.
//!
//! Every site with any past takes part, also those with too few cases to be drawn into cohorts:
//! one of them says nothing, but where a service has many they are a good part of its cases, and
//! only what all of them did together counts here. Cases of one site and hour come in clumps that
//! are one incident told many times; beyond what a doubled working hour would bring they are not
//! counted, more strictly than for the size of the effect, which must not be made smaller.

use super::coverage::{DAY, WEEK};
use super::dispersion::Sums;
use super::exposure::Reach;
use super::lens::Lens;
use super::panel::{self, Panel, Shape};

/// Sizes of rises that are averaged over.
const RISES: [f64; 4] = [1.5, 2.0, 3.0, 5.0];
/// What all hours of a site's history weigh beside the reference weeks.
const OTHER_HOURS: f64 = 3.0;
/// Of one hour at one site this many working hours' cases count, and two more.
const CLUMP: f64 = 2.0;
/// Share of windows in which all sites may do what they never did.
const UNLIKE: f64 = 0.3;
/// Shocks for all are looked at up to this factor's logarithm, both ways, in these steps.
const SHOCKS: (i32, f64) = (60, 0.05);
/// Variance of the logarithm of a shock where the past is too short to say.
const USUAL_SHOCK: f64 = 0.1;
/// What a week counts beside the one after it.
const FADE: f64 = 0.75;
/// Past windows below which their spread says nothing.
const MIN_WINDOWS: usize = 6;

/// Cases and what was to be expected of them, of one side of one wave.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    seen: f64,
    expected: f64,
    /// Cases the expectation rests on.
    rests_on: f64,
}

impl Side {
    /// Log likelihood when `factor` times the expected cases come, the expectation being uncertain.
    fn likelihood(&self, factor: f64, dispersion: f64) -> f64 {
        let (seen, expected) = (self.seen / dispersion, factor * self.expected / dispersion);
        let known = self.rests_on / dispersion + 0.5;
        let rises = (expected / (known + expected)).max(f64::MIN_POSITIVE).ln();
        seen * rises - known * (1.0 + expected / known).ln()
    }
}

/// The logarithm of the mean likelihood ratio of a rise against none.
pub(super) fn evidence(witnesses: &Witnesses, panel: &Panel, dispersion: f64) -> f64 {
    let shape = &panel.shape;
    let shock = shock_variance(shape, shape.history(&panel.total));
    let sides: Vec<[Side; 2]> =
        shape.complete().into_iter().map(|wave| witnesses.sides(shape, wave)).collect();
    let likelihood = |rise: f64| -> f64 {
        sides.iter().map(|sides| averaged(sides, rise, (shock, dispersion))).sum()
    };
    let none = likelihood(1.0);
    mean_of(|rise| likelihood(rise) - none)
}

/// The logarithm of the mean of `exp(gain)` over the sizes of rises.
pub(super) fn mean_of(gain: impl Fn(f64) -> f64) -> f64 {
    let gains = RISES.map(gain);
    log_sum(&gains) - (gains.len() as f64).ln()
}

fn log_sum(terms: &[f64]) -> f64 {
    let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + terms.iter().map(|term| (term - most).exp()).sum::<f64>().ln()
}

/// Log likelihood of a wave, averaged over shocks for all.
fn averaged([exposed, others]: &[Side; 2], rise: f64, (shock, dispersion): (f64, f64)) -> f64 {
    let (most, step) = SHOCKS;
    let terms: Vec<f64> = (-most..=most)
        .map(|place| {
            let log = f64::from(place) * step;
            let usual = (1.0 - UNLIKE) * (-log * log / (2.0 * shock)).exp() / shock.sqrt();
            let unlike = UNLIKE * (-log * log / 2.0).exp();
            (usual + unlike).ln()
                + exposed.likelihood(rise * log.exp(), dispersion)
                + others.likelihood(log.exp(), dispersion)
        })
        .collect();
    log_sum(&terms)
}

/// What one site has to say.
#[derive(Clone, Debug)]
struct Witness {
    /// The wave that reached it.
    wave: Option<usize>,
    /// Cases on all days of history.
    history: f64,
    /// For each wave what was counted there.
    waves: Vec<InWave>,
}

/// What one site counted for one wave.
#[derive(Clone, Copy, Debug, Default)]
struct InWave {
    /// Cases in the window.
    seen: f64,
    /// Cases in the reference weeks.
    before: f64,
    /// How much more is worked in the window than in as much time of an average week.
    openness: f64,
}

/// All sites with a past, and what they counted together.
#[derive(Clone, Debug)]
pub(super) struct Witnesses {
    sites: Vec<Witness>,
    /// For each wave how many cases of the reference weeks belong to one of the history, in a
    /// window that is like an average week.
    in_common: Vec<f64>,
}

impl Witnesses {
    /// Counts the sites in `of`, as `panel` counts its own but without clumps.
    pub(super) fn of(
        of: impl Iterator<Item = usize>,
        shape: &Shape,
        (reach, lens): (&Reach, Lens<'_>),
    ) -> Self {
        let sites: Vec<Witness> = of
            .map(|site| Witness::of(site, shape, (reach, lens)))
            .filter(|witness| witness.history > 0.0)
            .collect();
        let in_common = |wave: usize| {
            let counted = || sites.iter().filter_map(|w| Some((w.history, w.waves.get(wave)?)));
            let before: f64 = counted().map(|(_, of)| of.before).sum();
            let history: f64 = counted().map(|(history, of)| history * of.openness).sum();
            before / history.max(1.0)
        };
        let in_common = (0..shape.waves).map(in_common).collect();
        Self { sites, in_common }
    }

    /// The sites that `wave` exposed, and its clean controls.
    fn sides(&self, shape: &Shape, wave: usize) -> [Side; 2] {
        let in_common = self.in_common.get(wave).copied().unwrap_or(0.0);
        let weeks = shape.weeks.len() as f64;
        let clean = shape.clean.get(wave).and_then(Option::as_deref).unwrap_or_default();
        let mut sides = [Side::default(); 2];
        let [exposed, others] = &mut sides;
        for witness in &self.sites {
            let side = match witness.wave {
                Some(own) if own == wave => &mut *exposed,
                Some(other) if !clean.contains(&other) => continue,
                Some(_) | None => &mut *others,
            };
            let InWave { seen, before, openness } =
                witness.waves.get(wave).copied().unwrap_or_default();
            // A site that is closed in all of the window has its own past alone.
            let other_hours = match openness > 0.0 {
                true => OTHER_HOURS * in_common * witness.history * openness,
                false => OTHER_HOURS * before,
            };
            let before = before + other_hours;
            side.seen += seen;
            side.expected += before / (1.0 + OTHER_HOURS) / weeks;
            side.rests_on += before;
        }
        sides
    }
}

impl Witness {
    fn of(site: usize, shape: &Shape, (reach, lens): (&Reach, Lens<'_>)) -> Self {
        let end = lens.wall(site, reach.first());
        let past = (end - shape.days as i64 * DAY, end);
        let weeks = 0..(shape.days / 7) as i64;
        let wave = reach.wave_of.get(site).copied().flatten();
        let cases = lens.plain(site, past.0, past.1);
        if cases == 0 {
            return Self { wave, history: 0.0, waves: Vec::new() };
        }
        let share = lens.clocks.working_share(site);
        let most = CLUMP * panel::working_hour(cases, shape.days, share) + 2.0;
        let count = |from: i64, to: i64| f64::from(lens.count(site, (from, to), most));
        let window = |start: i64| count(start, start + reach.window);
        let in_wave = |start: &i64| {
            let start = lens.wall(site, *start);
            let past = shape.weeks.iter().map(|back| (*back, window(start - back * WEEK)));
            let openness = lens.clocks.openness(site, (start, start + reach.window));
            InWave { seen: window(start), before: faded(past), openness }
        };
        Self {
            wave,
            history: faded(
                weeks.map(|back| (back, count(end - (back + 1) * WEEK, end - back * WEEK))),
            ),
            waves: reach.waves.iter().map(in_wave).collect(),
        }
    }
}

/// The sum over weeks as if all of them were like the latest: sites drift, so what was long ago
/// weighs less, and the sum of as many weeks of one rate stays what it was.
fn faded(weeks: impl Iterator<Item = (i64, f64)>) -> f64 {
    let (mut count, mut sum, mut weights) = (0.0, 0.0, 0.0);
    for (back, cases) in weeks {
        let weight = FADE.powi(back as i32);
        count += 1.0;
        sum += weight * cases;
        weights += weight;
    }
    if weights > 0.0 { count * sum / weights } else { 0.0 }
}

/// How much the logarithm of what all sites do varies from window to window, beyond chance.
fn shock_variance(shape: &Shape, total: &[f32]) -> f64 {
    let sums = Sums::of(total);
    let length = shape.window_days;
    let (mut squares, mut scale, mut windows) = (0.0, 0.0, 0);
    for first in 0..shape.days.saturating_sub(length + 6) {
        let past: Vec<f64> = (1..=4)
            .map(|back| first + 7 * back)
            .filter(|from| from + length <= shape.days)
            .map(|from| sums.window(from, length))
            .collect();
        let weeks = past.len() as f64;
        let mean = past.iter().sum::<f64>() / weeks.max(1.0);
        let with_error = 1.0 + 1.0 / weeks.max(1.0);
        squares += (sums.window(first, length) - mean).powi(2) - mean * with_error;
        scale += mean * mean * with_error;
        windows += 1;
    }
    if windows < MIN_WINDOWS || scale <= 0.0 {
        return USUAL_SHOCK;
    }
    (squares / scale).clamp(0.01, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(seen: f64, expected: f64) -> Side {
        Side { seen, expected, rests_on: 4.0 * expected }
    }

    fn of(exposed: Side, others: Side) -> f64 {
        let likelihood = |rise| averaged(&[exposed, others], rise, (0.05, 1.0));
        mean_of(|rise| likelihood(rise) - likelihood(1.0))
    }

    #[test]
    fn a_rise_of_the_exposed_speaks_for_and_one_of_all_against() {
        assert!(of(side(30.0, 10.0), side(20.0, 20.0)) > 3.0);
        assert!(of(side(30.0, 10.0), side(60.0, 20.0)) < 0.0);
        assert!(of(side(10.0, 10.0), side(20.0, 20.0)) < 0.0);
    }

    #[test]
    fn nothing_expected_and_nothing_seen_says_nothing() {
        assert!(of(Side::default(), Side::default()).abs() < 1e-9);
    }

    #[test]
    fn each_further_case_speaks_for_a_rise() {
        for others in [0.0, 3.0, 40.0] {
            let at = |seen: u32| of(side(f64::from(seen), 4.0), side(others, 10.0));
            assert!((0..60).all(|seen| at(seen + 1) > at(seen)), "{others}");
        }
    }
}
