//! Small charts drawn as SVG: text and links inside, so they print, scale and can be read aloud.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use crate::words::counted;

/// How many hours the activity chart shows.
pub(super) const HOURS: i64 = 48;
const BAR: i64 = 12;
const HEIGHT: i64 = 48;

/// Changes per hour over the last [`HOURS`] hours, oldest first; moments outside are left out.
pub(super) fn per_hour(moments: impl Iterator<Item = Timestamp>, now: Timestamp) -> Vec<u64> {
    let mut hours = vec![0; usize::try_from(HOURS).unwrap_or_default()];
    for at in moments {
        let back = now.duration_since(at);
        if back >= SignedDuration::ZERO && back.as_hours() < HOURS {
            let index = usize::try_from(HOURS - 1 - back.as_hours()).unwrap_or_default();
            if let Some(hour) = hours.get_mut(index) {
                *hour += 1;
            }
        }
    }
    hours
}

/// A bar for each hour; heights grow with the square root, so that one change is seen beside a
/// thousand.
///
/// The result holds only numbers and fixed words, so a template may print it as it stands.
pub(super) fn bars(hours: &[u64]) -> String {
    let most = hours.iter().copied().max().unwrap_or(0).max(1);
    let total: u64 = hours.iter().sum();
    let width = BAR * HOURS;
    let changes = counted(total, "change");
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=\"none\" \
         role=\"img\" \
         aria-label=\"{changes} in the last {HOURS} hours, at most {most} in one hour\">"
    );
    for (x, count) in (0i64..).zip(hours) {
        let share = (*count as f64 / most as f64).sqrt();
        let height = if *count == 0 { 1.0 } else { (share * (HEIGHT - 4) as f64).max(4.0) };
        let class = if *count == 0 { "none" } else { "some" };
        let ago = HOURS - 1 - x;
        // Writing to a String cannot fail.
        let written = write!(
            svg,
            "<rect class=\"{class}\" x=\"{}\" y=\"{:.1}\" width=\"{}\" height=\"{height:.1}\">\
             <title>{}, {ago} h ago</title></rect>",
            x * BAR + 1,
            HEIGHT as f64 - height,
            BAR - 2,
            counted(*count, "change"),
        );
        debug_assert!(written.is_ok());
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_falls_into_its_hour() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let moments =
            [at("2026-11-22T11:59:59Z"), at("2026-11-20T12:00:00Z"), at("2026-11-20T12:00:01Z")];
        let hours = per_hour(moments.into_iter(), now);
        assert_eq!((hours[47], hours[0], hours.iter().sum::<u64>()), (1, 1, 2));
        assert!(bars(&hours).contains("2 changes in the last 48 hours"));
    }
}
