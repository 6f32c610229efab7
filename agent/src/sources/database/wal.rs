//! The write-ahead log of SQLite, put together with the database it belongs to.
//!
//! Described in "Database File Format", section 4 (sqlite.org/fileformat2.html): a header of 32
//! bytes, then frames of 24 bytes and a page each. A frame counts where its salts are those of the
//! header, its sum goes on from the one before, and a later frame or itself ends a transaction.
//! Whatever does not count is left over from before, or is being written.

/// The bytes of the header, and of what stands before each page.
const HEADER: usize = 32;
const FRAME: usize = 24;

/// The header begins with it; the last bit says in which order words are summed.
const MAGIC: u32 = 0x377f_0682;

/// Where a database says how it is to be read and written: 2 with a log, 1 without.
const VERSIONS: std::ops::Range<usize> = 18..20;

/// The largest database that frames may make, in bytes: a number of a page is no reason to grow.
pub(super) const WHOLE_BYTES: usize = 56 * 1024 * 1024;

/// The database with all that was committed to its log, as one that has none.
///
/// Nothing where it would be larger than any that is put together.
pub fn applied(mut database: Vec<u8>, log: &[u8]) -> Option<Vec<u8>> {
    let committed = Committed::to(log);
    database.resize(committed.length(database.len())?, 0);
    committed.put_into(&mut database);
    Some(database)
}

/// What was committed to a log.
pub(super) struct Committed<'a> {
    frames: Vec<Frame<'a>>,
}

impl<'a> Committed<'a> {
    pub(super) fn to(log: &'a [u8]) -> Self {
        Self { frames: Log::of(log).map(Log::committed).unwrap_or_default() }
    }

    /// How many bytes a database of `length` has since; nothing above [`WHOLE_BYTES`].
    pub(super) fn length(&self, length: usize) -> Option<usize> {
        let Some(last) = self.frames.last() else { return Some(length) };
        let length = (last.pages as usize).checked_mul(last.page.len())?;
        (length <= WHOLE_BYTES).then_some(length)
    }

    /// Puts it into the database, which has the length already.
    pub(super) fn put_into(&self, database: &mut [u8]) {
        for frame in &self.frames {
            // One behind the end was cut off by a later transaction.
            let at = (frame.number as usize - 1).saturating_mul(frame.page.len());
            if let Some(place) = database.get_mut(at..at.saturating_add(frame.page.len())) {
                place.copy_from_slice(frame.page);
            }
        }
        if let Some(versions) = database.get_mut(VERSIONS) {
            versions.fill(1);
        }
    }
}

struct Log<'a> {
    frames: &'a [u8],
    page: usize,
    salts: &'a [u8],
    sum: Sum,
}

#[derive(Clone, Copy)]
struct Frame<'a> {
    /// Which page it is, from 1.
    number: u32,
    /// How many pages the database has since; 0 where the transaction goes on.
    pages: u32,
    page: &'a [u8],
}

impl<'a> Log<'a> {
    fn of(log: &'a [u8]) -> Option<Self> {
        let (header, frames) = log.split_at_checked(HEADER)?;
        let magic = word(header, 0)?;
        let mut sum = Sum { is_big: magic & 1 == 1, words: [0; 2] };
        sum.add(header.get(..FRAME)?);
        let page = word(header, 8)? as usize;
        let is_page = page.is_power_of_two() && (512..=65_536).contains(&page);
        let is_log = magic & !1 == MAGIC && is_page && sum.is_at(header, FRAME);
        is_log.then_some(Self { frames, page, salts: header.get(16..FRAME)?, sum })
    }

    /// The frames up to the last that ends a transaction.
    fn committed(mut self) -> Vec<Frame<'a>> {
        let (mut all, mut ended) = (Vec::new(), 0);
        for frame in self.frames.chunks_exact(FRAME + self.page) {
            let (head, page) = frame.split_at(FRAME);
            self.sum.add(head.get(..8).unwrap_or_default());
            self.sum.add(page);
            let (Some(number), Some(pages)) = (word(head, 0), word(head, 4)) else { break };
            if head.get(8..16) != Some(self.salts) || !self.sum.is_at(head, 16) || number == 0 {
                break;
            }
            all.push(Frame { number, pages, page });
            if pages > 0 {
                ended = all.len();
            }
        }
        all.truncate(ended);
        all
    }
}

/// The running sum of a log.
struct Sum {
    is_big: bool,
    words: [u32; 2],
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let [mut first, mut second] = self.words;
        for pair in bytes.chunks_exact(8) {
            let word = |at: usize| {
                let bytes = pair.get(at..at + 4).and_then(|word| word.try_into().ok());
                let bytes = bytes.unwrap_or_default();
                if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
            };
            first = first.wrapping_add(word(0)).wrapping_add(second);
            second = second.wrapping_add(word(4)).wrapping_add(first);
        }
        self.words = [first, second];
    }

    /// Whether it stands in `bytes` from `at`.
    fn is_at(&self, bytes: &[u8], at: usize) -> bool {
        self.words.map(Some) == [word(bytes, at), word(bytes, at + 4)]
    }
}

/// A number as the format writes it.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes))
}
