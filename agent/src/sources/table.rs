//! Parts that are tables: several files, or answers of the kernel, read into one set of items.
//!
//! A source that is a handful of such parts lists them, and this page does what all of them need:
//! the way from a reader's answer to a part, and *the same* for those that stand in files. It knows
//! no table. A [`Bytes::Momentary`] table is read anew in each pass, for neither the times nor the
//! bytes of what the kernel shows mean anything; only where such a file does not parse are its
//! digest and attributes kept, as they are for any other.
//!
//! A piece of a table that cannot be read (one key of a registry, one certificate of a store) is an
//! unobserved part of its own and out of the table's scope: it blinds nothing else, and nothing it
//! held counts as gone.

use std::path::Path;

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::PartName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems, RawObserved, RawPart};
use driftline_protocol::snapshot::{Content, Reading, Reason};

use crate::formats::{FormatError, Malformed};
use crate::machine::Machine;
use crate::sources::look::{Look, Memory};
use crate::sources::{Carry, Sink, part_name};

/// One table of a source.
pub(crate) struct Table {
    /// Names the part, for ever.
    pub(crate) name: &'static str,
    /// Whether the bytes behind it say the same for as long as nobody writes them.
    pub(crate) bytes: Bytes,
    /// The items of it; nothing where what it is made of is not on the host.
    pub(crate) read: Reader,
}

/// Whether the bytes behind a table are the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// Files that somebody wrote.
    Kept,
    /// What the kernel says at this moment; it holds more than the items tell.
    Momentary,
}

/// Reads the items of one table.
pub(crate) type Reader = fn(&mut Look<'_>) -> Result<Option<RawItems>, Trouble>;

/// Why the items of a table are not known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Malformed(Malformed),
    Unread(Reason),
}

impl From<Reason> for Trouble {
    fn from(reason: Reason) -> Self {
        Self::Unread(reason)
    }
}

impl From<Malformed> for Trouble {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<FormatError> for Trouble {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Malformed(malformed) => Self::Malformed(malformed),
            FormatError::TooLarge => Self::Unread(Reason::TooLarge),
        }
    }
}

/// Reads each of `tables` and says it.
///
/// `parser` names the reading of all of them, and `version` is raised whenever one gives other
/// items for the same bytes.
pub(crate) fn read_all(
    tables: &[Table],
    (parser, version): (&str, u32),
    memory: &mut Memory,
    (machine, sink): (&Machine, &mut dyn Sink),
) {
    for table in tables {
        let name = part_name(table.name);
        let kept = table.bytes == Bytes::Kept;
        if kept && memory.carry(&name, machine, sink) == Carry::Carried {
            continue;
        }
        let mut look = Look::new(machine);
        let read = (table.read)(&mut look);
        let blanks = if read.is_ok() { look.blanks().to_vec() } else { Vec::new() };
        // Pieces that are out of sight are out of scope: what they held is not gone because of it.
        let scope = scope_digest(blanks.iter().map(|(place, _)| place));
        let reading = Reading { parser: parser.into(), version, scope };
        let part = match (read, table.bytes) {
            (Ok(None), _) => continue,
            (Ok(Some(items)), Bytes::Kept) => look.part(reading, Ok(items)),
            (Ok(Some(items)), Bytes::Momentary) => momentary(reading, items),
            (Err(Trouble::Malformed(malformed)), _) => look.part(reading, Err(malformed)),
            (Err(Trouble::Unread(reason)), _) => RawPart::Unobserved(reason),
        };
        if kept {
            memory.say((name, part), look, sink);
        } else {
            sink.seen(name, part);
        }
        for (place, reason) in blanks {
            let name = PartName::from_bytes(format!("{}/{place}", table.name).as_bytes());
            sink.seen(name, RawPart::Unobserved(reason));
        }
    }
}

/// A part that has no bytes of its own.
pub(crate) fn momentary(reading: Reading, items: RawItems) -> RawPart {
    let content = Content::Read;
    RawPart::Observed(RawObserved { reading, raw: None, size: None, content, items })
}

/// Says one plain item.
pub(crate) fn say<S: AsRef<str>>(
    items: &mut RawItems,
    key: impl IntoIterator<Item = S>,
    value: ItemValue,
) {
    items.insert(ItemKey::of(key), RawItem::plain(value));
}

/// The text of the file at `path`; nothing where it is not.
pub(crate) fn text(look: &mut Look<'_>, path: &str, bound: u64) -> Result<Option<String>, Trouble> {
    let Some(content) = look.read(Path::new(path), bound)? else { return Ok(None) };
    Ok(Some(crate::formats::lines::decode(&content.bytes).into_owned()))
}
