//! Times as case systems write them.
//!
//! `2026-11-22T13:00:00Z` (RFC 3339, with any offset and with fractions of a second, which are
//! dropped) and `2026-11-22 13:00:00`, which says no offset and is read in a given zone; either may
//! leave out the seconds, as spreadsheets do. Written by hand because a million of them are read
//! before anything else can begin. With dots between them day, month and year stand in this order
//! wherever they are written (`29.11.2026 15:00`). A day alone, in either form, is its beginning in
//! the given zone, and where it ends something ([`parse_end`]) its end. It does not guess at any
//! other form: a day and a month that are swapped would be a wrong answer, not an error.

use driftline_protocol::mutant::{self, Mutant};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Why;

/// Where years begin and end for us. Beyond them is a slip of the keyboard, and one such row would
/// stretch the time that is looked at by centuries.
const YEARS: std::ops::RangeInclusive<i64> = 1970..=2199;

/// The time in `text`, in seconds since 1970, UTC.
///
/// Without an offset it is taken as local to `zone`: the earlier of two where the clock was set
/// back, and as far after the gap where it was set forward.
///
/// # Errors
/// [`Why::NotATime`] or [`Why::FarTime`].
pub fn parse_moment(text: &[u8], zone: &TimeZone) -> Result<i64, Why> {
    if let Some(parts) = Parts::of_day(text).or_else(|| Parts::of_dotted(text)) {
        return parts.moment(None, zone);
    }
    let to_the_second = text.get(16) == Some(&b':');
    let length = if to_the_second { 19 } else { 16 };
    let (stamp, rest) = text.split_at_checked(length).ok_or(Why::NotATime)?;
    let parts = Parts::of(stamp).ok_or(Why::NotATime)?;
    let rest = if to_the_second { fraction(rest).ok_or(Why::NotATime)? } else { rest };
    let offset = offset(rest).ok_or(Why::NotATime)?;
    parts.moment(offset, zone)
}

/// As [`parse_moment`] for what ends something: a day alone means that it is over, which is when
/// the next one begins, however long it is where clocks are changed.
///
/// # Errors
/// As [`parse_moment`].
pub fn parse_end(text: &[u8], zone: &TimeZone) -> Result<i64, Why> {
    match Parts::of_day(text) {
        Some(day) if !mutant::active(Mutant::LastDaysDoNotCount) => day.next().moment(None, zone),
        Some(_) | None => parse_moment(text, zone),
    }
}

/// A date and a time of day, checked.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Parts {
    fn of(stamp: &[u8]) -> Option<Self> {
        let (of_day, rest) = Self::dashed_day(stamp)?;
        let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, seconds @ ..] = rest else { return None };
        let second = match seconds {
            [] => 0,
            [b':', s1, s2] => pair(*s1, *s2)?,
            _ => return None,
        };
        Self { hour: pair(*h1, *h2)?, minute: pair(*m1, *m2)?, second, ..of_day }.valid()
    }

    /// Of a day alone.
    fn of_day(text: &[u8]) -> Option<Self> {
        let (day, rest) = Self::dashed_day(text).or_else(|| Self::dotted_day(text))?;
        day.valid().filter(|_| rest.is_empty())
    }

    /// The beginning of a day written as `2026-11-29`, and what follows it.
    fn dashed_day(text: &[u8]) -> Option<(Self, &[u8])> {
        let [y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, rest @ ..] = text else { return None };
        let year = pair(*y1, *y2)? * 100 + pair(*y3, *y4)?;
        let (month, day) = (pair(*o1, *o2)?, pair(*d1, *d2)?);
        Some((Self { year, month, day, hour: 0, minute: 0, second: 0 }, rest))
    }

    /// The beginning of a day written as `29.11.2026`, and what follows it; day and month may have
    /// one digit.
    fn dotted_day(text: &[u8]) -> Option<(Self, &[u8])> {
        let (day, rest) = short(text)?;
        let (month, rest) = short(rest.strip_prefix(b".")?)?;
        let [y1, y2, y3, y4, rest @ ..] = rest.strip_prefix(b".")? else { return None };
        let year = pair(*y1, *y2)? * 100 + pair(*y3, *y4)?;
        Some((Self { year, month, day, hour: 0, minute: 0, second: 0 }, rest))
    }

    /// Of `29.11.2026 15:00` or `29.11.2026 15:00:30`; hours may have one digit.
    fn of_dotted(text: &[u8]) -> Option<Self> {
        let (of_day, rest) = Self::dotted_day(text)?;
        let (hour, rest) = short(rest.trim_ascii_start())?;
        let (minute, second) = match rest {
            [b':', m1, m2] => (pair(*m1, *m2)?, 0),
            [b':', m1, m2, b':', s1, s2] => (pair(*m1, *m2)?, pair(*s1, *s2)?),
            _ => return None,
        };
        Self { hour, minute, second, ..of_day }.valid()
    }

    /// The beginning of the day after.
    fn next(self) -> Self {
        let Self { year, month, day, .. } = self;
        let of = |year, month, day| Self { year, month, day, hour: 0, minute: 0, second: 0 };
        match (day < days(year, month), month) {
            (true, _) => of(year, month, day + 1),
            (false, ..12) => of(year, month + 1, 1),
            (false, _) => of(year + 1, 1, 1),
        }
    }

    fn valid(self) -> Option<Self> {
        let valid = (1..=12).contains(&self.month)
            && (1..=days(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            // A leap second is the first of the next minute.
            && self.second <= 60;
        valid.then_some(self)
    }

    /// The moment, at `offset` from UTC or else local to `zone`.
    fn moment(&self, offset: Option<i64>, zone: &TimeZone) -> Result<i64, Why> {
        if !YEARS.contains(&self.year) {
            return Err(Why::FarTime);
        }
        let wall = self.seconds();
        match offset {
            Some(offset) => Ok(wall - offset),
            None if *zone == TimeZone::UTC => Ok(wall),
            None => local(self, zone),
        }
    }

    /// Seconds since 1970 were the offset zero.
    fn seconds(&self) -> i64 {
        let time = (self.hour * 60 + self.minute) * 60 + self.second;
        days_since_1970(self.year, self.month, self.day) * 86_400 + time
    }
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// A number of one digit or two at the beginning of `text`, and what follows it.
fn short(text: &[u8]) -> Option<(i64, &[u8])> {
    match text {
        [tens, ones, rest @ ..] if ones.is_ascii_digit() => Some((pair(*tens, *ones)?, rest)),
        [ones, rest @ ..] => Some((pair(b'0', *ones)?, rest)),
        [] => None,
    }
}

fn days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, counted in years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// What follows a fraction of a second, if there is one.
fn fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some(digits) = rest.strip_prefix(b".") else { return Some(rest) };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 { None } else { digits.get(length..) }
}

/// The offset from UTC in seconds; `Some(None)` if none is said.
fn offset(text: &[u8]) -> Option<Option<i64>> {
    match text {
        [] => Some(None),
        [b'Z' | b'z'] => Some(Some(0)),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (pair(*h1, *h2)?, pair(*m1, *m2)?);
            let seconds = (hours * 60 + minutes) * 60;
            let valid = hours < 24 && minutes < 60;
            valid.then_some(Some(if *sign == b'-' { -seconds } else { seconds }))
        }
        _ => None,
    }
}

fn local(parts: &Parts, zone: &TimeZone) -> Result<i64, Why> {
    let wall = DateTime::new(1970, 1, 1, 0, 0, 0, 0);
    let wall =
        wall.and_then(|start| start.checked_add(jiff::Span::new().try_seconds(parts.seconds())?));
    let zoned = wall.and_then(|wall| zone.to_zoned(wall));
    zoned.map(|zoned| zoned.timestamp().as_second()).map_err(|_| Why::FarTime)
}
