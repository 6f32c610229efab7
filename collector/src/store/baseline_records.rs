//! What was agreed of hosts and groups, and the approvals it came by.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{HostId, PartName, SourceName};
use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::analysis::agreement::{Agreed, Agreements, Exemption, GroupAgreement, Layer, Subject};

/// How many approvals of one subject are kept, the newest: a year of weekly ones four times over.
/// What they agreed counts on.
pub const APPROVALS_KEPT: u32 = 200;

/// What of a state was agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Basis {
    /// The state of the host at that time.
    Present,
    /// The state of the host at an earlier moment.
    Snapshot {
        /// When.
        at: Timestamp,
    },
    /// The state of another host, of a group's reference host.
    Host {
        /// Which.
        host: HostId,
        /// At an earlier moment than the approval.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// Single items, as their findings had them.
    Findings {
        /// Which they are: a finding, a rollout or a change request, in words.
        of: String,
        /// How many.
        count: u64,
    },
    /// Nothing any more: what was agreed of it was taken back.
    Nothing,
}

impl Basis {
    /// What was agreed, in words.
    pub fn words(&self) -> String {
        let on = |at: &Timestamp| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        match self {
            Self::Present => "its present state".to_owned(),
            Self::Snapshot { at } => format!("its state on {}", on(at)),
            Self::Host { host, at: None } => format!("the state of {host}"),
            Self::Host { host, at: Some(at) } => format!("the state of {host} on {}", on(at)),
            Self::Findings { of, count: 1 } => format!("1 item of {of}"),
            Self::Findings { of, count } => format!("{count} items of {of}"),
            Self::Nothing => "nothing any more".to_owned(),
        }
    }
}

/// One approval: a version of a baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRecord {
    /// Its number, in the order of all approvals.
    pub number: i64,
    /// Whose baseline.
    pub subject: Subject,
    /// When.
    pub at: Timestamp,
    /// Who: the person or token.
    pub who: String,
    /// Why.
    pub why: String,
    /// What was agreed.
    pub basis: Basis,
    /// Of which source alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// Of which parts alone: a pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// What each host of the group has for itself, from here on.
    #[serde(default)]
    pub exempt: Vec<Exemption>,
}

impl ApprovalRecord {
    /// Whether it takes back all that was agreed, so that there is no baseline from here on.
    pub fn removes(&self) -> bool {
        self.basis == Basis::Nothing
    }

    /// The same, and what each host of a group has for itself.
    pub fn what_and_not(&self) -> String {
        let exempt: Vec<String> = self.exempt.iter().map(Exemption::words).collect();
        match exempt.is_empty() || mutant::active(Mutant::ApprovalsNameNoScope) {
            true => self.what(),
            false => {
                format!("{} (each host has for itself: {})", self.what(), exempt.join("; "))
            }
        }
    }

    /// What was agreed, of what alone, in words.
    pub fn what(&self) -> String {
        let mut words = self.basis.words();
        if let Some(source) = &self.source {
            words = format!("{words}, source {source}");
        }
        if let Some(part) = &self.part {
            words = format!("{words}, {part}");
        }
        words
    }
}

/// The baseline of a host or a group: all that was agreed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// What was agreed, by source.
    pub sections: BTreeMap<SourceName, Layer>,
    /// The newest approval.
    pub approval: ApprovalRecord,
}

/// What ingest, pages and queries ask about baselines.
pub trait ReadBaselines: Send + Sync {
    /// All that was agreed of `subject`, if anybody has agreed to anything that was not taken back.
    ///
    /// # Errors
    /// [`StoreError`], as for all of these.
    fn baseline(&self, subject: &Subject) -> Result<Option<Baseline>, StoreError>;

    /// The sections of which something was agreed.
    fn baseline_sources(&self, subject: &Subject) -> Result<BTreeSet<SourceName>, StoreError>;

    /// What was agreed of one part; `None` when no approval spoke of it.
    fn baseline_part(
        &self,
        subject: &Subject,
        source: &SourceName,
        part: &PartName,
    ) -> Result<Option<Agreed>, StoreError>;

    /// The newest approval of each subject after `after` that has a baseline, by its name as text,
    /// at most `limit`.
    fn baselines(&self, after: &str, limit: u32) -> Result<Vec<ApprovalRecord>, StoreError>;

    /// Approvals, the newest first: of `subject` or of all, those before number `before`.
    fn approvals(
        &self,
        subject: Option<&Subject>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ApprovalRecord>, StoreError>;
}

/// What was agreed of every group.
///
/// # Errors
/// [`StoreError`].
pub fn agreements<S: ReadBaselines + ?Sized>(store: &S) -> Result<Agreements, StoreError> {
    let mut agreements = Agreements::default();
    // Names of groups stand together, behind the sign that begins them.
    let mut after = "@".to_owned();
    while let Some(head) = store.baselines(&after, 1)?.pop() {
        after = head.subject.to_string();
        let Subject::Group(name) = &head.subject else { break };
        if let Some(Baseline { sections, approval }) = store.baseline(&head.subject)? {
            let agreement = GroupAgreement { layers: sections, exempt: approval.exempt };
            agreements.groups.insert(name.clone(), agreement);
        }
    }
    Ok(agreements)
}
