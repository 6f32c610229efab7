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

use crate::machine::Machine;

/// The most configuration files that are looked at; a desktop with 5,000 packages has 1,500.
const FILES_MOST: usize = 5_000;

/// A configuration file and what dpkg wrote behind its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conffile<'a> {
    pub(super) path: &'a str,
    /// The MD5 of what the package ships, in hexadecimal digits; `None` for a file that it does not
    /// ship any more, and while it is being put there.
    md5: Option<&'a str>,
}

impl<'a> Conffile<'a> {
    /// What a line of `Conffiles` names. As dpkg reads it (`f_conffiles` in its lib/dpkg/fields.c),
    /// from the end: what became of the file, the digest, and all that is left is the path, which
    /// may have spaces.
    pub(super) fn of(line: &'a str) -> Option<Self> {
        let (mut rest, mut digest) = last_word(line)?;
        let mut shipped = true;
        while FLAGS.contains(&digest) {
            shipped = false;
            (rest, digest) = last_word(rest)?;
        }
        let path = rest.trim_ascii();
        let is_md5 = digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let md5 = (shipped && is_md5).then_some(digest);
        path.starts_with('/').then_some(Self { path, md5 })
    }
}

/// What stands behind the digest of a file that its package does not ship any more, or takes away.
const FLAGS: [&str; 2] = ["obsolete", "remove-on-upgrade"];

/// A text without its last word, and that word.
fn last_word(text: &str) -> Option<(&str, &str)> {
    text.trim_ascii_end().rsplit_once([' ', '\t'])
}

/// How each of `files` stands to what was shipped. One that cannot be read is left out: nothing is
/// known of it.
pub(super) fn as_shipped(machine: &Machine, files: &[Conffile<'_>]) -> RawItems {
    let mut items = RawItems::new();
    let shipped = files.iter().filter_map(|file| Some((file.path, file.md5?)));
    for (path, digest) in shipped.take(FILES_MOST) {
        let value = match machine.read(Path::new(path), limits::FILE_BYTES) {
            Ok(Some(content)) if format!("{:x}", md5::compute(&content.bytes)) == digest => {
                ItemValue::Fingerprint(machine.redactor().raw_digest(&content.bytes))
            }
            Ok(_) => ItemValue::Flag(false),
            Err(_) => continue,
        };
        items.insert(ItemKey::momentary(["shipped", path]), RawItem::plain(value));
    }
    items
}
