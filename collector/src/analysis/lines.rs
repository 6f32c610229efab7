//! The difference of two texts by line, for people to read.
//!
//! It decides nothing: whether a text changed is said by its digest. Both sides are bounded; beyond
//! the bound the whole text counts as replaced, since a difference nobody can read is not worth its
//! time.

use similar::{Algorithm, ChangeTag, TextDiff};

/// The most lines of one side that are compared. Myers takes 85 ms for half of 50,000 lines
/// replaced.
const COMPARED_LINES: usize = 10_000;

/// The most bytes of both sides together that are compared, for the same reason.
const COMPARED_BYTES: usize = 1024 * 1024;

/// How many equal lines are kept around a difference.
const CONTEXT: usize = 3;

/// One line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineChange {
    /// On both sides.
    Same(String),
    /// Only before.
    Removed(String),
    /// Only after.
    Added(String),
    /// This many equal lines are left out.
    Skipped(usize),
}

/// The lines that differ, with `CONTEXT` equal lines around them.
pub fn line_diff(before: &[String], after: &[String]) -> Vec<LineChange> {
    let bytes: usize = before.iter().chain(after).map(String::len).sum();
    let long = before.len() > COMPARED_LINES || after.len() > COMPARED_LINES;
    if long || bytes > COMPARED_BYTES {
        let removed = before.iter().cloned().map(LineChange::Removed);
        return removed.chain(after.iter().cloned().map(LineChange::Added)).collect();
    }
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).diff_slices(&before, &after);
    let lines = diff.iter_all_changes().map(|change| {
        let text = change.value().to_owned();
        match change.tag() {
            ChangeTag::Equal => LineChange::Same(text),
            ChangeTag::Delete => LineChange::Removed(text),
            ChangeTag::Insert => LineChange::Added(text),
        }
    });
    fold(lines.collect())
}

/// Leaves out equal lines that stand far from any difference.
fn fold(lines: Vec<LineChange>) -> Vec<LineChange> {
    let mut near = vec![false; lines.len()];
    for (index, _) in lines.iter().enumerate().filter(|(_, l)| !matches!(l, LineChange::Same(_))) {
        let from = index.saturating_sub(CONTEXT);
        let to = (index + CONTEXT + 1).min(lines.len());
        if let Some(around) = near.get_mut(from..to) {
            around.fill(true);
        }
    }
    let mut folded = Vec::new();
    for (line, near) in lines.into_iter().zip(near) {
        match (near, folded.last_mut()) {
            (true, _) => folded.push(line),
            (false, Some(LineChange::Skipped(count))) => *count += 1,
            (false, _) => folded.push(LineChange::Skipped(1)),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str, expect: &str) {
        let lines = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let shown: Vec<String> = line_diff(&lines(before), &lines(after))
            .into_iter()
            .map(|change| match change {
                LineChange::Same(text) => text,
                LineChange::Removed(text) => format!("-{text}"),
                LineChange::Added(text) => format!("+{text}"),
                LineChange::Skipped(count) => format!("…{count}"),
            })
            .collect();
        assert_eq!(shown.join(" "), expect);
    }

    #[test]
    fn only_what_differs_and_what_stands_near_it_is_shown() {
        check("a b c", "a x c", "a -b +x c");
        check("", "a", "+a");
        check("a", "", "-a");
        check("1 2 3 4 5 6 7 8 9", "1 2 3 4 5 6 7 8 x", "…5 6 7 8 -9 +x");
    }

    #[test]
    fn texts_beyond_the_bound_are_replaced_as_a_whole() {
        let long = vec!["x".to_owned(); COMPARED_LINES + 1];
        assert_eq!(line_diff(&long, &[]).len(), long.len());
    }
}
