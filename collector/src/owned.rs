//! How many open findings each owner answers for, at one moment: what a scrape tells.
//!
//! One answer with pages and API, since [`Owners`] gives it. Names come from the configuration and
//! are bounded, and so is how many findings are looked at, the worst first: of those beyond, and of
//! owners beyond, it is told that they are another's.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::HostId;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Domain;
use jiff::Timestamp;

use crate::analysis::classify::weigh::FindingClass;
use crate::analysis::finding::{FindingKind, Severity};
use crate::config::Config;
use crate::config::owners::{NOBODY, OTHER};
use crate::ingest::FleetView;
use crate::metrics::asks_for_a_person;
use crate::owners::Owners;
use crate::permits::Permits;
use crate::standards::Standards;
use crate::store::{FindingRecord, MAX_LIMIT, OpenCount, StoreError, WorstFilter};
use crate::writer::Reads;

/// The most open findings whose owner is looked for in one scrape: some tenths of a second. Those
/// that an exception permits are nobody's to look at and take no place of others.
const OWNED_MOST: usize = 20_000;

/// The most findings that are read for that, permitted ones included: as many as are read to count
/// the permitted ones.
const READ_MOST: usize = 200_000;

/// Open findings by who answers for them; by label, which not every name has for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// All of them, by what is known of the intent behind them.
    pub all: BTreeMap<(String, Severity, FindingClass), u64>,
    /// Drifts that ask for somebody, by host.
    pub drifts: BTreeMap<(HostId, String, Severity), u64>,
}

/// What is counted together before anybody looks at owners.
type Key = (HostId, FindingKind, Domain, Severity, FindingClass);

impl Owned {
    /// Those of the findings counted in `open`, which are the ones that `permits` permits nobody.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(
        (store, standards, now): (&dyn Reads, &Standards, Timestamp),
        fleet: &FleetView,
        (permits, open): (&mut Permits<'_>, &[OpenCount]),
    ) -> Result<Self, StoreError> {
        let labels = standards.config.owner_labels();
        let mut owned = Self::default();
        let entries = !standards.config.owners.is_empty();
        let team_of = |count: &OpenCount| {
            let kind = fleet.hosts.get(&count.host).map(|host| host.kind).unwrap_or_default();
            label(&labels, &standards.config.place(&count.host, kind).team)
        };
        if !entries && labels.is_empty() {
            // There is nobody whom anything could be given to.
            open.iter().for_each(|count| owned.add(count, team_of(count), count.count));
            return Ok(owned);
        }
        let mut owners = Owners::at(store, standards, now);
        let mut counted: BTreeMap<Key, BTreeMap<&str, u64>> = BTreeMap::new();
        each_of_the_worst(store, |page| {
            let mut asking = Vec::with_capacity(page.len());
            for record in page {
                if permits.of(&record.finding)?.is_none() {
                    asking.push(record);
                }
            }
            owners.learn(&asking)?;
            for record in &asking {
                let (owner, _) = owners.of(record)?;
                let of_owner = counted.entry(key(record)).or_default();
                *of_owner.entry(label(&labels, &owner)).or_default() += 1;
            }
            Ok(asking.len())
        })?;
        for count in open {
            let OpenCount { host, kind, domain, severity, class, count: many } = count;
            let key = (host.clone(), *kind, *domain, *severity, *class);
            // What opens or closes between the two readings: the count is what other pages say.
            let mut left = *many;
            for (owner, many) in counted.remove(&key).unwrap_or_default() {
                let many = many.min(left);
                owned.add(count, owner, many);
                left -= many;
            }
            owned.add(count, if entries { OTHER } else { team_of(count) }, left);
        }
        Ok(owned)
    }

    fn add(&mut self, count: &OpenCount, owner: &str, many: u64) {
        if many == 0 {
            return;
        }
        let key = (owner.to_owned(), count.severity, count.class);
        *self.all.entry(key).or_default() += many;
        if count.kind == FindingKind::Drift && asks_for_a_person(&count) {
            let key = (count.host.clone(), owner.to_owned(), count.severity);
            *self.drifts.entry(key).or_default() += many;
        }
    }
}

fn key(record: &FindingRecord) -> Key {
    let finding = &record.finding;
    let id = &finding.id;
    (id.host.clone(), id.kind, finding.domain, finding.severity, record.class())
}

fn label<'a>(labels: &BTreeSet<&'a str>, owner: &str) -> &'a str {
    if mutant::active(Mutant::EverythingIsNobodys) {
        return NOBODY;
    }
    Config::owner_label(labels, owner)
}

/// The worst open findings, page by page, until `look` says that it has taken [`OWNED_MOST`].
fn each_of_the_worst(
    store: &dyn Reads,
    mut look: impl FnMut(Vec<FindingRecord>) -> Result<usize, StoreError>,
) -> Result<(), StoreError> {
    let mut filter = WorstFilter { limit: MAX_LIMIT, ..WorstFilter::default() };
    let (mut taken, mut read) = (0, 0);
    while taken < OWNED_MOST && read < READ_MOST {
        let page = store.worst_findings(&filter)?;
        filter.after = page.last().map(FindingRecord::badness);
        let many = page.len();
        read += many;
        let took = look(page)?;
        taken += if mutant::active(Mutant::PermittedTakePlaces) { many } else { took };
        if many < MAX_LIMIT as usize {
            break;
        }
    }
    Ok(())
}
