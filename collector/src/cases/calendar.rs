//! Days on which nobody expects the usual number of cases.
//!
//! A TOML file: an optional `timezone`, and `[[holiday]]` tables with a `date`, optionally `until`
//! (the last day, included), `sites` (all of them if absent) and `name`. Unknown fields are refused
//! with their line, so that a slip of the keyboard is not a holiday silently missed.

use std::io::Read;

use driftline_protocol::limits::read_bounded;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::CALENDAR_BYTES;

/// The most days of one holiday. A longer closure is a change of business, not a holiday.
const HOLIDAY_DAYS: i64 = 62;

/// What a calendar says, with its days resolved to moments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// The zone the calendar names, if any.
    pub zone: Option<TimeZone>,
    /// The holidays, in the order of the file.
    pub holidays: Vec<Holiday>,
}

/// Days that are not like others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holiday {
    /// Where; empty for everywhere.
    pub sites: Vec<String>,
    /// The first moment, in seconds since 1970, UTC.
    pub from: i64,
    /// The first moment after it.
    pub to: i64,
}

impl Calendar {
    /// Each holiday of each site: the site, or `None` for all, and its first and last second
    /// (exclusive).
    pub fn days_off(self) -> Vec<(Option<String>, i64, i64)> {
        let days = self.holidays.into_iter().flat_map(|Holiday { sites, from, to }| {
            let all = sites.is_empty().then_some((None, from, to));
            all.into_iter().chain(sites.into_iter().map(move |site| (Some(site), from, to)))
        });
        days.collect()
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
    holiday: Vec<Entry>,
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

/// Reads a calendar. Its days begin and end in its own zone, or in `zone` if it names none.
///
/// # Errors
/// [`CalendarError`]: a calendar is taken whole or not at all.
pub fn read_calendar(mut reader: impl Read, zone: &TimeZone) -> Result<Calendar, CalendarError> {
    let bytes = read_bounded(&mut reader, CALENDAR_BYTES).map_err(CalendarError::Read)?;
    let text = std::str::from_utf8(&bytes).map_err(CalendarError::Text)?;
    let file: File = toml::from_str(text).map_err(CalendarError::Toml)?;
    let own = file.timezone.map(|name| {
        let found = TimeZone::get(&name);
        found.map_err(|source| CalendarError::Resolve { what: format!("timezone {name}"), source })
    });
    let own = own.transpose()?;
    let zone = own.as_ref().unwrap_or(zone);
    let holidays = file.holiday.into_iter().map(|entry| resolve(entry, zone));
    let holidays = holidays.collect::<Result<_, _>>()?;
    Ok(Calendar { zone: own, holidays })
}

fn resolve(entry: Entry, zone: &TimeZone) -> Result<Holiday, CalendarError> {
    let Entry { date, until, sites, _name } = entry;
    let date = date.date()?;
    let last = until.map_or(Ok(date), Day::date)?;
    let days = date.until(last).map(|span| i64::from(span.get_days()));
    if !days.is_ok_and(|days| (0..HOLIDAY_DAYS).contains(&days)) {
        return Err(CalendarError::Days { date });
    }
    let start = |date: Date| date.to_zoned(zone.clone()).map(|day| day.timestamp().as_second());
    let failed = |source| CalendarError::Resolve { what: format!("the holiday of {date}"), source };
    let from = start(date).map_err(failed)?;
    let to = last.tomorrow().and_then(start).map_err(failed)?;
    Ok(Holiday { sites, from, to })
}
