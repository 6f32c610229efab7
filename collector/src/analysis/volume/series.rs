//! Cases counted in buckets of equal length, one series for each cell. Pure.
//!
//! Buckets are those of the wall clock of one zone: an hour that is there twice when the clock is
//! set back is one bucket, one that is skipped is empty and told to nobody. Weeks begin on Monday.
//! Every cell has every bucket from the first case of the file to its end, so that nothing
//! happening is a count of 0 and not a gap.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{CellBucket, Found, History, VolumeSettings};
use crate::analysis::cases::{Case, Stream};
use crate::analysis::read_span::ReadSpan;
use crate::analysis::site_clock::{SiteClock, wall};

/// The most rows of one answer: cells times buckets, whose counts take 8 bytes each. Two hundred
/// sites over two years of hours are a sixth of it.
pub const ROWS: usize = 20_000_000;

/// The most buckets of one answer: hours of 22 years. More of them means that a year was mistyped.
pub const BUCKETS: usize = 200_000;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// From the Monday before to the first day of 1970, a Thursday.
const MONDAY: i64 = 3 * DAY;

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// An hour of the clock.
    Hour,
    /// A day, from midnight.
    Day,
    /// A week, from Monday.
    Week,
}

/// A column that makes a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellKey {
    /// The service.
    Service,
    /// The site.
    Site,
    /// The category.
    Category,
}

/// Why cases could not be counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// Too many cells over too long a time.
    #[error(
        "{cells} cells in {buckets} buckets from {first} are more than {ROWS} rows; take longer \
         buckets or fewer columns"
    )]
    Rows {
        /// How many cells.
        cells: usize,
        /// How many buckets.
        buckets: usize,
        /// When the first bucket begins.
        first: Timestamp,
    },
    /// Too long a time.
    #[error(
        "from {first} to {last} there are {buckets} buckets, more than {BUCKETS}; take longer \
         buckets, or correct the time that is wrong"
    )]
    Buckets {
        /// How many buckets.
        buckets: i64,
        /// When the first begins.
        first: Timestamp,
        /// When the last begins.
        last: Timestamp,
    },
}

/// One cell: its names, and how many cases it had in each bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell<'a> {
    /// The service, if cells are by service.
    pub service: Option<&'a str>,
    /// The site, if cells are by site.
    pub site: Option<&'a str>,
    /// The category, if cells are by category.
    pub category: Option<&'a str>,
    /// Cases in each bucket.
    pub counts: Vec<u64>,
    /// When each bucket begins; the same for all cells.
    pub starts: &'a [Timestamp],
    /// Which buckets touch a day off.
    pub off: &'a [bool],
    /// In which buckets nobody works, where a calendar says; empty where none does.
    pub closed: &'a [bool],
}

/// The buckets of one evaluation, the same for all cells.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    /// The number of the first.
    first: i64,
    span: ReadSpan,
    /// Why there are none, where there would be too many.
    beyond: Option<VolumeError>,
    starts: Vec<Timestamp>,
    off: BTreeMap<Option<String>, Vec<bool>>,
    closed: BTreeMap<Option<String>, Vec<bool>>,
}

impl Bucket {
    /// How many there are in a week.
    pub const fn per_week(self) -> usize {
        match self {
            Self::Hour => 168,
            Self::Day => 7,
            Self::Week => 1,
        }
    }

    const fn seconds(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => WEEK,
        }
    }

    const fn shift(self) -> i64 {
        match self {
            Self::Hour | Self::Day => 0,
            Self::Week => MONDAY,
        }
    }

    /// The number of the bucket that holds the moment `at` on the wall clock of `zone`.
    fn number(self, at: i64, zone: &TimeZone) -> i64 {
        (wall(at, zone) + self.shift()).div_euclid(self.seconds())
    }

    /// When the bucket `number` begins.
    fn start(self, number: i64, zone: &TimeZone) -> Timestamp {
        let seconds = number * self.seconds() - self.shift();
        let utc = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        if *zone == TimeZone::UTC {
            return utc;
        }
        let civil: DateTime = TimeZone::UTC.to_datetime(utc);
        zone.to_zoned(civil).map_or(utc, |zoned| zoned.timestamp())
    }
}

impl Buckets {
    /// The buckets from the first case of `stream` to its last or to the end that is set. A few
    /// cases far from all others are in none ([`ReadSpan`]).
    pub fn of(stream: &Stream, settings: &VolumeSettings) -> Self {
        let VolumeSettings { bucket, zone, until, .. } = settings;
        let Some(span) = ReadSpan::of_stream(stream, *until) else { return Self::default() };
        let first = bucket.number(span.first, zone);
        let last = bucket.number(until.map_or(span.last, |until| until - 1), zone);
        let buckets = last - first + 1;
        if buckets > BUCKETS as i64 {
            let [first, last] = [first, last].map(|number| bucket.start(number, zone));
            let beyond = Some(VolumeError::Buckets { buckets, first, last });
            return Self { beyond, ..Self::default() };
        }
        let starts: Vec<Timestamp> =
            (first..=last).map(|number| bucket.start(number, zone)).collect();
        let off = days_off(&starts, settings);
        let closed = closed(&starts, settings);
        Self { first, span, beyond: None, starts, off, closed }
    }

    /// Which buckets touch a day off at `site`.
    fn off(&self, site: Option<&str>) -> &[bool] {
        of_site(&self.off, site)
    }

    /// In which buckets nobody works at `site`.
    fn closed(&self, site: Option<&str>) -> &[bool] {
        of_site(&self.closed, site)
    }
}

/// What stands there for `site`, or else for all.
fn of_site<'a>(all: &'a BTreeMap<Option<String>, Vec<bool>>, site: Option<&str>) -> &'a [bool] {
    let own = site.and_then(|site| all.get(&Some(site.to_owned())));
    own.or_else(|| all.get(&None)).map_or(&[], Vec::as_slice)
}

/// Buckets in which nobody works, for each site that has hours of its own and for all others.
fn closed(starts: &[Timestamp], settings: &VolumeSettings) -> BTreeMap<Option<String>, Vec<bool>> {
    let length = settings.bucket.seconds();
    let mut closed = BTreeMap::new();
    for SiteClock { site, zone, hours } in &settings.clocks {
        let nobody_works = |start: &Timestamp| {
            let from = wall(start.as_second(), zone);
            hours.between(from, from + length) == 0
        };
        let of = || starts.iter().map(nobody_works).collect();
        closed.entry(site.clone()).or_insert_with(of);
    }
    closed
}

/// Buckets that touch a day off: those of all sites, and for each site that has its own those and
/// its own.
fn days_off(
    starts: &[Timestamp],
    settings: &VolumeSettings,
) -> BTreeMap<Option<String>, Vec<bool>> {
    // A day on which a clock is changed has no 24 hours, so a bucket ends where the next begins.
    let starts: Vec<i64> = starts.iter().map(|start| start.as_second()).collect();
    let end = starts.last().map(|start| start + settings.bucket.seconds());
    let ends: Vec<i64> = starts.iter().skip(1).copied().chain(end).collect();
    let mut off = BTreeMap::from([(None, vec![false; starts.len()])]);
    let (everywhere, some): (Vec<_>, Vec<_>) =
        settings.holidays.iter().partition(|(site, _, _)| site.is_none());
    for (site, from, to) in everywhere.into_iter().chain(some) {
        let common = off.get(&None).cloned().unwrap_or_default();
        let days = off.entry(site.clone()).or_insert(common);
        for (day, (start, end)) in days.iter_mut().zip(starts.iter().zip(&ends)) {
            *day |= start < to && end > from;
        }
    }
    off
}

/// Counts the cases of `stream` known at the end that is set. Cells are in the order of their
/// names.
///
/// # Errors
/// [`VolumeError`].
pub fn count<'a>(
    stream: &'a Stream,
    settings: &VolumeSettings,
    buckets: &'a Buckets,
) -> Result<Vec<Cell<'a>>, VolumeError> {
    let VolumeSettings { bucket, zone, until, by, .. } = settings;
    if let Some(beyond) = &buckets.beyond {
        return Err(beyond.clone());
    }
    let length = buckets.starts.len();
    let mut cells: BTreeMap<[Option<u32>; 3], Vec<u64>> = BTreeMap::new();
    let known = |case: &&Case| {
        buckets.span.holds(case.opened_at) && until.is_none_or(|until| case.is_known(until))
    };
    for case in stream.cases.iter().filter(known) {
        let index = |key, index| by.contains(&key).then_some(index);
        let key = [
            index(CellKey::Service, case.service),
            index(CellKey::Site, case.site),
            index(CellKey::Category, case.category),
        ];
        if !cells.contains_key(&key) && (cells.len() + 1).saturating_mul(length) > ROWS {
            let first = buckets.starts.first().copied().unwrap_or_default();
            return Err(VolumeError::Rows { cells: cells.len() + 1, buckets: length, first });
        }
        let counts = cells.entry(key).or_insert_with(|| vec![0; length]);
        let place = usize::try_from(bucket.number(case.opened_at, zone) - buckets.first);
        if let Some(count) = place.ok().and_then(|place| counts.get_mut(place)) {
            *count += 1;
        }
    }
    let name = |names: &'a [String], index: Option<u32>| {
        let name = names.get(index? as usize).map(String::as_str);
        // An empty name is a case that does not say.
        name.filter(|name| !name.is_empty())
    };
    let named = cells.into_iter().map(|([service, site, category], counts)| {
        let site = name(&stream.sites, site);
        Cell {
            service: name(&stream.services, service),
            site,
            category: name(&stream.categories, category),
            counts,
            starts: &buckets.starts,
            off: buckets.off(site),
            closed: buckets.closed(site),
        }
    });
    Ok(named.collect())
}

impl Cell<'_> {
    /// Whether the bucket `at` touches a day off.
    pub(super) fn is_off(&self, at: usize) -> bool {
        self.off.get(at).copied().unwrap_or(false)
    }

    /// Whether the bucket `at` is like `other`: worked in or not as that one, and no day off.
    pub(super) fn is_like(&self, at: usize, other: usize) -> bool {
        let closed = |at: usize| self.closed.get(at).copied().unwrap_or(false);
        closed(at) == closed(other) && !self.is_off(at)
    }

    /// The row of the bucket `at`.
    pub(super) fn row(&self, at: usize, found: Found, history: History) -> CellBucket {
        let Found { expected, bound, p_value, alarm, dispersion } = found;
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        CellBucket {
            service: self.service.map(str::to_owned),
            site: self.site.map(str::to_owned),
            category: self.category.map(str::to_owned),
            bucket_start: self.starts.get(at).copied().unwrap_or_default(),
            observed: self.counts.get(at).copied().unwrap_or(0),
            expected: finite(expected),
            bound: finite(bound),
            p_value: finite(p_value),
            alarm,
            dispersion: finite(dispersion),
            history,
        }
    }
}
