//! The syntax of sudoers(5): entries, and the policy they add up to.
//!
//! The last rule that matches wins, so rules are ranked; aliases and Defaults are not, a later
//! Defaults of the same name replaces an earlier one. A member list is a set, unless a member is
//! negated: then the last match wins inside it too and it is a list. Nothing here knows which files
//! there are: [`Entry::Include`] and [`Entry::IncludeDirectory`] are the caller's to follow, in
//! place.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems};

use super::{Format, FormatError, Malformed};

mod line;

/// The format, as the list of all formats names it.
pub const FORMAT: Format = Format {
    name: "sudoers",
    version: 2,
    ordered: "rules, includes among them, and member lists with a negated member are ordered; \
              all else is not",
    claims,
    read,
};

/// One statement, of which a line may hold several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// One more file, here.
    Include(String),
    /// The files of a directory, here.
    IncludeDirectory(String),
    /// A name for a list.
    Alias(Alias),
    /// A setting.
    Defaults(Defaults),
    /// Who may run what.
    Rule(Rule),
}

/// A name for a list of users, hosts, commands or targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// `user`, `runas`, `host` or `cmnd`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its members as they stand.
    pub members: Vec<String>,
}

/// One parameter of a Defaults line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Whom it concerns, such as `user alice`; empty for everybody.
    pub scope: String,
    /// The parameter.
    pub name: String,
    /// What happens to it.
    pub change: Change,
}

/// What a Defaults line does to a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `name` or `!name`.
    Switch(bool),
    /// `name = value`.
    Set(String),
    /// `name += value`.
    Add(String),
    /// `name -= value`.
    Remove(String),
}

/// One command that somebody may, or with `!` may not, run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The users, as a canonical list.
    pub users: String,
    /// The hosts, as a canonical list.
    pub hosts: String,
    /// Whom they may be: `(users:groups)`, `(default)` where nothing is said.
    pub runas: String,
    /// The command with its arguments.
    pub command: String,
    /// Its tags and options, inherited ones included.
    pub tags: BTreeSet<String>,
}

/// What entries add up to, in the order sudo meets them.
#[derive(Default)]
pub struct Policy {
    aliases: BTreeMap<(&'static str, String), Vec<String>>,
    defaults: BTreeMap<(String, String), Parameter>,
    rules: Vec<(Vec<String>, ItemValue)>,
}

/// One parameter after every line that concerns it.
#[derive(Default)]
struct Parameter {
    value: Option<ItemValue>,
    added: BTreeSet<ItemValue>,
    removed: BTreeSet<ItemValue>,
}

/// Parameters that are lists of words: they add up, and an order has no meaning.
const LISTS: &[&str] = &["env_check", "env_delete", "env_keep", "log_servers"];

fn claims(path: &str, _head: &[u8]) -> bool {
    path == "/etc/sudoers"
        || path
            .strip_prefix("/etc/sudoers.d/")
            .is_some_and(|name| is_included(name) && name != "README")
}

/// Whether `@includedir` takes a file of this name (sudoers(5), "Including other files").
pub fn is_included(name: &str) -> bool {
    !name.ends_with('~') && !name.contains('.') && !name.contains('/')
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let items = items(bytes)?;
    if items.len() > limits::ITEMS_PER_PART { Err(FormatError::TooLarge) } else { Ok(items) }
}

/// The items of one file, its includes named and not followed.
fn items(bytes: &[u8]) -> Result<RawItems, Malformed> {
    let mut policy = Policy::default();
    for entry in entries(bytes)? {
        policy.add(entry);
    }
    Ok(policy.items())
}

/// The entries of a file.
///
/// # Errors
/// [`Malformed`] where sudo reports a syntax error; some versions go on behind it, so nothing is
/// certain then.
pub fn entries(bytes: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed { line: 0, what: "not UTF-8" })?;
    if text.starts_with('\u{feff}') {
        return Err(Malformed { line: 1, what: "a byte order mark" });
    }
    let mut entries = Vec::new();
    let mut logical = String::new();
    for (line, number) in text.split('\n').zip(1u32..) {
        if let Some(begun) = line.strip_suffix('\\') {
            logical.push_str(begun);
            continue;
        }
        logical.push_str(line);
        line::parse(&logical, &mut entries).map_err(|what| Malformed { line: number, what })?;
        logical.clear();
    }
    if !logical.is_empty() {
        return Err(Malformed { line: 0, what: "the last line is continued" });
    }
    Ok(entries)
}

impl Policy {
    /// Adds one entry; an include that reaches this point is kept as a ranked item of its own.
    pub fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Include(path) => self.rank(["include", &path].map(str::to_owned).to_vec()),
            Entry::IncludeDirectory(path) => {
                self.rank(["includedir", &path].map(str::to_owned).to_vec());
            }
            Entry::Alias(Alias { kind, name, members }) => {
                self.aliases.entry((kind, name)).or_insert(members);
            }
            Entry::Defaults(Defaults { scope, name, change }) => {
                let is_list = LISTS.contains(&name.as_str());
                self.defaults.entry((scope, name)).or_default().apply(change, is_list);
            }
            Entry::Rule(Rule { users, hosts, runas, command, tags }) => {
                // The last segment is a word of ours, so that `/usr/bin/passwd` names no secret.
                let path = vec!["rule".into(), users, hosts, runas, command, "tags".into()];
                let tags = tags.into_iter().map(ItemValue::Text).collect();
                self.rules.push((path, ItemValue::Set(tags)));
            }
        }
    }

    /// The items: `alias/KIND/NAME/members`, `defaults/[SCOPE/]NAME`, and the ranked rules.
    pub fn items(self) -> RawItems {
        let mut items = RawItems::new();
        for ((kind, name), members) in self.aliases {
            let key = ItemKey::of(["alias", kind, &name, "members"]);
            items.insert(key, RawItem::plain(member_list(members)));
        }
        for ((scope, name), parameter) in self.defaults {
            let mut path = vec!["defaults"];
            path.extend((!scope.is_empty()).then_some(scope.as_str()));
            path.push(&name);
            parameter.items(&path, &mut items);
        }
        for ((mut path, value), rank) in self.rules.into_iter().zip(0u32..) {
            let first = ItemKey::of(&path);
            let mut key = first;
            let mut time = 1;
            while items.contains_key(&key) {
                time += 1;
                let last = path.len().saturating_sub(1);
                path.truncate(last.max(2));
                path.push(format!("tags #{time}"));
                key = ItemKey::of(&path);
            }
            items.insert(key, RawItem::plain(value).at(rank));
        }
        items
    }

    fn rank(&mut self, path: Vec<String>) {
        self.rules.push((path, ItemValue::Nothing));
    }
}

impl Parameter {
    fn apply(&mut self, change: Change, is_list: bool) {
        let words = |text: &str| -> Vec<ItemValue> {
            text.split_ascii_whitespace().map(ItemValue::text).collect()
        };
        match change {
            Change::Switch(on) => {
                *self = Self { value: Some(ItemValue::Flag(on)), ..Self::default() }
            }
            Change::Set(text) => {
                let set = || ItemValue::Set(words(&text).into_iter().collect());
                let value = if is_list { set() } else { scalar(&text) };
                *self = Self { value: Some(value), ..Self::default() };
            }
            Change::Add(text) => words(&text).into_iter().for_each(|word| {
                self.removed.remove(&word);
                self.added.insert(word);
            }),
            Change::Remove(text) => words(&text).into_iter().for_each(|word| {
                self.added.remove(&word);
                self.removed.insert(word);
            }),
        }
    }

    /// `NAME`, `NAME/+` and `NAME/-`: what is added to sudo's own list is known, that list itself
    /// is not.
    fn items(self, path: &[&str], items: &mut RawItems) {
        let Self { value, mut added, removed } = self;
        let mut set = |last: Option<&str>, value| {
            let segments = path.iter().copied().chain(last);
            items.insert(ItemKey::of(segments), RawItem::plain(value));
        };
        match value {
            Some(ItemValue::Set(mut whole)) => {
                whole.append(&mut added);
                whole.retain(|word| !removed.contains(word));
                set(None, ItemValue::Set(whole));
                return;
            }
            Some(value) => set(None, value),
            None => {}
        }
        if !added.is_empty() {
            set(Some("+"), ItemValue::Set(added));
        }
        if !removed.is_empty() {
            set(Some("-"), ItemValue::Set(removed));
        }
    }
}

/// A whole number, except where a leading zero makes it octal; else text.
fn scalar(text: &str) -> ItemValue {
    let octal = text.len() > 1 && text.starts_with('0');
    match text.parse() {
        Ok(number) if !octal => ItemValue::Integer(number),
        _ => ItemValue::text(text),
    }
}

/// Members as a set, or as a list where one is negated and the last match wins.
fn member_list(members: Vec<String>) -> ItemValue {
    if members.iter().any(|member| member.starts_with('!')) {
        return ItemValue::List(members.into_iter().map(ItemValue::Text).collect());
    }
    ItemValue::Set(members.into_iter().map(ItemValue::Text).collect())
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
