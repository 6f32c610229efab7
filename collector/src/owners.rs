//! Who answers for findings, and what persons did about them: what pages and API ask.
//!
//! It gathers from the store and decides nothing; who owns what is said by
//! [`crate::config::owners`].

use std::collections::BTreeMap;

use driftline_protocol::ids::HostId;
use jiff::Timestamp;

use crate::analysis::rules::About;
use crate::config::owners::Stand;
use crate::standards::Standards;
use crate::store::{ActRecord, FindingRecord, Handled, StoreError};
use crate::writer::Reads;

/// Where hosts stand, at one moment.
pub struct Owners<'a> {
    store: &'a dyn Reads,
    standards: &'a Standards,
    places: BTreeMap<HostId, (About, String)>,
    acts: BTreeMap<i64, Vec<ActRecord>>,
    now: Timestamp,
}

impl<'a> Owners<'a> {
    /// Those of `standards` at `now`.
    pub fn at(store: &'a dyn Reads, standards: &'a Standards, now: Timestamp) -> Self {
        Self { store, standards, places: BTreeMap::new(), acts: BTreeMap::new(), now }
    }

    /// Reads what was done about `records`, of all at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn learn(&mut self, records: &[FindingRecord]) -> Result<(), StoreError> {
        let numbers: Vec<i64> = records.iter().map(|record| record.number).collect();
        for act in self.store.acts_of(&numbers)? {
            self.acts.entry(act.finding).or_default().push(act);
        }
        Ok(())
    }

    /// Who answers for `record`, and what was done about it since it opened, as far as that was
    /// learned.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(&mut self, record: &FindingRecord) -> Result<(String, Handled), StoreError> {
        let acts = self.acts.get(&record.number).into_iter().flatten();
        let handled = Handled::by(acts, record.openings);
        let host = &record.finding.id.host;
        if !self.places.contains_key(host) {
            let kind = self.store.host(host)?.map(|known| known.kind).unwrap_or_default();
            let place = self.standards.config.place(host, kind);
            let about = About { kind: place.kind, site: place.site, groups: place.groups };
            self.places.insert(host.clone(), (about, place.team));
        }
        let (about, team) = self.places.entry(host.clone()).or_default();
        let stand = Stand {
            acknowledged: handled.acknowledged_by.is_some(),
            assigned: handled.assigned_to.as_deref().zip(handled.assigned_at),
            now: self.now,
        };
        let owner = self.standards.config.owner_of(&record.finding, (about, team), stand);
        Ok((owner.to_owned(), handled))
    }
}
