//! The clock on the wall of a site, and the hours in which people work there. Pure.
//!
//! What is usual at a site goes by its own clock: where that was changed, the same hour of other
//! weeks lies an hour earlier or later in UTC. Working hours say when cases are to be expected at
//! all; where nobody says any, every hour is as good as another.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// From the Monday before to the first day of 1970, a Thursday.
const MONDAY: i64 = 3 * DAY;

/// The most stretches of hours of one site: four a day.
const STRETCHES: usize = 28;

/// Days as they are written, from Monday.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The clock and the hours of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteClock {
    /// The site, or `None` for all that have no clock of their own.
    pub site: Option<String>,
    /// What its clock shows.
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub zone: TimeZone,
    /// When people work there.
    #[serde(default)]
    pub hours: OpenHours,
}

/// What the clock on a wall of `zone` shows, as seconds since it showed the beginning of 1970.
pub fn wall(at: i64, zone: &TimeZone) -> i64 {
    if *zone == TimeZone::UTC {
        return at;
    }
    let offset = Timestamp::from_second(at).map(|at| zone.to_offset(at).seconds());
    at + i64::from(offset.unwrap_or(0))
}

/// The clock that goes for cases of many sites: that of all, else the one that all sites share.
pub fn common_zone(clocks: &[SiteClock]) -> TimeZone {
    let of_all = clocks.iter().find(|clock| clock.site.is_none());
    let shared = || {
        let first = clocks.first()?;
        clocks.iter().all(|clock| clock.zone == first.zone).then_some(first)
    };
    of_all.or_else(shared).map_or(TimeZone::UTC, |clock| clock.zone.clone())
}

/// Working hours of a week, as seconds from Monday's midnight, apart and in order; empty where
/// nobody says any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpenHours(Vec<(i64, i64)>);

impl OpenHours {
    /// The hours that `lines` say, each as `mon-fri 08:00-18:00`; one that ends before it begins
    /// ends on the next day.
    ///
    /// # Errors
    /// The line that says none, with what it should look like.
    pub fn parse(lines: &[String]) -> Result<Self, String> {
        let mut all = Vec::new();
        for line in lines {
            let form = || format!("{line:?} is no hours of a week such as \"mon-fri 08:00-18:00\"");
            all.extend(stretches(line).ok_or_else(form)?);
            if all.len() > STRETCHES {
                return Err(format!("a site has at most {STRETCHES} stretches of hours a week"));
            }
        }
        all.sort_unstable();
        let mut apart: Vec<(i64, i64)> = Vec::new();
        for (from, to) in all {
            match apart.last_mut().filter(|last| last.1 >= from) {
                Some(last) => last.1 = last.1.max(to),
                None => apart.push((from, to)),
            }
        }
        Ok(Self(apart))
    }

    /// Whether anybody said any.
    pub fn is_known(&self) -> bool {
        !self.0.is_empty()
    }

    /// Working seconds of a week; all of them where nobody says.
    pub fn a_week(&self) -> i64 {
        if self.is_known() { self.0.iter().map(|(from, to)| to - from).sum() } else { WEEK }
    }

    /// Working seconds between two moments of the clock on the wall.
    pub fn between(&self, from: i64, to: i64) -> i64 {
        if self.is_known() { self.before(to) - self.before(from) } else { to - from }
    }

    fn before(&self, wall: i64) -> i64 {
        let (weeks, second) = ((wall + MONDAY).div_euclid(WEEK), (wall + MONDAY).rem_euclid(WEEK));
        let of_this = self.0.iter().map(|(from, to)| (second.min(*to) - from).max(0));
        weeks * self.a_week() + of_this.sum::<i64>()
    }
}

/// `mon-fri 08:00-18:00` as stretches of a week.
fn stretches(line: &str) -> Option<Vec<(i64, i64)>> {
    let (days, times) = line.trim().split_once(char::is_whitespace)?;
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let place = |day: &str| DAYS.iter().position(|known| *known == day);
    let (first, last) = (place(first)?, place(last)?);
    let (from, to) = times.trim().split_once('-')?;
    let (from, mut to) = (time(from)?, time(to)?);
    if from == DAY {
        return None;
    }
    if to <= from {
        to += DAY;
    }
    let mut all = Vec::new();
    for day in first..=last + if last < first { 7 } else { 0 } {
        let midnight = (day % 7) as i64 * DAY;
        let (from, to) = (midnight + from, midnight + to);
        all.push((from, to.min(WEEK)));
        if to > WEEK {
            all.push((0, to - WEEK));
        }
    }
    Some(all)
}

/// `08:30` as seconds from midnight, to `24:00`.
fn time(text: &str) -> Option<i64> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str, most: i64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| digits && *number <= most)
    };
    let second = number(hour, 24)? * HOUR + number(minute, 59)? * 60;
    (second <= DAY).then_some(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(lines: &[&str]) -> OpenHours {
        OpenHours::parse(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    /// Monday, 1 January 2024, midnight.
    const START: i64 = 1_704_067_200;

    #[test]
    fn hours_are_counted_within_and_over_weeks() {
        let office = hours(&["mon-fri 08:00-18:00", "sat 09:00-12:30"]);
        assert_eq!(office.a_week(), 50 * HOUR + 7 * HOUR / 2);
        for (from, to, expect) in [
            (0, 8 * HOUR, 0),
            (0, 9 * HOUR, HOUR),
            (9 * HOUR, DAY + 9 * HOUR, 10 * HOUR),
            (5 * DAY, 6 * DAY, 7 * HOUR / 2),
            (6 * DAY, 7 * DAY, 0),
            (4 * DAY + 17 * HOUR, 7 * DAY + 9 * HOUR, HOUR + 7 * HOUR / 2 + HOUR),
            (-WEEK, 3 * WEEK, 4 * (50 * HOUR + 7 * HOUR / 2)),
        ] {
            assert_eq!(office.between(START + from, START + to), expect, "{from} to {to}");
        }
    }

    #[test]
    fn a_night_shift_ends_on_the_next_day_and_the_week_is_a_ring() {
        let night = hours(&["fri-mon 22:00-06:00"]);
        assert_eq!(night.a_week(), 32 * HOUR);
        assert_eq!(night.between(START, START + DAY), 8 * HOUR);
        assert_eq!(night.between(START + DAY, START + 2 * DAY), 6 * HOUR);
        assert_eq!(hours(&["mon-sun 00:00-24:00"]).a_week(), WEEK);
        let twice = hours(&["mon 08:00-12:00", "mon 10:00-14:00"]);
        assert_eq!(twice.a_week(), 6 * HOUR);
    }

    #[test]
    fn a_zone_goes_for_all_where_it_is_said_to_or_everybodys() {
        let clock = |site: Option<&str>, zone: &str| SiteClock {
            site: site.map(str::to_owned),
            zone: TimeZone::get(zone).unwrap(),
            hours: OpenHours::default(),
        };
        let (graz, porto) = (clock(Some("graz"), "Europe/Vienna"), clock(Some("p"), "Etc/GMT-3"));
        let named = |clocks: &[SiteClock]| common_zone(clocks).iana_name().map(str::to_owned);
        assert_eq!(named(&[]).as_deref(), Some("UTC"));
        assert_eq!(named(std::slice::from_ref(&graz)).as_deref(), Some("Europe/Vienna"));
        assert_eq!(named(&[graz.clone(), porto.clone()]).as_deref(), Some("UTC"));
        let all = clock(None, "America/New_York");
        assert_eq!(named(&[graz, porto, all]).as_deref(), Some("America/New_York"));
    }

    #[test]
    fn where_nobody_says_every_hour_is_open() {
        let unsaid = OpenHours::default();
        assert!(!unsaid.is_known());
        assert_eq!((unsaid.a_week(), unsaid.between(5, 9)), (WEEK, 4));
    }

    #[test]
    fn what_is_no_hours_is_refused() {
        for line in ["", "mon", "08:00-18:00", "mon 8-18", "mon 08:00", "day 08:00-09:00"] {
            let error = OpenHours::parse(&[line.to_owned()]).unwrap_err();
            assert!(error.contains("mon-fri 08:00-18:00"), "{error}");
        }
        for line in ["mon 08:00-25:00", "mon 24:00-08:00", "mon 08:60-09:00", "mon +8:00-09:00"] {
            assert!(OpenHours::parse(&[line.to_owned()]).is_err(), "{line}");
        }
    }
}
