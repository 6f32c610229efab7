//! Times that come again: when changes may be made, and when they must not. Pure.
//!
//! Written as people say them, in wall times of a zone: *Saturdays 22:00 to 02:00 in Vienna*, *the
//! second Tuesday from 20:00*. Both ends are wall times, so a window over a night in which the
//! clock is put forward is an hour shorter, as the people in it are. A wall time that comes twice
//! means the first, and one that never comes is as far after the gap as it was written.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::scope::IntentScope;

/// One window or blackout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its name, for people and as a label.
    pub name: String,
    /// Whom it concerns; nothing named means everybody.
    pub scope: IntentScope,
    /// When.
    pub when: When,
    /// Where its times are local.
    pub zone: TimeZone,
}

/// When a window is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Once, from a wall time to another.
    Once {
        /// The first moment.
        from: DateTime,
        /// The first moment at which it is over.
        until: DateTime,
    },
    /// Again and again.
    Recurring {
        /// On these days of the week it begins; empty means every day.
        days: Vec<Weekday>,
        /// In these weeks of the month: 1 to 5, or -1 for the last; empty means each.
        weeks: Vec<i8>,
        /// When it begins.
        start: Time,
        /// When it ends, on the next day where that is not after the start.
        end: Time,
        /// The first day on which it may begin.
        from: Option<Date>,
        /// The last day on which it may begin.
        until: Option<Date>,
    },
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

/// How far ahead the next opening is looked for, in days: a year has every fifth week.
const AHEAD_DAYS: usize = 400;

impl Window {
    /// Whether it is open at `at`, give or take `slack`.
    pub fn is_open(&self, at: Timestamp, slack: SignedDuration) -> bool {
        let near = |span: Span| {
            let start = span.start.checked_sub(slack).unwrap_or(Timestamp::MIN);
            let end = span.end.checked_add(slack).unwrap_or(Timestamp::MAX);
            start <= at && at < end
        };
        match &self.when {
            When::Once { .. } => self.once().is_some_and(near),
            When::Recurring { .. } => {
                // One that began yesterday may last until today, and slack may reach over midnight.
                let today = at.to_zoned(self.zone.clone()).date();
                let first = today.yesterday().and_then(Date::yesterday).unwrap_or(today);
                let days = first.series(jiff::Span::new().days(1)).take(4);
                days.filter_map(|day| self.beginning(day)).any(near)
            }
        }
    }

    /// The stretch that is open at `now`, else the next one.
    pub fn next(&self, now: Timestamp) -> Option<Span> {
        let comes = |span: &Span| now < span.end;
        match &self.when {
            When::Once { .. } => self.once().filter(comes),
            When::Recurring { .. } => {
                let today = now.to_zoned(self.zone.clone()).date();
                let first = today.yesterday().unwrap_or(today);
                let days = first.series(jiff::Span::new().days(1)).take(AHEAD_DAYS);
                days.filter_map(|day| self.beginning(day)).find(comes)
            }
        }
    }

    fn once(&self) -> Option<Span> {
        let When::Once { from, until } = &self.when else { return None };
        Some(Span { start: self.moment(*from)?, end: self.moment(*until)? })
    }

    /// The stretch that begins on `day`, if one does.
    fn beginning(&self, day: Date) -> Option<Span> {
        let When::Recurring { days, weeks, start, end, from, until } = &self.when else {
            return None;
        };
        let on = (days.is_empty() || days.contains(&day.weekday()))
            && (weeks.is_empty() || weeks.iter().any(|week| is_in_week(day, *week)))
            && from.is_none_or(|from| from <= day)
            && until.is_none_or(|until| day <= until);
        let last = if end > start { day } else { day.tomorrow().ok()? };
        let start = self.moment(day.to_datetime(*start)).filter(|_| on)?;
        Some(Span { start, end: self.moment(last.to_datetime(*end))? })
    }

    fn moment(&self, wall: DateTime) -> Option<Timestamp> {
        self.zone.to_ambiguous_timestamp(wall).compatible().ok()
    }

    /// When it is open, in words.
    pub fn words(&self) -> String {
        let zone = self.zone.iana_name().unwrap_or("UTC");
        match &self.when {
            When::Once { from, until } => {
                let wall = "%Y-%m-%d %H:%M";
                format!("{} to {} {zone}", from.strftime(wall), until.strftime(wall))
            }
            When::Recurring { days, weeks, start, end, from, until } => {
                let mut text = match (days.as_slice(), weeks.as_slice()) {
                    ([], []) => "daily".to_owned(),
                    (days, weeks) => recurrence(days, weeks),
                };
                text += &format!(" {} to {}", start.strftime("%H:%M"), end.strftime("%H:%M"));
                text += &from.map(|from| format!(" from {from}")).unwrap_or_default();
                text += &until.map(|until| format!(" until {until}")).unwrap_or_default();
                format!("{text} {zone}")
            }
        }
    }
}

fn recurrence(days: &[Weekday], weeks: &[i8]) -> String {
    let week = |week: &i8| match week {
        -1 => "last".to_owned(),
        1 => "1st".to_owned(),
        2 => "2nd".to_owned(),
        3 => "3rd".to_owned(),
        more => format!("{more}th"),
    };
    let weeks: Vec<String> = weeks.iter().map(week).collect();
    let days: Vec<&str> = days.iter().map(|day| day_name(*day)).collect();
    let days = if days.is_empty() { "day".to_owned() } else { days.join(", ") };
    if weeks.is_empty() { days } else { format!("{} {days} of the month", weeks.join(", ")) }
}

/// The three letters a day is written with.
pub fn day_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "mon",
        Weekday::Tuesday => "tue",
        Weekday::Wednesday => "wed",
        Weekday::Thursday => "thu",
        Weekday::Friday => "fri",
        Weekday::Saturday => "sat",
        Weekday::Sunday => "sun",
    }
}

/// Whether `day` is the `week`-th of its weekday in its month, or with -1 the last one.
fn is_in_week(day: Date, week: i8) -> bool {
    match week {
        -1 => day.day() + 7 > day.days_in_month(),
        week => (day.day() - 1) / 7 + 1 == week,
    }
}
