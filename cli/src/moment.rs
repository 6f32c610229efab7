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
    let zone = TimeZone::get(zone)
        .with_context(|| format!("{zone:?} is no time zone, such as Europe/Vienna"))?;
    let moment = moment::parse_in(text, now, &zone);
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
