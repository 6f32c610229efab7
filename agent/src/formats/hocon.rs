//! JSON as people write it: HOCON of programs on the JVM, and what PipeWire reads.
//!
//! Both leave out the outer braces, most quotes and commas, take `=` for `:`, and know comments
//! with `#`. HOCON (its specification in the `config` repository of Lightbend) takes a dot in a key
//! for a step, an object set twice for the sum of both, and text to the end of its line. PipeWire
//! (pipewire.conf(5), "SPA-JSON") takes a blank for the end of a value, `=`, `:` and commas for
//! blanks, a `#` for a comment only where a word would begin, and of two members of one name the
//! last. Substitutions `${…}` are
//! kept as they are written, and so are includes, as an array of the object they stand in. How
//! objects and arrays become keys, `tree` says.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::RawItems;

use super::lines::{decode, scalar};
use super::tree::{self, NAMES, Value};
use super::{Format, FormatError};

/// HOCON.
pub static FORMAT: Format = Format {
    name: "hocon",
    version: 3,
    ordered: "arrays and includes keep their order; members of objects have none",
    claims: |path, _| {
        path.ends_with(".hocon") || (path.starts_with("/etc/jitsi/") && path.ends_with(".conf"))
    },
    read: |bytes| read(bytes, Dialect::Hocon),
};

/// PipeWire's and WirePlumber's configuration.
pub static PIPEWIRE: Format = Format {
    name: "pipewire",
    version: 2,
    ordered: "arrays keep their order; members of objects have none",
    claims: |path, _| {
        ["/pipewire/", "/wireplumber/"].iter().any(|folder| path.contains(folder))
            && path.ends_with(".conf")
    },
    read: |bytes| read(bytes, Dialect::PipeWire),
};

/// What stands before the quote or bracket of an include.
const INCLUDED: &[&str] = &["", "classpath", "file", "package", "required", "url"];

/// How far such a word is looked for, in characters.
const NAME_CHARACTERS: usize = 12;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Hocon,
    PipeWire,
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: u32,
    dialect: Dialect,
    /// Values that may still be made.
    left: usize,
}

fn read(bytes: &[u8], dialect: Dialect) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let left = limits::ITEMS_PER_PART;
    let mut reader = Reader { rest: text.chars().peekable(), line: 1, dialect, left };
    reader.skip();
    let braced = reader.rest.next_if_eq(&'{').is_some();
    let value = reader.object(if braced { Some('}') } else { None }, 0)?;
    reader.skip();
    match reader.rest.peek() {
        None => tree::items(value, NAMES),
        Some(_) => Err(reader.wrong("something stands after the end")),
    }
}

impl Reader<'_> {
    fn wrong(&self, what: &'static str) -> FormatError {
        FormatError::malformed(self.line, what)
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += u32::from(next == Some('\n'));
        next
    }

    /// Whether a comment begins here.
    fn is_comment(&self) -> bool {
        let mut ahead = self.rest.clone();
        match ahead.next() {
            Some('#') => true,
            Some('/') => self.dialect == Dialect::Hocon && ahead.next() == Some('/'),
            _ => false,
        }
    }

    /// Passes over blanks, line ends, commas and comments.
    fn skip(&mut self) {
        loop {
            if self.is_comment() {
                while self.rest.next_if(|next| *next != '\n').is_some() {}
            } else if self.rest.peek().is_some_and(|next| next.is_whitespace() || *next == ',') {
                self.next();
            } else {
                return;
            }
        }
    }

    fn spend(&mut self, depth: usize) -> Result<(), FormatError> {
        if depth > limits::NESTING || self.left == 0 {
            return Err(FormatError::TooLarge);
        }
        self.left -= 1;
        Ok(())
    }

    fn object(&mut self, end: Option<char>, depth: usize) -> Result<Value, FormatError> {
        self.spend(depth)?;
        let mut members = BTreeMap::new();
        loop {
            self.skip();
            match (self.rest.peek(), end) {
                (None, None) => return Ok(Value::Object(members)),
                (None, Some(_)) => return Err(self.wrong("a brace is not closed")),
                (Some(next), Some(end)) if *next == end => {
                    self.next();
                    return Ok(Value::Object(members));
                }
                (Some(_), _) => {
                    if let Some(what) = self.include() {
                        let path = ["include".to_owned()];
                        put(&mut members, &path, Value::Scalar(ItemValue::text(&what)), true);
                        continue;
                    }
                    let path = self.key()?;
                    // Each step of a key is an object of its own when it is put there.
                    let (value, adds) = self.member(depth + path.len().saturating_sub(1))?;
                    if self.dialect == Dialect::PipeWire {
                        members.extend(path.into_iter().map(|name| (name, value.clone())));
                    } else {
                        put(&mut members, &path, value, adds);
                    }
                }
            }
        }
    }

    /// What an `include` names, as it is written: `"x.conf"`, `required(file("x.conf"))`.
    fn include(&mut self) -> Option<String> {
        let mut ahead = self.rest.clone();
        let is_word = "include".chars().all(|letter| ahead.next() == Some(letter));
        if self.dialect != Dialect::Hocon || !is_word {
            return None;
        }
        let ahead = ahead.skip_while(|next| matches!(next, ' ' | '\t')).take(NAME_CHARACTERS);
        let ahead: String = ahead.collect();
        let (named, _) = ahead.split_once(['"', '('])?;
        if !INCLUDED.contains(&named) {
            return None;
        }
        for _ in 0.."include".len() {
            self.next();
        }
        let (mut what, mut quoted) = (String::new(), false);
        while let Some(next) = self.rest.peek().copied() {
            if next == '\n' || (!quoted && (matches!(next, ',' | '}') || self.is_comment())) {
                break;
            }
            quoted ^= next == '"';
            what.extend(self.next());
        }
        Some(what.trim().to_owned())
    }

    /// The steps of a key.
    fn key(&mut self) -> Result<Vec<String>, FormatError> {
        let mut path = vec![String::new()];
        let mut quoted = false;
        while let Some(next) = self.rest.peek().copied() {
            match next {
                '"' => {
                    quoted = true;
                    let text = self.string()?;
                    path.last_mut().into_iter().for_each(|step| step.push_str(&text));
                }
                '.' if self.dialect == Dialect::Hocon => {
                    self.next();
                    path.push(String::new());
                }
                '=' | ':' | '{' | '\n' | '}' | ']' | '[' | ',' => break,
                '+' if self.dialect == Dialect::Hocon => break,
                blank if blank.is_whitespace() && self.dialect == Dialect::PipeWire => break,
                other => {
                    self.next();
                    path.last_mut().into_iter().for_each(|step| step.push(other));
                }
            }
        }
        let path: Vec<String> = path.iter().map(|step| step.trim().to_owned()).collect();
        if !quoted && path.iter().any(String::is_empty) {
            return Err(self.wrong("a member without a name"));
        }
        Ok(path)
    }

    /// The value of a member, and whether it adds to what the member holds.
    fn member(&mut self, depth: usize) -> Result<(Value, bool), FormatError> {
        if self.dialect == Dialect::PipeWire {
            while self.rest.peek().is_some_and(|next| next.is_whitespace() || "=:,".contains(*next))
            {
                self.next();
            }
            return Ok((self.value(depth + 1)?, false));
        }
        let adds = self.rest.next_if_eq(&'+').is_some();
        match self.rest.peek() {
            Some('=' | ':') => {
                self.next();
            }
            Some('{') if !adds => {}
            _ => return Err(self.wrong("a member needs `=`")),
        }
        Ok((self.value(depth + 1)?, adds))
    }

    fn value(&mut self, depth: usize) -> Result<Value, FormatError> {
        while self.rest.peek().is_some_and(|next| next.is_whitespace()) {
            self.next();
        }
        match self.rest.peek() {
            Some('{') => {
                self.next();
                self.object(Some('}'), depth)
            }
            Some('[') => {
                self.next();
                self.array(depth)
            }
            _ => self.scalar(depth),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, FormatError> {
        self.spend(depth)?;
        let mut elements = Vec::new();
        loop {
            self.skip();
            match self.rest.peek() {
                None => return Err(self.wrong("a bracket is not closed")),
                Some(']') => {
                    self.next();
                    return Ok(Value::Array(elements));
                }
                Some('}' | ':' | '=') => return Err(self.wrong("an array holds values")),
                Some(_) => elements.push(self.value(depth + 1)?),
            }
        }
    }

    /// Text with or without quotes, to the end of the value.
    fn scalar(&mut self, depth: usize) -> Result<Value, FormatError> {
        self.spend(depth)?;
        let mut text = String::new();
        let mut quotes = 0;
        while let Some(next) = self.rest.peek().copied() {
            let is_json = self.dialect == Dialect::PipeWire;
            let ends = match next {
                '\n' | ',' | '}' | ']' => true,
                '=' | ':' => is_json,
                blank if blank.is_whitespace() => is_json,
                _ => {
                    let may_be = !is_json
                        || text.is_empty()
                        || mutant::active(Mutant::CommentsBeginAnywhere);
                    may_be && self.is_comment()
                }
            };
            if ends {
                break;
            }
            match next {
                '"' => {
                    quotes += 1;
                    text.push_str(&self.string()?);
                }
                '$' if self.dialect == Dialect::Hocon => self.substitution(&mut text),
                other => {
                    self.next();
                    text.push(other);
                }
            }
        }
        if quotes > 0 {
            return Ok(Value::Scalar(ItemValue::text(text.trim_end())));
        }
        Ok(Value::Scalar(match text.trim() {
            "" => return Err(self.wrong("a value is missing")),
            "true" => ItemValue::Flag(true),
            "false" => ItemValue::Flag(false),
            "null" => ItemValue::Nothing,
            other => scalar(other),
        }))
    }

    /// `${path}` as it stands.
    fn substitution(&mut self, text: &mut String) {
        text.extend(self.next());
        if self.rest.peek() != Some(&'{') {
            return;
        }
        while let Some(next) = self.rest.next_if(|next| *next != '\n') {
            text.push(next);
            if next == '}' {
                return;
            }
        }
    }

    /// A string in quotes, or in three of them.
    fn string(&mut self) -> Result<String, FormatError> {
        self.next();
        let mut ahead = self.rest.clone();
        let is_long = (ahead.next(), ahead.next()) == (Some('"'), Some('"'));
        if is_long && self.dialect == Dialect::Hocon {
            self.next();
            self.next();
            return self.long_string();
        }
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.wrong("a string is not closed")),
                Some('"') => return Ok(text),
                Some('\\') => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some('b') => text.push('\u{8}'),
                    Some('f') => text.push('\u{c}'),
                    Some('u') => text.push(self.unicode()),
                    Some(other) => text.push(other),
                    None => return Err(self.wrong("a string is not closed")),
                },
                Some(other) => text.push(other),
            }
        }
    }

    /// The sign that four hexadecimal digits name, or two times four where one has no room.
    fn unicode(&mut self) -> char {
        let first = self.four_digits();
        let is_half = (0xd800..0xdc00).contains(&first);
        let mut ahead = self.rest.clone();
        if !is_half || (ahead.next(), ahead.next()) != (Some('\\'), Some('u')) {
            return char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
        self.rest = ahead;
        let second = self.four_digits().wrapping_sub(0xdc00) & 0x3ff;
        let whole = 0x1_0000 + ((first - 0xd800) << 10) + second;
        char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn four_digits(&mut self) -> u32 {
        let mut number = 0;
        for _ in 0..4 {
            let Some(digit) = self.rest.peek().and_then(|next| next.to_digit(16)) else { break };
            self.next();
            number = number * 16 + digit;
        }
        number
    }

    fn long_string(&mut self) -> Result<String, FormatError> {
        let mut text = String::new();
        while let Some(next) = self.next() {
            text.push(next);
            if text.ends_with("\"\"\"") && self.rest.peek() != Some(&'"') {
                text.truncate(text.len() - 3);
                return Ok(text);
            }
        }
        Err(self.wrong("a string is not closed"))
    }
}

/// Puts `value` at `path`: objects are added up, and anything else takes the place.
fn put(members: &mut BTreeMap<String, Value>, path: &[String], value: Value, adds: bool) {
    let Some((first, rest)) = path.split_first() else { return };
    if !rest.is_empty() {
        let inner = members.entry(first.clone()).or_insert_with(|| Value::Object(BTreeMap::new()));
        if !matches!(inner, Value::Object(_)) {
            *inner = Value::Object(BTreeMap::new());
        }
        if let Value::Object(inner) = inner {
            put(inner, rest, value, adds);
        }
        return;
    }
    match (members.get_mut(first), value) {
        (Some(Value::Object(before)), Value::Object(now)) => {
            for (name, value) in now {
                put(before, &[name], value, false);
            }
        }
        (Some(Value::Array(before)), value) if adds => before.push(value),
        (_, value) if adds => {
            members.insert(first.clone(), Value::Array(vec![value]));
        }
        (_, value) => {
            members.insert(first.clone(), value);
        }
    }
}
