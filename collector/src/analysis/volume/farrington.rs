//! Is this count more than past years let expect? Farrington's method and its revision. Pure.
//!
//! Farrington, Andrews, Beale and Catchpole (JRSS A 1996) and Noufaily et al. (Statistics in
//! Medicine 2013): a quasi-Poisson regression on the same season of past years, in which past
//! outbreaks count less, and a bound from the distribution of one more count. Two things differ
//! between the two that are easily missed: the first takes its error rate on both sides and weighs
//! down what exceeds 1 standardised residual, the second takes it on one side and weighs down from
//! 2.58. [`FarringtonSettings::alpha`] is always the one-sided rate.
//!
//! It knows counts and their order, nothing of calendars or cells.

use super::spread::Count;
use crate::analysis::stats::glm::{Design, Family, Fit, fit};
use crate::analysis::stats::special::{normal_above, normal_quantile_above, student_above};

/// The least number of years from which a trend is taken.
const TREND_YEARS: usize = 3;

/// Fewer cases than this within [`RECENT`] points are never an alarm.
pub(super) const ENOUGH_CASES: u64 = 5;

/// How many points, the judged one among them, must hold [`ENOUGH_CASES`].
pub(super) const RECENT: usize = 4;

/// How the past is laid out and how the bound is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FarringtonSettings {
    /// Points in one year.
    pub period: usize,
    /// How many past years are looked at.
    pub years: usize,
    /// How many points before and after the same point of a past year belong to the same season.
    pub half_window: usize,
    /// Into how many seasons a year is cut, the present one among them. With 1, only the present
    /// season of past years is looked at.
    pub seasons: usize,
    /// How many points before the present one are left out, so that a slow rise is not learned.
    pub left_out: usize,
    /// From which standardised residual on a past point counts less.
    pub reweight_above: f64,
    /// A trend is followed where chance alone would show one so clear less often than this.
    pub trend_p: f64,
    /// How the error of the expectation is scaled.
    pub error: PredictionError,
    /// The one-sided rate of false alarms.
    pub alpha: f64,
    /// How the bound is drawn.
    pub threshold: Threshold,
}

/// How the bound is drawn around what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// Normal on the scale of the 2/3 power, with the error of the expectation.
    Delta,
    /// A quantile of the negative binomial, as if the expectation were known.
    NbPlugin,
    /// The same around an upper limit of the expectation.
    Muan,
    /// A quantile of the negative binomial that also holds the error of the expectation.
    Predictive,
}

/// How the error of the expectation is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictionError {
    /// By the dispersion.
    Dispersion,
    /// By the spread of the working residuals, as R `surveillance` 1.20.3 does for the revision.
    WorkingResiduals,
}

impl FarringtonSettings {
    /// The method of 1996 on weeks, with a one-sided error rate.
    pub const fn classic(years: usize, alpha: f64) -> Self {
        Self {
            period: 52,
            years,
            half_window: 3,
            seasons: 1,
            left_out: 0,
            reweight_above: 1.0,
            trend_p: 0.05,
            error: PredictionError::Dispersion,
            alpha,
            threshold: Threshold::Delta,
        }
    }

    /// The revision of 2013 on weeks, with a one-sided error rate.
    pub const fn flexible(years: usize, threshold: Threshold, alpha: f64) -> Self {
        Self {
            period: 52,
            years,
            half_window: 3,
            seasons: 10,
            left_out: 26,
            reweight_above: 2.58,
            trend_p: 1.0,
            error: PredictionError::WorkingResiduals,
            alpha,
            threshold,
        }
    }

    /// The first point that has enough past.
    pub const fn first(&self) -> usize {
        self.period * self.years + self.half_window
    }
}

/// What was expected of one point, and whether it is more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The place of the point in the series, from 0.
    pub at: usize,
    /// What was expected.
    pub expected: f64,
    /// The largest count that is no alarm; `None` where the formula gives none (an expectation
    /// next to nothing under [`Threshold::Delta`]).
    pub upper: Option<f64>,
    /// The chance of as many as were observed, or more.
    pub p_value: f64,
    /// How much wider than Poisson the past varies; at least 1.
    pub dispersion: f64,
    /// Whether a trend was clear enough to be followed.
    pub trend: bool,
    /// Whether there were enough cases lately for an alarm at all.
    pub enough: bool,
    /// Whether it is one.
    pub alarm: bool,
}

/// Judges every point of `series` that has enough past. A point whose past cannot be fitted is not
/// in the answer.
pub fn farrington(settings: &FarringtonSettings, series: &[u64]) -> Vec<Bound> {
    let points = settings.first()..series.len();
    points.filter_map(|at| judge(settings, series, at)).collect()
}

/// Judges the point `at`.
pub(super) fn judge(settings: &FarringtonSettings, series: &[u64], at: usize) -> Option<Bound> {
    let observed = *series.get(at)?;
    let past = Past::of(settings, series, at);
    let trusted = past.model(settings, Trend::Followed)?;
    let model = if trusted.trend == Trend::Followed && !trusted.believes_trend(settings, &past) {
        past.model(settings, Trend::Ignored)?
    } else {
        trusted
    };
    let present = past.present(model.trend);
    let predicted = model.fit.predict(&present);
    let expected = predicted.link.exp();
    let scale = match settings.error {
        PredictionError::Dispersion => model.dispersion,
        PredictionError::WorkingResiduals => model.working_spread(&past),
    };
    let error = predicted.unit_error * scale.sqrt();
    let (upper, p_value) = threshold(
        settings,
        &Expected { link: predicted.link, error, dispersion: model.dispersion },
        observed,
    );
    let enough = enough(series, at);
    let alarm = enough && upper.is_some_and(|upper| observed as f64 > upper);
    Some(Bound {
        at,
        expected,
        upper,
        p_value,
        dispersion: model.dispersion,
        trend: model.trend == Trend::Followed,
        enough,
        alarm,
    })
}

/// Whether the last points hold enough cases for an alarm.
pub(super) fn enough(series: &[u64], at: usize) -> bool {
    let from = (at + 1).saturating_sub(RECENT);
    series.get(from..=at).is_some_and(|recent| recent.iter().sum::<u64>() >= ENOUGH_CASES)
}

/// Whether the past is fitted with a trend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trend {
    Followed,
    Ignored,
}

/// The past points that are comparable with the present one.
struct Past {
    at: usize,
    seasons: usize,
    /// Place and season of each, oldest first; the present season is the last one.
    points: Vec<(usize, usize)>,
    counts: Vec<f64>,
}

impl Past {
    fn of(settings: &FarringtonSettings, series: &[u64], at: usize) -> Self {
        let FarringtonSettings { period, years, half_window, seasons, left_out, .. } = *settings;
        let mut points = Vec::new();
        for year in (1..=years).rev() {
            let same = at - year * period;
            points.extend((same - half_window..=same + half_window).map(|place| (place, seasons)));
            // The points between two windows are shared among the other seasons, the first ones
            // taking one more where they do not go up evenly.
            let between = period - 2 * half_window - 1;
            let mut place = same + half_window + 1;
            for season in 1..seasons {
                let length =
                    between / (seasons - 1) + usize::from(season <= between % (seasons - 1));
                points.extend((place..place + length).map(|place| (place, season)));
                place += length;
            }
        }
        let oldest_left_out = at.saturating_sub(left_out);
        points.retain(|(place, _)| *place < oldest_left_out);
        let counts = points.iter().map(|(place, _)| series.get(*place).map_or(0.0, |y| *y as f64));
        Self { at, seasons, counts: counts.collect(), points }
    }

    fn columns(&self, trend: Trend) -> usize {
        self.seasons + usize::from(trend == Trend::Followed)
    }

    /// A constant, the trend, and one column for each season but the first.
    fn row(&self, trend: Trend, place: usize, season: usize) -> impl Iterator<Item = f64> {
        let time = (trend == Trend::Followed).then_some(place as f64);
        let seasons = (2..=self.seasons).map(move |s| if s == season { 1.0 } else { 0.0 });
        std::iter::once(1.0).chain(time).chain(seasons)
    }

    fn present(&self, trend: Trend) -> Vec<f64> {
        self.row(trend, self.at, self.seasons).collect()
    }

    /// The regression in which past outbreaks count less. Where a trend has no fit it is left out.
    fn model(&self, settings: &FarringtonSettings, trend: Trend) -> Option<Model> {
        let rows = |trend| -> Vec<f64> {
            let rows = self.points.iter().map(|(place, season)| self.row(trend, *place, *season));
            rows.flatten().collect()
        };
        let fitted = |trend, weights: Option<&[f64]>| {
            let rows = rows(trend);
            let columns = self.columns(trend);
            let design =
                Design { columns, rows: &rows, response: &self.counts, weights, offset: None };
            fit(&design, Family::Poisson)
        };
        let converged = |trend| fitted(trend, None).filter(|fit| fit.converged);
        let (trend, first) = match converged(trend) {
            Some(fit) => (trend, fit),
            None => (Trend::Ignored, converged(Trend::Ignored)?),
        };
        let weights = outbreak_weights(settings, &self.counts, &first);
        let fit = fitted(trend, Some(&weights))?;
        let dispersion = fit.dispersion.unwrap_or(1.0).max(1.0);
        Some(Model { fit, trend, dispersion, weights })
    }
}

/// A fitted past.
struct Model {
    fit: Fit,
    trend: Trend,
    dispersion: f64,
    weights: Vec<f64>,
}

impl Model {
    /// The weighted mean square of the residuals relative to their means.
    fn working_spread(&self, past: &Past) -> f64 {
        let rows = past.counts.iter().zip(&self.fit.fitted).zip(&self.weights);
        let squares = rows.map(|((y, mean), weight)| weight * ((y - mean) / mean).powi(2));
        squares.sum::<f64>() / self.fit.degrees as f64
    }

    /// A trend is followed where there are years enough, it is clear, and it does not lead beyond
    /// all that was ever seen.
    fn believes_trend(&self, settings: &FarringtonSettings, past: &Past) -> bool {
        let clear = || {
            let slope = *self.fit.beta.get(1)?;
            let error = (*self.fit.unit_errors().get(1)?)? * self.fit.dispersion?.sqrt();
            let t = (slope / error).abs();
            Some(2.0 * student_above(t, self.fit.degrees as f64) < settings.trend_p)
        };
        let expected = self.fit.predict(&past.present(Trend::Followed)).link.exp();
        let most = past.counts.iter().copied().fold(0.0, f64::max);
        settings.years >= TREND_YEARS && expected <= most && clear().unwrap_or(false)
    }
}

/// How much each past point counts: less the further it stood above its fit (Anscombe residuals).
fn outbreak_weights(settings: &FarringtonSettings, counts: &[f64], first: &Fit) -> Vec<f64> {
    let dispersion = first.dispersion.unwrap_or(1.0).max(1.0);
    let rows = counts.iter().zip(&first.fitted).zip(&first.leverage);
    let weights: Vec<f64> = rows
        .map(|((y, mean), leverage)| {
            let residual = 1.5 * (y.powf(2.0 / 3.0) * mean.powf(-1.0 / 6.0) - mean.sqrt());
            let standard = residual / (dispersion * (1.0 - leverage)).sqrt();
            if standard > settings.reweight_above { standard.powi(-2) } else { 1.0 }
        })
        .collect();
    let scale = weights.len() as f64 / weights.iter().sum::<f64>();
    weights.into_iter().map(|weight| weight * scale).collect()
}

/// What a model expects, on the scale of the logarithm.
struct Expected {
    link: f64,
    error: f64,
    dispersion: f64,
}

fn threshold(
    settings: &FarringtonSettings,
    expected: &Expected,
    observed: u64,
) -> (Option<f64>, f64) {
    let mean = expected.link.exp();
    let z = normal_quantile_above(settings.alpha);
    let quantile = |count: Count| {
        (Some(count.quantile(1.0 - settings.alpha) as f64), count.at_least(observed))
    };
    match settings.threshold {
        Threshold::Delta => {
            let variance = expected.dispersion + (expected.error * mean).powi(2) / mean;
            let spread = (4.0 / 9.0 * mean.cbrt() * variance).sqrt();
            let centre = mean.powf(2.0 / 3.0);
            let upper = (centre + z * spread).powf(1.5);
            let above = ((observed as f64).powf(2.0 / 3.0) - centre) / spread;
            (upper.is_finite().then_some(upper), normal_above(above))
        }
        Threshold::NbPlugin => quantile(Count { mean, dispersion: expected.dispersion }),
        Threshold::Muan => {
            let mean = (expected.link + z * expected.error).exp();
            quantile(Count { mean, dispersion: expected.dispersion })
        }
        Threshold::Predictive => {
            let dispersion = expected.dispersion + expected.error.powi(2) * mean;
            quantile(Count { mean, dispersion })
        }
    }
}
