//! Names that a blank separates from their value, and headers with a scheme before the secret:
//! `requirepass X`, `--password X`, `Authorization: Bearer X`.

use super::super::super::key_names::{is_harmless, word_names_secret};
use super::super::values::{Place, Reach, is_blank, tail, value};
use super::super::words::is_plain_prose;
use super::{Scanner, plain_name};

/// Names of HTTP headers with a scheme before the secret.
pub(super) const AUTHORIZATIONS: &[&str] = &["authorization", "proxy-authorization"];

/// Whether a name is one of such a header, or of the variable that nginx or Varnish has of it.
pub(super) fn names_authorization(plain: &str) -> bool {
    AUTHORIZATIONS.contains(&plain)
        || ["http_authorization", "http.authorization"].iter().any(|end| plain.ends_with(end))
}

/// Schemes of such headers.
const SCHEMES: &[&str] = &["basic", "bearer", "digest", "negotiate", "ntlm", "token"];

/// The fewest characters of a token after a scheme where no header's name says that it is one.
const BARE_TOKEN_CHARACTERS: usize = 16;

/// Where a name stands among the words of its line.
pub(super) struct Word {
    pub(super) first: bool,
}

impl Scanner<'_> {
    /// `Authorization: Bearer …`: the scheme stays readable.
    pub(super) fn authorization(&mut self, from: usize) -> usize {
        let near = self.near(from);
        let rest = near.line_tail(from);
        let line = rest.trim_start_matches(['"', '\'']);
        // The quote that the value stands in, which may close on this line.
        let quote = rest.chars().next().filter(|_| line.len() < rest.len());
        let start = near.line_end - line.len();
        let blank = |c: char| is_blank(c) || c == '\\';
        let Some((scheme, rest)) = line.split_once(blank) else { return start };
        if !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
            return start;
        }
        let start = near.line_end - rest.trim_start_matches(blank).len();
        let place = Place { open: quote.or(self.place.open), ..self.place };
        let range = value(&place, start, Reach::Word);
        let hidden = self.text.get(range.clone()).unwrap_or_default();
        if is_harmless("", hidden) || hidden.starts_with('$') || is_plain_prose(hidden) {
            return range.start;
        }
        self.hide_to(range)
    }

    /// A name followed by a blank: an option, a keyword with its value, a header's scheme.
    pub(super) fn words(&mut self, name: &str, from: usize, word: &Word) -> Option<usize> {
        if matches!(name, "login" | "machine" | "user" | "username") {
            self.user_named = true;
        }
        if AUTHORIZATIONS.contains(&name.to_ascii_lowercase().as_str()) {
            return Some(self.authorization(from)).filter(|to| *to > from);
        }
        // `$http_authorization != "Basic X"`.
        if names_authorization(&name.to_ascii_lowercase()) {
            let rest = self.near(from).line_tail(from);
            let value = rest.trim_start_matches(['!', '=', '~', '*', ' ']);
            let from = from + (rest.len() - value.len());
            return Some(self.authorization(from)).filter(|to| *to > from);
        }
        if name.eq_ignore_ascii_case("bearer") {
            let range = value(&self.place, from, Reach::Word);
            let token = self.text.get(range.clone()).unwrap_or_default();
            let likely = token.len() >= BARE_TOKEN_CHARACTERS
                && token.contains(|c: char| c.is_ascii_digit());
            // `"Bearer X"`: a text of a scheme and one word.
            let quote = self.place.open.filter(|open| {
                let before = self.text.get(..from).unwrap_or_default().trim_end_matches(is_blank);
                let before = before.get(..before.len() - name.len()).unwrap_or_default();
                before.ends_with(*open) && tail(self.text, range.end).starts_with(*open)
            });
            let likely = likely || (quote.is_some() && !is_variable(token));
            return likely.then(|| self.hide_to(range));
        }
        if !word_names_secret(plain_name(name)) {
            return None;
        }
        let from = self.keyword_value(name, from, word)?;
        let range = value(&self.place, from, Reach::Word);
        let hidden = self.text.get(range.clone()).unwrap_or_default();
        let plain = is_harmless(name, hidden) || is_plain_prose(hidden) || is_pair(hidden);
        let plain = plain || is_option(hidden) || is_source_of(name, hidden);
        (!plain).then(|| self.hide_to(range))
    }

    /// Where the value of a secret's name stands that a blank follows, if it has one there.
    fn keyword_value(&self, name: &str, from: usize, word: &Word) -> Option<usize> {
        let dashed = name.starts_with("--") || (name.starts_with('-') && !word.first);
        let next = self.place.line_tail(from);
        let (_, after) = next.split_once(is_blank).unwrap_or((next, ""));
        match next.as_bytes() {
            // `secret 5 $1$…`: the digit says how the value is written.
            [digit, blank, _, ..] if digit.is_ascii_digit() && matches!(blank, b' ' | b'\t') => {
                Some(from + next.len() - after.trim_start_matches(is_blank).len())
            }
            _ if dashed && next.starts_with("--") => None,
            _ if dashed || self.user_named => Some(from),
            _ if word.first && after.trim_start().is_empty() => Some(from),
            _ => None,
        }
    }
}

/// Whether a word is a variable, or a place to be filled.
fn is_variable(word: &str) -> bool {
    word.starts_with(['$', '%', '{', '<'])
}

/// Whether a word is another option, or what a shell does with the command.
fn is_option(word: &str) -> bool {
    word.starts_with("--")
        || (word.len() == 2 && word.starts_with('-'))
        || word.starts_with(['<', '|', '>', '&'])
}

/// Whether a word is a pair with a name of its own.
fn is_pair(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    })
}

/// Whether the value of `openssl`'s option names a place, not a secret.
fn is_source_of(name: &str, value: &str) -> bool {
    name.starts_with("-pass") && !name.starts_with("--") && is_source(value)
}

/// `file:…`, `env:…`, and `pass:…`, whose secret the program's own row takes.
pub(super) fn is_source(value: &str) -> bool {
    value == "stdin" || ["file:", "env:", "fd:", "pass:"].iter().any(|s| value.starts_with(s))
}

/// What code writes where a value comes from elsewhere.
const EXPRESSIONS: &[&str] =
    &["$(", "`", "os.environ", "os.getenv", "process.env", "getenv(", "env(", "ENV["];

/// Whether `rest` begins with a command or an expression that gives the value.
pub(super) fn is_expression(rest: &str) -> bool {
    let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
    EXPRESSIONS.iter().any(|start| rest.starts_with(start))
}
