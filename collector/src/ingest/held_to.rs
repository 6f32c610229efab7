//! Holds a host to what was agreed of it and of its groups, while it stood still.
//!
//! What a host reports is held against its baseline as it is taken; here what is agreed moved, or
//! the host's groups did. A drift that ends by that did not return: it was accepted, or nothing
//! holds the host to it any more.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{Digest, PartName, SourceName};
use driftline_protocol::mutant::{self, Mutant};

use super::held::{Bench, Loaded, Open, SectionView};
use crate::analysis::agreement::{Agreed, Layer};
use crate::analysis::drift::{Desired, PartView, judge, moved, resolved};
use crate::analysis::finding::{Finding, FindingKind, Resolution};
use crate::store::StoreError;

/// What was agreed of a host itself, by source.
pub(super) type Own = BTreeMap<SourceName, Layer>;

impl Bench<'_> {
    /// What counts of a part: the newest approval that speaks of it, of the host itself (`own`) or
    /// of a group it is in.
    pub(super) fn agreed(
        &self,
        source: &SourceName,
        part: &PartName,
        own: Option<Agreed>,
    ) -> Option<Agreed> {
        self.layers(source).filter_map(|layer| layer.says(part)).chain(own).max()
    }

    /// The parts that were agreed of the groups of the host.
    pub(super) fn agreed_parts<'b>(&'b self, source: &SourceName) -> BTreeSet<&'b PartName> {
        self.layers(source).flat_map(|layer| layer.parts.keys()).collect()
    }

    fn layers<'b>(&'b self, source: &SourceName) -> impl Iterator<Item = &'b Layer> {
        let groups = match mutant::active(Mutant::GroupsAgreeToNothing) {
            true => &[],
            false => self.about.groups.as_slice(),
        };
        self.agreements.layers(groups, source)
    }

    /// What `read` says was agreed of the host itself, where holding it to that can say anything
    /// new: only groups come and go while a host stands still.
    pub(super) fn own_if_it_counts(
        &self,
        open: &Open,
        read: impl FnOnce() -> Result<Own, StoreError>,
    ) -> Result<Option<Own>, StoreError> {
        let drifts = open.keys().any(|id| id.kind == FindingKind::Drift);
        let counts = drifts || !self.agreements.is_empty();
        counts.then(read).transpose()
    }

    /// The drifts of a section that open, change or end by what is agreed now.
    pub(super) fn hold_section<'b>(
        &self,
        (section, own): (SectionView<'_>, Option<&Layer>),
        parts: &BTreeMap<PartName, Digest>,
        (open, load): (&Open, &dyn Fn(&Digest) -> Loaded<'b>),
    ) -> Result<Vec<Finding>, StoreError> {
        let mut drifts: BTreeMap<&PartName, Vec<&Finding>> = BTreeMap::new();
        for finding in open.values().filter(|finding| finding.id.kind == FindingKind::Drift) {
            if finding.id.source == *section.source {
                drifts.entry(&finding.id.part).or_default().push(finding);
            }
        }
        let mut names: BTreeSet<&PartName> = drifts.keys().copied().collect();
        if own.is_some() || self.layers(section.source).next().is_some() {
            names.extend(own.into_iter().flat_map(|own| own.parts.keys()));
            names.extend(self.agreed_parts(section.source));
            names.extend(parts.keys());
        }
        let mut findings = Vec::new();
        for part in names {
            let opened = drifts.remove(part).unwrap_or_default();
            let Some(agreed) =
                self.agreed(section.source, part, own.and_then(|own| own.says(part)))
            else {
                let free =
                    |finding: &Finding| resolved(finding, section.now, Resolution::Withdrawn);
                findings.extend(opened.into_iter().map(free));
                continue;
            };
            let digest = parts.get(part);
            if digest == agreed.digest.as_ref() && opened.is_empty() {
                continue;
            }
            let desired = agreed.digest.as_ref().map(load).transpose()?;
            let current = digest.map(load).transpose()?;
            let view = self.view(section, (part, desired.as_deref(), current.as_deref()));
            for finding in judge(&view, opened.iter().copied()) {
                let before = opened.iter().find(|before| before.id == finding.id);
                findings.push(moved(finding, before.copied()));
            }
        }
        Ok(findings)
    }

    /// One part before what is agreed of it.
    fn view<'b>(
        &'b self,
        section: SectionView<'b>,
        (part, desired, current): (
            &'b PartName,
            Option<&'b driftline_protocol::snapshot::Part>,
            Option<&'b driftline_protocol::snapshot::Part>,
        ),
    ) -> PartView<'b> {
        let SectionView { host, source, domain, now } = section;
        let desired = desired.map_or(Desired::Absent, Desired::Part);
        PartView { host, source, domain, part, desired, current, exempt: self.exempt(), now }
    }
}

/// A part that is durable, or on its way to the store.
pub(super) fn loaded<'a>(
    (store, pending): (&'a dyn super::Store, &'a BTreeMap<Digest, crate::store::NewPart>),
    digest: &Digest,
) -> Loaded<'a> {
    match pending.get(digest) {
        Some(part) => Ok(Cow::Borrowed(&**part)),
        None => super::held::stored(store, digest),
    }
}
