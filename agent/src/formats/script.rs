//! Files that are programs or lists of lines: comments and layout go, the rest is kept by line.
//!
//! AEL, Asterisk's other dial plan, is cut into its top-level blocks and each into statements, so
//! that a change names its context. Lua and ADSI scripts and the settings of Asterisk's own tools
//! are kept as lines: to read more into a program than its lines takes an interpreter.

use std::borrow::Cow;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems};

use super::asterisk::{addressed, begins_like_a_document};
use super::build::Builder;
use super::lines::{BLANKS, decode, without_comment};
use super::{Format, FormatError};

/// Asterisk's extension language.
pub static AEL: Format = Format {
    name: "asterisk_ael",
    version: 1,
    ordered: "the statements of a block keep their order; blocks have none",
    claims: |path, _| is_a(path, ".ael"),
    read: read_ael,
};

/// Lua.
pub static LUA: Format = Format {
    name: "lua",
    version: 1,
    ordered: "`lines` keeps its order",
    claims: |path, _| is_a(path, ".lua"),
    read: |bytes| lines_of(&lua_without_comments(&decode(bytes))),
};

/// Scripts for the screens of ADSI telephones.
pub static ADSI: Format = Format {
    name: "adsi",
    version: 1,
    ordered: "`lines` keeps its order",
    claims: |path, _| is_a(path, ".adsi"),
    read: |bytes| stripped(&decode(bytes), ';'),
};

/// Settings of Asterisk's tools, which a shell or Perl reads: comments with `#`.
pub static TOOLS: Format = Format {
    name: "asterisk_tools",
    version: 1,
    ordered: "`lines` keeps its order",
    claims: |path, head| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let name = name.strip_suffix(".sample").unwrap_or(name);
        let head = decode(head);
        let first = head.lines().map(|line| line.trim_matches(BLANKS)).find(|l| !l.is_empty());
        let hash =
            first.is_some_and(|line| line.starts_with('#')) && !begins_like_a_document(&head, true);
        TOOL_FILES.contains(&name) || (hash && path.contains("/asterisk/") && is_a(path, ".conf"))
    },
    read: |bytes| stripped(&decode(bytes), '#'),
};

/// Names of such files, wherever they stand.
const TOOL_FILES: &[&str] =
    &["ast_debug_tools.conf", "dbsep.conf", "muted.conf", "safe_asterisk.conf"];

fn is_a(path: &str, ending: &str) -> bool {
    path.strip_suffix(".sample").unwrap_or(path).ends_with(ending)
}

fn stripped(text: &str, mark: char) -> Result<RawItems, FormatError> {
    let lines = text.lines().map(|line| without_comment(line.trim_matches(BLANKS), mark));
    kept(lines.map(|line| spaced(line).into_owned()))
}

fn lines_of(text: &str) -> Result<RawItems, FormatError> {
    kept(text.lines().map(|line| spaced(line.trim_matches(BLANKS)).into_owned()))
}

/// The item of a file kept by its lines.
///
/// # Errors
/// [`FormatError::TooLarge`] when there are too many.
pub(super) fn kept(lines: impl Iterator<Item = String>) -> Result<RawItems, FormatError> {
    let lines = lines.filter(|line| !line.is_empty()).take(limits::VALUES_PER_ITEM + 1);
    let lines: Vec<String> = lines.map(|line| addressed(&line).into_owned()).collect();
    if lines.len() > limits::VALUES_PER_ITEM {
        return Err(FormatError::TooLarge);
    }
    Ok([(ItemKey::of(["lines"]), RawItem::plain(ItemValue::Lines(lines)))].into())
}

/// `line` with one space for each run of blanks outside quotes.
pub(super) fn spaced(line: &str) -> Cow<'_, str> {
    if !line.contains("  ") && !line.contains(['\t', '\r', '\x0b', '\x0c']) {
        return Cow::Borrowed(line);
    }
    let mut text = String::with_capacity(line.len());
    let mut quotes = Quotes::default();
    for c in line.chars() {
        if quotes.pass(c) || !BLANKS.contains(&c) {
            text.push(c);
        } else if !text.ends_with(' ') {
            text.push(' ');
        }
    }
    Cow::Owned(text)
}

/// Whether a character stands between double or single quotes.
#[derive(Default)]
struct Quotes {
    open: Option<char>,
    escaped: bool,
}

impl Quotes {
    /// Passes `c`; says whether it is quoted or a quote.
    fn pass(&mut self, c: char) -> bool {
        let quoted = self.open.is_some();
        match self.open {
            Some(_) if self.escaped => self.escaped = false,
            Some(_) if c == '\\' => self.escaped = true,
            Some(open) if c == open => self.open = None,
            None if c == '"' || c == '\'' => self.open = Some(c),
            Some(_) | None => {}
        }
        quoted || self.open.is_some()
    }
}

/// Lua text without `--` and `--[[ ]]`; line ends inside a comment stay, so that lines stay lines.
fn lua_without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let comment = rest.strip_prefix("--");
        let taken = match (comment, long_bracket(comment.unwrap_or(rest))) {
            (Some(_), Some(length)) => {
                let length = length + 2;
                let lines = rest.get(..length).unwrap_or(rest).matches('\n').count();
                kept.extend(std::iter::repeat_n('\n', lines));
                length
            }
            (Some(_), None) => rest.find('\n').unwrap_or(rest.len()),
            (None, Some(length)) => {
                kept.push_str(rest.get(..length).unwrap_or(rest));
                length
            }
            (None, None) => {
                let length = if c == '"' || c == '\'' { string(rest) } else { c.len_utf8() };
                kept.push_str(rest.get(..length).unwrap_or(rest));
                length
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    kept
}

/// How many bytes the `[[ ]]` or `[==[ ]==]` at the beginning of `text` takes.
fn long_bracket(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let level = inner.len() - inner.trim_start_matches('=').len();
    let start = level + 2;
    inner.get(level..)?.strip_prefix('[')?;
    let close = format!("]{}]", "=".repeat(level));
    let end = text.get(start..)?.find(&close).map(|at| start + at + close.len());
    Some(end.unwrap_or(text.len()))
}

/// How many bytes the quoted string at the beginning of `text` takes; it ends with its line.
fn string(text: &str) -> usize {
    let mut quotes = Quotes::default();
    for (at, c) in text.char_indices() {
        let quoted = quotes.pass(c);
        if c == '\n' || !quoted {
            return at.max(1);
        }
        if quotes.open.is_none() {
            return at + c.len_utf8();
        }
    }
    text.len()
}

fn read_ael(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = ael_without_comments(&decode(bytes));
    let mut blocks = Blocks::default();
    let mut quotes = Quotes::default();
    let mut expression = 0usize;
    for c in text.chars() {
        let dollar = blocks.statement.ends_with('$');
        if quotes.pass(c) {
            blocks.statement.push(c);
            continue;
        }
        match c {
            // `${NAME}` belongs to the statement, however deep.
            '{' if dollar || expression > 0 => {
                expression += 1;
                blocks.statement.push(c);
            }
            '}' if expression > 0 => {
                expression -= 1;
                blocks.statement.push(c);
            }
            '{' => blocks.open()?,
            '}' => blocks.close()?,
            ';' => blocks.end()?,
            '\n' if blocks.depth == 0 && blocks.statement.starts_with('#') => blocks.end()?,
            c if c.is_whitespace() => blocks.blank(),
            c => blocks.statement.push(c),
        }
    }
    blocks.end()?;
    blocks.finish()
}

/// AEL's top-level blocks in the making.
#[derive(Default)]
struct Blocks {
    items: Builder,
    depth: usize,
    header: String,
    lines: Vec<String>,
    statement: String,
}

impl Blocks {
    fn blank(&mut self) {
        if !self.statement.is_empty() && !self.statement.ends_with(' ') {
            self.statement.push(' ');
        }
    }

    fn take(&mut self) -> String {
        std::mem::take(&mut self.statement).trim_end().to_owned()
    }

    fn line(&mut self, line: String) -> Result<(), FormatError> {
        if self.lines.len() >= limits::VALUES_PER_ITEM {
            return Err(FormatError::TooLarge);
        }
        self.lines.push(addressed(&line).into_owned());
        Ok(())
    }

    fn open(&mut self) -> Result<(), FormatError> {
        let statement = self.take();
        self.depth += 1;
        if self.depth == 1 {
            self.header = statement;
            return Ok(());
        }
        self.line(format!("{statement} {{"))
    }

    fn close(&mut self) -> Result<(), FormatError> {
        self.end()?;
        match self.depth {
            0 => Ok(()),
            1 => {
                self.depth = 0;
                self.flush()
            }
            _ => {
                self.depth -= 1;
                self.line("}".to_owned())
            }
        }
    }

    fn end(&mut self) -> Result<(), FormatError> {
        let statement = self.take();
        if statement.is_empty() {
            return Ok(());
        }
        if self.depth == 0 {
            return self.items.set_each(&[&statement], ItemValue::Nothing);
        }
        self.line(statement)
    }

    fn flush(&mut self) -> Result<(), FormatError> {
        let header = std::mem::take(&mut self.header);
        let lines = std::mem::take(&mut self.lines);
        self.items.set_each(&[&header], ItemValue::Lines(lines))
    }

    fn finish(mut self) -> Result<RawItems, FormatError> {
        if self.depth > 0 {
            self.flush()?;
        }
        Ok(self.items.finish())
    }
}

/// AEL text without `//` and `/* */`; a `//` behind a colon is part of an address.
fn ael_without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut quotes = Quotes::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let quoted = quotes.open.is_some();
        let taken = if !quoted && rest.starts_with("//") && !kept.ends_with(':') {
            rest.find('\n').unwrap_or(rest.len())
        } else if !quoted && rest.starts_with("/*") {
            kept.push(' ');
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else {
            // An apostrophe is a letter in AEL; a string ends with its line at the latest.
            if c == '"' || quoted {
                quotes.pass(c);
            }
            if c == '\n' {
                quotes = Quotes::default();
            }
            kept.push(c);
            c.len_utf8()
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    kept
}
