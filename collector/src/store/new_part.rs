//! A part on its way into the store, with everything that costs time done: hashed, encoded, packed.
//!
//! It is made where there is time, beside the thread that writes; that thread only hands bytes on.
//! Clones share one content. The digest is always ours: nobody's word for it is taken.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

use driftline_protocol::canonical;
use driftline_protocol::ids::Digest;
use driftline_protocol::snapshot::Part;
use zstd::bulk::Compressor;

/// The level of zstd for everything kept: measured as the knee, 84 us for 25 KB.
pub(super) const ZSTD_LEVEL: i32 = 3;

/// Up to this many bytes are packed with what the thread keeps for it; more take a workspace of
/// their own, so that no thread holds on to a large one.
const KEPT_FOR_BYTES: usize = 64 * 1024;

thread_local! {
    /// Making one costs more than packing a small part with it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// A part to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPart(Arc<Content>);

#[derive(Debug, PartialEq, Eq)]
struct Content {
    digest: Digest,
    part: Part,
    packed: Vec<u8>,
}

impl NewPart {
    /// Encodes, hashes and packs `part`.
    pub fn new(part: Part) -> Self {
        let canonical = canonical::encode(&part);
        Self::encoded(part, &canonical)
    }

    /// As [`NewPart::new`] of a `part` whose canonical bytes are at hand.
    pub fn encoded(part: Part, canonical: &[u8]) -> Self {
        let digest = canonical::digest_of_canonical(canonical);
        Self(Arc::new(Content { digest, part, packed: pack(canonical) }))
    }

    /// Its name.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// zstd of its canonical bytes.
    pub(super) fn packed(&self) -> &[u8] {
        &self.0.packed
    }
}

impl Deref for NewPart {
    type Target = Part;

    fn deref(&self) -> &Part {
        &self.0.part
    }
}

/// zstd of `bytes`.
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    let packed = if bytes.len() > KEPT_FOR_BYTES {
        zstd::bulk::compress(bytes, ZSTD_LEVEL)
    } else {
        COMPRESSOR.with_borrow_mut(|kept| {
            let compressor = match kept {
                Some(kept) => kept,
                None => kept.insert(Compressor::new(ZSTD_LEVEL)?),
            };
            compressor.compress(bytes)
        })
    };
    packed.expect("zstd packs any bytes into a buffer of the bound it asks for")
}
