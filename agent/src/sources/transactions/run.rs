//! One run of a tool, and the items that tell of it.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems};
use jiff::{SignedDuration, Timestamp};

use super::known::{Effect, Known};
use crate::machine::Machine;
use crate::sources::files::scope::Scope;

/// The most runs that are told of one tool, the newest ones.
const RUNS_MOST: usize = 20;

/// How long before the newest run an older one may have begun to be told.
const RUNS_WITHIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The most packages that are told of one run; the upgrade of a distribution has 2,500.
const PACKAGES_MOST: usize = 500;

/// The most effects that are told of one run; each file is read to be compared.
const EFFECTS_MOST: usize = 1_000;

/// The most packages and effects that are told of one tool, so that a part keeps its bounds.
const TOLD_MOST: usize = 6_000;

/// The longest command line that is told, in bytes. A longer one is left out as a whole: what is
/// cut may end within a secret that is only known by what follows it.
const COMMAND_BYTES: usize = 4 * 1024;

/// How a run ended, as far as its tool wrote it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was done.
    Success,
    /// Some of it was not.
    Failed,
    /// The tool wrote no end: it is at work, or was killed.
    Unfinished,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Unfinished => "unfinished",
        }
    }
}

/// What was done to a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It was not there before.
    Installed,
    /// A newer version took the place of an older.
    Upgraded,
    /// An older version took the place of a newer.
    Downgraded,
    /// The same version again.
    Reinstalled,
    /// It is not there any more.
    Removed,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Upgraded => "upgraded",
            Self::Downgraded => "downgraded",
            Self::Reinstalled => "reinstalled",
            Self::Removed => "removed",
        }
    }
}

/// A package that a run says it worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// What was done.
    pub verb: Verb,
    /// The name as the source `packages` has it: `name:arch` of dpkg, `name.arch` of rpm.
    pub name: String,
    /// The version it has since, or had.
    pub version: String,
    /// Whether nobody named it: another package needed it.
    pub automatic: bool,
}

/// One run of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Names it among the runs of its tool.
    pub id: String,
    /// When it began.
    pub began: Timestamp,
    /// When it ended, where the tool wrote it.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whose account asked for it, where the tool knows.
    pub asked_by: Option<String>,
    /// The command line.
    pub command: Option<String>,
    /// Other words of the tool's own: name and text.
    pub words: Vec<(&'static str, String)>,
    /// The packages it worked on.
    pub packages: Vec<Package>,
    /// What else it changed.
    pub effects: Vec<Effect>,
    /// How many more packages and effects its reader left out.
    pub left_out: usize,
}

impl Run {
    /// A run that began at `began`, of which nothing else is known yet.
    pub fn new(id: String, began: Timestamp) -> Self {
        Self {
            id,
            began,
            ended: None,
            outcome: Outcome::Unfinished,
            asked_by: None,
            command: None,
            words: Vec::new(),
            packages: Vec::new(),
            effects: Vec::new(),
            left_out: 0,
        }
    }

    fn changed_nothing(&self) -> bool {
        self.packages.is_empty() && self.effects.is_empty() && self.left_out == 0
    }
}

/// What one tool wrote down.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Its runs, in any order.
    pub(super) runs: Vec<Run>,
    /// How many more there were that could not be understood.
    pub(super) unread: u64,
}

impl Told {
    /// The newest runs that changed something, as items; files are compared with what `machine` has
    /// now, but for those that are `secret`.
    pub(super) fn items(mut self, machine: &Machine, secret: &Scope) -> RawItems {
        let mut items = RawItems::new();
        self.runs.retain(|run| !run.changed_nothing());
        self.runs.sort_by(|a, b| (b.began, &b.id).cmp(&(a.began, &a.id)));
        let newest = self.runs.first().map(|run| run.began);
        let recent =
            |run: &&Run| newest.is_some_and(|n| n.duration_since(run.began) <= RUNS_WITHIN);
        let known = Known::new(machine, secret);
        let mut room = TOLD_MOST;
        for run in self.runs.iter().filter(recent).take(RUNS_MOST) {
            run.say(&known, &mut room, &mut items);
        }
        if self.unread > 0 {
            let unread = ItemValue::Integer(i64::try_from(self.unread).unwrap_or(i64::MAX));
            items.insert(ItemKey::momentary(["unread"]), RawItem::plain(unread));
        }
        items
    }
}

impl Run {
    fn say(&self, known: &Known<'_>, room: &mut usize, items: &mut RawItems) {
        let mut say = |names: &[&str], value| {
            let key = ["run", &self.id].into_iter().chain(names.iter().copied());
            items.insert(ItemKey::momentary(key), RawItem::plain(value));
        };
        say(&["began"], ItemValue::text(self.began.to_string()));
        say(&["result"], ItemValue::text(self.outcome.as_str()));
        if let Some(ended) = self.ended {
            say(&["ended"], ItemValue::text(ended.to_string()));
        }
        if let Some(who) = &self.asked_by {
            say(&["asked_by"], ItemValue::text(who.as_str()));
        }
        if let Some(command) = self.command.as_ref().filter(|c| c.len() <= COMMAND_BYTES) {
            match mutant::active(Mutant::CommandsAreKeys) {
                true => say(&["command", command], ItemValue::Flag(true)),
                false => say(&["command"], ItemValue::text(command.as_str())),
            }
        }
        for (name, word) in self.words.iter().filter(|(_, word)| word.len() <= COMMAND_BYTES) {
            say(&[name], ItemValue::text(word.as_str()));
        }
        let packages = PACKAGES_MOST.min(*room);
        for package in self.packages.iter().take(packages) {
            say(&[package.verb.as_str(), &package.name], ItemValue::text(package.version.as_str()));
            if package.automatic {
                say(&["automatic", &package.name], ItemValue::Flag(true));
            }
        }
        *room -= self.packages.len().min(packages);
        let effects = EFFECTS_MOST.min(*room);
        for effect in self.effects.iter().take(effects) {
            if let Some(value) = known.is_so(effect) {
                let [what, name] = effect.names();
                say(&[what, name], value);
            }
        }
        *room -= self.effects.len().min(effects);
        let left = self.packages.len().saturating_sub(packages)
            + self.effects.len().saturating_sub(effects)
            + self.left_out;
        if left > 0 {
            say(&["left_out"], ItemValue::Integer(i64::try_from(left).unwrap_or(i64::MAX)));
        }
    }
}
