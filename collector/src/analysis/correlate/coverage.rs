//! From when to when cases were read, and behind which moment the reading is complete.
//!
//! A window that is not wholly covered says nothing: cases that were not read are not zero cases.

use super::settings::Settings;
use crate::analysis::cases::{Case, Stream};
use crate::analysis::site_clock::{common_zone, wall};

pub(super) const HOUR: i64 = 3_600;
pub(super) const DAY: i64 = 24 * HOUR;
pub(super) const WEEK: i64 = 7 * DAY;

/// Share of cases that are recorded by the time the watermark has passed them.
const RECORDED: f64 = 0.99;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coverage {
    /// First second.
    pub(super) start: i64,
    /// Last second behind which (nearly) every case is recorded.
    pub(super) complete: i64,
    /// Nothing recorded later was looked at.
    pub(super) until: i64,
}

impl Coverage {
    /// The day of the first case to the hour of the last, or to `settings.until`, less the delay
    /// within which 99 % of cases are recorded.
    pub(super) fn of(stream: &Stream, settings: &Settings) -> Self {
        let first = stream.cases.first().map_or(0, |case| case.opened_at);
        let last = stream.cases.last().map_or(0, |case| case.opened_at);
        let until = settings.until.unwrap_or((last.div_euclid(HOUR) + 1) * HOUR);
        let shown = wall(first, &common_zone(&settings.clocks));
        let start = first - shown.rem_euclid(DAY);
        Self { start, complete: until - delay(&stream.cases), until }
    }

    /// Whether `case` was known by the end.
    pub(super) fn sees(&self, case: &Case) -> bool {
        case.opened_at <= self.until && case.recorded_at.is_none_or(|at| at <= self.until)
    }
}

/// The delay from opening to recording that 99 % of cases keep, in seconds; 0 when none says.
fn delay(cases: &[Case]) -> i64 {
    let mut delays: Vec<i64> = cases
        .iter()
        .filter_map(|case| case.recorded_at.map(|at| (at - case.opened_at).max(0)))
        .collect();
    if delays.is_empty() {
        return 0;
    }
    let place = ((delays.len() - 1) as f64 * RECORDED).ceil() as usize;
    *delays.select_nth_unstable(place).1
}
