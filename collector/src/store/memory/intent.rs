//! Change requests, and what changes were judged to be, in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Memory, State, take};
use crate::analysis::classify::request::ChangeRequest;
use crate::analysis::finding::{FindingId, FindingKind, Status};
use crate::store::intent_records::*;
use crate::store::{ChangeId, ChangeRecord, FindingRecord, StoreError, effective_limit};

/// What is known of intent.
#[derive(Debug, Default)]
pub(super) struct Intent {
    requests: BTreeMap<i64, Kept>,
    pub(super) unjudged: BTreeSet<ChangeId>,
    /// Open drift that is to be weighed.
    pub(super) to_weigh: BTreeSet<FindingId>,
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
        let change = &record.change;
        let concerns = |id: &FindingId| {
            id.host == record.host
                && id.source == record.source
                && id.part == change.part
                && (id.key.is_none() || change.key.is_none() || id.key == change.key)
        };
        let open = self.findings.values().map(|known| &known.finding);
        let open = open.filter(|f| f.status == Status::Open && f.id.kind == FindingKind::Drift);
        let concerned = open.map(|finding| &finding.id).filter(|id| concerns(id)).cloned();
        self.intent.to_weigh.extend(concerned);
    }

    pub(super) fn weigh(&mut self, weighing: &Weighing) {
        let Some(record) = self.findings.get_mut(&weighing.finding) else { return };
        let same = record.finding.first_seen == weighing.opened;
        let drift = record.finding.id.kind == FindingKind::Drift;
        if record.finding.status != Status::Open || !same || !drift {
            return;
        }
        self.intent.to_weigh.remove(&weighing.finding);
        if let Some(meant) = &weighing.meant {
            record.meant = Some(meant.clone());
        }
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

    fn count_requests(&self, source: &str) -> Result<u64, StoreError> {
        let state = self.read();
        let of_source = state.intent.requests.values();
        Ok(of_source.filter(|kept| kept.record.request.source == source).count() as u64)
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

    fn request_sources(&self) -> Result<Vec<String>, StoreError> {
        let state = self.read();
        let requests = state.intent.requests.values().map(|kept| &kept.record.request);
        let sources: BTreeSet<&String> = requests.map(|request| &request.source).collect();
        Ok(sources.into_iter().cloned().collect())
    }

    fn to_weigh(
        &self,
        now: Timestamp,
        behind: i64,
        limit: u32,
    ) -> Result<Vec<FindingRecord>, StoreError> {
        let state = self.read();
        let is_due = |record: &&FindingRecord| {
            let settles = record.meant.as_ref().and_then(|meant| meant.settles_at);
            let open = record.finding.status == Status::Open;
            let flagged = state.intent.to_weigh.contains(&record.finding.id);
            open && (flagged || settles.is_some_and(|at| at <= now))
        };
        let mut due: Vec<FindingRecord> = state.findings.values().filter(is_due).cloned().collect();
        due.sort_by_key(|record| (record.number <= behind, record.number));
        due.truncate(limit as usize);
        Ok(due)
    }
}
