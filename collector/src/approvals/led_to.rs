//! The open drifts that a rollout or a change request led to, and which are as it left them.
//!
//! Who approves a rollout or a request agrees to what that brought. So of each drift the changes
//! since it opened are looked at: one of them must be of the rollout or the request, else the drift
//! is not its doing; and the newest must be, else the item moved on and what it moved to nobody has
//! approved. A change that nobody has judged yet is of no request.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{HostId, PartName, SourceName};
use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;

use crate::analysis::change::ChangeKind;
use crate::analysis::change_sets::Place;
use crate::analysis::classify::{ChangeClass, Decision, RuleKind};
use crate::analysis::finding::{Finding, FindingId, FindingKind};
use crate::analysis::sight::{places, value, value_after};
use crate::classification::SEMANTIC;
use crate::config::Config;
use crate::ingest::sight;
use crate::rollouts;
use crate::store::{
    ChangeFilter, ChangeRecord, FindingFilter, FindingRecord, RequestFilter, StoreError,
    each_change, each_finding,
};
use crate::weighing::{APART, CHANGES_MOST, since};
use crate::writer::Reads;

/// The most open findings, and the most changes of a request, that are looked through.
const LOOKED_AT: usize = 200_000;

/// What led to drifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedBy {
    /// The rollout of this number.
    Rollout(i64),
    /// The change request `source/id`.
    Request(String),
}

/// A finding, and its tag as it was read.
pub type AsRead = (FindingId, String);

/// The open drifts of a rollout or a change request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedTo {
    /// Those that are as it left them.
    pub findings: Vec<AsRead>,
    /// What they are of, in words.
    pub of: String,
    /// How many more there are that moved on since.
    pub conflicts: u64,
}

/// The open drifts that `led_by` led to; `None` when there is no such rollout.
///
/// # Errors
/// [`StoreError`].
pub fn drifts(
    store: &dyn Reads,
    config: &Config,
    led_by: &LedBy,
) -> Result<Option<LedTo>, StoreError> {
    let (by, of) = match led_by {
        LedBy::Rollout(number) => {
            let Some(places) = rollouts::places(store, *number)? else { return Ok(None) };
            (By::Rollout(places), format!("rollout {number}"))
        }
        LedBy::Request(name) => (By::Request(name), format!("change request {name}")),
    };
    let changed = by.parts(store, config)?;
    let concerned = |record: &FindingRecord| {
        let meant = record.meant.as_ref();
        changed.contains(&part_of(&record.finding.id))
            || meant.is_some_and(|meant| by.is_named(&meant.decision))
    };
    let mut by_part: BTreeMap<PartOf, Vec<FindingRecord>> = BTreeMap::new();
    for record in open_drifts(store, concerned)? {
        by_part.entry(part_of(&record.finding.id)).or_default().push(record);
    }
    let mut led = LedTo { findings: Vec::new(), of, conflicts: 0 };
    for (part, drifts) in by_part {
        let past = Past::load(store, (part, &drifts))?;
        for record in drifts {
            match past.left(&record, &by) {
                Left::AsItWas => {
                    let etag = sight(store, &record.finding)?.etag;
                    led.findings.push((record.finding.id, etag));
                }
                Left::Moved => led.conflicts += 1,
                Left::Untouched => {}
            }
        }
    }
    Ok(Some(led))
}

/// One part of one host.
type PartOf = (HostId, SourceName, PartName);

fn part_of(id: &FindingId) -> PartOf {
    (id.host.clone(), id.source.clone(), id.part.clone())
}

/// What tells which changes are meant.
enum By<'a> {
    /// Where the rollout changed something.
    Rollout(BTreeSet<Place>),
    /// The name of the request.
    Request(&'a str),
}

impl By<'_> {
    /// Whether `change` is of it.
    fn is_of(&self, change: &ChangeRecord) -> bool {
        match self {
            Self::Rollout(places) => {
                let ChangeRecord { host, source, generation, .. } = change;
                let part = change.change.part.clone();
                places.contains(&(host.clone(), source.clone(), *generation, part))
            }
            Self::Request(_) => {
                change.classified.as_ref().is_some_and(|judged| self.is_named(&judged.decision))
            }
        }
    }

    /// Whether `decision` names it as what covers a change: one beside what it names is not its
    /// doing.
    fn is_named(&self, decision: &Decision) -> bool {
        let Self::Request(name) = self else { return false };
        matches!(decision.rule, RuleKind::Request | RuleKind::Claim)
            && decision.class != Some(ChangeClass::OutOfScope)
            && decision.name == *name
    }

    /// The parts it changed, as far as they are on record.
    fn parts(&self, store: &dyn Reads, config: &Config) -> Result<BTreeSet<PartOf>, StoreError> {
        let name = match self {
            Self::Rollout(places) => {
                let part =
                    |(host, source, _, part): &Place| (host.clone(), source.clone(), part.clone());
                return Ok(places.iter().map(part).collect());
            }
            Self::Request(name) => name,
        };
        // One that is not kept any more is found by the drifts that name it.
        let Some((source, id)) = name.split_once('/') else { return Ok(BTreeSet::new()) };
        let (source, id) = (Some(source.to_owned()), Some(id.to_owned()));
        let known = store.change_requests(&RequestFilter { source, id, ..Default::default() })?;
        let Some(known) = known.first() else { return Ok(BTreeSet::new()) };
        let (from, to) = known.request.reach(&config.classification.spans());
        let filter = ChangeFilter {
            kinds: SEMANTIC.to_vec(),
            from: Some(from),
            to: Some(to),
            ..ChangeFilter::default()
        };
        let mut parts = BTreeSet::new();
        each_change(store, (filter, LOOKED_AT), |record| {
            if self.is_of(&record) {
                parts.insert((record.host, record.source, record.change.part));
            }
        })?;
        Ok(parts)
    }
}

/// How a drift stands to what is approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It led to the drift, and nothing has changed since.
    AsItWas,
    /// It led to the drift, which moved on.
    Moved,
    /// It did not lead to the drift.
    Untouched,
}

/// The changes of one part that may have led to its drifts.
struct Past {
    changes: Vec<ChangeRecord>,
    /// Whether the oldest of them were left out.
    is_cut: bool,
}

impl Past {
    fn load(
        store: &dyn Reads,
        ((host, source, part), drifts): (PartOf, &[FindingRecord]),
    ) -> Result<Self, StoreError> {
        let first = drifts.iter().map(|record| record.finding.first_seen).min();
        let filter = ChangeFilter {
            host: Some(host),
            source: Some(source),
            part: Some(part),
            kinds: SEMANTIC.to_vec(),
            from: first.map(|first| first.checked_sub(APART).unwrap_or(Timestamp::MIN)),
            ..ChangeFilter::default()
        };
        let mut changes = Vec::new();
        let is_cut = each_change(store, (filter, CHANGES_MOST), |record| changes.push(record))?;
        Ok(Self { changes, is_cut })
    }

    fn left(&self, record: &FindingRecord, by: &By<'_>) -> Left {
        let (drift, key) = (&record.finding, &record.finding.id.key);
        let touches = |record: &&ChangeRecord| {
            let changed = &record.change.key;
            key.is_none() || changed.is_none() || changed == key
        };
        let mut changes: Vec<&ChangeRecord> = self.changes.iter().filter(touches).collect();
        since(&mut changes, drift.first_seen);
        let is_of = |record: &&ChangeRecord| by.is_of(record);
        if !changes.iter().any(is_of) {
            return Left::Untouched;
        }
        let later = match by {
            By::Rollout(_) => mutant::active(Mutant::RolloutsTakeLaterChanges),
            By::Request(_) => mutant::active(Mutant::RequestsTakeLaterChanges),
        };
        let as_it_was = match (key, changes.first()) {
            _ if later => true,
            // Of a whole part all is agreed to that it says.
            (None, _) => !self.is_cut && changes.iter().all(is_of),
            (Some(_), None) => false,
            (Some(_), Some(newest)) => by.is_of(newest) && is_what_was_left(drift, &changes, by),
        };
        match (by, &record.meant) {
            _ if !as_it_was => Left::Moved,
            (By::Rollout(_), _) => Left::AsItWas,
            (By::Request(_), Some(meant)) if later || by.is_named(&meant.decision) => Left::AsItWas,
            // What opened it was of nobody's request, and asks for a person.
            (By::Request(_), Some(_)) => Left::Untouched,
            (By::Request(_), None) => Left::Moved,
        }
    }
}

/// Whether what `drift` has now is what the changes that are meant left, of its `changes`, the
/// newest first.
fn is_what_was_left(drift: &Finding, changes: &[&ChangeRecord], by: &By<'_>) -> bool {
    let is_of_order = places(drift).is_some();
    let decides =
        |record: &&&ChangeRecord| (record.change.kind == ChangeKind::Moved) == is_of_order;
    let Some(decisive) = changes.iter().find(decides).filter(|record| by.is_of(record)) else {
        return false;
    };
    match (by, value_after(&decisive.change)) {
        (_, Some(left)) => left == value(drift, None),
        // What a part that changed as a whole has differs from host to host, and a rollout is of
        // one value.
        (By::Rollout(_), None) => is_of_order,
        (By::Request(_), None) => true,
    }
}

fn open_drifts(
    store: &dyn Reads,
    wanted: impl Fn(&FindingRecord) -> bool,
) -> Result<Vec<FindingRecord>, StoreError> {
    let kind = Some(FindingKind::Drift);
    let filter = FindingFilter { kind, open_only: true, ..FindingFilter::default() };
    let mut found = Vec::new();
    each_finding(store, (filter, LOOKED_AT), |record| {
        if wanted(&record) {
            found.push(record);
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests;
