//! What open drift is made of: gathers the changes that led to it and asks
//! [`crate::analysis::classify::weigh`].
//!
//! A drift is weighed when it opens, when a change of its item was judged, and when noise may have
//! ended; the store says which. It reads the changes of the hosts concerned and nothing of others,
//! decides nothing about changes, and writes nothing: what it finds is for the shell to make
//! durable.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{HostId, PartName, SourceName};
use driftline_protocol::item::ItemKey;
use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};

use crate::analysis::classify::weigh::{Led, Meant, Settling, weigh};
use crate::classification::{Judged, SEMANTIC, is_told};
use crate::config::Config;
use crate::store::{
    ChangeFilter, ChangeRecord, FindingRecord, Step, StoreError, Weighing, each_change,
};
use crate::writer::Reads;

/// How many drifts one pass weighs; the next follows at once while there are more.
const DRIFTS_MOST: u32 = 1_000;

/// The most changes of one host that one pass looks at, the newest ones: beyond them a drift is
/// what its newer changes say.
pub(crate) const CHANGES_MOST: usize = 20_000;

/// How far behind the opening of a drift later changes may seem to lie: times are corrected as well
/// as can be told, and what came later is told by the order in which it came.
pub(crate) const APART: SignedDuration = SignedDuration::from_hours(24);

/// Weighs what is due at `now`, from behind the drift `last` on, which becomes the last that was
/// weighed: however many are due again and again, each has its turn.
///
/// # Errors
/// [`StoreError`].
pub fn weigh_due(
    store: &dyn Reads,
    config: &Config,
    (now, last): (Timestamp, &mut i64),
) -> Result<Judged, StoreError> {
    let behind = if mutant::active(Mutant::FirstDueAlwaysFirst) { 0 } else { *last };
    let due = store.to_weigh(now, behind, DRIFTS_MOST)?;
    *last = due.last().map_or(*last, |record| record.number);
    let more = due.len() >= DRIFTS_MOST as usize;
    if due.is_empty() {
        return Ok(Judged::default());
    }
    let after = config.classification.settled();
    let spans = config.classification.spans();
    let believed = spans.emergency.max(spans.slack);
    let told = is_told(store, config)?;
    let mut by_host: BTreeMap<HostId, Vec<FindingRecord>> = BTreeMap::new();
    for record in due {
        by_host.entry(record.finding.id.host.clone()).or_default().push(record);
    }
    let mut weighings = Vec::new();
    for (host, drifts) in by_host {
        let led = Leading::load(store, (&host, &drifts))?;
        weighings.extend(drifts.iter().map(|drift| {
            let opened = drift.finding.first_seen;
            led.weighing(drift, Settling { now, after, believed, told, opened })
        }));
    }
    Ok(Judged { steps: vec![Step::Weighed(weighings)], more, left_out: BTreeSet::new() })
}

/// The changes of one host that may have led to its drifts, by part and item, the newest first.
struct Leading {
    changes: BTreeMap<(SourceName, PartName), BTreeMap<Option<ItemKey>, Vec<ChangeRecord>>>,
    /// The first change that still waits for its judge: changes are judged in their order, so what
    /// has none and stands before it never will have one.
    unjudged_from: i64,
}

impl Leading {
    fn load(
        store: &dyn Reads,
        (host, drifts): (&HostId, &[FindingRecord]),
    ) -> Result<Self, StoreError> {
        let mut changes: BTreeMap<(SourceName, PartName), BTreeMap<_, Vec<_>>> = drifts
            .iter()
            .map(|drift| (drift.finding.id.source.clone(), drift.finding.id.part.clone()))
            .map(|part| (part, BTreeMap::new()))
            .collect();
        let first = drifts.iter().map(|drift| drift.finding.first_seen).min();
        let mut filter = ChangeFilter {
            host: Some(host.clone()),
            kinds: SEMANTIC.to_vec(),
            from: first.map(|first| first.checked_sub(APART).unwrap_or(Timestamp::MIN)),
            ..ChangeFilter::default()
        };
        // A drift that is weighed again and again, since its item goes back and forth, costs what
        // its part did and not what its host did.
        if let (Some((source, part)), 1) = (changes.keys().next(), changes.len()) {
            (filter.source, filter.part) = (Some(source.clone()), Some(part.clone()));
        }
        each_change(store, (filter, CHANGES_MOST), |record| {
            let part = (record.source.clone(), record.change.part.clone());
            if let Some(items) = changes.get_mut(&part) {
                items.entry(record.change.key.clone()).or_default().push(record);
            }
        })?;
        // Read after the changes: what is new since then has a higher number than any of them.
        let unjudged = store.unjudged(1)?;
        let unjudged_from = unjudged.first().map_or(i64::MAX, |record| record.id.0);
        Ok(Self { changes, unjudged_from })
    }

    fn weighing(&self, drift: &FindingRecord, settling: Settling) -> Weighing {
        let (finding, opened) = (drift.finding.id.clone(), drift.finding.first_seen);
        let meant = self.meant(drift, settling);
        Weighing { finding, opened, meant }
    }

    /// What `drift` is made of; `None` while a change of it waits for its judge, which has the
    /// drift weighed again.
    fn meant(&self, drift: &FindingRecord, settling: Settling) -> Option<Meant> {
        let id = &drift.finding.id;
        let items: Vec<_> = match self.changes.get(&(id.source.clone(), id.part.clone())) {
            None => Vec::new(),
            Some(items) if id.key.is_none() => items.iter().collect(),
            // Looked up, since a part may have had more items than it has drifts.
            Some(items) => {
                [&None, &id.key].into_iter().filter_map(|key| items.get_key_value(key)).collect()
            }
        };
        let mut all: BTreeMap<Option<&ItemKey>, Vec<&ChangeRecord>> = BTreeMap::new();
        for (key, records) in items {
            // A part that changed as a whole changed each of its items; a part that came or went is
            // what each of its items is.
            let key = if id.key.is_some() { None } else { key.as_ref() };
            all.entry(key).or_default().extend(records);
        }
        let mut meant: Option<Meant> = None;
        for records in all.values_mut() {
            since(records, drift.finding.first_seen);
            if records.is_empty() {
                continue;
            }
            let waits = |record: &&ChangeRecord| {
                record.classified.is_none() && record.id.0 >= self.unjudged_from
            };
            if records.iter().any(waits) {
                return None;
            }
            let led = records.iter().filter_map(|record| {
                let decision = &record.classified.as_ref()?.decision;
                Some(Led { number: record.id.0, at: record.at, decision })
            });
            let one = weigh(&led.collect::<Vec<_>>(), settling);
            meant = Some(match meant {
                None => one,
                Some(so_far) => so_far.louder(one),
            });
        }
        Some(meant.unwrap_or_else(|| weigh(&[], settling)))
    }
}

/// Leaves of `records` those from the opening of a drift at `opened` on, the newest first. They
/// stand in the order in which they came: a clock that went back makes no change an earlier one.
pub(crate) fn since(records: &mut Vec<&ChangeRecord>, opened: Timestamp) {
    let opening = records.iter().filter(|record| record.at == opened).map(|record| record.id);
    let later = records.iter().filter(|record| record.at > opened).map(|record| record.id);
    let first = opening.min().or(later.min());
    records.retain(|record| first.is_some_and(|first| record.id >= first));
    records.sort_by_key(|record| std::cmp::Reverse(record.id));
}

#[cfg(test)]
mod tests;
