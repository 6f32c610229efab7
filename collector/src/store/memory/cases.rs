//! Cases in memory: every change of facts is kept whole, and questions look through all of it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Memory, take};
use crate::store::case_records::*;
use crate::store::{StoreError, effective_limit};

/// Everything that is known of cases.
#[derive(Debug, Default)]
pub(super) struct Cases {
    by_number: BTreeMap<i64, CaseRecord>,
    /// What was replaced, by its number: of which case, and its facts before.
    past: BTreeMap<i64, (i64, CaseFacts)>,
    feeds: BTreeMap<String, FeedRecord>,
    /// Cases ever kept.
    pub(super) total: u64,
    /// Cases that went because their source had too many.
    pub(super) beyond: u64,
}

impl Cases {
    pub(super) fn keep(&mut self, case: &CaseRecord) {
        let mut known = self.by_number.values_mut();
        let known = known.find(|known| known.source == case.source && known.id == case.id);
        if let Some(known) = known {
            if known.facts != case.facts {
                let before = std::mem::replace(&mut known.facts, case.facts.clone());
                if !before.counts_as(&case.facts) {
                    let of = known.number;
                    self.keep_past(of, before);
                }
            }
            return;
        }
        let number = self.by_number.last_key_value().map_or(1, |(last, _)| last + 1);
        self.total += 1;
        self.by_number.insert(number, CaseRecord { number, ..case.clone() });
    }

    fn keep_past(&mut self, of: i64, before: CaseFacts) {
        let number = self.past.last_key_value().map_or(1, |(last, _)| last + 1);
        self.past.insert(number, (of, before));
        let own = self.past.iter().filter(|(_, (case, _))| *case == of);
        let own: Vec<i64> = own.map(|(number, _)| *number).collect();
        for number in own.iter().take(own.len().saturating_sub(CASE_PAST)) {
            self.past.remove(number);
        }
    }

    pub(super) fn note(&mut self, reading: &CaseReading) {
        let next = FeedRecord::after(self.feeds.get(&reading.source), reading);
        self.feeds.insert(reading.source.clone(), next);
    }

    pub(super) fn expire(&mut self, before: Timestamp, left: &mut u64) {
        let old = self.by_number.values().filter(|case| case.opened_at < before);
        let mut old: Vec<_> = old.map(|case| (case.opened_at, case.number)).collect();
        old.sort_unstable();
        for (_, number) in take(old, left) {
            self.remove(number);
        }
        let mut sources: BTreeMap<String, Vec<(Timestamp, i64)>> = BTreeMap::new();
        for case in self.by_number.values() {
            let of = sources.entry(case.source.clone()).or_default();
            of.push((case.opened_at, case.number));
        }
        for mut of in sources.into_values() {
            of.sort_unstable();
            of.truncate(of.len().saturating_sub(SOURCE_CASES as usize));
            for (_, number) in take(of, left) {
                self.remove(number);
                self.beyond += 1;
            }
        }
    }

    fn remove(&mut self, number: i64) {
        self.by_number.remove(&number);
        self.past.retain(|_, (of, _)| *of != number);
    }

    /// The facts of `case` as they were known at `known`.
    fn facts_at<'a>(&'a self, case: &'a CaseRecord, known: CasesKnown) -> &'a CaseFacts {
        let mut later = self.past.range(known.update + 1..);
        later.find(|(_, (of, _))| *of == case.number).map_or(&case.facts, |(_, (_, facts))| facts)
    }
}

impl ReadCases for Memory {
    fn cases(&self, filter: &CaseFilter) -> Result<Vec<CaseRecord>, StoreError> {
        let state = self.read();
        let wanted = |case: &&CaseRecord| {
            filter.source.as_ref().is_none_or(|source| *source == case.source)
                && filter.id.as_ref().is_none_or(|id| *id == case.id)
                && filter.from.is_none_or(|from| case.opened_at >= from)
                && filter.to.is_none_or(|to| case.opened_at < to)
                && filter.after.is_none_or(|after| case.place() < after)
        };
        let mut found: Vec<_> = state.cases.by_number.values().filter(wanted).cloned().collect();
        found.sort_by_key(|case| Reverse(case.place()));
        found.truncate(effective_limit(filter.limit) as usize);
        Ok(found)
    }

    fn each_case(
        &self,
        (from, known): (Timestamp, CasesKnown),
        limit: u64,
        take: &mut dyn FnMut(CountedCase<'_>),
    ) -> Result<(), StoreError> {
        let state = self.read();
        let cases = &state.cases;
        let wanted = |case: &&CaseRecord| {
            case.opened_at >= from
                && case.number <= known.case
                && cases.facts_at(case, known).parent.is_empty()
        };
        let mut found: Vec<_> = cases.by_number.values().filter(wanted).collect();
        found.sort_by_key(|case| Reverse(case.opened_at));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        for case in found {
            let facts = cases.facts_at(case, known);
            take(CountedCase {
                source: &case.source,
                opened_at: case.opened_at.as_second(),
                recorded_at: case.recorded_at.map(Timestamp::as_second),
                service: &facts.service,
                site: &facts.site,
                category: &facts.category,
            });
        }
        Ok(())
    }

    fn each_open_case(
        &self,
        limit: u64,
        take: &mut dyn FnMut(OpenCase<'_>),
    ) -> Result<(), StoreError> {
        let state = self.read();
        let open = |case: &&CaseRecord| case.facts.status.is_open() && case.facts.parent.is_empty();
        let mut found: Vec<_> = state.cases.by_number.values().filter(open).collect();
        found.sort_by_key(|case| (case.facts.due_at.is_none(), case.facts.due_at, case.number));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        for case in found {
            take(OpenCase {
                source: &case.source,
                opened_at: case.opened_at.as_second(),
                due_at: case.facts.due_at.map(Timestamp::as_second),
                service: &case.facts.service,
                site: &case.facts.site,
                category: &case.facts.category,
                team: &case.facts.team,
                priority: &case.facts.priority,
            });
        }
        Ok(())
    }

    fn cases_known(&self) -> Result<CasesKnown, StoreError> {
        let state = self.read();
        let last = |last: Option<i64>| last.unwrap_or_default();
        Ok(CasesKnown {
            case: last(state.cases.by_number.last_key_value().map(|(number, _)| *number)),
            update: last(state.cases.past.last_key_value().map(|(number, _)| *number)),
        })
    }

    fn case_counts(&self, from: Timestamp) -> Result<Vec<CaseCount>, StoreError> {
        let mut counts: BTreeMap<_, u64> = BTreeMap::new();
        for case in self.read().cases.by_number.values() {
            let CaseFacts { service, site, category, parent, .. } = case.facts.clone();
            if case.opened_at >= from && parent.is_empty() {
                let words = (case.source.clone(), service, site, category);
                *counts.entry(words).or_default() += 1;
            }
        }
        let count = |((source, service, site, category), cases)| CaseCount {
            source,
            service,
            site,
            category,
            cases,
        };
        Ok(counts.into_iter().map(count).collect())
    }

    fn case_delays(&self, limit: u32) -> Result<Vec<i64>, StoreError> {
        let state = self.read();
        let first_good = |case: &CaseRecord| state.cases.feeds.get(&case.source)?.first_good;
        let tells = |case: &&CaseRecord| {
            let dated = case.recorded_at.is_some();
            // One that was opened tomorrow tells of its clock.
            case.opened_at <= case.received_at
                && (dated || first_good(case).is_some_and(|at| case.opened_at > at))
        };
        let mut found: Vec<_> = state.cases.by_number.values().filter(tells).collect();
        found.sort_by_key(|case| Reverse(case.place()));
        let delay = |case: &CaseRecord| {
            let known = case.recorded_at.unwrap_or(case.received_at);
            case.opened_at.duration_until(known).as_secs()
        };
        Ok(found.into_iter().take(limit as usize).map(delay).collect())
    }

    fn case_key(&self) -> Result<[u8; 32], StoreError> {
        // It lives no longer than its process, and tests want to know.
        Ok([7; 32])
    }

    fn case_feeds(&self) -> Result<Vec<FeedRecord>, StoreError> {
        Ok(self.read().cases.feeds.values().cloned().collect())
    }
}
