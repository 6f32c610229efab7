//! The one pass over a text that finds where its secrets stand.
//!
//! Goes from name to name; what follows a name decides. Within a line it remembers the open quote
//! and whether a name attribute waits for its value. A line that holds no mark of a secret
//! (`marks`) is passed over; what words in a certain order say is known by `phrases`, what options
//! of programs say by `programs`.

mod blocks;
pub(super) mod calls;
mod keywords;
mod logins;
mod markup;
mod nginx;
mod users;

use std::ops::Range;

use crate::ids::KeyId;
use crate::mutant::{self, Mutant};

use self::blocks::Block;
pub(super) use self::blocks::indentation;
use self::keywords::Word;
use self::markup::{NAME_ATTRIBUTES, VALUE_ATTRIBUTES};
use self::nginx::Map;
use super::super::key_names::{is_collection, is_harmless, word_names_secret};
use super::marks::Marks;
use super::values::{Place, Reach, Separator, argument, compared, in_name, separator, tail, value};
use super::words::is_sentence;
use super::{phrases, programs, shapes};

/// Where the secrets of `text` stand, in no order; ranges may overlap.
pub(super) fn secrets(text: &str, key: KeyId) -> Vec<Range<usize>> {
    found(text, key, Marks::of(text))
}

/// As [`secrets`], with these marks to say which lines need a look.
pub(super) fn found(text: &str, key: KeyId, marks: Marks<'_>) -> Vec<Range<usize>> {
    let mut scanner = Scanner::new(text, shapes::Own::of(key), marks);
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
    /// Which lines need a look.
    marks: Marks<'a>,
    /// Whether this line needs none.
    dull: bool,
    /// Whose lines we are in.
    block: Option<Block>,
    /// Whose entries these lines are.
    map: Option<Map>,
    /// The line and the quote we are in.
    place: Place<'a>,
    /// The end of the last run of base64 that was looked at.
    run_end: usize,
    /// Names on this line so far.
    names: u32,
    /// The bytes of long values on this line that were looked at and left.
    left: usize,
    /// A name attribute named a secret; how many lines its value may still be away.
    waiting: u32,
    /// A name attribute named a data source on this line.
    source_named: bool,
    /// Where the value attribute seen before its name attribute has its value.
    value_before: Option<usize>,
    /// The name before this one.
    before: &'a str,
    /// Whether the line calls with a name and its value: `modparam("module", "parameter", value)`.
    call: bool,
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
    fn new(text: &'a str, own: shapes::Own, marks: Marks<'a>) -> Self {
        let place = Place { text, line_start: 0, line_end: 0, open: None };
        let mut scanner = Self {
            text,
            own,
            found: Vec::new(),
            marks,
            dull: false,
            block: None,
            map: None,
            place,
            run_end: 0,
            names: 0,
            left: 0,
            waiting: 0,
            source_named: false,
            value_before: None,
            before: "",
            call: false,
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
        self.left = 0;
        self.waiting = self.waiting.saturating_sub(1);
        self.value_before = None;
        self.source_named = false;
        self.before = "";
        self.call = false;
        self.user_named = false;
        let awaits = self.waiting > 0 || self.block.is_some() || self.map.is_some();
        self.dull = !self.marks.any_in(at..line_end) && !awaits;
        if !self.dull {
            self.whole_line();
        }
    }

    /// What the words of a line say, before its names are looked at.
    fn whole_line(&mut self) {
        let Place { line_start, line_end, .. } = self.place;
        self.block_line();
        let line = self.place.line_tail(line_start);
        let bare = line.trim_start_matches([' ', '\t', '#', ';', '!']);
        let bare = bare.strip_prefix("- ").or_else(|| bare.strip_prefix("// ")).unwrap_or(bare);
        let mut found = Vec::new();
        phrases::directive(self.text, line_end - bare.len()..line_end, &mut found);
        programs::secrets(self.text, line_start..line_end, &mut found);
        found.into_iter().for_each(|secret| self.hide(secret));
        self.open_argument();
        self.nginx_line();
    }

    /// Looks at the character at `at`; gives where to go on.
    fn step(&mut self, at: usize, c: char) -> usize {
        if at > self.place.line_end {
            self.begin_line(at);
        }
        if self.dull && at < self.place.line_end {
            return self.place.line_end;
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
            // `curlftpfs#user:X@host`, a device of fstab.
            '#' if self.before.ends_with("fs") => return self.mounted(at + 1),
            '@' if ["@tcp(", "@unix(", "@("].iter().any(|host| rest.starts_with(host)) => {
                self.bare_user(at);
            }
            '$' | '{' => {
                if let Some(length) = shapes::password_hash(rest) {
                    self.hide(at..at + length);
                    return at + length;
                }
                self.value_before = None;
            }
            '/' if rest.starts_with("/>") => self.waiting = 0,
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
        self.before = name;
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
        if name == "sofia"
            && let Some(end) = self.dialled(end)
        {
            return end;
        }
        self.called(name, end);
        if let Some(end) = self.placed(name, at..end) {
            return end;
        }
        let separator = match separator(self.text, end) {
            Separator::None if self.call || name.starts_with("--") => argument(self.text, end),
            Separator::None => compared(self.text, at..end),
            known @ (Separator::Assigns(_) | Separator::Blank(_)) => known,
        };
        self.call |= CALLS.contains(&name) && tail(self.text, end).trim_start().starts_with('(');
        match separator {
            Separator::Assigns(from) if from <= self.place.line_end => {
                let between = self.text.get(end..from).unwrap_or_default();
                if self.place.open.is_some_and(|open| between.contains(open)) {
                    self.place.open = None; // the quote around the name closed
                }
                self.assignment(name, from, if first { Reach::Line } else { Reach::Word })
            }
            Separator::Blank(from) if from < self.place.line_end => {
                self.words(name, from, &Word { first }).unwrap_or(end)
            }
            Separator::Assigns(_) | Separator::Blank(_) | Separator::None => end,
        }
    }

    /// A name with a value: `name=value`, `name: value`, `"name": "value"`.
    fn assignment(&mut self, name: &str, from: usize, reach: Reach) -> usize {
        let lower = name.to_ascii_lowercase();
        let plain = lower.trim_start_matches('-');
        if from >= self.place.line_end && reach == Reach::Line {
            self.open_block(name);
        }
        if is_collection(plain)
            && let Some(after) = self.flow_list(plain, from)
        {
            return after;
        }
        if word_names_secret(plain_name(name)) {
            return self.named_secret(name, from, reach);
        }
        // dracut.cmdline(7): `netroot=iscsi:user:password@host::port:lun:target`.
        if plain.ends_with("root") && tail(self.text, from).starts_with("iscsi:") {
            return self.account(from + "iscsi:".len());
        }
        if NAME_ATTRIBUTES.contains(&plain) {
            return self.name_attribute(from);
        } else if VALUE_ATTRIBUTES.contains(&plain) {
            return self.value_attribute(from);
        } else if keywords::names_authorization(plain) {
            return self.authorization(from);
        } else if let Some(after) = self.login(plain, from) {
            return after;
        } else if matches!(plain, "sip" | "sips") {
            return self.user_info(from);
        } else if ACCOUNTS.contains(&plain)
            || (is_proxy(plain) && self.next_at(from) < self.place.line_end)
        {
            return self.account(from);
        } else if plain.ends_with("dsn") {
            return self.data_source(from);
        }
        from
    }

    /// The value of a name that is a secret's.
    fn named_secret(&mut self, name: &str, from: usize, reach: Reach) -> usize {
        let mut range = value(&self.place, from, reach);
        let hidden = self.text.get(range.clone()).unwrap_or_default();
        let harmless = is_harmless(name, hidden)
            || self.is_harmless_line(name, from)
            || is_sentence(hidden)
            || keywords::is_expression(tail(self.text, from));
        if harmless && self.may_be_left(hidden) {
            return from;
        }
        // A source of `openssl`: `-passin pass:X`.
        if name.starts_with("-pass") && !name.starts_with("--") {
            match hidden.strip_prefix("pass:") {
                Some(rest) => range.start = range.end - rest.len(),
                None if keywords::is_source(hidden) => return from,
                None => {}
            }
        }
        self.hide_to(range)
    }

    /// Whether what a value holds may be looked at again, name by name. Values that reach over each
    /// other cost the square of the line, so those beyond [`LEFT_BYTES`] are hidden as they are.
    fn may_be_left(&mut self, value: &str) -> bool {
        if value.len() > NEAR_BYTES && !mutant::active(Mutant::LongValuesAreLeft) {
            self.left += value.len();
        }
        self.left <= LEFT_BYTES
    }

    /// `tokens: [a, b]`, where the name is a collection's.
    fn flow_list(&mut self, name: &str, from: usize) -> Option<usize> {
        let near = self.near(from);
        let list = near.line_tail(from).strip_prefix('[')?;
        let end = list.find(']').unwrap_or(list.len());
        let mut start = from + 1;
        for member in list.get(..end)?.split(',') {
            let bare = member.trim_matches([' ', '\t', '"', '\'']);
            let blanks = member.len() - member.trim_start_matches([' ', '\t', '"', '\'']).len();
            if !is_harmless(name, bare) {
                self.hide(start + blanks..start + blanks + bare.len());
            }
            start += member.len() + 1;
        }
        Some(from + 1 + end)
    }

    /// Whether the rest of the line is what an apt pin or a database of names may hold; a line too
    /// long for that is not looked at.
    fn is_harmless_line(&self, name: &str, from: usize) -> bool {
        (name == "passwd" || name.eq_ignore_ascii_case("pin"))
            && self.place.line_end.saturating_sub(from) <= NEAR_BYTES
            && is_harmless(name, self.place.line_tail(from))
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

/// Functions that are called with a name and, behind a comma, its value.
const CALLS: &[&str] =
    &["modparam", "define", "putenv", "setenv", "set", "setdefault", "setProperty", "put", "add"];

/// Names whose value may be `user:password@host` without a scheme, as SIP servers write accounts.
pub(super) const ACCOUNTS: &[&str] = &[
    "account",
    "amqp_connection",
    "auth",
    "hosts",
    "login",
    "proxy",
    "register",
    "upstream",
    "user",
    "username",
];

/// Whether a name is one of a proxy, which may stand without a scheme: `user:password@host:3128`.
fn is_proxy(plain: &str) -> bool {
    plain.ends_with("proxy") || plain.ends_with("proxyserver")
}

/// How far names, and user, password and host of a URL, are looked for, in bytes. No real one is
/// longer, and a line that repeats their beginning must not cost the square of its length.
const NEAR_BYTES: usize = 512;

/// How much of the values of one line that are longer than that may be left in the clear, in bytes.
const LEFT_BYTES: usize = 64 * 1024;

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

/// A name without the dashes of an option.
fn plain_name(name: &str) -> &str {
    name.trim_start_matches('-')
}
