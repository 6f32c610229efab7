//! What a section consists of: the digest of each part by name, and how one manifest becomes the
//! next.
//!
//! Between passes an agent keeps manifests, not parts; what travels is a [`ManifestDelta`] with the
//! digest of the result, so a collector that applied it wrongly notices at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, PartName};
use crate::limits;

const MANIFEST_CONTEXT: &str = "driftline 2026-11 manifest digest v1";

/// The digest of each part of one section, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest(pub BTreeMap<PartName, Digest>);

/// What turns one manifest into the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestDelta {
    /// The digest of the manifest this starts from; `None` starts from nothing.
    pub base: Option<Digest>,
    /// Parts that are new or differ.
    pub set: BTreeMap<PartName, Digest>,
    /// Parts that are no longer on the host.
    pub unset: BTreeSet<PartName>,
}

/// Why a delta does not fit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeltaError {
    /// It starts from another manifest than ours.
    #[error("delta starts from another manifest")]
    BaseUnknown,
    /// The result would hold more parts than a section may.
    #[error("section of more than {limit} parts", limit = limits::PARTS_PER_SECTION)]
    TooManyParts,
}

impl Manifest {
    /// The digest that names this state of the section.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key(MANIFEST_CONTEXT);
        for (name, digest) in &self.0 {
            hasher.update(&(name.as_str().len() as u64).to_le_bytes());
            hasher.update(name.as_str().as_bytes());
            hasher.update(&digest.0);
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// What turns `self` into `next`.
    pub fn delta_to(&self, next: &Self) -> ManifestDelta {
        let set = next.0.iter().filter(|(name, digest)| self.0.get(name) != Some(digest));
        let unset = self.0.keys().filter(|name| !next.0.contains_key(name));
        ManifestDelta {
            base: Some(self.digest()),
            set: set.map(|(name, digest)| (name.clone(), *digest)).collect(),
            unset: unset.cloned().collect(),
        }
    }

    /// What gives `self` to somebody who has nothing.
    pub fn whole(&self) -> ManifestDelta {
        ManifestDelta { base: None, set: self.0.clone(), unset: BTreeSet::new() }
    }

    /// The manifest after `delta`.
    ///
    /// # Errors
    /// [`DeltaError`] when the delta starts elsewhere or the result is too large.
    pub fn apply(&self, delta: &ManifestDelta) -> Result<Self, DeltaError> {
        let mut parts = match delta.base {
            None => BTreeMap::new(),
            Some(base) if base == self.digest() => self.0.clone(),
            Some(_) => return Err(DeltaError::BaseUnknown),
        };
        for name in &delta.unset {
            parts.remove(name);
        }
        parts.extend(delta.set.iter().map(|(name, digest)| (name.clone(), *digest)));
        if parts.len() > limits::PARTS_PER_SECTION {
            return Err(DeltaError::TooManyParts);
        }
        Ok(Self(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifests() -> impl Strategy<Value = Manifest> {
        proptest::collection::btree_map("[a-d]{1,2}", any::<[u8; 1]>(), 0..8).prop_map(|parts| {
            let part = |(name, [byte]): (String, [u8; 1])| {
                (name.parse().expect("letters are a name"), Digest([byte % 3; 32]))
            };
            Manifest(parts.into_iter().map(part).collect())
        })
    }

    proptest! {
        #[test]
        fn applying_a_delta_gives_the_next_manifest(a in manifests(), b in manifests()) {
            prop_assert_eq!(a.apply(&a.delta_to(&b)), Ok(b.clone()));
            prop_assert_eq!(a.apply(&b.whole()), Ok(b.clone()));
            prop_assert_eq!(a == b, a.digest() == b.digest());
        }

        #[test]
        fn a_delta_from_elsewhere_is_refused(a in manifests(), b in manifests(), c in manifests()) {
            prop_assume!(a != c);
            prop_assert_eq!(c.apply(&a.delta_to(&b)), Err(DeltaError::BaseUnknown));
        }
    }
}
