//! Baselines and approvals in memory.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{PartName, SourceName};

use super::{Memory, State};
use crate::analysis::agreement::{Agreed, Covers, Subject};
use crate::store::{
    APPROVALS_KEPT, ApprovalRecord, Baseline, ReadBaselines, StoreError, effective_limit,
};

impl State {
    pub(super) fn approve(
        &mut self,
        approval: &ApprovalRecord,
        covers: &BTreeMap<SourceName, Covers>,
    ) {
        let subject = &approval.subject;
        if approval.removes() {
            self.baselines.remove(subject);
            return self.keep_approval(approval);
        }
        let first = || Baseline { sections: BTreeMap::new(), approval: approval.clone() };
        let baseline = self.baselines.entry(subject.clone()).or_insert_with(first);
        baseline.approval = approval.clone();
        for (source, covers) in covers {
            let layer = baseline.sections.entry(source.clone()).or_default();
            layer.agree(approval.number, covers);
        }
        self.keep_approval(approval);
    }

    fn keep_approval(&mut self, approval: &ApprovalRecord) {
        let subject = &approval.subject;
        self.approvals.insert(approval.number, approval.clone());
        let of_subject = self.approvals.values().rev().filter(|one| one.subject == *subject);
        let old: Vec<i64> =
            of_subject.skip(APPROVALS_KEPT as usize).map(|one| one.number).collect();
        self.approvals.retain(|number, _| !old.contains(number));
    }
}

impl ReadBaselines for Memory {
    fn baseline(&self, subject: &Subject) -> Result<Option<Baseline>, StoreError> {
        Ok(self.read().baselines.get(subject).cloned())
    }

    fn baseline_sources(&self, subject: &Subject) -> Result<BTreeSet<SourceName>, StoreError> {
        let state = self.read();
        let approved = state.baselines.get(subject).into_iter();
        Ok(approved.flat_map(|baseline| baseline.sections.keys().cloned()).collect())
    }

    fn baseline_part(
        &self,
        subject: &Subject,
        source: &SourceName,
        part: &PartName,
    ) -> Result<Option<Agreed>, StoreError> {
        let state = self.read();
        let layer = state.baselines.get(subject).and_then(|b| b.sections.get(source));
        Ok(layer.and_then(|layer| layer.says(part)))
    }

    fn baselines(&self, after: &str, limit: u32) -> Result<Vec<ApprovalRecord>, StoreError> {
        let state = self.read();
        let by_name = state.baselines.iter().map(|(subject, one)| (subject.to_string(), one));
        let by_name: BTreeMap<_, _> = by_name.filter(|(name, _)| name.as_str() > after).collect();
        let limit = effective_limit(limit) as usize;
        Ok(by_name.into_values().take(limit).map(|one| one.approval.clone()).collect())
    }

    fn approvals(
        &self,
        subject: Option<&Subject>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ApprovalRecord>, StoreError> {
        let state = self.read();
        let wanted = |one: &&ApprovalRecord| {
            subject.is_none_or(|subject| *subject == one.subject)
                && before.is_none_or(|before| one.number < before)
        };
        let found = state.approvals.values().rev().filter(wanted);
        Ok(found.take(effective_limit(limit) as usize).cloned().collect())
    }
}
