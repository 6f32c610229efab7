//! What the preprocessor of FreeSWITCH does with the lines of an XML comment.
//!
//! It reads lines, not XML: in each it looks for the first `X-PRE-PROCESS`, in any case, and obeys
//! it when `<` stands before it, be it inside a comment. Only a comment that begins with `<!--#` is
//! skipped to its end; on one line, `<!--#include "…"-->` and `<!--#set "…"-->` are an old form of
//! the same commands.

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command<'a> {
    /// `include`, `set`, `exec`, `exec-set`, `env-set`, `stun-set`.
    pub(super) name: &'a str,
    /// What it is done with.
    pub(super) data: &'a str,
}

const MARK: &str = "x-pre-process";

impl<'a> Command<'a> {
    /// The variable or file it is about, and the value the variable is given.
    pub(super) fn split(self) -> (Option<&'a str>, Option<&'a str>) {
        let Self { name, data } = self;
        match data.split_once('=') {
            _ if name.eq_ignore_ascii_case("exec") => (None, Some(data)),
            Some((variable, value)) if !name.eq_ignore_ascii_case("include") => {
                (Some(variable), Some(value))
            }
            _ => (Some(data), None),
        }
    }
}

/// The commands in force inside the comment of this text.
pub(super) fn commands(comment: &str) -> Vec<Command<'_>> {
    match comment.strip_prefix('#') {
        Some(old) if !old.contains('\n') => old_form(old).into_iter().collect(),
        Some(_) => Vec::new(),
        None => comment.lines().filter_map(line).collect(),
    }
}

fn old_form(text: &str) -> Option<Command<'_>> {
    let (name, rest) = text.split_once([' ', '\t'])?;
    let data = quoted(rest).map_or(rest.trim(), |(data, _)| data);
    matches!(name, "include" | "set" | "exec").then_some(Command { name, data })
}

fn line(line: &str) -> Option<Command<'_>> {
    let at = line.to_ascii_lowercase().find(MARK)?;
    line.get(..at)?.strip_suffix('<')?;
    let (name, rest) = quoted(after(line.get(at..)?, "cmd")?)?;
    let (data, _) = quoted(after(rest, "data")?)?;
    Some(Command { name, data })
}

fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let at = text.to_ascii_lowercase().find(word)?;
    text.get(at..)?.split_once('=').map(|(_, rest)| rest)
}

/// The next text in quotes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    text.split_once('"')?.1.split_once('"')
}
