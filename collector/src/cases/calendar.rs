//! When the usual number of cases is expected: clocks, working hours and days off of sites.
//!
//! A TOML file: `timezone` and `business_hours` of all sites, `[[site]]` tables with the `names` of
//! those that have others, and `[[holiday]]` tables with a `date`, optionally `until` (the last
//! day, included), `sites` (all of them if absent) and `name`. Unknown fields are refused with
//! their line, so that a slip of the keyboard is not a holiday silently missed.

use std::collections::BTreeMap;
use std::io::Read;

use driftline_protocol::limits::read_bounded;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::CALENDAR_BYTES;
use crate::analysis::site_clock::{OpenHours, SiteClock};

/// The most days of one holiday. A longer closure is a change of business, not a holiday.
const HOLIDAY_DAYS: i64 = 62;

/// What a calendar says, with its days resolved to moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// The clock and the hours of all sites, and of those that have others.
    pub clocks: Vec<SiteClock>,
    /// The holidays, in the order of the file.
    pub holidays: Vec<Holiday>,
}

/// Days that are not like others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holiday {
    /// Where, if not everywhere.
    pub site: Option<String>,
    /// The first moment, in seconds since 1970, UTC.
    pub from: i64,
    /// The first moment after it.
    pub to: i64,
}

impl Calendar {
    /// One that says nothing but that clocks show the time of `zone`.
    pub fn of(zone: &TimeZone) -> Self {
        let clock = SiteClock { site: None, zone: zone.clone(), hours: OpenHours::default() };
        Self { clocks: vec![clock], holidays: Vec::new() }
    }

    /// Each holiday of each site: the site, or `None` for all, and its first and last second
    /// (exclusive).
    pub fn days_off(&self) -> Vec<(Option<String>, i64, i64)> {
        let day_off = |day: &Holiday| (day.site.clone(), day.from, day.to);
        self.holidays.iter().map(day_off).collect()
    }
}

/// Why a calendar was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CalendarError {
    /// The reader failed, or there is more than a calendar may be.
    #[error("reading the calendar")]
    Read(#[source] std::io::Error),
    /// Not UTF-8.
    #[error("reading the calendar as text")]
    Text(#[source] std::str::Utf8Error),
    /// Not the TOML that is expected.
    #[error("reading the calendar as TOML")]
    Toml(#[source] toml::de::Error),
    /// A zone nobody knows, or a day beyond time.
    #[error("resolving {what}")]
    Resolve {
        /// The holiday or the zone.
        what: String,
        /// What the time library said.
        source: jiff::Error,
    },
    /// A time where a day must be.
    #[error("{written} is not a day")]
    NotADay {
        /// What stands there.
        written: String,
    },
    /// Hours nobody can keep.
    #[error("{0}")]
    Hours(String),
    /// A last day before the first, or far after it.
    #[error("the holiday of {date} must end on that day or up to {HOLIDAY_DAYS} days later")]
    Days {
        /// Its first day.
        date: Date,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    timezone: Option<String>,
    #[serde(default)]
    business_hours: Vec<String>,
    #[serde(default)]
    site: Vec<Sites>,
    #[serde(default)]
    holiday: Vec<Entry>,
}

/// Sites with a clock or hours of their own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sites {
    names: Vec<String>,
    timezone: Option<String>,
    business_hours: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    date: Day,
    until: Option<Day>,
    #[serde(default)]
    sites: Vec<String>,
    #[serde(default, rename = "name")]
    _name: String,
}

/// A day, with or without quotes.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a day such as 2026-12-25")]
enum Day {
    Text(Date),
    Toml(toml::value::Datetime),
}

impl Day {
    fn date(self) -> Result<Date, CalendarError> {
        match self {
            Self::Text(date) => Ok(date),
            Self::Toml(written) => {
                let whole = written.date.filter(|_| written.time.is_none());
                let date = whole.and_then(|date| {
                    let year = i16::try_from(date.year).ok()?;
                    let month = i8::try_from(date.month).ok()?;
                    Date::new(year, month, i8::try_from(date.day).ok()?).ok()
                });
                date.ok_or_else(|| CalendarError::NotADay { written: written.to_string() })
            }
        }
    }
}

/// Reads a calendar. Days begin and end by the clock of their site; where no zone is named that is
/// the calendar's, and else `zone`.
///
/// # Errors
/// [`CalendarError`]: a calendar is taken whole or not at all.
pub fn read_calendar(mut reader: impl Read, zone: &TimeZone) -> Result<Calendar, CalendarError> {
    let bytes = read_bounded(&mut reader, CALENDAR_BYTES).map_err(CalendarError::Read)?;
    let text = std::str::from_utf8(&bytes).map_err(CalendarError::Text)?;
    let file: File = toml::from_str(text).map_err(CalendarError::Toml)?;
    let hours = |lines: &[String]| OpenHours::parse(lines).map_err(CalendarError::Hours);
    let zone = named(file.timezone.as_deref(), zone)?;
    let of_all = hours(&file.business_hours)?;
    let mut clocks = Vec::new();
    for Sites { names, timezone, business_hours } in file.site {
        let zone = named(timezone.as_deref(), &zone)?;
        let hours = business_hours.map_or_else(|| Ok(of_all.clone()), |lines| hours(&lines))?;
        let clock = |site| SiteClock { site: Some(site), zone: zone.clone(), hours: hours.clone() };
        clocks.extend(names.into_iter().map(clock));
    }
    clocks.push(SiteClock { site: None, zone: zone.clone(), hours: of_all });
    let mut zones = BTreeMap::new();
    for SiteClock { site, zone, .. } in &clocks {
        zones.entry(site.as_deref()).or_insert(zone);
    }
    let mut holidays = Vec::new();
    for entry in file.holiday {
        resolve(entry, (&zones, &zone), &mut holidays)?;
    }
    Ok(Calendar { clocks, holidays })
}

/// The zone of this name, or `zone` where there is none.
fn named(name: Option<&str>, zone: &TimeZone) -> Result<TimeZone, CalendarError> {
    let Some(name) = name else { return Ok(zone.clone()) };
    let found = TimeZone::get(name);
    found.map_err(|source| CalendarError::Resolve { what: format!("timezone {name}"), source })
}

/// Adds the days of `entry`, for each site that it names by that one's clock.
fn resolve(
    entry: Entry,
    (zones, zone): (&BTreeMap<Option<&str>, &TimeZone>, &TimeZone),
    holidays: &mut Vec<Holiday>,
) -> Result<(), CalendarError> {
    let Entry { date, until, sites, _name } = entry;
    let date = date.date()?;
    let last = until.map_or(Ok(date), Day::date)?;
    let days = date.until(last).map(|span| i64::from(span.get_days()));
    if !days.is_ok_and(|days| (0..HOLIDAY_DAYS).contains(&days)) {
        return Err(CalendarError::Days { date });
    }
    let mut add = |site: Option<String>| {
        let zone = zones.get(&site.as_deref()).copied().unwrap_or(zone);
        let start = |date: Date| date.to_zoned(zone.clone()).map(|day| day.timestamp().as_second());
        let (from, to) = (start(date)?, last.tomorrow().and_then(start)?);
        holidays.push(Holiday { site, from, to });
        Ok(())
    };
    let everywhere = sites.is_empty().then_some(None);
    let mut sites = everywhere.into_iter().chain(sites.into_iter().map(Some));
    let failed = |source| CalendarError::Resolve { what: format!("the holiday of {date}"), source };
    sites.try_for_each(&mut add).map_err(failed)
}
