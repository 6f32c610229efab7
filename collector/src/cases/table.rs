//! Rows under a header: which sign separates the columns, and where those that are wanted stand.
//!
//! Commas separate, unless the header makes sense only with semicolons, which spreadsheets write
//! where a comma stands in numbers, or with tabs. The header alone decides, so a file is read in
//! one way whatever follows.

use std::borrow::Cow;
use std::io::{BufRead, Read};

use super::columns::{Wanted, is_same, shown};
use super::refusal::{ReadError, Why};
use super::rows::{Fields, Rows};
use super::start::Start;

/// What may separate columns; the first with which a header has all it must have is taken.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// The rows of a file, and what its header says.
pub(super) struct Table<R> {
    rows: Rows<R>,
    width: usize,
    places: Vec<Option<usize>>,
    /// What the columns are called.
    names: Vec<String>,
    /// What columns are called that are not wanted.
    pub(super) others: Vec<String>,
}

/// One row.
pub(super) struct TableRow<'a> {
    /// The line it begins on, from 1.
    pub(super) line: u64,
    /// Its values, or why it has none.
    pub(super) values: Result<Values<'a>, Why>,
}

/// The values of a row that are wanted, each by its place among them.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    fields: Fields<'a>,
    places: &'a [Option<usize>],
    names: &'a [String],
}

impl<'a> Values<'a> {
    /// The value at `place`, without white space around it; empty where there is none.
    pub(super) fn at(self, place: usize) -> &'a [u8] {
        self.places.get(place).copied().flatten().map_or(&[], |at| self.fields.at(at))
    }

    /// Which column that is, from 1.
    pub(super) fn column(self, place: usize) -> Option<usize> {
        self.places.get(place).copied().flatten().map(|at| at + 1)
    }

    /// What that column is called in the file.
    pub(super) fn called(self, place: usize) -> Option<&'a str> {
        let at = self.places.get(place).copied().flatten()?;
        self.names.get(at).map(String::as_str)
    }
}

/// Reads the header of a file.
///
/// # Errors
/// [`ReadError`] when there is none, or when it lacks a column or has it twice.
pub(super) fn open<R: Read>(
    start: Start<R>,
    wanted: &[Wanted],
) -> Result<Table<impl BufRead>, ReadError> {
    let separator = separator(start.first(), wanted);
    let mut rows = Rows::new(start.whole(), separator);
    let header = rows.next()?.and_then(|row| row.fields.ok()).ok_or(ReadError::NoHeader)?;
    let (width, places) = (header.len(), places(header, wanted)?);
    let names: Vec<String> = (0..width).map(|at| shown(&name(header, at))).collect();
    let other = |(at, _): &(usize, &String)| !places.contains(&Some(*at));
    let others = names.iter().enumerate().filter(other).map(|(_, name)| name.clone()).collect();
    Ok(Table { rows, width, places, names, others })
}

impl<R: BufRead> Table<R> {
    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError::Input`] when the reader fails.
    pub(super) fn next(&mut self) -> Result<Option<TableRow<'_>>, ReadError> {
        let Some(row) = self.rows.next()? else { return Ok(None) };
        let (places, names) = (&self.places, &self.names);
        let values = row.fields.and_then(|fields| match fields.len() {
            found if found == self.width => Ok(Values { fields, places, names }),
            found => Err(Why::Width { found, expected: self.width }),
        });
        Ok(Some(TableRow { line: row.line, values }))
    }
}

/// What separates the columns of a file that begins with `first`. Where the header lacks something
/// whatever separates, the sign that gives it most columns: what it lacks is told then.
fn separator(first: &[u8], wanted: &[Wanted]) -> u8 {
    let mut best = (0, SEPARATORS[0]);
    for separator in SEPARATORS {
        let mut rows = Rows::new(first, separator);
        let Some(header) = rows.next().ok().flatten().and_then(|row| row.fields.ok()) else {
            continue;
        };
        let has = |one: &Wanted| !find(header, one, wanted).is_empty();
        if wanted.iter().filter(|one| one.required).all(has) {
            return separator;
        }
        if header.len() > best.0 {
            best = (header.len(), separator);
        }
    }
    best.1
}

/// Where each wanted column stands.
fn places(header: Fields<'_>, wanted: &[Wanted]) -> Result<Vec<Option<usize>>, ReadError> {
    let place = |one: &Wanted| match find(header, one, wanted).as_slice() {
        [at] => Ok(Some(*at)),
        [at, _, ..] => Err(ReadError::twice(&name(header, *at), one.name)),
        [] if one.is_mapped() => {
            Err(ReadError::Neither { column: one.name, mapped: shown(&one.column) })
        }
        [] if one.required => {
            let required = wanted.iter().filter(|one| one.required);
            let required: Vec<&str> = required.map(|one| one.column.as_str()).collect();
            Err(ReadError::Lacks { column: one.name, required: required.join(", ") })
        }
        [] => Ok(None),
    };
    wanted.iter().map(place).collect()
}

/// Where columns of the name of `one` stand, or else of the name that is looked for instead.
fn find(header: Fields<'_>, one: &Wanted, all: &[Wanted]) -> Vec<usize> {
    let called = |wanted: &str| -> Vec<usize> {
        (0..header.len()).filter(|at| is_same(&name(header, *at), wanted)).collect()
    };
    let found = called(&one.column);
    match one.instead(all).filter(|_| found.is_empty()) {
        Some(instead) => called(instead),
        None => found,
    }
}

fn name(header: Fields<'_>, at: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(header.at(at))
}
