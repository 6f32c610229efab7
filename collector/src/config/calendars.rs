//! What the clocks of sites show, when people work there, and days on which they work less.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::Config;
use crate::analysis::correlate::Holiday;
use crate::analysis::site_clock::{OpenHours, SiteClock};

/// The most days of one entry: a longer closure is a change of business, not a holiday.
const DAYS: i32 = 62;

/// The clock, the hours and the days off of some sites.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteCalendar {
    /// The sites, by their names here; all of them when absent.
    #[serde(default)]
    pub sites: Vec<String>,
    /// What their clocks show, and where the days begin and end. Default UTC.
    #[serde(default, deserialize_with = "zone")]
    pub timezone: Option<String>,
    /// When people work there, as `mon-fri 08:00-18:00`.
    #[serde(default, deserialize_with = "hours")]
    pub business_hours: OpenHours,
    /// The days, as `2026-12-25` or, both included, `2026-12-24..2027-01-01`.
    #[serde(default)]
    pub days_off: Vec<DaysOff>,
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    super::cases::zone(deserializer).map(Some)
}

fn hours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OpenHours, D::Error> {
    OpenHours::parse(&Vec::deserialize(deserializer)?).map_err(de::Error::custom)
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

    /// The clocks of all sites that a calendar gives one, and of the others where one without sites
    /// does. Of zone and hours the first that is said of a site counts, else what is said of all.
    pub fn clocks(&self) -> Vec<SiteClock> {
        let mut zones: BTreeMap<Option<&str>, &str> = BTreeMap::new();
        let mut hours: BTreeMap<Option<&str>, &OpenHours> = BTreeMap::new();
        for calendar in &self.calendars {
            let named = calendar.sites.iter().map(|site| Some(site.as_str()));
            let all = calendar.sites.is_empty().then_some(None);
            for site in named.chain(all) {
                if let Some(zone) = &calendar.timezone {
                    zones.entry(site).or_insert(zone);
                }
                if calendar.business_hours.is_known() {
                    hours.entry(site).or_insert(&calendar.business_hours);
                }
            }
        }
        let mut sites: Vec<Option<&str>> = zones.keys().chain(hours.keys()).copied().collect();
        sites.sort_unstable();
        sites.dedup();
        let clock = |site: Option<&str>| SiteClock {
            site: site.map(str::to_owned),
            zone: found(zones.get(&site).or_else(|| zones.get(&None)).copied()),
            hours: hours
                .get(&site)
                .or_else(|| hours.get(&None))
                .map_or_else(OpenHours::default, |hours| (*hours).clone()),
        };
        sites.into_iter().map(clock).collect()
    }
}

/// The zone of this name. The configuration was checked; one that vanished since is taken for UTC.
fn found(name: Option<&str>) -> TimeZone {
    name.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
}

impl SiteCalendar {
    fn days_off(&self) -> Vec<Holiday> {
        let zone = found(self.timezone.as_deref());
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
    use super::SiteClock;
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
    fn a_site_has_the_clock_and_the_hours_that_are_said_of_it_or_else_of_all() {
        let config = parse(
            "t",
            "[[calendar]]\nsites = ['graz']\ndays_off = ['2026-10-25']\n\
             [[calendar]]\ntimezone = 'Europe/Vienna'\nbusiness_hours = ['mon-fri 08:00-18:00']\n\
             [[calendar]]\nsites = ['porto']\ntimezone = 'Europe/Lisbon'\n\
             [[calendar]]\nsites = ['porto', 'linz']\nbusiness_hours = ['mon-sun 22:00-06:00']",
        );
        let told = |clock: SiteClock| {
            let zone = clock.zone.iana_name().unwrap_or_default().to_owned();
            (clock.site.unwrap_or_default(), zone, clock.hours.a_week() / 3_600)
        };
        let told: Vec<_> = config.unwrap().clocks().into_iter().map(told).collect();
        let expect = [("", "Europe/Vienna", 50), ("linz", "Europe/Vienna", 56)];
        let expect = expect.into_iter().chain([("porto", "Europe/Lisbon", 56)]);
        let expect = expect.map(|(site, zone, hours)| (site.to_owned(), zone.to_owned(), hours));
        assert_eq!(told, expect.collect::<Vec<_>>(), "graz goes by what is said of all");
        assert_eq!(parse("t", "").unwrap().clocks(), []);
    }

    #[test]
    fn what_cannot_be_is_refused_by_line() {
        for days in ["2026-13-01", "2026-12-26..2026-12-24", "2026-01-01..2026-12-31", "x"] {
            let text = format!("[[calendar]]\n\ndays_off = ['{days}']");
            let error = parse("t", &text).unwrap_err().to_string();
            assert!(error.contains("is not a day such as"), "{error}");
        }
        let error = parse("t", "[[calendar]]\nbusiness_hours = ['9 to 5']").unwrap_err();
        assert!(error.to_string().contains("is no hours of a week such as"), "{error}");
    }
}
