//! Cases over time beside changes, drawn as SVG: text and links inside, so that it prints, scales
//! and can be read aloud.

use std::fmt::Write;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::analysis::volume::CellBucket;
use crate::words::counted;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 36.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 18.0;

/// A change on the chart.
pub(super) struct Mark {
    /// When.
    pub at: Timestamp,
    /// Where its evidence stands on the page.
    pub number: i64,
    /// How far one may go with it; one of a closed list.
    pub tier: &'static str,
}

/// Seconds of a day, and of every longer bucket at least.
const DAY: i64 = 86_400;

/// A moment as the clock of a zone shows it: to the minute, or only its day where that is what a
/// bucket of so many seconds begins with.
pub(super) fn shown(at: Timestamp, zone: &TimeZone, seconds: i64) -> String {
    let form = if seconds < DAY { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d" };
    zone.to_datetime(at).strftime(form).to_string()
}

/// Where things stand on the chart, and what the clock beside it shows.
struct Frame<'a> {
    from: i64,
    to: i64,
    most: f64,
    zone: &'a TimeZone,
}

impl Frame<'_> {
    fn x(&self, at: i64) -> f64 {
        let share = (at - self.from) as f64 / (self.to - self.from).max(1) as f64;
        LEFT + share * (WIDTH - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.most * (HEIGHT - BOTTOM - TOP)
    }
}

/// From `from` on a bar for each bucket of so many seconds, what was expected as a line, the bound
/// as a step, changes as marks; times by the clock of `zone`.
///
/// The result holds only numbers, times and fixed words, so a template may print it as it stands.
pub(super) fn draw(
    rows: &[CellBucket],
    (from, seconds, zone): (Timestamp, i64, &TimeZone),
    marks: &[Mark],
) -> String {
    let from = from.as_second();
    let last = rows.iter().map(|row| row.bucket_start.as_second()).max();
    let Some(last) = last else { return String::new() };
    let highest = rows.iter().flat_map(|row| [Some(row.observed as f64), row.bound]);
    let most = highest.flatten().fold(4.0, f64::max) * 1.05;
    let frame = Frame { from, to: last + seconds, most, zone };
    let total: u64 = rows.iter().map(|row| row.observed).sum();
    let alarms = rows.iter().filter(|row| row.alarm).count();
    let mut svg = format!(
        "<svg class=\"cases\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} \
         in {}, {alarms} of them above their bound, beside {}\">",
        counted(total, "case"),
        counted(rows.len(), "bucket"),
        counted(marks.len(), "change")
    );
    axes(&mut svg, &frame);
    bars(&mut svg, &frame, (rows, seconds));
    let at_middle = |row: &CellBucket| row.bucket_start.as_second() + seconds / 2;
    line(
        &mut svg,
        "expected",
        rows.iter().map(|row| Some((frame.x(at_middle(row)), frame.y(row.expected?)))),
    );
    let steps = rows.iter().flat_map(|row| {
        let start = row.bucket_start.as_second();
        [start, start + seconds].map(|at| Some((frame.x(at), frame.y(row.bound?))))
    });
    line(&mut svg, "bound", steps);
    for mark in marks {
        let at = mark.at.as_second();
        if (frame.from..=frame.to).contains(&at) {
            let (x, number, tier) = (frame.x(at), mark.number, mark.tier);
            put(
                &mut svg,
                format_args!(
                    "<a href=\"#suspect-{number}\">\
                 <path class=\"mark {tier}\" d=\"M{x:.1} {TOP}V{:.1}\"/>\
                 <circle class=\"mark {tier}\" cx=\"{x:.1}\" cy=\"{TOP}\" r=\"5\"><title>change of \
                 suspect {number}, {tier}, {}</title></circle></a>",
                    HEIGHT - BOTTOM,
                    shown(mark.at, zone, 0)
                ),
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let written = svg.write_fmt(text);
    debug_assert!(written.is_ok());
}

fn axes(svg: &mut String, frame: &Frame<'_>) {
    let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 5_000.0]
        .into_iter()
        .find(|step| frame.most / step <= 5.0)
        .unwrap_or(frame.most);
    let mut value = 0.0;
    while value <= frame.most {
        let y = frame.y(value);
        put(
            svg,
            format_args!(
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{WIDTH}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                LEFT - 6.0,
                y + 4.0
            ),
        );
        value += step;
    }
    days(svg, frame);
}

/// A line at the midnight of some days, by the clock.
fn days(svg: &mut String, frame: &Frame<'_>) {
    let every = ((frame.to - frame.from) / DAY / 8).max(1);
    let from = Timestamp::from_second(frame.from).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut next = frame.zone.to_datetime(from).date().tomorrow();
    // A chart never ends beyond the last day there is.
    while let Ok(day) = next {
        let Ok(midnight) = day.to_zoned(frame.zone.clone()) else { return };
        let at = midnight.timestamp().as_second();
        if at >= frame.to {
            return;
        }
        let (x, date) = (frame.x(at), day.strftime("%d %b"));
        put(
            svg,
            format_args!(
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{:.1}\"/><text class=\"tick\" x=\"{x:.1}\" \
             y=\"{:.1}\" text-anchor=\"middle\">{date}</text>",
                HEIGHT - BOTTOM,
                HEIGHT - 7.0
            ),
        );
        next = day.checked_add(every.days());
    }
}

fn bars(svg: &mut String, frame: &Frame<'_>, (rows, seconds): (&[CellBucket], i64)) {
    for row in rows.iter().filter(|row| row.observed > 0) {
        let start = row.bucket_start.as_second();
        let (x, y) = (frame.x(start), frame.y(row.observed as f64));
        let width = (frame.x(start + seconds) - x - 0.5).max(0.5);
        let class = if row.alarm { "alarm" } else { "count" };
        let expected = row.expected.map_or_else(String::new, |e| format!(", {e:.1} expected"));
        put(
            svg,
            format_args!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{:.1}\"><title>{}: {} cases{expected}</title></rect>",
                HEIGHT - BOTTOM - y,
                shown(row.bucket_start, frame.zone, seconds),
                row.observed
            ),
        );
    }
}

/// A line through `points`, interrupted where there is none.
fn line(svg: &mut String, class: &str, points: impl Iterator<Item = Option<(f64, f64)>>) {
    let mut path = String::new();
    let mut pen = "M";
    for point in points {
        match point {
            None => pen = "M",
            Some((x, y)) => {
                put(&mut path, format_args!("{pen}{x:.1} {y:.1}"));
                pen = "L";
            }
        }
    }
    if !path.is_empty() {
        put(svg, format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
    }
}
