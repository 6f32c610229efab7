//! What is kept of suspects: what changed, whom it touched, what the cases said, what people said.
//!
//! A suspect is known by its key, a change set and a service, for as long as its first change is
//! kept. What the engine said of it last is kept with the number of the pass that said it; the pass
//! keeps everything the engine was given, so that the same can be said again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::analysis::cases::Candidate;
use crate::analysis::correlate::{Evidence, Tier};

/// One suspect as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuspectRecord {
    /// A number for URLs; the store gives it when the suspect is first seen.
    pub number: i64,
    /// Its name: change set and service.
    pub key: String,
    /// When its first host was reached.
    pub at: Timestamp,
    /// The pass that said what stands here.
    pub pass: i64,
    /// The sort of change, for base rates.
    pub kind: String,
    /// What changed: files or tables, the first of them.
    pub parts: Vec<String>,
    /// The numbers of its changes, the first of them.
    pub changes: Vec<i64>,
    /// How many changes there are.
    pub total: u64,
    /// The hosts that were reached, the first of them.
    pub hosts: Vec<String>,
    /// How many hosts were reached.
    pub host_count: u64,
    /// What the engine was given of it.
    pub candidate: Candidate,
    /// What the engine said.
    pub evidence: Evidence,
    /// What a person said, last.
    #[serde(default)]
    pub outcome: Option<OutcomeRecord>,
}

impl SuspectRecord {
    /// Whether `other` says the same of the same, whichever pass said it and whatever people said.
    pub fn says_as(&self, other: &Self) -> bool {
        let plain = |record: &Self| Self { number: 0, pass: 0, outcome: None, ..record.clone() };
        plain(self) == plain(other)
    }
}

/// What a person found a suspect to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The change and the rise belong together.
    Confirmed,
    /// They do not.
    Rejected,
}

impl Outcome {
    /// The word used in answers and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
        }
    }
}

/// The most that is kept of what people said of one suspect, the newest.
pub const OUTCOMES_OF_ONE: usize = 20;

/// What one person said of one suspect, with what the engine had said by then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutcomeRecord {
    /// The number of the suspect.
    pub suspect: i64,
    /// When.
    pub at: Timestamp,
    /// Who: the person or token.
    pub who: String,
    /// What.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub reason: String,
    /// The sort of change.
    pub kind: String,
    /// The tier the engine had given.
    pub tier: Tier,
    /// The score the engine had given.
    pub score: Option<f64>,
}

/// One pass of the engine: everything it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassRecord {
    /// Its number; the store gives it.
    pub number: i64,
    /// When it ended.
    pub at: Timestamp,
    /// What it was given, as the shell writes it.
    pub input: serde_json::Value,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Which suspects are asked for; every field narrows.
#[derive(Clone, Debug, Default)]
pub struct SuspectFilter {
    /// With this number.
    pub number: Option<i64>,
    /// Of this service; those of all services are among them.
    pub service: Option<String>,
    /// Of this tier.
    pub tier: Option<Tier>,
    /// Changed at or after.
    pub from: Option<Timestamp>,
    /// Changed before.
    pub to: Option<Timestamp>,
    /// At most this many; 0 means [`super::DEFAULT_LIMIT`].
    pub limit: u32,
}

/// What pages and commands ask about suspects.
pub trait ReadSuspects: Send + Sync {
    /// Suspects, best tier first, then best score, those without one last, then by number.
    ///
    /// # Errors
    /// [`StoreError`], as for all of these.
    fn suspects(&self, filter: &SuspectFilter) -> Result<Vec<SuspectRecord>, StoreError>;

    /// One pass, as long as a suspect stands by it.
    fn pass(&self, number: i64) -> Result<Option<PassRecord>, StoreError>;

    /// The number of the newest pass; 0 before the first.
    fn last_pass(&self) -> Result<i64, StoreError>;

    /// Everything people said, oldest first.
    fn outcomes(&self) -> Result<Vec<OutcomeRecord>, StoreError>;
}
