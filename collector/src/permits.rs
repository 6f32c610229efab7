//! Which findings an exception permits, at one moment: what pages, API and metrics ask.
//!
//! One answer for all of them, so that they cannot disagree. It reads and decides nothing; what an
//! exception covers is said by [`crate::analysis::exceptions`].

use std::collections::BTreeMap;

use driftline_protocol::ids::{Digest, HostId};
use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;

use crate::analysis::exceptions::{Exception, Standing};
use crate::analysis::finding::{Finding, FindingId};
use crate::analysis::rules::About;
use crate::analysis::sight::is_of_all_it_says;
use crate::config::place::matches;
use crate::ingest::sight;
use crate::standards::Standards;
use crate::store::{FindingFilter, FindingRecord, OpenCount, StoreError, each_finding};
use crate::writer::Reads;

/// The most findings looked at for one count; those beyond it count as open, so that too many are
/// told of rather than too few.
const COUNTED_MOST: usize = 200_000;

/// The exceptions that count at one moment.
pub struct Permits<'a> {
    active: Vec<Exception>,
    store: &'a dyn Reads,
    standards: &'a Standards,
    /// Where each host stands, and which of the active may be of it, by name: most are of one host,
    /// and each finding is held against its host's alone.
    places: BTreeMap<HostId, (About, Vec<usize>)>,
    /// What whole parts have now, each read once: that costs as much as the part has items, and a
    /// scrape asks twice.
    values: BTreeMap<FindingId, Digest>,
    now: Timestamp,
}

impl<'a> Permits<'a> {
    /// Those that count at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn at(
        store: &'a dyn Reads,
        standards: &'a Standards,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut active = store.exceptions()?;
        let counts = |e: &Exception| {
            e.standing(now) == Standing::Active || mutant::active(Mutant::ExceptionsNeverExpire)
        };
        active.retain(counts);
        let (places, values) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { active, store, standards, places, values, now })
    }

    /// The exception that permits `finding`, the first by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(&mut self, finding: &Finding) -> Result<Option<&Exception>, StoreError> {
        if self.active.is_empty() {
            return Ok(None);
        }
        let id = &finding.id;
        self.learn(&id.host)?;
        let Some((about, of_host)) = self.places.get(&id.host) else { return Ok(None) };
        // An exception that never ends is judged as if its last moment had not come.
        let now = |e: &Exception| match mutant::active(Mutant::ExceptionsNeverExpire) {
            true => e.made_at,
            false => self.now,
        };
        for exception in of_host.iter().filter_map(|place| self.active.get(*place)) {
            if !exception.covers(id, about, now(exception)) {
                continue;
            }
            let value = match exception.value {
                None => None,
                Some(_) => Some(value(self.store, &mut self.values, finding)?),
            };
            if exception.permits_value(value) {
                return Ok(Some(exception));
            }
        }
        Ok(None)
    }

    /// Learns where `host` stands and what may be of it.
    fn learn(&mut self, host: &HostId) -> Result<(), StoreError> {
        if self.places.contains_key(host) {
            return Ok(());
        }
        let asks = self.active.iter().any(|exception| exception.scope.asks_for_place());
        let about = match asks {
            false => About::default(),
            true => {
                let kind = self.store.host(host)?.map(|record| record.kind).unwrap_or_default();
                self.standards.about(host, kind)
            }
        };
        let may_be_of_it = |exception: &Exception| {
            exception.scope.host.as_ref().is_none_or(|pattern| matches(pattern, host.as_str()))
        };
        let active = self.active.iter().enumerate();
        let of_host = active.filter(|(_, exception)| may_be_of_it(exception));
        let of_host = of_host.map(|(place, _)| place).collect();
        self.places.insert(host.clone(), (about, of_host));
        Ok(())
    }

    /// Counts of open findings apart: those nobody permits, and those that are permitted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn split(
        &mut self,
        mut open: Vec<OpenCount>,
    ) -> Result<(Vec<OpenCount>, Vec<OpenCount>), StoreError> {
        let mut permitted: BTreeMap<_, u64> = BTreeMap::new();
        for record in self.candidates()? {
            if self.of(&record.finding)?.is_some() {
                let class = record.class();
                let Finding { id, domain, severity, .. } = record.finding;
                *permitted.entry((id.host, id.kind, domain, severity, class)).or_default() += 1;
            }
        }
        let mut apart = Vec::new();
        for count in &mut open {
            let OpenCount { host, kind, domain, severity, class, .. } = &*count;
            let key = (host.clone(), *kind, *domain, *severity, *class);
            if let Some(many) = permitted.get(&key) {
                let many = (*many).min(count.count);
                count.count -= many;
                apart.push(OpenCount { count: many, ..count.clone() });
            }
        }
        Ok((open, apart))
    }

    /// The open findings that any exception may concern.
    fn candidates(&self) -> Result<Vec<FindingRecord>, StoreError> {
        if self.active.is_empty() {
            return Ok(Vec::new());
        }
        let named: Option<Vec<HostId>> =
            self.active.iter().map(|e| e.scope.host.as_ref()?.parse().ok()).collect();
        let mut hosts: Vec<Option<HostId>> = match named {
            Some(hosts) => hosts.into_iter().map(Some).collect(),
            None => vec![None],
        };
        hosts.sort();
        hosts.dedup();
        let mut found = Vec::new();
        for host in hosts {
            let left = COUNTED_MOST.saturating_sub(found.len());
            if left == 0 {
                break;
            }
            let filter = FindingFilter { host, open_only: true, ..FindingFilter::default() };
            each_finding(self.store, (filter, left), |record| found.push(record))?;
        }
        Ok(found)
    }
}

/// What `finding` has now. Of an item that is in the finding; what a whole part says is read, once.
fn value(
    store: &dyn Reads,
    read: &mut BTreeMap<FindingId, Digest>,
    finding: &Finding,
) -> Result<Digest, StoreError> {
    if !is_of_all_it_says(finding) {
        return Ok(sight(store, finding)?.value);
    }
    if let Some(value) = read.get(&finding.id) {
        return Ok(*value);
    }
    let value = sight(store, finding)?.value;
    read.insert(finding.id.clone(), value);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::exceptions::ExceptionScope;
    use crate::analysis::finding::made_up;
    use crate::store::memory::Memory;
    use crate::store::{Append as _, Step};

    /// Which of the exceptions, by name and host, permits a finding of `host`.
    fn permits(exceptions: &[(&str, Option<&str>)], host: &str) -> Option<String> {
        let mut store = Memory::new();
        let second = |second| Timestamp::from_second(second).unwrap();
        for (name, of) in exceptions {
            let exception = Exception {
                name: (*name).to_owned(),
                scope: ExceptionScope {
                    host: of.map(str::to_owned),
                    part: Some("/etc/*".into()),
                    ..ExceptionScope::default()
                },
                value: None,
                owner: "ada".into(),
                reason: "a trial".into(),
                made_by: "ada".into(),
                made_at: second(0),
                expires_at: second(100),
                zone: "UTC".into(),
                ended: None,
            };
            store.apply(&[Step::Exception(Box::new(exception))]).unwrap();
        }
        let standards = Standards::default();
        let mut permits = Permits::at(&store, &standards, second(50)).unwrap();
        let mut finding = made_up("/etc/a", Some("codec"));
        finding.id.host = host.parse().unwrap();
        permits.of(&finding).unwrap().map(|exception| exception.name.clone())
    }

    #[test]
    fn of_those_that_are_of_a_host_the_first_by_name_permits() {
        let all = [("d", None), ("c", Some("sbc-*")), ("b", Some("sbc-1")), ("a", Some("pbx"))];
        let first = |host: &str, from: usize| permits(&all[from..], host);
        assert_eq!(first("sbc-1", 0).as_deref(), Some("b"));
        assert_eq!(first("sbc-2", 0).as_deref(), Some("c"));
        assert_eq!(first("laptop", 0).as_deref(), Some("d"));
        assert_eq!(first("laptop", 1), None);
    }
}
