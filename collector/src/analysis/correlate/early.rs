//! What may be said while the window of a change is still open.
//!
//! Looking again at every pass with the numbers of a finished window would find a rise sooner or
//! later whether there is one or not. So until the window is over only an e-process speaks: case by
//! case, was it from an exposed site? Its value now is an e-value however often somebody looked
//! before, and e-values of many changes are adjusted as they are (e-BH: Wang and Ramdas 2022).
//! Cases after a second wave are left to the finished window: the share of the exposed would move.

use super::e_process::EProcess;
use super::evaluate::Scope;
use super::exposure::Reach;
use super::lens::Lens;
use super::panel::Panel;
use super::randomise;

/// Reference cases below which the share of the exposed is not known well enough.
const MIN_REFERENCE: f64 = 20.0;

/// The e-value of the cases so far; `None` where none can be had.
pub(super) fn e_value(scope: &Scope<'_>, reach: &Reach) -> Option<f64> {
    let lens = Lens { index: scope.index.as_ref()?, clocks: &scope.clocks, effects: &[] };
    let panel = Panel::open(scope, reach, lens).ok()?;
    let shape = &panel.shape;
    let start = reach.first();
    let second = reach.waves.get(1).copied().unwrap_or(i64::MAX);
    let end = scope.coverage.complete.min(start + reach.window).min(second);
    let all = shape.before(&panel.total, 0);
    let reached = panel.reached();
    let exposed = shape.before(reached.first()?, 0);
    if all < MIN_REFERENCE || exposed >= all || end <= start {
        return None;
    }
    let share = (exposed + 1.0) / (all + 1.0);
    let past = randomise::of_history(&panel, &reached).towards(1.0);
    // The share is estimated from so many weeks, which widens what chance does by one part in them.
    let dispersion = past * (1.0 + 1.0 / shape.weeks.len() as f64);
    let mut cases: Vec<(i64, bool)> = panel
        .rows
        .iter()
        .flat_map(|row| {
            let (from, to) = (lens.wall(row.site, start), lens.wall(row.site, end));
            let times = lens.index.between(row.site, from, to).iter();
            times.map(|at| (*at, row.wave == Some(0)))
        })
        .collect();
    cases.sort_unstable();
    let mut process = EProcess::new(share.min(1.0 - 1e-9), dispersion);
    for (_, exposed) in cases {
        if exposed {
            process.exposed();
        } else {
            process.unexposed();
        }
    }
    Some(process.value())
}

/// Which of these e-values may be claimed together when a share `q` of wrong claims is put up with.
pub(super) fn claims(values: &[Option<f64>], q: f64) -> Vec<bool> {
    let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let tested = sorted.len() as f64;
    let least =
        (1..).zip(&sorted).filter(|(place, value)| **value * f64::from(*place) * q >= tested);
    let least = least.last().map_or(f64::INFINITY, |(_, value)| *value);
    values.iter().map(|value| value.is_some_and(|value| value >= least)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_values_are_claimed_by_how_many_stand_together() {
        let check = |values: &[f64], expect: &[bool]| {
            let values: Vec<_> = values.iter().map(|value| Some(*value)).collect();
            assert_eq!(claims(&values, 0.1), expect, "{values:?}");
        };
        check(&[10.0], &[true]);
        check(&[9.9], &[false]);
        check(&[19.0, 1.0], &[false, false]);
        check(&[20.0, 1.0], &[true, false]);
        // Two of ten each are enough at half of what one alone would need.
        check(&[10.0, 10.0], &[true, true]);
        assert_eq!(claims(&[None, Some(10.0)], 0.1), [false, true]);
    }
}
