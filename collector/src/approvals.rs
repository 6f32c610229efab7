//! What may be agreed to, gathered from the store for whoever asks: the drifts of a rollout or of a
//! change request, the state of a host at an earlier moment, and where a host stands against its
//! baseline. It gathers and decides nothing.

use std::collections::BTreeMap;

use driftline_protocol::ids::{HostId, SourceName};
use driftline_protocol::item::ItemKey;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::wire::is_imported;
use jiff::{SignedDuration, Timestamp};

use crate::analysis::agreement::Subject;
use crate::analysis::change::ChangeKind;
use crate::analysis::classify::RuleKind;
use crate::analysis::finding::{Finding, FindingId, FindingKind};
use crate::config::Config;
use crate::ingest::{differences, sight};
use crate::rollouts;
use crate::standards::Standards;
use crate::store::{ChangeFilter, FindingFilter, FindingRecord, MAX_LIMIT, StoreError, agreements};
use crate::writer::Reads;

/// The most open findings that are looked through.
const LOOKED_AT: usize = 200_000;

/// The most differences that are told.
pub const DIFFERENCES_MOST: usize = 10_000;

/// How far apart the changes of one action on one host may be seen.
const TOGETHER: SignedDuration = SignedDuration::from_mins(15);

/// What led to drifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedBy {
    /// The rollout of this number.
    Rollout(i64),
    /// The change request `source/id`.
    Request(String),
}

/// A finding, and the word for it as it was read.
pub type AsRead = (FindingId, String);

/// The open drifts of a rollout or a change request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedTo {
    /// Those it led to.
    pub findings: Vec<AsRead>,
    /// What they are of, in words.
    pub of: String,
    /// How many more there are that moved on since it reached them.
    pub moved: u64,
}

/// The open drifts that `led_by` led to; `None` when there is no such rollout. What moved on since
/// the rollout reached it is not what that led to.
///
/// # Errors
/// [`StoreError`].
pub fn drifts(
    store: &dyn Reads,
    config: &Config,
    led_by: &LedBy,
) -> Result<Option<LedTo>, StoreError> {
    match led_by {
        LedBy::Request(name) => {
            let of = |record: &FindingRecord| {
                record.meant.as_ref().is_some_and(|meant| {
                    meant.decision.rule == RuleKind::Request && meant.decision.name == *name
                })
            };
            let found = open_drifts(store, of)?;
            let (findings, of) = (as_read(store, &found)?, format!("change request {name}"));
            Ok(Some(LedTo { findings, of, moved: 0 }))
        }
        LedBy::Rollout(number) => {
            let Some((set, _)) = rollouts::one(store, config, *number)? else { return Ok(None) };
            let reached: BTreeMap<&HostId, Timestamp> =
                set.hosts.iter().map(|(host, at)| (host, *at)).collect();
            let of = |record: &FindingRecord| {
                let Finding { id, first_seen, .. } = &record.finding;
                let after = reached.get(&id.host).map(|at| first_seen.duration_since(*at));
                let together = after.is_some_and(|after| !after.is_negative() && after <= TOGETHER);
                together && set.parts.iter().any(|part| part == id.part.as_str())
            };
            let (mut found, mut moved) = (Vec::new(), 0);
            for finding in open_drifts(store, of)? {
                let reached = reached.get(&finding.id.host).copied().unwrap_or(Timestamp::MIN);
                if moved_after(store, &finding, reached)? {
                    moved += 1;
                } else {
                    found.push(finding);
                }
            }
            let (findings, of) = (as_read(store, &found)?, format!("rollout {number}"));
            Ok(Some(LedTo { findings, of, moved }))
        }
    }
}

fn open_drifts(
    store: &dyn Reads,
    wanted: impl Fn(&FindingRecord) -> bool,
) -> Result<Vec<Finding>, StoreError> {
    let mut filter = FindingFilter {
        kind: Some(FindingKind::Drift),
        open_only: true,
        limit: MAX_LIMIT,
        ..FindingFilter::default()
    };
    let (mut found, mut looked_at) = (Vec::new(), 0);
    loop {
        let page = store.findings(&filter)?;
        let full = page.len() >= MAX_LIMIT as usize;
        looked_at += page.len();
        filter.after = page.last().map(FindingRecord::place);
        found.extend(page.into_iter().filter(&wanted).map(|record| record.finding));
        if !full || looked_at >= LOOKED_AT {
            return Ok(found);
        }
    }
}

/// Whether the item of `finding` changed again after what happened at `reached`.
fn moved_after(
    store: &dyn Reads,
    finding: &Finding,
    reached: Timestamp,
) -> Result<bool, StoreError> {
    let id = &finding.id;
    let later = store.changes(&ChangeFilter {
        host: Some(id.host.clone()),
        source: Some(id.source.clone()),
        part: Some(id.part.clone()),
        kinds: ChangeKind::ALL.into_iter().filter(|kind| kind.is_semantic()).collect(),
        from: Some(reached.saturating_add(TOGETHER).unwrap_or(Timestamp::MAX)),
        limit: MAX_LIMIT,
        ..ChangeFilter::default()
    })?;
    let of_it = |key: &Option<ItemKey>| id.key.is_none() || key.is_none() || *key == id.key;
    Ok(later.iter().any(|record| of_it(&record.change.key)))
}

fn as_read(store: &dyn Reads, found: &[Finding]) -> Result<Vec<AsRead>, StoreError> {
    let read = |finding: &Finding| Ok((finding.id.clone(), sight(store, finding)?.word));
    found.iter().map(read).collect()
}

/// The sections of `host` as they stood at `at`; imported history is nobody's baseline.
///
/// # Errors
/// [`StoreError`].
pub fn sections_at(
    store: &dyn Reads,
    host: &HostId,
    at: Timestamp,
) -> Result<BTreeMap<SourceName, Manifest>, StoreError> {
    let mut sections = BTreeMap::new();
    for section in store.sections(host)? {
        if is_imported(&section.source) {
            continue;
        }
        if let Some(manifest) = store.manifest_at(host, &section.source, at)? {
            sections.insert(section.source, manifest);
        }
    }
    Ok(sections)
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
