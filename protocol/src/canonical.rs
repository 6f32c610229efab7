//! The one byte form of a part, and the digests made from it.
//!
//! A canonical part is compact JSON: fields in the order of the struct, maps and sets sorted by
//! key, no white space. It is what is hashed, stored and sent, so two programs agree on a digest
//! without agreeing on anything else. [`digest`] covers everything, [`semantic_digest`] only what
//! the part *says*: where the first differs and the second does not, the difference is cosmetic.
//!
//! Digests are blake3 in key-derivation mode, so that a digest of one kind never equals one of
//! another.

use crate::ids::Digest;
use crate::item::ItemValue;
use crate::limits;
use crate::snapshot::{Content, Part};

const PART_CONTEXT: &str = "driftline 2026-11 part digest v1";
const SEMANTIC_CONTEXT: &str = "driftline 2026-11 semantic digest v1";
const SCOPE_CONTEXT: &str = "driftline 2026-11 scope digest v1";

/// Why bytes are not a canonical part.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// More bytes than a part may have.
    #[error("part of {0} bytes passes the bound of {limit}", limit = limits::PART_BYTES)]
    TooLarge(usize),
    /// Not the JSON of a part.
    #[error("reading a part")]
    Json(#[source] serde_json::Error),
    /// A part with more items or values than allowed, or ranks with gaps.
    #[error("part breaks a bound: {0}")]
    Bound(&'static str),
    /// JSON of a part, but not in its one form; hashing it would give the same content two names.
    #[error("part is not in canonical form")]
    NotCanonical,
}

/// The canonical bytes of `part`.
pub fn encode(part: &Part) -> Vec<u8> {
    serde_json::to_vec(part).expect("a part has only string keys, so it always encodes")
}

/// Reads canonical bytes back, checking every bound and that the form is the canonical one.
///
/// # Errors
/// See [`CanonicalError`].
pub fn decode(bytes: &[u8]) -> Result<Part, CanonicalError> {
    if bytes.len() > limits::PART_BYTES {
        return Err(CanonicalError::TooLarge(bytes.len()));
    }
    let part: Part = serde_json::from_slice(bytes).map_err(CanonicalError::Json)?;
    check(&part)?;
    if encode(&part) != bytes {
        return Err(CanonicalError::NotCanonical);
    }
    Ok(part)
}

/// Checks the bounds a part must keep wherever it came from.
///
/// # Errors
/// [`CanonicalError::Bound`] with the bound that is broken.
pub fn check(part: &Part) -> Result<(), CanonicalError> {
    let Some(observed) = part.observed() else { return Ok(()) };
    if observed.items.len() > limits::ITEMS_PER_PART {
        return Err(CanonicalError::Bound("too many items"));
    }
    let unread = observed.content != Content::Read;
    if unread && observed.items.keys().any(|key| !key.is_attribute()) {
        return Err(CanonicalError::Bound("unread content cannot have items"));
    }
    let mut ranks: Vec<u32> = observed.items.values().filter_map(|item| item.rank).collect();
    ranks.sort_unstable();
    if ranks.iter().zip(0u32..).any(|(rank, expected)| *rank != expected) {
        return Err(CanonicalError::Bound("ranks must count from 0 without gaps"));
    }
    observed.items.values().try_for_each(|item| check_value(&item.value, 0))
}

fn check_value(value: &ItemValue, depth: usize) -> Result<(), CanonicalError> {
    if depth > 2 {
        return Err(CanonicalError::Bound("values nest too deep"));
    }
    let too_many = || CanonicalError::Bound("too many values in one item");
    match value {
        ItemValue::List(values) if values.len() > limits::VALUES_PER_ITEM => Err(too_many()),
        ItemValue::Set(values) if values.len() > limits::VALUES_PER_ITEM => Err(too_many()),
        ItemValue::List(values) => values.iter().try_for_each(|v| check_value(v, depth + 1)),
        ItemValue::Set(values) => values.iter().try_for_each(|v| check_value(v, depth + 1)),
        ItemValue::Nothing
        | ItemValue::Flag(_)
        | ItemValue::Integer(_)
        | ItemValue::Text(_)
        | ItemValue::Fingerprint(_)
        | ItemValue::Lines(_) => Ok(()),
    }
}

/// The digest that names a part, over all of it.
pub fn digest(part: &Part) -> Digest {
    digest_of_canonical(&encode(part))
}

/// The digest that names the part with these canonical bytes.
pub fn digest_of_canonical(bytes: &[u8]) -> Digest {
    Digest(blake3::derive_key(PART_CONTEXT, bytes))
}

/// The digest of what a part says: its items and which of them are unknown.
pub fn semantic_digest(part: &Part) -> Digest {
    let bytes = match part {
        Part::Unobserved(reason) => serde_json::to_vec(reason),
        Part::Observed(observed) => serde_json::to_vec(&(&observed.content, &observed.items)),
    };
    let bytes = bytes.expect("items have only string keys, so they always encode");
    Digest(blake3::derive_key(SEMANTIC_CONTEXT, &bytes))
}

/// The digest of a scope: what narrowed the view of a source, given as its texts in a fixed order.
pub fn scope_digest<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(SCOPE_CONTEXT);
    for text in texts {
        let text = text.as_ref();
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    Digest(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{Item, ItemKey};
    use crate::snapshot::{Observed, Reading, Reason};

    fn part(items: &[(&str, ItemValue, Option<u32>)]) -> Part {
        Part::Observed(Observed {
            reading: Reading { parser: "ini".into(), version: 1, scope: scope_digest([""; 0]) },
            raw: None,
            size: Some(12),
            content: Content::Read,
            items: items
                .iter()
                .map(|(key, value, rank)| {
                    (ItemKey::of([key]), Item { value: value.clone(), rank: *rank })
                })
                .collect(),
        })
    }

    #[test]
    fn the_canonical_form_is_golden() {
        let part = part(&[
            ("b", ItemValue::Flag(true), None),
            ("a", ItemValue::List(vec![ItemValue::text("ulaw"), ItemValue::Integer(-1)]), Some(0)),
        ]);
        insta::assert_snapshot!(String::from_utf8(encode(&part)).unwrap());
        insta::assert_snapshot!(digest(&part));
    }

    #[test]
    fn a_size_is_not_what_a_part_says() {
        let first = part(&[("a", ItemValue::Nothing, None)]);
        let Part::Observed(mut observed) = first.clone() else { unreachable!() };
        observed.size = Some(13);
        let second = Part::Observed(observed);
        assert_ne!(digest(&first), digest(&second));
        assert_eq!(semantic_digest(&first), semantic_digest(&second));
    }

    #[test]
    fn broken_bounds_are_refused() {
        let gap = part(&[("a", ItemValue::Nothing, Some(1))]);
        assert!(matches!(decode(&encode(&gap)), Err(CanonicalError::Bound(_))));
        let Part::Observed(mut unread) = part(&[("a", ItemValue::Nothing, None)]) else {
            unreachable!()
        };
        unread.content = Content::Unread(Reason::Malformed);
        assert!(matches!(check(&Part::Observed(unread)), Err(CanonicalError::Bound(_))));
    }

    #[test]
    fn one_content_has_one_form() {
        let bytes = encode(&part(&[("a", ItemValue::Nothing, None)]));
        let spaced = [b" ", bytes.as_slice()].concat();
        assert!(decode(&bytes).is_ok());
        assert!(matches!(decode(&spaced), Err(CanonicalError::NotCanonical)));
    }
}
