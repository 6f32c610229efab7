//! What may be agreed to, gathered from the store for whoever asks: the drifts of a rollout or of a
//! change request, the state of a host at an earlier moment, and where a host stands against its
//! baseline. It gathers and decides nothing.

mod led_to;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use driftline_protocol::ids::{HostId, SourceName};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::wire::is_imported;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::led_to::{AsRead, LedBy, LedTo, drifts};
use crate::analysis::agreement::{Layer, Subject};
use crate::analysis::finding::Finding;
use crate::analysis::sight::tag;
use crate::ingest::differences;
use crate::standards::Standards;
use crate::store::{ApprovalRecord, Baseline, StoreError, agreements};
use crate::writer::Reads;

const STATE_CONTEXT: &str = "driftline 2026-11 state of a host v1";

/// The most differences that are told.
pub const DIFFERENCES_MOST: usize = 10_000;

/// The state of a host at one moment; imported history is nobody's baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stood(pub BTreeMap<SourceName, Manifest>);

impl Stood {
    /// How `host` stood at `at`, by the collector's clock: what it had observed by then, whenever
    /// it told of it and whatever its own clock said.
    ///
    /// An alternative was what the collector *knew* by then. Who says `--at` before a trial means
    /// the host, and a host that was out of reach that day told of it later; `driftline diff` shows
    /// the same. That it may become another state while a host has something left to tell is what
    /// its tag is for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn at(store: &dyn Reads, host: &HostId, at: Timestamp) -> Result<Self, StoreError> {
        let mut sections = BTreeMap::new();
        for section in store.sections(host)? {
            if is_imported(&section.source) {
                continue;
            }
            if let Some(manifest) = store.manifest_at(host, &section.source, at)? {
                sections.insert(section.source, manifest);
            }
        }
        Ok(Self(sections))
    }

    /// The tag of it: equal tags, equal states.
    pub fn etag(&self) -> String {
        let digests = self.0.iter().map(|(source, manifest)| (source, manifest.digest()));
        tag(STATE_CONTEXT, &digests.collect::<BTreeMap<_, _>>())
    }
}

/// Where the hosts of `subject` stand against what was agreed of them, what a group exempts left
/// out; the first [`DIFFERENCES_MOST`], and whether there are more.
///
/// # Errors
/// [`StoreError`].
pub fn compare(
    (store, standards): (&dyn Reads, &Standards),
    subject: &Subject,
    now: Timestamp,
) -> Result<(Vec<Finding>, bool), StoreError> {
    let agreements = agreements(store)?;
    let mut found = Vec::new();
    for host in members(store, standards, subject)? {
        let Some(record) = store.host(&host)? else { continue };
        found.extend(differences((standards, &agreements), store, (&record, now))?);
        if found.len() > DIFFERENCES_MOST {
            found.truncate(DIFFERENCES_MOST);
            return Ok((found, true));
        }
    }
    Ok((found, false))
}

/// The hosts in service that a subject is of.
///
/// # Errors
/// [`StoreError`].
pub fn members(
    store: &dyn Reads,
    standards: &Standards,
    subject: &Subject,
) -> Result<Vec<HostId>, StoreError> {
    let name = match subject {
        Subject::Host(host) => return Ok(vec![host.clone()]),
        Subject::Group(name) => name,
    };
    let hosts = store.hosts()?.into_iter().filter(|host| host.retired_at.is_none());
    let in_group = hosts.filter(|host| {
        standards.config.place(&host.id, host.kind).groups.iter().any(|group| group == name)
    });
    Ok(in_group.map(|host| host.id).collect())
}

/// The newest approval of each baseline that `host` is held to, the newest first: its own, and
/// those of its `groups` that were not taken back. Of each part the newest that speaks of it
/// counts.
///
/// # Errors
/// [`StoreError`].
pub fn held_to(
    store: &dyn Reads,
    host: &HostId,
    groups: &[String],
) -> Result<Vec<ApprovalRecord>, StoreError> {
    let groups = groups.iter().map(|name| Subject::Group(name.clone()));
    let mut found = Vec::new();
    for subject in std::iter::once(Subject::Host(host.clone())).chain(groups) {
        found.extend(store.approvals(Some(&subject), None, 1)?);
    }
    found.retain(|newest| !newest.removes());
    found.sort_by_key(|newest| Reverse(newest.number));
    Ok(found)
}

/// The most hosts of a group whose own baselines are looked at for one answer.
const OWN_BASELINES_MOST: usize = 500;

/// A host of a group that was approved by itself after the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overridden {
    /// Which host.
    pub host: HostId,
    /// Its newest approval.
    pub approval: i64,
    /// When that was.
    pub at: Timestamp,
    /// How many files and tables of the group's baseline do not count there.
    pub parts: usize,
}

/// The hosts among `hosts` of which something newer was agreed than of their group; the first
/// `OWN_BASELINES_MOST` that were approved later are looked at, and how many were not is said.
///
/// # Errors
/// [`StoreError`].
pub fn overridden(
    store: &dyn Reads,
    (hosts, group): (&[HostId], &Baseline),
) -> Result<(Vec<Overridden>, usize), StoreError> {
    let layers = || group.sections.values();
    let spoken = layers().flat_map(|layer| layer.spoken.values().copied());
    let agreed = layers().flat_map(|layer| layer.parts.values().map(|part| part.approval));
    let oldest = spoken.chain(agreed).min().unwrap_or(i64::MAX);
    let (mut found, mut looked, mut left) = (Vec::new(), 0, 0);
    for host in hosts {
        let own = Subject::Host(host.clone());
        let Some(newest) = store.approvals(Some(&own), None, 1)?.pop() else { continue };
        if newest.number < oldest {
            continue;
        }
        if looked >= OWN_BASELINES_MOST {
            left += 1;
            continue;
        }
        looked += 1;
        let Some(baseline) = store.baseline(&own)? else { continue };
        let of = |(source, layer): (&SourceName, &Layer)| {
            group.sections.get(source).map_or(0, |others| layer.counts_before(others))
        };
        let parts: usize = baseline.sections.iter().map(of).sum();
        if parts > 0 {
            let (approval, at) = (newest.number, newest.at);
            found.push(Overridden { host: host.clone(), approval, at, parts });
        }
    }
    Ok((found, left))
}
