//! Text that no other format claims: kept by line, compared by line.
//!
//! What a comment is differs from file to file, so comments stay: a false "cosmetic" would hide a
//! real change. Line ends, trailing blanks and blank lines at the end carry no meaning anywhere and
//! go.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems};

use super::{Format, FormatError, lines};

/// Any text.
pub static FORMAT: Format = Format {
    name: "text",
    version: 1,
    ordered: "`lines` keeps its order",
    claims: |_, _| true,
    read,
};

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = lines::decode(bytes);
    let text = text.trim_end_matches(['\n', '\r', ' ', '\t']);
    if text.lines().nth(limits::VALUES_PER_ITEM).is_some() {
        return Err(FormatError::TooLarge);
    }
    let lines = lines::numbered(text).map(|(_, line)| line.to_owned()).collect();
    Ok([(ItemKey::of(["lines"]), RawItem::plain(ItemValue::Lines(lines)))].into())
}
