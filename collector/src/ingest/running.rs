//! Holds what a server runs with against its files, whichever of the two has just been seen.

use std::borrow::Cow;
use std::collections::BTreeMap;

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::snapshot::{Domain, Part};

use super::consequences::Consequences;
use super::fleet::Parts;
use super::versions::{Fitting, Taker};
use crate::analysis::discrepancy::{self, FILES, Judged, Mover, RUNNING, judge};
use crate::analysis::drift::{Desired, PartView};
use crate::store::{Origin, StoreError};

impl Consequences {
    fn compared(&mut self, judged: Judged) {
        self.findings.extend(judged.findings);
        self.dropped += judged.dropped;
    }
}

/// A running section and the files it is held against.
struct Both<'a> {
    source: &'a SourceName,
    domain: Domain,
    parts: &'a Parts,
    files: &'a Parts,
}

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
            let mut names: Vec<&PartName> = fitting.changed.iter().map(|(name, _)| name).collect();
            names.extend(&fitting.gone);
            let (domain, parts) = (fitting.version.domain, all.after.clone());
            let both = Both { source, domain, parts: &parts, files: &files };
            for name in names {
                let new = fitting.begins || !fitting.before.contains_key(name);
                let mover = if new { Mover::Unknown } else { Mover::Running };
                all.compared(self.hold(fitting, &both, (name, mover))?);
            }
        } else if source.as_str() == FILES {
            let files = all.after.clone();
            let mover = if fitting.begins { Mover::Unknown } else { Mover::Disk };
            for running in RUNNING {
                let Some((running, parts)) = self.known_section(running)? else { continue };
                let (source, domain) = (&running, Domain::Runtime);
                let both = Both { source, domain, parts: &parts, files: &files };
                for name in parts.keys() {
                    all.compared(self.hold(fitting, &both, (name, mover))?);
                }
            }
        }
        Ok(())
    }

    /// Holds one running part against the files it names.
    fn hold(
        &self,
        fitting: &Fitting,
        both: &Both<'_>,
        (name, mover): (&PartName, Mover),
    ) -> Result<Judged, StoreError> {
        let current = match both.parts.get(name) {
            Some(record) => Some(self.part(&record.digest)?),
            None => None,
        };
        let named = current.as_deref().map(discrepancy::files_of).unwrap_or_default();
        let is_new = |file: &PartName| fitting.changed.iter().any(|(changed, _)| changed == file);
        if fitting.version.source.as_str() == FILES && !named.iter().any(is_new) {
            return Ok(Judged::default());
        }
        let mut disk: BTreeMap<PartName, Cow<'_, Part>> = BTreeMap::new();
        for file in named {
            // A file nobody reads may say anything, so nothing is to be said of the whole.
            let Some(record) = both.files.get(&file) else { return Ok(Judged::default()) };
            disk.insert(file, self.part(&record.digest)?);
        }
        let disk = disk.iter().map(|(name, part)| (name.clone(), &**part)).collect();
        let host = &self.host.record.id;
        let view = PartView {
            host,
            source: both.source,
            domain: both.domain,
            part: name,
            desired: Desired::Unknown,
            current: current.as_deref(),
            exempt: &[],
            now: fitting.at.at,
        };
        let known = self.host.known();
        let open = known.into_iter().flat_map(|known| known.of_part(host, both.source, name));
        Ok(judge(&view, &disk, mover, open))
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
