//! Shell assignments: `/etc/default/*`, `os-release`, `locale.conf` and what else is sourced or
//! read as such.
//!
//! Quoting as in the shell, values over several lines included. A value with `$`, a backtick or a
//! backslash keeps its quotes: what they mean depends on them. Lines that assign nothing (an `if`,
//! a `ulimit`) are kept under `command lines` together with the places of the assignments between
//! them; in such a file a repeated key keeps all its values, since which of them counts is decided
//! at run time.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;

use super::super::build::Builder;
use super::super::lines::{BLANKS, decode, is_in, scalar, without_comment};
use super::super::{Format, FormatError};

/// Assignments, `KEY=value`; see sh(1), os-release(5) and environment.d(5).
pub static ASSIGNMENTS: Format = Format {
    name: "key_value",
    version: 1,
    ordered: "nothing in a file of assignments: the last of a key wins; `command lines`, and the \
              values of a \
              key repeated beside them, keep their order",
    claims,
    read,
};

const PATHS: &[&str] = &[
    "/etc/adduser.conf",
    "/etc/deluser.conf",
    "/etc/environment",
    "/etc/initramfs-tools/initramfs.conf",
    "/etc/initramfs-tools/update-initramfs.conf",
    "/etc/locale.conf",
    "/etc/lsb-release",
    "/etc/machine-info",
    "/etc/os-release",
    "/etc/selinux/config",
    "/etc/ufw/ufw.conf",
    "/etc/vconsole.conf",
    "/usr/lib/os-release",
];

/// Directories with the ending of the files in them that are assignments.
const DIRECTORIES: &[(&str, &str)] = &[
    ("/etc/default", ""),
    ("/etc/default/grub.d", ".cfg"),
    ("/etc/environment.d", ".conf"),
    ("/etc/sysconfig", ""),
    ("/etc/sysconfig/network-scripts", ""),
];

const COMMAND_LINES: &str = "command lines";

fn claims(path: &str, _head: &[u8]) -> bool {
    PATHS.contains(&path)
        || path.ends_with(".env")
        || DIRECTORIES.iter().any(|(directory, suffix)| is_in(path, directory, suffix))
}

/// One assignment or one line of something else.
enum Statement<'a> {
    Assignment { key: &'a str, value: &'a str, appends: bool },
    Command(&'a str),
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let statements = statements(&text)?;
    let commands = command_lines(&statements);
    let cumulative = cumulative(&statements);
    let mut items = Builder::default();
    for statement in &statements {
        let Statement::Assignment { key, value, .. } = statement else { continue };
        let (name, value) = (ItemKey::of([key]), scalar(&without_quotes(value)));
        if commands.is_some() || cumulative.contains(key) {
            items.add(name, value)?;
        } else {
            items.set(name, value)?;
        }
    }
    if let Some(lines) = commands {
        items.set(ItemKey::of([COMMAND_LINES]), ItemValue::Lines(lines))?;
    }
    Ok(items.finish())
}

fn statements(text: &str) -> Result<Vec<Statement<'_>>, FormatError> {
    let mut statements = Vec::new();
    let mut rest = text;
    let mut number = 1;
    while !rest.is_empty() {
        if statements.len() > limits::ITEMS_PER_PART {
            return Err(FormatError::TooLarge);
        }
        let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        let lead = line.trim_start_matches(BLANKS);
        let mut consumed = end;
        match assignment(lead) {
            _ if lead.trim_end().is_empty() || lead.starts_with('#') => {}
            Some((key, appends, offset)) => {
                let start = line.len() - lead.len() + offset;
                let value = rest.get(start..).unwrap_or_default();
                let Some((length, end)) = value_end(value) else {
                    return Err(FormatError::malformed(number, "a quote is not closed"));
                };
                let value = value.get(..length).unwrap_or_default().trim_matches(BLANKS);
                statements.push(Statement::Assignment { key, value, appends });
                consumed = start + end;
            }
            None => statements.push(Statement::Command(without_comment(lead.trim_end(), '#'))),
        }
        number += rest.get(..consumed).map_or(0, newlines);
        rest = rest.get(consumed..).unwrap_or(after);
    }
    Ok(statements)
}

fn newlines(text: &str) -> u32 {
    u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX)
}

/// The key of a line that assigns, whether it appends, and where the value begins.
fn assignment(line: &str) -> Option<(&str, bool, usize)> {
    let named =
        line.strip_prefix("export ").map_or(line, |exported| exported.trim_start_matches(BLANKS));
    let (left, value) = named.split_once('=')?;
    if value.starts_with('=') {
        return None;
    }
    let (key, appends) = match left.strip_suffix('+') {
        Some(key) => (key, true),
        None => (left, false),
    };
    let key = key.trim_end_matches(BLANKS);
    let first = key.chars().next()?;
    let valid = (first.is_alphabetic() || first == '_')
        && key.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c));
    valid.then_some((key, appends, line.len() - value.len()))
}

/// Where the value at the start of `text` ends, and where its line ends; `None` inside an open
/// quote.
fn value_end(text: &str) -> Option<(usize, usize)> {
    let mut quote = None;
    let mut before = ' ';
    let mut comment = None;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match (quote, c) {
            (None, '\n') => return Some((comment.unwrap_or(at), at + 1)),
            (None, _) if comment.is_some() => {}
            (None, '#') if BLANKS.contains(&before) => comment = Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (None | Some('"'), '\\') => {
                characters.next();
            }
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        before = c;
    }
    quote.is_none().then_some((comment.unwrap_or(text.len()), text.len()))
}

/// The value as the shell sees it, or as it stands where expansion or escapes make the quotes
/// matter.
fn without_quotes(value: &str) -> String {
    if value.contains(['$', '`', '\\']) {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len());
    let mut quote = None;
    for c in value.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            _ => text.push(c),
        }
    }
    text
}

/// Keys whose values build on each other, so that the last alone does not say all.
fn cumulative<'a>(statements: &[Statement<'a>]) -> BTreeSet<&'a str> {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let mut cumulative = BTreeSet::new();
    for statement in statements {
        let Statement::Assignment { key, value, appends } = statement else { continue };
        let count = seen.entry(key).or_default();
        *count += 1;
        if *appends || (*count > 1 && value.contains(['$', '`'])) {
            cumulative.insert(*key);
        }
    }
    cumulative
}

/// The lines that are no assignments, with the places of those between them; `None` without any.
fn command_lines(statements: &[Statement<'_>]) -> Option<Vec<String>> {
    let line = |statement: &Statement<'_>| match statement {
        Statement::Assignment { key, .. } => format!("{key}=…"),
        Statement::Command(line) => (*line).to_owned(),
    };
    let any = statements.iter().any(|statement| matches!(statement, Statement::Command(_)));
    any.then(|| statements.iter().map(line).collect())
}
