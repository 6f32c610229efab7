//! Change requests, and what changes were judged to be, in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Memory, State, take};
use crate::analysis::classify::request::ChangeRequest;
use crate::store::intent_records::*;
use crate::store::{ChangeId, ChangeRecord, StoreError, effective_limit};

/// What is known of intent.
#[derive(Debug, Default)]
pub(super) struct Intent {
    requests: BTreeMap<i64, Kept>,
    pub(super) unjudged: BTreeSet<ChangeId>,
}

#[derive(Debug)]
struct Kept {
    record: RequestRecord,
    look: Option<(Timestamp, Timestamp)>,
}

impl Intent {
    pub(super) fn keep(&mut self, request: &ChangeRequest) {
        let same = |kept: &&mut Kept| {
            kept.record.request.source == request.source && kept.record.request.id == request.id
        };
        if let Some(kept) = self.requests.values_mut().find(same) {
            let known = &mut kept.record.request;
            if known.says_the_same(request) {
                return;
            }
            let (from, to) = kept.look.unwrap_or((known.start, known.end));
            kept.look = Some((from.min(request.start), to.max(request.end)));
            *known = ChangeRequest { received_at: known.received_at, ..request.clone() };
            kept.record.revision += 1;
            return;
        }
        let number = self.requests.last_key_value().map_or(1, |(last, _)| last + 1);
        let record = RequestRecord { number, revision: 1, request: request.clone() };
        let look = Some((request.start, request.end));
        self.requests.insert(number, Kept { record, look });
    }

    pub(super) fn reconsidered(&mut self, (number, revision): (i64, i64)) {
        if let Some(kept) = self.requests.get_mut(&number)
            && kept.record.revision == revision
        {
            kept.look = None;
        }
    }

    pub(super) fn expire(&mut self, before: Timestamp, left: &mut u64) {
        let old = self.requests.values().filter(|kept| kept.record.request.end < before);
        let mut old: Vec<_> =
            old.map(|kept| (kept.record.request.end, kept.record.number)).collect();
        old.sort();
        for (_, number) in take(old, left) {
            self.requests.remove(&number);
        }
    }
}

impl State {
    pub(super) fn judge(&mut self, judgement: &Judgement) {
        let Some(record) = self.changes.get_mut(&judgement.change) else { return };
        self.intent.unjudged.remove(&judgement.change);
        if let Some(class) = judgement.classified.decision.class {
            *self.totals.classes.entry((record.domain, class)).or_default() += 1;
        }
        record.classified = Some(judgement.classified.clone());
    }
}

impl ReadIntent for Memory {
    fn change_requests(&self, filter: &RequestFilter) -> Result<Vec<RequestRecord>, StoreError> {
        let state = self.read();
        let wanted = |record: &&RequestRecord| {
            let request = &record.request;
            filter.source.as_ref().is_none_or(|source| *source == request.source)
                && filter.id.as_ref().is_none_or(|id| *id == request.id)
                && filter.from.is_none_or(|from| request.end > from)
                && filter.to.is_none_or(|to| request.start < to)
                && filter.after.is_none_or(|after| record.place() < after)
        };
        let records = state.intent.requests.values().map(|kept| &kept.record);
        let mut found: Vec<RequestRecord> = records.filter(wanted).cloned().collect();
        found.sort_by_key(|record| Reverse(record.place()));
        found.truncate(effective_limit(filter.limit) as usize);
        Ok(found)
    }

    fn to_reconsider(&self, limit: u32) -> Result<Vec<Reconsider>, StoreError> {
        let state = self.read();
        let reconsider = |kept: &Kept| {
            let (from, to) = kept.look?;
            Some(Reconsider { record: kept.record.clone(), from, to })
        };
        Ok(state.intent.requests.values().filter_map(reconsider).take(limit as usize).collect())
    }

    fn unjudged(&self, limit: u32) -> Result<Vec<ChangeRecord>, StoreError> {
        let state = self.read();
        let ids = state.intent.unjudged.iter().take(limit as usize);
        Ok(ids.filter_map(|id| state.changes.get(id).cloned()).collect())
    }
}
