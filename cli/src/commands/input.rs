//! What `correlate` and `volume` are told alike: the file of cases, its zone, calendar and end.
//!
//! Every row that was not taken is told on stderr: the first ones by line and column, all of them
//! by number. A file of which nothing could be taken is a failure, not a file without cases.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use driftline_collector::analysis::cases::Stream;
use driftline_collector::analysis::read_span::ReadSpan;
use driftline_collector::cases::{Calendar, Cases, Form, Refusals, read_calendar, read_cases};
use driftline_collector::moment;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::eprintln_message;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Where cases come from and how their times are read.
#[derive(clap::Args)]
pub(super) struct CaseFile {
    /// Cases, as CSV with the columns opened_at, service and site, or as one JSON object a line; -
    /// reads standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) cases: PathBuf,
    /// Time zones, business hours and holidays of sites, as TOML.
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// Judge as if it were this moment: cases opened or recorded from then on are not known yet.
    /// A time such as 2026-11-22T13:00:00Z; without an offset, and a day such as 2026-11-22 (its
    /// beginning), by --timezone; or a time from now such as -2h.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Where times without an offset are local, such as Europe/Vienna.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,
}

impl CaseFile {
    /// The zone of times without an offset.
    pub(super) fn zone(&self) -> anyhow::Result<TimeZone> {
        let name = &self.timezone;
        TimeZone::get(name).with_context(|| {
            format!("looking up the time zone {name:?} (--timezone says one such as Europe/Vienna)")
        })
    }

    /// The moment to judge at, in seconds since 1970, if one is given.
    pub(super) fn until(&self, zone: &TimeZone) -> anyhow::Result<Option<i64>> {
        let Some(text) = &self.until else { return Ok(None) };
        let moment = moment::parse_in(text, Timestamp::now(), zone);
        let forms = || moment::FORMS.replace("(UTC)", "(by --timezone)");
        let moment = moment.with_context(|| format!("--until must be {}", forms()))?;
        Ok(Some(moment.as_second()))
    }

    /// The calendar; without one, all sites have the clock of `zone` and no day off.
    pub(super) fn calendar(&self, zone: &TimeZone) -> anyhow::Result<Calendar> {
        let Some(path) = &self.calendar else { return Ok(Calendar::of(zone)) };
        let calendar = read_calendar(open(path)?, zone);
        calendar.with_context(|| format!("reading {}", path.display()))
    }

    /// Tells which cases of `stream` lie so far from all others that what is between them was not
    /// read.
    pub(super) fn tell_apart(&self, stream: &Stream, until: Option<i64>) {
        let Some(span) = ReadSpan::of_stream(stream, until) else {
            return self.tell_unknown(stream, until);
        };
        let file = name(&self.cases);
        let time = |second: i64| Timestamp::from_second(second).unwrap_or_default();
        let cases = |(count, at): (u64, i64), which: &str| match count {
            1 => format!("1 case ({}) lies", time(at)),
            _ => format!("{count} cases (the {which} of {}) lie", time(at)),
        };
        if let Some(before) = span.before {
            eprintln_message(&format!(
                "{file}: {} far before all others, not counted; what was read begins with {}",
                cases(before, "first"),
                time(span.first)
            ));
        }
        if let Some(after) = span.after {
            eprintln_message(&format!(
                "{file}: {} far after all others, not counted; what was read ends with {}; \
                 if more was, say up to when with --until",
                cases(after, "last"),
                time(span.last)
            ));
        }
    }

    /// Tells that there are cases, and all of them of later than `until`.
    fn tell_unknown(&self, stream: &Stream, until: Option<i64>) {
        let Some((first, until)) = stream.cases.first().zip(until) else { return };
        let time = |second: i64| Timestamp::from_second(second).unwrap_or_default();
        eprintln_message(&format!(
            "{}: no case is known at --until ({}); the first was opened {}",
            name(&self.cases),
            time(until),
            time(first.opened_at)
        ));
    }

    /// All cases. Rows that were not taken are told.
    pub(super) fn read(&self, form: &Form, sites: &[String]) -> anyhow::Result<Cases> {
        let reading = || format!("reading {}", name(&self.cases));
        let cases = read_cases(open(&self.cases)?, form, sites).with_context(reading)?;
        tell(&self.cases, cases.rows, &cases.refused);
        let Cases { stream, rows, repeated, reopened, .. } = &cases;
        let file = name(&self.cases);
        anyhow::ensure!(*rows == 0 || !stream.cases.is_empty(), "{file}: no row could be taken");
        if *repeated > 0 {
            eprintln_message(&format!(
                "{file}: {repeated} rows said more of a case that was there; {reopened} of them \
                 gave another opened_at, which was not taken"
            ));
        }
        Ok(cases)
    }
}

/// Opens a file, or standard input for `-`.
pub(super) fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if is_standard_input(path) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opening = || {
        format!("opening {} (name a file you may read, or - for standard input)", path.display())
    };
    let file = File::open(path).with_context(opening)?;
    Ok(Box::new(file))
}

/// Whether `path` stands for standard input.
pub(super) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == STANDARD_INPUT
}

/// What a file is called in messages.
pub(super) fn name(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// Tells what was not taken of a file of `rows` rows.
pub(super) fn tell(path: &Path, rows: u64, refused: &Refusals) {
    let file = name(path);
    for refusal in &refused.first {
        eprintln_message(&format!("{file}: {refusal}"));
    }
    if refused.total > 0 {
        let shown = refused.first.len() as u64;
        let more = if refused.total > shown { ", of which the first are above" } else { "" };
        eprintln_message(&format!("{file}: {} of {rows} rows refused{more}", refused.total));
    }
}

/// A share between 0 and 1, both excluded.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if share > 0.0 && share < 1.0 { Ok(share) } else { Err("not between 0 and 1".to_owned()) }
}
