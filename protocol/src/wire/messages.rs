//! The messages, one struct each.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{Digest, Generation, HostId, Incarnation, KeyId, SessionId, SourceName};
use crate::ledger::{Account, Chain};
use crate::manifest::ManifestDelta;
use crate::redact::Unsealed;
use crate::snapshot::{Domain, Part, Reason};

/// Asks for an identity, once in the life of an agent's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// [`super::PROTOCOL_VERSION`] of the sender.
    pub version: u32,
    /// The shared, expiring enrolment secret; absent when `replaces` is proved by a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The identity this state was copied from, after the collector called it a clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<HostId>,
    /// What the host calls itself; the collector decides.
    pub proposed: HostId,
    /// What kind of host it says it is; the collector's configuration decides.
    pub kind: HostKind,
    /// The agent's state.
    pub incarnation: Incarnation,
    /// The agent's program version, as `major.minor.patch`.
    pub agent_version: String,
}

/// What kind of host something is; a closed list, so it can be a metric label.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum HostKind {
    /// A laptop, desktop or server people work on.
    #[default]
    Endpoint,
    /// A unified-communications host: PBX, proxy, session border controller.
    Uc,
    /// A contact-centre host.
    ContactCentre,
    /// A directory of accounts.
    Directory,
    /// A cloud tenant.
    Cloud,
}

impl HostKind {
    /// Every kind, in the order of the metric reference.
    pub const ALL: [Self; 5] =
        [Self::Endpoint, Self::Uc, Self::ContactCentre, Self::Directory, Self::Cloud];

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Uc => "uc",
            Self::ContactCentre => "contact_centre",
            Self::Directory => "directory",
            Self::Cloud => "cloud",
        }
    }
}

/// The identity an agent keeps from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolAnswer {
    /// The name under which the host is known.
    pub host: HostId,
    /// The agent's own bearer token; shown this once, kept hashed by the collector.
    pub token: String,
    /// The collector's store epoch.
    pub epoch: u64,
}

/// What an agent says each interval, changed or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// [`super::PROTOCOL_VERSION`] of the sender.
    pub version: u32,
    /// Who speaks.
    pub host: HostId,
    /// The agent's state.
    pub incarnation: Incarnation,
    /// The agent's run.
    pub session: SessionId,
    /// The newest generation the agent has given out.
    pub generation: Generation,
    /// The host's wall clock.
    pub wall: Timestamp,
    /// The host's monotonic clock within this boot, in milliseconds.
    pub monotonic_ms: u64,
    /// The newest store epoch the agent has seen; a lower one in the answer means a restored
    /// collector.
    pub epoch: u64,
    /// The key fingerprints are made under.
    pub key: KeyId,
    /// Whether that key is the site's, so that equality across hosts means something.
    pub site_key: bool,
    /// Each section's newest state and account.
    pub sections: BTreeMap<SourceName, SectionStatus>,
    /// How the agent itself fares.
    pub status: AgentStatus,
}

/// The newest state and the account of one section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionStatus {
    /// The generation of the newest version the agent has.
    pub generation: Generation,
    /// The manifest digest of that version.
    pub digest: Digest,
    /// The hash chain up to that version.
    pub chain: Chain,
    /// Where every version so far went.
    pub account: Account,
    /// How many parts are unobserved now, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unobserved: BTreeMap<Reason, u64>,
    /// How the last reading of the source went.
    pub last_read: SourceReading,
}

/// How one reading of one source went, measured by the runner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReading {
    /// Wall time, in microseconds.
    pub micros: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Whether the source came to its end.
    pub success: bool,
}

/// How the agent itself fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// The agent's program version, as `major.minor.patch`.
    pub version: String,
    /// Directories watched for changes.
    pub watched: u64,
    /// Whether the kernel refused more watches, so that changes there are found by rescan only.
    pub watch_limited: bool,
    /// Bytes the spool holds.
    pub spool_bytes: u64,
    /// Bytes the spool may hold.
    pub spool_limit_bytes: u64,
    /// How often the spool had to be repaired since the state was made.
    pub spool_repairs: u64,
    /// How often a source had to be made anew since the agent started: it broke an assertion, or
    /// hung.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub source_restarts: u64,
    /// Sources that hang in a reading the agent has given up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sources_stuck: u64,
    /// Whether the configuration on disk could not be used, so that the one before it runs on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub config_refused: bool,
    /// Sources that were stopped because their last pass passed its budget, and which budget.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub over_budget: BTreeMap<SourceName, Budget>,
    /// What the agent itself uses.
    #[serde(default, skip_serializing_if = "Usage::is_untold")]
    pub usage: Usage,
}

/// What one pass of one source may use up; a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// CPU time.
    Cpu,
    /// Memory.
    Memory,
    /// Bytes read from files.
    Reads,
}

/// What an agent itself uses; all 0 where an older one does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time since it started, in milliseconds.
    pub cpu_ms: u64,
    /// Memory it holds, in bytes.
    pub memory_bytes: u64,
    /// Files it has open.
    pub open_files: u64,
}

impl Usage {
    fn is_untold(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What the collector answers to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// The collector's store epoch: grows whenever the store is opened.
    pub epoch: u64,
    /// The newest generation the collector has from this host; an agent below it jumps above.
    pub generation: Generation,
    /// Sections in which the collector is behind, with what it has.
    pub want: BTreeMap<SourceName, Held>,
    /// When to send the next heartbeat, in milliseconds.
    pub next_ms: u64,
    /// Under load: send section versions no sooner than this many milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer_ms: Option<u64>,
    /// Another machine speaks with a copy of this identity; it was told to enrol anew.
    #[serde(default)]
    pub cloned: bool,
    /// The collector's clock when it answered.
    pub collector_time: Timestamp,
}

/// What the collector has of one section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The newest generation it applied; 0 when it has nothing.
    pub generation: Generation,
    /// The manifest digest of that generation, when it has one.
    pub digest: Option<Digest>,
}

/// Parts that a report will refer to.
///
/// `P` is an [`Unsealed`] part on the agent's side and a plain [`Part`] on the collector's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartsUpload<P = Part> {
    /// [`super::PROTOCOL_VERSION`] of the sender.
    pub version: u32,
    /// The parts, in any order.
    pub parts: Vec<P>,
}

/// The parts are durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartsAnswer {
    /// How many of them the collector did not hold before.
    pub new: u64,
}

/// Section versions, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report<P = Part> {
    /// [`super::PROTOCOL_VERSION`] of the sender.
    pub version: u32,
    /// Who speaks.
    pub host: HostId,
    /// The agent's state.
    pub incarnation: Incarnation,
    /// The agent's run.
    pub session: SessionId,
    /// The host's monotonic clock when this was sent, in milliseconds.
    pub monotonic_ms: u64,
    /// The host's wall clock when this was sent.
    pub wall: Timestamp,
    /// The versions, at most [`crate::limits::VERSIONS_PER_REPORT`].
    pub versions: Vec<SectionVersion>,
    /// Small parts that need no upload of their own.
    pub parts: Vec<P>,
}

/// One observed state of one section, against the state before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionVersion {
    /// Whose section.
    pub source: SourceName,
    /// What kind of fact the source reads.
    pub domain: Domain,
    /// Counted by the agent, never the clock; applied only when newer than what the collector has.
    pub generation: Generation,
    /// The chain before this version, or before the versions merged into it.
    pub chain_before: Chain,
    /// The chain after this version.
    pub chain: Chain,
    /// Versions merged into this one because the spool was full.
    #[serde(default)]
    pub coalesced: u64,
    /// Versions lost just before this one.
    #[serde(default)]
    pub expired: u64,
    /// When the pass that saw it began, by the host's wall clock.
    pub observed_at: Timestamp,
    /// The same moment by the host's monotonic clock, in milliseconds; absent when that was in
    /// another boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_monotonic_ms: Option<u64>,
    /// What turns the manifest before into this one.
    pub delta: ManifestDelta,
    /// The digest of this manifest.
    pub digest: Digest,
}

/// What became of each version of a report, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// The collector's store epoch.
    pub epoch: u64,
    /// One outcome a version.
    pub outcomes: Vec<Outcome>,
}

/// What became of one section version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// It is durable.
    Applied,
    /// It, or something newer, was durable before; acknowledge it all the same.
    Known,
    /// These parts must be uploaded first; nothing was applied.
    MissingParts {
        /// Digests of the parts, at most [`crate::limits::PARTS_PER_SECTION`].
        digests: Vec<Digest>,
    },
    /// The collector has another state than the delta starts from: send the whole section.
    BaseUnknown {
        /// What the collector has.
        held: Held,
    },
    /// The digest does not fit the content, or a bound is broken: a bug or a forgery, counted and
    /// refused.
    Refused {
        /// Why, for the agent's log.
        why: String,
    },
}

/// What every refused request answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of refusal, for programs.
    pub code: ProblemCode,
    /// What went wrong and what to do next, for people.
    pub detail: String,
}

/// What kind of refusal; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The token or secret is missing, wrong or expired; the answer never says which.
    Unauthorised,
    /// Another machine holds this identity: enrol anew with `replaces`.
    Clone,
    /// The host was retired; a person must bring it back.
    Retired,
    /// The body is too large.
    TooLarge,
    /// The body is not the message it should be.
    Malformed,
    /// The sender's protocol is newer than ours.
    Version,
    /// Too much to do; come back after the time in `Retry-After`.
    Busy,
    /// The collector failed; its log says how.
    Failed,
    /// There is nothing under this address.
    NotFound,
    /// The token is known and is not for this; only people are told so.
    Forbidden,
    /// What somebody accepts is not what they read any more; only people are told so.
    Conflict,
}

impl ProblemCode {
    /// Every code, in the order of the metric reference.
    pub const ALL: [Self; 11] = [
        Self::Unauthorised,
        Self::Clone,
        Self::Retired,
        Self::TooLarge,
        Self::Malformed,
        Self::Version,
        Self::Busy,
        Self::Failed,
        Self::NotFound,
        Self::Forbidden,
        Self::Conflict,
    ];

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorised => "unauthorised",
            Self::Clone => "clone",
            Self::Retired => "retired",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Conflict => "conflict",
        }
    }
}

/// A report as an agent may send it: a redactor sealed its parts.
pub type OutgoingReport = Report<Unsealed>;

/// An upload as an agent may send it: a redactor sealed its parts.
pub type OutgoingParts = PartsUpload<Unsealed>;
