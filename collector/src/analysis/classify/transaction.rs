//! What dpkg or rpm did to a host, as an explanation of its changes. Pure.
//!
//! The source `packages` says which versions are installed and which configuration files each
//! package has: in the parts that `MANAGERS` name, and not in others, where programs stand that a
//! person or a setup put there. A package whose version went up or down and everything of it that
//! changed within [`TOGETHER`] is one transaction. Installing and removing are decisions, not
//! routine, so they are not explained by themselves; the files that came or went with them are,
//! where they are as the package ships them ([`is_as_shipped`]): an edit by hand in the same
//! minutes is somebody's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Part;
use jiff::{SignedDuration, Timestamp};

use super::RuleKind;
use super::scope::Subject;
use crate::analysis::change::{Change, ChangeKind};
use crate::analysis::comparable::{Relation, fingerprints};
use crate::analysis::diff::is_of_the_file;

/// The source that tells of packages.
pub const PACKAGES: &str = "packages";

/// The parts in which a package manager tells of its own work.
const MANAGERS: [&str; 2] = [DPKG, "rpm"];

/// The part of the manager that tells of configuration files.
pub const DPKG: &str = "dpkg";

/// What is said of configuration files at that moment: whether each is as it was shipped.
const SHIPPED: &str = "shipped";

/// How far apart changes of one transaction may be seen: agents look at different things in turns.
pub const TOGETHER: SignedDuration = SignedDuration::from_mins(15);

/// How many packages a sentence names.
const NAMED: usize = 3;

/// Why a change is expected: the transaction's name, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// What kind of transaction: [`RuleKind::Package`] or [`RuleKind::Run`].
    pub rule: RuleKind,
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
    of_package: BTreeMap<(&'static str, String), Vec<usize>>,
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
    manager: &'static str,
    what: String,
    upgrade: bool,
}

impl Transactions {
    /// Takes one change of the source `packages`, in the order of their times.
    pub fn add(&mut self, (number, at): (i64, Timestamp), change: &Change) {
        let Some((package, field, path)) = change.key.as_ref().and_then(split) else { return };
        let Some(manager) = manager(&change.part) else { return };
        match field.as_str() {
            "conffile" => self.own(&package, path),
            "version" => {
                let text = |item: Option<&Item>| {
                    item.and_then(|item| item.value.as_text()).map(str::to_owned)
                };
                let (before, after) = (change.before.as_ref(), change.after.as_ref());
                let what = match (text(before), text(after)) {
                    (Some(before), Some(after)) => format!("{package} {before} to {after}"),
                    (None, Some(after)) => format!("{package} {after} installed"),
                    (Some(before), None) => format!("{package} {before} removed"),
                    (None, None) => package.clone(),
                };
                let upgrade = change.kind == ChangeKind::Modified;
                self.of_package.entry((manager, package)).or_default().push(self.steps.len());
                self.steps.push(Step { number, at, manager, what, upgrade });
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
        let (together, step) = self.step(subject)?;
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
            rule: RuleKind::Package,
            name: format!("{} {first}", step.manager),
            says: format!("{}, {at}: {}{more}", step.manager, said.join(", ")),
        })
    }

    /// The package that `subject` is about, or whose configuration file it is, and its manager.
    pub fn package_of(&self, subject: &Subject<'_>) -> Option<(&'static str, String)> {
        if subject.source.as_str() == PACKAGES {
            return Some((manager(subject.part)?, subject.key.and_then(split)?.0));
        }
        Some((DPKG, self.owners.get(subject.part.as_str())?.clone()))
    }

    /// When dpkg worked on the package whose configuration file `subject` is, if it did about then.
    pub fn worked_on_file(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        let of_file = subject.source.as_str() != PACKAGES;
        Some(self.step(subject).filter(|_| of_file)?.1.at)
    }

    /// The step that `subject` belongs to, among those of its transaction.
    fn step(&self, subject: &Subject<'_>) -> Option<(Range<usize>, &Step)> {
        if mutant::active(Mutant::PackagesExplainNothing) {
            return None;
        }
        let before = |step: &Step| subject.at.duration_since(step.at) > TOGETHER;
        let not_after = |step: &Step| step.at.duration_since(subject.at) <= TOGETHER;
        let together = self.steps.partition_point(before)..self.steps.partition_point(not_after);
        let of_package = |manager: &'static str, package: String| {
            let places = self.of_package.get(&(manager, package))?;
            let first = places.partition_point(|place| *place < together.start);
            let places = places.iter().skip(first).take_while(|place| **place < together.end);
            let steps = places.filter_map(|place| self.steps.get(*place));
            // Worked on twice within minutes: what is nearest did it.
            steps.min_by_key(|step| step.at.duration_since(subject.at).abs())
        };
        let step = if subject.source.as_str() == PACKAGES {
            let (package, field, _) = subject.key.and_then(split)?;
            let decided = field == "hold";
            of_package(manager(subject.part)?, package).filter(|step| step.upgrade && !decided)?
        } else {
            of_package(DPKG, self.owners.get(subject.part.as_str())?.clone())?
        };
        Some((together, step))
    }
}

/// Whether a configuration file that changed about when dpkg worked on its package is as the
/// package ships it, given the file as it was then and what the host said after that work.
///
/// `dpkg` is its part after that work. A host that does not tell, by an older agent, is believed. A
/// file that is gone was taken by dpkg unless the package ships it still: dpkg brings none back
/// that a person took away. Mode and owner of a file it replaces dpkg keeps as they were.
pub fn is_as_shipped((subject, after): (&Subject<'_>, Option<&Part>), dpkg: Option<&Part>) -> bool {
    if mutant::active(Mutant::ConffileIsExpectedWhateverItsBytes) {
        return true;
    }
    let of_files = |key: &ItemKey| {
        key.of_the_moment().and_then(|mut segments| segments.next()).is_some_and(|s| s == SHIPPED)
    };
    let told = dpkg.and_then(Part::observed).map(|told| &told.items);
    let Some(told) = told.filter(|told| told.keys().any(of_files)) else { return true };
    let key = ItemKey::momentary([SHIPPED, subject.part.as_str()]);
    let shipped = told.get(&key).map(|item| &item.value);
    let Some(after) = after else { return shipped.is_none() };
    let kept = subject.key.is_some_and(is_of_the_file) && subject.kind != ChangeKind::Added;
    match (shipped, after.observed().and_then(|after| after.raw)) {
        (Some(ItemValue::Fingerprint(shipped)), Some(raw)) if !kept => {
            fingerprints(*shipped, raw) == Relation::Same
        }
        _ => false,
    }
}

/// Whose part it is.
fn manager(part: &PartName) -> Option<&'static str> {
    let own = |manager: &&str| *manager == part.as_str();
    let foreign = mutant::active(Mutant::WindowsProgramsAreDpkgs).then_some(DPKG);
    MANAGERS.into_iter().find(own).or(foreign)
}

/// Package, field and, of a configuration file, its path.
fn split(key: &ItemKey) -> Option<(String, String, Option<String>)> {
    let mut segments = key.segments();
    Some((segments.next()?, segments.next()?, segments.next()))
}
