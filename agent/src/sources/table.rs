//! Parts that are tables: answers of the kernel, or several files, read into one set of items.
//!
//! What a source says of such a part, and why it may not be able to. It knows no table.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems, RawObserved, RawPart};
use driftline_protocol::snapshot::{Content, Reading, Reason};

use crate::formats::{FormatError, Malformed};

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
