//! Which lines may hold a secret at all: a quick look that is wrong only towards yes.
//!
//! Most lines of a host hold none, and looking closely at each was two thirds of what a snapshot
//! cost. Every way in which the scanner finds a secret begins with one of these marks, or with a
//! long run of base64. A test compares the scanner with and without this page.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, FindIter};

use super::super::key_names;
use super::{phrases, programs, shapes};

/// Marks beside names of secrets, programs, directives and tokens.
const SIGNS: &[&str] = &[
    "-----begin",
    "://",
    "@",
    "dsn",
    "{sha",
    "{ssha",
    "{smd5",
    "{md5",
    "{crypt",
    "{pbkdf2",
    "{argon2",
    "{bcrypt",
    "bearer",
    "{secret",
    "<<<",
];

static AUTOMATON: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let names = key_names::marks().map(str::to_owned);
    let words = phrases::first_words().map(str::to_owned).chain(programs::marks());
    let marks: std::collections::BTreeSet<String> = names
        .chain(SIGNS.iter().map(|sign| (*sign).to_owned()))
        .chain(words)
        .chain(shapes::prefixes())
        .map(|mark| mark.to_ascii_lowercase())
        .collect();
    let mut builder = AhoCorasickBuilder::new();
    // A deterministic automaton of so many words takes megabytes.
    builder.ascii_case_insensitive(true).kind(Some(AhoCorasickKind::ContiguousNFA));
    builder.build(marks).ok()
});

/// The marks of a text, line by line.
pub(super) struct Marks<'a> {
    bytes: &'a [u8],
    /// `None` where every line is looked at.
    search: Option<FindIter<'static, 'a>>,
    /// Where the next mark stands.
    next: Option<usize>,
}

impl<'a> Marks<'a> {
    /// The marks of `text`.
    pub(super) fn of(text: &'a str) -> Self {
        let search = AUTOMATON.as_ref().map(|automaton| automaton.find_iter(text));
        let mut marks = Self { bytes: text.as_bytes(), search, next: None };
        marks.advance();
        marks
    }

    /// Every line of `text` holds one.
    #[cfg(test)]
    pub(super) fn everywhere(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), search: None, next: None }
    }

    /// Whether the line `span` may hold a secret; lines must be asked for in their order.
    pub(super) fn any_in(&mut self, span: Range<usize>) -> bool {
        if self.search.is_none() {
            return true;
        }
        while self.next.is_some_and(|next| next < span.start) {
            self.advance();
        }
        self.next.is_some_and(|next| next < span.end) || self.bytes.get(span).is_some_and(has_run)
    }

    fn advance(&mut self) {
        let found = self.search.as_mut().and_then(Iterator::next);
        self.next = found.map(|found| found.start());
    }
}

/// Whether a line holds a run of base64 that is long enough for a token, or letters beyond ASCII,
/// which may be ASCII in lower case.
fn has_run(line: &[u8]) -> bool {
    let mut length = 0;
    line.iter().any(|byte| {
        let letter = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-');
        length = if letter { length + 1 } else { 0 };
        length >= shapes::RANDOM_CHARACTERS || !byte.is_ascii()
    })
}
