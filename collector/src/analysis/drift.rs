//! How one part stands against its baseline: which drifts open, go on and end. Pure.
//!
//! The comparison is [`super::diff`] itself, from the baseline to what is observed now, so a drift
//! is judged by the same sentences as a change: what is unobserved, now or in the baseline, moves a
//! drift neither way, and another reading or fingerprint key says nothing until somebody approves
//! again.
//!
//! A part that is there and should not be, or the other way round, is one drift of the whole part:
//! a package brings hundreds of items, and a person wants to hear of the package once. Its desired
//! or current item is [`present`]; drifts of single items that were open stay open, since they have
//! not returned.
//!
//! | domain | severity | why |
//! |---|---|---|
//! | identity, policy | warning | who may do what has changed: somebody should look today |
//! | config, runtime | info | for the record, until a rule or the class of its change says more |
//!
//! That is before anybody knows what was meant; [`super::classify::weigh`] says what its class
//! makes of it.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{HostId, PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::{Content, Domain, Observed, Part};
use jiff::Timestamp;

use super::agreement::Exemption;
use super::change::ChangeKind;
use super::diff::{Known, diff, is_of_the_file};
use super::finding::{Finding, FindingId, FindingKind, Resolution, Severity, Status};

/// One part of one host, as it is and as it should be.
#[derive(Clone, Copy, Debug)]
pub struct PartView<'a> {
    /// Whose part.
    pub host: &'a HostId,
    /// Of which section.
    pub source: &'a SourceName,
    /// The kind of fact.
    pub domain: Domain,
    /// The part.
    pub part: &'a PartName,
    /// How it should be.
    pub desired: Desired<'a>,
    /// How it is; `None` when it is not on the host.
    pub current: Option<&'a Part>,
    /// What of it is the host's own and compared with nothing.
    pub exempt: &'a [Exemption],
    /// When it was observed, corrected time.
    pub now: Timestamp,
}

/// How a part should be.
#[derive(Clone, Copy, Debug)]
pub enum Desired<'a> {
    /// Nobody has approved a baseline of its section.
    Unknown,
    /// The baseline has no such part.
    Absent,
    /// The baseline has this.
    Part(&'a Part),
}

/// The findings of `view` that open, change or end, given those of its host that are open.
pub fn judge<'a>(view: &PartView<'_>, open: impl IntoIterator<Item = &'a Finding>) -> Vec<Finding> {
    let Some(mut judgement) = Judgement::of(view) else { return Vec::new() };
    judgement.differing.retain(|key, _| !view.exempts(key.as_ref()));
    let mut findings = Vec::new();
    let mut known = BTreeSet::new();
    for finding in open {
        if finding.id.kind != FindingKind::Drift || !view.holds(&finding.id) {
            continue;
        }
        known.insert(finding.id.key.clone());
        findings.extend(judgement.carry_forward(view, finding));
    }
    for (key, difference) in &judgement.differing {
        if !known.contains(key) {
            findings.push(opened(view, key.clone(), difference));
        }
    }
    findings
}

/// The item that stands for a whole part where only one side has the part.
pub fn present() -> Item {
    Item { value: ItemValue::Flag(true), rank: None }
}

/// Of a drift of a whole part, whether it should be there and whether it is.
pub fn existence(finding: &Finding) -> Option<(bool, bool)> {
    let Finding { id, desired, current, .. } = finding;
    let stands = |item: &Option<Item>| item.as_ref().is_none_or(|item| *item == present());
    let whole = id.kind == FindingKind::Drift && id.key.is_none();
    let told = whole && stands(desired) && stands(current);
    told.then_some((desired.is_some(), current.is_some()))
}

/// Whether what a rule speaks of is not set at all where it was found.
pub fn is_unset(finding: &Finding) -> bool {
    let Finding { id, current, .. } = finding;
    id.kind == FindingKind::Deviation && id.key.is_some() && current.is_none()
}

/// How bad a drift of this domain is before its class is known.
pub fn severity(domain: Domain) -> Severity {
    match domain {
        Domain::Identity | Domain::Policy => Severity::Warning,
        Domain::Config | Domain::Runtime => Severity::Info,
    }
}

/// `finding` as it stands where the host stood still and what is agreed of it moved: what does not
/// differ any more did not return, it was accepted. `before` is the same before that.
pub fn moved(finding: Finding, before: Option<&Finding>) -> Finding {
    match (finding.status, before) {
        (Status::Resolved { at, by: Resolution::Returned }, Some(before)) => {
            resolved(before, at, Resolution::Accepted)
        }
        _ => finding,
    }
}

/// `finding` ended at `at`.
pub fn resolved(finding: &Finding, at: Timestamp, by: Resolution) -> Finding {
    Finding { status: Status::Resolved { at, by }, ..finding.clone() }
}

impl PartView<'_> {
    /// Whether a finding is about this part.
    pub fn holds(&self, id: &FindingId) -> bool {
        id.host == *self.host && id.source == *self.source && id.part == *self.part
    }

    /// Whether an item, or the part as a whole, is the host's own.
    fn exempts(&self, key: Option<&ItemKey>) -> bool {
        let holds = |one: &Exemption| one.holds(self.source, self.part, key);
        self.exempt.iter().any(holds) && !mutant::active(Mutant::ExemptKeysAreCompared)
    }

    /// The name of a finding of this part.
    pub fn id(&self, key: Option<ItemKey>, kind: FindingKind) -> FindingId {
        let (host, source) = (self.host.clone(), self.source.clone());
        FindingId { host, source, part: self.part.clone(), key, kind, rule: None }
    }
}

fn opened(view: &PartView<'_>, key: Option<ItemKey>, difference: &Difference) -> Finding {
    Finding {
        id: view.id(key, FindingKind::Drift),
        domain: view.domain,
        severity: severity(view.domain),
        desired: difference.desired.clone(),
        current: difference.current.clone(),
        first_seen: view.now,
        status: Status::Open,
    }
}

/// One item against its baseline.
struct Difference {
    desired: Option<Item>,
    current: Option<Item>,
}

/// What differs, and about what nothing can be said.
struct Judgement {
    differing: BTreeMap<Option<ItemKey>, Difference>,
    scope: Scope,
}

/// What could be compared.
enum Scope {
    /// The part is on neither side: everything.
    Everything,
    /// The part is on one side only.
    Existence {
        /// Whether it is on the host.
        current: Option<Item>,
    },
    /// The part was observed on both sides.
    Items {
        /// Whether content was read on both sides in the same way.
        content: bool,
        /// Whether content was read on neither side and its raw digests are comparable.
        raw: bool,
        /// Items of which only the fingerprint key differs.
        incomparable: BTreeSet<ItemKey>,
    },
}

impl Judgement {
    /// `None` when nothing can be said.
    fn of(view: &PartView<'_>) -> Option<Self> {
        match (view.desired, view.current) {
            (Desired::Unknown, _)
            | (_, Some(Part::Unobserved(_)))
            | (Desired::Part(Part::Unobserved(_)), _) => None,
            (Desired::Absent, None) => {
                Some(Self { differing: BTreeMap::new(), scope: Scope::Everything })
            }
            (Desired::Absent, Some(Part::Observed(_))) => {
                Some(Self::existence(None, Some(present())))
            }
            (Desired::Part(Part::Observed(_)), None) => {
                Some(Self::existence(Some(present()), None))
            }
            (Desired::Part(Part::Observed(desired)), Some(Part::Observed(current))) => {
                Some(Self::items(view, desired, current))
            }
        }
    }

    fn existence(desired: Option<Item>, current: Option<Item>) -> Self {
        let scope = Scope::Existence { current: current.clone() };
        Self { differing: BTreeMap::from([(None, Difference { desired, current })]), scope }
    }

    fn items(view: &PartView<'_>, desired: &Observed, current: &Observed) -> Self {
        let read = (desired.content == Content::Read).then_some(desired);
        let known = Known { seen: Some(desired), read };
        let mut differing = BTreeMap::new();
        let mut incomparable = BTreeSet::new();
        for change in diff(view.part, known, view.current) {
            if change.kind.is_semantic() {
                let difference = Difference { desired: change.before, current: change.after };
                differing.insert(change.key, difference);
            } else if change.kind == ChangeKind::Recast {
                incomparable.extend(change.key);
            }
        }
        let both_read = read.is_some() && current.content == Content::Read;
        let neither_read = read.is_none() && current.content != Content::Read;
        let keys = (desired.raw.map(|raw| raw.key), current.raw.map(|raw| raw.key));
        let scope = Scope::Items {
            content: both_read && desired.reading == current.reading,
            raw: neither_read && keys.0.is_some() && keys.0 == keys.1,
            incomparable,
        };
        Self { differing, scope }
    }

    /// An open finding as it stands now; `None` when nothing about it changed.
    fn carry_forward(&self, view: &PartView<'_>, finding: &Finding) -> Option<Finding> {
        if let Some(difference) = self.differing.get(&finding.id.key) {
            let (desired, current) = (difference.desired.clone(), difference.current.clone());
            let next = Finding { desired, current, ..finding.clone() };
            return (next != *finding).then_some(next);
        }
        if self.decides(finding) || view.exempts(finding.id.key.as_ref()) {
            let returned = resolved(finding, view.now, Resolution::Returned);
            return Some(Finding { current: finding.desired.clone(), ..returned });
        }
        // The part is gone: its items have not returned, and they are no longer what they were.
        let gone = matches!(self.scope, Scope::Existence { current: None });
        let stale = gone && finding.current.is_some();
        stale.then(|| Finding { current: None, ..finding.clone() })
    }

    /// Whether a finding that differs no longer has returned, rather than being out of sight.
    fn decides(&self, finding: &Finding) -> bool {
        match (&self.scope, &finding.id.key) {
            (Scope::Everything, _) => true,
            (Scope::Existence { .. }, _) => false,
            // One side without the part was an existence finding, and now the part is on both.
            (Scope::Items { content, raw, .. }, None) => {
                *content || *raw || finding.desired.is_none() || finding.current.is_none()
            }
            (Scope::Items { content, incomparable, .. }, Some(key)) => {
                (*content || is_of_the_file(key)) && !incomparable.contains(key)
            }
        }
    }
}

#[cfg(test)]
mod tests;
