//! When changes may be made, where change requests come from, and how exact their times are taken.
//!
//! What an administrator writes becomes a [`Window`] here, so that nothing later has to doubt it.

#![deny(clippy::disallowed_methods, reason = "a window is what the configuration says")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::cases::{source_name, utc, zone};
use super::{Config, Meanings, columns};
use crate::analysis::classify::Spans;
use crate::analysis::classify::request::{Approval, RequestKind};
use crate::analysis::classify::scope::IntentScope;
use crate::analysis::classify::window::{Span, When, Window, day_name};
use crate::change_requests::Field;

/// The most windows and blackouts of a configuration: each change is held against every one.
pub const WINDOWS_MOST: usize = 500;

/// A system that change requests come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeSource {
    /// Its name: 1 to 63 of a-z, 0-9, '.', '_' and '-'.
    #[serde(deserialize_with = "source_name")]
    pub name: String,
    /// The folder its exports are put into; none for a system that posts its requests.
    pub folder: Option<PathBuf>,
    /// Where its times without an offset are local. Default UTC.
    #[serde(default = "utc", deserialize_with = "zone")]
    pub timezone: String,
    /// The tokens that may post its requests, by name; one of the source's own name always may.
    #[serde(default)]
    pub tokens: Vec<String>,
    /// What its columns or members are called; a field that is not named is called as we call it.
    #[serde(default, deserialize_with = "columns::of_requests")]
    pub columns: BTreeMap<Field, String>,
    /// What its words for whether a request may be done mean, beside those of the shipped list.
    #[serde(default)]
    pub approvals: Meanings<Approval>,
    /// What its words for the sort of a request mean, beside those of the shipped list.
    #[serde(default)]
    pub kinds: Meanings<RequestKind>,
}

impl ChangeSource {
    /// The source `name` when nothing is said of it.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: None,
            timezone: utc(),
            tokens: Vec::new(),
            columns: BTreeMap::new(),
            approvals: Meanings::default(),
            kinds: Meanings::default(),
        }
    }
}

/// How changes are classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassificationConfig {
    /// So many minutes beside a request or window are inside it, 0 to 240. Default 15.
    pub slack_minutes: u64,
    /// How many hours before its approved request a change is early, 0 to 720. Default 24.
    pub early_hours: u64,
    /// How many hours after its approved request a change is late, 0 to 720. Default 24.
    pub late_hours: u64,
    /// How many hours after a change its emergency request may begin, 0 to 720. Default 24.
    pub emergency_hours: u64,
    /// How many days after a change its value may go back and count as reverted, 0 to 90. Default
    /// 7.
    pub revert_days: u64,
    /// How many hours a value that alternated must stay for its drift to count again, 1 to 720.
    /// Default 24.
    pub settle_hours: u64,
    /// Whether upgrades by dpkg, and the configuration files of packages, are expected. Default
    /// true.
    pub packages: bool,
    /// Whether what runs of configuration-management tools changed is expected. Default true.
    pub runs: bool,
    /// Whether the list of what asks for nobody that comes with the program counts. Default true.
    pub shipped_ignores: bool,
}

impl Default for ClassificationConfig {
    fn default() -> Self {
        Self {
            slack_minutes: 15,
            early_hours: 24,
            late_hours: 24,
            emergency_hours: 24,
            revert_days: 7,
            settle_hours: 24,
            packages: true,
            runs: true,
            shipped_ignores: true,
        }
    }
}

impl ClassificationConfig {
    /// How long a value that alternated must stay for its drift to count again.
    pub fn settled(&self) -> SignedDuration {
        SignedDuration::from_hours(self.settle_hours.cast_signed())
    }

    /// The same as spans of time.
    pub fn spans(&self) -> Spans {
        let hours = |hours: u64| SignedDuration::from_hours(hours.cast_signed());
        Spans {
            slack: SignedDuration::from_mins(self.slack_minutes.cast_signed()),
            early: hours(self.early_hours),
            late: hours(self.late_hours),
            emergency: hours(self.emergency_hours),
            revert: hours(self.revert_days * 24),
        }
    }
}

/// One file's part of [`ClassificationConfig`]; what it leaves out stays as it was.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct PartialClassification {
    #[serde(default, deserialize_with = "minutes")]
    slack_minutes: Option<u64>,
    #[serde(default, deserialize_with = "hours")]
    early_hours: Option<u64>,
    #[serde(default, deserialize_with = "hours")]
    late_hours: Option<u64>,
    #[serde(default, deserialize_with = "hours")]
    emergency_hours: Option<u64>,
    #[serde(default, deserialize_with = "days")]
    revert_days: Option<u64>,
    #[serde(default, deserialize_with = "settle")]
    settle_hours: Option<u64>,
    packages: Option<bool>,
    runs: Option<bool>,
    shipped_ignores: Option<bool>,
}

impl PartialClassification {
    pub(super) fn merge(self, into: &mut ClassificationConfig) {
        let before = *into;
        *into = ClassificationConfig {
            slack_minutes: self.slack_minutes.unwrap_or(before.slack_minutes),
            early_hours: self.early_hours.unwrap_or(before.early_hours),
            late_hours: self.late_hours.unwrap_or(before.late_hours),
            emergency_hours: self.emergency_hours.unwrap_or(before.emergency_hours),
            revert_days: self.revert_days.unwrap_or(before.revert_days),
            settle_hours: self.settle_hours.unwrap_or(before.settle_hours),
            packages: self.packages.unwrap_or(before.packages),
            runs: self.runs.unwrap_or(before.runs),
            shipped_ignores: self.shipped_ignores.unwrap_or(before.shipped_ignores),
        };
    }
}

fn minutes<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    super::load::within(d, ("slack_minutes", 0..=240))
}

fn hours<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    super::load::within(d, ("hours", 0..=720))
}

fn settle<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    super::load::within(d, ("settle_hours", 1..=720))
}

fn days<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    super::load::within(d, ("revert_days", 0..=90))
}

/// A window or blackout as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    days: Vec<String>,
    #[serde(default)]
    weeks: Vec<i8>,
    start: Option<String>,
    end: Option<String>,
    #[serde(default = "utc", deserialize_with = "zone")]
    timezone: String,
    from: Option<String>,
    until: Option<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    sites: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    sources: Vec<String>,
    #[serde(default)]
    parts: Vec<String>,
    #[serde(default)]
    keys: Vec<String>,
}

/// One entry of `[[change_window]]` or `[[blackout]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WindowRule(pub(super) Window);

impl<'de> Deserialize<'de> for WindowRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        window(written).map(Self).map_err(de::Error::custom)
    }
}

fn window(written: Written) -> Result<Window, String> {
    let Written { name, days, weeks, start, end, timezone, from, until, .. } = written;
    if !super::cases::is_source_name(&name) {
        return Err(format!("the name {name:?} {}", super::cases::SOURCE_NAME_RULE));
    }
    let zone = TimeZone::get(&timezone).map_err(|_| format!("timezone {timezone:?} is unknown"))?;
    let when = match (start, end) {
        (Some(start), Some(end)) => recurring((days, weeks), (start, end), (from, until))?,
        (None, None) if days.is_empty() && weeks.is_empty() => once(from, until)?,
        _ => {
            return Err("what comes again has start and end, such as start = \"22:00\", \
                        end = \"02:00\"; what comes once has from and until alone"
                .to_owned());
        }
    };
    let Written { hosts, services, sites, groups, sources, parts, keys, .. } = written;
    let scope = IntentScope { hosts, services, sites, groups, sources, parts, keys };
    Ok(Window { name, scope, when, zone })
}

fn once(from: Option<String>, until: Option<String>) -> Result<When, String> {
    let (Some(from), Some(until)) = (from, until) else {
        return Err("what comes once has from and until, such as 2026-12-24T12:00".to_owned());
    };
    let (from, until) = (wall(&from)?, wall(&until)?);
    if until <= from {
        return Err(format!("until {until} is not after from {from}"));
    }
    Ok(When::Once { from, until })
}

fn wall(text: &str) -> Result<DateTime, String> {
    text.parse().map_err(|_| format!("{text:?} is no wall time such as 2026-12-24T12:00"))
}

fn recurring(
    (days, weeks): (Vec<String>, Vec<i8>),
    (start, end): (String, String),
    (from, until): (Option<String>, Option<String>),
) -> Result<When, String> {
    let days = days.iter().map(|day| weekday(day)).collect::<Result<Vec<_>, _>>()?;
    if let Some(week) = weeks.iter().find(|week| !matches!(week, -1 | 1..=5)) {
        return Err(format!("week {week} is none of 1 to 5, or -1 for the last"));
    }
    let time = |text: &str| -> Result<Time, String> {
        text.parse().map_err(|_| format!("{text:?} is no time of day such as 22:00"))
    };
    let date = |text: Option<String>| -> Result<Option<Date>, String> {
        let date = |text: String| {
            text.parse().map_err(|_| format!("{text:?} is no day such as 2026-12-24"))
        };
        text.map(date).transpose()
    };
    let (from, until) = (date(from)?, date(until)?);
    if from.zip(until).is_some_and(|(from, until)| until < from) {
        return Err("until lies before from".to_owned());
    }
    Ok(When::Recurring { days, weeks, start: time(&start)?, end: time(&end)?, from, until })
}

fn weekday(text: &str) -> Result<Weekday, String> {
    let mut all = Weekday::Monday.cycle_forward().take(7);
    all.find(|day| day_name(*day) == text)
        .ok_or_else(|| format!("{text:?} is none of mon, tue, wed, thu, fri, sat, sun"))
}

/// A window or blackout as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownWindow {
    /// Its name.
    pub name: String,
    /// Whether it says when changes must not be made.
    pub blackout: bool,
    /// When, in words.
    pub when: String,
    /// Whom it concerns, in words.
    pub scope: String,
    /// Whether it is open now.
    pub open: bool,
    /// The stretch that is open, or the next one.
    pub next: Option<Span>,
}

impl ShownWindow {
    /// How it stands now, in words. A blackout that is *open* would read as if changes might be
    /// made.
    pub fn now(&self) -> &'static str {
        match (self.blackout, self.open, self.next.is_some()) {
            (false, true, _) => "open",
            (false, false, true) => "closed",
            (true, true, _) => "in force",
            (true, false, true) => "not in force",
            (_, false, false) => "over for good",
        }
    }
}

impl Config {
    /// Every window, then every blackout, as they stand at `now`.
    pub fn windows_at(&self, now: Timestamp) -> Vec<ShownWindow> {
        let show = |blackout: bool| {
            move |window: &Window| {
                let next = window.next(now);
                ShownWindow {
                    name: window.name.clone(),
                    blackout,
                    when: window.words(),
                    scope: window.scope.concerns(),
                    open: next.is_some_and(|span| span.start <= now),
                    next,
                }
            }
        };
        let windows = self.change_windows.iter().map(show(false));
        windows.chain(self.blackouts.iter().map(show(true))).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::parse;

    #[test]
    fn a_window_is_said_as_people_say_it() {
        for (text, expect) in [
            (
                "days=['sat']\nstart='22:00'\nend='02:00'\ntimezone='Europe/Vienna'",
                "sat 22:00 to 02:00 Europe/Vienna",
            ),
            (
                "days=['tue']\nweeks=[2]\nstart='20:00'\nend='23:30'",
                "2nd tue of the month 20:00 to 23:30 UTC",
            ),
            ("start='03:00'\nend='04:00'", "daily 03:00 to 04:00 UTC"),
            (
                "from='2026-12-20T00:00'\nuntil='2027-01-06T00:00'\ntimezone='Europe/Vienna'",
                "2026-12-20 00:00 to 2027-01-06 00:00 Europe/Vienna",
            ),
            (
                "weeks=[-1]\ndays=['fri','sun']\nstart='00:00'\nend='00:00'\nfrom='2026-01-01'",
                "last fri, sun of the month 00:00 to 00:00 from 2026-01-01 UTC",
            ),
        ] {
            let config = parse("t", &format!("[[change_window]]\nname='w'\n{text}")).unwrap();
            assert_eq!(config.change_windows[0].words(), expect);
        }
    }

    #[test]
    fn a_window_that_cannot_be_is_refused_by_line() {
        for (text, expect) in [
            ("name='Mine'", "must be 1 to 63"),
            ("name='w'", "from and until"),
            ("name='w'\nstart='22:00'", "start and end"),
            ("name='w'\nstart='10 pm'\nend='23:00'", "no time of day"),
            ("name='w'\ndays=['saturday']\nstart='22:00'\nend='23:00'", "none of mon"),
            ("name='w'\nweeks=[6]\nstart='22:00'\nend='23:00'", "none of 1 to 5"),
            ("name='w'\nfrom='2026-12-24'\nuntil='2026-12-24'", "is not after"),
            ("name='w'\nstart='1:00'\nend='2:00'\ntimezone='Mars'", "is not known"),
            ("name='w'\nwhen='never'", "unknown field"),
        ] {
            let error = parse("t", &format!("[[blackout]]\n{text}")).unwrap_err().to_string();
            assert!(error.contains(expect), "{error} does not say {expect}");
            assert!(error.starts_with("t:"), "{error}");
        }
    }
}
