//! Lua cut into tokens, without its comments; see <https://www.lua.org/manual/5.4/manual.html#3.1>.

use driftline_protocol::item::ItemValue;

use super::super::FormatError;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    Number,
    String,
    Sign,
}

/// One token, as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) line: u32,
    /// Whether it is the first of its line.
    pub(super) begins_line: bool,
    /// Where it stands in the text, in bytes.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The tokens of `text`.
///
/// # Errors
/// A string or comment that does not end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, FormatError> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let (mut at, mut line, mut begins_line) = (0, 1_u32, true);
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        if c == '\n' {
            (line, begins_line, at) = (line.saturating_add(1), true, at + 1);
            continue;
        }
        if c.is_ascii_whitespace() || c == '\x0b' {
            at += 1;
            continue;
        }
        let (kind, length) = match comment(rest, line)? {
            Some(length) => {
                line = line.saturating_add(line_ends(rest.get(..length)));
                at += length;
                continue;
            }
            None => token(rest, line)?,
        };
        let word = rest.get(..length).unwrap_or_default();
        tokens.push(Token { kind, text: word, line, begins_line, start: at, end: at + length });
        line = line.saturating_add(line_ends(Some(word)));
        (begins_line, at) = (false, at + length);
    }
    Ok(tokens)
}

fn line_ends(text: Option<&str>) -> u32 {
    let ends = text.unwrap_or_default().bytes().filter(|byte| *byte == b'\n').count();
    u32::try_from(ends).unwrap_or(u32::MAX)
}

/// The length of the comment that `text` begins with; a `#` line is one where Lua would take it.
fn comment(text: &str, line: u32) -> Result<Option<usize>, FormatError> {
    let Some(inner) = text.strip_prefix("--") else { return Ok(None) };
    if let Some(length) = long_bracket(inner, line)? {
        return Ok(Some(2 + length));
    }
    Ok(Some(text.find('\n').unwrap_or(text.len())))
}

/// The length of `[[ … ]]` or `[==[ … ]==]` at the beginning of `text`.
fn long_bracket(text: &str, line: u32) -> Result<Option<usize>, FormatError> {
    let Some(inner) = text.strip_prefix('[') else { return Ok(None) };
    let level = inner.bytes().take_while(|byte| *byte == b'=').count();
    let Some(body) = inner.get(level..).and_then(|rest| rest.strip_prefix('[')) else {
        return Ok(None);
    };
    let end = format!("]{}]", "=".repeat(level));
    let Some(length) = body.find(&end) else {
        return Err(FormatError::malformed(line, "a long bracket does not end"));
    };
    Ok(Some(2 + level + length + end.len()))
}

fn token(text: &str, line: u32) -> Result<(Kind, usize), FormatError> {
    let c = text.chars().next().unwrap_or_default();
    let span = |fits: fn(char) -> bool| text.find(|c| !fits(c)).unwrap_or(text.len());
    if c == '"' || c == '\'' {
        return Ok((Kind::String, quoted(text, line)?));
    }
    if let Some(length) = long_bracket(text, line)? {
        return Ok((Kind::String, length));
    }
    if c.is_ascii_digit() {
        return Ok((Kind::Number, span(|c| c.is_ascii_alphanumeric() || c == '.')));
    }
    if c.is_ascii_alphabetic() || c == '_' {
        return Ok((Kind::Name, span(|c| c.is_ascii_alphanumeric() || "_.:".contains(c))));
    }
    let two = ["==", "~=", "<=", ">=", ".."].iter().any(|sign| text.starts_with(sign));
    Ok((Kind::Sign, if two { 2 } else { c.len_utf8() }))
}

/// The length of the quoted string at the beginning of `text`.
fn quoted(text: &str, line: u32) -> Result<usize, FormatError> {
    let mut characters = text.char_indices();
    let (_, quote) = characters.next().unwrap_or_default();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => drop(characters.next()),
            '\n' => break,
            c if c == quote => return Ok(at + 1),
            _ => {}
        }
    }
    Err(FormatError::malformed(line, "a string does not end"))
}

/// The value of a token that is one by itself.
pub(super) fn literal(token: &Token<'_>) -> Option<ItemValue> {
    match (token.kind, token.text) {
        (Kind::String, text) => Some(ItemValue::text(unquoted(text))),
        (Kind::Number, text) => {
            let number = text.parse().ok().map(ItemValue::Integer);
            Some(number.unwrap_or_else(|| ItemValue::text(text)))
        }
        (Kind::Name, "true") => Some(ItemValue::Flag(true)),
        (Kind::Name, "false") => Some(ItemValue::Flag(false)),
        (Kind::Name, "nil") => Some(ItemValue::Nothing),
        (Kind::Name | Kind::Sign, _) => None,
    }
}

/// What a string says.
pub(super) fn unquoted(text: &str) -> String {
    if let Some(inner) = text.strip_prefix('[') {
        let level = inner.bytes().take_while(|byte| *byte == b'=').count();
        let inner = text.get(level + 2..text.len().saturating_sub(level + 2));
        let inner = inner.unwrap_or_default();
        // A line end right after the bracket is none of the string.
        return inner.strip_prefix('\n').unwrap_or(inner).to_owned();
    }
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    let mut said = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match (c, if c == '\\' { characters.next() } else { None }) {
            ('\\', Some('n')) => said.push('\n'),
            ('\\', Some('t')) => said.push('\t'),
            ('\\', Some(quoted @ ('\\' | '"' | '\''))) => said.push(quoted),
            // Numbers and the like stay as written: what matters is whether they are the same.
            ('\\', Some(other)) => said.extend(['\\', other]),
            (c, _) => said.push(c),
        }
    }
    said
}
