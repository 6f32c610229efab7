//! What differs between two texts, line by line, for people. Pure and bounded.

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// The most lines on both sides together that are compared: the worst case takes the product of the
/// two, and this many stay well below a tenth of a second.
pub const LINES: usize = 8_000;

/// The most bytes on both sides together that are compared, for the same reason.
pub const BYTES: usize = 1024 * 1024;

/// One line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineChange {
    /// What happened to it.
    pub kind: LineKind,
    /// The line, without its end.
    pub line: String,
}

/// What happened to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// It stands on both sides.
    Same,
    /// It is no longer there.
    Removed,
    /// It is new.
    Added,
}

/// The lines of `before` and `after` in one sequence. Beyond [`LINES`] or [`BYTES`] everything is
/// shown as replaced, which is true and not minimal.
pub fn line_diff(before: &[String], after: &[String]) -> Vec<LineChange> {
    let bytes: usize = before.iter().chain(after).map(String::len).sum();
    let mut lines = Vec::new();
    if before.len() + after.len() > LINES || bytes > BYTES {
        push(&mut lines, LineKind::Removed, before);
        push(&mut lines, LineKind::Added, after);
        return lines;
    }
    for op in capture_diff_slices(Algorithm::Myers, before, after) {
        let (old, new) = (before.get(op.old_range()), after.get(op.new_range()));
        match op {
            DiffOp::Equal { .. } => push(&mut lines, LineKind::Same, new.unwrap_or_default()),
            DiffOp::Delete { .. } | DiffOp::Insert { .. } | DiffOp::Replace { .. } => {
                push(&mut lines, LineKind::Removed, old.unwrap_or_default());
                push(&mut lines, LineKind::Added, new.unwrap_or_default());
            }
        }
    }
    lines
}

fn push(lines: &mut Vec<LineChange>, kind: LineKind, texts: &[String]) {
    lines.extend(texts.iter().map(|text| LineChange { kind, line: text.clone() }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn side(lines: &[LineChange], without: LineKind) -> Vec<String> {
        let side = lines.iter().filter(|line| line.kind != without);
        side.map(|line| line.line.clone()).collect()
    }

    #[test]
    fn one_new_line_is_one_new_line() {
        let text = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        let lines = line_diff(&text(&["a", "b"]), &text(&["a", "x", "b"]));
        let kinds: Vec<_> = lines.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [LineKind::Same, LineKind::Added, LineKind::Same]);
    }

    #[test]
    fn a_text_beyond_the_bound_is_replaced_as_a_whole() {
        let long = vec!["x".to_owned(); LINES];
        let lines = line_diff(&long, &["x".to_owned()]);
        assert!(lines.iter().all(|line| line.kind != LineKind::Same));
    }

    proptest! {
        #[test]
        fn both_sides_can_be_read_from_it(
            before in proptest::collection::vec("[ab]", 0..12),
            after in proptest::collection::vec("[ab]", 0..12),
        ) {
            let lines = line_diff(&before, &after);
            prop_assert_eq!(side(&lines, LineKind::Added), before);
            prop_assert_eq!(side(&lines, LineKind::Removed), after);
        }
    }
}
