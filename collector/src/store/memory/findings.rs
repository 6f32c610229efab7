//! Findings and tokens in memory.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use driftline_protocol::ids::HostId;
use jiff::Timestamp;

use super::{Memory, State, take};
use crate::analysis::finding::{Finding, FindingId, Status};
use crate::store::records::*;
use crate::store::{Act, ActRecord, ReadActs, ReadFindings, StoreError, WorstFilter};

impl ReadFindings for Memory {
    fn findings(&self, filter: &FindingFilter) -> Result<Vec<FindingRecord>, StoreError> {
        let state = self.read();
        let wanted = |f: &FindingRecord| {
            filter.host.as_ref().is_none_or(|host| *host == f.finding.id.host)
                && filter.hosts.as_ref().is_none_or(|all| all.contains(&f.finding.id.host))
                && filter.severity.is_none_or(|severity| severity == f.finding.severity)
                && filter.kind.is_none_or(|kind| kind == f.finding.id.kind)
                && (!filter.open_only || f.finding.status == Status::Open)
                && (filter.classes.is_empty() || filter.classes.contains(&f.class()))
                && filter.number.is_none_or(|number| number == f.number)
                && filter.after.is_none_or(|after| f.place() < after)
        };
        let mut found: Vec<_> = state.given().filter(wanted).collect();
        found.sort_by_key(|f| Reverse((f.finding.first_seen, f.number)));
        found.truncate(effective_limit(filter.limit) as usize);
        Ok(found)
    }

    fn worst_findings(&self, filter: &WorstFilter) -> Result<Vec<FindingRecord>, StoreError> {
        let state = self.read();
        let wanted = |f: &FindingRecord| {
            f.finding.status == Status::Open
                && filter.hosts.as_ref().is_none_or(|all| all.contains(&f.finding.id.host))
                && filter.severity.is_none_or(|severity| severity == f.finding.severity)
                && filter.kind.is_none_or(|kind| kind == f.finding.id.kind)
                && (filter.classes.is_empty() || filter.classes.contains(&f.class()))
                && filter.after.is_none_or(|after| f.badness() > after)
        };
        let mut found: Vec<_> = state.given().filter(wanted).collect();
        found.sort_by_key(FindingRecord::badness);
        found.truncate(effective_limit(filter.limit) as usize);
        Ok(found)
    }

    fn open_as_found(&self, host: &HostId) -> Result<Vec<Finding>, StoreError> {
        let state = self.read();
        let of_host =
            |f: &&FindingRecord| f.finding.id.host == *host && f.finding.status == Status::Open;
        let mut found: Vec<_> = state.findings.values().filter(of_host).cloned().collect();
        found.sort_by_key(|f| Reverse((f.finding.first_seen, f.number)));
        found.truncate(MAX_LIMIT as usize);
        Ok(found.into_iter().map(|record| record.finding).collect())
    }

    fn finding(&self, id: &FindingId) -> Result<Option<FindingRecord>, StoreError> {
        Ok(self.read().findings.get(id).cloned().map(FindingRecord::by_class))
    }

    fn open_counts(&self) -> Result<Vec<OpenCount>, StoreError> {
        let state = self.read();
        let open = state.findings.values().filter(|f| f.finding.status == Status::Open);
        let one = |record: &FindingRecord| {
            let Finding { id, domain, severity, .. } = &record.finding;
            let (host, kind, class) = (id.host.clone(), id.kind, record.class());
            OpenCount { host, kind, domain: *domain, severity: *severity, class, count: 1 }
        };
        Ok(OpenCount::by_class(open.map(one)))
    }

    fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        Ok(self.read().tokens.values().cloned().collect())
    }
}

impl State {
    /// Every finding as it is given to who asks.
    fn given(&self) -> impl Iterator<Item = FindingRecord> {
        self.findings.values().cloned().map(FindingRecord::by_class)
    }

    /// Removes old lines of the logs of findings, but those of an opening that goes on.
    pub(super) fn expire_acts(&mut self, before: Timestamp, left: &mut u64) {
        let open = self.findings.values().filter(|known| known.finding.status == Status::Open);
        let open: BTreeSet<_> = open.map(|known| (known.number, known.openings)).collect();
        let goes = |act: &ActRecord| act.at < before && !open.contains(&(act.finding, act.opening));
        let old = self.acts.iter().enumerate().filter(|(_, act)| goes(act));
        let mut old: Vec<_> = old.map(|(place, act)| (act.at, place)).collect();
        old.sort_unstable();
        let gone: BTreeSet<usize> = take(old, left).into_iter().map(|(_, place)| place).collect();
        let mut place = 0..;
        self.acts.retain(|_| place.next().is_none_or(|place| !gone.contains(&place)));
    }
}

impl ReadActs for Memory {
    fn acts(&self, finding: i64, limit: u32) -> Result<Vec<ActRecord>, StoreError> {
        let state = self.read();
        let of_finding = state.acts.iter().rev().filter(|act| act.finding == finding);
        Ok(of_finding.take(effective_limit(limit) as usize).cloned().collect())
    }

    fn acts_of(&self, findings: &[i64]) -> Result<Vec<ActRecord>, StoreError> {
        let wanted = |act: &&ActRecord| findings.contains(&act.finding) && act.act != Act::Note;
        Ok(self.read().acts.iter().filter(wanted).cloned().collect())
    }
}
