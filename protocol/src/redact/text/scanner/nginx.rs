//! Two places of nginx where a secret stands between variables or is one by its table:
//!
//! ```nginx
//! secure_link_md5 "$secure_link_expires$uri X";
//! map $http_x_api_key $client {
//!     X  bob;
//! }
//! ```

use std::ops::Range;

use super::super::super::key_names::{is_harmless, word_names_secret};
use super::super::words::word_at;
use super::Scanner;

/// Which words of the entries of a `map` are secrets.
#[derive(Clone, Copy)]
pub(super) struct Map {
    /// The first, since what is looked up names a secret.
    keys: bool,
    /// The second, since what it gives does.
    values: bool,
}

/// What begins a line beside blanks where it is commented out.
const MARGIN: [char; 4] = [' ', '\t', '#', '\r'];

/// What stands between the parts of an expression and is none of them.
const BETWEEN: [char; 8] = [' ', '\t', ':', '/', '|', '-', '_', '.'];

/// First words of lines that are no entries.
const PARAMETERS: &[&str] = &["default", "hostnames", "include", "volatile"];

impl Scanner<'_> {
    /// Looks at the line that begins.
    pub(super) fn nginx_line(&mut self) {
        let line = self.place.line_tail(self.place.line_start);
        let bare = line.trim_start_matches(MARGIN);
        if let Some(expression) = bare.strip_prefix("secure_link_md5") {
            self.expression(expression);
        }
        if let Some(entries) = self.opened(bare) {
            self.entries(entries);
        } else if self.map.is_some() {
            self.entries(bare);
        }
    }

    /// What is written out in an expression of variables, which ends with its line.
    fn expression(&mut self, text: &str) {
        let inner = text.trim().trim_end_matches(';').trim_matches(['"', '\'']);
        let from = self.place.line_end - text.len() + text.find(inner).unwrap_or_default();
        let mut at = from;
        for part in inner.split_inclusive('$') {
            let plain = part.trim_end_matches('$');
            let name = at > from;
            let start = if name { after_name(plain) } else { 0 };
            let literal = plain.get(start..).unwrap_or_default();
            let kept = literal.trim_start_matches(BETWEEN);
            let begin = at + start + (literal.len() - kept.len());
            self.hide(begin..begin + kept.trim_end_matches(BETWEEN).len());
            at += part.len();
        }
    }

    /// Opens the table that this line begins; gives what follows its brace.
    fn opened<'t>(&mut self, line: &'t str) -> Option<&'t str> {
        let (head, rest) = line.strip_prefix("map ")?.split_once('{')?;
        let mut names = head.split_whitespace().map(|name| name.trim_matches(['"', '$', '}']));
        let (keys, values) = (names.next()?, names.next()?);
        let map = Map { keys: is_of_secret(keys), values: word_names_secret(values) };
        self.map = (map.keys || map.values).then_some(map);
        self.map.map(|_| rest)
    }

    /// The entries in `text`, which ends with its line.
    fn entries(&mut self, text: &str) {
        let Some(map) = self.map else { return };
        let mut at = self.place.line_end - text.len();
        for entry in text.split_inclusive(';') {
            self.entry(map, at..at + entry.len());
            at += entry.len();
            if entry.trim_start().starts_with('}') {
                self.map = None;
                return;
            }
        }
    }

    fn entry(&mut self, map: Map, span: Range<usize>) {
        let Some(key) = word_at(self.text, span.clone()) else { return };
        let shown = self.text.get(key.range.clone()).unwrap_or_default();
        if PARAMETERS.contains(&shown) && !(shown == "default" && map.values) {
            return;
        }
        let value = word_at(self.text, key.next..span.end);
        if map.keys && shown != "default" {
            self.word_of_table(key.range);
        }
        if let Some(value) = value.filter(|_| map.values) {
            self.word_of_table(value.range);
        }
    }

    /// Hides a word of a table, unless it plainly is a switch, a variable or a pattern of many.
    fn word_of_table(&mut self, range: Range<usize>) {
        let word = self.text.get(range.clone()).unwrap_or_default();
        let exact = word.trim_start_matches(['~', '*', '^']);
        let pattern = exact.len() < word.len();
        let many = pattern && exact.contains(['*', '+', '?', '[', '(', '\\', '.']);
        let scheme = ["Bearer ", "Basic ", "Token "].iter().find(|s| exact.starts_with(**s));
        let secret = exact.get(scheme.map_or(0, |s| s.len())..).unwrap_or_default();
        let secret = if pattern { secret.trim_end_matches('$') } else { secret };
        let short = secret.len() <= 2 && secret.bytes().all(|byte| byte.is_ascii_digit());
        if many || short || secret.starts_with(['$', '}']) || is_harmless("", secret) {
            return;
        }
        let start = range.start + (word.len() - exact.len()) + scheme.map_or(0, |s| s.len());
        self.hide(start..start + secret.len());
    }
}

/// Whether a variable of nginx holds a secret of the one who asks: `http_x_api_key`, `arg_token`.
fn is_of_secret(variable: &str) -> bool {
    word_names_secret(variable) || variable.ends_with("authorization")
}

/// Where the name of a variable ends that `text` begins with.
fn after_name(text: &str) -> usize {
    if text.starts_with('{') {
        return text.find('}').map_or(text.len(), |end| end + 1);
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}
