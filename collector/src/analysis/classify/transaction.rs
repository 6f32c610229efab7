//! What dpkg did to a host, as an explanation of its changes. Pure.
//!
//! The source `packages` says which versions are installed and which configuration files each
//! package has. A package whose version went up or down and everything of it that changed within
//! [`TOGETHER`] is one transaction. Installing and removing are decisions, not routine, so they are
//! not explained by themselves; the files that came or went with them are.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};

use super::scope::Subject;
use crate::analysis::change::ChangeKind;

/// The source that tells of packages.
pub const PACKAGES: &str = "packages";

/// How far apart changes of one transaction may be seen: agents look at different things in turns.
pub const TOGETHER: SignedDuration = SignedDuration::from_mins(15);

/// How many packages a sentence names.
const NAMED: usize = 3;

/// Why a change is expected: the transaction's name, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Names the transaction: its first change.
    pub name: String,
    /// What dpkg did.
    pub says: String,
}

/// What dpkg did to one host.
#[derive(Clone, Debug, Default)]
pub struct Transactions {
    steps: Vec<Step>,
    /// Which package has a configuration file, now or before it was removed.
    owners: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Step {
    number: i64,
    at: Timestamp,
    package: String,
    what: String,
    upgrade: bool,
}

impl Transactions {
    /// Takes one change of the source `packages`.
    pub fn add(
        &mut self,
        (number, at, kind): (i64, Timestamp, ChangeKind),
        key: Option<&ItemKey>,
        (before, after): (Option<&Item>, Option<&Item>),
    ) {
        let Some((package, field, path)) = key.and_then(split) else { return };
        match field.as_str() {
            "conffile" => self.own(&package, path),
            "version" => {
                let text = |item: Option<&Item>| {
                    item.and_then(|item| item.value.as_text()).map(str::to_owned)
                };
                let what = match (text(before), text(after)) {
                    (Some(before), Some(after)) => format!("{package} {before} to {after}"),
                    (None, Some(after)) => format!("{package} {after} installed"),
                    (Some(before), None) => format!("{package} {before} removed"),
                    (None, None) => package.clone(),
                };
                let upgrade = kind == ChangeKind::Modified;
                self.steps.push(Step { number, at, package, what, upgrade });
            }
            _ => {}
        }
    }

    /// Takes what the host's packages own now.
    pub fn owned_by<'a>(&mut self, items: impl Iterator<Item = (&'a ItemKey, &'a ItemValue)>) {
        for (key, _) in items {
            if let Some((package, field, path)) = split(key)
                && field == "conffile"
            {
                self.own(&package, path);
            }
        }
    }

    fn own(&mut self, package: &str, path: Option<String>) {
        if let Some(path) = path {
            self.owners.insert(path, package.to_owned());
        }
    }

    /// Whether dpkg did anything.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The transaction that brought `subject`, if one did.
    pub fn explain(&self, subject: &Subject<'_>) -> Option<Explained> {
        if mutant::active(Mutant::PackagesExplainNothing) {
            return None;
        }
        let together = || {
            let near = |step: &&Step| step.at.duration_since(subject.at).abs() <= TOGETHER;
            self.steps.iter().filter(near)
        };
        let of_package = |package: &str| together().find(|step| step.package == package);
        let step = if subject.source.as_str() == PACKAGES {
            let (package, field, _) = subject.key.and_then(split)?;
            let decided = field == "hold";
            of_package(&package).filter(|step| step.upgrade && !decided)?
        } else {
            of_package(self.owners.get(subject.part.as_str())?)?
        };
        let first = together().map(|other| other.number).min().unwrap_or(step.number);
        let same: BTreeSet<&str> = together().map(|other| other.what.as_str()).collect();
        let others = same.into_iter().filter(|what| *what != step.what);
        let mut said: Vec<&str> = std::iter::once(step.what.as_str()).chain(others).collect();
        let more = said.len().saturating_sub(NAMED);
        said.truncate(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let at = step.at.strftime("%Y-%m-%d %H:%M UTC");
        Some(Explained {
            name: format!("dpkg {first}"),
            says: format!("dpkg, {at}: {}{more}", said.join(", ")),
        })
    }
}

/// Package, field and, of a configuration file, its path.
fn split(key: &ItemKey) -> Option<(String, String, Option<String>)> {
    let mut segments = key.segments();
    Some((segments.next()?, segments.next()?, segments.next()))
}
