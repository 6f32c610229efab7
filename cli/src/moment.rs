//! Times as people type them on a command line; what they mean is the collector's to say.

use anyhow::Context as _;
use driftline_collector::moment;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The moment that `text` means at `now`, by the clock of `zone` where it says no offset.
///
/// # Errors
/// The forms there are when it is none of them, and that `zone` is none.
pub(crate) fn in_zone(text: &str, now: Timestamp, zone: &str) -> anyhow::Result<Timestamp> {
    known(text, now, moment::parse_in(text, now, &zone_of(zone)?))
}

/// The same for what ends something: a day alone is over then.
///
/// # Errors
/// As [`in_zone`].
pub(crate) fn end_in_zone(text: &str, now: Timestamp, zone: &str) -> anyhow::Result<Timestamp> {
    known(text, now, moment::parse_end_in(text, now, &zone_of(zone)?))
}

fn zone_of(name: &str) -> anyhow::Result<TimeZone> {
    TimeZone::get(name).with_context(|| format!("{name:?} is no time zone, such as Europe/Vienna"))
}

fn known(text: &str, now: Timestamp, moment: Option<Timestamp>) -> anyhow::Result<Timestamp> {
    let forms = || format!("must be {}", moment::FORMS);
    moment.or_else(|| moment::parse(text, now)).with_context(forms)
}

/// The moment that `text` means now, in the form the API takes; for clap.
///
/// # Errors
/// The forms there are, when it is none of them.
pub(crate) fn argument(text: &str) -> Result<String, String> {
    let moment = moment::parse(text, Timestamp::now()).map(|moment| moment.to_string());
    moment.ok_or_else(|| format!("must be {}", moment::FORMS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_an_offset_is_of_its_zone() {
        let now: Timestamp = "2026-11-22T13:00:00Z".parse().unwrap();
        for (text, zone, means) in [
            ("2026-11-28 22:00", "UTC", Some("2026-11-28T22:00:00Z")),
            ("2026-11-28 22:00", "Europe/Vienna", Some("2026-11-28T21:00:00Z")),
            ("2026-11-28T22:00:00Z", "Europe/Vienna", Some("2026-11-28T22:00:00Z")),
            ("+2h", "Europe/Vienna", Some("2026-11-22T15:00:00Z")),
            ("soon", "UTC", None),
            ("2026-11-28", "Mars", None),
        ] {
            let expect = means.map(|means| means.parse::<Timestamp>().unwrap());
            assert_eq!(in_zone(text, now, zone).ok(), expect, "{text} {zone}");
        }
        let end = end_in_zone("2026-11-28", now, "Europe/Vienna").unwrap();
        assert_eq!(end.to_string(), "2026-11-28T23:00:00Z");
    }
}
