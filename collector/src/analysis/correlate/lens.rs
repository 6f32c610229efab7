//! Cases of one service by site and time, as they are or with known effects taken away.
//!
//! All times here are what the clock of the site shows.
//!
//! Counts are two binary searches in the sorted times of a site: memory is eight bytes a case, and
//! no grid of sites and hours is ever laid out.

use super::clocks::Clocks;
use super::coverage::{Coverage, DAY, HOUR};
use crate::analysis::cases::Stream;

/// The sorted times of the cases of every site, by its own clock.
#[derive(Debug)]
pub(super) struct Index {
    times: Vec<Vec<i64>>,
}

impl Index {
    /// The cases of `service` (of all when `None`) that `coverage` sees.
    pub(super) fn of(
        stream: &Stream,
        service: Option<u32>,
        (coverage, clocks): (&Coverage, &Clocks<'_>),
    ) -> Self {
        let mut times = vec![Vec::new(); stream.sites.len()];
        let wanted = stream.cases.iter().filter(|case| service.is_none_or(|s| s == case.service));
        for case in wanted.filter(|case| coverage.sees(case)) {
            let place = case.site as usize;
            if let Some(site) = times.get_mut(place) {
                site.push(clocks.wall(place, case.opened_at));
            }
        }
        // A clock that is set back shows an hour twice.
        times.iter_mut().filter(|times| !times.is_sorted()).for_each(|times| times.sort_unstable());
        Self { times }
    }

    /// Times of the cases of `site` after `from` and up to `to`.
    pub(super) fn between(&self, site: usize, from: i64, to: i64) -> &[i64] {
        let times = self.times.get(site).map_or(&[][..], Vec::as_slice);
        let rest = times.get(times.partition_point(|at| *at <= from)..).unwrap_or_default();
        rest.get(..rest.partition_point(|at| *at <= to)).unwrap_or_default()
    }
}

/// A rise that some change explains: the sites it reached, for how long, and by which factor.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    /// For each site, from when to when by its clock.
    pub(super) spans: Vec<Option<(i64, i64)>>,
    /// By how much cases rose there, above 1.
    pub(super) factor: f64,
}

impl Effect {
    /// Whether it touches any site between `from` and `to`.
    pub(super) fn reaches(&self, from: i64, to: i64) -> bool {
        self.spans.iter().flatten().any(|(start, end)| *start < to && *end > from)
    }

    /// Whether it touches `site` between `from` and `to`.
    pub(super) fn touches(&self, site: usize, from: i64, to: i64) -> bool {
        let span = self.spans.get(site).copied().flatten();
        span.is_some_and(|(start, end)| start < to && end > from)
    }
}

/// The index seen through the effects that are explained already, and without the tops of storms.
#[derive(Clone, Copy)]
pub(super) struct Lens<'a> {
    pub(super) index: &'a Index,
    pub(super) clocks: &'a Clocks<'a>,
    pub(super) effects: &'a [&'a Effect],
}

impl Lens<'_> {
    /// What the clock of `site` shows at the moment `at`.
    pub(super) fn wall(&self, site: usize, at: i64) -> i64 {
        self.clocks.wall(site, at)
    }

    /// Cases of `site` after `from` and up to `to`, each divided by what explains it; of an hour
    /// no more than `most`.
    pub(super) fn count(&self, site: usize, (from, to): (i64, i64), most: f64) -> f32 {
        let (mut sum, mut hour, mut of_hour) = (0.0, i64::MIN, 0.0_f64);
        let untouched = self.untouched(site, from, to);
        for at in self.index.between(site, from, to) {
            let this = (at - from - 1) / HOUR;
            if this != hour {
                sum += of_hour.min(most);
                (hour, of_hour) = (this, 0.0);
            }
            of_hour += if untouched { 1.0 } else { self.weight(site, *at) };
        }
        (sum + of_hour.min(most)) as f32
    }

    /// Cases of `site` on each of the `days` days before `end`, the latest day first; of an hour
    /// no more than `most`.
    pub(super) fn daily(&self, site: usize, (end, days): (i64, usize), most: f64) -> Vec<f32> {
        let mut counts = vec![0.0; days];
        let start = end - days as i64 * DAY;
        let untouched = self.untouched(site, start, end);
        let (mut hour, mut of_hour) = (i64::MIN, 0.0_f64);
        for at in self.index.between(site, start, end) {
            let this = (end - at) / HOUR;
            let before = if this == hour { of_hour } else { 0.0 };
            let weight = if untouched { 1.0 } else { self.weight(site, *at) };
            (hour, of_hour) = (this, before + weight);
            if let Some(count) = counts.get_mut(((end - at) / DAY) as usize) {
                *count += (of_hour.min(most) - before.min(most)) as f32;
            }
        }
        counts
    }

    /// Cases of `site` after `from` and up to `to`, as they are.
    pub(super) fn plain(&self, site: usize, from: i64, to: i64) -> usize {
        self.index.between(site, from, to).len()
    }

    fn untouched(&self, site: usize, from: i64, to: i64) -> bool {
        !self.effects.iter().any(|effect| effect.touches(site, from, to))
    }

    /// What one case counts: one part in as many as its effects made of it.
    fn weight(&self, site: usize, at: i64) -> f64 {
        let touching = self.effects.iter().filter(|effect| effect.touches(site, at - 1, at));
        1.0 / touching.map(|effect| effect.factor).product::<f64>()
    }
}
