//! What the bytes of one file say, by the format that claims them.
//!
//! This is the one way from bytes to items, for a file on a disk and for one in a history alike, so
//! both give the same part. Nothing here opens a file or remembers one. Of a file that holds a
//! private key nothing is kept. What may be a secret leaves in a [`RawObserved`], which only the
//! redactor opens.

use std::panic::catch_unwind;

use driftline_protocol::canonical;
use driftline_protocol::item::{Fingerprint, ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems, RawObserved};
use driftline_protocol::snapshot::{Content, Reading, Reason};
use memchr::memmem;

use crate::formats::{self, Format, FormatError, HEAD_BYTES};

/// The format that reads the file at `path`; `None` for a binary file.
pub fn claiming(path: &str, bytes: &[u8]) -> Option<&'static Format> {
    formats::claiming(path, bytes.get(..HEAD_BYTES).unwrap_or(bytes))
}

/// What a file of these bytes says under `format`, without its attributes; one digest of it where
/// no format reads it. `raw` is the keyed digest of the bytes, which is not kept of a file that a
/// program rewrites by itself.
pub fn said(format: Option<&Format>, bytes: &[u8], raw: Fingerprint) -> RawObserved {
    if holds_private_key(bytes) {
        return unread(Reason::Withheld);
    }
    let (parser, version) = format.map_or(("opaque", 1), |format| (format.name, format.version));
    let keeps = !format.is_some_and(formats::written::is_rewritten);
    let mut said = RawObserved {
        reading: reading(parser, version),
        raw: keeps.then_some(raw),
        size: keeps.then_some(bytes.len() as u64),
        content: Content::Read,
        items: RawItems::new(),
    };
    match format.map(|format| items(format, bytes)) {
        Some(Ok(items)) => said.items = items,
        Some(Err(FormatError::TooLarge)) => {
            said.content = Content::Unread(Reason::TooLarge);
            said.items = whole(raw);
        }
        Some(Err(FormatError::Malformed(malformed))) => {
            said.content = Content::Unread(Reason::Malformed);
            // What a program rewrites by itself would be wrong in another line each time.
            said.items.extend(keeps.then(|| malformed.item()));
        }
        None => said.items = whole(raw),
    }
    said
}

/// A file too large to be understood says only its digest and its size.
pub fn too_large(raw: Fingerprint, size: u64) -> RawObserved {
    let said = unread(Reason::TooLarge);
    RawObserved { raw: Some(raw), size: Some(size), items: whole(raw), ..said }
}

/// A file of which nothing but its attributes is known.
pub fn unread(reason: Reason) -> RawObserved {
    RawObserved {
        reading: reading("attributes", 1),
        raw: None,
        size: None,
        content: Content::Unread(reason),
        items: RawItems::new(),
    }
}

/// How `parser` reads under an empty scope: no glob changes how a part is read; see
/// [`crate::sources::files::scope`].
pub(crate) fn reading(parser: &str, version: u32) -> Reading {
    Reading { parser: parser.into(), version, scope: canonical::scope_digest([""; 0]) }
}

/// The item that stands for content as a whole.
fn whole(raw: Fingerprint) -> RawItems {
    let item = RawItem::plain(ItemValue::Fingerprint(raw));
    RawItems::from([(ItemKey::attribute("content"), item)])
}

/// The items that `format` finds. A format that panics must not blind all other files.
fn items(format: &Format, bytes: &[u8]) -> Result<RawItems, FormatError> {
    match catch_unwind(|| (format.read)(bytes)) {
        Ok(read) => read,
        Err(_) => {
            tracing::error!(format = format.name, "a format panicked; the file is unobserved");
            Err(FormatError::malformed(0, "the agent could not read it, which is a bug of it"))
        }
    }
}

/// Whether a PEM block in `bytes` is a private key, as in a certificate with its key in one file.
pub fn holds_private_key(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const KEY: &[u8] = b"PRIVATE KEY";
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    // Nearly no file has one, so what is looked for is its beginning and not every line.
    memmem::find_iter(bytes, BEGIN).any(|at| {
        let (before, from) = bytes.split_at(at);
        // Only over white space: going back to the line's beginning would cost its square.
        let left = before.iter().rev().find(|byte| !byte.is_ascii_whitespace() || is_end(byte));
        left.is_none_or(is_end)
            && memmem::find(from.split(is_end).next().unwrap_or_default(), KEY).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::holds_private_key;

    #[test]
    fn a_private_key_is_known_by_a_line_of_its_own() {
        for (text, holds) in [
            ("-----BEGIN PRIVATE KEY-----\nMIIE", true),
            ("a certificate\r\n \t-----BEGIN OPENSSH PRIVATE KEY-----", true),
            ("x\r-----BEGIN EC PRIVATE KEY-----", true),
            ("-----BEGIN CERTIFICATE-----\n", false),
            ("-----BEGIN CERTIFICATE-----\nPRIVATE KEY\n", false),
            ("# looks for -----BEGIN PRIVATE KEY-----\n", false),
            ("-----BEGIN x -----BEGIN y\n-----BEGIN PRIVATE KEY", true),
            ("-----BEGIN ", false),
            ("", false),
        ] {
            assert_eq!(holds_private_key(text.as_bytes()), holds, "{text:?}");
        }
        // One line of four megabytes is looked at once.
        assert!(!holds_private_key("-----BEGIN ".repeat(400_000).as_bytes()));
    }
}
