//! Who answers for findings, and what persons did about them: what pages and API ask.
//!
//! It gathers from the store and decides nothing; who owns what is said by
//! [`crate::config::owners`].

use std::collections::BTreeMap;

use driftline_protocol::ids::HostId;
use jiff::Timestamp;

use crate::analysis::rules::About;
use crate::config::owners::{NOBODY, Stand};
use crate::standards::Standards;
use crate::store::{ActRecord, FindingRecord, Handled, MAX_LIMIT, StoreError};
use crate::writer::Reads;

/// The most findings that are read for one list of somebody's: some tenths of a second.
const READ_MOST: usize = 20_000;

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
        // What was learned before is known anew.
        for number in &numbers {
            self.acts.remove(number);
        }
        for act in self.store.acts_of(&numbers)? {
            self.acts.entry(act.finding).or_default().push(act);
        }
        Ok(())
    }

    /// The first findings of a list that are `wanted`, `limit` of them at most, and the one after
    /// which the list goes on. `page` gives those that follow one, [`MAX_LIMIT`] at a time.
    ///
    /// The store does not know owners, so all are read, but no more than `READ_MOST` for one
    /// answer: it may be short, and even empty, and go on all the same.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn listed(
        &mut self,
        limit: u32,
        wanted: &mut dyn FnMut(&mut Self, &FindingRecord) -> Result<bool, StoreError>,
        page: impl Fn(Option<&FindingRecord>) -> Result<Vec<FindingRecord>, StoreError>,
    ) -> Result<(Vec<FindingRecord>, Option<FindingRecord>), StoreError> {
        let (mut listed, mut last, mut read) = (Vec::new(), None, 0);
        loop {
            let found = page(last.as_ref())?;
            let many = found.len();
            read += many;
            self.learn(&found)?;
            last = found.last().cloned();
            for record in found {
                if wanted(self, &record)? {
                    listed.push(record);
                }
                if listed.len() >= limit as usize {
                    let last = listed.last().cloned();
                    return Ok((listed, last));
                }
            }
            if many < MAX_LIMIT as usize {
                return Ok((listed, None));
            }
            if read >= READ_MOST {
                return Ok((listed, last));
            }
        }
    }

    /// Whether `wanted` answers for `record` or was given it; [`NOBODY`] where nobody does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_of(&mut self, record: &FindingRecord, wanted: &str) -> Result<bool, StoreError> {
        let (owner, handled) = self.of(record)?;
        let given = handled.assigned_to.as_deref() == Some(wanted);
        Ok(given || owner == wanted || (owner.is_empty() && wanted == NOBODY))
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
            acknowledged: handled.acknowledged_last,
            assigned: handled.assigned_to.as_deref().zip(handled.assigned_at),
            now: self.now,
        };
        let owner = self.standards.config.owner_of(&record.finding, (about, team), stand);
        Ok((owner.to_owned(), handled))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::analysis::finding::made_up;
    use crate::config::load::parse;
    use crate::store::memory::Memory;
    use crate::store::{Act, Append as _, ReadFindings as _, Step, WorstFilter};

    /// The parts of all that `wanted` answers for, two to an answer.
    fn listed(store: &Memory, standards: &Standards, wanted: &str) -> Vec<String> {
        let mut owners = Owners::at(store, standards, Timestamp::UNIX_EPOCH);
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let (found, last) = owners
                .listed(2, &mut |owners, record| owners.is_of(record, wanted), |last| {
                    let after = last.map(FindingRecord::badness).or(after);
                    let filter = WorstFilter { after, limit: MAX_LIMIT, ..WorstFilter::default() };
                    store.worst_findings(&filter)
                })
                .unwrap();
            assert!(found.len() <= 2);
            all.extend(found.into_iter().map(|record| record.finding.id.part.to_string()));
            match last {
                Some(last) => after = Some(last.badness()),
                None => return all,
            }
        }
    }

    #[test]
    fn a_list_of_somebodys_findings_goes_on_until_all_are_told() {
        let text = "[[owner]]\nchain = ['voice']\nscope = { part = '/v*' }\n\
            [[owner]]\nchain = ['lead']\nscope = { part = '/l*' }\n";
        let config = Arc::new(parse("t", text).unwrap());
        let standards = Standards { config, ..Standards::default() };
        let parts = ["/v1", "/l1", "/n1", "/v2", "/l2", "/v3", "/v4", "/v5"];
        let mut store = Memory::new();
        store.apply(&[Step::Findings(parts.map(|part| made_up(part, None)).into())]).unwrap();
        let lead = |store: &Memory| listed(store, &standards, "lead");
        assert_eq!(listed(&store, &standards, "voice"), ["/v1", "/v2", "/v3", "/v4", "/v5"]);
        assert_eq!(lead(&store), ["/l1", "/l2"]);
        assert_eq!(listed(&store, &standards, NOBODY), ["/n1"]);
        assert!(listed(&store, &standards, "ada").is_empty());
        let give = |finding: i64, to: &str| {
            let (at, who, text) = (Timestamp::UNIX_EPOCH, "bob".into(), to.into());
            Step::Act(ActRecord { finding, at, who, act: Act::Assign, text, opening: 1 })
        };
        let all = store.worst_findings(&WorstFilter::default()).unwrap();
        let number = |part: &str| {
            let of = |one: &&FindingRecord| one.finding.id.part.as_str() == part;
            all.iter().find(of).unwrap().number
        };
        let steps = [give(number("/v2"), "lead"), give(number("/v3"), "ada")];
        store.apply(&steps).unwrap();
        assert_eq!(lead(&store), ["/l1", "/v2", "/l2"], "it was given to them");
        assert_eq!(listed(&store, &standards, "ada"), ["/v3"], "whom no configuration names");
        assert_eq!(listed(&store, &standards, "voice"), ["/v1", "/v3", "/v4", "/v5"]);
    }
}
