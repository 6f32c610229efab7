//! What asks for nobody, by a list: items that change by themselves, and everyday work. Pure.
//!
//! An entry is a class of changes and never a hole: what it covers is kept, shown under its name
//! and counted. *Volatile* is what no person does, so nothing makes it worth a look. *Routine* is
//! what persons do all day, such as adding an extension; in a blackout even that is not.

use driftline_protocol::mutant::{self, Mutant};
use serde::{Deserialize, Serialize};

use super::scope::{Fit, IntentScope, Subject};
use super::{ChangeClass, Decision, RuleKind};
use crate::analysis::change::ChangeKind;

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignore {
    /// Its name.
    pub name: String,
    /// What the changes are.
    #[serde(rename = "as")]
    pub noise: Noise,
    /// Why, in a sentence.
    pub reason: String,
    /// What it covers: at least a source, part or key.
    pub scope: IntentScope,
    /// Which kinds of changes; empty means all.
    pub kinds: Vec<ChangeKind>,
    /// Whether it comes with the program.
    pub shipped: bool,
}

/// What changes of an entry are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// They happen by themselves.
    #[default]
    Volatile,
    /// They are everyday work.
    Routine,
}

impl Noise {
    /// The word used in configuration, pages and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Volatile => "volatile",
            Self::Routine => "routine",
        }
    }

    fn class(self) -> ChangeClass {
        match self {
            Self::Volatile => ChangeClass::Volatile,
            Self::Routine => ChangeClass::Routine,
        }
    }
}

/// What the first entry that covers `subject` as `noise` says of it.
pub fn listed(subject: &Subject<'_>, list: &[Ignore], noise: Noise) -> Option<Decision> {
    let every = mutant::active(Mutant::ListsCoverEveryKind);
    let of_kind = |entry: &&Ignore| {
        entry.noise == noise
            && (every || entry.kinds.is_empty() || entry.kinds.contains(&subject.kind))
    };
    let (entry, level) =
        list.iter().filter(of_kind).find_map(|entry| match entry.scope.fit(subject) {
            Fit::Covers(level) => Some((entry, level)),
            Fit::Everything | Fit::Beside | Fit::Elsewhere => None,
        })?;
    Some(Decision {
        class: Some(noise.class()),
        rule: RuleKind::Ignore,
        name: entry.name.clone(),
        level: Some(level),
        says: format!("{} by the list, {}: {}", noise.as_str(), entry.name, entry.reason),
    })
}
