//! A [`Keep`] that lives as long as the program: the model for the spool in tests, and what a
//! printed snapshot is put together in. It keeps one source, and knows no durability.

use std::collections::BTreeMap;

use driftline_protocol::ids::{Digest, Generation, PartName, SourceName};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::redact::Sealed;
#[cfg(test)]
use driftline_protocol::redact::{Redacted, Redactor};
#[cfg(test)]
use driftline_protocol::snapshot::Part;
use driftline_protocol::wire::SourceReading;

use crate::spool::{Keep, Observation, SpoolError, Tally};

/// The last committed state of one source.
#[derive(Default)]
pub(crate) struct Memory {
    pub(super) manifest: Manifest,
    pub(super) kept: BTreeMap<Digest, Sealed>,
    generation: Generation,
    tally: Option<Tally>,
    /// Parts of the open observation.
    open: BTreeMap<Digest, Sealed>,
}

impl Memory {
    /// The parts of the last committed state as they were sealed, by name.
    pub(super) fn sealed(&self) -> impl Iterator<Item = (&PartName, Option<&[u8]>)> {
        let sealed = |digest| self.kept.get(digest).map(Sealed::as_bytes);
        self.manifest.0.iter().map(move |(name, digest)| (name, sealed(digest)))
    }

    /// The same, opened.
    #[cfg(test)]
    pub(crate) fn parts(&self, redactor: &Redactor) -> BTreeMap<PartName, Part> {
        let open = |sealed: &[u8]| redactor.open(sealed).map(Redacted::into_inner).unwrap();
        self.sealed().map(|(name, sealed)| (name.clone(), open(sealed.unwrap()))).collect()
    }
}

impl Keep for Memory {
    fn tally(&mut self, _source: &SourceName) -> Result<Option<Tally>, SpoolError> {
        Ok(self.tally.clone())
    }

    fn begin(&mut self, _source: &SourceName) -> Result<Manifest, SpoolError> {
        self.open.clear();
        self.tally = None;
        Ok(self.manifest.clone())
    }

    fn keep(&mut self, digest: Digest, part: &Sealed) -> Result<(), SpoolError> {
        self.open.insert(digest, part.clone());
        Ok(())
    }

    fn commit(&mut self, observation: Observation) -> Result<Option<Generation>, SpoolError> {
        self.kept.append(&mut self.open);
        self.tally = observation.tally;
        if observation.manifest == self.manifest {
            return Ok(None);
        }
        self.manifest = observation.manifest;
        self.generation = self.generation.next();
        Ok(Some(self.generation))
    }

    fn stay(&mut self, _source: &SourceName, _reading: SourceReading) -> Result<(), SpoolError> {
        if self.tally.is_some() { Ok(()) } else { Err(SpoolError::NotOpen) }
    }

    fn abandon(&mut self) {
        self.open.clear();
    }
}
