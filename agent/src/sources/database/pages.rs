//! The rows of one table of SQLite, read page by page from what is held open.
//!
//! Described in "Database File Format", sections 1.3 to 2.6 (sqlite.org/fileformat2.html). A table
//! is a tree of pages: an interior page (5) names others, a leaf page (13) holds rows, and a row
//! that is too long for its page goes on in a chain of others. The first page is the root of the
//! table `sqlite_schema`, which names the root of each other one. Numbers are in network order.
//!
//! No statement is run, so a view, a virtual table or a column that is computed is nothing here,
//! and a file says nothing that takes more than its own length to read. Nothing is believed: each
//! page of a walk is read once at most, and one row is in memory at a time. Indexes, and tables
//! `WITHOUT ROWID`, are not read.

use std::io::{Read, Seek, SeekFrom};

use driftline_protocol::snapshot::Reason;

/// What a database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The header of the file, which stands before that of the first page.
pub(super) const HEAD: usize = 100;

/// The least bytes of a page that may be used.
const USABLE: usize = 480;

const INTERIOR: u8 = 5;
const LEAF: u8 = 13;

/// The most bytes of a row; SQLite's own bound is 1,000,000,000.
pub const ROW_BYTES: usize = 64 * 1024 * 1024;

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing, or the number of the row.
    Null,
    /// A whole number.
    Integer(i64),
    /// The eight bytes of a number with a fraction.
    Real(&'a [u8]),
    /// A text, in the encoding of the database.
    Text(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
}

/// A row, as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a>(&'a [u8]);

/// Gives `take` each row of the table named `table` of the database in `file`.
///
/// # Errors
/// [`Reason::Malformed`] where it is no database, is damaged, or has no such table;
/// [`Reason::TooLarge`] beyond [`ROW_BYTES`]; [`Reason::Failed`] where it cannot be read; else what
/// `take` refuses.
pub fn rows(
    file: &mut (impl Read + Seek),
    table: &str,
    take: &mut dyn FnMut(Row<'_>) -> Result<(), Reason>,
) -> Result<(), Reason> {
    let mut pages = Pages::of(file)?;
    let mut root = None;
    pages.walk(1, &mut |row| {
        let is_table = row.column(0) == Some(Value::Text(b"table"));
        let Some(Value::Text(name)) = row.column(1) else { return Ok(()) };
        if !name.eq_ignore_ascii_case(table.as_bytes()) {
            return Ok(());
        }
        let place = match row.column(3) {
            Some(Value::Integer(place)) if is_table => u32::try_from(place).ok(),
            _ => None,
        };
        // A view and a virtual table have no root, and two of one name no meaning.
        let place = place.filter(|place| *place > 1 && root.is_none());
        root = Some(place.ok_or(Reason::Malformed)?);
        Ok(())
    })?;
    pages.walk(root.ok_or(Reason::Malformed)?, take)
}

struct Pages<'f, F> {
    file: &'f mut F,
    page_bytes: usize,
    /// How many bytes of each page may be used; some may be reserved at its end.
    usable: usize,
    count: u32,
    /// How many pages the walk may still read.
    left: u32,
}

impl<'f, F: Read + Seek> Pages<'f, F> {
    fn of(file: &'f mut F) -> Result<Self, Reason> {
        let length = file.seek(SeekFrom::End(0)).map_err(|_| Reason::Failed)?;
        let mut head = [0; HEAD];
        if length < HEAD as u64 {
            return Err(Reason::Malformed);
        }
        file.rewind().and_then(|()| file.read_exact(&mut head)).map_err(|_| Reason::Failed)?;
        let page_bytes = match half(&head, 16) {
            Some(1) => 65_536,
            size => size.unwrap_or_default(),
        };
        let reserved = head.get(20).copied().map_or(0, usize::from);
        let is_page = page_bytes.is_power_of_two() && page_bytes >= 512;
        let usable = page_bytes.checked_sub(reserved).filter(|usable| *usable >= USABLE);
        let usable = usable.filter(|_| is_page && head.starts_with(MAGIC));
        let count = u32::try_from(length / page_bytes.max(1) as u64).unwrap_or(u32::MAX);
        Ok(Self { file, page_bytes, usable: usable.ok_or(Reason::Malformed)?, count, left: 0 })
    }

    /// Reads page `number`, the first of which is 1.
    fn page(&mut self, number: u32) -> Result<Vec<u8>, Reason> {
        // A tree leads to no page twice, so one that has more to read than the file is damaged.
        let left = self.left.checked_sub(1).ok_or(Reason::Malformed)?;
        let before = number.checked_sub(1).filter(|before| *before < self.count);
        let before = u64::from(before.ok_or(Reason::Malformed)?);
        self.left = left;
        let mut page = vec![0; self.page_bytes];
        let place = SeekFrom::Start(before * self.page_bytes as u64);
        let read = self.file.seek(place).and_then(|_| self.file.read_exact(&mut page));
        read.map_err(|_| Reason::Failed)?;
        page.truncate(self.usable);
        Ok(page)
    }

    /// Gives `take` each row of the tree whose root is page `root`.
    fn walk(
        &mut self,
        root: u32,
        take: &mut dyn FnMut(Row<'_>) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        self.left = self.count;
        let mut waiting = vec![root];
        while let Some(number) = waiting.pop() {
            let page = self.page(number)?;
            let at = if number == 1 { HEAD } else { 0 };
            let cells = half(&page, at + 3).ok_or(Reason::Malformed)?;
            let cell = |index: usize, from: usize| half(&page, from + index * 2);
            match page.get(at) {
                Some(&INTERIOR) => {
                    if waiting.len() + cells >= self.count as usize {
                        return Err(Reason::Malformed);
                    }
                    waiting.push(word(&page, at + 8).ok_or(Reason::Malformed)?);
                    for index in (0..cells).rev() {
                        let child = cell(index, at + 12).and_then(|at| word(&page, at));
                        waiting.push(child.ok_or(Reason::Malformed)?);
                    }
                }
                Some(&LEAF) => {
                    // Cells do not overlap, so that many pointers to one long cell are no work.
                    let mut room = page.len();
                    for index in 0..cells {
                        let place = cell(index, at + 8).ok_or(Reason::Malformed)?;
                        take(Row(&self.row(&page, place, &mut room)?))?;
                    }
                }
                _ => return Err(Reason::Malformed),
            }
        }
        Ok(())
    }

    /// The row whose cell stands at `at` of a leaf page, in which cells have `room` left.
    fn row(&mut self, page: &[u8], at: usize, room: &mut usize) -> Result<Vec<u8>, Reason> {
        let cell = page.get(at..).ok_or(Reason::Malformed)?;
        let (length, cell) = varint(cell).ok_or(Reason::Malformed)?;
        let (_, cell) = varint(cell).ok_or(Reason::Malformed)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= ROW_BYTES);
        let length = length.ok_or(Reason::TooLarge)?;
        if length as u64 > u64::from(self.count) * self.page_bytes as u64 {
            return Err(Reason::Malformed);
        }
        let here = local(length, self.usable);
        *room = room.checked_sub(here).ok_or(Reason::Malformed)?;
        let mut row = Vec::with_capacity(length);
        row.extend_from_slice(cell.get(..here).ok_or(Reason::Malformed)?);
        let mut next = word(cell, here).unwrap_or_default();
        while row.len() < length {
            let page = self.page(next)?;
            next = word(&page, 0).ok_or(Reason::Malformed)?;
            let piece = page.get(4..).unwrap_or_default();
            row.extend_from_slice(piece.get(..length - row.len()).unwrap_or(piece));
        }
        Ok(row)
    }
}

/// How many bytes of a row of `length` stand in its leaf page (section 1.6).
fn local(length: usize, usable: usize) -> usize {
    let most = usable - 35;
    if length <= most {
        return length;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let fitting = least + (length - least) % (usable - 4);
    if fitting <= most { fitting } else { least }
}

impl<'a> Row<'a> {
    /// What stands in the column at `index`, from 0; `None` where the row has none or is damaged.
    pub fn column(&self, index: usize) -> Option<Value<'a>> {
        let (head, _) = varint(self.0)?;
        let (head, mut values) = self.0.split_at_checked(usize::try_from(head).ok()?)?;
        let (_, mut kinds) = varint(head)?;
        for _ in 0..index {
            let (kind, others) = varint(kinds)?;
            (kinds, values) = (others, values.get(length(kind)?..)?);
        }
        let (kind, _) = varint(kinds)?;
        let value = values.get(..length(kind)?)?;
        Some(match kind {
            0 => Value::Null,
            8 | 9 => Value::Integer(i64::from(kind == 9)),
            7 => Value::Real(value),
            1..7 => {
                // The first bit is the sign, and the rest of the number is filled with it.
                let is_negative = value.first().is_some_and(|byte| byte & 0x80 != 0);
                let sign = if is_negative { -1 } else { 0 };
                let add = |sum: i64, byte: &u8| (sum << 8) | i64::from(*byte);
                Value::Integer(value.iter().fold(sign, add))
            }
            _ if kind % 2 == 0 => Value::Blob(value),
            _ => Value::Text(value),
        })
    }
}

/// How many bytes a value of this kind takes (section 2.1).
fn length(kind: u64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => usize::try_from(kind).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => usize::try_from((kind - 12) / 2).ok(),
    }
}

/// A number of up to nine bytes, and what stands behind it: seven bits of each but the ninth.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        let rest = bytes.get(index + 1..)?;
        if index == 8 {
            return Some(((number << 8) | u64::from(*byte), rest));
        }
        number = (number << 7) | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some((number, rest));
        }
    }
    None
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
