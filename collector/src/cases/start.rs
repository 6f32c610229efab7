//! How a file begins: which encoding it has, and its first row, which tells its form.
//!
//! The first row is looked at before it is read, whatever pieces the reader gives it in, and with
//! the lines that go on between quotes.

use std::io::{BufRead, BufReader, Cursor, Read};

use super::refusal::ReadError;
use super::{CHUNK_BYTES, ROW_BYTES};

/// The mark some programs put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file whose first row is known.
pub(super) struct Start<R> {
    /// All to the end of the first row that says anything, or as much of it as a row may have.
    first: Vec<u8>,
    rest: BufReader<R>,
}

/// Reads the beginning of `reader`, past its byte order mark.
///
/// # Errors
/// [`ReadError::Input`] when the reader fails, [`ReadError::Utf16`] for text that is none to us.
pub(super) fn begin<R: Read>(reader: R) -> Result<Start<R>, ReadError> {
    let mut rest = BufReader::with_capacity(CHUNK_BYTES, reader);
    let (mut first, mut quoted) = (Vec::new(), false);
    loop {
        let before = first.len();
        let mut bounded = rest.by_ref().take(ROW_BYTES as u64);
        let read = bounded.read_until(b'\n', &mut first);
        let read = read.map_err(|source| ReadError::Input { line: 0, source })?;
        if is_utf16(&first) {
            return Err(ReadError::Utf16);
        }
        if before == 0 && first.starts_with(BYTE_ORDER_MARK) {
            first.drain(..BYTE_ORDER_MARK.len());
        }
        quoted ^= turns(first.get(before..).unwrap_or_default());
        let says = first.trim_ascii_start().first();
        // Lines of JSON are whole as they are.
        let whole = says.is_some_and(|sign| !quoted || matches!(sign, b'{' | b'['));
        if read == 0 || whole || first.len() >= ROW_BYTES {
            return Ok(Start { first, rest });
        }
    }
}

/// Whether a line opens a quote that goes on, or ends one.
fn turns(line: &[u8]) -> bool {
    line.iter().filter(|byte| **byte == b'"').count() % 2 == 1
}

/// Whether text of ASCII in two bytes a character begins so, with its mark or without.
fn is_utf16(start: &[u8]) -> bool {
    match start {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [0, a, 0, b, ..] | [a, 0, b, 0, ..] => *a != 0 && *b != 0,
        _ => false,
    }
}

impl<R: Read> Start<R> {
    /// The first byte that is no blank.
    pub(super) fn sign(&self) -> Option<u8> {
        self.first.trim_ascii_start().first().copied()
    }

    /// The first row, and blank lines before it.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// All of it, from its beginning.
    pub(super) fn whole(self) -> impl BufRead {
        Cursor::new(self.first).chain(self.rest)
    }
}
