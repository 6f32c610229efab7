//! Counts with a known past, and what is said of them.

use jiff::tz::TimeZone;

use super::cusum::{CusumSettings, cusum};
use super::ears::{EarsMethod, EarsSettings, ears};
use super::farrington::{FarringtonSettings, Threshold, farrington};
use super::*;
use crate::analysis::cases::{Gather, Named};
use crate::analysis::site_clock::{OpenHours, SiteClock};

const DAY: i64 = 86_400;

/// Monday, 5 January 1970.
const MONDAY: i64 = 4 * DAY;

fn settings(bucket: Bucket, method: Method) -> VolumeSettings {
    VolumeSettings {
        bucket,
        by: vec![CellKey::Service],
        method,
        alpha: 0.01,
        zone: TimeZone::UTC,
        until: None,
        holidays: Vec::new(),
        clocks: Vec::new(),
    }
}

/// So many cases on each of the days from a Monday on.
fn daily(counts: impl IntoIterator<Item = u64>) -> Stream {
    let mut gather = Gather::default();
    for (day, count) in (0..).zip(counts) {
        for _ in 0..count {
            let opened_at = MONDAY + day * DAY + 3_600;
            let named =
                Named { opened_at, recorded_at: None, service: "voice", site: "", category: "" };
            gather.add(&named);
        }
    }
    gather.finish()
}

/// Five times as much on working days, and a little unevenness.
fn usual(day: u64) -> u64 {
    let busy = if day % 7 < 5 { 20 } else { 4 };
    busy + day * 7 % 3
}

#[test]
fn the_rhythm_of_a_week_is_no_alarm_and_a_rise_is_one() {
    let risen = 80;
    let stream = daily((0..90).map(|day| usual(day) + if day == risen { 20 } else { 0 }));
    let rows = volume(&stream, &settings(Bucket::Day, Method::Auto)).unwrap();
    let full = rows.iter().filter(|row| row.history == History::Full);
    let alarms: Vec<_> = full.filter(|row| row.alarm).map(|row| row.bucket_start).collect();
    assert_eq!(alarms.len(), 1);
    assert_eq!(alarms[0].as_second(), MONDAY + risen as i64 * DAY);
    let row = &rows[risen as usize];
    assert!(row.p_value.unwrap() < 0.001, "{row:?}");
    assert!(row.observed as f64 > row.bound.unwrap() && row.bound > row.expected, "{row:?}");
}

#[test]
fn eight_weeks_make_a_full_history_and_less_is_judged_by_ears() {
    let stream = daily((0..60).map(usual));
    let rows = volume(&stream, &settings(Bucket::Day, Method::Auto)).unwrap();
    let short = rows.iter().filter(|row| row.history == History::Short).count();
    assert_eq!(short, 56);
    let counts: Vec<u64> = (0..60).map(usual).collect();
    let bounds = ears(&EarsSettings::new(EarsMethod::C2, 0.01), &counts);
    for bound in bounds.iter().filter(|bound| bound.at < 56) {
        assert_eq!(rows[bound.at].bound, Some(bound.upper));
        assert_eq!(rows[bound.at].expected, Some(bound.expected));
    }
    assert!(rows[..9].iter().all(|row| row.bound.is_none() && !row.alarm));
    let strict = volume(&stream, &settings(Bucket::Day, Method::Farrington)).unwrap();
    assert!(strict[..56].iter().all(|row| row.expected.is_none()));
    assert!(strict[56..].iter().all(|row| row.expected.is_some()));
}

#[test]
fn what_comes_later_changes_nothing_that_was_said() {
    for bucket in [Bucket::Day, Bucket::Week] {
        let settings = settings(bucket, Method::Auto);
        let whole = volume(&daily((0..210).map(usual)), &settings).unwrap();
        let part = volume(&daily((0..140).map(usual)), &settings).unwrap();
        assert_eq!(part, whole[..part.len()], "{bucket:?}");
    }
}

#[test]
fn buckets_without_a_case_are_rows_and_weeks_begin_on_monday() {
    let stream = daily([0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    let rows = volume(&stream, &settings(Bucket::Week, Method::Auto)).unwrap();
    let said: Vec<_> = rows.iter().map(|row| (row.bucket_start, row.observed)).collect();
    let start = |week: i64| jiff::Timestamp::from_second(MONDAY + week * 7 * DAY).unwrap();
    assert_eq!(said, [(start(0), 1), (start(1), 0), (start(2), 2)]);
    let days = volume(&stream, &settings(Bucket::Day, Method::Auto)).unwrap();
    assert_eq!(days.len(), 15);
}

#[test]
fn a_day_is_that_of_the_zone() {
    let mut gather = Gather::default();
    // 23:30 UTC on a summer evening is the next day in Vienna.
    for opened_at in [1_782_862_200, 1_782_862_200 + DAY] {
        gather.add(&Named { opened_at, recorded_at: None, service: "", site: "", category: "" });
    }
    let zone = TimeZone::get("Europe/Vienna").unwrap();
    let settings = VolumeSettings { zone, ..settings(Bucket::Day, Method::Auto) };
    let rows = volume(&gather.finish(), &settings).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].bucket_start.to_string(), "2026-06-30T22:00:00Z");
    assert_eq!(rows[0].service, None);
}

#[test]
fn a_case_that_was_not_yet_known_is_not_counted() {
    let mut gather = Gather::default();
    let named = |opened_at, recorded_at| Named {
        opened_at,
        recorded_at,
        service: "voice",
        site: "",
        category: "",
    };
    gather.add(&named(MONDAY, Some(MONDAY + 60)));
    gather.add(&named(MONDAY, Some(MONDAY + 3 * DAY)));
    gather.add(&named(MONDAY + 4 * DAY, None));
    let until = Some(MONDAY + 2 * DAY);
    let settings = VolumeSettings { until, ..settings(Bucket::Day, Method::Auto) };
    let rows = volume(&gather.finish(), &settings).unwrap();
    let observed: Vec<u64> = rows.iter().map(|row| row.observed).collect();
    assert_eq!(observed, [1, 0]);
}

#[test]
fn a_day_off_says_nothing_of_other_days() {
    // Every second Monday of the past is off and has no case.
    let off = |day: u64| day.is_multiple_of(14) && day < 98;
    let stream = daily((0..99).map(|day| if off(day) { 0 } else { usual(day) }));
    let holidays = (0..99)
        .filter(|day| off(*day))
        .map(|day| (None, MONDAY + day as i64 * DAY, MONDAY + (day as i64 + 1) * DAY))
        .collect();
    let plain = settings(Bucket::Day, Method::Auto);
    let calendar = VolumeSettings { holidays, ..plain.clone() };
    let last = |settings| volume(&stream, settings).unwrap().pop().unwrap();
    let (without, with) = (last(&plain), last(&calendar));
    assert!(without.expected.unwrap() < 15.0, "{without:?}");
    assert!(with.expected.unwrap() > 19.0, "{with:?}");
}

#[test]
fn too_many_rows_are_refused_before_they_are_made() {
    let mut gather = Gather::default();
    for site in 0..200 {
        let site = site.to_string();
        let named = |opened_at| Named {
            opened_at,
            recorded_at: None,
            service: "",
            site: &site,
            category: "",
        };
        gather.add(&named(0));
        gather.add(&named(20 * 365 * DAY));
    }
    let by = vec![CellKey::Site];
    let settings = VolumeSettings { by, ..settings(Bucket::Hour, Method::Auto) };
    assert!(matches!(volume(&gather.finish(), &settings), Err(VolumeError::Rows { .. })));
}

#[test]
fn hours_of_centuries_are_refused_before_they_are_made() {
    let mut gather = Gather::default();
    for opened_at in [0, 80_000 * DAY] {
        gather.add(&Named { opened_at, recorded_at: None, service: "", site: "", category: "" });
    }
    let stream = gather.finish();
    let refused = volume(&stream, &settings(Bucket::Hour, Method::Auto)).unwrap_err();
    assert!(matches!(refused, VolumeError::Buckets { buckets: 1_920_001, .. }), "{refused}");
    assert!(volume(&stream, &settings(Bucket::Day, Method::Auto)).is_ok());
}

/// A day of 23 hours is over when the next one begins, and not an hour later.
#[test]
fn a_day_off_begins_with_its_own_day_where_a_clock_is_changed() {
    let zone = TimeZone::get("Europe/Vienna").unwrap();
    // Midnight in Vienna of Saturday, 30 March, to Tuesday; clocks go forward on Sunday.
    let midnights = [0, 24, 47, 71].map(|hour| 1_711_753_200 + hour * 3_600);
    let mut gather = Gather::default();
    for midnight in midnights {
        let opened_at = midnight + 3_600;
        gather.add(&Named { opened_at, recorded_at: None, service: "", site: "", category: "" });
    }
    let holidays = vec![(None, midnights[2], midnights[3])];
    let settings = VolumeSettings { zone, holidays, ..settings(Bucket::Day, Method::Auto) };
    let stream = gather.finish();
    let buckets = Buckets::of(&stream, &settings);
    let cells = count(&stream, &settings, &buckets).unwrap();
    assert_eq!(cells[0].starts.iter().map(|at| at.as_second()).collect::<Vec<_>>(), midnights);
    assert_eq!(cells[0].off, [false, false, true, false], "Monday alone is off");
}

/// Cases with a rate that itself varies, from a generator that is part of the test.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        let (mut count, mut product) = (0, self.next());
        while product > (-mean).exp() {
            count += 1;
            product *= self.next();
        }
        count
    }

    /// Counts of three times the variance of Poisson: every event brings one to five cases.
    fn bursts(&mut self, mean: f64) -> u64 {
        let events = self.poisson(mean / 3.0);
        (0..events).map(|_| 1 + (self.next() * 5.0) as u64).sum()
    }
}

#[test]
fn quiet_but_bursty_days_raise_about_as_many_alarms_as_was_asked() {
    let mut chance = Chance(88_172_645_463_325_252);
    let (mut judged, mut alarms) = (0, 0);
    for _ in 0..12 {
        let counts: Vec<u64> =
            (0..500).map(|day| chance.bursts(if day % 7 < 5 { 24.0 } else { 6.0 })).collect();
        let rows = volume(&daily(counts), &settings(Bucket::Day, Method::Auto)).unwrap();
        for row in rows.iter().filter(|row| row.history == History::Full) {
            judged += 1;
            alarms += u32::from(row.alarm);
        }
    }
    let rate = f64::from(alarms) / f64::from(judged);
    assert!((0.004..0.020).contains(&rate), "{alarms} of {judged}");
}

/// Worked by hand: the published formulas on series short enough for it.
#[test]
fn the_methods_of_surveillance_give_what_their_formulas_say() {
    let series = [4, 6, 5, 5, 4, 6, 5, 9, 9, 20];
    let c2 = ears(&EarsSettings::new(EarsMethod::C2, 0.001), &series);
    assert_eq!(c2.len(), 1);
    assert_eq!(c2[0].expected, 5.0);
    let deviation = (4.0f64 / 6.0).sqrt();
    assert!((c2[0].upper - (5.0 + 3.090_232_306_167_813 * deviation)).abs() < 1e-9);
    assert!(c2[0].alarm);
    let sums = cusum(&CusumSettings::new(4), &[4, 4, 4, 4, 4, 12, 12]);
    let step = (12.0 - 12.0 + 2.0 * 48.0f64.sqrt()) / 4.0 - 1.04;
    assert_eq!(sums[0].sum, 0.0);
    assert!((sums[1].sum - step).abs() < 1e-12 && sums[1].alarm, "{sums:?}");
    // Ten years of the same count: nothing varies, so the bound is Poisson's own.
    let settings = FarringtonSettings::flexible(2, Threshold::NbPlugin, 0.01);
    let even = farrington(&settings, &[9; 120]);
    assert_eq!(even.len(), 120 - settings.first());
    assert_eq!((even[0].upper, even[0].dispersion), (Some(17.0), 1.0));
    assert!((even[0].expected - 9.0).abs() < 1e-9 && !even[0].alarm);
}

/// Three weeks of twenty cases on working days, and none on the two others.
#[test]
fn a_short_history_compares_working_days_with_working_days() {
    let counts = (0..17).map(|day| if day % 7 < 5 { 20 } else { 0 });
    let stream = daily(counts);
    let plain = settings(Bucket::Day, Method::Auto);
    let office = OpenHours::parse(&["mon-fri 00:00-24:00".to_owned()]).unwrap();
    let clock = SiteClock { site: None, zone: TimeZone::UTC, hours: office };
    let hours = VolumeSettings { clocks: vec![clock], ..plain.clone() };
    let last = |settings: &VolumeSettings| volume(&stream, settings).unwrap().pop().unwrap();
    let (without, with) = (last(&plain), last(&hours));
    assert!(without.expected.unwrap() < 16.0, "{without:?}");
    assert_eq!(with.expected, Some(20.0), "{with:?}");
    assert!(with.bound.unwrap() < 22.0 && without.bound.unwrap() > 30.0, "{with:?} {without:?}");
    let sunday = volume(&stream, &hours).unwrap().remove(13);
    assert_eq!((sunday.observed, sunday.expected), (0, None), "two weekends are too few");
}

/// On 31 March 2024 clocks of Vienna go from two to three.
#[test]
fn an_hour_that_was_skipped_has_no_row() {
    let mut gather = Gather::default();
    let midnight = 1_711_839_600;
    for hour in 0..12 {
        let opened_at = midnight + hour * 3_600;
        let named = Named { opened_at, recorded_at: None, service: "v", site: "", category: "" };
        gather.add(&named);
    }
    let zone = TimeZone::get("Europe/Vienna").unwrap();
    let settings = VolumeSettings { zone, ..settings(Bucket::Hour, Method::Auto) };
    let rows = volume(&gather.finish(), &settings).unwrap();
    let starts: Vec<i64> = rows.iter().map(|row| row.bucket_start.as_second()).collect();
    assert_eq!(starts, (0..12).map(|hour| midnight + hour * 3_600).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row.observed == 1), "{rows:?}");
}

/// However many alarms are put up with, a bound is a count and no more.
#[test]
fn bounds_fall_as_alpha_rises() {
    let stream = daily((0..100).map(|day| 30 + day % 3));
    let bound = |alpha: f64| {
        let settings = VolumeSettings { alpha, ..settings(Bucket::Day, Method::Auto) };
        volume(&stream, &settings).unwrap().pop().unwrap().bound.unwrap()
    };
    let bounds = [1e-9, 0.01, 0.1, 0.3, 0.45, 0.5, 0.9, 0.999].map(bound);
    assert!(bounds.is_sorted_by(|a, b| a >= b) && bounds[0] < 90.0, "{bounds:?}");
}
