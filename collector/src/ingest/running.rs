//! Holds what a server runs with against its files, whichever of the two has just been seen.

use std::borrow::Cow;
use std::collections::BTreeMap;

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::snapshot::{Domain, Part};

use super::consequences::Consequences;
use super::fleet::Parts;
use super::versions::{Fitting, Taker};
use crate::analysis::discrepancy::{self, FILES, Mover, RUNNING, judge};
use crate::analysis::drift::{Desired, PartView};
use crate::store::{Origin, StoreError};

impl Taker<'_> {
    /// Judges every part of a running section that this version can say something new of.
    pub(super) fn hold_against_disk(
        &self,
        fitting: &Fitting,
        all: &mut Consequences,
    ) -> Result<(), StoreError> {
        if fitting.origin == Origin::Import {
            return Ok(());
        }
        let source = &fitting.version.source;
        if discrepancy::is_running(source) {
            let files = self.section(FILES)?;
            let mover = if fitting.begins { Mover::Unknown } else { Mover::Running };
            let mut names: Vec<&PartName> = fitting.changed.iter().map(|(name, _)| name).collect();
            names.extend(&fitting.gone);
            let after = all.after.clone();
            for name in names {
                let new = !fitting.before.contains_key(name);
                let mover = if new { Mover::Unknown } else { mover };
                let section = (source, fitting.version.domain, &after);
                self.hold(fitting, section, (name, &files), mover, all)?;
            }
        } else if source.as_str() == FILES {
            let files = all.after.clone();
            let mover = if fitting.begins { Mover::Unknown } else { Mover::Disk };
            for running in RUNNING {
                let Some((running, parts)) = self.known_section(running)? else { continue };
                for name in parts.keys() {
                    let section = (&running, Domain::Runtime, &parts);
                    self.hold(fitting, section, (name, &files), mover, all)?;
                }
            }
        }
        Ok(())
    }

    fn hold(
        &self,
        fitting: &Fitting,
        (source, domain, parts): (&SourceName, Domain, &Parts),
        (name, files): (&PartName, &Parts),
        mover: Mover,
        all: &mut Consequences,
    ) -> Result<(), StoreError> {
        let current = match parts.get(name) {
            Some(record) => Some(self.part(&record.digest)?),
            None => None,
        };
        let named = current.as_deref().map(discrepancy::files_of).unwrap_or_default();
        let concerns = |name: &PartName| fitting.changed.iter().any(|(changed, _)| changed == name);
        if fitting.version.source.as_str() == FILES && !named.iter().any(concerns) {
            return Ok(());
        }
        let mut disk: BTreeMap<PartName, Cow<'_, Part>> = BTreeMap::new();
        for file in named {
            if let Some(record) = files.get(&file) {
                disk.insert(file, self.part(&record.digest)?);
            }
        }
        let disk = disk.iter().map(|(name, part)| (name.clone(), &**part)).collect();
        let host = &self.host.record.id;
        let view = PartView {
            host,
            source,
            domain,
            part: name,
            desired: Desired::Unknown,
            current: current.as_deref(),
            now: fitting.at.at,
        };
        let known = self.host.known();
        let open = known.into_iter().flat_map(|known| known.of_part(host, source, name));
        let judged = judge(&view, &disk, mover, open);
        all.findings.extend(judged.findings);
        all.dropped += judged.dropped;
        Ok(())
    }

    /// The newest parts of a section; none where it was never said.
    fn section(&self, name: &'static str) -> Result<Parts, StoreError> {
        Ok(self.known_section(name)?.map(|(_, parts)| parts).unwrap_or_default())
    }

    fn known_section(&self, name: &'static str) -> Result<Option<(SourceName, Parts)>, StoreError> {
        let known = self.host.known().map(|known| &known.sections);
        let found = known.and_then(|all| all.iter().find(|(source, _)| source.as_str() == name));
        let Some((source, record)) = found else { return Ok(None) };
        Ok(Some((source.clone(), self.before(source, Some(record))?)))
    }
}
