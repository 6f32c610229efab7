//! What dpkg did to a host, as an explanation of its changes. Pure.
//!
//! The source `packages` says which versions are installed and which configuration files each
//! package has. A package whose version went up or down and everything of it that changed within
//! [`TOGETHER`] is one transaction. Installing and removing are decisions, not routine, so they are
//! not explained by themselves; the files that came or went with them are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

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
    /// By time; see [`Self::add`].
    steps: Vec<Step>,
    /// Where the steps of a package stand.
    of_package: BTreeMap<String, Vec<usize>>,
    /// What was said of the stretch of steps that was asked for last: the changes of one
    /// transaction come one after the other, and each would have the same said again.
    said: Option<(Range<usize>, Vec<String>)>,
    /// Which package has a configuration file, now or before it was removed.
    owners: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Step {
    number: i64,
    at: Timestamp,
    what: String,
    upgrade: bool,
}

impl Transactions {
    /// Takes one change of the source `packages`, in the order of their times.
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
                self.of_package.entry(package).or_default().push(self.steps.len());
                self.steps.push(Step { number, at, what, upgrade });
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
    pub fn explain(&mut self, subject: &Subject<'_>) -> Option<Explained> {
        if mutant::active(Mutant::PackagesExplainNothing) {
            return None;
        }
        let before = |step: &Step| subject.at.duration_since(step.at) > TOGETHER;
        let not_after = |step: &Step| step.at.duration_since(subject.at) <= TOGETHER;
        let together = self.steps.partition_point(before)..self.steps.partition_point(not_after);
        let of_package = |package: &str| {
            let places = self.of_package.get(package)?;
            let first = places.get(places.partition_point(|place| *place < together.start))?;
            together.contains(first).then(|| self.steps.get(*first))?
        };
        let step = if subject.source.as_str() == PACKAGES {
            let (package, field, _) = subject.key.and_then(split)?;
            let decided = field == "hold";
            of_package(&package).filter(|step| step.upgrade && !decided)?
        } else {
            of_package(self.owners.get(subject.part.as_str())?)?
        };
        let step = step.clone();
        let steps = self.steps.get(together.clone()).unwrap_or_default();
        let first = steps.iter().map(|other| other.number).min().unwrap_or(step.number);
        let known = self.said.take().filter(|(stretch, _)| *stretch == together);
        let (_, same) = self.said.insert(known.unwrap_or_else(|| {
            let same: BTreeSet<&str> = steps.iter().map(|other| other.what.as_str()).collect();
            (together, same.into_iter().map(str::to_owned).collect())
        }));
        let others = same.iter().map(String::as_str).filter(|what| *what != step.what);
        let said: Vec<&str> =
            std::iter::once(step.what.as_str()).chain(others.take(NAMED - 1)).collect();
        let more = same.len().saturating_sub(NAMED);
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
