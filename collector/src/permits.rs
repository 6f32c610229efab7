//! Which findings an exception permits, at one moment: what pages, API and metrics ask.
//!
//! One answer for all of them, so that they cannot disagree. It reads and decides nothing; what an
//! exception covers is said by [`crate::analysis::exceptions`].

use std::collections::BTreeMap;

use driftline_protocol::ids::HostId;
use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;

use crate::analysis::exceptions::{Exception, Standing};
use crate::analysis::finding::Finding;
use crate::analysis::rules::About;
use crate::ingest::sight;
use crate::standards::Standards;
use crate::store::{FindingFilter, FindingRecord, MAX_LIMIT, OpenCount, StoreError};
use crate::writer::Reads;

/// The most findings looked at for one count; those beyond it count as open, so that too many are
/// told of rather than too few.
const COUNTED_MOST: usize = 200_000;

/// The exceptions that count at one moment.
pub struct Permits<'a> {
    active: Vec<Exception>,
    store: &'a dyn Reads,
    standards: &'a Standards,
    places: BTreeMap<HostId, About>,
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
        Ok(Self { active, store, standards, places: BTreeMap::new(), now })
    }

    /// The exception that permits `finding`, the first by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(&mut self, finding: &Finding) -> Result<Option<&Exception>, StoreError> {
        if self.active.is_empty() {
            return Ok(None);
        }
        let host = &finding.id.host;
        let asks = self.active.iter().any(|exception| exception.scope.asks_for_place());
        if asks && !self.places.contains_key(host) {
            let kind = self.store.host(host)?.map(|record| record.kind).unwrap_or_default();
            self.places.insert(host.clone(), self.standards.about(host, kind));
        }
        let nowhere = About::default();
        let about = self.places.get(host).unwrap_or(&nowhere);
        // An exception that never ends is judged as if its last moment had not come.
        let now = |e: &Exception| match mutant::active(Mutant::ExceptionsNeverExpire) {
            true => e.made_at,
            false => self.now,
        };
        let mut value = None;
        for exception in &self.active {
            if !exception.covers(&finding.id, about, now(exception)) {
                continue;
            }
            if exception.value.is_some() && value.is_none() {
                value = Some(sight(self.store, finding)?.value);
            }
            if exception.permits_value(value) {
                return Ok(Some(exception));
            }
        }
        Ok(None)
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
            let mut after = None;
            while found.len() < COUNTED_MOST {
                let filter = FindingFilter {
                    host: host.clone(),
                    open_only: true,
                    after,
                    limit: MAX_LIMIT,
                    ..FindingFilter::default()
                };
                let page = self.store.findings(&filter)?;
                let full = page.len() >= MAX_LIMIT as usize;
                after = page.last().map(FindingRecord::place);
                found.extend(page);
                if !full {
                    break;
                }
            }
        }
        Ok(found)
    }
}
