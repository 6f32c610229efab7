//! How results are printed: a table for people, JSON for programs.
//!
//! Tables have no borders and no colour; what matters stands in words. One row is one JSON object
//! with the same names, so a program reads what a person sees.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use driftline_collector::analysis::lines::{LineChange, line_diff};
use driftline_protocol::item::{Item, ItemValue};
use driftline_protocol::printable::is_invisible;
use serde::Serialize;

/// The width of a table where nobody says how wide the terminal is.
const WIDTH: u16 = 80;

/// How many lines of a longer text are shown in one.
const SHOWN_LINES: usize = 3;

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

    /// How many columns stand on the first line of a row where one line is too short for all; the
    /// others follow on a line of their own, and so does a cell that is too long for the first
    /// line. By default all, and cells are broken instead.
    const FIRST_LINE: usize = usize::MAX;

    /// The cells, in the order of the headings.
    fn cells(&self) -> Vec<String>;
}

/// Prints `rows` to stdout. A reader that closed the pipe ends the output quietly.
///
/// # Errors
/// Any other error of writing.
pub(crate) fn print<R: Row>(output: Output, rows: &[R]) -> anyhow::Result<()> {
    if output == Output::Table && rows.is_empty() {
        crate::eprintln_message(&format!("no {}", R::NAME));
        return Ok(());
    }
    write(&text(output, rows)?)
}

/// What [`print()`] prints.
///
/// # Errors
/// A row that cannot be told in JSON.
pub(crate) fn text<R: Row>(output: Output, rows: &[R]) -> anyhow::Result<String> {
    Ok(match output {
        Output::Table => table(rows),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(rows)?),
        Output::Ndjson => {
            let lines: Result<Vec<_>, _> = rows.iter().map(serde_json::to_string).collect();
            lines?.into_iter().fold(String::new(), |text, line| text + &line + "\n")
        }
    })
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

pub(crate) fn table<R: Row>(rows: &[R]) -> String {
    if R::FIRST_LINE >= R::HEADINGS.len() {
        return broken(rows);
    }
    let width = usize::from(Table::new().width().unwrap_or(WIDTH));
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    let lines = unbroken(R::HEADINGS, &cells);
    if lines.iter().all(|line| line.chars().count() <= width) {
        return lines.concat();
    }
    let (headings, _) = R::HEADINGS.split_at(R::FIRST_LINE);
    let widest = widths(headings, &cells, width);
    let mut first = vec![headings.iter().map(|h| h.to_uppercase()).collect()];
    first.extend(cells.iter().map(|row| fitting(row, &widest)));
    let lines = aligned(&first, &widest);
    let mut text = String::new();
    for (line, row) in lines.iter().zip(std::iter::once(None).chain(cells.iter().map(Some))) {
        text += line;
        let Some(row) = row else { continue };
        let is_below = |(column, cell): &(usize, &String)| {
            widest.get(*column).is_none_or(|widest| cell.chars().count() > *widest)
        };
        let below = row.iter().enumerate().filter(is_below);
        let below: Vec<(&str, &String)> =
            below.filter_map(|(column, cell)| Some((*R::HEADINGS.get(column)?, cell))).collect();
        text += &detail(&below, width);
    }
    text
}

/// What stands in the place of a cell that is too long for the first line of its row.
const BELOW: &str = "(below)";

/// How wide each column of the first lines may be so that they are no longer than `width`: the
/// widest column gives way first, to its next shorter cells, since one long name shall not push
/// everything else off the screen.
fn widths(headings: &[&str], rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let count = |text: &str| text.chars().count();
    let least = |heading: &&str| count(heading).max(BELOW.len());
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let mut widest: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            cells(column).map(|cell| count(cell)).max().unwrap_or(0).max(count(heading))
        })
        .collect();
    while widest.iter().sum::<usize>() + widest.len().saturating_sub(1) > width {
        let gives = |(column, heading)| {
            let now = *widest.get(column)?;
            let shorter = cells(column).map(|cell| count(cell)).filter(|long| *long < now).max();
            let next = shorter.unwrap_or(0).max(least(heading));
            (next < now).then_some((now, column, next))
        };
        let Some((_, column, next)) = headings.iter().enumerate().filter_map(gives).max() else {
            break;
        };
        if let Some(wide) = widest.get_mut(column) {
            *wide = next;
        }
    }
    widest
}

/// The cells of the first line of a row, those that are too long for it left for below.
fn fitting(row: &[String], widest: &[usize]) -> Vec<String> {
    let last = widest.len().saturating_sub(1);
    let fit = |(column, (cell, widest)): (usize, (&String, &usize))| {
        match cell.chars().count() > *widest {
            false => cell.clone(),
            // At the end of the line nothing is missed.
            true if column == last => String::new(),
            true => BELOW.to_owned(),
        }
    };
    row.iter().zip(widest).enumerate().map(fit).collect()
}

/// A line for each row, its cells one below the other.
fn aligned(rows: &[Vec<String>], widest: &[usize]) -> Vec<String> {
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(widest).map(|(cell, widest)| format!("{cell:<widest$}"));
        cells.collect::<Vec<_>>().join(" ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The columns that found no place on the first line of their row, those without a value left out:
/// on one line, or where that is too long on one each.
fn detail(below: &[(&str, &String)], width: usize) -> String {
    let told = below.iter().filter(|(_, cell)| *cell != "-");
    let told: Vec<_> = told.map(|(heading, cell)| format!("{heading} {cell}")).collect();
    let line = format!("    {}\n", told.join(", "));
    match told.is_empty() {
        true => String::new(),
        false if line.chars().count() <= width => line,
        false => told.iter().map(|one| wrapped(one, width)).collect(),
    }
}

/// A text on lines of at most `width` characters, broken between words alone: a path is never.
fn wrapped(text: &str, width: usize) -> String {
    let (mut lines, mut line) = (String::new(), "   ".to_owned());
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > width && !line.trim().is_empty() {
            lines += &line;
            lines.push('\n');
            line = "       ".to_owned();
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}

/// One line for the headings and one for each row, however long.
fn unbroken(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A table whose cells are broken over lines until it is narrow enough.
fn broken<R: Row>(rows: &[R]) -> String {
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

/// The values of a change, each in one line: of texts of several lines only what differs.
pub(crate) fn values(before: Option<&Item>, after: Option<&Item>) -> [String; 2] {
    let lines = |item: Option<&Item>| match item.map(|item| &item.value) {
        Some(ItemValue::Lines(lines)) => Some(lines.clone()),
        Some(_) | None => None,
    };
    let (Some(old), Some(new)) = (lines(before), lines(after)) else {
        return [value(before), value(after)];
    };
    let differing = line_diff(&old, &new);
    let removed = differing.iter().filter_map(|line| match line {
        LineChange::Removed(line) => Some(line.as_str()),
        LineChange::Added(_) | LineChange::Same(_) | LineChange::Skipped(_) => None,
    });
    let added = differing.iter().filter_map(|line| match line {
        LineChange::Added(line) => Some(line.as_str()),
        LineChange::Removed(_) | LineChange::Same(_) | LineChange::Skipped(_) => None,
    });
    [some_lines(removed), some_lines(added)]
}

/// The first of `lines` in one, and how many more there are; `-` for none.
fn some_lines<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut lines = lines.map(str::trim);
    let first: Vec<String> = lines.by_ref().take(SHOWN_LINES).map(printable).collect();
    match (first.is_empty(), lines.count()) {
        (true, _) => "-".to_owned(),
        (false, 0) => first.join(" | "),
        (false, more) => format!("{} | and {more} more lines", first.join(" | ")),
    }
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

/// Text of a host cannot steer the terminal: control characters are shown, not obeyed, and so is
/// what nobody would see or what turns the text around it.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A moment in as few characters as say it.
pub(crate) fn moment(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Line(&'static str, &'static str, &'static str);

    impl Row for Line {
        const NAME: &'static str = "line";
        const WHOLE: usize = 1;
        const HEADINGS: &'static [&'static str] = &["host", "part", "item", "after"];
        const FIRST_LINE: usize = 2;

        fn cells(&self) -> Vec<String> {
            ["pbx1", self.0, self.1, self.2].map(str::to_owned).into()
        }
    }

    #[test]
    fn what_steers_a_terminal_or_hides_is_shown() {
        for (text, told) in [
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("graz\u{200b}", "graz\\u{200b}"),
            ("pbx\u{202e}1xbs", "pbx\\u{202e}1xbs"),
            ("Zürich – 漢字", "Zürich – 漢字"),
        ] {
            assert_eq!(printable(text), told);
        }
    }

    #[test]
    fn a_path_is_never_broken() {
        let short = [Line("/etc/hosts", "127.0.0.1", "localhost")];
        assert_eq!(table(&short).lines().count(), 2, "it fits on one line");
        let long = "/usr/lib/systemd/system/a-unit-with-a-rather-long-name.service.d/override.conf";
        let text = table(&[Line(long, "Service/ExecStart", "/bin/true"), Line(long, "-", "-")]);
        let lines: Vec<_> = text.lines().collect();
        let part = format!("        {long}");
        let below = ["    part", part.as_str()];
        let rest = ["    item Service/ExecStart", "    after /bin/true", "pbx1"];
        let expect = [&["HOST PART", "pbx1"][..], &below, &rest, &below].concat();
        assert_eq!(lines, expect, "{text}");
    }

    #[test]
    fn one_long_name_pushes_nothing_off_the_screen() {
        struct Named(&'static str);
        impl Serialize for Named {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.0)
            }
        }
        impl Row for Named {
            const NAME: &'static str = "case";
            const WHOLE: usize = 1;
            const HEADINGS: &'static [&'static str] = &["opened", "case", "source", "status"];
            const FIRST_LINE: usize = 3;

            fn cells(&self) -> Vec<String> {
                ["2026-11-22 13:00:00Z", self.0, "service-desk", "open"].map(str::to_owned).into()
            }
        }
        let secret = "{secret:0123456789abcdef0123456789abcdef0123456789abcdef}";
        let text = table(&[Named("INC1"), Named(secret), Named("INC12")]);
        let below = format!("    case {secret}, status open");
        let expect = [
            "OPENED               CASE    SOURCE",
            "2026-11-22 13:00:00Z INC1    service-desk",
            "    status open",
            "2026-11-22 13:00:00Z (below) service-desk",
            &below,
            "2026-11-22 13:00:00Z INC12   service-desk",
            "    status open",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expect);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_long_sentence_is_broken_between_its_words() {
        let words = "so many words that they find no place on one line";
        let [words, none, why] = [words, "-", "x"].map(str::to_owned);
        let text = detail(&[("what", &words), ("key", &none), ("why", &why)], 40);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            ["    what so many words that they find no", "        place on one line", "    why x"]
        );
        assert_eq!(wrapped(&"x".repeat(60), 40).trim(), "x".repeat(60), "a word is never broken");
    }

    #[test]
    fn of_long_texts_the_lines_that_differ_are_told() {
        let item = |text: &str| Item {
            value: ItemValue::Lines(text.split(' ').map(str::to_owned).collect()),
            rank: None,
        };
        for (before, after, told) in [
            ("a b c", "a x c", ["b", "x"]),
            ("a c", "a b c", ["-", "b"]),
            ("1 2 3 4 5 z", "z", ["1 | 2 | 3 | and 2 more lines", "-"]),
        ] {
            assert_eq!(values(Some(&item(before)), Some(&item(after))), told);
        }
        assert_eq!(values(None, Some(&item("a b"))), ["-", "2 lines"]);
    }
}
