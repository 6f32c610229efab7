//! Statements of a script to items: modules, parameters, globals, defines, routes.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems};

use super::super::FormatError;
use super::super::build::Builder;
use super::super::lines::{first_word, scalar};
use super::body::{Body, joined, shown};
use super::lexer::{Dialect, Kind, Lexer, Token};

/// The most tokens of one statement outside a route. Real ones stay under 30.
const STATEMENT_TOKENS: usize = 10_000;

/// The items of a script.
pub(super) fn read(text: &str, dialect: Dialect) -> Result<RawItems, FormatError> {
    let mut lexer = Lexer::new(text, dialect);
    let next = lexer.next()?;
    let mut script = Script { lexer, next, ..Script::empty(dialect) };
    while let Some(token) = script.next {
        if token.kind == Kind::Directive {
            script.advance()?;
            script.directive(token.text)?;
        } else {
            script.statement()?;
        }
    }
    script.finish()
}

/// A script being read.
struct Script<'a> {
    lexer: Lexer<'a>,
    next: Option<Token<'a>>,
    dialect: Dialect,
    items: Builder,
    /// Items with a place among those of their kind.
    ranked: BTreeMap<&'static str, Vec<(Vec<String>, ItemValue)>>,
    sets: BTreeMap<ItemKey, BTreeSet<ItemValue>>,
    /// What must hold here, outermost first.
    conditions: Vec<String>,
}

impl<'a> Script<'a> {
    fn empty(dialect: Dialect) -> Self {
        Self {
            lexer: Lexer::new("", dialect),
            next: None,
            dialect,
            items: Builder::default(),
            ranked: BTreeMap::new(),
            sets: BTreeMap::new(),
            conditions: Vec::new(),
        }
    }

    fn advance(&mut self) -> Result<(), FormatError> {
        self.next = self.lexer.next()?;
        Ok(())
    }

    fn path(&self, segments: &[&str]) -> Vec<String> {
        let segments = segments.iter().map(ToString::to_string);
        self.conditions.iter().cloned().chain(segments).collect()
    }

    fn key(&self, segments: &[&str]) -> ItemKey {
        ItemKey::of(self.path(segments))
    }

    fn rank(&mut self, kind: &'static str, segments: &[&str], value: ItemValue) {
        let path = self.path(segments);
        self.ranked.entry(kind).or_default().push((path, value));
    }

    fn finish(mut self) -> Result<RawItems, FormatError> {
        for (key, set) in self.sets {
            self.items.set(key, ItemValue::Set(set))?;
        }
        for (path, value) in self.ranked.into_values().flatten() {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            self.items.place_item(&path, RawItem::plain(value))?;
        }
        Ok(self.items.finish())
    }

    /// A directive outside a route.
    fn directive(&mut self, text: &str) -> Result<(), FormatError> {
        let text = joined(text);
        let (name, rest) = first_word(&text);
        match name {
            "ifdef" | "ifndef" | "ifexp" => {
                if self.conditions.len() >= limits::NESTING {
                    return Err(FormatError::TooLarge);
                }
                self.conditions.push(format!("{name} {rest}"));
            }
            "else" => {
                if let Some(last) = self.conditions.last_mut() {
                    *last = opposite(last);
                }
            }
            "endif" => {
                self.conditions.pop();
            }
            "define" | "def" => self.define("define", rest)?,
            "trydef" | "trydefine" => self.define("trydef", rest)?,
            "redef" | "redefine" => self.define("redefine", rest)?,
            "defexp" | "defexps" => self.define("defexp", rest)?,
            "subst" | "substdef" | "substdefs" => self.substitution(name, rest)?,
            "include_file" | "import_file" => {
                self.rank("include", &[name, unquoted(rest)], ItemValue::Nothing);
            }
            "defenv" | "defenvs" | "trydefenv" | "trydefenvs" => {
                let key = self.key(&[name, rest]);
                self.items.set(key, ItemValue::Nothing)?;
            }
            dialect => {
                let key = self.key(&["dialect"]);
                self.items.set(key, ItemValue::text(dialect))?;
            }
        }
        Ok(())
    }

    fn define(&mut self, kind: &str, rest: &str) -> Result<(), FormatError> {
        let (name, value) = first_word(rest);
        let value = match value {
            "" => ItemValue::Nothing,
            value if is_quoted(value) => ItemValue::text(unquoted(value)),
            value => scalar(value),
        };
        let key = self.key(&[kind, name]);
        self.items.add(key, value)
    }

    /// `"/NAME/value/flags"` with any sign for `/`.
    fn substitution(&mut self, kind: &str, rest: &str) -> Result<(), FormatError> {
        let inner = unquoted(rest);
        let sign = inner.chars().next().unwrap_or('/');
        let mut parts = inner.strip_prefix(sign).unwrap_or(inner).splitn(2, sign);
        let name = parts.next().unwrap_or_default();
        let rest = parts.next().unwrap_or_default();
        let (value, flags) = rest.rsplit_once(sign).unwrap_or((rest, ""));
        let key = self.key(&[kind, name]);
        self.items.add(key, ItemValue::text(value))?;
        if !flags.is_empty() {
            let key = self.key(&[kind, name, "flags"]);
            self.items.set(key, ItemValue::text(flags))?;
        }
        Ok(())
    }

    /// One statement, or a block with its header.
    fn statement(&mut self) -> Result<(), FormatError> {
        let mut tokens: Vec<Token<'a>> = Vec::new();
        let mut depth = 0usize;
        while let Some(token) = self.next {
            if token.kind == Kind::Directive || (depth == 0 && ends_before(&tokens, token)) {
                break;
            }
            self.advance()?;
            if depth == 0 && token.is("{") {
                return self.block(&tokens, token.line);
            }
            if depth == 0 && (token.is(";") || token.is("}")) {
                break;
            }
            if token.is("(") {
                depth += 1;
            } else if token.is(")") {
                depth = depth.saturating_sub(1);
            }
            if tokens.len() >= STATEMENT_TOKENS {
                return Err(FormatError::TooLarge);
            }
            tokens.push(token);
        }
        self.say(&tokens)
    }

    /// What a statement outside a route says.
    fn say(&mut self, tokens: &[Token<'a>]) -> Result<(), FormatError> {
        let Some((first, rest)) = tokens.split_first() else { return Ok(()) };
        match first.text {
            "loadmodule" | "loadmodulex" => {
                let value = shown(rest);
                let name = unquoted(&value);
                let name = name.strip_suffix(".so").unwrap_or(name);
                self.rank("loadmodule", &["loadmodule", name], ItemValue::Nothing);
                return Ok(());
            }
            "modparam" | "modparamx" => return self.parameter(rest),
            "include_file" | "import_file" => {
                let file = shown(rest);
                self.rank("include", &[first.text, unquoted(&file)], ItemValue::Nothing);
                return Ok(());
            }
            _ => {}
        }
        let sign = tokens.iter().position(|token| token.is("="));
        let parts = sign.and_then(|at| Some((tokens.get(..at)?, tokens.get(at + 1..)?)));
        if let Some((name, value)) = parts {
            return self.global(&shown(name), value);
        }
        let key = self.path(&["statement", &shown(tokens)]);
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        self.items.set_each(&key, ItemValue::Nothing)
    }

    fn global(&mut self, name: &str, value: &[Token<'a>]) -> Result<(), FormatError> {
        match name {
            "listen" | "socket" => {
                let value = shown(value);
                let (address, rest) = first_word(&value);
                let rest = if rest.is_empty() { ItemValue::Nothing } else { ItemValue::text(rest) };
                self.rank("listen", &[name, unquoted(address)], rest);
                Ok(())
            }
            "alias" => {
                let key = self.key(&["global", name]);
                let set = self.sets.entry(key).or_default();
                set.insert(ItemValue::text(unquoted(&shown(value))));
                if set.len() > limits::VALUES_PER_ITEM {
                    Err(FormatError::TooLarge)
                } else {
                    Ok(())
                }
            }
            _ => {
                // What follows `desc` is a comment that the server keeps.
                let end = value.iter().position(|t| matches!(t.text, "desc" | "descr"));
                let value = value.get(..end.unwrap_or(value.len())).unwrap_or(value);
                let key = self.key(&["global", name]);
                self.items.add(key, value_of(value))
            }
        }
    }

    /// `("module|module", "name", value)`.
    fn parameter(&mut self, tokens: &[Token<'a>]) -> Result<(), FormatError> {
        let inner = tokens.strip_prefix_sign("(").strip_suffix_sign(")");
        let mut parts = inner.splitn(3, |token| token.is(","));
        let modules = shown(parts.next().unwrap_or_default());
        let name = shown(parts.next().unwrap_or_default());
        let value = parts.next().unwrap_or_default();
        let value = match (value, self.dialect) {
            ([word], Dialect::Kamailio) if is_define(word) => {
                ItemValue::text(format!("{{{}}}", word.text))
            }
            (value, _) => value_of(value),
        };
        for module in unquoted(&modules).split('|') {
            let key = self.key(&["modparam", module, unquoted(&name)]);
            self.items.add(key, value.clone())?;
        }
        Ok(())
    }

    /// The statements up to the brace that closes this block.
    fn block(&mut self, header: &[Token<'a>], line: u32) -> Result<(), FormatError> {
        let mut body = Body::default();
        loop {
            let Some(token) = self.next else {
                return Err(FormatError::malformed(line, "a block has no end"));
            };
            self.advance()?;
            if body.push(token)? {
                break;
            }
        }
        let path =
            self.path(&header_segments(header).iter().map(String::as_str).collect::<Vec<_>>());
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        self.items.set_each(&path, ItemValue::Lines(body.lines()))
    }
}

/// Cuts signs off both ends of tokens.
trait Cut<'a> {
    fn strip_prefix_sign(&self, sign: &str) -> &[Token<'a>];
    fn strip_suffix_sign(&self, sign: &str) -> &[Token<'a>];
}

impl<'a> Cut<'a> for [Token<'a>] {
    fn strip_prefix_sign(&self, sign: &str) -> &[Token<'a>] {
        self.split_first().filter(|(first, _)| first.is(sign)).map_or(self, |(_, rest)| rest)
    }

    fn strip_suffix_sign(&self, sign: &str) -> &[Token<'a>] {
        self.split_last().filter(|(last, _)| last.is(sign)).map_or(self, |(_, rest)| rest)
    }
}

/// Whether the statement so far ends before `next`: a new line begins and nothing is left open.
fn ends_before(tokens: &[Token<'_>], next: Token<'_>) -> bool {
    let Some(last) = tokens.last() else { return false };
    let open = ["=", ",", "|", ":"].iter().any(|sign| last.is(sign));
    let goes_on = ["{", "[", "=", ",", "(", ":"].iter().any(|sign| next.is(sign));
    next.line > last.end_line && !open && !goes_on
}

/// `route[NAME]` as its two words; the main route under one name.
fn header_segments(header: &[Token<'_>]) -> Vec<String> {
    let kind = header.first().map_or("", |token| token.text);
    let name = header.get(1..).unwrap_or_default();
    let name = shown(name.strip_prefix_sign("[").strip_suffix_sign("]"));
    match (kind, name.as_str()) {
        ("route" | "request_route", "" | "0") => vec!["request_route".to_owned()],
        (kind, "") => vec![kind.to_owned()],
        (kind, name) => vec![kind.to_owned(), unquoted(name).to_owned()],
    }
}

fn value_of(tokens: &[Token<'_>]) -> ItemValue {
    let text = shown(tokens);
    if tokens.is_empty() || tokens.iter().any(|token| token.kind != Kind::Text) {
        return scalar(&text);
    }
    // Strings side by side are one.
    ItemValue::text(tokens.iter().map(|token| unquoted(token.text)).collect::<String>())
}

/// Whether a bare word stands for a define: a word that is no number and no yes or no.
fn is_define(token: &Token<'_>) -> bool {
    let switch = ["yes", "no", "on", "off", "true", "false"];
    token.kind == Kind::Word
        && token.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && !switch.iter().any(|word| token.text.eq_ignore_ascii_case(word))
}

fn is_quoted(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.contains('"'))
}

fn unquoted(text: &str) -> &str {
    let cut = |quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    cut('"').or_else(|| cut('\'')).unwrap_or(text)
}

fn opposite(condition: &str) -> String {
    let (name, rest) = first_word(condition);
    match name {
        "ifdef" => format!("ifndef {rest}"),
        "ifndef" => format!("ifdef {rest}"),
        "ifexp" => format!("ifnotexp {rest}"),
        _ => format!("ifexp {rest}"),
    }
}
