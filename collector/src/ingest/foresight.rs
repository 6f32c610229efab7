//! What deciding on a report will need of the store, read before its turn comes.
//!
//! Reading and decoding the previous state of a part costs more than everything the deciding thread
//! does with it, and needs no order: many requests may do it at once. Nothing here is believed: a
//! section counts only while its chain is still ours, and a part is what its digest names. What was
//! not foreseen, the decision reads itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftline_protocol::ids::{Digest, PartName, SourceName};
use driftline_protocol::snapshot::Part;
use driftline_protocol::wire::{Report, SectionVersion};

use super::Store;
use super::fleet::Parts;
use crate::analysis::agreement::Subject;
use crate::store::{NewPart, PartRecord, SectionRecord, StoreError};

/// How many items are decoded beforehand for one report: what most reports need, and some ten
/// megabytes at most.
const ITEMS: usize = 50_000;

/// What was read. Clones share it, so that the last one to let go need not be the thread that
/// decides.
#[derive(Clone, Debug, Default)]
pub struct Foresight(Arc<Foreseen>);

#[derive(Debug, Default)]
struct Foreseen {
    sections: BTreeMap<SourceName, (SectionRecord, Parts)>,
    parts: BTreeMap<Digest, Part>,
    items: usize,
}

impl Foresight {
    /// Reads what `report` builds on. What cannot be read is left out: the decision will tell.
    pub(super) fn of(store: &dyn Store, report: &Report<NewPart>) -> Self {
        let mut foreseen = Foreseen::default();
        for version in &report.versions {
            if foreseen.sections.contains_key(&version.source) {
                continue; // the first version of a section builds on what is durable, others on it
            }
            if foreseen.section(store, report, version).is_err() {
                break;
            }
        }
        Self(Arc::new(foreseen))
    }

    /// The parts of a section, if they are those after `ours`.
    pub(super) fn parts(&self, ours: &SectionRecord) -> Option<&Parts> {
        let (then, parts) = self.0.sections.get(&ours.source)?;
        let same = then.chain == ours.chain && then.generation == ours.generation;
        (same && then.digest == ours.digest).then_some(parts)
    }

    /// A part by its digest.
    pub(super) fn part(&self, digest: &Digest) -> Option<&Part> {
        self.0.parts.get(digest)
    }
}

impl Foreseen {
    fn section(
        &mut self,
        store: &dyn Store,
        report: &Report<NewPart>,
        version: &SectionVersion,
    ) -> Result<(), StoreError> {
        let Some((record, parts)) = store.section(&report.host, &version.source)? else {
            return Ok(());
        };
        let parts: Parts = parts.into_iter().map(|part| (part.part.clone(), part)).collect();
        if version.delta.base == Some(record.digest) && version.generation > record.generation {
            let approved = store
                .baseline_sources(&Subject::Host(report.host.clone()))?
                .contains(&version.source);
            for name in version.delta.set.keys().chain(&version.delta.unset) {
                self.previous(store, parts.get(name))?;
                if approved {
                    self.agreed(store, (report, version), name)?;
                }
            }
        }
        self.sections.insert(version.source.clone(), (record, parts));
        Ok(())
    }

    fn previous(
        &mut self,
        store: &dyn Store,
        record: Option<&PartRecord>,
    ) -> Result<(), StoreError> {
        let digests = record.into_iter().flat_map(|record| [record.seen, record.read]);
        digests.flatten().try_for_each(|digest| self.read(store, digest))
    }

    fn agreed(
        &mut self,
        store: &dyn Store,
        (report, version): (&Report<NewPart>, &SectionVersion),
        name: &PartName,
    ) -> Result<(), StoreError> {
        let host = Subject::Host(report.host.clone());
        let agreed = store.baseline_part(&host, &version.source, name)?;
        agreed.and_then(|agreed| agreed.digest).map_or(Ok(()), |digest| self.read(store, digest))
    }

    fn read(&mut self, store: &dyn Store, digest: Digest) -> Result<(), StoreError> {
        if self.items >= ITEMS || self.parts.contains_key(&digest) {
            return Ok(());
        }
        if let Some(part) = store.part(&digest)? {
            self.items += part.observed().map_or(1, |observed| 1 + observed.items.len());
            self.parts.insert(digest, part);
        }
        Ok(())
    }
}
