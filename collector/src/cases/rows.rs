//! Separated rows (RFC 4180, with whatever separator) from a reader, in bounded memory.
//!
//! The machine of `csv-core` fills buffers of ours, so that a row that never ends costs no more
//! than a row; the `csv` crate above it grows its own. Quoted fields may hold separators, quotes
//! and line ends; lines end with LF or CRLF; blank lines are skipped. A row whose field goes on
//! after its quote is refused: an inch sign that opens a quote swallows rows until the next one,
//! and what comes of it looks like a row. It does not know what a column means.

use std::io::BufRead;

use csv_core::ReadRecordResult;

use super::refusal::{ReadError, Why};
use super::{COLUMNS, ROW_BYTES};

/// Rows of a reader.
pub(super) struct Rows<R> {
    reader: R,
    machine: csv_core::Reader,
    separator: u8,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// How many line ends were passed.
    lines: u64,
    quotes: Quotes,
}

/// One row.
pub(super) struct Row<'a> {
    /// The line it begins on, from 1.
    pub(super) line: u64,
    /// Its fields, or why it has none.
    pub(super) fields: Result<Fields<'a>, Why>,
}

/// The fields of one row.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    text: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    /// How many there are.
    pub(super) fn len(self) -> usize {
        self.ends.len()
    }

    /// The field at `index`, without white space around it; empty if the row has none there.
    pub(super) fn at(self, index: usize) -> &'a [u8] {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = start.copied().unwrap_or(0);
        let end = self.ends.get(index).copied().unwrap_or(start);
        self.text.get(start..end).unwrap_or_default().trim_ascii()
    }
}

impl<R: BufRead> Rows<R> {
    pub(super) fn new(reader: R, separator: u8) -> Self {
        Self {
            reader,
            machine: csv_core::ReaderBuilder::new().delimiter(separator).build(),
            separator,
            text: vec![0; ROW_BYTES],
            ends: vec![0; COLUMNS],
            lines: 0,
            quotes: Quotes::Before,
        }
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError::Input`] when the reader fails.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, ReadError> {
        self.skip_blank()?;
        let line = self.lines + 1;
        let (mut text, mut ends, mut whole) = (0, 0, true);
        self.quotes = Quotes::Before;
        loop {
            let lines = self.lines;
            let input = self.reader.fill_buf();
            let input = input.map_err(|source| ReadError::Input { line: lines, source })?;
            let room = self.text.get_mut(text..).unwrap_or_default();
            let places = self.ends.get_mut(ends..).unwrap_or_default();
            let (result, read, written, ended) = self.machine.read_record(input, room, places);
            let passed = input.get(..read).unwrap_or_default();
            self.lines += line_ends(passed);
            let after = |quotes: Quotes, byte: &u8| quotes.after(*byte, self.separator);
            self.quotes = passed.iter().fold(self.quotes, after);
            self.reader.consume(read);
            text += written;
            ends += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    (text, ends, whole) = (0, 0, false);
                }
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        let text = self.text.get(..text).unwrap_or_default();
        let ends = self.ends.get(..ends).unwrap_or_default();
        let fields = match (whole, self.quotes) {
            (false, _) => Err(Why::LongRow),
            (true, Quotes::Broken) => Err(Why::Quote),
            (true, _) => Ok(Fields { text, ends }),
        };
        Ok(Some(Row { line, fields }))
    }

    /// Passes over what stands before a row, so that the row's line is its own.
    fn skip_blank(&mut self) -> Result<(), ReadError> {
        loop {
            let line = self.lines;
            let input = self.reader.fill_buf();
            let input = input.map_err(|source| ReadError::Input { line, source })?;
            let blank = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.lines += line_ends(input.get(..blank).unwrap_or_default());
            self.reader.consume(blank);
            if blank == 0 {
                return Ok(());
            }
        }
    }
}

/// Where in a field a row stands, as far as quotes matter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// At the beginning of a field.
    Before,
    /// In a field that no quote opened.
    Plain,
    /// Between the quotes of a field.
    Inside,
    /// After a quote that ends the field, or that is the first of two that stand for one.
    After,
    /// A field went on after the quote that ended it.
    Broken,
}

impl Quotes {
    fn after(self, byte: u8, separator: u8) -> Self {
        match (self, byte) {
            (Self::Broken, _) => Self::Broken,
            (Self::Before | Self::After, b'"') => Self::Inside,
            (Self::Inside, b'"') => Self::After,
            (Self::Inside, _) => Self::Inside,
            (Self::Before | Self::Plain | Self::After, byte)
                if byte == separator || matches!(byte, b'\r' | b'\n') =>
            {
                Self::Before
            }
            // Blanks after a quote are nobody's text.
            (Self::After, b' ' | b'\t') => Self::After,
            (Self::After, _) => Self::Broken,
            (Self::Before | Self::Plain, _) => Self::Plain,
        }
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
