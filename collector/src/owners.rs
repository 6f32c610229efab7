//! Who answers for findings, and what persons did about them: what pages and API ask.
//!
//! It gathers from the store and decides nothing; who owns what is said by
//! [`crate::config::owners`].

use std::collections::BTreeMap;

use driftline_protocol::ids::HostId;
use jiff::Timestamp;

use crate::analysis::rules::About;
use crate::standards::Standards;
use crate::store::{FindingRecord, Handled, MAX_LIMIT, StoreError};
use crate::writer::Reads;

/// Where hosts stand, at one moment.
pub struct Owners<'a> {
    store: &'a dyn Reads,
    standards: &'a Standards,
    places: BTreeMap<HostId, (About, String)>,
    now: Timestamp,
}

impl<'a> Owners<'a> {
    /// Those of `standards` at `now`.
    pub fn at(store: &'a dyn Reads, standards: &'a Standards, now: Timestamp) -> Self {
        Self { store, standards, places: BTreeMap::new(), now }
    }

    /// Who answers for `record`, and what was done about it since it opened.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(&mut self, record: &FindingRecord) -> Result<(String, Handled), StoreError> {
        let acts = self.store.acts(record.number, MAX_LIMIT)?;
        let handled = Handled::by(&acts, record.finding.first_seen);
        let host = &record.finding.id.host;
        if !self.places.contains_key(host) {
            let kind = self.store.host(host)?.map(|known| known.kind).unwrap_or_default();
            let place = self.standards.config.place(host, kind);
            let about = About { kind: place.kind, site: place.site, groups: place.groups };
            self.places.insert(host.clone(), (about, place.team));
        }
        let (about, team) = self.places.entry(host.clone()).or_default();
        let acknowledged = handled.acknowledged_by.is_some();
        let config = &self.standards.config;
        let owner = config.owner_of(&record.finding, (about, team), (acknowledged, self.now));
        Ok((owner.to_owned(), handled))
    }
}
