//! The clocks and working hours of the sites of a stream, by their place there.
//!
//! Cases are counted by the clock on the wall of their own site: so a window is held against the
//! same hours of other weeks also where a clock was changed between them. Times of the wall are
//! never compared with those of another site.

use std::collections::BTreeMap;

use driftline_protocol::mutant::{self, Mutant};
use jiff::tz::TimeZone;

use super::coverage::WEEK;
use crate::analysis::cases::Stream;
use crate::analysis::site_clock::{SiteClock, common_zone, wall};

/// A working hour has this many times the cases of an average hour of the week, where nobody says
/// how many hours are worked.
const WORKING_SHARE: f64 = 3.4;

/// The clock of each site.
#[derive(Clone, Debug)]
pub(super) struct Clocks<'a> {
    of_site: Vec<Option<&'a SiteClock>>,
    all: &'a [SiteClock],
    common: TimeZone,
}

impl<'a> Clocks<'a> {
    /// Of the sites of `stream`; the first of `clocks` that names a site is its own.
    pub(super) fn of(stream: &Stream, clocks: &'a [SiteClock]) -> Self {
        let mut own: BTreeMap<Option<&str>, &SiteClock> = BTreeMap::new();
        for clock in clocks {
            own.entry(clock.site.as_deref()).or_insert(clock);
        }
        let of = |site: &String| own.get(&Some(site.as_str())).or_else(|| own.get(&None)).copied();
        let common = common_zone(clocks);
        Self { of_site: stream.sites.iter().map(of).collect(), all: clocks, common }
    }

    fn at(&self, site: usize) -> Option<&'a SiteClock> {
        self.of_site.get(site).copied().flatten()
    }

    /// What the clock of `site` shows at the moment `at`.
    pub(super) fn wall(&self, site: usize, at: i64) -> i64 {
        if mutant::active(Mutant::CorrelateIgnoresClocks) {
            return at;
        }
        self.at(site).map_or(at, |clock| wall(at, &clock.zone))
    }

    /// What the clock that goes for all sites together shows at the moment `at`.
    pub(super) fn common(&self, at: i64) -> i64 {
        wall(at, &self.common)
    }

    /// When that clock showed the same as at the moment `at`, so many weeks before.
    pub(super) fn weeks_before(&self, at: i64, weeks: i64) -> i64 {
        let before = at - weeks * WEEK;
        before + (self.common(at) - at) - (self.common(before) - before)
    }

    /// The last moment of a window of `length` by the clock, wherever it is: longer than its hours
    /// where a clock is set back in it.
    pub(super) fn end(&self, start: i64, length: i64) -> i64 {
        let end = start + length;
        let turned = |clock: &SiteClock| {
            let shown = wall(end, &clock.zone) - wall(start, &clock.zone);
            length - shown
        };
        end + self.all.iter().map(turned).max().unwrap_or(0).max(0)
    }

    /// How many times the cases of an average hour `site` has in one in which people work.
    pub(super) fn working_share(&self, site: usize) -> f64 {
        let hours = self.at(site).map(|clock| &clock.hours).filter(|hours| hours.is_known());
        hours.map_or(WORKING_SHARE, |hours| WEEK as f64 / hours.a_week() as f64)
    }

    /// How much more is worked at `site` between two moments of its clock than in as much time of
    /// an average week; 1 where nobody says.
    pub(super) fn openness(&self, site: usize, (from, to): (i64, i64)) -> f64 {
        let hours = self.at(site).map(|clock| &clock.hours).filter(|hours| hours.is_known());
        hours.map_or(1.0, |hours| {
            let share = hours.between(from, to) as f64 / hours.a_week() as f64;
            share * WEEK as f64 / (to - from).max(1) as f64
        })
    }
}
