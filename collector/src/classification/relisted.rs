//! Judges changes again that entries of the lists of what to ignore speak of, or spoke of, where a
//! reload changed those entries.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::bench::PAST;
use super::{AGAIN_MOST, Judged, Judgements, changes, judge_all, place, subject};
use crate::analysis::classify::RuleKind;
use crate::analysis::classify::ignore::Ignore;
use crate::analysis::classify::scope::Fit;
use crate::config::Config;
use crate::store::{EventKind, EventRecord, Step, StoreError};
use crate::writer::Reads;

/// The entries in which two lists differ, as each of them has them.
pub fn changed_entries(before: &[Ignore], after: &[Ignore]) -> Vec<Ignore> {
    let gone = before.iter().filter(|entry| !after.contains(entry));
    let new = after.iter().filter(|entry| !before.contains(entry));
    gone.chain(new).cloned().collect()
}

/// Judges the changes of the last two weeks again that `entries` are about.
///
/// # Errors
/// [`StoreError`].
pub fn judge_relisted(
    store: &dyn Reads,
    (config, now): (&Config, Timestamp),
    entries: &[Ignore],
) -> Result<Judged, StoreError> {
    let from = now.checked_sub(PAST).unwrap_or(Timestamp::MIN);
    let (all, left_out) = changes(store, (None, from, now), AGAIN_MOST)?;
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let mut places = BTreeMap::new();
    let mut near = Vec::new();
    for record in all {
        let Some(classified) = &record.classified else { continue };
        let decision = &classified.decision;
        let was = decision.rule == RuleKind::Ignore && names.contains(decision.name.as_str());
        let place = place(store, config, (&record.host, &mut places))?;
        let about = subject(&record, place);
        let is = entries.iter().any(|entry| matches!(entry.scope.fit(&about), Fit::Covers(_)));
        if was || is {
            near.push(record);
        }
    }
    let Judgements { judgements, left_out: held_back } = judge_all(store, (config, now), near)?;
    if judgements.is_empty() {
        return Ok(Judged { left_out: held_back, ..Judged::default() });
    }
    let beyond = match left_out {
        true => format!("; only the last {AGAIN_MOST} changes were looked at"),
        false => String::new(),
    };
    let many = super::judged_again(judgements.len());
    let detail = format!("the lists of what to ignore: {many}{beyond}");
    let kind = EventKind::Reclassified;
    let event = Step::Event(EventRecord { at: now, host: None, kind, detail });
    let steps = vec![Step::Judged(judgements), event];
    Ok(Judged { steps, more: false, left_out: held_back })
}
