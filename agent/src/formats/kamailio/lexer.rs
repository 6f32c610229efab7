//! Text to tokens: words, strings, signs and directives, without comments.
//!
//! One token at a time, so that a large file costs no more memory than a small one. A comment
//! inside a comment nests. The value of a `#!define` is the rest of its line, whatever stands in
//! it.

use super::super::FormatError;

/// The two points in which the servers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `#!` and `!!` begin a directive, `//` a comment.
    Kamailio,
    /// `#` is always a comment.
    OpenSips,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name, a number or a part of an address.
    Word,
    /// A quoted string; its text holds the quotes.
    Text,
    /// An operator or a bracket.
    Sign,
    /// A directive; its text begins behind the mark and ends with its line.
    Directive,
}

/// One token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    /// What it is.
    pub(super) kind: Kind,
    /// Its text as it stands.
    pub(super) text: &'a str,
    /// The line in which it begins, counted from 1.
    pub(super) line: u32,
    /// The line in which it ends.
    pub(super) end_line: u32,
}

impl Token<'_> {
    /// Whether it is this sign.
    pub(super) fn is(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }
}

/// Words that a mark makes a directive.
const DIRECTIVES: &[&str] = &[
    "KAMAILIO",
    "MAXCOMPAT",
    "OPENSER",
    "SER",
    "def",
    "defenv",
    "defenvs",
    "defexp",
    "defexps",
    "define",
    "else",
    "endif",
    "ifdef",
    "ifexp",
    "ifndef",
    "import_file",
    "include_file",
    "redef",
    "redefine",
    "subst",
    "substdef",
    "substdefs",
    "trydef",
    "trydefenv",
    "trydefenvs",
    "trydefine",
];

/// Signs of more than one character.
const OPERATORS: &[&str] =
    &["==", "!=", "=~", "!~", "<=", ">=", "&&", "||", "=>", "+=", ":=", "<<", ">>"];

/// How far a variable's parentheses are looked for, so that a line of open ones costs no more than
/// any other. Real ones stay under 200.
const VARIABLE_CHARACTERS: usize = 1_024;

/// How deep they may nest, for the same reason: each open one would be looked at again.
const VARIABLE_DEPTH: usize = 32;

/// Gives the tokens of a text.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    dialect: Dialect,
}

impl<'a> Lexer<'a> {
    /// The tokens of `text`.
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        Self { rest: text, line: 1, dialect }
    }

    /// The next token; `None` at the end.
    ///
    /// # Errors
    /// A string or a comment that does not end.
    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>, FormatError> {
        loop {
            self.skip_blanks();
            let Some(c) = self.rest.chars().next() else { return Ok(None) };
            if let Some(length) = self.directive() {
                return Ok(Some(self.take(Kind::Directive, length)));
            }
            let slashes = self.dialect == Dialect::Kamailio && self.rest.starts_with("//");
            if c == '#' || slashes {
                self.take(Kind::Sign, self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                let length = self.comment()?;
                self.take(Kind::Sign, length);
            } else if c == '"' || c == '\'' {
                let length = self.string(c)?;
                return Ok(Some(self.take(Kind::Text, length)));
            } else if is_word(c) {
                return Ok(Some(self.take(Kind::Word, word(self.rest))));
            } else {
                let operator = OPERATORS.iter().find(|sign| self.rest.starts_with(**sign));
                let length = operator.map_or(c.len_utf8(), |sign| sign.len());
                return Ok(Some(self.take(Kind::Sign, length)));
            }
        }
    }

    fn skip_blanks(&mut self) {
        let blank = |c: char| c.is_ascii_whitespace() || c == '\x0b';
        loop {
            let rest = self.rest.trim_start_matches(blank);
            self.take(Kind::Sign, self.rest.len() - rest.len());
            if !rest.strip_prefix('\\').is_some_and(ends_line) {
                return;
            }
            self.take(Kind::Sign, 1);
        }
    }

    /// How many bytes the directive here takes, its mark and the continued lines included.
    fn directive(&self) -> Option<usize> {
        if self.dialect != Dialect::Kamailio {
            return None;
        }
        let rest = self.rest.strip_prefix("#!").or_else(|| self.rest.strip_prefix("!!"))?;
        let word =
            rest.find(|c: char| !is_word(c)).map_or(rest, |end| rest.get(..end).unwrap_or(rest));
        if !DIRECTIVES.contains(&word) {
            return None;
        }
        let mut end = 0;
        loop {
            let line = rest.get(end..)?;
            let length = line.find('\n').unwrap_or(line.len());
            let continues = line.get(..length)?.trim_end_matches('\r').ends_with('\\');
            end += length;
            if !continues || end >= rest.len() {
                return Some(end + 2);
            }
            end += 1;
        }
    }

    fn comment(&self) -> Result<usize, FormatError> {
        let mut depth = 0usize;
        let mut at = 0;
        while let Some(rest) = self.rest.get(at..) {
            let Some(next) = rest.find(['/', '*']) else { break };
            let rest = rest.get(next..).unwrap_or_default();
            at += next;
            if rest.starts_with("/*") {
                depth += 1;
                at += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Ok(at);
                }
            } else {
                at += 1;
            }
        }
        Err(FormatError::malformed(self.line, "a comment has no end"))
    }

    fn string(&self, quote: char) -> Result<usize, FormatError> {
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' if quote == '"' => escaped = true,
                c if c == quote => return Ok(at + 1),
                _ => {}
            }
        }
        Err(FormatError::malformed(self.line, "a string has no end"))
    }

    fn take(&mut self, kind: Kind, length: usize) -> Token<'a> {
        let (text, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        let line = self.line;
        self.line = line.saturating_add(u32::try_from(text.matches('\n').count()).unwrap_or(0));
        self.rest = rest;
        let text = if kind == Kind::Directive { text.get(2..).unwrap_or_default() } else { text };
        Token { kind, text, line, end_line: self.line }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '.')
}

/// How many bytes the word here takes. A variable such as `$(hdr(Via)[#]{s.select,0,"})` is one
/// word with its parentheses, in which nothing is a comment or a string.
fn word(text: &str) -> usize {
    let length = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let rest = text.get(length..).unwrap_or_default();
    let name = text.get(..length).unwrap_or_default();
    if !name.contains('$') || !rest.starts_with('(') {
        return length;
    }
    let mut depth = 0usize;
    for (at, c) in rest.char_indices().take(VARIABLE_CHARACTERS) {
        match c {
            '(' if depth == VARIABLE_DEPTH => break,
            '(' => depth += 1,
            ')' if depth == 1 => return length + at + 1,
            ')' => depth -= 1,
            '\n' => break,
            _ => {}
        }
    }
    length
}

/// Whether `rest`, which follows a backslash, is at the end of a line.
fn ends_line(rest: &str) -> bool {
    rest.starts_with('\n') || rest.starts_with("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dialect: Dialect, text: &str, expected: &[&str]) {
        let mut lexer = Lexer::new(text, dialect);
        let mut found = Vec::new();
        while let Some(token) = lexer.next().unwrap() {
            found.push(token.text);
        }
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn comments_and_directives_differ_between_the_servers() {
        use Dialect::{Kamailio, OpenSips};
        check(Kamailio, "a #!define X 1 # y\nb", &["a", "define X 1 # y", "b"]);
        check(Kamailio, "# #!trydef X\n##!define Y\n!!ifdef Z\n#!other", &["ifdef Z"]);
        check(Kamailio, "#!define X a\\\n b\nc", &["define X a\\\n b", "c"]);
        check(OpenSips, "a #!define X\n//b", &["a", "/", "/", "b"]);
        check(Kamailio, "a // b\n/* c /* d */ e */ f", &["a", "f"]);
        check(Kamailio, "\"a#\\\"b\" 'c\\' !!x", &["\"a#\\\"b\"", "'c\\'", "!", "!", "x"]);
        check(Kamailio, "$(var(x){s.a,#,\"}) $rU(a", &["$(var(x){s.a,#,\"})", "$rU", "(", "a"]);
        let (open, close) = ("$(a".repeat(32), ")".repeat(32));
        let deepest = format!("{open}{close}");
        check(Kamailio, &deepest, &[&deepest]);
        check(Kamailio, "x=~\"y\"&&!z \\\n w", &["x", "=~", "\"y\"", "&&", "!", "z", "w"]);
    }
}
