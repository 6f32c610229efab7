//! Lists of findings, as API and portal give them: the newest first, or the worst of what is open.

use std::collections::BTreeSet;

use driftline_protocol::ids::HostId;

use crate::config::Config;
use crate::config::place::matches;
use crate::owners::Owners;
use crate::permits::Permits;
use crate::store::{FindingFilter, FindingRecord, HostRecord, MAX_LIMIT, StoreError, WorstFilter};
use crate::writer::Reads;

/// What the store does not know of a finding, so that it is looked for among those it gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Among {
    /// Who answers for it or was given it.
    pub owner: Option<String>,
    /// What its file or table follows.
    pub part: Option<String>,
    /// Whether an exception permits it.
    pub permitted: Option<bool>,
}

/// Where the hosts stand whose findings are asked for, by the configuration; every field narrows.
#[derive(Clone, Debug, Default)]
pub struct Whereabouts {
    /// This host alone.
    pub host: Option<HostId>,
    /// Behind this service: those whose groups its calls pass, and those that serve it where they
    /// stand.
    pub service: Option<String>,
    /// At this site.
    pub site: Option<String>,
    /// In this group.
    pub group: Option<String>,
}

impl Whereabouts {
    /// The hosts that stand there; nothing where every host is meant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn hosts(
        &self,
        store: &dyn Reads,
        config: &Config,
    ) -> Result<Option<BTreeSet<HostId>>, StoreError> {
        let Self { host, service, site, group } = self;
        if service.is_none() && site.is_none() && group.is_none() {
            return Ok(host.clone().map(|host| [host].into()));
        }
        let stands = |record: &HostRecord| {
            let place = config.place(&record.id, record.kind);
            let serves = |wanted: &String| {
                let served = config.served(&place);
                served.iter().any(|served| served.service.as_deref() == Some(wanted.as_str()))
            };
            host.as_ref().is_none_or(|host| *host == record.id)
                && site.as_ref().is_none_or(|site| *site == place.site)
                && group.as_ref().is_none_or(|group| place.groups.contains(group))
                && service.as_ref().is_none_or(serves)
        };
        let hosts = store.hosts()?.into_iter();
        Ok(Some(hosts.filter(stands).map(|record| record.id).collect()))
    }
}

/// What is asked for, and in which order. The limit of the filter is of no matter.
#[derive(Clone, Debug)]
pub enum FindingList {
    /// Whatever was ever found, the newest first.
    Newest(FindingFilter),
    /// What is open, the worst first.
    Worst(WorstFilter),
}

impl FindingList {
    /// The first `limit` of the list that are `among` what is asked for, and the one after which it
    /// goes on, if it does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn page(
        &self,
        store: &dyn Reads,
        (owners, permits): (&mut Owners<'_>, &mut Permits<'_>),
        (among, limit): (&Among, u32),
    ) -> Result<(Vec<FindingRecord>, Option<FindingRecord>), StoreError> {
        if *among == Among::default() {
            let found = self.find(store, (None, limit))?;
            let last = found.last().filter(|_| found.len() >= limit as usize).cloned();
            return Ok((found, last));
        }
        let mut wanted =
            |owners: &mut Owners<'_>, record: &FindingRecord| -> Result<bool, StoreError> {
                let Among { owner, part, permitted } = among;
                let id = &record.finding.id;
                let of_part = |pattern: &String| matches(pattern, id.part.as_str());
                if !part.as_ref().is_none_or(of_part) {
                    return Ok(false);
                }
                if let Some(permitted) = permitted
                    && permits.of(&record.finding)?.is_some() != *permitted
                {
                    return Ok(false);
                }
                owner.as_ref().map_or(Ok(true), |owner| owners.is_of(record, owner))
            };
        owners.listed(limit, &mut wanted, |last| self.find(store, (last, MAX_LIMIT)))
    }

    /// The first of them, or those that follow `last`.
    fn find(
        &self,
        store: &dyn Reads,
        (last, limit): (Option<&FindingRecord>, u32),
    ) -> Result<Vec<FindingRecord>, StoreError> {
        match self {
            Self::Newest(filter) => {
                let after = last.map(FindingRecord::place).or(filter.after);
                store.findings(&FindingFilter { after, limit, ..filter.clone() })
            }
            Self::Worst(filter) => {
                let after = last.map(FindingRecord::badness).or(filter.after);
                store.worst_findings(&WorstFilter { after, limit, ..filter.clone() })
            }
        }
    }

    /// The place of one in the list, as `after` takes it.
    pub fn place(&self, record: &FindingRecord) -> String {
        match self {
            Self::Newest(_) => record.place().to_string(),
            Self::Worst(_) => record.badness().to_string(),
        }
    }
}
