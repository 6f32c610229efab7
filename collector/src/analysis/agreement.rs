//! What was agreed: which approval speaks of a part, and what it says. Pure.
//!
//! A baseline belongs to a host or to a group of hosts ([`Subject`]) and grows by approvals, which
//! are numbered in the order in which they were made. An approval speaks of everything in a section
//! that follows a pattern, or of single parts. *The newest approval that speaks of a part counts*,
//! whether it was of the host or of a group it is in; so a host that joins a group is held to what
//! was agreed of the group, and a host that was approved after its group keeps what is its own.
//!
//! What a group exempts is each host's own and is compared on none of its hosts, whoever approved
//! last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::item::ItemKey;
use serde::{Deserialize, Serialize};

use crate::config::place::matches;

mod accept;

pub use accept::with_item;

/// The pattern of everything.
pub const EVERYTHING: &str = "*";

/// Whose baseline: a host's, or a group's. As text a group has `@` before its name, which no host's
/// name has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// One host.
    Host(HostId),
    /// The hosts of a group of the configuration.
    Group(String),
}

/// A text that names neither a host nor a group.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is neither the name of a host nor `@` and the name of a group")]
pub struct SubjectError(String);

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let unreadable = || SubjectError(text.chars().take(80).collect());
        match text.strip_prefix('@') {
            Some(group) if !group.is_empty() => Ok(Self::Group(group.to_owned())),
            Some(_) => Err(unreadable()),
            None => text.parse().map(Self::Host).map_err(|_| unreadable()),
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;

    fn try_from(text: String) -> Result<Self, SubjectError> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.to_string()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "{host}"),
            Self::Group(group) => write!(f, "@{group}"),
        }
    }
}

/// What one approval says of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Agreed {
    /// The approval's number.
    pub approval: i64,
    /// The part; `None` when it shall not be there.
    pub digest: Option<Digest>,
}

/// Of what in one section an approval speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Covers {
    /// Of every part that follows a pattern: those named are as they are here, others shall not be.
    All {
        /// The pattern of parts.
        pattern: String,
        /// The parts that shall be.
        parts: BTreeMap<PartName, Digest>,
    },
    /// Of these parts alone.
    Parts(BTreeMap<PartName, Option<Digest>>),
}

/// What was agreed of one section of a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The patterns that were spoken of as a whole, with the newest approval that did.
    pub spoken: BTreeMap<String, i64>,
    /// The parts that were agreed.
    pub parts: BTreeMap<PartName, Agreed>,
}

impl Layer {
    /// What it says of `part`; `None` when no approval spoke of it.
    pub fn says(&self, part: &PartName) -> Option<Agreed> {
        if let Some(agreed) = self.parts.get(part) {
            return Some(*agreed);
        }
        let spoken = self.spoken.iter().filter(|(pattern, _)| matches(pattern, part.as_str()));
        spoken.map(|(_, approval)| Agreed { approval: *approval, digest: None }).max()
    }

    /// How many parts that both speak of it counts for, since its approval is the newer one.
    pub fn counts_before(&self, other: &Self) -> usize {
        let named: BTreeSet<&PartName> = self.parts.keys().chain(other.parts.keys()).collect();
        let newer = |part: &&PartName| match (self.says(part), other.says(part)) {
            (Some(own), Some(others)) => own.approval > others.approval,
            (Some(_) | None, None) | (None, Some(_)) => false,
        };
        named.into_iter().filter(newer).count()
    }

    /// Takes what the newest approval covers in the place of what it speaks of.
    pub fn agree(&mut self, approval: i64, covers: &Covers) {
        match covers {
            Covers::All { pattern, parts } => {
                if pattern == EVERYTHING {
                    self.spoken.clear();
                }
                self.spoken.insert(pattern.clone(), approval);
                self.parts.retain(|part, _| !matches(pattern, part.as_str()));
                let agreed = |digest: &Digest| Agreed { approval, digest: Some(*digest) };
                self.parts
                    .extend(parts.iter().map(|(name, digest)| (name.clone(), agreed(digest))));
            }
            Covers::Parts(parts) => {
                let agreed = |digest: &Option<Digest>| Agreed { approval, digest: *digest };
                self.parts
                    .extend(parts.iter().map(|(name, digest)| (name.clone(), agreed(digest))));
            }
        }
    }
}

/// Keys, parts or sources that each host of a group has for itself; every field narrows, patterns
/// know `*` and `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    /// Of this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// A pattern of parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// A pattern of item keys; without one the part is exempt as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Exemption {
    /// Whether it is of this item, or of the part as a whole.
    pub fn holds(&self, source: &SourceName, part: &PartName, key: Option<&ItemKey>) -> bool {
        let Self { source: of, part: parts, key: keys } = self;
        of.as_ref().is_none_or(|of| of == source)
            && parts.as_ref().is_none_or(|pattern| matches(pattern, part.as_str()))
            && keys
                .as_ref()
                .is_none_or(|pattern| key.is_some_and(|key| matches(pattern, key.as_str())))
    }

    /// What it names, field by field.
    pub fn words(&self) -> String {
        let Self { source, part, key } = self;
        let fields = [
            ("source", source.as_ref().map(ToString::to_string)),
            ("part", part.clone()),
            ("key", key.clone()),
        ];
        let said =
            fields.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
        said.collect::<Vec<_>>().join(", ")
    }

    /// Whether it names anything: one that names nothing would exempt all.
    pub fn names_something(&self) -> bool {
        let Self { source, part, key } = self;
        let said = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| !text.trim_matches('*').is_empty())
        };
        source.is_some() || said(part) || said(key)
    }
}

/// What was agreed of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupAgreement {
    /// By source.
    pub layers: BTreeMap<SourceName, Layer>,
    /// What each of its hosts has for itself.
    pub exempt: Vec<Exemption>,
}

/// What was agreed of the groups of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreements {
    /// By name of the group.
    pub groups: BTreeMap<String, GroupAgreement>,
}

impl Agreements {
    /// Whether any group has one.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The layers of a section that hosts of `groups` are held to.
    pub fn layers<'a>(
        &'a self,
        groups: &[String],
        source: &SourceName,
    ) -> impl Iterator<Item = &'a Layer> {
        let known = groups.iter().filter_map(|group| self.groups.get(group));
        known.filter_map(|group| group.layers.get(source))
    }

    /// What each host of `groups` has for itself.
    pub fn exempt(&self, groups: &[String]) -> Vec<Exemption> {
        let known = groups.iter().filter_map(|group| self.groups.get(group));
        known.flat_map(|group| group.exempt.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests;
