//! Which configuration files are as their package ships them.
//!
//! dpkg keeps the MD5 of what it shipped, the collector knows files by a digest under a key that it
//! does not hold; only here can both be made. Of a file that is as it was shipped
//! `@now/shipped/PATH` is the keyed digest, of one that is not the word no. By this the collector
//! tells dpkg's work from an edit in the same minutes. All of it is so at that moment and no change
//! by itself: the files' own parts tell of those. Read when dpkg has said something, since that is
//! what it is about; a later edit does not make a package have shipped something else.

use std::path::Path;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems};

use super::md5;
use crate::machine::Machine;

/// The most configuration files that are looked at; a desktop with 5,000 packages has 1,500.
const FILES_MOST: usize = 5_000;

/// A configuration file and what dpkg wrote behind its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conffile<'a> {
    pub(super) path: &'a str,
    /// The MD5 of what the package ships, in hexadecimal digits.
    md5: &'a str,
}

impl<'a> Conffile<'a> {
    /// What a line of `Conffiles` names; `None` for one that the package does not ship any more,
    /// and while it is being put there.
    pub(super) fn of(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (path, md5) = (words.next()?, words.next()?);
        let is_md5 = md5.len() == 32 && md5.bytes().all(|byte| byte.is_ascii_hexdigit());
        (path.starts_with('/') && is_md5 && words.next().is_none()).then_some(Self { path, md5 })
    }
}

/// How each of `files` stands to what was shipped. One that cannot be read is left out: nothing is
/// known of it.
pub(super) fn as_shipped(machine: &Machine, files: &[Conffile<'_>]) -> RawItems {
    let mut items = RawItems::new();
    for file in files.iter().take(FILES_MOST) {
        let value = match machine.read(Path::new(file.path), limits::FILE_BYTES) {
            Ok(Some(content)) if md5::hexadecimal(&content.bytes) == file.md5 => {
                ItemValue::Fingerprint(machine.redactor().raw_digest(&content.bytes))
            }
            Ok(_) => ItemValue::Flag(false),
            Err(_) => continue,
        };
        items.insert(ItemKey::momentary(["shipped", file.path]), RawItem::plain(value));
    }
    items
}
