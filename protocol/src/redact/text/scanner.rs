//! The one pass over a text that finds where its secrets stand.
//!
//! Goes from name to name; what follows a name decides. Within a line it remembers the open quote,
//! whether a name attribute waits for its value, and whether a program was named whose options hold
//! secrets.

mod users;

use std::ops::Range;

use crate::ids::KeyId;

use super::super::key_names::{is_harmless, word_names_secret};
use super::shapes;
use super::values::{Place, Reach, Separator, argument, in_name, is_blank, separator, tail, value};

/// Attributes that say what another one's value is: `<param name="password" value="…"/>`.
const NAME_ATTRIBUTES: &[&str] = &["id", "key", "name", "param", "property", "var", "variable"];

/// Attributes that hold the value so named.
const VALUE_ATTRIBUTES: &[&str] = &["content", "data", "default", "val", "value"];

/// Names of HTTP headers with a scheme before the secret.
const AUTHORIZATIONS: &[&str] = &["authorization", "proxy-authorization"];

/// Schemes of such headers.
const SCHEMES: &[&str] = &["basic", "bearer", "digest", "negotiate", "ntlm", "token"];

/// Programs with the short option that gives them a secret, and where the secret stands.
const PROGRAMS: &[(&str, &str, Attached)] = &[
    ("curl", "-u", Attached::No),
    ("ldap", "-w", Attached::No),
    ("mariadb", "-p", Attached::Yes),
    ("mysql", "-p", Attached::Yes),
    ("redis-cli", "-a", Attached::No),
    ("smbclient", "-U", Attached::No),
    ("sshpass", "-p", Attached::Yes),
];

/// Whether an option's value may stand in the same word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attached {
    Yes,
    No,
}

/// Where the secrets of `text` stand, in no order; ranges may overlap.
pub(super) fn secrets(text: &str, key: KeyId) -> Vec<Range<usize>> {
    let mut scanner = Scanner::new(text, shapes::Own::of(key));
    let mut at = 0;
    while let Some(c) = tail(text, at).chars().next() {
        at = scanner.step(at, c).max(at + c.len_utf8());
    }
    scanner.found
}

struct Scanner<'a> {
    text: &'a str,
    /// Which markers are ours.
    own: shapes::Own,
    found: Vec<Range<usize>>,
    /// The line and the quote we are in.
    place: Place<'a>,
    /// The end of the last run of base64 that was looked at.
    run_end: usize,
    /// Names on this line so far.
    names: u32,
    /// A name attribute named a secret; how many lines its value may still be away.
    waiting: u32,
    /// Where the value attribute seen before its name attribute has its value.
    value_before: Option<usize>,
    /// The name before this one.
    before: &'a str,
    /// The program named on this line.
    program: Option<(&'static str, Attached)>,
    /// Whether the line is `modparam("module", "parameter", value)`.
    module_parameter: bool,
    /// Whether a user was named on this line, so that a password may follow without a separator.
    user_named: bool,
    /// From where the next `@` was searched for, and where it stands.
    at_sign: Range<usize>,
    /// To where a word before `@tcp(` was looked at.
    bare_seen: usize,
    /// The first `:` of that word.
    bare_colon: Option<usize>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, own: shapes::Own) -> Self {
        let place = Place { text, line_start: 0, line_end: 0, open: None };
        let mut scanner = Self {
            text,
            own,
            found: Vec::new(),
            place,
            run_end: 0,
            names: 0,
            waiting: 0,
            value_before: None,
            before: "",
            program: None,
            module_parameter: false,
            user_named: false,
            at_sign: 0..text.find('@').unwrap_or(text.len()),
            bare_seen: 0,
            bare_colon: None,
        };
        scanner.begin_line(0);
        scanner
    }

    fn begin_line(&mut self, at: usize) {
        let rest = tail(self.text, at);
        let line_end = at + rest.find('\n').unwrap_or(rest.len());
        self.place = Place { text: self.text, line_start: at, line_end, open: None };
        self.names = 0;
        self.waiting = self.waiting.saturating_sub(1);
        self.value_before = None;
        self.before = "";
        self.program = None;
        self.module_parameter = false;
        self.user_named = false;
    }

    /// Looks at the character at `at`; gives where to go on.
    fn step(&mut self, at: usize, c: char) -> usize {
        if at > self.place.line_end {
            self.begin_line(at);
        }
        let rest = tail(self.text, at);
        if let Some(length) = (c == '{').then(|| shapes::marker(rest)).flatten() {
            // Only ours says that something is hidden; another one is text that somebody wrote.
            return self.hide_to(at..at + length);
        }
        if let Some(block) = (c == '-').then(|| shapes::block(rest)).flatten() {
            if block.private {
                self.hide(at..at + block.length);
            }
            return at + block.length;
        }
        if let Some(end) = self.random_run(at) {
            return end;
        }
        if in_name(c) {
            return self.name(at);
        }
        self.punctuation(at, c)
    }

    fn punctuation(&mut self, at: usize, c: char) -> usize {
        let rest = tail(self.text, at);
        match c {
            '\n' => self.begin_line(at + 1),
            ':' if rest.starts_with("://") => return self.user_info(at + 3),
            '@' if rest.starts_with("@tcp(") || rest.starts_with("@unix(") => self.bare_user(at),
            '$' | '{' => {
                if let Some(length) = shapes::password_hash(rest) {
                    self.hide(at..at + length);
                    return at + length;
                }
                self.value_before = None;
            }
            '<' | '}' => self.value_before = None,
            '"' | '\'' => self.quote(at, c),
            _ => {}
        }
        at + c.len_utf8()
    }

    /// Follows which quote is open; an apostrophe inside a word opens none.
    fn quote(&mut self, at: usize, c: char) {
        let before = self.text.get(..at).and_then(|text| text.chars().next_back()).unwrap_or(' ');
        let opens = before.is_whitespace() || "=:([{,<>\\".contains(before);
        match self.place.open {
            Some(open) if open == c => self.place.open = None,
            None if opens => self.place.open = Some(c),
            Some(_) | None => {}
        }
    }

    /// A run of base64 that begins at `at` and is random: hidden, unless its name says that it is
    /// public.
    fn random_run(&mut self, at: usize) -> Option<usize> {
        if at < self.run_end {
            return None;
        }
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-');
        let rest = tail(self.text, at);
        let length = rest.find(|c| !letter(c)).unwrap_or(rest.len());
        self.run_end = at + length;
        let run = rest.get(..length).unwrap_or_default();
        if !shapes::is_random(run) || says_public(self.before) {
            return None;
        }
        let padding = tail(rest, length).bytes().take(2).take_while(|byte| *byte == b'=').count();
        self.hide(at..at + length + padding);
        Some(at + length + padding)
    }

    /// Looks at the name that begins at `at` and what follows it.
    fn name(&mut self, at: usize) -> usize {
        let rest = tail(self.text, at);
        let end = at + rest.find(|c| !in_name(c)).unwrap_or(rest.len());
        let name = self.text.get(at..end).unwrap_or_default();
        let first = self.names == 0 || matches!(self.before, "export" | "set" | "setenv" | "-");
        let before = std::mem::replace(&mut self.before, name);
        self.names += u32::from(name != "-");
        if shapes::is_known_token(name) {
            self.hide(at..end);
            return end;
        }
        for (dot, _) in name.match_indices('.') {
            if let Some(end) = self.random_run(at + dot + 1) {
                return end;
            }
        }
        if let Some(after) = self.element(at, end, name) {
            return after;
        }
        if let Some(after) = self.attached_option(at, name) {
            return after;
        }
        let separator = match separator(self.text, end) {
            Separator::None if self.module_parameter => argument(self.text, end),
            known @ (Separator::Assigns(_) | Separator::Blank(_) | Separator::None) => known,
        };
        self.module_parameter |= name == "modparam";
        match separator {
            Separator::Assigns(from) if from <= self.place.line_end => {
                let between = self.text.get(end..from).unwrap_or_default();
                if self.place.open.is_some_and(|open| between.contains(open)) {
                    self.place.open = None; // the quote around the name closed
                }
                self.assignment(name, from, if first { Reach::Line } else { Reach::Word })
            }
            Separator::Blank(from) if from < self.place.line_end => {
                self.words(name, from, Word { first, before }).unwrap_or(end)
            }
            Separator::Assigns(_) | Separator::Blank(_) | Separator::None => end,
        }
    }

    /// `<password>…</password>`: the content of an element whose name is a secret's.
    fn element(&mut self, at: usize, end: usize, name: &str) -> Option<usize> {
        if !self.text.get(..at)?.ends_with('<') || !word_names_secret(name) {
            return None;
        }
        let open = self.near(end).line_tail(end).find('>')?;
        let from = end + open + 1;
        let content = tail(self.text, from);
        let length = content.find('<').unwrap_or(content.len());
        let inner = content.get(..length).unwrap_or_default();
        let start = from + (inner.len() - inner.trim_start().len());
        self.hide(start..(from + inner.trim_end().len()).max(start));
        Some(from + length)
    }

    /// A name with a value: `name=value`, `name: value`, `"name": "value"`.
    fn assignment(&mut self, name: &str, from: usize, reach: Reach) -> usize {
        let lower = name.to_ascii_lowercase();
        let plain = lower.trim_start_matches('-');
        if word_names_secret(plain_name(name)) {
            let range = value(&self.place, from, reach);
            let hidden = self.text.get(range.clone()).unwrap_or_default();
            if is_harmless(name, hidden) || self.is_harmless_line(name, from) {
                return from;
            }
            self.hide(range.clone());
            return range.end;
        }
        if NAME_ATTRIBUTES.contains(&plain) {
            self.name_attribute(from);
        } else if VALUE_ATTRIBUTES.contains(&plain) {
            return self.value_attribute(from);
        } else if AUTHORIZATIONS.contains(&plain) {
            return self.authorization(from);
        } else if matches!(plain, "sip" | "sips") {
            return self.user_info(from);
        } else if plain.ends_with("dsn") {
            return self.data_source(from);
        }
        from
    }

    /// Whether the rest of the line is what an apt pin or a database of names may hold; a line too
    /// long for that is not looked at.
    fn is_harmless_line(&self, name: &str, from: usize) -> bool {
        (name == "passwd" || name.eq_ignore_ascii_case("pin"))
            && self.place.line_end.saturating_sub(from) <= NEAR_BYTES
            && is_harmless(name, self.place.line_tail(from))
    }

    fn name_attribute(&mut self, from: usize) {
        let range = value(&self.near(from), from, Reach::Word);
        let named = self.text.get(range).unwrap_or_default();
        if !word_names_secret(named) {
            self.waiting = 0;
            return;
        }
        match self.value_before.take() {
            Some(from) => self.hide(value(&self.place, from, Reach::Word)),
            None => self.waiting = 2,
        }
    }

    fn value_attribute(&mut self, from: usize) -> usize {
        if self.waiting > 0 {
            self.waiting = 0;
            return self.hide_to(value(&self.place, from, Reach::Word));
        }
        self.value_before = Some(from);
        from
    }

    /// `Authorization: Bearer …`: the scheme stays readable.
    fn authorization(&mut self, from: usize) -> usize {
        let near = self.near(from);
        let line = near.line_tail(from).trim_start_matches(['"', '\'']);
        let from = near.line_end - line.len();
        let Some((scheme, rest)) = line.split_once(is_blank) else { return from };
        if !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
            return from;
        }
        let start = near.line_end - rest.trim_start_matches(is_blank).len();
        let range = value(&self.place, start, Reach::Word);
        self.hide(range.clone());
        range.end
    }

    /// `name:user:password`, as ODBC data sources are written.
    fn data_source(&mut self, from: usize) -> usize {
        let range = value(&self.near(from), from, Reach::Word);
        let source = self.text.get(range.clone()).unwrap_or_default();
        if let [name, user, secret] = source.splitn(3, ':').collect::<Vec<_>>()[..]
            && !source.contains("://")
            && ![name, user].iter().any(|part| part.ends_with("{secret"))
            && (secret.starts_with("{secret:") || !secret.contains(':'))
        {
            self.hide(range.end - secret.len()..range.end);
        }
        from
    }

    /// A name followed by a blank: an option, a keyword with its value, a header's scheme.
    fn words(&mut self, name: &'a str, from: usize, word: Word<'_>) -> Option<usize> {
        self.program = program(name).or(self.program);
        if matches!(name, "login" | "machine" | "user" | "username") {
            self.user_named = true;
        }
        if let Some((option, _)) = self.program
            && option == name
        {
            return self.option_value(from);
        }
        if name.eq_ignore_ascii_case("bearer") {
            let range = value(&self.place, from, Reach::Word);
            let token = self.text.get(range.clone()).unwrap_or_default();
            let likely = token.len() >= 16 && token.contains(|c: char| c.is_ascii_digit());
            return likely.then(|| self.hide_to(range));
        }
        let dashed = name.starts_with("--") || (name.starts_with('-') && !word.first);
        if !word_names_secret(plain_name(name)) {
            return None;
        }
        let next = self.place.line_tail(from);
        let (_, after) = next.split_once(is_blank).unwrap_or((next, ""));
        let from = match next.as_bytes() {
            // `secret 5 $1$…`: the digit says how the value is written.
            [digit, blank, _, ..] if digit.is_ascii_digit() && matches!(blank, b' ' | b'\t') => {
                from + next.len() - after.trim_start_matches(is_blank).len()
            }
            _ if dashed && next.starts_with("--") => return None,
            _ if dashed || self.user_named || word.before == "enable" => from,
            _ if word.first && after.trim_start().is_empty() => from,
            _ => return None,
        };
        let range = value(&self.place, from, Reach::Word);
        let hidden = self.text.get(range.clone()).unwrap_or_default();
        (!is_harmless(name, hidden)).then(|| self.hide_to(range))
    }

    /// The value of a program's secret option; of `user:password` and `user%password` only the
    /// password.
    fn option_value(&mut self, from: usize) -> Option<usize> {
        let mut range = value(&self.place, from, Reach::Word);
        let text = self.text.get(range.clone()).unwrap_or_default();
        if self.own.is_marker(text) {
            return Some(range.end);
        }
        if let Some(at) = text.find([':', '%']) {
            range.start += at + 1;
        } else if matches!(self.program, Some(("-u" | "-U", _))) {
            return None;
        }
        Some(self.hide_to(range))
    }

    /// `-pSECRET`, after a program that takes it.
    fn attached_option(&mut self, at: usize, name: &str) -> Option<usize> {
        let (option, Attached::Yes) = self.program? else { return None };
        let rest = name.strip_prefix(option).filter(|_| !name.starts_with("--"))?;
        let start = at + option.len();
        let follows = !rest.is_empty()
            || tail(self.text, start).starts_with(|c: char| !is_blank(c) && c != '\n');
        follows.then(|| self.hide_to(value(&self.place, start, Reach::Word)))
    }

    /// The place with a line that ends soon after `from`, for looks ahead that may be repeated.
    fn near(&self, from: usize) -> Place<'a> {
        let end = self.text.floor_char_boundary(from + NEAR_BYTES);
        Place { line_end: self.place.line_end.min(end), ..self.place }
    }

    fn hide_to(&mut self, range: Range<usize>) -> usize {
        let end = range.end;
        self.hide(range);
        end
    }

    /// Notes a secret, unless nothing is there or our marker is.
    fn hide(&mut self, range: Range<usize>) {
        let text = self.text.get(range.clone()).unwrap_or_default();
        if !text.is_empty() && !self.own.is_marker(text) {
            self.found.push(range);
        }
    }
}

/// How far names, and user, password and host of a URL, are looked for, in bytes. No real one is
/// longer, and a line that repeats their beginning must not cost the square of its length.
const NEAR_BYTES: usize = 512;

/// How much of a long name tells whether what follows is public, in bytes.
const TELLING_BYTES: usize = 128;

/// Whether `name` says that the run of base64 after it is public.
fn says_public(name: &str) -> bool {
    let cut = name.floor_char_boundary(name.len().saturating_sub(TELLING_BYTES));
    let name = tail(name, cut).to_ascii_lowercase();
    ["pub", "sha", "md5", "digest", "fingerprint", "hash", "integrity", "checksum", "cert"]
        .iter()
        .any(|word| name.contains(word))
}

/// Where a name stands among the words of its line.
struct Word<'a> {
    first: bool,
    before: &'a str,
}

/// A name without the dashes of an option.
fn plain_name(name: &str) -> &str {
    name.trim_start_matches('-')
}

/// The secret option of the program that `name` names.
fn program(name: &str) -> Option<(&'static str, Attached)> {
    PROGRAMS
        .iter()
        .find(|(program, ..)| name.starts_with(program))
        .map(|(_, option, attached)| (*option, *attached))
}
