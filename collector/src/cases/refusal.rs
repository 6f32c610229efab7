//! What could not be taken, and why.
//!
//! A refusal is data: the reading goes on. Only what leaves nothing to go on with is a
//! [`ReadError`]. Neither repeats a value of the row: a case may be about a person.

use std::fmt;
use std::io;

use super::columns::{is_same, shown};
use super::{CASES, CHANGES, NAME_BYTES, NAMES, REFUSALS, ROW_BYTES};
use crate::change_requests::{SCOPE_BYTES, SCOPE_NAMES, SPAN_DAYS};

/// One row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The line on which the row begins, from 1.
    pub line: u64,
    /// Which column of the row, from 1; `None` where the row as a whole is refused.
    pub column: Option<usize>,
    /// What we call the column.
    pub name: Option<&'static str>,
    /// What the file calls it, or what its source would: bounded, and on one line.
    pub called: Option<String>,
    /// What is wrong with it.
    pub why: Why,
}

impl Refusal {
    /// A row that is refused as a whole.
    pub(super) fn of_row(line: u64, why: Why) -> Self {
        Self { line, column: None, name: None, called: None, why }
    }
}

/// What a column is called in a file, with our name beside it where that is another.
fn both_names(called: Option<&str>, name: &'static str) -> String {
    match called.filter(|called| !is_same(called, name)) {
        Some(called) => format!("{called}, that is {name}"),
        None => name.to_owned(),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        let name = self.name.map(|name| both_names(self.called.as_deref(), name));
        match (self.column, name) {
            (Some(column), Some(name)) => write!(f, ", column {column} ({name})")?,
            (Some(column), None) => write!(f, ", column {column}")?,
            (None, Some(name)) => write!(f, ", column {name}")?,
            (None, None) => {}
        }
        write!(f, ": {}", self.why)
    }
}

/// Why a row was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// A value that must be there is not.
    #[error("is empty")]
    Empty,
    /// No time in any of the forms.
    #[error(
        "is not a time such as 2026-11-22T13:00:00Z, 2026-11-22 13:00 or 22.11.2026 13:00, nor a \
         day such as 2026-11-22 or 22.11.2026"
    )]
    NotATime,
    /// A year that no case has.
    #[error("lies outside the years 1970 to 2199")]
    FarTime,
    /// A case that nobody can have opened yet.
    #[error("lies more than a day in the future; is its timezone the right one?")]
    Future,
    /// Bytes that are no text.
    #[error("is not UTF-8")]
    NotUtf8,
    /// A name that is a text.
    #[error("is longer than {NAME_BYTES} bytes")]
    LongName,
    /// Two members of an object whose names differ in capitals or white space alone.
    #[error("is there twice, in other capitals or with white space around it")]
    Twice,
    /// A site's name that no table can show.
    #[error("holds a tab, the end of a line or another character that no name has")]
    SiteName,
    /// More or fewer columns than the header.
    #[error("the row has {found} columns and the header {expected}")]
    Width {
        /// Columns of this row.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// A row beyond the bound.
    #[error("the row is longer than {ROW_BYTES} bytes or has too many columns; is a quote open?")]
    LongRow,
    /// A field that goes on after its quote.
    #[error("text follows the quote that ends a field; did a quote on this line open by mistake?")]
    Quote,
    /// A window that is no whole number of hours in its bounds.
    #[error("is not a whole number of hours from 1 to 8760")]
    Hours,
    /// An id that is taken.
    #[error("is the id of an earlier change")]
    Repeated,
    /// `*` beside names.
    #[error("says everywhere (*) beside the names of sites")]
    EverywhereAndSome,
    /// A wave without its site or its time.
    #[error("is not a list of site@time separated by spaces or semicolons")]
    Wave,
    /// A site with two times.
    #[error("names a site twice")]
    WaveTwice,
    /// A line that is no JSON object.
    #[error("the line is not a JSON object")]
    NotJson,
    /// A word of a closed list that is not in it.
    #[error("is none of the words it may be; docs/changes.md lists them")]
    NoWord,
    /// A request that ends before it begins.
    #[error("is not after its start")]
    NotAfter,
    /// A request that permits for ever.
    #[error("is more than {SPAN_DAYS} days after its start")]
    LongSpan,
    /// More text than the names of a request are.
    #[error("has names of more than {SCOPE_BYTES} bytes in all")]
    LongNames,
    /// A request that concerns nobody.
    #[error("names no host, service, site, group, source, part or key, so it concerns nobody")]
    NoScope,
    /// A request that would be of every host, and does not say so.
    #[error(
        "names no host (nor a service, site or group), so its items would be covered on every \
         host; if that is meant, its hosts are *"
    )]
    NoPlace,
    /// Every host, and no item of them.
    #[error("names no source, part or key, and hosts * speaks of items on every host only")]
    NoItem,
    /// A list that the configuration names and an object does not have.
    #[error(
        "is not there, though the configuration names it, and without it the request would cover \
         more; send it, null or empty where nothing is meant, or take it out of `columns`"
    )]
    Absent,
    /// More names than a request has.
    #[error("names more than {SCOPE_NAMES} of them")]
    ManyNames,
    /// A JSON value that is neither text nor a whole number.
    #[error("is neither a text nor a whole number")]
    NotText,
}

/// How many refusals a sentence names: enough to see whether they are of one kind.
const TOLD: usize = 3;

/// What was refused: the first of them by name, all of them by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// The first ones, at most [`REFUSALS`].
    pub first: Vec<Refusal>,
    /// How many there were.
    pub total: u64,
}

impl Refusals {
    /// What was refused of so many `rows` of a kind, in a sentence that names the first of them;
    /// nothing where nothing was.
    pub fn sentence(&self, rows: u64, kind: &str) -> Option<String> {
        let told: Vec<String> = self.first.iter().take(TOLD).map(ToString::to_string).collect();
        let more = self.total.saturating_sub(told.len() as u64);
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        let total = self.total;
        (total > 0).then(|| format!("{total} of {rows} {kind} refused; {}{more}", told.join("; ")))
    }

    /// Counts `refusal`, and remembers it while there is room.
    pub(super) fn push(&mut self, refusal: Refusal) {
        self.total += 1;
        if self.first.len() < REFUSALS {
            self.first.push(refusal);
        }
    }
}

impl ReadError {
    /// A header that names a column twice, once of them as `called`.
    pub(super) fn twice(called: &str, name: &'static str) -> Self {
        Self::Twice { column: both_names(Some(&shown(called)), name) }
    }
}

/// Why a file as a whole could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The reader failed.
    #[error("reading on after line {line}")]
    Input {
        /// How many lines had been read.
        line: u64,
        /// What the reader said.
        source: io::Error,
    },
    /// Two bytes a character.
    #[error("the text is UTF-16, and UTF-8 is read; save it as UTF-8 (Excel: CSV UTF-8)")]
    Utf16,
    /// Not even a header.
    #[error("there is no header line")]
    NoHeader,
    /// Columns without which nothing can be said.
    #[error("the header (line 1) lacks the column {column}; it must name {required}")]
    Lacks {
        /// The first one missing.
        column: &'static str,
        /// All that must be there.
        required: String,
    },
    /// Two columns of one name.
    #[error("the header (line 1) names the column {column} twice")]
    Twice {
        /// What it is called in the file, and by us.
        column: String,
    },
    /// A column that the configuration names, and that is not there under our name either.
    #[error(
        "the header (line 1) has neither the column {mapped}, which the configuration names for \
         {column}, nor {column}"
    )]
    Neither {
        /// What we call it.
        column: &'static str,
        /// What the configuration calls it, as much of it as is shown.
        mapped: String,
    },
    /// More names than a column of names has.
    #[error("line {line}: a column has more than {NAMES} different names; is it the right one?")]
    Names {
        /// The line of the name too many.
        line: u64,
    },
    /// More cases than fit.
    #[error("line {line}: there are more than {CASES} cases")]
    Cases {
        /// The line of the case too many.
        line: u64,
    },
    /// More changes than fit.
    #[error("line {line}: there are more than {CHANGES} changes")]
    Changes {
        /// The line of the change too many.
        line: u64,
    },
}
