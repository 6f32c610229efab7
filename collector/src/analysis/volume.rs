//! Which counts of cases are above what the past lets expect. Pure.
//!
//! Cases are counted in [`series`] of equal buckets for each cell; each bucket is then judged by
//! its own past alone, so that what comes later changes nothing that was said before. Hours and
//! days are compared with the same hours and days of past weeks ([`comparable`]), weeks with the
//! same season of past years ([`farrington`]) once there are two. Below eight weeks of past only
//! [`ears`] can say anything, and its rows are marked as of short history.
//!
//! It says that a count is unusual, never why.

pub mod comparable;
pub mod cusum;
pub mod ears;
pub mod farrington;
pub mod levels;
pub mod series;
mod spread;
#[cfg(test)]
mod tests;

use driftline_protocol::mutant::{self, Mutant};
use serde::Serialize;

use super::cases::Stream;
use super::site_clock::SiteClock;
use super::stats::special::normal_above;
use comparable::Comparable;
use cusum::CusumSettings;
use ears::{EarsMethod, EarsSettings};
use farrington::{Calendar, FarringtonSettings, PredictionError, Threshold};
pub use series::{Bucket, Buckets, Cell, CellKey, VolumeError, count};

/// How many weeks of past make a full history.
pub const FULL_WEEKS: usize = 8;

/// How counts are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// [`Method::Farrington`] where there is a full history, else [`Method::Ears`], hours by the
    /// same hour of earlier days.
    Auto,
    /// By comparable buckets of past weeks or years.
    Farrington,
    /// By EARS C2: the seven buckets before the last two.
    Ears,
    /// By the cumulative sum above the mean of the first eight weeks: the share of quiet buckets
    /// that may be alarms, or the constants of Rossi.
    Cusum(Option<f64>),
}

/// What is counted, and how it is judged.
#[derive(Clone, Debug)]
pub struct VolumeSettings {
    /// How long a bucket is.
    pub bucket: Bucket,
    /// Which columns make a cell.
    pub by: Vec<CellKey>,
    /// How counts are judged.
    pub method: Method,
    /// The one-sided rate of false alarms; [`Method::Cusum`] has its own.
    pub alpha: f64,
    /// Whose hours, days and weeks they are.
    pub zone: jiff::tz::TimeZone,
    /// The moment up to which cases were read, in seconds since 1970; the last case if absent.
    pub until: Option<i64>,
    /// Days off: the site, or `None` for all, and the first and last second (exclusive), UTC.
    /// Buckets that touch one say nothing of others.
    pub holidays: Vec<(Option<String>, i64, i64)>,
    /// When people work at which site: a short history compares hours and days only with their
    /// like.
    pub clocks: Vec<SiteClock>,
}

/// How much past there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// Eight weeks or more.
    Full,
    /// Less.
    Short,
}

impl History {
    /// The word used in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Short => "short",
        }
    }
}

/// One cell in one bucket. The names of fields are a contract; what could not be computed is
/// `None`. `At` is how moments are written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellBucket<At = jiff::Timestamp> {
    /// The service, if cells are by service and the cases say one.
    pub service: Option<String>,
    /// The site, likewise.
    pub site: Option<String>,
    /// The category, likewise.
    pub category: Option<String>,
    /// When the bucket begins.
    pub bucket_start: At,
    /// Cases opened in it.
    pub observed: u64,
    /// Cases expected.
    pub expected: Option<f64>,
    /// The largest count that is no alarm.
    pub bound: Option<f64>,
    /// The chance of as many cases or more.
    pub p_value: Option<f64>,
    /// Whether there are more cases than the bound, and at least five in the last four buckets.
    pub alarm: bool,
    /// How much wider than Poisson the past varies.
    pub dispersion: Option<f64>,
    /// How much past there was.
    pub history: History,
}

impl<At> CellBucket<At> {
    /// The same with its moment as `write` writes it.
    pub fn written<Text>(self, write: impl FnOnce(At) -> Text) -> CellBucket<Text> {
        let Self { service, site, category, bucket_start, observed, .. } = self;
        let Self { expected, bound, p_value, alarm, dispersion, history, .. } = self;
        let bucket_start = write(bucket_start);
        CellBucket {
            service,
            site,
            category,
            bucket_start,
            observed,
            expected,
            bound,
            p_value,
            alarm,
            dispersion,
            history,
        }
    }
}

/// Judges every cell in every bucket from the first case to the last, cells by name and buckets in
/// time order.
///
/// # Errors
/// [`VolumeError`] when there would be more rows than can be kept.
pub fn volume(stream: &Stream, settings: &VolumeSettings) -> Result<Vec<CellBucket>, VolumeError> {
    let buckets = Buckets::of(stream, settings);
    let cells = count(stream, settings, &buckets)?;
    let mut judge = Judge::new(settings);
    Ok(cells.iter().flat_map(|cell| judge.cell(cell)).collect())
}

/// Judges one cell after the other.
pub struct Judge<'a> {
    settings: &'a VolumeSettings,
    comparable: Comparable,
}

impl<'a> Judge<'a> {
    /// A judge by these settings.
    pub fn new(settings: &'a VolumeSettings) -> Self {
        Self { settings, comparable: Comparable::new(settings.bucket, settings.alpha) }
    }

    /// Every bucket of `cell`, but for hours that its clock skipped.
    pub fn cell(&mut self, cell: &Cell<'_>) -> Vec<CellBucket> {
        let full = FULL_WEEKS * self.settings.bucket.per_week();
        let sums = match self.settings.method {
            Method::Cusum(alpha) => {
                let alpha = alpha.filter(|_| !mutant::active(Mutant::SumsKnowNoAlpha));
                let settings = alpha.map(|alpha| CusumSettings::of_share(alpha, full));
                let settings = settings.unwrap_or_else(|| CusumSettings::new(full));
                cusum::cusum(&settings, &cell.counts)
            }
            Method::Auto | Method::Farrington | Method::Ears => Vec::new(),
        };
        let mut rows = Vec::with_capacity(cell.counts.len());
        let is_skipped = |at: &usize| cell.starts.get(*at) == cell.starts.get(at + 1);
        for (at, observed) in cell.counts.iter().enumerate().filter(|(at, _)| !is_skipped(at)) {
            let history = if at >= full { History::Full } else { History::Short };
            let found = match (self.settings.method, history) {
                (Method::Ears, _) => self.ears(cell, at, 1),
                (Method::Auto, History::Short) => self.ears(cell, at, self.rhythm()),
                (Method::Auto | Method::Farrington, History::Full) => self.farrington(cell, at),
                (Method::Farrington, History::Short) => None,
                (Method::Cusum(_), _) => at.checked_sub(full).and_then(|at| {
                    let sum = sums.get(at)?;
                    // Where the sum is an alarm whatever comes, no count is below the bound.
                    let bound = if sum.alarm { sum.upper.min(*observed as f64) } else { sum.upper };
                    Some(Found { bound: Some(bound), alarm: sum.alarm, ..Found::of(sum.expected) })
                }),
            };
            rows.push(cell.row(at, found.unwrap_or_default(), history));
        }
        rows
    }

    /// How many buckets lie between two that are alike: an hour is like the same hour of other
    /// days, and not like the seven hours before it.
    fn rhythm(&self) -> usize {
        match self.settings.bucket {
            Bucket::Hour => 24,
            Bucket::Day | Bucket::Week => 1,
        }
    }

    /// By every `step`-th bucket before that is like this one.
    fn ears(&self, cell: &Cell<'_>, at: usize, step: usize) -> Option<Found> {
        let settings = EarsSettings::new(EarsMethod::C2, self.settings.alpha);
        let places = (0..=at).rev().step_by(step);
        let alike = places.filter(|place| *place == at || cell.is_like(*place, at));
        let alike = alike.take(settings.first() + 1);
        let mut alike: Vec<u64> =
            alike.map(|place| cell.counts.get(place).copied().unwrap_or(0)).collect();
        alike.reverse();
        let bound = ears::judge(&settings, &alike, alike.len() - 1)?;
        let observed = *cell.counts.get(at)? as f64;
        let varies = bound.deviation.powi(2) / bound.expected;
        Some(Found {
            expected: Some(bound.expected),
            bound: Some(bound.upper),
            p_value: Some(normal_above((observed - bound.expected) / bound.deviation)),
            alarm: bound.alarm && farrington::enough(&cell.counts, at),
            dispersion: varies.is_finite().then_some(varies),
        })
    }

    fn farrington(&mut self, cell: &Cell<'_>, at: usize) -> Option<Found> {
        let years = at.saturating_sub(HALF_WINDOW) / WEEKS_A_YEAR;
        let yearly = self.settings.bucket == Bucket::Week && years >= 2;
        let monday = cell.starts.first().map(|start| self.settings.zone.to_datetime(*start).date());
        let seasonal = monday.filter(|_| yearly).map(|first| FarringtonSettings {
            calendar: Calendar::Weeks { first },
            ..by_season(years.min(YEARS), self.settings.alpha)
        });
        let bound = seasonal.and_then(|settings| farrington::judge(&settings, &cell.counts, at));
        if let Some(bound) = bound {
            return Some(Found {
                expected: Some(bound.expected),
                bound: bound.upper,
                p_value: Some(bound.p_value),
                alarm: bound.alarm,
                dispersion: Some(bound.dispersion),
            });
        }
        self.comparable.judge(cell, at)
    }
}

/// Weeks a year, as the seasons of a year are laid out.
const WEEKS_A_YEAR: usize = 52;

/// Weeks before and after that belong to the same season.
const HALF_WINDOW: usize = 3;

/// The most years looked back.
const YEARS: usize = 5;

/// The revision of Farrington's method, with a bound that holds the error of the expectation.
fn by_season(years: usize, alpha: f64) -> FarringtonSettings {
    FarringtonSettings {
        trend_p: 0.05,
        error: PredictionError::Dispersion,
        ..FarringtonSettings::flexible(years, Threshold::Predictive, alpha)
    }
}

/// What was found out about one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    expected: Option<f64>,
    bound: Option<f64>,
    p_value: Option<f64>,
    alarm: bool,
    dispersion: Option<f64>,
}

impl Found {
    fn of(expected: f64) -> Self {
        Self { expected: Some(expected), ..Self::default() }
    }
}
