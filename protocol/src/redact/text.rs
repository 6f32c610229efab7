//! Secrets inside free text: URL user info, `name=value` pairs, tokens, key blocks.
//!
//! One pass over the text, with bounded looks ahead and no backtracking, so that no text costs more
//! than a constant per byte. It knows no format and errs towards hiding: an unquoted value of a
//! secret name at the start of a line runs to the end of the line, and a password in a URL to the
//! last `@`.
//!
//! Invariant: redacting twice under one key changes nothing, since a marker of that key that is the
//! whole of what would be hidden is left, and passes go on until none finds anything. A marker of
//! another key is text like any other and hidden. What a token looks like stands in
//! `shapes`, what a value is in `values`.

mod marks;
mod phrases;
mod programs;
mod scanner;
mod shapes;
mod values;
mod words;

use std::borrow::Cow;
use std::ops::Range;

use super::Redactor;
use crate::limits;

/// How often a text is looked at. A block that becomes one marker can bring a name and a value
/// together, so passes go on until nothing is found; two suffice for anything but text made to need
/// more.
const PASSES: usize = 8;

/// A single word shorter than this, of letters, digits and the signs of paths and versions, is no
/// token, holds no name with a value and no URL: most values of a host end here.
const WORD_BYTES: usize = 16;

fn is_plain_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/+%-".contains(&byte);
    text.len() < WORD_BYTES && !text.starts_with('-') && text.bytes().all(plain)
}

/// Whether each segment of a key, as it is escaped, is such a word.
pub(super) fn are_plain_words(key: &str) -> bool {
    !key.contains('~') && key.split('/').all(is_plain_word)
}

/// Where the first pass finds secrets in `text`.
pub(super) fn secrets(redactor: &Redactor, text: &str) -> Vec<Range<usize>> {
    if is_plain_word(text) { Vec::new() } else { scanner::secrets(text, redactor.key_id()) }
}

/// Replaces each secret inside `text` by its fingerprint.
pub(super) fn redact<'a>(redactor: &Redactor, text: &'a str) -> Cow<'a, str> {
    if is_plain_word(text) {
        return Cow::Borrowed(text);
    }
    let mut redacted = Cow::Borrowed(text);
    for _ in 0..PASSES {
        let secrets = scanner::secrets(&redacted, redactor.key_id());
        if secrets.is_empty() {
            break;
        }
        redacted = Cow::Owned(replace(redactor, &redacted, secrets));
    }
    redacted
}

/// As [`redact`], for the value of a setting whose name decides what inside it is a secret.
pub(super) fn redact_named(redactor: &Redactor, name: &str, text: &str) -> String {
    let prefix = format!("{name}: ");
    let whole = format!("{prefix}{text}");
    let redacted = redact(redactor, &whole);
    redacted.strip_prefix(&prefix).unwrap_or(&redacted).to_owned()
}

/// Replaces each secret inside text of several lines, key blocks included; a line too long to be
/// shown becomes a fingerprint as a whole.
pub(super) fn redact_lines(redactor: &Redactor, lines: Vec<String>) -> Vec<String> {
    let bounded = |line: String| {
        let cut = line.len() > limits::ITEM_TEXT_BYTES;
        if cut { redactor.fingerprint(line.as_bytes()).to_string() } else { line }
    };
    let text = lines.into_iter().map(bounded).collect::<Vec<_>>().join("\n");
    if text.is_empty() {
        return Vec::new();
    }
    redact(redactor, &text).split('\n').map(str::to_owned).collect()
}

/// What stands for the program before a list of arguments.
const BEFORE_ARGUMENTS: &str = "x ";

/// Replaces each secret inside a list of arguments, read as one command line.
pub(super) fn redact_arguments(redactor: &Redactor, arguments: &[&str]) -> Vec<String> {
    let mut redacted: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    for _ in 0..PASSES {
        // Behind another word a name's value is one word, not the rest of the line.
        let line = format!("{BEFORE_ARGUMENTS}{}", redacted.join(" "));
        let secrets = scanner::secrets(&line, redactor.key_id());
        let mut start = BEFORE_ARGUMENTS.len();
        let mut same = true;
        for argument in &mut redacted {
            let end = start + argument.len();
            let inside = secrets.iter().filter(|secret| secret.start < end && secret.end > start);
            // A value that is an argument of its own may hold blanks.
            let clip = |secret: &Range<usize>| {
                let from = secret.start.max(start) - start;
                let to = if from == 0 { end } else { secret.end.min(end) };
                from..to - start
            };
            let inside: Vec<_> = inside.map(clip).collect();
            start = end + 1;
            let next = replace(redactor, argument, inside);
            same &= next == *argument;
            *argument = next;
        }
        if same {
            break;
        }
    }
    redacted
}

fn replace(redactor: &Redactor, text: &str, mut secrets: Vec<Range<usize>>) -> String {
    secrets.sort_unstable_by_key(|secret| (secret.start, secret.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(secrets.len());
    for secret in secrets {
        match merged.last_mut() {
            Some(before) if secret.start < before.end => before.end = before.end.max(secret.end),
            _ => merged.push(secret),
        }
    }
    let mut redacted = String::with_capacity(text.len());
    let mut done = 0;
    for secret in merged {
        redacted.push_str(text.get(done..secret.start).unwrap_or_default());
        let hidden = text.get(secret.clone()).unwrap_or_default();
        redacted.push_str(&redactor.fingerprint(hidden.as_bytes()).to_string());
        done = secret.end;
    }
    redacted.push_str(text.get(done..).unwrap_or_default());
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::KeyId;
    use proptest::prelude::*;

    /// Lines without a mark are passed over; that must hide nothing from the scanner.
    #[test]
    fn no_secret_stands_in_a_line_without_a_mark() {
        let key = KeyId([7; 8]);
        let tables =
            [include_str!("../../fixtures/secrets.txt"), include_str!("../../fixtures/plain.txt")];
        for text in tables {
            for line in text.lines().map(|line| line.replace(['§', '¶'], "kAn4ry-Tw33t")) {
                let line = line.replace('⏎', "\n");
                let quick = scanner::found(&line, key, marks::Marks::of(&line));
                let whole = scanner::found(&line, key, marks::Marks::everywhere(&line));
                assert_eq!(quick, whole, "{line:?}");
            }
        }
    }

    /// The words of the tables, as lines hold them.
    fn words() -> Vec<String> {
        let tables =
            [include_str!("../../fixtures/secrets.txt"), include_str!("../../fixtures/plain.txt")];
        let words = tables.iter().flat_map(|text| text.split([' ', '\n', '⏎']));
        words.map(|word| word.replace(['§', '¶'], "kAn4ry-Tw33t")).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

        /// As above, for lines that nobody wrote.
        #[test]
        fn no_secret_stands_in_a_made_line_without_a_mark(
            line in proptest::collection::vec(
                (proptest::sample::select(words()), proptest::sample::select(
                    vec![" ", " ", " ", "=", ": ", ":", "\t", "\n", "/", "\"", ", ", "-", "."],
                )),
                1..6,
            ),
        ) {
            let key = KeyId([7; 8]);
            let words = line.into_iter().flat_map(|(word, sign)| [word, sign.into()]);
            let line: String = words.collect();
            let quick = scanner::found(&line, key, marks::Marks::of(&line));
            let whole = scanner::found(&line, key, marks::Marks::everywhere(&line));
            prop_assert_eq!(quick, whole, "{:?}", line);
        }
    }

    proptest! {
        #[test]
        fn a_plain_word_holds_no_secret_by_the_long_way_either(
            text in "[A-Za-z0-9_./+%-]{0,15}|AKIA[A-Z0-9]{0,11}|(ghp_|eyJ)[A-Za-z0-9.]{0,11}",
        ) {
            prop_assume!(is_plain_word(&text));
            let found = scanner::secrets(&text, KeyId([7; 8]));
            prop_assert!(found.is_empty(), "{text:?} is taken for a secret");
        }
    }
}
