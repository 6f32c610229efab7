//! Which lines may hold a secret at all: a quick look that is wrong only towards yes.
//!
//! Most lines of a host hold none, and looking closely at each was two thirds of what a snapshot
//! cost. Every way in which the scanner finds a secret begins with one of these marks, or with a
//! long run of base64. A test compares the scanner with and without this page.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, FindOverlappingIter};

use super::super::key_names;
use super::scanner::{ACCOUNTS, calls};
use super::{phrases, programs, shapes};

/// Marks beside names of secrets, programs, directives and tokens.
const SIGNS: &[&str] = &[
    "netroot=",
    "map $",
    "secure_link_md5",
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
    "{plain}",
    "{clear",
    "bearer",
    "{secret",
    "<<<",
    "encrypt",
    "eq{$",
    "login",
    "$user",
    ":ommysql:",
    ":ompgsql:",
    "_servers",
];

/// One mark, and where it must stand to be one.
pub(super) struct Mark {
    /// Its text; case means nothing.
    pub(super) text: String,
    /// Whether no letter or digit may stand before it.
    pub(super) begins: bool,
    /// Whether none may follow it.
    pub(super) ends: bool,
}

impl Mark {
    /// A mark wherever it stands.
    pub(super) fn anywhere(text: impl Into<String>) -> Self {
        Self { text: text.into(), begins: false, ends: false }
    }

    /// A mark that is a word of its own, or where a star stands, one side of a word.
    pub(super) fn word(text: &str) -> Self {
        let bare = text.trim_matches('*');
        let begins =
            !text.starts_with('*') && bare.starts_with(|c: char| c.is_ascii_alphanumeric());
        let ends = !text.ends_with('*') && bare.ends_with(|c: char| c.is_ascii_alphanumeric());
        Self { text: bare.to_owned(), begins, ends }
    }
}

/// What finds marks, with the sides of each mark by its number.
struct Finder {
    automaton: AhoCorasick,
    /// Whether no letter may stand before, and after.
    sides: Vec<(bool, bool)>,
}

static FINDER: LazyLock<Option<Finder>> = LazyLock::new(|| {
    let anywhere = key_names::marks().map(Mark::anywhere);
    let marks = anywhere
        .chain(SIGNS.iter().map(|sign| Mark::anywhere(*sign)))
        .chain(shapes::prefixes().map(Mark::anywhere))
        .chain(calls::NAMES.iter().map(|(name, _)| Mark::word(name)))
        .chain(ACCOUNTS.iter().map(|name| Mark::word(name)))
        .chain(phrases::marks())
        .chain(programs::marks());
    // A mark that one source of marks knows anywhere stays one anywhere.
    let mut by_text: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for mark in marks {
        let sides = by_text.entry(mark.text.to_ascii_lowercase()).or_insert((true, true));
        *sides = (sides.0 && mark.begins, sides.1 && mark.ends);
    }
    let mut builder = AhoCorasickBuilder::new();
    // Half a megabyte that is a third of the time an automaton without determinism takes.
    builder.ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA));
    let automaton = builder.build(by_text.keys()).ok()?;
    Some(Finder { automaton, sides: by_text.into_values().collect() })
});

/// The marks of a text, line by line.
pub(super) struct Marks<'a> {
    bytes: &'a [u8],
    /// `None` where every line is looked at.
    search: Option<FindOverlappingIter<'static, 'a>>,
    /// Where the next mark stands.
    next: Option<usize>,
}

impl<'a> Marks<'a> {
    /// The marks of `text`.
    pub(super) fn of(text: &'a str) -> Self {
        // Overlapping: a mark inside a word that only looks like one must not hide the next.
        let search = FINDER.as_ref().map(|finder| finder.automaton.find_overlapping_iter(text));
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

    /// Goes to the next mark. No mark holds a line end, so they come line by line.
    fn advance(&mut self) {
        let (Some(search), Some(finder)) = (&mut self.search, &*FINDER) else { return };
        let bytes = self.bytes;
        let letter = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric)
        };
        self.next = search
            .find(|found| {
                let sides = finder.sides.get(found.pattern().as_usize()).copied();
                let (begins, ends) = sides.unwrap_or_default();
                let joined = begins && letter(found.start().checked_sub(1));
                !(joined || ends && letter(Some(found.end())))
            })
            .map(|found| found.start());
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
