//! The fleet as it stands, as plain values, for metrics and pages.
//!
//! Every number here is read, none is kept: two calls with the same messages before them give the
//! same view.

use std::collections::BTreeMap;

use driftline_protocol::ids::{HostId, SourceName};
use driftline_protocol::snapshot::{Domain, Reason};
use driftline_protocol::wire::{AgentStatus, HostKind, SectionStatus, SourceReading};
use jiff::Timestamp;

use super::fleet::{Host, KnownState, older_than};
use super::{Ingest, IngestTotals};
use crate::analysis::finding::{FindingKind, Severity};

/// How many intervals without a word make a host stale.
pub const STALE_INTERVALS: u64 = 3;

/// After how long without a word a host is dormant, in milliseconds: 30 days.
pub const DORMANT_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// Whether a host speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Liveness {
    /// Heard within [`STALE_INTERVALS`].
    Alive,
    /// Silent for longer.
    Stale,
    /// Silent for longer than [`DORMANT_MS`]: its series end, its findings are unknown.
    Dormant,
    /// Taken out of service by a person.
    Retired,
    /// No agent ever spoke for it; its history was imported.
    Imported,
}

impl Liveness {
    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Stale => "stale",
            Self::Dormant => "dormant",
            Self::Retired => "retired",
            Self::Imported => "imported",
        }
    }
}

/// Whether a host last heard at `last_seen` speaks, at `now`.
pub fn liveness(last_seen: Timestamp, now: Timestamp, interval_ms: u64) -> Liveness {
    if older_than(last_seen, now, DORMANT_MS) {
        Liveness::Dormant
    } else if older_than(last_seen, now, interval_ms.saturating_mul(STALE_INTERVALS)) {
        Liveness::Stale
    } else {
        Liveness::Alive
    }
}

/// The fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetView {
    /// Every host, retired ones included.
    pub hosts: BTreeMap<HostId, HostView>,
    /// Sums since the program started.
    pub totals: IngestTotals,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostView {
    /// What kind of host.
    pub kind: HostKind,
    /// When it was last heard.
    pub last_seen: Timestamp,
    /// Whether it speaks.
    pub liveness: Liveness,
    /// How far its wall clock is ahead of ours, in milliseconds, once measured.
    pub clock_ahead_ms: Option<i64>,
    /// Its agent's version.
    pub agent_version: String,
    /// Open drifts; `None` when nothing was heard since the program started, so that they were not
    /// read.
    pub open_drifts: Option<BTreeMap<(Domain, Severity), u64>>,
    /// Open deviations, likewise.
    pub open_deviations: Option<BTreeMap<(Domain, Severity), u64>>,
    /// How its agent fares, as last heard.
    pub status: Option<AgentStatus>,
    /// Its sources, as last heard.
    pub sources: BTreeMap<SourceName, SourceView>,
    /// Section versions refused since the program started.
    pub refused: u64,
    /// Section versions it had delivered and a restored store no longer has.
    pub lost_by_restore: u64,
}

/// One source of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// How its last reading went.
    pub last_read: SourceReading,
    /// Its unobserved parts.
    pub unobserved: BTreeMap<Reason, u64>,
    /// Section versions that nobody can account for; 0, or somebody is told.
    pub imbalance: u64,
    /// Versions merged because the spool was full, by the agent's account.
    pub coalesced: u64,
    /// Versions lost, by the agent's account.
    pub expired: u64,
    /// Versions in its spool.
    pub waiting: u64,
}

pub(super) fn view(ingest: &Ingest, now: Timestamp) -> FleetView {
    let interval_ms = ingest.config.interval_ms;
    let view = |(id, host): (&HostId, &Host)| (id.clone(), host_view(host, now, interval_ms));
    FleetView { hosts: ingest.fleet.iter().map(view).collect(), totals: ingest.totals.clone() }
}

fn host_view(host: &Host, now: Timestamp, interval_ms: u64) -> HostView {
    let record = &host.record;
    let sections = host.heard.iter().flat_map(|heard| &heard.sections);
    HostView {
        kind: record.kind,
        last_seen: record.last_seen,
        liveness: match record.retired_at {
            Some(_) => Liveness::Retired,
            None if record.is_imported() => Liveness::Imported,
            None => liveness(record.last_seen, now, interval_ms),
        },
        clock_ahead_ms: host.skew.ahead_ms(),
        agent_version: record.agent_version.clone(),
        open_drifts: host.known().map(|known| open(known, FindingKind::Drift)),
        open_deviations: host.known().map(|known| open(known, FindingKind::Deviation)),
        status: host.heard.as_ref().map(|heard| heard.status.clone()),
        sources: sections.map(|(s, status)| (s.clone(), source_view(host, s, status))).collect(),
        refused: host.counts.refused,
        lost_by_restore: host.counts.lost_by_restore,
    }
}

fn open(known: &KnownState, kind: FindingKind) -> BTreeMap<(Domain, Severity), u64> {
    let mut open = BTreeMap::new();
    for finding in known.open.values().filter(|finding| finding.id.kind == kind) {
        *open.entry((finding.domain, finding.severity)).or_default() += 1;
    }
    open
}

fn source_view(host: &Host, source: &SourceName, status: &SectionStatus) -> SourceView {
    let heard = host.heard.as_ref().and_then(|heard| heard.imbalance.get(source));
    let breaks = host.chain_breaks.get(source).copied().unwrap_or(0);
    SourceView {
        last_read: status.last_read,
        unobserved: status.unobserved.clone(),
        imbalance: heard.copied().unwrap_or(0).saturating_add(breaks),
        coalesced: status.account.coalesced,
        expired: status.account.expired,
        waiting: status.account.waiting,
    }
}
