//! How much more the split of cases between a cohort and the rest wavers than chance would have it.
//!
//! Every day of history begins a window as long as the change's. Its split is held against the same
//! hours of the weeks before it, exactly as the change's own window is, and the squared surplus is
//! divided by its variance under chance. Bursts, sites that move together and a slow drift of the
//! share all show here, in the measure in which they disturb a window of this length. The notes'
//! estimate by single days misses whatever lasts longer than a day.
//!
//! The few windows of one cohort say little, so its estimate is drawn towards what random cohorts
//! of the same size show, and never below that: sites that move together widen it, a past that
//! happened to be quiet does not narrow it.

use super::panel::Shape;

/// Windows below which single days are compared instead.
const MIN_WINDOWS: usize = 6;
/// How many windows the common value is worth: few, because where the sites of a region rise and
/// fall together the region's own past is all that says so.
const PRIOR_WINDOWS: f64 = 4.0;
/// Reference weeks a past window is held against, at most.
const WEEKS: usize = 4;

/// A dispersion and the number of windows it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Dispersion {
    pub(super) value: f64,
    pub(super) windows: f64,
}

impl Dispersion {
    /// Drawn towards `common`, at least that and at least 1.
    pub(super) fn towards(self, common: f64) -> f64 {
        let drawn =
            (self.value * self.windows + common * PRIOR_WINDOWS) / (self.windows + PRIOR_WINDOWS);
        drawn.max(common).max(1.0)
    }
}

/// The dispersion of the split of `total` into `cohort` and the rest, both by day, latest first.
pub(super) fn of(shape: &Shape, cohort: &[f32], total: &[f32]) -> Dispersion {
    let exposed = Sums::of(cohort);
    let all = Sums::of(total);
    let windows = shape.days.saturating_sub(shape.window_days + 7) + 1;
    if shape.days < shape.window_days + 7 || windows < MIN_WINDOWS {
        return by_days(cohort, total);
    }
    let (mut squares, mut variances) = (0.0, 0.0);
    for first in 0..windows {
        if let Some((square, variance)) = past(shape, first, (&exposed, &all)) {
            squares += square;
            variances += variance;
        }
    }
    // Overlapping windows are worth about one and a half times those that do not overlap.
    let length = shape.window_days as f64;
    let worth = if length > 1.0 { 1.5 * windows as f64 / length } else { windows as f64 };
    Dispersion { value: ratio(squares, variances), windows: worth }
}

/// Squared surplus and variance of the window that begins `first` days back.
fn past(shape: &Shape, first: usize, (exposed, all): (&Sums, &Sums)) -> Option<(f64, f64)> {
    let surplus = surplus(shape, first, (exposed, all))?;
    Some((surplus.0 * surplus.0, surplus.1))
}

/// Surplus and variance of the past window of days `first..`, against the weeks before it.
fn surplus(shape: &Shape, first: usize, (exposed, all): (&Sums, &Sums)) -> Option<(f64, f64)> {
    let length = shape.window_days;
    let (x, n) = (exposed.window(first, length), all.window(first, length));
    let (mut x_before, mut n_before) = (0.0, 0.0);
    for back in 1..=WEEKS {
        let from = first + 7 * back;
        if from + length > shape.days {
            break;
        }
        x_before += exposed.window(from, length);
        n_before += all.window(from, length);
    }
    let whole = n + n_before;
    if n <= 0.0 || n_before <= 0.0 || whole <= 1.0 {
        return None;
    }
    let sum = x + x_before;
    let variance = n * n_before * sum * (whole - sum) / (whole * whole * (whole - 1.0));
    Some((x - n * sum / whole, variance))
}

/// Surplus in standard deviations of past windows that begin `days_back` days before the change.
pub(super) fn past_z(
    shape: &Shape,
    days_back: usize,
    (cohort, total): (&[f32], &[f32]),
) -> Option<f64> {
    let first = days_back.checked_sub(shape.window_days)?;
    let sums = (Sums::of(cohort), Sums::of(total));
    if first + shape.window_days + 7 > shape.days {
        return None;
    }
    let (surplus, variance) = surplus(shape, first, (&sums.0, &sums.1))?;
    (variance > 0.0).then(|| surplus / variance.sqrt())
}

/// The plain estimate over single days, for a history too short for windows.
fn by_days(cohort: &[f32], total: &[f32]) -> Dispersion {
    let (x, n): (f32, f32) = (cohort.iter().sum(), total.iter().sum());
    let share = f64::from(x) / f64::from(n).max(1.0);
    let (mut squares, mut variances, mut days) = (0.0, 0.0, 0.0);
    for (x, n) in cohort.iter().zip(total).filter(|(_, n)| **n > 0.0) {
        let (x, n) = (f64::from(*x), f64::from(*n));
        squares += (x - n * share).powi(2);
        variances += n * share * (1.0 - share);
        days += 1.0;
    }
    Dispersion {
        value: ratio(squares, variances) * days / f64::max(days - 1.0, 1.0),
        windows: days,
    }
}

fn ratio(squares: f64, variances: f64) -> f64 {
    if variances > 0.0 { squares / variances } else { 1.0 }
}

/// Running sums of daily counts, so that a window is one subtraction.
pub(super) struct Sums(Vec<f64>);

impl Sums {
    pub(super) fn of(days: &[f32]) -> Self {
        let mut sums = Vec::with_capacity(days.len() + 1);
        let mut sum = 0.0;
        sums.push(sum);
        for day in days {
            sum += f64::from(*day);
            sums.push(sum);
        }
        Self(sums)
    }

    pub(super) fn window(&self, first: usize, length: usize) -> f64 {
        let at = |place: usize| self.0.get(place).copied().unwrap_or(0.0);
        at(first + length) - at(first)
    }
}
