//! Values below the line of their name, as YAML writes scalars and lists:
//!
//! ```yaml
//! passwords:
//!   - one
//!   - two
//! ```
//!
//! A line is looked at once, when it begins. What is a mapping has names of its own and is left to
//! them, but for collections of secrets (`secrets:`), whose members have names of any kind.

use super::super::super::key_names::{is_collection, is_harmless, is_setting, word_names_secret};
use super::super::values::{is_blank, tail};
use super::super::words::is_sentence;
use super::Scanner;

/// What the lines below a name are.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// How far the name stands from the margin.
    indent: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The value of a secret: one scalar or a list of them.
    Secret,
    /// A collection: members are secrets whatever their names.
    Collection,
    /// What follows an option of a list of arguments: the next member only.
    Argument,
}

/// What begins the lines of a block beside blanks: comment marks, where it is commented out.
const MARGIN: [char; 3] = [' ', '\t', '#'];

/// How far `line` stands from the margin.
pub(in super::super) fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(MARGIN).len()
}

/// Names of members of a collection that say which secret is meant, not what it is.
const REFERENCES: &[&str] = &["external", "id", "name", "source", "target"];

impl Scanner<'_> {
    /// Notes that the value of `name`, which is the first of its line, stands below it.
    pub(super) fn open_block(&mut self, name: &str) {
        let line = self.place.line_tail(self.place.line_start);
        let bare = line.trim_start_matches(MARGIN);
        let key = bare.trim_start_matches("- ").trim_start_matches(['"', '\'', '?', ' ']);
        if !key.starts_with(name) {
            return;
        }
        let kind = if is_collection(name) {
            Kind::Collection
        } else if word_names_secret(name) {
            Kind::Secret
        } else {
            return;
        };
        self.block = Some(Block { indent: line.len() - bare.len(), kind });
    }

    /// `- --password`: the next member of the list is its value.
    pub(super) fn open_argument(&mut self) {
        let line = self.place.line_tail(self.place.line_start);
        let bare = line.trim_start_matches(MARGIN);
        let Some(option) = bare.strip_prefix("- ") else { return };
        let option = option.trim_matches(['"', '\'', ' ', '\t', '\r']);
        if option.starts_with("--") && word_names_secret(option.trim_start_matches('-')) {
            let indent = line.len() - bare.len();
            self.block = Some(Block { indent, kind: Kind::Argument });
        }
    }

    /// Looks at the line that begins, where a block is open.
    pub(super) fn block_line(&mut self) {
        let Some(block) = self.block else { return };
        let line = self.place.line_tail(self.place.line_start);
        let bare = line.trim_start_matches(MARGIN);
        if bare.trim().is_empty() {
            return;
        }
        let indent = line.len() - bare.len();
        let member = bare.strip_prefix("- ").or_else(|| bare.strip_prefix(": "));
        let inside = indent > block.indent || (indent == block.indent && member.is_some());
        if !inside {
            self.block = None;
            return;
        }
        let start = self.place.line_end - member.unwrap_or(bare).len();
        match (block.kind, pair(tail_of(self.text, start, self.place.line_end))) {
            (Kind::Secret | Kind::Argument, Some(_)) => self.block = None,
            (Kind::Collection, Some((name, value))) => {
                let name = name.trim_start_matches("- ").trim_matches(['"', '\'']);
                let known = REFERENCES.contains(&name) || is_setting(name);
                let start = self.place.line_end - value.len();
                if !known && !value.is_empty() {
                    self.hide_scalar(start);
                }
            }
            (Kind::Secret | Kind::Collection | Kind::Argument, None) => {
                self.hide_scalar(start);
                if block.kind == Kind::Argument {
                    self.block = None;
                }
            }
        }
    }

    /// Hides the scalar that stands at `start`, to the end of its line.
    fn hide_scalar(&mut self, start: usize) {
        let line = tail_of(self.text, start, self.place.line_end);
        let blanks = line.len() - line.trim_start_matches(is_blank).len();
        let scalar = line.trim_matches(is_blank).trim_end_matches(',');
        let quoted = ['"', '\''].into_iter().find_map(|quote| {
            scalar.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote))
        });
        let start = start + blanks + usize::from(quoted.is_some());
        let scalar = quoted.unwrap_or(scalar);
        // `list: |` has its value below.
        let below = matches!(scalar.trim_end_matches(['-', '+']), "|" | ">");
        if !below && !is_harmless("", scalar) && !is_sentence(scalar) {
            self.hide(start..start + scalar.len());
        }
    }
}

/// The text from `start` to the end of its line.
fn tail_of(text: &str, start: usize, line_end: usize) -> &str {
    text.get(start..line_end).unwrap_or_else(|| tail(text, line_end))
}

/// Name and value of a line that is a mapping's; a quoted scalar is none.
fn pair(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start_matches(is_blank);
    let name = line.find(|c: char| !super::in_name(c) && !matches!(c, '"' | '\''))?;
    let (name, rest) = line.split_at_checked(name)?;
    let value = rest.strip_prefix([':', '='])?;
    let blank = rest.starts_with('=') || value.is_empty() || value.starts_with(is_blank);
    (blank && !name.is_empty()).then(|| (name, value.trim_start_matches(is_blank)))
}
