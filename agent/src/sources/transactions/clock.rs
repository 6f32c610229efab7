//! Times that a log has without their zone: local ones, of the host's zone as it is now.
//!
//! A wall time that came twice, in the night in which clocks are put back, is the earlier where a
//! run began and the later where it ended: a run may seem longer than it was, and is never taken to
//! have been elsewhere. A host that moved to another zone since, or a tool that was started with
//! another `TZ`, cannot be told.

use std::path::Path;

use driftline_protocol::snapshot::Reason;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::sources::look::Look;

/// The host's zone (localtime(5)); where nothing is there, it is UTC.
pub(super) const ZONE: &str = "/etc/localtime";

/// The largest file of a zone, in bytes; real ones have 4,000.
const ZONE_BYTES: u64 = 64 * 1024;

/// The zone of the host that is looked at.
///
/// # Errors
/// When it cannot be read, or is none.
pub(super) fn zone(look: &mut Look<'_>) -> Result<TimeZone, Reason> {
    match look.read(Path::new(ZONE), ZONE_BYTES)? {
        None => Ok(TimeZone::UTC),
        Some(content) => TimeZone::tzif("host", &content.bytes).map_err(|_| Reason::Malformed),
    }
}

/// `2026-11-28  10:05:00` or with one blank, as a local time.
pub(super) fn local(text: &str) -> Option<DateTime> {
    let mut words = text.split_ascii_whitespace();
    let (date, time) = (words.next()?, words.next()?);
    let whole = date.len() == "2026-11-28".len() && time.len() == "10:05:00".len();
    let date: jiff::civil::Date = date.parse().ok().filter(|_| whole && words.next().is_none())?;
    let time: jiff::civil::Time = time.parse().ok()?;
    Some(date.to_datetime(time))
}

/// The first moment at which the clock showed this.
pub(super) fn first(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(local).earlier().ok()
}

/// The last moment at which it did.
pub(super) fn last(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(local).later().ok()
}
