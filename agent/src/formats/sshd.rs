//! The syntax of sshd_config(5): directives, and the policy they add up to.
//!
//! As sshd reads it (OpenSSH `servconf.c`): a keyword in any case, blanks or one `=`, then words
//! with quotes; `#` at the start of a word ends the line. The first value of a keyword wins, some
//! keywords add up, and a `Match` block lasts until the next one or the end of its file. Nothing
//! here knows which files there are: [`Policy`] hands each `Include` back to its caller,
//! [`enter`](Policy::enter) and [`leave`](Policy::leave) frame an included file.
//!
//! A keyword this page does not know is kept as text, since sshd learns new ones every year.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems};

use super::lines::{HEADER_BYTES, LONG_HEADER};
use super::{Format, FormatError, Malformed};

mod values;

use values::Kind;

/// The format, as the list of all formats names it.
pub const FORMAT: Format = Format {
    name: "sshd",
    version: 1,
    ordered: "Match blocks, algorithm lists and AuthorizedKeysFile are ordered; all else is not",
    claims,
    read,
};

/// One line that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its line, counted from 1.
    pub line: u32,
    /// Its keyword in lower case, an old name replaced by today's.
    pub keyword: String,
    /// Its words, quotes removed.
    pub arguments: Vec<String>,
    /// All that follows the keyword, as it stands.
    pub rest: String,
}

/// What must hold for a block to apply: all of these, each such as `user alice,bob`.
type Criteria = BTreeSet<String>;

/// The settings of one block.
type Block = BTreeMap<Vec<String>, ItemValue>;

/// What directives add up to, in the order sshd meets them.
#[derive(Default)]
pub struct Policy {
    global: Block,
    matches: Vec<(Criteria, Block)>,
    place: Place,
    outer: Vec<(Place, usize)>,
}

/// Where the next directive belongs.
#[derive(Clone, Default)]
struct Place {
    /// `None` outside every `Match`.
    criteria: Option<Criteria>,
    /// The block that is open; a `Match` opens one with its first setting, since without one it
    /// does nothing.
    block: Option<usize>,
}

/// What a directive asks of the caller.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Done,
    /// To read the files of these patterns, here.
    Include(Vec<String>),
}

fn claims(path: &str, _head: &[u8]) -> bool {
    path == "/etc/ssh/sshd_config"
        || (path.starts_with("/etc/ssh/sshd_config.d/") && path.ends_with(".conf"))
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let items = items(bytes)?;
    if items.len() > limits::ITEMS_PER_PART { Err(FormatError::TooLarge) } else { Ok(items) }
}

/// The items of one file, its includes named and not followed.
///
/// An include's value is the set of keywords that stand before it and so win over it.
fn items(bytes: &[u8]) -> Result<RawItems, Malformed> {
    let mut policy = Policy::default();
    for directive in directives(bytes)? {
        if let Step::Include(patterns) = policy.apply(&directive)? {
            policy.note_include(patterns);
        }
    }
    Ok(policy.items())
}

/// The directives of a file.
///
/// # Errors
/// [`Malformed`] where sshd refuses to start: no argument, an open quote, a NUL byte, a
/// byte order mark. Also for text
/// that is no UTF-8, which sshd would take and nobody writes.
pub fn directives(bytes: &[u8]) -> Result<Vec<Directive>, Malformed> {
    let mut directives = Vec::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1u32..) {
        let malformed = |what| Malformed { line: number, what };
        if line.contains(&0) || line.starts_with(b"\xef\xbb\xbf") {
            return Err(malformed("a NUL byte or a byte order mark"));
        }
        let line = std::str::from_utf8(line).map_err(|_| malformed("not UTF-8"))?;
        let line = line.trim_matches([' ', '\t', '\r', '\x0c']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (keyword, rest) = keyword(line).ok_or_else(|| malformed("no argument"))?;
        let arguments = words(rest).ok_or_else(|| malformed("invalid quotes"))?;
        let keyword = values::current_name(&keyword.to_ascii_lowercase()).to_owned();
        if arguments.is_empty() {
            return Err(malformed("no argument"));
        }
        directives.push(Directive { line: number, keyword, arguments, rest: rest.to_owned() });
    }
    Ok(directives)
}

/// The keyword and what follows it: split at blanks, at most one `=` among them.
fn keyword(line: &str) -> Option<(&str, &str)> {
    let (keyword, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => line.split_at(line.find([' ', '\t', '='])?),
    };
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    (!keyword.is_empty() && !rest.is_empty()).then_some((keyword, rest))
}

/// Words as OpenSSH's `argv_split` makes them; `None` for an open quote.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        while characters.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match characters.peek() {
            None | Some('#') => return Some(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = characters.next() {
            match c {
                '\\' => {
                    let escaped =
                        |c: &char| matches!(c, '\'' | '"' | '\\') || (quote.is_none() && *c == ' ');
                    word.push(characters.next_if(escaped).unwrap_or('\\'));
                }
                ' ' | '\t' if quote.is_none() => break,
                '"' | '\'' if quote.is_none() => quote = Some(c),
                c if quote == Some(c) => quote = None,
                c => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

impl Policy {
    /// Adds one directive.
    ///
    /// # Errors
    /// [`Malformed`] for a `Match` without sense.
    pub fn apply(&mut self, directive: &Directive) -> Result<Step, Malformed> {
        match directive.keyword.as_str() {
            "include" => return Ok(Step::Include(directive.arguments.clone())),
            "match" => {
                let mut criteria = criteria(directive)?;
                let enclosing = self.outer.last().and_then(|(place, _)| place.criteria.as_ref());
                criteria.extend(enclosing.into_iter().flatten().cloned());
                self.place = Place { criteria: Some(criteria), block: None };
            }
            // Only the first SetEnv line counts, whatever the later ones name.
            "setenv" if self.has("setenv") => {}
            _ => values::add(directive, |path, value, kind| self.set(path, value, kind)),
        }
        Ok(Step::Done)
    }

    /// Begins an included file: its `Match` blocks end with it and hold only where the place of the
    /// include does.
    pub fn enter(&mut self) {
        self.outer.push((self.place.clone(), self.matches.len()));
    }

    /// Ends an included file.
    pub fn leave(&mut self) {
        let Some((place, matches)) = self.outer.pop() else { return };
        self.place = place;
        if self.matches.len() > matches {
            // What follows comes after the blocks of the included file, so it must not join a block
            // before them.
            self.place.block = None;
        }
    }

    /// The settings by block: `global/…`, and `match CRITERIA/…` ranked in the order in which they
    /// win.
    pub fn items(self) -> RawItems {
        let mut items = RawItems::new();
        add_block(&mut items, "global", self.global);
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for ((criteria, block), rank) in self.matches.into_iter().zip(0u32..) {
            let criteria: Vec<String> = criteria.into_iter().collect();
            let criteria = if criteria.is_empty() { "all".into() } else { criteria.join(" ") };
            let time = times.entry(criteria.clone()).and_modify(|time| *time += 1).or_insert(1);
            let name = match time {
                1 => format!("match {criteria}"),
                time => format!("match {criteria} #{time}"),
            };
            items.insert(ItemKey::of([&name]), RawItem::plain(ItemValue::Nothing).at(rank));
            add_block(&mut items, &name, block);
        }
        items
    }

    fn note_include(&mut self, patterns: Vec<String>) {
        let before = self.block().into_iter().flat_map(Block::keys).filter_map(|path| path.first());
        let before = before.filter(|keyword| *keyword != "include").cloned().map(ItemValue::Text);
        let before = ItemValue::Set(before.collect());
        for pattern in patterns {
            self.set(vec!["include".into(), pattern], before.clone(), Kind::First);
        }
    }

    fn has(&self, keyword: &str) -> bool {
        let mut paths = self.block().into_iter().flat_map(Block::keys);
        paths.any(|path| path.first().is_some_and(|first| first == keyword))
    }

    fn block(&self) -> Option<&Block> {
        match (&self.place.criteria, self.place.block) {
            (None, _) => Some(&self.global),
            (Some(_), Some(index)) => self.matches.get(index).map(|(_, block)| block),
            (Some(_), None) => None,
        }
    }

    fn block_mut(&mut self) -> &mut Block {
        let Some(criteria) = &self.place.criteria else { return &mut self.global };
        let index = *self.place.block.get_or_insert_with(|| {
            self.matches.push((criteria.clone(), Block::new()));
            self.matches.len() - 1
        });
        &mut self.matches.get_mut(index).expect("an open block is in the list").1
    }

    fn set(&mut self, path: Vec<String>, value: ItemValue, kind: Kind) {
        let block = self.block_mut();
        match (kind, block.get_mut(&path), value) {
            (_, None, value) => {
                block.insert(path, value);
            }
            (Kind::Added, Some(ItemValue::Set(old)), ItemValue::Set(new)) => old.extend(new),
            (Kind::First, Some(kept), value) if mutant::active(Mutant::LastSettingCounts) => {
                *kept = value;
            }
            (Kind::First | Kind::Added, Some(_), _) => {}
        }
    }
}

fn add_block(items: &mut RawItems, name: &str, block: Block) {
    for (path, value) in block {
        let segments = std::iter::once(name).chain(path.iter().map(String::as_str));
        items.insert(ItemKey::of(segments), RawItem::plain(value));
    }
}

/// The criteria of a `Match` line: names in lower case, patterns sorted, since their order means
/// nothing.
fn criteria(directive: &Directive) -> Result<Criteria, Malformed> {
    let malformed = |what| Malformed { line: directive.line, what };
    let mut criteria = Criteria::new();
    let mut words = directive.arguments.iter().flat_map(|word| word.splitn(2, '='));
    while let Some(name) = words.next() {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "all" if directive.arguments.len() == 1 => {}
            "all" => return Err(malformed("all stands beside other criteria")),
            "invalid-user" | "final" | "canonical" => {
                criteria.insert(name);
            }
            _ => {
                let patterns = words.next().ok_or_else(|| malformed("a criterion has no value"))?;
                let patterns: BTreeSet<&str> = patterns.split(',').collect();
                let patterns: Vec<&str> = patterns.into_iter().collect();
                criteria.insert(format!("{name} {}", patterns.join(",")));
            }
        }
    }
    if criteria.iter().map(String::len).sum::<usize>() > HEADER_BYTES {
        return Err(malformed(LONG_HEADER));
    }
    Ok(criteria)
}

#[cfg(test)]
mod tests;
