//! How results are printed: a table for people, JSON for programs.
//!
//! Tables have no borders and no colour; what matters stands in words. One row is one JSON object
//! with the same names, so a program reads what a person sees.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use driftline_protocol::item::{Item, ItemValue};
use serde::Serialize;

/// The width of a table where nobody says how wide the terminal is.
const WIDTH: u16 = 80;

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Columns for people.
    Table,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Ndjson,
}

/// One row of a result: its JSON object, and its cells for the table.
pub(crate) trait Row: Serialize {
    /// What there is none of when there are no rows.
    const NAME: &'static str;

    /// The headings of the table.
    const HEADINGS: &'static [&'static str];

    /// How many columns at the left are never broken over lines: names and times that people copy.
    const WHOLE: usize;

    /// The cells, in the order of the headings.
    fn cells(&self) -> Vec<String>;
}

/// Prints `rows` to stdout. A reader that closed the pipe ends the output quietly.
///
/// # Errors
/// Any other error of writing.
pub(crate) fn print<R: Row>(output: Output, rows: &[R]) -> anyhow::Result<()> {
    let text = match output {
        Output::Table if rows.is_empty() => {
            crate::eprintln_message(&format!("no {}", R::NAME));
            return Ok(());
        }
        Output::Table => table(rows),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(rows)?),
        Output::Ndjson => {
            let lines: Result<Vec<_>, _> = rows.iter().map(serde_json::to_string).collect();
            lines?.into_iter().fold(String::new(), |text, line| text + &line + "\n")
        }
    };
    write(&text)
}

/// Writes text to stdout.
///
/// # Errors
/// Any error but that of a closed pipe.
pub(crate) fn write(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn table<R: Row>(rows: &[R]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.set_header(R::HEADINGS.iter().map(|heading| heading.to_uppercase()));
    for row in rows {
        table.add_row(row.cells());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
        if column.index < R::WHOLE {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

/// The value of an item in one line; `-` where there is no item.
pub(crate) fn value(item: Option<&Item>) -> String {
    item.map_or_else(|| "-".to_owned(), |item| one_line(&item.value))
}

/// A value in one line.
pub(crate) fn one_line(value: &ItemValue) -> String {
    let join = |values: Vec<String>| values.join(",");
    match value {
        ItemValue::Nothing => "(set)".to_owned(),
        ItemValue::Flag(true) => "yes".to_owned(),
        ItemValue::Flag(false) => "no".to_owned(),
        ItemValue::Integer(number) => number.to_string(),
        ItemValue::Text(text) => printable(text),
        ItemValue::Fingerprint(fingerprint) => fingerprint.to_string(),
        ItemValue::List(values) => join(values.iter().map(one_line).collect()),
        ItemValue::Set(values) => join(values.iter().map(one_line).collect()),
        ItemValue::Lines(lines) => format!("{} lines", lines.len()),
    }
}

/// Text of a host cannot steer the terminal: control characters are shown, not obeyed.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped: Vec<char> =
                if c.is_control() { c.escape_default().collect() } else { vec![c] };
            escaped
        })
        .collect()
}

/// A moment in as few characters as say it.
pub(crate) fn moment(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
