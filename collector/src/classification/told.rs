//! What hosts tell of runs, for the changes near them: gathered from all readings of a stretch,
//! since a tool may keep its last run only; and which changes are judged again for it. A run is no
//! change, so nothing else would have them looked at.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{HostId, SourceName};
use driftline_protocol::manifest::Manifest;
use jiff::{SignedDuration, Timestamp};

use super::{Judged, Judgements, changes, judge_all};
use crate::analysis::classify::RuleKind;
use crate::analysis::classify::runs::{LONGEST, Runs, TRANSACTIONS, is_tool};
use crate::analysis::classify::transaction::TOGETHER;
use crate::config::Config;
use crate::store::{ChangeRecord, Step, StoreError};
use crate::writer::Reads;

/// The most readings of one host that are looked at, the newest ones.
const READINGS_MOST: u32 = 200;

/// The most changes of one host that are looked at again for its runs.
const NEAR_MOST: usize = 5_000;

/// How long before its reading a run may have been and still have changes judged again: a log tells
/// of a week.
const AGAIN_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// The runs that `host` told of from `from` to `to`, and those that stood at `from`.
pub(super) fn told(
    store: &dyn Reads,
    (host, config): (&HostId, &Config),
    (from, to): (Timestamp, Timestamp),
) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    let Ok(source) = TRANSACTIONS.parse::<SourceName>() else { return Ok(runs) };
    let place = (host, &source);
    let mut readings = store.section_versions(place, (from, to), READINGS_MOST)?;
    readings.extend(store.section_versions(place, (Timestamp::MIN, from), 1)?);
    let mut known = BTreeSet::new();
    for reading in readings {
        let stood = store.manifest_at(host, &source, reading.corrected_at)?;
        let Manifest(parts) = stood.unwrap_or_default();
        // The host's clock wrote the log; ours has the times of its changes.
        let skew = reading.corrected_at.duration_since(reading.observed_at);
        // A host may name its parts as it likes, and as many as it likes.
        for (tool, digest) in parts.into_iter().filter(|(tool, _)| is_tool(tool.as_str())) {
            if runs.is_full() {
                break;
            }
            if known.insert(digest)
                && let Some(part) = store.part(&digest)?
            {
                runs.add(&tool, &part, skew);
            }
        }
    }
    runs.retain(config.classification.packages, config.classification.runs);
    Ok(runs)
}

/// The stretch in which runs are told that changes from `first` to `last` may be of.
pub(super) fn stretch(first: Timestamp, last: Timestamp) -> (Timestamp, Timestamp) {
    let from = first.checked_sub(TOGETHER).unwrap_or(Timestamp::MIN);
    let to = last.checked_add(LONGEST).and_then(|to| to.checked_add(TOGETHER));
    (from, to.unwrap_or(Timestamp::MAX))
}

/// Hosts that told of runs so shortly before `now` that a collector which has just started may not
/// have held their changes against them.
///
/// # Errors
/// [`StoreError`].
pub fn told_lately(
    store: &dyn Reads,
    now: Timestamp,
) -> Result<BTreeMap<HostId, Timestamp>, StoreError> {
    let mut lately = BTreeMap::new();
    let Ok(source) = TRANSACTIONS.parse::<SourceName>() else { return Ok(lately) };
    let since = now.checked_sub(LONGEST).unwrap_or(Timestamp::MIN);
    for host in store.hosts()? {
        let newest = store.section_versions((&host.id, &source), (since, Timestamp::MAX), 1)?;
        if !newest.is_empty() {
            lately.insert(host.id, since);
        }
    }
    Ok(lately)
}

/// Judges the changes again that are near the runs which `hosts` told of, each since when it did.
///
/// # Errors
/// [`StoreError`].
pub fn judge_told(
    store: &dyn Reads,
    (config, now): (&Config, Timestamp),
    hosts: &BTreeMap<HostId, Timestamp>,
) -> Result<Judged, StoreError> {
    let mut near = Vec::new();
    for (host, since) in hosts {
        let runs = told(store, (host, config), (*since, Timestamp::MAX))?;
        let recent = since.checked_sub(AGAIN_WITHIN).unwrap_or(Timestamp::MIN);
        let stretches: Vec<_> = runs.stretches().filter(|(_, to)| *to >= recent).collect();
        let from = stretches.iter().map(|(from, _)| *from).min();
        let to = stretches.iter().map(|(_, to)| *to).max();
        let (Some(from), Some(to)) = (from, to) else { continue };
        let (all, _) = changes(store, (Some(host), from, to), NEAR_MOST)?;
        let of_a_run = |record: &ChangeRecord| {
            let then = |(from, to): &(Timestamp, Timestamp)| (*from..=*to).contains(&record.at);
            stretches.iter().any(then)
        };
        near.extend(all.into_iter().filter(|record| may_be_of_a_run(record) && of_a_run(record)));
    }
    let Judgements { judgements, left_out } = judge_all(store, (config, now), near)?;
    let steps = if judgements.is_empty() { Vec::new() } else { vec![Step::Judged(judgements)] };
    Ok(Judged { steps, more: false, left_out })
}

/// Whether a run may explain a change that was judged already, or say who asked for it.
fn may_be_of_a_run(record: &ChangeRecord) -> bool {
    let decision = record.classified.as_ref().map(|classified| &classified.decision);
    decision.is_some_and(|decision| {
        decision.yields_to_transaction() || decision.rule == RuleKind::Package
    })
}
