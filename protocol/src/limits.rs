//! Every bound that agent and collector must agree on, each with its reason.
//!
//! A bound that only one side needs stands beside the code it bounds. What is dropped at a bound is
//! counted where it is dropped.

use std::io::{self, Read};

/// The longest key of one item, in bytes. Real keys stay under 300; a key is an index entry in the
/// store.
pub const ITEM_KEY_BYTES: usize = 1_024;

/// The longest text kept as one value, in bytes. Longer values are kept as a fingerprint.
pub const ITEM_TEXT_BYTES: usize = 16 * 1024;

/// The most items one part may hold. A generated file with more is reported by its digest alone.
pub const ITEMS_PER_PART: usize = 20_000;

/// The most values one list or set may hold, for the same reason as [`ITEMS_PER_PART`].
pub const VALUES_PER_ITEM: usize = 20_000;

/// The deepest nesting a format may follow; beyond it the part is malformed. Real files stay under
/// 20.
pub const NESTING: usize = 64;

/// The longest name of a part, in bytes: `PATH_MAX` of Linux, with room for escapes.
pub const PART_NAME_BYTES: usize = 8_192;

/// The most parts one section may hold. Wazuh stops at the same number of files.
pub const PARTS_PER_SECTION: usize = 100_000;

/// The largest file whose content is read, in bytes. `/etc` holds nothing above 2 MB on a stock
/// host.
pub const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// The largest file that is hashed without being parsed, in bytes. Beyond it only its attributes
/// are seen.
pub const HASHED_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The largest canonical part, in bytes: [`FILE_BYTES`] with the overhead of its keys.
pub const PART_BYTES: usize = 8 * 1024 * 1024;

/// The largest body of one request before decompression, in bytes.
pub const BODY_BYTES: usize = 8 * 1024 * 1024;

/// The largest body of one request after decompression, in bytes: one part of the largest size and
/// change.
pub const DECOMPRESSED_BYTES: usize = 16 * 1024 * 1024;

/// The largest answer that an agent reads, in bytes before compression, where it is no list of
/// parts it sent. The longest is a heartbeat's, which names each section once: 128 take 20 kB.
pub const ANSWER_BYTES: usize = 64 * 1024;

/// The aim for one upload of parts, in bytes before compression: small enough to answer quickly.
pub const UPLOAD_BYTES: usize = 1024 * 1024;

/// Bodies smaller than this many bytes travel uncompressed: zstd would not save a packet.
pub const COMPRESS_ABOVE_BYTES: usize = 512;

/// The most section versions in one report.
pub const VERSIONS_PER_REPORT: usize = 64;

/// The longest name of a host, in bytes: a DNS label, since it becomes a metric label and a URL.
pub const HOST_NAME_BYTES: usize = 63;

/// The longest name of a source, in bytes.
pub const SOURCE_NAME_BYTES: usize = 40;

/// Reads `reader` to its end, or to one byte beyond `bound` bytes.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] when more than `bound` bytes came; any error of the reader.
pub fn read_bounded(reader: &mut dyn Read, bound: u64) -> io::Result<Vec<u8>> {
    read_expected(reader, bound, 0)
}

/// The same where `expected` bytes will probably come: room for them is made at once, so that a
/// file is read in two calls and not in eight that double.
///
/// # Errors
/// As [`read_bounded`].
#[allow(clippy::disallowed_methods, reason = "this is the bounded form the ban points to")]
pub fn read_expected(reader: &mut dyn Read, bound: u64, expected: u64) -> io::Result<Vec<u8>> {
    let room = expected.min(bound).saturating_add(1);
    let room = if expected == 0 { 0 } else { usize::try_from(room).unwrap_or(0) };
    let mut bytes = Vec::with_capacity(room);
    reader.take(bound.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bound {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

const _: () = assert!(FILE_BYTES <= HASHED_FILE_BYTES);
const _: () = assert!(PART_BYTES < DECOMPRESSED_BYTES);
const _: () = assert!(UPLOAD_BYTES < BODY_BYTES);
const _: () = assert!(ITEM_TEXT_BYTES < PART_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_stops_one_byte_beyond_the_bound() {
        assert_eq!(read_bounded(&mut &b"1234"[..], 4).unwrap(), b"1234");
        let error = read_bounded(&mut &b"12345"[..], 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        for expected in [1, 4, 5, u64::MAX] {
            assert_eq!(read_expected(&mut &b"1234"[..], 4, expected).unwrap(), b"1234");
            assert!(read_expected(&mut &b"12345"[..], 4, expected).is_err());
        }
    }
}
