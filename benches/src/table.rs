//! What was measured, as a table a person reads.

use anyhow::Context;

/// One measured number beside its peer's and the bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was measured, with its unit.
    pub what: String,
    /// Ours.
    pub ours: String,
    /// The peer's, with its name.
    pub peer: String,
    /// Ours as a multiple of the peer's.
    pub ratio: String,
    /// What was to be reached; empty where nothing was set.
    pub bar: String,
    /// Whether it was.
    pub reached: Reached,
}

impl Row {
    /// Stands in the table for a group that could not be measured.
    pub fn failed(group: &str) -> Self {
        let dash = || "-".to_owned();
        Self {
            what: format!("{group}: could not be measured"),
            ours: dash(),
            peer: dash(),
            ratio: dash(),
            bar: dash(),
            reached: Reached::NoBar,
        }
    }
}

/// How a number stands against its bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It is within the bar.
    Yes,
    /// It is not.
    No,
    /// There is no bar for it.
    NoBar,
}

impl Reached {
    /// Whether `value` is at most `bar`.
    pub fn at_most(value: f64, bar: f64) -> Self {
        if value <= bar { Self::Yes } else { Self::No }
    }

    /// Whether `value` is at least `bar`.
    pub fn at_least(value: f64, bar: f64) -> Self {
        if value >= bar { Self::Yes } else { Self::No }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "**no**",
            Self::NoBar => "",
        }
    }
}

/// The rows as a Markdown table.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| what | Driftline | peer | ratio | bar | reached |\n|---|---|---|---|---|---|\n",
    );
    for Row { what, ours, peer, ratio, bar, reached } in rows {
        let reached = reached.text();
        text.push_str(&format!("| {what} | {ours} | {peer} | {ratio} | {bar} | {reached} |\n"));
    }
    text
}

/// Between these two lines a page shows what was measured; see [`put_into`].
pub const MARKS: [&str; 2] = ["<!-- measured -->", "<!-- end of what was measured -->"];

/// Puts the rows that have a bar between the [`MARKS`] of `page`.
///
/// # Errors
/// When the page has no such marks.
pub fn put_into(page: &str, rows: &[Row]) -> anyhow::Result<String> {
    let [begin, end] = MARKS;
    let (before, rest) = page.split_once(begin).context("the page has no place for a table")?;
    let (_, after) = rest.split_once(end).context("the page's table has no end")?;
    let barred = rows.iter().filter(|row| row.reached != Reached::NoBar).cloned();
    let table = markdown(&barred.collect::<Vec<_>>());
    Ok(format!("{before}{begin}\n{table}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_bar_stands_out_in_the_table() {
        let row = |reached| Row {
            what: "hash pass, s".into(),
            ours: "0.2".into(),
            peer: "integrit 0.1".into(),
            ratio: "2.00".into(),
            bar: "≤ 1×".into(),
            reached,
        };
        let text = markdown(&[row(Reached::at_most(2.0, 1.0)), row(Reached::at_least(2.0, 1.0))]);
        assert!(text.ends_with(
            "| hash pass, s | 0.2 | integrit 0.1 | 2.00 | ≤ 1× | **no** |\n\
             | hash pass, s | 0.2 | integrit 0.1 | 2.00 | ≤ 1× | yes |\n"
        ));
        assert!(text.lines().all(|line| line.matches('|').count() == 7));
    }

    #[test]
    fn a_page_shows_the_rows_that_have_a_bar_and_keeps_the_rest() {
        let page = format!("a\n{}\n| old |\n{}\nb\n", MARKS[0], MARKS[1]);
        let row = |reached| Row { reached, ..Row::failed("x") };
        let rows = [row(Reached::NoBar), row(Reached::No)];
        let shown = put_into(&page, &rows).unwrap();
        assert!(shown.starts_with("a\n") && shown.ends_with("-->\nb\n"), "{shown}");
        assert_eq!(shown.matches("could not be measured").count(), 1);
        assert_eq!(put_into(&shown, &rows).unwrap(), shown);
        assert!(put_into("no marks", &rows).is_err());
    }
}
