//! Lines as Asterisk's reader hands them on: without comments, escapes undone, blanks trimmed.
//!
//! `;` begins a comment unless `\` stands before it. `;--` begins one that ends at `--;`, may span
//! lines and holds others of its kind; `;---` is a plain comment. A line of 8 KiB and more is
//! skipped as a whole, as Asterisk does with a warning.

/// The longest line that Asterisk's buffer holds, with its end, in bytes.
const BUFFER_BYTES: usize = 8_191;

/// How deep comments nest; deeper ones do not count.
const NESTED_COMMENTS: usize = 128;

/// What is trimmed: for Asterisk every character below `!` is a blank.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// The lines that say something.
pub(super) struct Lines {
    /// Each with its number, counted from 1.
    pub(super) lines: Vec<(u32, String)>,
    /// How many were too long to be read.
    pub(super) too_long: u32,
}

/// The lines of `text` that say something; `None` where there are more than `bound`.
pub(super) fn meaningful(text: &str, bound: usize) -> Option<Lines> {
    let (mut lines, mut too_long, mut depth) = (Vec::new(), 0, 0);
    for (number, line) in (1..).zip(text.split('\n')) {
        if line.len() >= BUFFER_BYTES {
            too_long += 1;
            continue;
        }
        let line = without_comments(line, &mut depth);
        let line = trim(&line);
        if line.is_empty() {
            continue;
        }
        if lines.len() >= bound {
            return None;
        }
        lines.push((number, line.to_owned()));
    }
    Some(Lines { lines, too_long })
}

/// `line` without its comments; `depth` counts the block comments open before and after it.
fn without_comments(line: &str, depth: &mut usize) -> String {
    let mut kept = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(';') {
        if let Some(unescaped) = before.strip_suffix('\\') {
            if *depth == 0 {
                kept.push_str(unescaped);
                kept.push(';');
            }
            rest = after;
        } else if after.starts_with("--") && !after.starts_with("---") {
            if *depth == 0 {
                kept.push_str(before);
            }
            *depth = (*depth + 1).min(NESTED_COMMENTS);
            rest = after.get(2..).unwrap_or_default();
        } else if *depth > 0 {
            *depth -= usize::from(before.ends_with("--"));
            rest = after;
        } else {
            kept.push_str(before);
            return kept;
        }
    }
    if *depth == 0 {
        kept.push_str(rest);
    }
    kept
}

/// Whether the first lines of a file may be of this syntax: a section, a comment with `;`, a
/// variable or a directive comes first. Lines with `#` may stand above, as the note of a generator
/// does: Asterisk skips them with a warning. What follows them must then be a section, and where
/// the file's place does not say that it is Asterisk's, `ours`, a comment with `;` too.
pub(in super::super) fn begins_like_a_document(head: &str, ours: bool) -> bool {
    let lines = || head.lines().map(trim).filter(|line| !line.is_empty());
    let Some(first) = lines().next() else { return true };
    let note = |line: &&str| line.starts_with('#') && !is_directive(line);
    if note(&first) {
        let next = lines().find(|line| !note(line)).unwrap_or_default();
        let commented = || lines().any(|line| line.starts_with(';'));
        let begins = next.starts_with([';', '[']) || is_directive(next);
        return begins && (ours || commented());
    }
    is_directive(first) || first.starts_with([';', '[']) || first.contains('=')
}

/// Whether a line that begins with `#` tells Asterisk's reader to go on elsewhere.
pub(in super::super) fn is_directive(line: &str) -> bool {
    let word = line.split([' ', '\t', '"', '<']).next().unwrap_or_default();
    ["#include", "#tryinclude", "#exec"].iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// Whether the first lines hold what only Asterisk writes: `=>`, a template, its own name.
pub(super) fn bears_marks(head: &str) -> bool {
    let template = |line: &str| line.starts_with('[') && line.contains("](");
    let arrow = |line: &str| line.split_once('=').is_some_and(|(_, rest)| rest.starts_with('>'));
    head.to_ascii_lowercase().contains("asterisk")
        || head.lines().map(trim).any(|line| template(line) || arrow(line))
}

/// Whether the first lines hold a step of a dial plan.
pub(super) fn has_extensions(head: &str) -> bool {
    head.lines().map(trim).any(|line| {
        let name = line.split_once('=').map(|(name, _)| trim(name));
        name.is_some_and(|name| ["exten", "same"].iter().any(|n| name.eq_ignore_ascii_case(n)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let lines = meaningful(text, 9).unwrap().lines;
        let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines, expected, "{text:?}");
    }

    #[test]
    fn comments_end_where_asterisk_ends_them() {
        check("a=1 ; b", &["a=1"]);
        check("a=1\\;2 ; b", &["a=1;2"]);
        check(";--- plain\na=1", &["a=1"]);
        check("a=1 ;-- b --; c\n", &["a=1  c"]);
        check("a=1 ;-- b\nc ;-- d --; e\nf --; g=1\nh", &["a=1", "g=1", "h"]);
        check(";--; a\nb\n--;c", &["c"]);
        check(";-- a \\;-- --; b=1", &["b=1"]);
        check(";-- open\na=1", &[]);
    }

    #[test]
    fn a_line_too_long_for_asterisk_is_skipped_and_counted() {
        let text = format!("a=1\nb={}\nc=1", "x".repeat(BUFFER_BYTES));
        let lines = meaningful(&text, 2).unwrap();
        assert_eq!((lines.lines.len(), lines.too_long), (2, 1));
        assert!(meaningful(&text, 1).is_none());
    }
}
