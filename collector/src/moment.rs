//! Times as people type them on a command line.
//!
//! | typed | means |
//! |---|---|
//! | `2026-11-22T13:00:00Z` | that moment (RFC 3339, any offset) |
//! | `2026-11-22` | its beginning, UTC as in every table |
//! | `-2h`, `2h`, `2h ago` | so long before now; s, m, h, d and w |
//! | `1795352400000` | milliseconds since 1970, as in links of Grafana |

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The longest time back, in seconds: a hundred years.
const LONGEST: i64 = 100 * 366 * 24 * 60 * 60;

/// The moment that `text` means at `now`.
///
/// # Errors
/// The forms there are, when it is none of them.
pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    if let Ok(date) = text.parse::<Date>()
        && text.len() == "2026-11-22".len()
        && let Ok(moment) = date.to_zoned(TimeZone::UTC)
    {
        return Ok(moment.timestamp());
    }
    if let Some(back) = back(text) {
        return now.checked_sub(back).map_err(|error| error.to_string());
    }
    let milliseconds = text.parse().ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    milliseconds.ok_or_else(|| {
        "must be a time such as 2026-11-22T13:00:00Z, a day such as 2026-11-22, or a time back \
         from now such as -2h (s, m, h, d, w)"
            .to_owned()
    })
}

fn back(text: &str) -> Option<SignedDuration> {
    let text = text.strip_suffix("ago").map_or(text, str::trim_end);
    let text = text.strip_prefix('-').unwrap_or(text);
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

/// As [`parse`] at this moment, in the form the API takes; for clap.
pub(crate) fn argument(text: &str) -> Result<String, String> {
    parse(text, Timestamp::now()).map(|moment| moment.to_string())
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
            assert_eq!(parse(text, now).ok(), expected, "{text:?}");
        }
    }
}
