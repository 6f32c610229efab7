//! Blocks of statements, and tokens put together to text again.
//!
//! A statement is one line of text whose layout depends on its tokens alone. Both branches of a
//! condition are kept, with the directives between them.

use driftline_protocol::limits;

use super::super::FormatError;
use super::super::lines::{BLANKS, first_word};
use super::lexer::{Kind, Token};

/// The statements of a route, one a line.
#[derive(Default)]
pub(super) struct Body {
    lines: Vec<String>,
    line: Line,
    open: Open,
    /// What was open at each condition that has not ended: its branches begin alike.
    conditions: Vec<Open>,
}

/// Braces and parentheses open at one place.
#[derive(Clone, Copy, Default)]
struct Open {
    braces: usize,
    parentheses: usize,
}

impl Body {
    /// The statements.
    pub(super) fn lines(self) -> Vec<String> {
        self.lines
    }

    /// Adds a token; says whether it was the brace that ends the block.
    pub(super) fn push(&mut self, token: Token<'_>) -> Result<bool, FormatError> {
        if token.kind == Kind::Directive {
            self.end()?;
            let directive = spaced(&joined(token.text));
            self.condition(&directive)?;
            self.keep(format!("#!{directive}"))?;
            return Ok(false);
        }
        // A brace inside parentheses belongs to a variable: `$(var(x){s.len})`.
        let plain = self.open.parentheses == 0;
        match token.text {
            "{" if plain => {
                self.line.push(token);
                self.open.braces += 1;
                self.end()?;
            }
            "}" if plain => {
                self.end()?;
                if self.open.braces == 0 {
                    return Ok(true);
                }
                self.open.braces -= 1;
                self.keep("}".to_owned())?;
            }
            ";" if plain => self.end()?,
            "(" => {
                self.open.parentheses += 1;
                self.line.push(token);
            }
            ")" => {
                self.open.parentheses = self.open.parentheses.saturating_sub(1);
                self.line.push(token);
            }
            _ => self.line.push(token),
        }
        Ok(false)
    }

    /// One of two branches is read by the server, so the second does not close what the first
    /// opened.
    fn condition(&mut self, directive: &str) -> Result<(), FormatError> {
        match first_word(directive).0 {
            "ifdef" | "ifndef" | "ifexp" => {
                if self.conditions.len() >= limits::NESTING {
                    return Err(FormatError::TooLarge);
                }
                self.conditions.push(self.open);
            }
            "else" => self.open = self.conditions.last().copied().unwrap_or(self.open),
            "endif" => drop(self.conditions.pop()),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), FormatError> {
        let line = std::mem::take(&mut self.line).text;
        if line.is_empty() { Ok(()) } else { self.keep(line) }
    }

    fn keep(&mut self, line: String) -> Result<(), FormatError> {
        if self.lines.len() >= limits::VALUES_PER_ITEM {
            return Err(FormatError::TooLarge);
        }
        self.lines.push(line);
        Ok(())
    }
}

/// Tokens put together again: blanks stand where the syntax needs them or people expect them, not
/// where somebody happened to type them.
#[derive(Default)]
struct Line {
    text: String,
    last: Option<(Kind, bool)>,
}

/// Signs with a blank on either side.
const SPACED: &[&str] =
    &["=", "==", "!=", "=~", "!~", "<=", ">=", "&&", "||", "=>", "+=", ":=", "<", ">", "{"];

impl Line {
    fn push(&mut self, token: Token<'_>) {
        let sign = token.kind == Kind::Sign;
        let spaced = sign && SPACED.contains(&token.text);
        let between = match self.last {
            None => false,
            Some((_, true)) => true,
            Some((Kind::Sign, false)) => spaced || (self.text.ends_with(')') && !sign),
            Some((_, false)) => spaced || !sign,
        };
        if between {
            self.text.push(' ');
        }
        self.text.push_str(token.text);
        self.last = Some((token.kind, spaced || token.is(",")));
    }
}

/// Tokens as one line of text.
pub(super) fn shown(tokens: &[Token<'_>]) -> String {
    let mut line = Line::default();
    tokens.iter().for_each(|token| line.push(*token));
    line.text
}

/// A directive with its continued lines joined.
pub(super) fn joined(text: &str) -> String {
    let text = text.replace("\\\r\n", "").replace("\\\n", "");
    text.trim_matches(BLANKS).to_owned()
}

fn spaced(text: &str) -> String {
    text.split(BLANKS).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
