//! What formats of lines share: bytes to text, text to lines, comments, continuations, values.
//!
//! Knows no format. Everything here is total: any bytes give some text, and different bytes give
//! different text up to what a line end, a byte-order mark and trailing blanks are.

use std::borrow::Cow;

use driftline_protocol::item::ItemValue;

/// The longest name that a format repeats with each line below it, in bytes: without a bound, what
/// is kept grows with the square of the file. Beyond it the file is malformed.
pub const HEADER_BYTES: usize = 4 * 1024;

/// What a name beyond [`HEADER_BYTES`] is told as.
pub const LONG_HEADER: &str = "a name above other lines is longer than any is";

/// White space inside a line. `char::is_whitespace` would take a no-break space for a separator,
/// which no reader of configuration does.
pub const BLANKS: [char; 5] = [' ', '\t', '\r', '\x0b', '\x0c'];

/// In a file with more than this share of bytes that are no UTF-8, in percent, nothing is text.
/// Latin-1 prose stays under 10.
const INVALID_PERCENT: usize = 30;

/// Whether bytes that begin with `head` are no text: a NUL, or mostly no UTF-8.
pub fn is_binary(head: &[u8]) -> bool {
    if head.contains(&0) {
        return true; // nearly every binary file, without a look at its characters
    }
    let invalid: usize = head.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    // A character cut at the end of the head is no fault of the file.
    invalid.saturating_sub(3) * 100 > head.len() * INVALID_PERCENT
}

/// The text of a file, without a byte-order mark.
///
/// Bytes that are no UTF-8 become `\xNN`; in a text that has any, a literal `\x` becomes `\x5cx`,
/// so that no two files give one text.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 4);
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace("\\x", "\\x5cx"));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(text)
}

/// The lines of `text` counted from 1, without their ends and trailing blanks.
pub fn numbered(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..).zip(text.lines().map(|line| line.trim_end_matches(BLANKS)))
}

/// The lines of `text` that say something: trimmed, not empty, not beginning with one of `marks`.
pub fn meaningful<'a>(
    text: &'a str,
    marks: &'static [char],
) -> impl Iterator<Item = (u32, &'a str)> {
    numbered(text)
        .map(|(number, line)| (number, line.trim_matches(BLANKS)))
        .filter(move |(_, line)| !line.is_empty() && !line.starts_with(marks))
}

/// The lines of `text` with every line that ends in an odd number of backslashes joined to the next
/// by one space, each with the number of its first line.
///
/// A line whose first character is one of `marks` is a comment to its end and continues nowhere; it
/// ends no continuation either way round.
pub fn continued<'a>(text: &'a str, marks: &[char]) -> Vec<(u32, Cow<'a, str>)> {
    let mut joined: Vec<(u32, Cow<'a, str>)> = Vec::new();
    let mut open = false;
    for (number, line) in numbered(text) {
        let comment = !open && line.trim_start_matches(BLANKS).starts_with(marks);
        let slashes = line.len() - line.trim_end_matches('\\').len();
        let continues = !comment && slashes % 2 == 1;
        let piece = if continues { line.strip_suffix('\\').unwrap_or(line) } else { line };
        match joined.last_mut() {
            Some((_, before)) if open => {
                let before = before.to_mut();
                before.truncate(before.trim_end_matches(BLANKS).len());
                before.push(' ');
                before.push_str(piece.trim_start_matches(BLANKS));
            }
            _ => joined.push((number, Cow::Borrowed(piece))),
        }
        open = continues;
    }
    joined
}

/// `line` without a comment that begins with `mark` at its start or after a blank, outside quotes.
pub fn without_comment(line: &str, mark: char) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open && before != '\\' => quote = None,
            Some(_) => {}
            None if c == mark && BLANKS.contains(&before) => {
                return line.get(..at).unwrap_or(line).trim_end_matches(BLANKS);
            }
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
        before = c;
    }
    line
}

/// The words of a line, separated by blanks.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(BLANKS).filter(|word| !word.is_empty())
}

/// The first word of a line and the rest, trimmed; the rest is empty when there is one word.
pub fn first_word(line: &str) -> (&str, &str) {
    let line = line.trim_matches(BLANKS);
    match line.split_once(BLANKS) {
        Some((first, rest)) => (first, rest.trim_start_matches(BLANKS)),
        None => (line, ""),
    }
}

/// A scalar as configuration writes it: an integer where the text is that integer's one form, else
/// text.
///
/// `022` stays text (a mode has its own form) and so does `yes`: which words mean yes differs from
/// program to program.
pub fn scalar(text: &str) -> ItemValue {
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => ItemValue::Integer(number),
        _ => ItemValue::text(text),
    }
}

/// The words of a line as an ordered list of texts.
pub fn word_list(line: &str) -> ItemValue {
    ItemValue::List(words(line).map(ItemValue::text).collect())
}

/// Whether `path` lies directly in `directory` and its name ends in `suffix`.
pub fn is_in(path: &str, directory: &str, suffix: &str) -> bool {
    path.strip_prefix(directory)
        .and_then(|rest| rest.strip_prefix('/'))
        .is_some_and(|name| !name.is_empty() && !name.contains('/') && name.ends_with(suffix))
}

/// How names of copies end that packages and admins keep beside a file.
const COPIES: &[&str] = &[".default", ".dist", ".example", ".orig", ".sample", ".template"];

/// The path of the file that `path` is a copy or a sample of; `path` itself where it is none.
pub fn original(path: &str) -> &str {
    COPIES.iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path)
}
