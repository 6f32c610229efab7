//! Takes what hosts say, checks it against what is known, and decides what becomes durable.
//!
//! [`Ingest`] decides and never acts: it gets the clock and randomness as values, reads the store
//! through [`Store`], and hands back [`Decided`]: an answer, the parts to keep and the steps to
//! apply. The caller makes those durable **before** the answer goes out and then says how that went
//! ([`Ingest::settle`]); until then later decisions build on the pending ones. It knows no HTTP and
//! no SQL.
//!
//! What it keeps in memory is bounded by the number of hosts ([`Config::max_hosts`]) and, for each
//! host, by the number of its sections and open findings; parts and manifests are held only until
//! they are durable. *Sending twice changes nothing*: everything is decided by (host, source,
//! generation) and by digest.

pub mod clock;
pub mod ledger;
pub mod presence;

mod accept;
mod approve;
mod consequences;
mod enrol;
mod except;
mod fleet;
mod foresight;
mod heartbeat;
mod held;
mod held_to;
mod import;
mod parts;
mod running;
mod seen;
mod service;
mod versions;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftline_protocol::ids::HostId;
use driftline_protocol::wire::{
    EnrolAnswer, EnrolRequest, Heartbeat, HeartbeatAnswer, Import, Problem, ProblemCode, Report,
    ReportAnswer,
};
use jiff::Timestamp;

pub use accept::{Accepted, moved_on};
pub use approve::{Proposal, Then};
pub use consequences::{CHANGES_PER_VERSION, ITEMS_PER_VERSION};
pub use enrol::{Proof, token_hash};
pub use except::{EXCEPTIONS_MOST, accepted, end_exception, except};
pub use foresight::Foresight;
pub use held::{Because, differences, is_judged_otherwise};
pub use import::{Imported, check_import};
pub use parts::{check_parts, check_report};
pub use seen::{Tagged, said, sight};
pub use view::{DORMANT_MS, FleetView, HostView, Liveness, STALE_INTERVALS, SourceView, liveness};

use crate::analysis::agreement::{Agreements, Subject};
use crate::analysis::finding::FindingId;
use crate::standards::Standards;
use crate::store::{
    NewPart, ReadActs, ReadBaselines, ReadExceptions, ReadFindings, ReadState, Step, StoreError,
    agreements,
};
use fleet::Host;

/// What ingest reads; every store is one.
pub trait Store: ReadState + ReadFindings + ReadExceptions + ReadActs + ReadBaselines {}

impl<T> Store for T where
    T: ReadState + ReadFindings + ReadExceptions + ReadActs + ReadBaselines + ?Sized
{
}

/// What the shell decides for ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How often agents shall send a heartbeat, in milliseconds.
    pub interval_ms: u64,
    /// The store's epoch, which grows whenever the store is opened.
    pub epoch: u64,
    /// The most hosts that may be known, retired ones included; each costs a few kilobytes of
    /// memory.
    pub max_hosts: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval_ms: 60_000, epoch: 1, max_hosts: 200_000 }
    }
}

/// The moment one request is decided: the clock and what is durable, as values.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The durable state.
    pub store: &'a dyn Store,
    /// The collector's clock.
    pub now: Timestamp,
}

/// A decision: what to answer once `parts` and then `steps` are durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided<A> {
    /// The answer; it may only go out after `steps` are durable.
    pub answer: A,
    /// Parts to keep first; they are content-addressed, so keeping more than is used is harmless.
    pub parts: Vec<NewPart>,
    /// Steps to apply together, all or none.
    pub steps: Vec<Step>,
}

impl<A> Decided<A> {
    fn new(answer: A, steps: Vec<Step>) -> Self {
        Self { answer, parts: Vec::new(), steps }
    }
}

/// A report whose parts were checked, hashed and packed by us; see [`check_report`].
#[derive(Clone, Debug)]
pub struct CheckedReport {
    /// The report.
    pub report: Report<NewPart>,
    /// What was read for it before its turn; see [`Foresight`].
    pub foresight: Foresight,
}

impl CheckedReport {
    /// Reads beforehand what deciding on this report will need.
    #[must_use]
    pub fn foreseeing(mut self, store: &dyn Store) -> Self {
        self.foresight = Foresight::of(store, &self.report);
        self
    }
}

/// How the steps of earlier decisions fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// They would survive a power cut.
    Durable,
    /// They were not applied; everything decided since the last settlement is forgotten.
    Lost,
}

/// Why a request gets no decision.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The sender is told this; nothing changes.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// The store could not be read; the sender is told to come back.
    #[error("reading what is known")]
    Store(#[from] StoreError),
}

impl IngestError {
    fn refused(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self::Refused(Problem { code, detail: detail.into() })
    }
}

/// Sums since the program started, for counters; what must survive a restart is in the store's
/// totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngestTotals {
    /// Heartbeats answered.
    pub heartbeats: u64,
    /// Section versions applied.
    pub applied: u64,
    /// Section versions that were known already.
    pub known: u64,
    /// Section versions refused as forged or broken.
    pub refused: u64,
    /// Section versions put off because parts or their base were missing.
    pub deferred: u64,
    /// Changed parts recorded as one change because their version passed its bound of changes.
    pub summarised: u64,
    /// Findings not opened because their host passed its bound of open findings.
    pub findings_dropped: u64,
}

/// Decides what each message means; owns what is known of the fleet between two writes.
pub struct Ingest {
    config: Config,
    standards: Arc<Standards>,
    agreements: Arc<Agreements>,
    /// The number of the newest approval.
    last_approval: i64,
    fleet: BTreeMap<HostId, Host>,
    tokens: BTreeMap<[u8; 32], HostId>,
    unsettled: BTreeSet<HostId>,
    seen: BTreeSet<HostId>,
    totals: IngestTotals,
}

impl Ingest {
    /// Knows every host that `store` knows; the rest is read when a host is first heard.
    ///
    /// # Errors
    /// [`StoreError`] when the hosts cannot be read.
    pub fn new(config: Config, store: &dyn Store) -> Result<Self, StoreError> {
        let mut ingest = Self {
            config,
            standards: Arc::default(),
            agreements: Arc::new(agreements(store)?),
            last_approval: newest_approval(store)?,
            fleet: BTreeMap::new(),
            tokens: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            seen: BTreeSet::new(),
            totals: IngestTotals::default(),
        };
        for record in store.hosts()? {
            ingest.remember(record);
        }
        Ok(ingest)
    }

    /// Whose token this is, unless it is nobody's. A retired host's token is still its own.
    pub fn authenticate(&self, token: &str) -> Option<HostId> {
        self.tokens.get(&token_hash(token)).cloned()
    }

    /// Gives an agent its identity. `proof` has been checked by the caller; `random` becomes the
    /// token.
    ///
    /// # Errors
    /// [`IngestError`]: the protocol is newer than ours, the fleet is full, or the store cannot be
    /// read.
    pub fn enrol(
        &mut self,
        context: Context<'_>,
        request: &EnrolRequest,
        credentials: (Proof, [u8; 32]),
    ) -> Result<Decided<EnrolAnswer>, IngestError> {
        enrol::enrol(self, context, request, credentials)
    }

    /// Whether `caller` may send parts: they name no host, so nothing else asks.
    ///
    /// # Errors
    /// [`IngestError::Refused`] when the host is unknown or retired.
    pub fn admit(&mut self, caller: &HostId) -> Result<(), IngestError> {
        self.in_service(caller).map(drop)
    }

    /// Answers a heartbeat of `caller`, whose token the request carried.
    ///
    /// # Errors
    /// [`IngestError`]: not the caller's own host, a clone, a retired host, or the store cannot be
    /// read.
    pub fn heartbeat(
        &mut self,
        context: Context<'_>,
        caller: &HostId,
        heartbeat: &Heartbeat,
    ) -> Result<Decided<HeartbeatAnswer>, IngestError> {
        heartbeat::heartbeat(self, context, caller, heartbeat)
    }

    /// The answer to a heartbeat that takes nothing but memory, which may be given while steps of
    /// other hosts are being written; `None` when it must wait its turn as [`Ingest::heartbeat`].
    pub fn routine_heartbeat(
        &mut self,
        context: Context<'_>,
        caller: &HostId,
        heartbeat: &Heartbeat,
    ) -> Option<HeartbeatAnswer> {
        if !heartbeat::is_routine(self, caller, heartbeat) {
            return None;
        }
        let decided = heartbeat::heartbeat(self, context, caller, heartbeat).ok()?;
        debug_assert!(decided.steps.is_empty(), "a routine heartbeat causes no step");
        Some(decided.answer)
    }

    /// Takes the section versions of a report of `caller`, in their order; each has its own
    /// outcome.
    ///
    /// # Errors
    /// [`IngestError`], as for [`Ingest::heartbeat`]; then no version was taken.
    pub fn report(
        &mut self,
        context: Context<'_>,
        caller: &HostId,
        report: CheckedReport,
    ) -> Result<Decided<ReportAnswer>, IngestError> {
        versions::report(self, context, caller, report)
    }

    /// Takes versions of an imported section, whose parts were checked, hashed and packed by us
    /// ([`check_import`]); the host is made where none is known.
    ///
    /// # Errors
    /// [`IngestError`]: the host was retired, the fleet is full, or the store cannot be read; then
    /// nothing was taken.
    pub fn import(
        &mut self,
        context: Context<'_>,
        import: Import<NewPart>,
    ) -> Result<Decided<Imported>, IngestError> {
        import::import(self, context, import)
    }

    /// Says how everything decided since the last settlement fared. Call it after each write, and
    /// decide nothing between handing steps to the store and this call.
    ///
    /// # Errors
    /// [`StoreError`] when, after [`Settlement::Lost`], what is durable cannot be read; ask again
    /// then.
    pub fn settle(&mut self, store: &dyn Store, how: Settlement) -> Result<(), StoreError> {
        match how {
            Settlement::Durable => {
                for id in std::mem::take(&mut self.unsettled) {
                    if let Some(host) = self.fleet.get_mut(&id) {
                        host.pending.clear();
                    }
                }
            }
            Settlement::Lost => {
                self.agreements = Arc::new(agreements(store)?);
                self.last_approval = newest_approval(store)?;
                while let Some(id) = self.unsettled.first().cloned() {
                    self.reload(store, &id)?;
                    self.unsettled.remove(&id);
                }
            }
        }
        Ok(())
    }

    /// When hosts were last heard that were heard since [`Ingest::take_seen`]: later than the store
    /// says.
    pub fn heard_lately(&self) -> BTreeMap<HostId, Timestamp> {
        let last_seen = |id: &HostId| Some((id.clone(), self.fleet.get(id)?.record.last_seen));
        self.seen.iter().filter_map(last_seen).collect()
    }

    /// When hosts heard since the last call were heard, for [`crate::store::Append::note_seen`].
    pub fn take_seen(&mut self) -> Vec<(HostId, Timestamp)> {
        let seen = std::mem::take(&mut self.seen);
        let last_seen = |id| self.fleet.get(&id).map(|host| (id, host.record.last_seen));
        seen.into_iter().filter_map(last_seen).collect()
    }

    /// Makes what `proposal` names the baseline of its subject. Open drift of a host is judged
    /// anew; the hosts of a group are held to it by [`Ingest::rejudge`], and as they report.
    ///
    /// # Errors
    /// [`IngestError`]: the subject is unknown, there is nothing to agree to, or the store cannot
    /// be read.
    pub fn approve(
        &mut self,
        context: Context<'_>,
        proposal: Proposal,
        approval: Approval,
    ) -> Result<Vec<Step>, IngestError> {
        approve::approve(self, context, proposal, approval)
    }

    /// Takes back what was agreed of a group; its hosts are held to what remains by
    /// [`Ingest::rejudge`], and as they report.
    ///
    /// # Errors
    /// [`IngestError`]: `subject` is no group that has a baseline.
    pub fn remove_baseline(
        &mut self,
        context: Context<'_>,
        subject: Subject,
        approval: Approval,
    ) -> Result<Vec<Step>, IngestError> {
        approve::remove(self, context, subject, approval)
    }

    /// What somebody would read of an open finding at this moment; `None` when it is over.
    ///
    /// # Errors
    /// [`IngestError`]: its host is not known, or the store cannot be read.
    pub fn sight(
        &mut self,
        context: Context<'_>,
        id: &FindingId,
    ) -> Result<Option<Tagged>, IngestError> {
        seen::pending(self, context, id)
    }

    /// Moves the baselines of the hosts of `findings`, each with the tag that was read of it
    /// ([`Tagged::etag`]), to what these drifts have; `of` says in words what they are. What is not
    /// an open drift, or not what was read any more, is left out.
    ///
    /// # Errors
    /// [`IngestError`]: none is an open drift as it was read, or the store cannot be read.
    pub fn accept(
        &mut self,
        context: Context<'_>,
        (findings, of): (Vec<(FindingId, String)>, &str),
        approval: &Approval,
    ) -> Result<Accepted, IngestError> {
        accept::accept(self, context, (findings, of), approval)
    }

    /// Holds hosts to `standards` from now on; what they reported before is judged by
    /// [`Ingest::rejudge`].
    pub fn adopt(&mut self, standards: Arc<Standards>) {
        self.standards = standards;
    }

    /// What hosts are held to.
    pub fn standards(&self) -> Arc<Standards> {
        Arc::clone(&self.standards)
    }

    /// Holds what `host` last reported to the standards as they are now.
    ///
    /// # Errors
    /// [`IngestError`]: the host is unknown, or the store cannot be read.
    pub fn rejudge(
        &mut self,
        context: Context<'_>,
        host: &HostId,
    ) -> Result<Vec<Step>, IngestError> {
        held::rejudge(self, context, host)
    }

    /// Takes a host out of service, for `who`: its findings end, its agent is told, its history
    /// stays.
    ///
    /// # Errors
    /// [`IngestError`]: the host is unknown, or the store cannot be read.
    pub fn retire(
        &mut self,
        context: Context<'_>,
        (host, who): (&HostId, &str),
    ) -> Result<Vec<Step>, IngestError> {
        service::retire(self, context, (host, who))
    }

    /// Brings a retired host back, for `who`; its history goes on.
    ///
    /// # Errors
    /// [`IngestError`] when the host is unknown.
    pub fn reinstate(
        &mut self,
        context: Context<'_>,
        (host, who): (&HostId, &str),
    ) -> Result<Vec<Step>, IngestError> {
        service::reinstate(self, context, (host, who))
    }

    /// The fleet as it stands, for metrics and pages.
    pub fn view(&self, now: Timestamp) -> FleetView {
        view::view(self, now)
    }
}

fn newest_approval(store: &dyn Store) -> Result<i64, StoreError> {
    Ok(store.approvals(None, None, 1)?.first().map_or(0, |newest| newest.number))
}

/// Who agreed to a state, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The person or token.
    pub who: String,
    /// The reason, in a sentence.
    pub why: String,
}
