//! What one host looked like at one moment.
//!
//! A [`Snapshot`] holds one [`Section`] for every source the agent was asked to run, and a section
//! one [`Part`] for every file or table the source looked at. What could not be read is
//! [`Part::Unobserved`], never empty: *unobserved is not absent*, and no later stage may conclude
//! anything about items it could not see. A file whose attributes were seen but whose content was
//! not is [`Part::Observed`] with
//! [`Content::Unread`]: its `@` items are known, all others unknown.
//!
//! Maps are ordered, so equal snapshots encode to equal bytes and share a digest. Nothing in a part
//! names the host, the time or an inode, so the same file on a thousand hosts is one part.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{Digest, HostId, PartName, SourceName};
use crate::item::{Fingerprint, Items};

/// Everything the agent saw in one pass, immutable once assembled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The version of this form; see [`crate::wire::SNAPSHOT_VERSION`].
    pub version: u32,
    /// The host that was read.
    pub host: HostId,
    /// When the pass began, by the host's clock.
    pub taken_at: Timestamp,
    /// One section per source, by the source's stable name.
    pub sections: BTreeMap<SourceName, Section>,
}

/// What one source had to say, by file or table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// What kind of fact the source reads.
    pub domain: Domain,
    /// The parts the source found; a part not listed is not on the host.
    pub parts: BTreeMap<PartName, Part>,
}

/// What kind of fact a section holds; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// What is configured.
    Config,
    /// Who is known.
    Identity,
    /// Which policy applies.
    Policy,
    /// What is running.
    Runtime,
}

impl Domain {
    /// Every domain, in the order people meet them.
    pub const ALL: [Self; 4] = [Self::Config, Self::Identity, Self::Policy, Self::Runtime];

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Identity => "identity",
            Self::Policy => "policy",
            Self::Runtime => "runtime",
        }
    }
}

/// One file or table: the unit of observation, digest, transfer and storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It was looked at to the end. An item not listed is not there, as far as [`Content`] allows.
    Observed(Observed),
    /// It could not be looked at. Its items are unknown, not gone.
    Unobserved(Reason),
}

/// What was seen of one part, and how we looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// How the bytes were read; where it differs, seeing differently is not change.
    pub reading: Reading,
    /// The keyed digest of the bytes as they stood; `None` for a table that has no bytes of its
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Fingerprint>,
    /// How many bytes it had; never an item, since a comment changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether the items of its content are all here, or unknown.
    pub content: Content,
    /// What it says, by key.
    pub items: Items,
}

/// How a part was read: who parsed it, which version, and under which scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The format or table reader, such as `sshd` or `dpkg_status`.
    pub parser: String,
    /// The reader's version; raised whenever the same bytes give other items.
    pub version: u32,
    /// The digest of what narrowed the view: globs, ignore lists, options.
    pub scope: Digest,
}

/// Whether the items of a part's content were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Every item of the content is listed.
    Read,
    /// The content's items are unknown; only `@` items are listed.
    Unread(Reason),
}

/// Why something is unobserved; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The operating system refused.
    Denied,
    /// Reading took longer than its bound.
    TimedOut,
    /// The content does not follow its format.
    Malformed,
    /// We have no reader for it.
    Unsupported,
    /// It passes a bound of size, number or depth.
    TooLarge,
    /// It kept changing while it was read.
    Changing,
    /// It is a secret as a whole and is never read.
    Withheld,
    /// The operating system failed, for instance with a disk error.
    Failed,
}

impl Reason {
    /// Every reason, in the order of the metric reference.
    pub const ALL: [Self; 8] = [
        Self::Denied,
        Self::TimedOut,
        Self::Malformed,
        Self::Unsupported,
        Self::TooLarge,
        Self::Changing,
        Self::Withheld,
        Self::Failed,
    ];

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::TimedOut => "timed_out",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::Changing => "changing",
            Self::Withheld => "withheld",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Part {
    /// The observation, if there is one.
    pub fn observed(&self) -> Option<&Observed> {
        match self {
            Self::Observed(observed) => Some(observed),
            Self::Unobserved(_) => None,
        }
    }

    /// Why something of this part is unknown, if anything is.
    pub fn unobserved_reason(&self) -> Option<Reason> {
        match self {
            Self::Unobserved(reason) => Some(*reason),
            Self::Observed(observed) => match observed.content {
                Content::Read => None,
                Content::Unread(reason) => Some(reason),
            },
        }
    }
}
