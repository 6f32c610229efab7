//! What is kept: one struct for each kind of record, and the steps that write them.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{
    Digest, Generation, HostId, Incarnation, KeyId, PartName, SourceName,
};
use driftline_protocol::ledger::Chain;
use driftline_protocol::manifest::ManifestDelta;
use driftline_protocol::snapshot::{Domain, Reason};
use driftline_protocol::wire::{HostKind, is_imported};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Cursor;
use super::act_records::ActRecord;
use super::baseline_records::ApprovalRecord;
use super::case_records::{CaseReading, CaseRecord};
pub use super::event_records::{EventKind, EventRecord};
use super::intent_records::{Judgement, Weighing};
use super::suspect_records::{OutcomeRecord, PassRecord, SuspectRecord};
use crate::analysis::agreement::Covers;
use crate::analysis::change::{Change, ChangeKind};
use crate::analysis::classify::request::ChangeRequest;
use crate::analysis::classify::weigh::{FindingClass, Meant};
use crate::analysis::classify::{ChangeClass, Classified};
use crate::analysis::finding::{Finding, FindingKind, Severity};

/// One indivisible step of the store.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A host was enrolled, or its record changed: replaces the record of the same id.
    Host(HostRecord),
    /// A section version with everything that follows from it.
    Version(Box<VersionStep>),
    /// Something was agreed; findings of the host were judged anew.
    Approve {
        /// The approval; it has the highest number.
        approval: Box<ApprovalRecord>,
        /// Of what it speaks, by source; all else that was agreed stays.
        covers: BTreeMap<SourceName, Covers>,
        /// Findings that opened, changed or ended by it.
        findings: Vec<Finding>,
    },
    /// Findings that changed without a new version, for instance because their host was retired.
    Findings(Vec<Finding>),
    /// A gap was told of in an event: sets how many versions of a section count as delivered, so
    /// that later accounts balance again. Nothing else changes; a section that is not there stays
    /// so.
    Recount {
        /// Whose section.
        host: HostId,
        /// Which section.
        source: SourceName,
        /// Versions delivered, by the agent's account.
        delivered: u64,
    },
    /// An exception was made or ended: replaces the one of the same name.
    Exception(Box<crate::analysis::exceptions::Exception>),
    /// A token was made or replaced.
    Token(TokenRecord),
    /// A token was removed, by its name.
    RemoveToken(String),
    /// Something befell a host or the store.
    Event(EventRecord),
    /// Cases were received: a new one is kept and given its number; of a known one what may change
    /// is replaced, and when it was opened and first received stays.
    Cases(Vec<CaseRecord>),
    /// A source of cases was read, to the end or in part.
    CaseReading(CaseReading),
    /// The engine said something new of suspects; each keeps its number.
    Suspects(Vec<SuspectRecord>),
    /// A pass of the engine ended, and suspects of these keys were not found any more.
    Pass(Box<PassRecord>, Vec<String>),
    /// A person said what a suspect is.
    Outcome(OutcomeRecord),
    /// Change requests were received: one that says nothing new changes nothing.
    ChangeRequests(Vec<ChangeRequest>),
    /// Changes were judged again for these requests, each with the revision that was looked at.
    Reconsidered(Vec<(i64, i64)>),
    /// Changes were judged; open drift of their items is to be weighed again.
    Judged(Vec<Judgement>),
    /// A person did something about a finding; lines are only ever added.
    Act(ActRecord),
    /// Open drift was weighed.
    Weighed(Vec<Weighing>),
}

/// A section version, checked and compared, ready to be made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionStep {
    /// Whose section.
    pub host: HostId,
    /// The version.
    pub version: VersionRecord,
    /// The chain after it.
    pub chain: Chain,
    /// What it did to the manifest.
    pub delta: ManifestDelta,
    /// Parts of `delta.set` whose content is unobserved, with the reason; all others were read.
    pub unobserved: BTreeMap<PartName, Unread>,
    /// What differs from what was last observed.
    pub changes: Vec<Change>,
    /// Findings that opened, changed or ended by it.
    pub findings: Vec<Finding>,
}

/// How much of a part is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unread {
    /// Its attributes were seen, its content was not read.
    Content(Reason),
    /// Nothing of it was seen.
    Whole(Reason),
}

/// One host as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// Its name.
    pub id: HostId,
    /// What kind of host.
    pub kind: HostKind,
    /// Its agent's state.
    pub incarnation: Incarnation,
    /// blake3 of its agent's token; all zero when it has none (imported, or a connector).
    #[serde(skip)]
    pub token: [u8; 32],
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// When it was last heard, as far as written down.
    pub last_seen: Timestamp,
    /// Its agent's version.
    pub agent_version: String,
    /// The key its fingerprints are made under, once known.
    pub key: Option<KeyId>,
    /// Whether that key is the site's.
    pub site_key: bool,
    /// When somebody retired it.
    pub retired_at: Option<Timestamp>,
}

/// The newest state of one section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionRecord {
    /// Whose section.
    pub source: SourceName,
    /// The kind of fact.
    pub domain: Domain,
    /// The newest generation applied.
    pub generation: Generation,
    /// Its manifest digest.
    pub digest: Digest,
    /// The chain after it.
    pub chain: Chain,
    /// Versions applied since the agent's state was made.
    pub delivered: u64,
    /// Versions the agent declared merged.
    pub coalesced: u64,
    /// Versions the agent declared lost.
    pub expired: u64,
    /// When it was observed, corrected time.
    pub observed_at: Timestamp,
}

/// One part of the newest manifest of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRecord {
    /// Its name.
    pub part: PartName,
    /// Its newest digest.
    pub digest: Digest,
    /// What of it is unknown in that state.
    pub unread: Option<Unread>,
    /// The newest digest under which its attributes were seen; `digest` itself unless unobserved.
    pub seen: Option<Digest>,
    /// The newest digest under which its content was read; `digest` itself unless unread.
    pub read: Option<Digest>,
}

/// One section version as history keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// Whose section.
    pub source: SourceName,
    /// The kind of fact.
    pub domain: Domain,
    /// Which version.
    pub generation: Generation,
    /// Its manifest digest.
    pub digest: Digest,
    /// When the host says it was observed.
    pub observed_at: Timestamp,
    /// When the collector received it.
    pub received_at: Timestamp,
    /// When it was observed by the collector's clock, as well as can be told.
    pub corrected_at: Timestamp,
    /// How far `corrected_at` may be off, in milliseconds.
    pub uncertainty_ms: u64,
    /// Versions merged into it.
    pub coalesced: u64,
    /// Versions lost just before it.
    pub expired: u64,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a version came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The first of its section: everything is new and nothing changed.
    First,
    /// Reported by an agent.
    Agent,
    /// Read from old history: fills timelines, raises no alert, counter or open drift.
    Import,
}

/// Numbers one change in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeId(pub i64);

/// One change as history keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// Its number.
    pub id: ChangeId,
    /// Where.
    pub host: HostId,
    /// Whose section.
    pub source: SourceName,
    /// The kind of fact.
    pub domain: Domain,
    /// The version that brought it.
    pub generation: Generation,
    /// When, corrected time.
    pub at: Timestamp,
    /// What.
    pub change: Change,
    /// What was meant by it, once that was judged; comments, re-readings and imports are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classified: Option<Classified>,
}

/// Which changes are asked for; every field narrows.
#[derive(Clone, Debug, Default)]
pub struct ChangeFilter {
    /// On this host.
    pub host: Option<HostId>,
    /// Of this source.
    pub source: Option<SourceName>,
    /// Of this part.
    pub part: Option<PartName>,
    /// Of these kinds; empty means all.
    pub kinds: Vec<ChangeKind>,
    /// Of these classes; empty means all, those without one too.
    pub classes: Vec<ChangeClass>,
    /// At or after.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// Older than this one, for the next page.
    pub before: Option<ChangeId>,
    /// At most this many; 0 means [`DEFAULT_LIMIT`].
    pub limit: u32,
}

/// How many rows a query gives when it does not say: a page a person can scroll.
pub const DEFAULT_LIMIT: u32 = 100;

/// How many rows a query may ask for.
pub const MAX_LIMIT: u32 = 10_000;

/// How many rows are given when `asked` are asked for.
pub fn effective_limit(asked: u32) -> u32 {
    if asked == 0 { DEFAULT_LIMIT } else { asked.min(MAX_LIMIT) }
}

/// A finding as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRecord {
    /// A number for URLs; stable as long as the store lives.
    pub number: i64,
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// How often it opened.
    pub openings: u32,
    /// What was meant by the changes that led to it, once they were judged; of a drift only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meant: Option<Meant>,
}

impl FindingRecord {
    /// Its place in a list of findings.
    pub fn place(&self) -> Cursor {
        Cursor { at: self.finding.first_seen, number: self.number }
    }

    /// What is known of the intent behind it.
    pub fn class(&self) -> FindingClass {
        match self.finding.id.kind {
            FindingKind::Drift => FindingClass::of(self.meant.as_ref()),
            FindingKind::Deviation | FindingKind::Discrepancy => FindingClass::Untold,
        }
    }
}

/// How many findings of one kind are open on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCount {
    /// Where.
    pub host: HostId,
    /// What kind of finding.
    pub kind: FindingKind,
    /// The kind of fact.
    pub domain: Domain,
    /// How bad they are.
    pub severity: Severity,
    /// What is known of the intent behind them.
    pub class: FindingClass,
    /// How many.
    pub count: u64,
}

/// Which findings are asked for; every field narrows.
#[derive(Clone, Debug, Default)]
pub struct FindingFilter {
    /// On this host.
    pub host: Option<HostId>,
    /// On one of these hosts; nothing means all.
    pub hosts: Option<BTreeSet<HostId>>,
    /// Of this kind.
    pub kind: Option<FindingKind>,
    /// As bad as this.
    pub severity: Option<Severity>,
    /// Only those that hold.
    pub open_only: bool,
    /// Of these classes; empty means all.
    pub classes: Vec<FindingClass>,
    /// By number.
    pub number: Option<i64>,
    /// After this place in the list, for the next page.
    pub after: Option<Cursor>,
    /// At most this many; 0 means [`DEFAULT_LIMIT`].
    pub limit: u32,
}

/// Which events are asked for; every field narrows.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Of this host.
    pub host: Option<HostId>,
    /// Of this kind.
    pub kind: Option<EventKind>,
    /// Not before this moment.
    pub from: Option<Timestamp>,
    /// After this place in the list, for the next page.
    pub after: Option<Cursor>,
    /// At most this many; 0 means [`DEFAULT_LIMIT`].
    pub limit: u32,
}

/// A token of a person or program that reads or administers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its unique name.
    pub name: String,
    /// What its holder may do.
    pub scope: Scope,
    /// blake3 of the token.
    #[serde(skip)]
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What the holder of a token may do; each scope is exact, none contains another, but `admin` reads
/// too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Enrol hosts.
    Enrol,
    /// Read API and portal.
    Read,
    /// Read `/metrics`.
    Metrics,
    /// Send cases.
    Cases,
    /// Send change requests.
    ChangeRequests,
    /// Approve, retire, manage tokens; and read.
    Admin,
}

impl Scope {
    /// Its name in the API and in what people are told.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enrol => "enrol",
            Self::Read => "read",
            Self::Metrics => "metrics",
            Self::Cases => "cases",
            Self::ChangeRequests => "change_requests",
            Self::Admin => "admin",
        }
    }
}

impl PartRecord {
    /// The record of `part` after it was reported as `digest`; `previous` is what was known of it.
    ///
    /// What could not be seen keeps the newest digest under which it was: unobserved is not absent.
    pub fn after(
        previous: Option<&Self>,
        part: &PartName,
        digest: Digest,
        unread: Option<Unread>,
    ) -> Self {
        let (seen, read) = previous.map_or((None, None), |p| (p.seen, p.read));
        let (seen, read) = match unread {
            None => (Some(digest), Some(digest)),
            Some(Unread::Content(_)) => (Some(digest), read),
            Some(Unread::Whole(_)) => (seen, read),
        };
        Self { part: part.clone(), digest, unread, seen, read }
    }
}

impl SectionRecord {
    /// The record of a section after `version` with `chain`; `previous` is what it was.
    pub fn after(previous: Option<&Self>, version: &VersionRecord, chain: Chain) -> Self {
        let counted = |of: fn(&Self) -> u64| previous.map_or(0, of);
        Self {
            source: version.source.clone(),
            domain: version.domain,
            generation: version.generation,
            digest: version.digest,
            chain,
            delivered: counted(|s| s.delivered).saturating_add(1),
            coalesced: counted(|s| s.coalesced).saturating_add(version.coalesced),
            expired: counted(|s| s.expired).saturating_add(version.expired),
            observed_at: version.corrected_at,
        }
    }

    /// The record when its agent's state was made anew: new accounts over the same content. What
    /// was imported is no agent's and stays.
    pub fn renewed(mut self) -> Self {
        if is_imported(&self.source) {
            return self;
        }
        self.generation = Generation(0);
        self.chain = Chain::start(&self.source);
        (self.delivered, self.coalesced, self.expired) = (0, 0, 0);
        self
    }
}

/// Sums since the store was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Changes by domain and kind, imports left out.
    pub changes: BTreeMap<(Domain, ChangeKind), u64>,
    /// Classes given to changes, by domain; a change that is judged again counts again.
    pub classes: BTreeMap<(Domain, ChangeClass), u64>,
    /// Events by kind.
    pub events: BTreeMap<EventKind, u64>,
    /// Distinct parts kept.
    pub parts: u64,
    /// Section versions kept.
    pub versions: u64,
    /// Cases ever kept.
    pub cases: u64,
    /// Cases that went before their time because their source had too many.
    pub cases_beyond: u64,
    /// Words of cases left out because there were too many different ones.
    pub case_words_left_out: u64,
    /// Bytes of the store on disk; 0 in memory.
    pub bytes: u64,
}
