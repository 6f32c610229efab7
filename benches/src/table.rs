//! What was measured, as a table a person reads.

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
}
