//! Times as people type them, on a command line and in the forms of the portal. Pure.
//!
//! | typed | means |
//! |---|---|
//! | `2026-11-22T13:00:00Z` | that moment (RFC 3339, any offset) |
//! | `2026-11-22 13:00`, `2026-11-22T13:00:30` | that moment, UTC as in every table |
//! | `2026-11-22` | its beginning, UTC |
//! | `-2h`, `2h`, `2h ago` | so long before now; s, m, h, d and w |
//! | `+2h` | so long after now |
//! | `1795352400000` | milliseconds since 1970, as in links of Grafana |

#![deny(clippy::disallowed_methods, reason = "what a text means depends on it and on now alone")]

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The longest time from now, in seconds: a hundred years.
const LONGEST: i64 = 100 * 366 * 24 * 60 * 60;

/// What a time may look like.
pub const FORMS: &str = "a time such as 2026-11-22T13:00:00Z or 2026-11-22 13:00 (UTC), a day such \
     as 2026-11-22, or a time from now such as -2h or +2h (s, m, h, d, w)";

/// The moment that `text` means at `now`; `None` when it has none of the [`FORMS`].
pub fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    let milliseconds = || Timestamp::from_millisecond(text.trim().parse().ok()?).ok();
    parse_in(text, now, &TimeZone::UTC).or_else(milliseconds)
}

/// The same, where a time without an offset and a day are those of `zone` and not of UTC: the
/// earlier of two where the clock was set back, and as far after the gap where it was set forward.
/// Bare digits are no time here: `20160520` would be a morning of 1970.
pub fn parse_in(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    if let Some(wall) = wall(text) {
        return wall.to_zoned(zone.clone()).ok().map(|moment| moment.timestamp());
    }
    if let Some(ahead) = text.strip_prefix('+').map(span) {
        return now.checked_add(ahead?).ok();
    }
    now.checked_sub(back(text)?).ok()
}

/// The same for what ends something: a day alone means that it is over, which is when the next one
/// begins, as in files ([`crate::cases::parse_end`]).
pub fn parse_end_in(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let Some(day) = day(text.trim()) else { return parse_in(text, now, zone) };
    let next = day.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    Some(next.timestamp())
}

fn day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| text.len() == 10)
}

/// A day, or a day and a time, without any offset or zone.
fn wall(text: &str) -> Option<DateTime> {
    match text.len() {
        10 => Some(day(text)?.at(0, 0, 0, 0)),
        16 | 19 => text.parse().ok(),
        20.. if text.get(19..)?.starts_with('.') => {
            let digits = text.get(20..)?.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits)
        }
        _ => None,
    }
}

fn back(text: &str) -> Option<SignedDuration> {
    let text = text.strip_suffix("ago").map_or(text, str::trim_end);
    span(text.strip_prefix('-').unwrap_or(text))
}

fn span(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let digits = number.chars().all(|c| c.is_ascii_digit());
    let number: i64 = number.parse().ok().filter(|_| digits)?;
    let seconds = number.checked_mul(seconds).filter(|seconds| *seconds <= LONGEST)?;
    Some(SignedDuration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_a_person_means_by_it() {
        let now: Timestamp = "2026-11-22T13:00:00Z".parse().unwrap();
        for (text, means) in [
            ("2026-11-22T12:00:00+01:00", Some("2026-11-22T11:00:00Z")),
            ("2026-11-22", Some("2026-11-22T00:00:00Z")),
            ("2026-11-28T22:00", Some("2026-11-28T22:00:00Z")),
            ("2026-11-28 22:00", Some("2026-11-28T22:00:00Z")),
            ("2026-11-28 22:00:30", Some("2026-11-28T22:00:30Z")),
            ("2026-11-28T22:00+01", Some("2026-11-28T21:00:00Z")),
            ("+2h", Some("2026-11-22T15:00:00Z")),
            ("+1w", Some("2026-11-29T13:00:00Z")),
            ("+", None),
            ("+-2h", None),
            ("+2h ago", None),
            ("2026-11-28 25:00", None),
            ("2026-11-28 22:00:30.25", Some("2026-11-28T22:00:30.25Z")),
            ("2026-11-28 22:00:30.", None),
            ("2026-11-28 22:00[UTC]", None),
            ("-2h", Some("2026-11-22T11:00:00Z")),
            ("2h ago", Some("2026-11-22T11:00:00Z")),
            ("90m", Some("2026-11-22T11:30:00Z")),
            ("1w", Some("2026-11-15T13:00:00Z")),
            ("-3d", Some("2026-11-19T13:00:00Z")),
            ("30s", Some("2026-11-22T12:59:30Z")),
            ("1795352400000", Some("2026-11-22T13:00:00Z")),
            ("2026-13-01", None),
            ("yesterday", None),
            ("", None),
            ("h", None),
            ("--2h", None),
            ("99999999999999999w", None),
            ("2é", None),
        ] {
            let expected = means.map(|means| means.parse::<Timestamp>().unwrap());
            assert_eq!(parse(text, now), expected, "{text:?}");
        }
    }

    #[test]
    fn bare_digits_are_no_time_of_a_zone() {
        let now: Timestamp = "2026-11-22T13:00:00Z".parse().unwrap();
        for text in ["20160520", "201605", "1463702400", "-1463702400", "1795352400000"] {
            assert_eq!(parse_in(text, now, &TimeZone::UTC), None, "{text:?}");
        }
    }

    #[test]
    fn a_day_and_a_time_without_an_offset_are_those_of_the_zone() {
        let now: Timestamp = "2026-11-22T13:00:00Z".parse().unwrap();
        let vienna = TimeZone::get("Europe/Vienna").unwrap();
        for (text, means) in [
            ("2026-07-01", "2026-06-30T22:00:00Z"),
            ("2026-11-28 22:00", "2026-11-28T21:00:00Z"),
            ("2026-11-28 22:00:30.5", "2026-11-28T21:00:30.5Z"),
            // Half past two was there twice in October, and not at all in March.
            ("2026-10-25 02:30", "2026-10-25T00:30:00Z"),
            ("2026-03-29 02:30", "2026-03-29T01:30:00Z"),
            ("2026-11-28T22:00:00Z", "2026-11-28T22:00:00Z"),
            ("-2h", "2026-11-22T11:00:00Z"),
        ] {
            let expected: Timestamp = means.parse().unwrap();
            assert_eq!(parse_in(text, now, &vienna), Some(expected), "{text:?}");
        }
        for (text, means) in [
            ("2026-10-25", "2026-10-25T23:00:00Z"),
            ("2026-11-28 22:00", "2026-11-28T21:00:00Z"),
            ("-2h", "2026-11-22T11:00:00Z"),
        ] {
            let expected: Timestamp = means.parse().unwrap();
            assert_eq!(parse_end_in(text, now, &vienna), Some(expected), "{text:?}");
        }
    }
}
