//! From when to when cases were read, and behind which moment the reading is complete.
//!
//! A window that is not wholly covered says nothing: cases that were not read are not zero cases.

use super::settings::Settings;
use crate::analysis::cases::{Case, Stream};
use crate::analysis::read_span::ReadSpan;
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
    /// Nothing opened or recorded from then on was looked at.
    pub(super) until: i64,
    /// Which cases lie among the others.
    span: ReadSpan,
}

impl Coverage {
    /// The day of the first case to the hour of the last, or to `settings.until`, less the delay
    /// within which 99 % of cases are recorded. A few cases far from all others are not covered.
    pub(super) fn of(stream: &Stream, settings: &Settings) -> Self {
        let span = ReadSpan::of_stream(stream, settings.until);
        let span = span.or_else(|| ReadSpan::of_stream(stream, None)).unwrap_or_default();
        let until = settings.until.unwrap_or((span.last.div_euclid(HOUR) + 1) * HOUR);
        let shown = wall(span.first, &common_zone(&settings.clocks));
        let start = span.first - shown.rem_euclid(DAY);
        let complete = until - delay(&stream.cases, &span);
        Self { start, complete, until, span }
    }

    /// Whether `case` was known by the end.
    pub(super) fn sees(&self, case: &Case) -> bool {
        self.span.holds(case.opened_at) && case.is_known(self.until)
    }
}

/// The delay from opening to recording that 99 % of cases keep, in seconds; 0 when none says.
fn delay(cases: &[Case], span: &ReadSpan) -> i64 {
    let mut delays: Vec<i64> = cases
        .iter()
        .filter(|case| span.holds(case.opened_at))
        .filter_map(|case| case.recorded_at.map(|at| (at - case.opened_at).max(0)))
        .collect();
    if delays.is_empty() {
        return 0;
    }
    let place = ((delays.len() - 1) as f64 * RECORDED).ceil() as usize;
    *delays.select_nth_unstable(place).1
}
