//! One logical line of sudoers: the grammar of sudoers(5), read from left to right.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::mutant::{self, Mutant};

use super::super::lines::{HEADER_BYTES, LONG_HEADER};
use super::{Alias, Change, Defaults, Entry, Rule};

type What = &'static str;

/// Tags of a command; one with `NO` before it undoes the other.
const TAGS: &[&str] =
    &["EXEC", "FOLLOW", "INTERCEPT", "LOG_INPUT", "LOG_OUTPUT", "MAIL", "PASSWD", "SETENV"];

/// Options of a command, written `NAME=value`.
const OPTIONS: &[&str] = &[
    "APPARMOR_PROFILE",
    "CHROOT",
    "CWD",
    "LIMITPRIVS",
    "NOTAFTER",
    "NOTBEFORE",
    "PRIVS",
    "ROLE",
    "TIMEOUT",
    "TYPE",
];

/// Digests of a command and their lengths in bytes.
const DIGESTS: &[(&str, usize)] = &[("sha224", 28), ("sha256", 32), ("sha384", 48), ("sha512", 64)];

/// Reads one logical line; what is wrong is said without quoting it.
pub(super) fn parse(line: &str, entries: &mut Vec<Entry>) -> Result<(), What> {
    let line = line.trim();
    if let Some(entry) = include(line) {
        entries.push(entry?);
        return Ok(());
    }
    let line = without_comment(line).trim_end();
    if line.is_empty() {
        return Ok(());
    }
    let mut cursor = Cursor { rest: line };
    if let Some(rest) = line.strip_prefix("Defaults")
        && rest.starts_with([' ', '\t', '@', ':', '!', '>'])
    {
        cursor.rest = rest;
        return cursor.defaults(entries);
    }
    for (word, kind) in [
        ("User_Alias", "user"),
        ("Runas_Alias", "runas"),
        ("Host_Alias", "host"),
        ("Cmnd_Alias", "cmnd"),
        ("Cmd_Alias", "cmnd"),
    ] {
        if let Some(rest) = line.strip_prefix(word)
            && rest.starts_with([' ', '\t'])
        {
            cursor.rest = rest;
            return cursor.aliases(kind, entries);
        }
    }
    cursor.rules(entries)
}

/// `@include`, `@includedir` and their old forms with `#`, which look like comments.
fn include(line: &str) -> Option<Result<Entry, What>> {
    let rest = line.strip_prefix(['@', '#'])?.strip_prefix("include")?;
    let (rest, is_directory) = match rest.strip_prefix("dir") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    Some(include_path(rest).map(|path| match is_directory {
        true => Entry::IncludeDirectory(path),
        false => Entry::Include(path),
    }))
}

/// The path after an include: quoted, or up to an unescaped blank; a comment may follow.
fn include_path(rest: &str) -> Result<String, What> {
    let mut cursor = Cursor { rest };
    cursor.blanks();
    let path = if cursor.rest.starts_with('"') {
        cursor.word()?
    } else {
        let end = unescaped(cursor.rest, |c| matches!(c, ' ' | '\t'));
        cursor.take(end).replace("\\ ", " ")
    };
    cursor.blanks();
    if path.is_empty() {
        return Err("an include without a path");
    }
    let ended = cursor.rest.is_empty() || cursor.rest.starts_with('#');
    if ended { Ok(path) } else { Err("text after the path of an include") }
}

/// The line up to its comment: a `#` that is not escaped, not in quotes and not the start of a
/// number (a uid).
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let mut escaped = false;
    let mut characters = line.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '#' if !quoted && !next.is_some_and(|next| next.is_ascii_digit() || next == '-') => {
                return line.split_at(at).0;
            }
            _ => {}
        }
    }
    line
}

/// A place in a line.
struct Cursor<'a> {
    rest: &'a str,
}

/// What a command of a list inherits from the one before it.
#[derive(Clone, Default)]
struct Inherited {
    runas: Option<String>,
    tags: BTreeMap<String, String>,
}

impl<'a> Cursor<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, c: char) -> bool {
        self.blanks();
        let after = self.rest.strip_prefix(c);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    /// A word up to an unescaped blank or one of `,:=()!>`; quotes are kept off, escapes stay as
    /// written.
    fn word(&mut self) -> Result<String, What> {
        self.blanks();
        if let Some(rest) = self.rest.strip_prefix('"') {
            let end = rest.find('"').ok_or("an open quote")?;
            self.take(1);
            let word = self.take(end).to_owned();
            self.take(1);
            return Ok(word);
        }
        let end = match address(self.rest) {
            0 => unescaped(self.rest, |c| " \t,:=()!>".contains(c)),
            length => length,
        };
        if end == 0 {
            return Err("a word is missing");
        }
        Ok(self.take(end).to_owned())
    }

    /// `[!]word, …`: members as they stand.
    fn list(&mut self) -> Result<Vec<String>, What> {
        let mut members = Vec::new();
        loop {
            let negation = self.negation();
            // A leading `%:`, `%#` or `+` belongs to the name; the colon of `%:group` is no
            // separator.
            self.blanks();
            let prefix = if self.rest.starts_with("%:") { self.take(2) } else { "" };
            members.push(format!("{negation}{prefix}{}", self.word()?));
            if !self.eat(',') {
                return Ok(members);
            }
        }
    }

    /// Any number of `!` without a blank between, of which two undo each other.
    fn negation(&mut self) -> &'static str {
        self.blanks();
        let after = self.rest.trim_start_matches('!');
        let negated = (self.rest.len() - after.len()) % 2 == 1;
        self.rest = after;
        if negated { "!" } else { "" }
    }

    fn aliases(&mut self, kind: &'static str, entries: &mut Vec<Entry>) -> Result<(), What> {
        loop {
            let name = self.word()?;
            if !is_alias(&name) {
                return Err("a name of an alias that is not in capitals, or is ALL");
            }
            if !self.eat('=') {
                return Err("an alias without =");
            }
            let members = if kind == "cmnd" { self.commands()? } else { self.list()? };
            entries.push(Entry::Alias(Alias { kind, name, members }));
            if !self.eat(':') {
                return self.end();
            }
        }
    }

    fn commands(&mut self) -> Result<Vec<String>, What> {
        let mut commands = vec![self.command()?];
        while self.eat(',') {
            commands.push(self.command()?);
        }
        Ok(commands)
    }

    /// A command with its arguments, blanks made one; digests before it stay with it.
    fn command(&mut self) -> Result<String, What> {
        let digests = self.digests()?;
        let negation = self.negation();
        self.blanks();
        let end = unescaped(self.rest, |c| matches!(c, ',' | ':'));
        let words: Vec<&str> = self.take(end).split_ascii_whitespace().collect();
        let [name, arguments @ ..] = words.as_slice() else { return Err("a command is missing") };
        match Name::of(name) {
            None => return Err("a command is neither a full path nor a known word"),
            Some(Name::Alone) if !arguments.is_empty() => {
                return Err("text after a command that takes no arguments");
            }
            Some(Name::Alone | Name::WithArguments) => {}
        }
        Ok(format!("{negation}{digests}{}", words.join(" ")))
    }

    /// `sha256:DIGEST, …` as far as there are some, one form of blanks.
    fn digests(&mut self) -> Result<String, What> {
        let mut digests = String::new();
        loop {
            self.blanks();
            let Some((kind, bytes)) = DIGESTS.iter().find(|(kind, _)| self.rest.starts_with(kind))
            else {
                return Ok(digests);
            };
            self.take(kind.len());
            if !self.eat(':') {
                return Err("a digest without its colon");
            }
            self.blanks();
            let end = self.rest.find([' ', '\t', ',']).unwrap_or(self.rest.len());
            let digest = self.take(end);
            if !is_digest(digest, *bytes) {
                return Err("a digest of the wrong length");
            }
            let separator = if self.eat(',') { ',' } else { ' ' };
            digests.push_str(&format!("{kind}:{digest}{separator}"));
            if separator == ' ' {
                return Ok(digests);
            }
        }
    }

    fn defaults(&mut self, entries: &mut Vec<Entry>) -> Result<(), What> {
        let kind = match self.rest.chars().next() {
            Some('@') => "host",
            Some(':') => "user",
            Some('!') => "cmnd",
            Some('>') => "runas",
            _ => "",
        };
        let scope = if kind.is_empty() {
            String::new()
        } else {
            self.take(1);
            format!("{kind} {}", canonical(self.list()?))
        };
        loop {
            let switched_off = self.negation() == "!";
            self.blanks();
            let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let name = self.take(end.unwrap_or(self.rest.len())).to_owned();
            if name.is_empty() {
                return Err("a parameter is missing");
            }
            let change = if switched_off { Change::Switch(false) } else { self.change()? };
            entries.push(Entry::Defaults(Defaults { scope: scope.clone(), name, change }));
            if !self.eat(',') {
                return self.end();
            }
        }
    }

    fn change(&mut self) -> Result<Change, What> {
        self.blanks();
        let change: fn(String) -> Change = match self.rest.as_bytes() {
            [b'=', ..] => Change::Set,
            [b'+', b'=', ..] => Change::Add,
            [b'-', b'=', ..] => Change::Remove,
            _ => return Ok(Change::Switch(true)),
        };
        self.rest = self.rest.trim_start_matches(['+', '-']);
        self.eat('=');
        self.blanks();
        if self.rest.starts_with('"') {
            return self.word().map(change);
        }
        let end = unescaped(self.rest, |c| matches!(c, ' ' | '\t' | ','));
        Ok(change(self.take(end).replace('\\', "")))
    }

    fn rules(&mut self, entries: &mut Vec<Entry>) -> Result<(), What> {
        let users = canonical(self.list()?);
        loop {
            let hosts = canonical(self.list()?);
            if !self.eat('=') {
                return Err("a rule without =");
            }
            let mut inherited = Inherited::default();
            loop {
                if mutant::active(Mutant::TagsEndWithTheirCommand) {
                    inherited.tags.clear();
                }
                self.modifiers(&mut inherited)?;
                let runas = inherited.runas.as_ref().map_or(0, String::len);
                if users.len() + hosts.len() + runas > HEADER_BYTES {
                    return Err(LONG_HEADER);
                }
                entries.push(Entry::Rule(Rule {
                    users: users.clone(),
                    hosts: hosts.clone(),
                    runas: inherited.runas.clone().unwrap_or_else(|| "(default)".into()),
                    command: self.command()?,
                    tags: inherited.tags.values().cloned().collect::<BTreeSet<_>>(),
                }));
                if !self.eat(',') {
                    break;
                }
            }
            if !self.eat(':') {
                return self.end();
            }
        }
    }

    /// `(runas)`, then `OPTION=value`, then `TAG:` before a command; sudo takes no other order.
    fn modifiers(&mut self, inherited: &mut Inherited) -> Result<(), What> {
        if self.eat('(') {
            inherited.runas = Some(self.runas()?);
        }
        while let Some(option) = self.word_before('=', |word| OPTIONS.contains(&word)) {
            let value = self.word()?;
            inherited.tags.insert(option.to_owned(), format!("{option}={value}"));
        }
        while let Some(tag) = self.word_before(':', |word| TAGS.contains(&base(word))) {
            inherited.tags.insert(base(tag).to_owned(), tag.to_owned());
        }
        Ok(())
    }

    /// Takes a word of capitals and the sign after it, if it is one of these.
    fn word_before(&mut self, sign: char, is_known: fn(&str) -> bool) -> Option<&'a str> {
        self.blanks();
        let end = self.rest.find(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        let (word, after) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let after = after.trim_start_matches([' ', '\t']).strip_prefix(sign)?;
        if !is_known(word) {
            return None;
        }
        self.rest = after;
        Some(word)
    }

    fn runas(&mut self) -> Result<String, What> {
        let mut text = String::from("(");
        if !matches!(self.peek(), Some(':' | ')')) {
            text.push_str(&canonical(self.list()?));
        }
        // `(:)` says what `()` does: the invoking user.
        if self.eat(':') && self.peek() != Some(')') {
            text.push(':');
            text.push_str(&canonical(self.list()?));
        }
        text.push(')');
        if self.eat(')') { Ok(text) } else { Err("an open parenthesis") }
    }

    fn peek(&mut self) -> Option<char> {
        self.blanks();
        self.rest.chars().next()
    }

    fn end(&mut self) -> Result<(), What> {
        self.blanks();
        if self.rest.is_empty() { Ok(()) } else { Err("text after the end of an entry") }
    }
}

/// What a command may be, and whether arguments may follow.
enum Name {
    Alone,
    WithArguments,
}

impl Name {
    fn of(word: &str) -> Option<Self> {
        match word {
            "ALL" | "list" => Some(Self::Alone),
            "sudoedit" => Some(Self::WithArguments),
            _ if word.starts_with('/') && word.ends_with('/') => Some(Self::Alone),
            _ if word.starts_with('/') || word.starts_with('^') => Some(Self::WithArguments),
            _ if is_alias(word) => Some(Self::Alone),
            _ => None,
        }
    }
}

/// A name in capitals that is not `ALL` (sudoers(5), "Aliases").
fn is_alias(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    word != "ALL" && word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(is_part)
}

/// In hexadecimal, or in Base64 with or without its padding.
fn is_digest(digest: &str, bytes: usize) -> bool {
    let is_hex = digest.len() == 2 * bytes && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bare = digest.trim_end_matches('=');
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    is_hex || (bare.len() == (8 * bytes).div_ceil(6) && bare.bytes().all(is_base64))
}

/// A tag without the `NO` that undoes it.
fn base(tag: &str) -> &str {
    tag.strip_prefix("NO").filter(|base| TAGS.contains(base)).unwrap_or(tag)
}

/// A list in one form: sorted unless a member is negated.
fn canonical(mut members: Vec<String>) -> String {
    if !members.iter().any(|member| member.starts_with('!')) {
        members.sort();
        members.dedup();
    }
    members.join(",")
}

/// Where the first unescaped character that `ends` accepts stands, or the end.
fn unescaped(text: &str, ends: fn(char) -> bool) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if ends(c) => return at,
            _ => {}
        }
    }
    text.len()
}

/// The length of an IPv6 address or network at the start of `text`, 0 if there is none: its colons
/// separate nothing.
fn address(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '/');
    let length = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
    let colons = text.bytes().take(length).filter(|byte| *byte == b':').count();
    if colons >= 2 && !text.starts_with('/') { length } else { 0 }
}
