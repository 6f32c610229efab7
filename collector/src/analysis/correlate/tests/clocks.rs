//! Clocks that are changed, sites of several zones, and hours in which nobody works.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::analysis::site_clock::{OpenHours, SiteClock};

/// Zones whose clocks are changed: both ways round, at other dates, and by half an hour.
const ZONES: [&str; 5] =
    ["Europe/Vienna", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe", "Asia/Tokyo"];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn clock(site: Option<&str>, zone: &TimeZone, hours: &[&str]) -> SiteClock {
    let lines: Vec<String> = hours.iter().map(|line| (*line).to_owned()).collect();
    let hours = OpenHours::parse(&lines).unwrap();
    SiteClock { site: site.map(str::to_owned), zone: zone.clone(), hours }
}

/// The moment at which a clock of `zone` shows what one of UTC shows at `shown`.
fn moment(shown: i64, zone: &TimeZone) -> i64 {
    let shown = TimeZone::UTC.to_datetime(Timestamp::from_second(shown).unwrap());
    zone.to_zoned(shown).unwrap().timestamp().as_second()
}

/// The same wall clocks so many weeks later, in the zone that `of` gives each site.
fn moved(world: &World, weeks: i64, of: impl Fn(&str) -> TimeZone) -> World {
    let mut moved = world.clone();
    for row in &mut moved.rows {
        row.0 = moment(row.0 + weeks * 7 * DAY, &of(&row.2));
    }
    moved
}

fn judged(world: &World, at: i64, settings: Settings) -> Verdict {
    correlate(&world.stream(), &[Candidate { at, ..change("c", &EXPOSED) }], &settings).remove(0)
}

fn later(weeks: i64, clocks: Vec<SiteClock>) -> Settings {
    // Some days more, so that the last window is over by any clock.
    let end = START + (WEEKS + weeks) * 7 * DAY + 2 * DAY;
    Settings { until: Some(end), clocks, ..until() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A year has weeks in which a clock was changed just before the change, between it and each of
    /// the reference weeks, within the window, and in none of them.
    #[test]
    fn a_clock_that_was_changed_changes_nothing(weeks in 0..52i64, place in 0..ZONES.len()) {
        let world = World::new("clocks", 24).raise(&EXPOSED, WINDOW, 2);
        let plain = judged(&world, AT, later(0, Vec::new()));
        let zone = zone(ZONES[place]);
        let there = moved(&world, weeks, |_| zone.clone());
        let at = moment(AT + weeks * 7 * DAY, &zone);
        let settings = later(weeks, vec![clock(None, &zone, &[])]);
        prop_assert_eq!(judged(&there, at, settings), plain, "{} {}", ZONES[place], weeks);
    }

    /// Two zones whose clocks are changed on other days; at 05:00 UTC nobody works in either.
    #[test]
    fn each_site_goes_by_its_own_clock(weeks in 0..52i64) {
        let early = AT - 3 * HOUR;
        let world = World::new("zones", 24).raise(&EXPOSED, (early, early + 72 * HOUR), 2);
        let lag_aside = |mut verdict: Verdict| {
            verdict.evidence.lag_seconds = None;
            verdict
        };
        let plain = lag_aside(judged(&world, early, later(0, Vec::new())));
        let names: Vec<String> = (0..24).map(|site| format!("site-{site:02}")).collect();
        let of = |site: &str| match site.ends_with(['0', '2', '4', '6', '8']) {
            true => zone("Europe/Vienna"),
            false => zone("America/New_York"),
        };
        let clocks = names.iter().map(|site| clock(Some(site), &of(site), &[])).collect();
        let there = moved(&world, weeks, of);
        let verdict = judged(&there, early + weeks * 7 * DAY, later(weeks, clocks));
        prop_assert_eq!(lag_aside(verdict), plain, "{}", weeks);
    }

    /// Hours that are the same everywhere say nothing of one site against another.
    #[test]
    fn hours_that_never_end_are_as_none(seed in 0..1_000u32) {
        let world = World::new(&format!("hours {seed}"), 16);
        let always = vec![clock(None, &TimeZone::UTC, &["mon-sun 00:00-24:00"])];
        let with = judged(&world, AT, later(0, always)).evidence;
        let without = judged(&world, AT, later(0, Vec::new())).evidence;
        prop_assert_eq!((with.p_value, with.rate_ratio), (without.p_value, without.rate_ratio));
    }
}

/// Half of the sites work by night. In a night nothing of note happens, and who expects of them
/// what the others let expect takes their shift for a rise.
#[test]
fn a_site_is_expected_to_have_cases_when_it_works() {
    let at = AT + 12 * HOUR;
    let works_by_night = |site: usize| site % 2 == 1;
    let exposed = [1, 5, 9, 13, 17, 21];
    let of = |seed: usize, hours: bool| {
        let mut world = World::new(&format!("night {seed}"), 24);
        for row in &mut world.rows {
            let site: usize = row.2.trim_start_matches("site-").parse().unwrap();
            row.0 += if works_by_night(site) { 12 * HOUR } else { 0 };
        }
        let clock = |site: usize| {
            let shift = if works_by_night(site) { "20:00-06:00" } else { "08:00-18:00" };
            let line = format!("mon-sun {shift}");
            clock(Some(&format!("site-{site:02}")), &TimeZone::UTC, &[&line])
        };
        let clocks = if hours { (0..24).map(clock).collect() } else { Vec::new() };
        let night = Candidate { at, window_hours: Some(12), ..change("c", &exposed) };
        let verdict = correlate(&world.stream(), &[night], &later(0, clocks)).remove(0);
        verdict.evidence.score.unwrap()
    };
    let mean = |hours: bool| (0..12).map(|seed| of(seed, hours)).sum::<f64>() / 12.0;
    let (with, without) = (mean(true), mean(false));
    assert!(with < 0.5 && without > with + 0.05, "{with} with hours, {without} without");
}
