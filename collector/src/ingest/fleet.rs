//! What is known of each host between two writes.
//!
//! Sections and open findings are read from the store when first needed and kept in step with what
//! was decided. [`Pending`] holds what is decided and not yet durable; it is dropped at each
//! settlement, so memory does not grow with the size of a fleet's manifests.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::wire::{AgentStatus, ProblemCode, SectionStatus};
use jiff::Timestamp;

use super::clock::Skew;
use super::presence::Presence;
use super::{Context, Ingest, IngestError, Store};
use crate::analysis::agreement::{Agreed, Layer, Subject};
use crate::analysis::finding::{Finding, FindingId, FindingKind, Status};
use crate::store::{HostRecord, MAX_LIMIT, NewPart, PartRecord, SectionRecord, Step, StoreError};
use crate::words::unknown;

/// The most findings one host may have open: as many as one query gives. A host with more was
/// rebuilt, and its first ten thousand differences say so.
pub(super) const FINDINGS_PER_HOST: usize = MAX_LIMIT as usize;

/// The newest parts of one section, by name.
pub(super) type Parts = BTreeMap<PartName, PartRecord>;

/// One host between two writes.
pub(super) struct Host {
    pub(super) record: HostRecord,
    pub(super) presence: Presence,
    pub(super) skew: Skew,
    pub(super) heard: Option<Heard>,
    pub(super) counts: Counts,
    /// Versions whose chain did not continue ours, by source, since people were last told of a gap.
    pub(super) chain_breaks: BTreeMap<SourceName, u64>,
    /// Sections in which people were told of a gap, with how many versions of it are lost; the next
    /// version may begin anywhere.
    pub(super) gaps: BTreeMap<SourceName, u64>,
    pub(super) pending: Pending,
    known: Option<KnownState>,
}

/// What the last heartbeat said.
pub(super) struct Heard {
    pub(super) sections: BTreeMap<SourceName, SectionStatus>,
    pub(super) status: AgentStatus,
    /// Versions nobody could account for then, by source. Judged once, since our count goes on
    /// meanwhile.
    pub(super) imbalance: BTreeMap<SourceName, u64>,
}

/// Sums for one host since the program started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) refused: u64,
    /// When people were last told that something was refused.
    pub(super) refusal_told: Option<Timestamp>,
    pub(super) lost_by_restore: u64,
}

/// Decided and not yet durable.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) manifests: BTreeMap<SourceName, Parts>,
    pub(super) parts: BTreeMap<Digest, NewPart>,
    /// What is agreed of the sections an approval spoke of; of other sections the store knows.
    pub(super) agreed: BTreeMap<SourceName, Layer>,
}

impl Pending {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The durable state with everything pending on top.
#[derive(Default)]
pub(super) struct KnownState {
    pub(super) sections: BTreeMap<SourceName, SectionRecord>,
    pub(super) open: BTreeMap<FindingId, Finding>,
    /// The sections that have an approved baseline.
    pub(super) approved: BTreeSet<SourceName>,
}

impl KnownState {
    /// Open findings of one part of `host`.
    pub(super) fn of_part<'a>(
        &'a self,
        host: &HostId,
        source: &'a SourceName,
        part: &'a PartName,
    ) -> impl Iterator<Item = &'a Finding> {
        let (host, kind) = (host.clone(), FindingKind::Drift);
        // The least name a finding of this part can have; those of one part stand together.
        let (source_, part_) = (source.clone(), part.clone());
        let first = FindingId { host, source: source_, part: part_, key: None, kind, rule: None };
        let of_part = move |id: &FindingId| id.source == *source && id.part == *part;
        self.open.range(first..).map(|(_, f)| f).take_while(move |f| of_part(&f.id))
    }

    /// Keeps open findings in step with a decision.
    pub(super) fn note(&mut self, findings: &[Finding]) {
        for finding in findings {
            match finding.status {
                Status::Open => self.open.insert(finding.id.clone(), finding.clone()),
                Status::Resolved { .. } => self.open.remove(&finding.id),
            };
        }
    }
}

impl Host {
    fn new(record: HostRecord) -> Self {
        Self {
            record,
            presence: Presence::default(),
            skew: Skew::default(),
            heard: None,
            counts: Counts::default(),
            chain_breaks: BTreeMap::new(),
            gaps: BTreeMap::new(),
            pending: Pending::default(),
            known: None,
        }
    }

    /// Reads sections and open findings unless that was done before.
    pub(super) fn load(&mut self, store: &dyn Store) -> Result<&mut KnownState, StoreError> {
        if self.known.is_none() {
            self.known = Some(load(store, &self.record.id)?);
        }
        Ok(self.known.get_or_insert_default())
    }

    /// Sections and open findings, if they were read.
    pub(super) fn known(&self) -> Option<&KnownState> {
        self.known.as_ref()
    }

    /// The newest parts of `source`, pending ones included.
    pub(super) fn parts(
        &self,
        store: &dyn Store,
        source: &SourceName,
    ) -> Result<Parts, StoreError> {
        if let Some(parts) = self.pending.manifests.get(source) {
            return Ok(parts.clone());
        }
        let records = store.section_parts(&self.record.id, source)?;
        Ok(records.into_iter().map(|record| (record.part.clone(), record)).collect())
    }

    /// One of them.
    pub(super) fn part(
        &self,
        store: &dyn Store,
        source: &SourceName,
        part: &PartName,
    ) -> Result<Option<PartRecord>, StoreError> {
        match self.pending.manifests.get(source) {
            Some(parts) => Ok(parts.get(part).cloned()),
            None => store.part_record(&self.record.id, source, part),
        }
    }

    /// What was agreed of one part of this host, a pending approval included.
    pub(super) fn agreed_part(
        &self,
        store: &dyn Store,
        source: &SourceName,
        part: &PartName,
    ) -> Result<Option<Agreed>, StoreError> {
        if let Some(layer) = self.pending.agreed.get(source) {
            return Ok(layer.says(part));
        }
        match &self.known {
            Some(known) if !known.approved.contains(source) => Ok(None),
            Some(_) | None => store.baseline_part(&self.subject(), source, part),
        }
    }

    /// What was agreed of this host, by source, pending approvals included.
    pub(super) fn agreed(
        &self,
        store: &dyn Store,
    ) -> Result<BTreeMap<SourceName, Layer>, StoreError> {
        let kept = store.baseline(&self.subject())?;
        let mut agreed = kept.map(|kept| kept.sections).unwrap_or_default();
        agreed.extend(self.pending.agreed.clone());
        Ok(agreed)
    }

    /// Whose baseline is this host's own.
    pub(super) fn subject(&self) -> Subject {
        Subject::Host(self.record.id.clone())
    }
}

fn load(store: &dyn Store, id: &HostId) -> Result<KnownState, StoreError> {
    let sections = store.sections(id)?.into_iter().map(|s| (s.source.clone(), s)).collect();
    let open = store.open_as_found(id)?.into_iter();
    let open = open.map(|finding| (finding.id.clone(), finding)).collect();
    let approved = store.baseline_sources(&Subject::Host(id.clone()))?;
    Ok(KnownState { sections, open, approved })
}

impl Ingest {
    /// Knows `record` from now on, in place of an older one of the same id.
    pub(super) fn remember(&mut self, record: HostRecord) {
        if record.token != [0; 32] {
            self.tokens.insert(record.token, record.id.clone());
        }
        match self.fleet.get_mut(&record.id) {
            None => {
                self.fleet.insert(record.id.clone(), Host::new(record));
            }
            Some(host) => {
                if host.record.token != record.token {
                    self.tokens.remove(&host.record.token);
                }
                host.record = record;
            }
        }
    }

    /// Forgets what was decided for `id` and was lost; the next request reads the store anew.
    pub(super) fn reload(&mut self, store: &dyn Store, id: &HostId) -> Result<(), StoreError> {
        let durable = store.host(id)?;
        if let Some(host) = self.fleet.get_mut(id) {
            host.pending.clear();
            host.known = None;
            // What a heartbeat decided from is gone too, so that the next one decides it again.
            host.presence = Presence::default();
            host.gaps.clear();
        }
        match durable {
            Some(record) => self.remember(record),
            None => {
                if let Some(host) = self.fleet.remove(id) {
                    self.tokens.remove(&host.record.token);
                }
            }
        }
        Ok(())
    }

    /// The host a request speaks for, once it is clear that it may.
    pub(super) fn speaker(
        &mut self,
        caller: &HostId,
        claimed: &HostId,
        version: u32,
    ) -> Result<&mut Host, IngestError> {
        check_version(version)?;
        if caller != claimed {
            let detail = "the token belongs to another host; enrol this one";
            return Err(IngestError::refused(ProblemCode::Unauthorised, detail));
        }
        self.in_service(caller)
    }

    /// A host that was not retired.
    pub(super) fn in_service(&mut self, id: &HostId) -> Result<&mut Host, IngestError> {
        let host = self.known_host(id)?;
        if host.record.retired_at.is_some() {
            let detail = format!("host {id} was retired; bring it back in the collector");
            return Err(IngestError::refused(ProblemCode::Retired, detail));
        }
        Ok(host)
    }

    /// A host a person named.
    pub(super) fn known_host(&mut self, id: &HostId) -> Result<&mut Host, IngestError> {
        self.fleet.get_mut(id).ok_or_else(|| {
            let detail = unknown(format!("host {id}"), "driftline hosts");
            IngestError::refused(ProblemCode::NotFound, detail)
        })
    }

    /// Notes that steps for `id` are on their way to the store.
    pub(super) fn unsettled(&mut self, id: &HostId, steps: &[Step]) {
        if !steps.is_empty() {
            self.unsettled.insert(id.clone());
        }
    }

    /// Notes that `id` was heard.
    pub(super) fn heard(&mut self, context: Context<'_>, id: &HostId) {
        self.seen.insert(id.clone());
        if let Some(host) = self.fleet.get_mut(id) {
            host.record.last_seen = host.record.last_seen.max(context.now);
        }
    }
}

/// Refuses a sender whose protocol is newer than ours.
pub(super) fn check_version(version: u32) -> Result<(), IngestError> {
    let ours = driftline_protocol::wire::PROTOCOL_VERSION;
    if version <= ours {
        return Ok(());
    }
    let detail = format!("protocol {version} is newer than {ours}; upgrade the collector first");
    Err(IngestError::refused(ProblemCode::Version, detail))
}

/// Whether `time` lies more than `span_ms` before `now`.
pub(super) fn older_than(time: Timestamp, now: Timestamp, span_ms: u64) -> bool {
    let age = now.as_millisecond().saturating_sub(time.as_millisecond());
    u64::try_from(age).is_ok_and(|age| age > span_ms)
}
