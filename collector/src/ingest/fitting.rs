//! A version that fits what is known, with what it does to the parts before it. Pure.

use driftline_protocol::ids::{Digest, PartName};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::wire::SectionVersion;

use super::clock::Corrected;
use super::fleet::Parts;
use crate::store::Origin;

/// A version that fits, before it is compared.
pub(super) struct Fitting {
    pub(super) version: SectionVersion,
    pub(super) before: Parts,
    /// Whether it is the first of its section: everything is new and nothing changed.
    pub(super) begins: bool,
    pub(super) origin: Origin,
    pub(super) at: Corrected,
    /// Parts that are new or differ.
    pub(super) changed: Vec<(PartName, Digest)>,
    /// Parts that are no longer on the host.
    pub(super) gone: Vec<PartName>,
}

impl Fitting {
    /// What `version` does to the parts `before` it, of which it leaves those of `next`.
    pub(super) fn new(
        version: SectionVersion,
        (before, next): (Parts, Manifest),
        (origin, at): (Origin, Corrected),
    ) -> Self {
        let gone = before.keys().filter(|name| !next.0.contains_key(name)).cloned().collect();
        let differs = |(name, digest): &(PartName, Digest)| {
            before.get(name).is_none_or(|record| record.digest != *digest)
        };
        let changed = next.0.into_iter().filter(differs).collect();
        Self { version, before, begins: false, origin, at, changed, gone }
    }

    /// The same as the first of its section.
    pub(super) fn beginning(self) -> Self {
        Self { begins: true, ..self }
    }
}
