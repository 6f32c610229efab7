//! Where a value of a secret name begins and ends.

use std::ops::Range;

use super::scanner::indentation;
use super::shapes;

/// How far a quote that does not close on its line is followed, in bytes.
const QUOTED_BYTES: usize = 8 * 1024;

/// How far a name after a separator is looked for, in bytes.
const NAME_BYTES: usize = 64;

/// How far a text that a variable is held against is looked for, in bytes.
const COMPARED_BYTES: usize = 16;

/// The most closing brackets that are taken from the end of a value.
const CLOSERS: usize = 4;

/// What comes after a name.
pub(super) enum Separator {
    /// `=`, `:`, `=>` or a quoted value right after a blank; the value begins here.
    Assigns(usize),
    /// Only blanks; the next word begins here.
    Blank(usize),
    /// Anything else.
    None,
}

/// How far an unquoted value may reach.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the next blank.
    Word,
    /// To the end of the line, or to the next pair.
    Line,
}

/// Whether the quotes of a value are escaped, since it stands in a quoted text itself.
#[derive(Clone, Copy)]
enum Escaped {
    Yes,
    No,
}

/// Whether `c` may stand in a name.
pub(super) fn in_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Whether `c` separates words.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// `text` from `at` on.
pub(super) fn tail(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

/// A place in a text, with what is known about its surroundings.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The whole text.
    pub(super) text: &'a str,
    /// Where the line began.
    pub(super) line_start: usize,
    /// Where the line ends; known once a line, so that no look-ahead searches for it.
    pub(super) line_end: usize,
    /// The quote around the place, if there is one.
    pub(super) open: Option<char>,
}

impl<'a> Place<'a> {
    /// The text from `at` to the end of its line.
    pub(super) fn line_tail(&self, at: usize) -> &'a str {
        self.text.get(at..self.line_end).unwrap_or_default()
    }
}

/// What follows the name that ends at `at`.
pub(super) fn separator(text: &str, at: usize) -> Separator {
    let rest = tail(text, at);
    // Up to three closers: `"password": …`, `$config['password'] = …`, `\"password\": …`.
    let mut after = rest;
    for _ in 0..3 {
        after = after.strip_prefix(['"', '\'', ']', '\\', ')']).unwrap_or(after);
    }
    let spaced = after.trim_start_matches(is_blank);
    let offset = |part: &str| text.len() - part.len();
    if let Some(value) = spaced.strip_prefix(['=', ':', '+', '?']) {
        let operator = !spaced.starts_with(['+', '?']) || value.starts_with('=');
        if operator && !value.starts_with("//") {
            let value = value.trim_start_matches(['=', '>', ':']).trim_start_matches(is_blank);
            return Separator::Assigns(offset(value));
        }
    }
    if spaced.len() == rest.len() {
        return Separator::None;
    }
    if after.len() == rest.len() && spaced.starts_with(['"', '\'']) {
        return Separator::Assigns(offset(spaced));
    }
    if after.len() == rest.len() { Separator::Blank(offset(spaced)) } else { Separator::None }
}

/// What follows the name of a variable, `span`, where it is held against a text:
/// `"${PIN}" = "X"`, `$hdr(X-Token) != "X"`.
pub(super) fn compared(text: &str, span: Range<usize>) -> Separator {
    let rest = tail(text, span.end);
    let near = rest.get(..rest.floor_char_boundary(COMPARED_BYTES)).unwrap_or(rest);
    let before = text.get(..span.start).unwrap_or_default();
    // `ENV{NAME}="X"` sets rather than compares.
    if near.starts_with('}') && !before.ends_with("${") {
        return Separator::None;
    }
    let closed = near.trim_start_matches(['}', ')', ']', '"', '\'']);
    let spaced = closed.trim_start_matches(is_blank);
    let signs = spaced.len() - spaced.trim_start_matches(['!', '=']).len();
    if !(1..=3).contains(&signs) || closed.len() + CLOSERS < near.len() {
        return Separator::None;
    }
    let value = spaced.get(signs..).unwrap_or_default().trim_start_matches(is_blank);
    let literal = value.strip_prefix(['"', '\'']).is_some_and(|text| !text.starts_with('$'));
    if literal { Separator::Assigns(span.end + near.len() - value.len()) } else { Separator::None }
}

/// What follows the name that ends at `at` among the arguments of a call: the next argument.
pub(super) fn argument(text: &str, at: usize) -> Separator {
    let next = tail(text, at).strip_prefix(['"', '\'']).unwrap_or_default();
    match next.trim_start_matches(is_blank).strip_prefix(',') {
        Some(value) => Separator::Assigns(text.len() - value.trim_start_matches(is_blank).len()),
        None => Separator::None,
    }
}

/// The value that begins at `at`.
pub(super) fn value(place: &Place<'_>, at: usize, reach: Reach) -> Range<usize> {
    let rest = tail(place.text, at);
    // `'… password=''X'''`: doubled within quotes.
    if let Some(doubled) = rest.strip_prefix("''").filter(|_| place.open == Some('\'')) {
        let length = place.line_tail(at + 2).find("''").filter(|length| *length > 0);
        if let Some(length) = length.filter(|_| doubled.starts_with(char::is_alphanumeric)) {
            return at + 2..at + 2 + length;
        }
    }
    let inner = rest.strip_prefix('\\').unwrap_or(rest);
    if let Some(quote) = inner.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) {
        if Some(quote) == place.open {
            return at..at; // the quote that was open closes: there is no value
        }
        let start = place.text.len() - inner.len() + 1;
        let escaped = if inner.len() < rest.len() { Escaped::Yes } else { Escaped::No };
        return start..start + quoted(place, start, escaped);
    }
    if let Some(block) = shapes::block(rest) {
        return at..at + block.length;
    }
    if let Some(range) = below(place, at) {
        return range;
    }
    at..at + unquoted(place.line_tail(at), reach, place.open)
}

/// The length of the quoted value whose quote stands before `start`: to its closing quote, over
/// lines where it must; to the end of the line where nothing closes it.
fn quoted(place: &Place<'_>, start: usize, escaped: Escaped) -> usize {
    let quote = tail(place.text, start.saturating_sub(1)).chars().next().unwrap_or('"');
    let line = place.line_tail(start);
    let closed = match escaped {
        Escaped::Yes => line.find(quote).map(|at| {
            // The backslash before the closing quote belongs to the quote.
            let value = line.get(..at).unwrap_or(line);
            value.strip_suffix('\\').unwrap_or(value).len()
        }),
        Escaped::No => closing(tail(place.text, start), quote),
    };
    closed.unwrap_or_else(|| unquoted(line, Reach::Line, None))
}

/// Where the first unescaped `quote` stands.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().take_while(|(at, _)| *at < QUOTED_BYTES) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// A value that stands on the lines below: a YAML block, or a line continued by a backslash.
fn below(place: &Place<'_>, at: usize) -> Option<Range<usize>> {
    let text = place.text;
    let here = place.line_tail(at);
    if here.len() > NAME_BYTES {
        return None; // no line ends in a mark so far away
    }
    let mark = here.trim_end_matches(is_blank);
    let mark = mark.rsplit(is_blank).next().unwrap_or(mark);
    let style = |rest: &str| rest.chars().all(|c| matches!(c, '-' | '+' | '0'..='9'));
    let block = mark.strip_prefix(['|', '>']).is_some_and(style);
    if !block && here != "\\" {
        return None;
    }
    let indent = indentation(tail(text, place.line_start));
    let first = place.line_end + 1;
    let mut end = first;
    for next in tail(text, first).split_inclusive('\n') {
        let deeper = indentation(next) > indent || next.trim().is_empty();
        let continued = mark == "\\" && end == first;
        if !(deeper || continued) {
            break;
        }
        end += next.len();
        if mark == "\\" {
            break;
        }
    }
    let body = text.get(first..end)?;
    let start = first + indentation(body);
    Some(start..(first + body.trim_end().len()).max(start))
}

/// The length of an unquoted value at the start of `line`.
fn unquoted(line: &str, reach: Reach, open: Option<char>) -> usize {
    let mut end = line.len();
    let mut before = 'x';
    for (at, c) in line.char_indices() {
        // What follows a run of blanks is looked at once, not once a blank.
        let begins = !is_blank(std::mem::replace(&mut before, c));
        let after = tail(line, at + c.len_utf8());
        let stops = match c {
            _ if Some(c) == open => true,
            _ if is_blank(c) => reach == Reach::Word || (begins && ends_before(after)),
            ',' | ';' | '&' | '|' => {
                begins_pair(after, &['=', ':'])
                    || (reach == Reach::Word && (after.is_empty() || after.starts_with(is_blank)))
            }
            _ => false,
        };
        if stops {
            end = at;
            break;
        }
    }
    let value = line.get(..end).unwrap_or(line).trim_end_matches(is_blank);
    without_closer(value).len()
}

/// Whether a comment or another pair follows a blank.
fn ends_before(after: &str) -> bool {
    let after = after.trim_start_matches(is_blank);
    after.starts_with('#') || begins_pair(after, &['='])
}

/// Whether `text` begins with a name and one of `separators`.
fn begins_pair(text: &str, separators: &[char]) -> bool {
    let text = text.trim_start_matches(is_blank);
    let name = text.char_indices().find(|(at, c)| !in_name(*c) || *at >= NAME_BYTES);
    match name {
        Some((at, c)) => at > 0 && separators.contains(&c) && text.starts_with(char::is_alphabetic),
        None => false,
    }
}

/// A value without a closing bracket that nothing in it opens.
fn without_closer(value: &str) -> &str {
    let mut value = value;
    for _ in 0..CLOSERS {
        let inner = without_one_closer(value);
        if inner.len() == value.len() {
            break;
        }
        value = inner;
    }
    value
}

fn without_one_closer(value: &str) -> &str {
    for (opener, closer) in [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>')] {
        let closes = value.matches(closer).count() > value.matches(opener).count();
        if let (true, Some(inner)) = (closes, value.strip_suffix(closer)) {
            return inner;
        }
    }
    value
}
