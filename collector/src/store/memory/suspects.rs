//! Suspects, passes and outcomes in memory.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Memory, take};
use crate::store::suspect_records::*;
use crate::store::{StoreError, effective_limit};

/// Everything that is known of suspects.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    by_number: BTreeMap<i64, SuspectRecord>,
    passes: BTreeMap<i64, PassRecord>,
    outcomes: Vec<OutcomeRecord>,
}

impl Suspects {
    pub(super) fn keep(&mut self, suspect: &SuspectRecord) {
        let known = self.by_number.values().find(|known| known.key == suspect.key);
        let next = self.by_number.last_key_value().map_or(1, |(last, _)| last + 1);
        let number = known.map_or(next, |known| known.number);
        self.by_number.insert(number, SuspectRecord { number, outcome: None, ..suspect.clone() });
    }

    pub(super) fn keep_pass(&mut self, pass: &PassRecord) {
        self.passes.insert(pass.number, pass.clone());
        let suspects = &self.by_number;
        self.passes.retain(|number, _| {
            *number >= pass.number || suspects.values().any(|suspect| suspect.pass == *number)
        });
    }

    pub(super) fn drop(&mut self, keys: &[String]) {
        let outcomes = &self.outcomes;
        self.by_number.retain(|number, suspect| {
            !keys.contains(&suspect.key) || outcomes.iter().any(|o| o.suspect == *number)
        });
    }

    pub(super) fn say(&mut self, outcome: &OutcomeRecord) {
        self.outcomes.push(outcome.clone());
        let of_one = |said: &OutcomeRecord| said.suspect == outcome.suspect;
        if self.outcomes.iter().filter(|said| of_one(said)).count() > OUTCOMES_OF_ONE
            && let Some(oldest) = self.outcomes.iter().position(of_one)
        {
            self.outcomes.remove(oldest);
        }
    }

    pub(super) fn expire(&mut self, before: Timestamp, left: &mut u64) {
        let old = self.by_number.values().filter(|suspect| suspect.at < before);
        let mut old: Vec<_> = old.map(|suspect| (suspect.at, suspect.number)).collect();
        old.sort_unstable();
        for (_, number) in take(old, left) {
            self.by_number.remove(&number);
        }
    }
}

impl ReadSuspects for Memory {
    fn suspects(&self, filter: &SuspectFilter) -> Result<Vec<SuspectRecord>, StoreError> {
        let state = self.read();
        let suspects = &state.suspects;
        let wanted = |suspect: &&SuspectRecord| {
            let service = &suspect.candidate.service;
            filter.number.is_none_or(|number| number == suspect.number)
                && (filter.service.is_none() || service.is_none() || *service == filter.service)
                && filter.tier.is_none_or(|tier| tier == suspect.evidence.tier)
                && filter.from.is_none_or(|from| suspect.at >= from)
                && filter.to.is_none_or(|to| suspect.at < to)
        };
        let mut found: Vec<_> = suspects.by_number.values().filter(wanted).cloned().collect();
        let score = |suspect: &SuspectRecord| suspect.evidence.score.unwrap_or(-1.0);
        found.sort_by(|a, b| {
            let tier = |suspect: &SuspectRecord| suspect.evidence.tier;
            tier(a)
                .cmp(&tier(b))
                .then_with(|| score(b).total_cmp(&score(a)))
                .then_with(|| a.number.cmp(&b.number))
        });
        found.truncate(effective_limit(filter.limit) as usize);
        for suspect in &mut found {
            let mut said = suspects.outcomes.iter().rev();
            suspect.outcome = said.find(|said| said.suspect == suspect.number).cloned();
        }
        Ok(found)
    }

    fn pass(&self, number: i64) -> Result<Option<PassRecord>, StoreError> {
        Ok(self.read().suspects.passes.get(&number).cloned())
    }

    fn last_pass(&self) -> Result<i64, StoreError> {
        Ok(self.read().suspects.passes.last_key_value().map_or(0, |(last, _)| *last))
    }

    fn outcomes(&self) -> Result<Vec<OutcomeRecord>, StoreError> {
        Ok(self.read().suspects.outcomes.clone())
    }
}
