//! The numbers one change is judged on: a row for every eligible site.
//!
//! A row holds, as one run of numbers so that cohorts are sums of rows: the cases in the window of
//! each wave, the cases in its reference weeks, and the cases on each day of history before the
//! first wave, the latest first. Rows are sorted by their numbers, so that names decide nothing.

use super::coverage::{DAY, WEEK};
use super::evaluate::Scope;
use super::exposure::Reach;
use super::lens::Lens;
use super::verdict::Reason;

/// Days of history that are looked at: twelve weeks.
const MAX_DAYS: usize = 84;
/// Cases a site must have in that history to be eligible.
const MIN_CASES: f32 = 3.0;
/// Weeks that are searched for reference weeks without a holiday.
const SEARCHED_WEEKS: i64 = 8;

/// How the numbers of a row are laid out, and which of them may be compared.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Waves, complete or not.
    pub(super) waves: usize,
    /// Days of history.
    pub(super) days: usize,
    /// Days a window takes, rounded up.
    pub(super) window_days: usize,
    /// How many weeks back the reference weeks lie.
    pub(super) weeks: Vec<i64>,
    /// For each wave whose window is complete, the later waves that are clean controls for it.
    pub(super) clean: Vec<Option<Vec<usize>>>,
}

/// One eligible site.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(super) struct Row {
    /// The wave that reached it.
    pub(super) wave: Option<usize>,
    /// Cases before the first wave: what it weighs in a cohort.
    pub(super) size: f32,
    /// After by wave, before by wave, days of history.
    pub(super) numbers: Vec<f32>,
    /// Its place in the stream.
    pub(super) site: usize,
}

/// All eligible sites.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) shape: Shape,
    pub(super) rows: Vec<Row>,
    /// Sums of all rows.
    pub(super) total: Vec<f32>,
    /// Cases of eligible sites before the first wave.
    pub(super) size: f32,
}

impl Panel {
    /// Counts what `reach` asks for, or says why that cannot be done.
    pub(super) fn of(scope: &Scope<'_>, reach: &Reach, lens: Lens<'_>) -> Result<Self, Reason> {
        let shape = Shape::of(scope, reach)?;
        if shape.complete().is_empty() {
            return Err(Reason::WindowOpen);
        }
        Self::counted(shape, scope, (reach, lens))
    }

    /// The same, whether or not any window is over.
    pub(super) fn open(scope: &Scope<'_>, reach: &Reach, lens: Lens<'_>) -> Result<Self, Reason> {
        Self::counted(Shape::of(scope, reach)?, scope, (reach, lens))
    }

    fn counted(
        shape: Shape,
        scope: &Scope<'_>,
        (reach, lens): (&Reach, Lens<'_>),
    ) -> Result<Self, Reason> {
        let mut rows: Vec<Row> = scope
            .holidays
            .working(reach)
            .map(|site| shape.row(site, reach, lens))
            .filter(|row| row.size >= MIN_CASES)
            .collect();
        if !rows.iter().any(|row| row.wave.is_some()) {
            return Err(Reason::NoEligibleSite);
        }
        rows.sort_by(|a, b| a.size.total_cmp(&b.size).then_with(|| by_numbers(a, b)));
        let mut total = vec![0.0; shape.width()];
        for row in &rows {
            add(&mut total, &row.numbers);
        }
        let size = rows.iter().map(|row| row.size).sum();
        Ok(Self { shape, rows, total, size })
    }

    /// Cases as they are, storms and explained effects among them, at the sites of `waves`.
    pub(super) fn plain(&self, waves: &[usize], (reach, lens): (&Reach, Lens<'_>)) -> f64 {
        let rows = self.rows.iter().filter(|row| row.wave.is_some_and(|w| waves.contains(&w)));
        let starts = rows.filter_map(|row| Some((row.site, reach.reached(row.site)?)));
        starts
            .map(|(site, at)| (site, lens.wall(site, at)))
            .map(|(site, at)| lens.plain(site, at, at + reach.window) as f64)
            .sum()
    }

    /// For each wave the sum of the rows it reached.
    pub(super) fn reached(&self) -> Vec<Vec<f32>> {
        let mut sums = vec![vec![0.0; self.shape.width()]; self.shape.waves];
        for row in &self.rows {
            if let Some(sum) = row.wave.and_then(|wave| sums.get_mut(wave)) {
                add(sum, &row.numbers);
            }
        }
        sums
    }
}

impl Shape {
    fn of(scope: &Scope<'_>, reach: &Reach) -> Result<Self, Reason> {
        let shown = |at: i64| scope.clocks.common(at);
        let past = (shown(reach.first()) - shown(scope.coverage.start)).max(0);
        let weeks = reference_weeks(scope, reach);
        if weeks.is_empty() {
            return Err(Reason::ShortHistory);
        }
        let clean: Vec<_> = reach
            .waves
            .iter()
            .map(|start| {
                let end = scope.clocks.end(*start, reach.window);
                (end <= scope.coverage.complete).then_some(*start)
            })
            .map(|start| start.map(|start| later(&reach.waves, start + reach.window)))
            .collect();
        let window_days = ((reach.window + DAY - 1) / DAY) as usize;
        let days = MAX_DAYS.min((past / DAY) as usize);
        Ok(Self { waves: reach.waves.len(), days, window_days, weeks, clean })
    }

    /// The waves whose window is complete.
    pub(super) fn complete(&self) -> Vec<usize> {
        let waves = self.clean.iter().enumerate();
        waves.filter(|(_, clean)| clean.is_some()).map(|(wave, _)| wave).collect()
    }

    /// Numbers in a row.
    pub(super) fn width(&self) -> usize {
        2 * self.waves + self.days
    }

    /// The days of history in a row.
    pub(super) fn history<'a>(&self, numbers: &'a [f32]) -> &'a [f32] {
        numbers.get(2 * self.waves..).unwrap_or_default()
    }

    /// Cases of a row in the window of `wave`.
    pub(super) fn after(&self, numbers: &[f32], wave: usize) -> f64 {
        numbers.get(wave).copied().map_or(0.0, f64::from)
    }

    /// Cases of a row in the reference weeks of `wave`.
    pub(super) fn before(&self, numbers: &[f32], wave: usize) -> f64 {
        numbers.get(self.waves + wave).copied().map_or(0.0, f64::from)
    }

    fn row(&self, site: usize, reach: &Reach, lens: Lens<'_>) -> Row {
        let end = lens.wall(site, reach.first());
        let before = lens.plain(site, end - self.days as i64 * DAY, end);
        let most = most_an_hour(working_hour(before, self.days, lens.clocks.working_share(site)));
        let history = lens.daily(site, (end, self.days), most);
        let size: f32 = history.iter().sum();
        let mut numbers = Vec::with_capacity(self.width());
        let window = |start: i64| lens.count(site, (start, start + reach.window), most);
        let waves = || reach.waves.iter().map(|start| lens.wall(site, *start));
        numbers.extend(waves().map(window));
        numbers.extend(
            waves().map(|start| {
                self.weeks.iter().map(|back| window(start - back * WEEK)).sum::<f32>()
            }),
        );
        numbers.extend(history);
        Row { wave: reach.wave_of.get(site).copied().flatten(), size, numbers, site }
    }
}

/// How many cases of one hour count at a site with as many in a `usual` working hour: what a
/// fivefold rise would hardly exceed. The rest is one incident told many times.
fn most_an_hour(usual: f64) -> f64 {
    let risen = 5.0 * usual;
    risen + 4.0 * risen.sqrt() + 3.0
}

/// What a site with `cases` in `days` usually has in one working hour, which has `share` times an
/// average hour's.
pub(super) fn working_hour(cases: usize, days: usize, share: f64) -> f64 {
    share * cases as f64 / (24 * days.max(1)) as f64
}

/// The latest weeks before the first wave that were read and have no holiday, newest first.
fn reference_weeks(scope: &Scope<'_>, reach: &Reach) -> Vec<i64> {
    let last = reach.waves.last().copied().unwrap_or(0) + reach.window;
    let begin = |back: i64| scope.clocks.weeks_before(reach.first(), back);
    let end = |back: i64| scope.clocks.weeks_before(last, back);
    (1..=SEARCHED_WEEKS)
        .filter(|back| begin(*back) >= scope.coverage.start)
        .filter(|back| !scope.holidays.anywhere(begin(*back), end(*back)))
        .take(scope.settings.reference_weeks)
        .collect()
}

/// The waves that begin no earlier than `end`.
fn later(waves: &[i64], end: i64) -> Vec<usize> {
    waves.iter().enumerate().filter(|(_, start)| **start >= end).map(|(wave, _)| wave).collect()
}

/// Adds `row` to `sum`, number by number.
pub(super) fn add(sum: &mut [f32], row: &[f32]) {
    for (sum, number) in sum.iter_mut().zip(row) {
        *sum += number;
    }
}

fn by_numbers(a: &Row, b: &Row) -> std::cmp::Ordering {
    let pairs = || a.numbers.iter().zip(&b.numbers);
    pairs()
        .map(|(a, b)| a.total_cmp(b))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.wave.cmp(&b.wave))
}
