//! What a section version brings: its changes, and what its parts are judged to be.
//!
//! Part by part, against what was last observed, the baseline and the rules. A version of very many
//! parts or items costs no more than its size: beyond a bound a part is one change as a whole.

use std::collections::BTreeMap;

use driftline_protocol::ids::{Digest, PartName};
use driftline_protocol::snapshot::{Content, Part};

use super::fleet::Parts;
use super::held::SectionView;
use super::versions::{Fitting, Taker};
use crate::analysis::change::{Change, ChangeKind};
use crate::analysis::diff::{Known, diff};
use crate::analysis::drift::{Desired, PartView, judge};
use crate::analysis::finding::Finding;
use crate::analysis::policy;
use crate::store::{Origin, PartRecord, StoreError, Unread};

/// The most changes of one version that are recorded one by one. A distribution upgrade stays below
/// it; beyond it each further part is one change as a whole, so a version of many large parts costs
/// no more than its size.
pub const CHANGES_PER_VERSION: usize = 50_000;

/// The most items of one version that are compared: a large host has half a million in all.
pub const ITEMS_PER_VERSION: usize = 2_000_000;

/// What a version brings.
#[derive(Default)]
pub(super) struct Consequences {
    pub(super) after: Parts,
    pub(super) unobserved: BTreeMap<PartName, Unread>,
    pub(super) changes: Vec<Change>,
    pub(super) findings: Vec<Finding>,
    pub(super) summarised: u64,
    /// Findings beyond the bound of their rule.
    pub(super) dropped: u64,
    /// Items looked at.
    work: usize,
}

impl Taker<'_> {
    /// What changed, and what that means, part by part.
    pub(super) fn consequences(&self, fitting: &Fitting) -> Result<Consequences, StoreError> {
        let mut all = Consequences { after: fitting.before.clone(), ..Consequences::default() };
        let mut unread_of = BTreeMap::new();
        for (name, digest) in &fitting.changed {
            let unread = if all.may_go_on() {
                let part = self.part(digest)?;
                self.consider(fitting, (name, Some(&part)), &mut all)?;
                unread(&part)
            } else {
                all.summarise(fitting, name, ChangeKind::Modified);
                self.unread_once(*digest, &mut unread_of)?
            };
            let record = PartRecord::after(fitting.before.get(name), name, *digest, unread);
            all.after.insert(name.clone(), record);
        }
        for name in &fitting.gone {
            if all.may_go_on() {
                self.consider(fitting, (name, None), &mut all)?;
            } else {
                all.summarise(fitting, name, ChangeKind::Removed);
            }
            all.after.remove(name);
        }
        self.judge_missing(fitting, &mut all);
        self.judge_lacking(fitting, &mut all)?;
        self.hold_against_disk(fitting, &mut all)?;
        let unread = all.after.values().filter(|r| fitting.version.delta.set.contains_key(&r.part));
        let unread = unread.filter_map(|record| Some((record.part.clone(), record.unread?)));
        all.unobserved = unread.collect();
        Ok(all)
    }

    /// The same part under a thousand names is read once.
    fn unread_once(
        &self,
        digest: Digest,
        known: &mut BTreeMap<Digest, Option<Unread>>,
    ) -> Result<Option<Unread>, StoreError> {
        if let Some(unread) = known.get(&digest) {
            return Ok(*unread);
        }
        let unread = unread(&*self.part(&digest)?);
        known.insert(digest, unread);
        Ok(unread)
    }

    /// Compares one part with what was last observed, and judges it.
    fn consider(
        &self,
        fitting: &Fitting,
        (name, after): (&PartName, Option<&Part>),
        all: &mut Consequences,
    ) -> Result<(), StoreError> {
        let record = fitting.before.get(name);
        let load = |digest: Option<Digest>| digest.map(|digest| self.part(&digest)).transpose();
        let seen = load(record.and_then(|record| record.seen))?;
        let apart = record.filter(|record| record.read != record.seen);
        let read = load(apart.and_then(|record| record.read))?;
        let seen = seen.as_deref().and_then(Part::observed);
        let read = match apart {
            Some(_) => read.as_deref().and_then(Part::observed),
            None => seen,
        };
        let sizes = [seen, after.and_then(Part::observed)];
        all.work += 1 + sizes.iter().flatten().map(|side| side.items.len()).sum::<usize>();
        if !fitting.begins {
            all.changes.extend(diff(name, Known { seen, read }, after));
        }
        if fitting.origin == Origin::Import {
            return Ok(()); // what was is held against no baseline and no rule
        }
        self.judge(fitting, (name, after), all)
    }

    fn judge(
        &self,
        fitting: &Fitting,
        (part, current): (&PartName, Option<&Part>),
        all: &mut Consequences,
    ) -> Result<(), StoreError> {
        let host = &self.host.record.id;
        let source = &fitting.version.source;
        let own = self.host.agreed_part(self.context.store, source, part)?;
        let agreed = self.bench.agreed(source, part, own);
        let digest = agreed.and_then(|agreed| agreed.digest);
        let desired = digest.map(|digest| self.part(&digest)).transpose()?;
        let view = PartView {
            host,
            source,
            domain: fitting.version.domain,
            part,
            desired: match (&desired, agreed) {
                (Some(desired), _) => Desired::Part(desired),
                (None, Some(_)) => Desired::Absent,
                (None, None) => Desired::Unknown,
            },
            current,
            exempt: self.bench.exempt(),
            now: fitting.at.at,
        };
        let known = self.host.known();
        let open = || known.into_iter().flat_map(|known| known.of_part(host, source, part));
        all.findings.extend(judge(&view, open()));
        all.findings.extend(policy::malformed(&view, open()));
        let judged = self.bench.judge(&view, open());
        all.findings.extend(judged.findings);
        all.dropped += judged.dropped;
        Ok(())
    }

    /// Judges, of a section that begins, the parts that were agreed of its host's groups and that
    /// it never had: nothing ever tells of them again.
    fn judge_lacking(&self, fitting: &Fitting, all: &mut Consequences) -> Result<(), StoreError> {
        if !fitting.begins || fitting.origin == Origin::Import {
            return Ok(());
        }
        for part in self.bench.agreed_parts(&fitting.version.source) {
            if !all.after.contains_key(part) {
                self.judge(fitting, (part, None), all)?;
            }
        }
        Ok(())
    }

    /// Judges the parts that rules demand and that neither came nor went.
    fn judge_missing(&self, fitting: &Fitting, all: &mut Consequences) {
        let (host, source) = (&self.host.record.id, &fitting.version.source);
        let (domain, now) = (fitting.version.domain, fitting.at.at);
        let known = self.host.known();
        let open = |part: &PartName| -> Vec<&Finding> {
            let known = known.into_iter().flat_map(|known| known.open.values());
            known.filter(|f| f.id.source == *source && f.id.part == *part).collect()
        };
        let section = SectionView { host, source, domain, now };
        let is_there =
            |part: &PartName| all.after.contains_key(part) || fitting.gone.contains(part);
        let judged = self.bench.judge_missing(section, is_there, open);
        all.findings.extend(judged.findings);
    }
}

impl Consequences {
    /// Whether the next part may be compared item by item.
    fn may_go_on(&self) -> bool {
        self.changes.len() < CHANGES_PER_VERSION && self.work < ITEMS_PER_VERSION
    }

    /// Records a part as one change as a whole.
    fn summarise(&mut self, fitting: &Fitting, part: &PartName, kind: ChangeKind) {
        self.summarised += 1;
        if fitting.begins {
            return;
        }
        let kind = if fitting.before.contains_key(part) { kind } else { ChangeKind::Added };
        let (part, key) = (part.clone(), None);
        self.changes.push(Change { part, key, kind, before: None, after: None });
    }
}

/// What of `part` is unknown.
fn unread(part: &Part) -> Option<Unread> {
    match part {
        Part::Unobserved(reason) => Some(Unread::Whole(*reason)),
        Part::Observed(observed) => match observed.content {
            Content::Read => None,
            Content::Unread(reason) => Some(Unread::Content(reason)),
        },
    }
}
