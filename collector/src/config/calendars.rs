//! Days on which sites work less, and whose days they are.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::Config;
use crate::analysis::correlate::Holiday;

/// The most days of one entry: a longer closure is a change of business, not a holiday.
const DAYS: i32 = 62;

/// Days off of some sites.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteCalendar {
    /// The sites, by their names here; all of them when absent.
    #[serde(default)]
    pub sites: Vec<String>,
    /// Where the days begin and end. Default UTC.
    #[serde(default = "super::cases::utc", deserialize_with = "super::cases::zone")]
    pub timezone: String,
    /// The days, as `2026-12-25` or, both included, `2026-12-24..2027-01-01`.
    pub days_off: Vec<DaysOff>,
}

/// The first and the last of some days in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DaysOff(Date, Date);

impl<'de> Deserialize<'de> for DaysOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (first, last) = text.split_once("..").unwrap_or((&text, &text));
        let day = |text: &str| text.trim().parse::<Date>().ok();
        let days = day(first).zip(day(last)).filter(|(first, last)| {
            let days = first.until(*last).map(|span| span.get_days());
            days.is_ok_and(|days| (0..DAYS).contains(&days))
        });
        let form = "a day such as \"2026-12-25\" or up to 62 such as \"2026-12-24..2027-01-01\"";
        let days = days.ok_or_else(|| de::Error::custom(format!("{text:?} is not {form}")))?;
        Ok(Self(days.0, days.1))
    }
}

impl Config {
    /// Every day off: the site, or `None` for all, and its first and last second (exclusive).
    pub fn days_off(&self) -> Vec<Holiday> {
        self.calendars.iter().flat_map(SiteCalendar::days_off).collect()
    }
}

impl SiteCalendar {
    fn days_off(&self) -> Vec<Holiday> {
        // The configuration was checked; a zone that vanished since is taken for UTC.
        let zone = TimeZone::get(&self.timezone).unwrap_or(TimeZone::UTC);
        let start = |date: Date| {
            let midnight = date.to_zoned(zone.clone()).ok()?;
            Some(midnight.timestamp().as_second())
        };
        let of_days = |DaysOff(first, last): &DaysOff| {
            Some((start(*first)?, last.tomorrow().ok().and_then(start)?))
        };
        let mut all = Vec::new();
        for (from, to) in self.days_off.iter().filter_map(of_days) {
            if self.sites.is_empty() {
                all.push((None, from, to));
            }
            all.extend(self.sites.iter().map(|site| (Some(site.clone()), from, to)));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::parse;

    #[test]
    fn a_day_off_is_that_of_its_zone_and_its_sites() {
        let config = parse(
            "t",
            "[[calendar]]\nsites = ['graz', 'linz']\ntimezone = 'Europe/Vienna'\n\
             days_off = ['2026-10-25']\n[[calendar]]\ndays_off = ['2026-12-24..2026-12-26']",
        );
        let days = config.unwrap().days_off();
        // The day on which summer time ends has 25 hours.
        let (from, to) = (1_792_879_200, 1_792_879_200 + 25 * 3_600);
        assert_eq!(days[0], (Some("graz".to_owned()), from, to));
        assert_eq!(days[1], (Some("linz".to_owned()), from, to));
        assert_eq!(days[2], (None, 1_798_070_400, 1_798_070_400 + 3 * 86_400));
    }

    #[test]
    fn a_day_that_cannot_be_is_refused_by_line() {
        for days in ["2026-13-01", "2026-12-26..2026-12-24", "2026-01-01..2026-12-31", "x"] {
            let text = format!("[[calendar]]\n\ndays_off = ['{days}']");
            let error = parse("t", &text).unwrap_err().to_string();
            assert!(error.contains("is not a day such as"), "{error}");
        }
    }
}
