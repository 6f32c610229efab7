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

impl Mark {
    /// Whether it stands at `start` of `line`.
    fn stands_at(&self, line: &[u8], start: usize) -> bool {
        let end = start + self.text.len();
        let letter = |at: Option<usize>| {
            at.and_then(|at| line.get(at)).is_some_and(u8::is_ascii_alphanumeric)
        };
        let joined = self.begins && letter(start.checked_sub(1)) || self.ends && letter(Some(end));
        let text = line.get(start..end);
        !joined && text.is_some_and(|text| text.eq_ignore_ascii_case(self.text.as_bytes()))
    }
}

/// How much of each mark the automaton knows. The rest is compared where its beginning was found,
/// which is seldom: an automaton of whole marks is three times as large, and no faster.
const HEAD_BYTES: usize = 4;

/// What finds marks: an automaton of their heads, and the marks of each head.
struct Finder {
    automaton: AhoCorasick,
    marks: Vec<Vec<Mark>>,
}

impl Finder {
    fn of(marks: impl Iterator<Item = Mark>) -> Option<Self> {
        // A mark that one source of marks knows anywhere stays one anywhere.
        let mut by_text: BTreeMap<String, Mark> = BTreeMap::new();
        for mark in marks {
            let text = mark.text.to_ascii_lowercase();
            let known = Mark { text: text.clone(), begins: true, ends: true };
            let known = by_text.entry(text).or_insert(known);
            known.begins &= mark.begins;
            known.ends &= mark.ends;
        }
        let mut by_head: BTreeMap<Vec<u8>, Vec<Mark>> = BTreeMap::new();
        for mark in by_text.into_values() {
            let head = mark.text.bytes().take(HEAD_BYTES).collect();
            by_head.entry(head).or_default().push(mark);
        }
        let mut builder = AhoCorasickBuilder::new();
        // A third of the time that an automaton without determinism takes.
        builder.ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA));
        let automaton = builder.build(by_head.keys()).ok()?;
        Some(Self { automaton, marks: by_head.into_values().collect() })
    }
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
    Finder::of(marks)
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
        self.next = search
            .find(|found| {
                let marks = finder.marks.get(found.pattern().as_usize());
                marks.into_iter().flatten().any(|mark| mark.stands_at(bytes, found.start()))
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
