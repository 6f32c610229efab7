//! What runs of package managers and configuration-management tools say they changed, as an
//! explanation of a host's changes and as evidence of who asked. Pure.
//!
//! The source `transactions` tells of them at the moment it was read; several readings of one run
//! are one. A change is a run's where it was seen between the run's beginning and
//! [`TOGETHER`] after its end, and:
//!
//! - of a file, where its bytes are those that the run left, as the host compared them when it read
//!   the report; where mode or owner is what the run set; where it is gone, as the run says. What a
//!   hand writes in the same minutes is somebody's, and so is what the host could not compare;
//! - of an account, a group, a unit or a package, where the run names it.
//!
//! A package that was installed or removed is a decision. Its package manager's log makes it
//! routine where nobody decided: another package needed it (`automatic`), or a program that works
//! by itself asked for it. Otherwise the log is evidence, and the sentence tells it.
//!
//! Nothing is explained by a run that failed before its end, that was not told, or that was over or
//! not begun when the change was made. Whoever has root can write such a log, as dpkg's own state.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::PartName;
use driftline_protocol::item::ItemValue;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Part;
use jiff::{SignedDuration, Timestamp};

use super::RuleKind;
use super::scope::Subject;
use super::transaction::{Explained, PACKAGES, TOGETHER};
use crate::analysis::change::ChangeKind;
use crate::analysis::comparable::{Relation, fingerprints};
use crate::analysis::diff::is_of_the_file;

/// The source that tells of runs.
pub const TRANSACTIONS: &str = "transactions";

/// How long before its run a change may seem to be: clocks of one host are corrected at different
/// times.
const BEFORE: SignedDuration = SignedDuration::from_secs(60);

/// The longest run that is waited for: a change is told while its run goes on, and the run when it
/// has ended.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(2);

/// The most that is held of what the runs of one host tell, in items; an agent tells 6,000 of one
/// tool, and what was read first counts.
const TOLD_MOST: usize = 100_000;

/// How much of a command line a sentence tells, in characters.
const COMMAND_CHARACTERS: usize = 160;

/// Programs that install, upgrade and remove packages by themselves.
const UNATTENDED: [&str; 3] = ["unattended-upgrade", "unattended-upgrades", "dnf-automatic"];

/// What of a unit says that it is enabled, and by what.
const ENABLING: [&str; 2] = ["enablement", "wanted_by"];

/// The tool of configuration management, OpenVox included.
const PUPPET: &str = "puppet";

/// The package managers among the tools, and whose packages each works on.
const MANAGERS: [(&str, &str); 3] = [("apt", "dpkg"), ("dnf", "rpm"), ("zypper", "rpm")];

/// What the runs of one host say.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// By tool and run.
    known: BTreeMap<(String, String), Run>,
    /// How many items were taken.
    told: usize,
}

/// One run, put together from all readings of it.
#[derive(Clone, Debug)]
struct Run {
    began: Timestamp,
    ended: Timestamp,
    /// `success`, `failed` or `unfinished`.
    result: String,
    asked_by: Option<String>,
    command: Option<String>,
    words: BTreeMap<String, String>,
    /// By what happened and to what.
    told: BTreeMap<String, BTreeMap<String, BTreeSet<ItemValue>>>,
}

/// What runs make of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A run brought it.
    Explained(Explained),
    /// A run of this tool changed the file about then, and this is not what it left.
    Otherwise(String),
}

impl Runs {
    /// Takes what one reading of a tool's log said; `skew` is how far the collector's clock was
    /// ahead of the host's then.
    pub fn add(&mut self, tool: &PartName, part: &Part, skew: SignedDuration) {
        let Some(observed) = part.observed() else { return };
        let mut runs: BTreeMap<String, Vec<(Vec<String>, &ItemValue)>> = BTreeMap::new();
        for (key, item) in &observed.items {
            let Some(mut names) = key.of_the_moment() else { continue };
            if names.next().as_deref() == Some("run")
                && let Some(run) = names.next()
            {
                runs.entry(run).or_default().push((names.collect(), &item.value));
            }
        }
        for (id, said) in runs {
            let known = (tool.as_str().to_owned(), id);
            self.told += said.len();
            if self.is_full() {
                return;
            }
            if let Some(run) = Run::of(&said, skew) {
                match self.known.get_mut(&known) {
                    Some(earlier) => earlier.join(run),
                    None => drop(self.known.insert(known, run)),
                }
            }
        }
    }

    /// Whether no more is held.
    pub fn is_full(&self) -> bool {
        self.told > TOLD_MOST
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Leaves those of tools out that are not to explain anything.
    pub fn retain(&mut self, package_managers: bool, others: bool) {
        self.known.retain(|(tool, _), _| if is_manager(tool) { package_managers } else { others });
    }

    /// Whether a run was under way, or just over.
    pub fn were_at_work(&self, at: Timestamp) -> bool {
        self.about(at).next().is_some()
    }

    /// When something may have been changed by one of them.
    pub fn stretches(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.known.values().map(Run::stretch)
    }

    /// What the runs make of `subject`, given its part as it was after the change.
    pub fn explain(&self, subject: &Subject<'_>, after: Option<&Part>) -> Option<Verdict> {
        let mut otherwise = None;
        for ((tool, id), run) in self.about(subject.at) {
            match run.judge(tool, (subject, after)) {
                // A report counts each resource by itself; a package manager's run is one.
                Fit::Its if run.result == "success" || !is_manager(tool) => {
                    return Some(Verdict::Explained(Explained {
                        rule: if is_manager(tool) { RuleKind::Package } else { RuleKind::Run },
                        name: format!("{tool} {id}"),
                        says: run.says(tool),
                    }));
                }
                Fit::Otherwise => otherwise = Some(Verdict::Otherwise(tool.clone())),
                Fit::Its | Fit::Nothing => {}
            }
        }
        otherwise
    }

    /// Who had a package worked on about then, as its manager wrote it down.
    pub fn evidence(&self, at: Timestamp, (manager, package): (&str, &str)) -> Option<String> {
        let mut about = self.about(at).filter(|((tool, _), _)| works_on(tool) == Some(manager));
        let (key, run) =
            about.find(|(_, run)| VERBS.iter().any(|verb| run.told_of(verb, package).is_some()))?;
        Some(run.says(&key.0))
    }

    fn about(&self, at: Timestamp) -> impl Iterator<Item = (&(String, String), &Run)> {
        self.known.iter().filter(move |(_, run)| {
            let (from, to) = run.stretch();
            from <= at && at <= to
        })
    }
}

/// What was done to packages, in the words of the source.
const VERBS: [&str; 5] = ["installed", "upgraded", "downgraded", "reinstalled", "removed"];

/// Whether `part` of the source is one of the tools that runs are known of.
pub fn is_tool(part: &str) -> bool {
    part == PUPPET || is_manager(part)
}

fn is_manager(tool: &str) -> bool {
    works_on(tool).is_some()
}

/// The part of the source `packages` that a package manager works on.
fn works_on(tool: &str) -> Option<&'static str> {
    MANAGERS.iter().find(|(name, _)| *name == tool).map(|(_, part)| *part)
}

/// How a run stands to a change.
enum Fit {
    Its,
    Otherwise,
    Nothing,
}

impl Run {
    fn of(said: &[(Vec<String>, &ItemValue)], skew: SignedDuration) -> Option<Self> {
        let text = |name: &str| {
            let one = said.iter().find(|(names, _)| names.len() == 1 && names[..] == [name])?;
            one.1.as_text()
        };
        let time = |name: &str| text(name)?.parse::<Timestamp>().ok()?.checked_add(skew).ok();
        let began = time("began")?;
        let mut told: BTreeMap<String, BTreeMap<String, BTreeSet<ItemValue>>> = BTreeMap::new();
        for (names, value) in said {
            if let [what, name] = names.as_slice() {
                let of = told.entry(what.clone()).or_default();
                of.entry(name.clone()).or_default().insert((*value).clone());
            }
        }
        let word = |name: &str| Some((name.to_owned(), text(name)?.to_owned()));
        Some(Self {
            began,
            // A clock that slips while a run goes on makes it no longer than any.
            ended: time("ended")
                .filter(|ended| *ended >= began)
                .map_or(began, |ended| ended.min(began.saturating_add(LONGEST).unwrap_or(ended))),
            result: text("result").unwrap_or_default().to_owned(),
            asked_by: text("asked_by").map(str::to_owned),
            command: text("command").map(str::to_owned),
            words: ["environment", "version"].into_iter().filter_map(word).collect(),
            told,
        })
    }

    /// The same run as another reading has it: what was so once was so.
    fn join(&mut self, other: Self) {
        let Self { began: _, ended, result, asked_by, command, words, told } = other;
        if ended > self.ended || self.result == "unfinished" {
            (self.ended, self.result) = (ended.max(self.ended), result);
        }
        self.asked_by = self.asked_by.take().or(asked_by);
        self.command = self.command.take().or(command);
        self.words.extend(words);
        for (what, names) in told {
            let of = self.told.entry(what).or_default();
            for (name, values) in names {
                of.entry(name).or_default().extend(values);
            }
        }
    }

    fn stretch(&self) -> (Timestamp, Timestamp) {
        let from = self.began.checked_sub(BEFORE).unwrap_or(Timestamp::MIN);
        (from, self.ended.checked_add(TOGETHER).unwrap_or(Timestamp::MAX))
    }

    fn values(&self, what: &str, name: &str) -> Option<&BTreeSet<ItemValue>> {
        self.told.get(what)?.get(name)
    }

    fn judge(&self, tool: &str, (subject, after): (&Subject<'_>, Option<&Part>)) -> Fit {
        if let Some(manager) = works_on(tool) {
            return self.of_manager(manager, subject);
        }
        let (source, part) = (subject.source.as_str(), subject.part.as_str());
        let first = subject.key.and_then(|key| key.segments().next());
        let named = |kind: &str, name: &str| match self.values(kind, name) {
            Some(_) => Fit::Its,
            None => Fit::Nothing,
        };
        match (source, part, first) {
            (PACKAGES, "dpkg" | "rpm", Some(package)) => {
                let end = if part == "dpkg" { package.split(':').next() } else { None };
                let rpm = || package.rsplit_once('.').map_or(package.as_str(), |(name, _)| name);
                named("package", end.unwrap_or_else(rpm))
            }
            // There is nothing to compare, so what an account that is there became is somebody's:
            // a name is not enough for another uid.
            ("accounts", _, _) if subject.kind == ChangeKind::Modified => Fit::Nothing,
            ("accounts", "passwd" | "shadow", Some(name)) => named("user", &name),
            // A new account brings its own group.
            ("accounts", "group" | "gshadow", Some(name)) => match self.values("group", &name) {
                Some(_) => Fit::Its,
                None => named("user", &name),
            },
            ("services", _, Some(_)) if is_masked(subject, after) => Fit::Nothing,
            ("services", unit, Some(key)) if ENABLING.contains(&key.as_str()) => self.of_unit(unit),
            // To enable makes a link and to disable takes it; one that leads elsewhere is a hand's.
            ("files", link, _) if is_enabling(link) && subject.kind != ChangeKind::Modified => {
                match self.of_unit(link) {
                    Fit::Nothing => self.of_file(subject, after),
                    fit @ (Fit::Its | Fit::Otherwise) => fit,
                }
            }
            _ => self.of_file(subject, after),
        }
    }

    fn of_unit(&self, unit: &str) -> Fit {
        let unit = unit.rsplit('/').next().unwrap_or(unit);
        let short = unit.strip_suffix(".service").unwrap_or(unit);
        let is = [unit, short].iter().any(|name| self.values("service", name).is_some());
        if is { Fit::Its } else { Fit::Nothing }
    }

    /// A file is the run's where it is as the run left it.
    fn of_file(&self, subject: &Subject<'_>, after: Option<&Part>) -> Fit {
        let path = subject.part.as_str();
        let [file, gone] = ["file", "gone"].map(|what| self.values(what, path));
        let Some(after) = after else {
            let is_gone = |gone: &BTreeSet<ItemValue>| gone.contains(&ItemValue::Flag(true));
            return match (gone.is_some_and(is_gone), file) {
                (true, _) => Fit::Its,
                (false, Some(_)) => Fit::Otherwise,
                (false, None) => Fit::Nothing,
            };
        };
        if mutant::active(Mutant::RunsExplainWhateverTheyName) && file.is_some() {
            return Fit::Its;
        }
        let Some(after) = after.observed() else { return Fit::Nothing };
        if let Some(key) = subject.key.filter(|key| is_of_the_file(key))
            && subject.kind != ChangeKind::Added
        {
            let what = match key.as_str() {
                "@mode" => "mode",
                "@owner" => "owner",
                "@group" => "group_of",
                _ => return Fit::Nothing,
            };
            let set = self.values(what, path);
            let is = set.zip(after.items.get(key)).map(|(set, item)| set.contains(&item.value));
            return match (is, set) {
                (Some(true), _) => Fit::Its,
                (_, Some(_)) => Fit::Otherwise,
                (_, None) => Fit::Nothing,
            };
        }
        let left = |value: &ItemValue| match (value, after.raw) {
            (ItemValue::Fingerprint(left), Some(raw)) => fingerprints(*left, raw) == Relation::Same,
            _ => false,
        };
        match file {
            Some(values) if values.iter().any(left) => Fit::Its,
            Some(_) => Fit::Otherwise,
            None => Fit::Nothing,
        }
    }

    /// A package that came or went is routine where its manager's log says that nobody decided.
    fn of_manager(&self, manager: &str, subject: &Subject<'_>) -> Fit {
        let is = subject.source.as_str() == PACKAGES && subject.part.as_str() == manager;
        let mut segments = subject.key.filter(|_| is).into_iter().flat_map(|key| key.segments());
        let (Some(package), Some(field)) = (segments.next(), segments.next()) else {
            return Fit::Nothing;
        };
        if field == "hold" {
            return Fit::Nothing;
        }
        let verb = match subject.kind {
            ChangeKind::Added => "installed",
            ChangeKind::Removed => "removed",
            ChangeKind::Modified | ChangeKind::Moved => return Fit::Nothing,
            ChangeKind::Cosmetic | ChangeKind::Recast => return Fit::Nothing,
        };
        let Some(named) = self.told_of(verb, &package) else { return Fit::Nothing };
        let automatic = verb == "installed" && self.values("automatic", named).is_some();
        let nobody = automatic || self.is_unattended();
        match nobody || mutant::active(Mutant::DecisionsAreRoutine) {
            true => Fit::Its,
            false => Fit::Nothing,
        }
    }

    /// The name under which the run tells that this was done to `package`. apt names a package for
    /// all architectures by the host's own.
    fn told_of(&self, verb: &str, package: &str) -> Option<&str> {
        let all = self.told.get(verb)?;
        if let Some((name, _)) = all.get_key_value(package) {
            return Some(name);
        }
        let start = format!("{}:", package.strip_suffix(":all")?);
        let (name, _) = all.range(start.clone()..).next()?;
        name.starts_with(&start).then_some(name)
    }

    /// Whether a program asked that works by itself: its name, or `dnf5 automatic`.
    fn is_unattended(&self) -> bool {
        let mut words = self.command.as_deref().unwrap_or_default().split_ascii_whitespace();
        let program = words.next().and_then(|word| word.rsplit('/').next()).unwrap_or_default();
        UNATTENDED.contains(&program)
            || (matches!(program, "dnf" | "dnf5") && words.next() == Some("automatic"))
    }

    /// `apt, 2026-11-28 10:05 UTC: ada by "apt install nginx"`.
    fn says(&self, tool: &str) -> String {
        let at = self.began.strftime("%Y-%m-%d %H:%M UTC");
        let command = self.command.as_ref().map(|command| match self.is_unattended() {
            true => command.rsplit('/').next().unwrap_or(command).to_owned(),
            false => format!("`{}`", shortened(command)),
        });
        let who = match (&self.asked_by, command) {
            (Some(who), Some(command)) => format!(": {who} by {command}"),
            (Some(who), None) => format!(": {who}"),
            (None, Some(command)) => format!(": {command}"),
            (None, None) => String::new(),
        };
        let word = |name: &str| self.words.get(name).map(|word| shortened(word));
        let environment = word("environment").map(|word| format!(", environment {word}"));
        let version = word("version").map(|word| format!(", version {word}"));
        let failed = if self.result == "failed" { ", which failed in part" } else { "" };
        let [environment, version] = [environment, version].map(Option::unwrap_or_default);
        format!("{tool}, {at}{environment}{version}{who}{failed}")
    }
}

/// Whether a unit may not be started any more: reports say that a unit was enabled or disabled, and
/// not which.
fn is_masked(subject: &Subject<'_>, after: Option<&Part>) -> bool {
    let items = after.and_then(Part::observed).map(|after| &after.items);
    let item = items.zip(subject.key).and_then(|(items, key)| items.get(key));
    item.and_then(|item| item.value.as_text()).is_some_and(|state| state.starts_with("masked"))
}

/// Whether a file is the link by which systemd enables a unit.
fn is_enabling(path: &str) -> bool {
    let mut names = path.rsplit('/').skip(1);
    let folder = names.next().unwrap_or_default();
    path.starts_with("/etc/systemd/system/")
        && (folder.ends_with(".wants") || folder.ends_with(".requires"))
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(COMMAND_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
