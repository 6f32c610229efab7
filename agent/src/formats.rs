//! The contract of a format, the list of all formats, and which one claims a file.
//!
//! A format turns the bytes of one file into items keyed by the field's natural key. It is pure, never
//! panics, stops at the bounds of [`driftline_protocol::limits`], and knows nothing of files or hosts. It
//! marks a value [`RawItem::secret`](driftline_protocol::redact::RawItem::secret) where only the format can know that
//! it is one (a position in a line); secrets that a key names are the redactor's business.
//!
//! Comments, white space and order without meaning must not reach the items: two files that mean the same
//! give the same items. Each format says in `ordered` which of its collections keep their order.

#![deny(clippy::disallowed_methods, reason = "formats are pure: no clock, no I/O, no randomness")]

use driftline_protocol::redact::RawItems;

/// One syntax.
pub struct Format {
    /// Names it in every reading, for ever.
    pub name: &'static str,
    /// Raised whenever the same bytes give other items.
    pub version: u32,
    /// Which collections are ordered and which are not, for the manual.
    pub ordered: &'static str,
    /// Whether this format reads the file, by its path (`/etc/hosts`) and its first bytes.
    pub claims: fn(path: &str, head: &[u8]) -> bool,
    /// The items of a file.
    pub read: fn(bytes: &[u8]) -> Result<RawItems, Malformed>,
}

/// The content does not follow its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Malformed {
    /// The line, counted from 1; 0 where lines mean nothing.
    pub line: u32,
    /// What is wrong, never quoting a value.
    pub what: &'static str,
}

pub mod sshd;

pub mod sudoers;

pub mod systemd;
