//! `driftline volume`: which counts of cases are above what the past lets expect.
//!
//! No collector is needed. In JSON rows are written one after the other, so that a year of hours of
//! many sites does not stand in memory: what does is each count, and the rows of one cell.

use std::io::{self, BufWriter, Write};

use clap::ValueEnum;
use driftline_collector::analysis::site_clock::common_zone;
use driftline_collector::analysis::volume::{
    self, Bucket, Buckets, CellBucket, CellKey, Judge, Method, VolumeSettings,
};
use driftline_collector::cases::{Blanks, Column, Form};
use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::ser::{SerializeSeq, Serializer};

use super::input::{self, CaseFile};
use crate::Verdict;
use crate::output::{self, Output, Row};

/// The rate of false alarms where none is said.
const ALPHA: f64 = 0.01;

/// Says which counts of cases are above what the past lets expect.
#[derive(clap::Args)]
pub(crate) struct Volume {
    #[command(flatten)]
    input: CaseFile,
    /// How long a bucket is.
    #[arg(long, value_enum)]
    bucket: Length,
    /// The columns that make a cell, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "service,site,category")]
    by: Vec<Key>,
    /// Print every bucket in the table, and not only those above their bound. A table stands in
    /// memory (about 1 kB a row); json and ndjson do not, and hold 8 bytes a bucket of each cell.
    #[arg(long)]
    all: bool,
    /// How counts are judged.
    #[arg(long, value_enum, default_value_t = Judging::Auto)]
    method: Judging,
    /// The share of quiet buckets that may be alarms [default: 0.01; cusum: Rossi's threshold,
    /// which is 0.003].
    #[arg(long, value_parser = input::share)]
    alpha: Option<f64>,
}

/// How long a bucket is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Length {
    /// An hour.
    Hour,
    /// A day, from midnight.
    Day,
    /// A week, from Monday.
    Week,
}

/// A column that makes a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Key {
    /// The service.
    Service,
    /// The site.
    Site,
    /// The category.
    Category,
}

/// How counts are judged.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Judging {
    /// Farrington from eight weeks of history on, EARS C2 before.
    Auto,
    /// By the same hours, days or seasons of the past.
    Farrington,
    /// EARS C2: by the seven buckets before the last two.
    Ears,
    /// By the cumulative sum above the mean of the first eight weeks.
    Cusum,
}

impl Volume {
    /// Runs the command.
    pub(crate) fn run(self, output: Output) -> anyhow::Result<Verdict> {
        let zone = self.input.zone()?;
        let until = self.input.until(&zone)?;
        let calendar = self.input.calendar(&zone)?;
        let form = Form { zone: zone.clone(), required: self.required(), blanks: Blanks::Kept };
        let cases = self.input.read(&form, &[])?;
        self.input.tell_apart(&cases.stream, until);
        let settings = VolumeSettings {
            bucket: self.bucket(),
            by: self.by.iter().map(|key| key.cell_key()).collect(),
            method: self.method(),
            alpha: self.alpha.unwrap_or(ALPHA),
            zone: common_zone(&calendar.clocks),
            until,
            holidays: calendar.days_off(),
            clocks: calendar.clocks,
        };
        let buckets = Buckets::of(&cases.stream, &settings);
        let cells = volume::count(&cases.stream, &settings, &buckets)?;
        let mut judge = Judge::new(&settings);
        let rows = cells.iter().flat_map(|cell| judge.cell(cell));
        let mut rows = rows.map(|row| row.written(|at| started(at, &settings.zone)));
        let all: Vec<Told> = match mutant::active(Mutant::RowsStandInMemory) {
            true => rows.by_ref().collect(),
            false => Vec::new(),
        };
        let rows = all.into_iter().chain(rows);
        match output {
            Output::Table => {
                let rows: Vec<_> = rows.filter(|row| self.all || row.alarm).collect();
                output::print(output, &rows)?;
            }
            Output::Json => quiet_if_closed(write_array(rows))?,
            Output::Ndjson => quiet_if_closed(write_lines(rows))?,
        }
        Ok(Verdict::Fine)
    }

    /// Columns that the header must have: those that make a cell, where they were asked for.
    fn required(&self) -> Vec<Column> {
        let columns = self.by.iter().map(|key| match key {
            Key::Service => Column::Service,
            Key::Site => Column::Site,
            Key::Category => Column::Category,
        });
        // A file without categories is a file of one category.
        columns.filter(|column| *column != Column::Category || self.by.len() == 1).collect()
    }

    fn bucket(&self) -> Bucket {
        match self.bucket {
            Length::Hour => Bucket::Hour,
            Length::Day => Bucket::Day,
            Length::Week => Bucket::Week,
        }
    }

    fn method(&self) -> Method {
        match self.method {
            Judging::Auto => Method::Auto,
            Judging::Farrington => Method::Farrington,
            Judging::Ears => Method::Ears,
            Judging::Cusum => Method::Cusum(self.alpha),
        }
    }
}

impl Key {
    fn cell_key(self) -> CellKey {
        match self {
            Self::Service => CellKey::Service,
            Self::Site => CellKey::Site,
            Self::Category => CellKey::Category,
        }
    }
}

/// Writes one JSON object a line.
fn write_lines(rows: impl Iterator<Item = Told>) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for row in rows {
        serde_json::to_writer(&mut out, &row)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes one JSON array, row by row.
fn write_array(rows: impl Iterator<Item = Told>) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut serializer = serde_json::Serializer::pretty(&mut out);
    let mut array = serializer.serialize_seq(None)?;
    for row in rows {
        array.serialize_element(&row)?;
    }
    array.end()?;
    out.write_all(b"\n")?;
    out.flush()
}

/// A reader that closed the pipe ends the output quietly.
fn quiet_if_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// One cell in one bucket, as it is told: the bucket begins by the clock that made it.
type Told = CellBucket<String>;

/// A moment with the offset that the clock of `zone` has then.
fn started(at: Timestamp, zone: &TimeZone) -> String {
    if *zone == TimeZone::UTC || mutant::active(Mutant::BucketsBeginInUtc) {
        return at.to_string();
    }
    at.display_with_offset(zone.to_offset(at)).to_string()
}

impl Row for Told {
    const NAME: &'static str = "count is above its bound; --all lists every bucket";
    const WHOLE: usize = 1;
    const HEADINGS: &'static [&'static str] = &[
        "bucket", "service", "site", "category", "cases", "expected", "bound", "p", "alarm",
        "history",
    ];
    const FIRST_LINE: usize = 5;

    fn cells(&self) -> Vec<String> {
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let name = |name: &Option<String>| output::printable(name.as_deref().unwrap_or("-"));
        vec![
            self.bucket_start.replace('T', " "),
            name(&self.service),
            name(&self.site),
            name(&self.category),
            self.observed.to_string(),
            number(self.expected, 1),
            number(self.bound, 1),
            number(self.p_value, 4),
            if self.alarm { "yes" } else { "-" }.to_owned(),
            self.history.as_str().to_owned(),
        ]
    }
}
