//! `driftline volume`: which counts of cases are above what the past lets expect.
//!
//! No collector is needed. Rows are written cell by cell, so that a year of hours of many sites
//! does not stand in memory as text.

use std::io::{self, BufWriter, Write};

use clap::ValueEnum;
use driftline_collector::analysis::volume::{
    self, Bucket, Buckets, CellBucket, CellKey, Judge, Method, VolumeSettings,
};
use driftline_collector::cases::{Blanks, Column, Form, SiteNames};

use super::input::{self, CaseFile};
use crate::Verdict;
use crate::output::{self, Output, Row};

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
    /// Print every bucket in the table, and not only those above their bound.
    #[arg(long)]
    all: bool,
    /// How counts are judged.
    #[arg(long, value_enum, default_value_t = Judging::Auto)]
    method: Judging,
    /// The share of quiet buckets that may be alarms.
    #[arg(long, default_value = "0.01", value_parser = input::share)]
    alpha: f64,
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
        let form = Form {
            zone: zone.clone(),
            required: self.required(),
            blanks: Blanks::Kept,
            site_names: SiteNames::Any,
        };
        let cases = self.input.read(&form, &[])?;
        self.input.tell_apart(&cases.stream, until);
        let settings = VolumeSettings {
            bucket: self.bucket(),
            by: self.by.iter().map(|key| key.cell_key()).collect(),
            method: self.method(),
            alpha: self.alpha,
            zone,
            until,
            holidays: calendar.days_off(),
            clocks: calendar.clocks,
        };
        let buckets = Buckets::of(&cases.stream, &settings);
        let cells = volume::count(&cases.stream, &settings, &buckets)?;
        let mut judge = Judge::new(&settings);
        match output {
            Output::Table | Output::Json => {
                let wanted = |row: &CellBucket| self.all || output == Output::Json || row.alarm;
                let rows = cells.iter().flat_map(|cell| judge.cell(cell)).filter(wanted);
                let rows: Vec<_> = rows.collect();
                output::print(output, &rows)?;
            }
            Output::Ndjson => write_lines(cells.iter().map(|cell| judge.cell(cell)))?,
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
            Judging::Cusum => Method::Cusum,
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

/// Writes one JSON object a line. A reader that closed the pipe ends the output quietly.
fn write_lines(cells: impl Iterator<Item = Vec<CellBucket>>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for row in cells.flatten() {
        let mut line = serde_json::to_vec(&row)?;
        line.push(b'\n');
        match out.write_all(&line) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    match out.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        flushed => Ok(flushed?),
    }
}

impl Row for CellBucket {
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
            output::moment(self.bucket_start),
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
