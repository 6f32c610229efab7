//! Which changes are asked for, and which parts are not read any more.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use driftline_protocol::ids::{HostId, SourceName};
use jiff::Timestamp;

use super::State;
use crate::analysis::classify::ChangeClass;
use crate::store::BlindCount;
use crate::store::records::*;

/// The versions of one section with a corrected time in `within`, the newest first.
pub(super) fn versions(
    state: &State,
    (host, source): (&HostId, &SourceName),
    within: RangeInclusive<Timestamp>,
) -> Vec<VersionRecord> {
    let section = state.sections.get(&(host.clone(), source.clone()));
    let history = section.into_iter().flat_map(|section| section.history.iter().rev());
    let versions = history.map(|(_, (version, _))| version);
    versions.filter(|version| within.contains(&version.corrected_at)).cloned().collect()
}

pub(super) fn blind(state: &State, before: Timestamp) -> Vec<BlindCount> {
    let mut counts: BTreeMap<_, u64> = BTreeMap::new();
    for ((host, _), section) in &state.sections {
        let retired = state.hosts.get(host).is_none_or(|known| known.retired_at.is_some());
        for (name, part) in section.parts.iter().filter(|_| !retired) {
            let Some(unread) = part.unread.filter(|_| part.read.is_some()) else { continue };
            // Since the first of the last versions that all say the same of it.
            let said = section.history.iter().rev();
            let same = said.take_while(|(_, (_, m))| m.0.get(name) == Some(&part.digest));
            let since = same.last().map(|(_, (version, _))| version.received_at);
            if since.is_none_or(|since| since < before) {
                *counts.entry((host.clone(), unread.reason())).or_default() += 1;
            }
        }
    }
    let count = |((host, reason), count)| BlindCount { host, reason, count };
    counts.into_iter().map(count).collect()
}

fn class_of(record: &ChangeRecord) -> Option<ChangeClass> {
    record.classified.as_ref().and_then(|classified| classified.decision.class)
}

pub(super) fn asked_for(filter: &ChangeFilter, record: &ChangeRecord) -> bool {
    filter.host.as_ref().is_none_or(|host| *host == record.host)
        && filter.source.as_ref().is_none_or(|source| *source == record.source)
        && filter.part.as_ref().is_none_or(|part| *part == record.change.part)
        && (filter.kinds.is_empty() || filter.kinds.contains(&record.change.kind))
        && (filter.classes.is_empty()
            || class_of(record).is_some_and(|class| filter.classes.contains(&class)))
        && filter.from.is_none_or(|from| record.at >= from)
        && filter.to.is_none_or(|to| record.at < to)
}
