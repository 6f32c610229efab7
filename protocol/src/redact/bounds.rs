//! Whether a redacted part keeps every bound that its receiver will check.

use crate::canonical;
use crate::item::ItemValue;
use crate::limits;
use crate::snapshot::Part;

/// The most bytes one byte of text takes in JSON: a control character as `\\u0000`.
const ESCAPED_BYTES: usize = 6;

/// What an item or a value takes beside its text, in bytes.
const OVERHEAD_BYTES: usize = 48;

/// Whether [`canonical::decode`] will accept the part.
pub(super) fn fits(part: &Part) -> bool {
    let Some(observed) = part.observed() else { return true };
    let items = observed.items.iter();
    let weight: usize = items.map(|(key, item)| key.as_str().len() + weight(&item.value)).sum();
    canonical::check(part).is_ok()
        // Encoding tells exactly, but only large parts are worth that price.
        && (weight * ESCAPED_BYTES <= limits::PART_BYTES
            || canonical::encode(part).len() <= limits::PART_BYTES)
}

fn weight(value: &ItemValue) -> usize {
    let inner = match value {
        ItemValue::Nothing | ItemValue::Flag(_) | ItemValue::Integer(_) => 0,
        ItemValue::Fingerprint(_) => OVERHEAD_BYTES,
        ItemValue::Text(text) => text.len(),
        ItemValue::List(values) => values.iter().map(weight).sum(),
        ItemValue::Set(values) => values.iter().map(weight).sum(),
        ItemValue::Lines(lines) => lines.iter().map(|line| line.len() + OVERHEAD_BYTES).sum(),
    };
    inner + OVERHEAD_BYTES
}
