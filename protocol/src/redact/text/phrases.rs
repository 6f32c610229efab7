//! Secrets that stand behind certain words in a certain order, without a separator that says so:
//! `snmp-server community X RO`, `neighbor 10.0.0.1 password 7 X`, `htpasswd -b file user X`.
//!
//! One table. A pattern is a row of words, tried where its first word stands: at the beginning of a
//! line for directives, anywhere in it for commands. It knows nothing of what else a line may hold.
//!
//! | in a pattern | stands for |
//! |---|---|
//! | `word`, `a|b` | itself or one of several, in any case; a `*` in it is any text |
//! | `?word` | the same, or nothing |
//! | `*` | any word |
//! | `**` | up to [`SKIPPED`] words |
//! | `#` | a number, or nothing: how the value is written |
//! | `!` | a word that names a secret |
//! | `hdr(!)` | a word in whose brackets one stands, or `Authorization` |
//! | `§` | the secret |
//! | `:§`, `>§` … | a word in which the secret follows this sign |
//! | `:@§` | a word in which it stands between a colon and the last `@` |
//! | `~§` | the secret, where a sentence might go on without one |
//! | `$`, `$$` | the end of the line, with a semicolon before it or without |
//!
//! Invariant: a pattern looks at most [`NEAR_BYTES`] ahead, so a line of first words costs a
//! constant for each.

mod tables;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use self::tables::{COMMANDS, DIRECTIVES};
use super::super::key_names::{is_harmless, may_name_secret, word_names_secret};
use super::marks::Mark;
use super::values::is_blank;
use super::words::{Word, is_plain_prose, is_told_of, word_at};

/// The most words that `**` passes over.
const SKIPPED: usize = 12;

/// How far a pattern looks ahead, in bytes; no directive of the table is longer.
const NEAR_BYTES: usize = 512;

/// One word of a pattern.
enum Element {
    /// One of these texts, with stars.
    Literal(Vec<&'static str>),
    /// The same, or nothing.
    Optional(Vec<&'static str>),
    /// A number, or nothing.
    Number,
    Any,
    Several,
    /// A word that names a secret.
    Name,
    /// A word that ends like this one, before brackets in which a header of a secret is named.
    Header(&'static str),
    /// The secret, behind this sign in its word where one is given.
    Secret(&'static str),
    /// The end of the line, and whether a semicolon may stand there.
    End(Semicolon),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Semicolon {
    May,
    MayNot,
}

type Pattern = Vec<Element>;

/// Patterns by their first word in lower case; those whose first word has a star stand apart.
struct Table {
    by_word: HashMap<String, Vec<usize>>,
    starred: Vec<usize>,
    patterns: Vec<Pattern>,
}

static DIRECTIVE_TABLE: LazyLock<Table> = LazyLock::new(|| Table::of(DIRECTIVES));
static COMMAND_TABLE: LazyLock<Table> = LazyLock::new(|| Table::of(COMMANDS));

/// The secrets behind the directive that begins at `start`, in the line that ends at `end`.
pub(super) fn directive(text: &str, span: Range<usize>, found: &mut Vec<Range<usize>>) {
    DIRECTIVE_TABLE.find(text, span, found);
}

/// The secrets behind the command whose name begins at the start of `span`.
pub(super) fn command(text: &str, span: Range<usize>, found: &mut Vec<Range<usize>>) {
    let table = &*COMMAND_TABLE;
    let near = text.floor_char_boundary(span.start + NEAR_BYTES).min(span.end);
    let word = text.get(span.start..near).unwrap_or_default();
    let word = word.split(is_blank).next().unwrap_or_default();
    // Most words of a host are no command; those of SQL may be written in capitals.
    let name = base_name(word);
    let shouted = name.starts_with(|c: char| c.is_ascii_uppercase());
    let is_known = match shouted {
        true => table.by_word.contains_key(&name.to_ascii_lowercase()),
        false => table.by_word.contains_key(name),
    };
    if !is_known {
        return;
    }
    table.find(text, span, found);
}

/// Words of which one stands in every text that a pattern may match and that holds no mark of a
/// name of a secret.
pub(super) fn marks() -> impl Iterator<Item = Mark> {
    let marked = |word: &&str| may_name_secret(word);
    let sure = move |pattern: &&Pattern| {
        pattern.iter().any(|element| match element {
            Element::Name | Element::Header(_) => true,
            Element::Literal(words) => words.iter().all(marked),
            Element::Optional(_)
            | Element::Number
            | Element::Any
            | Element::Several
            | Element::Secret(_)
            | Element::End(_) => false,
        })
    };
    let tables = [&*DIRECTIVE_TABLE, &*COMMAND_TABLE];
    let unsure = tables.into_iter().flat_map(|table| &table.patterns);
    unsure.filter(move |pattern| !sure(pattern)).flat_map(|pattern| {
        let literals = pattern.iter().filter_map(|element| match element {
            Element::Literal(words) => Some(words.as_slice()),
            Element::Optional(_)
            | Element::Number
            | Element::Any
            | Element::Several
            | Element::Name
            | Element::Header(_)
            | Element::Secret(_)
            | Element::End(_) => None,
        });
        // The longest are the rarest: `:` stands in every other line.
        let shortest = |words: &&[&str]| words.iter().map(|word| word.len()).min();
        let words = literals.max_by_key(shortest).unwrap_or_default();
        words.iter().map(|word| Mark::word(word))
    })
}

impl Table {
    fn of(rows: &[&'static str]) -> Self {
        let patterns: Vec<Pattern> =
            rows.iter().map(|row| row.split(' ').map(Element::of).collect()).collect();
        let mut table = Self { by_word: HashMap::new(), starred: Vec::new(), patterns: Vec::new() };
        for (index, pattern) in patterns.iter().enumerate() {
            let words = match pattern.first() {
                Some(Element::Literal(words)) => words.as_slice(),
                _ => &[],
            };
            if words.is_empty() || words.iter().any(|word| word.contains('*')) {
                table.starred.push(index);
                continue;
            }
            for word in words {
                table.by_word.entry(word.to_ascii_lowercase()).or_default().push(index);
            }
        }
        table.patterns = patterns;
        table
    }

    fn find(&self, text: &str, span: Range<usize>, found: &mut Vec<Range<usize>>) {
        let near = text.floor_char_boundary(span.start + NEAR_BYTES);
        let span = span.start..span.end.min(near);
        let Some(first) = word_at(text, span.clone()) else { return };
        let first = text.get(first.range).unwrap_or_default();
        let known = found.len();
        let named = self.by_word.get(&base_name(first).to_ascii_lowercase());
        for index in named.into_iter().flatten().chain(&self.starred) {
            let Some(pattern) = self.patterns.get(*index) else { continue };
            // Most lines begin with none of the words with stars; said here, it costs no copy.
            if let Some(Element::Literal(words)) = pattern.first()
                && !(is_one_of(words, first) || is_one_of(words, base_name(first)))
            {
                continue;
            }
            let mut secrets = Vec::new();
            if (Matcher { text, end: span.end }).matches(pattern, span.start, &mut secrets) {
                // The row that is more exact stands first.
                let fresh = |secret: &Range<usize>| {
                    found.iter().skip(known).all(|f| secret.end <= f.start || f.end <= secret.start)
                };
                secrets.retain(fresh);
                found.extend(secrets);
            }
        }
    }
}

/// A command is its last segment, whatever folder it stands in.
fn base_name(word: &str) -> &str {
    if word.starts_with("//") { word } else { word.rsplit('/').next().unwrap_or(word) }
}

impl Element {
    fn of(word: &'static str) -> Self {
        let words = |word: &'static str| word.split('|').collect::<Vec<_>>();
        match word {
            "|" => Self::Literal(vec![word]),
            "*" => Self::Any,
            "**" => Self::Several,
            "#" => Self::Number,
            "!" => Self::Name,
            _ if word.ends_with("(!)") => Self::Header(word.trim_end_matches("(!)")),
            "$" => Self::End(Semicolon::May),
            "$$" => Self::End(Semicolon::MayNot),
            _ => match (word.strip_suffix('§'), word.strip_prefix('?')) {
                (Some(sign), _) => Self::Secret(sign),
                (None, Some(optional)) => Self::Optional(words(optional)),
                (None, None) => Self::Literal(words(word)),
            },
        }
    }
}

struct Matcher<'a> {
    text: &'a str,
    end: usize,
}

impl Matcher<'_> {
    /// Whether `pattern` matches from `at` on; the secrets it names go to `found`.
    fn matches(&self, pattern: &[Element], at: usize, found: &mut Vec<Range<usize>>) -> bool {
        let Some((element, rest)) = pattern.split_first() else { return true };
        let word = word_at(self.text, at..self.end);
        if let Element::End(semicolon) = element {
            let tail = self.text.get(at..self.end).unwrap_or_default().trim();
            let semicolon = *semicolon == Semicolon::May && tail == ";";
            return semicolon || tail.trim_end_matches(['"', '\'', ')']).is_empty();
        }
        let Some(word) = word else {
            let optional = matches!(element, Element::Optional(_) | Element::Number);
            return optional && self.matches(rest, at, found);
        };
        let shown = self.text.get(word.range.clone()).unwrap_or_default();
        let next = word.next;
        match element {
            Element::Any => !is_option(shown) && self.matches(rest, next, found),
            Element::Name => word_names_secret(shown) && self.matches(rest, next, found),
            Element::Header(of) => {
                header(shown, of).is_some_and(is_of_secret) && self.matches(rest, next, found)
            }
            Element::Literal(words) => {
                (is_one_of(words, shown) || is_one_of(words, base_name(shown)))
                    && self.matches(rest, next, found)
            }
            Element::Optional(words) => {
                (is_one_of(words, shown) && self.matches(rest, next, found))
                    || self.matches(rest, at, found)
            }
            Element::Number => {
                let number = shown.len() <= 3 && shown.bytes().all(|byte| byte.is_ascii_digit());
                (number && self.matches(rest, next, found)) || self.matches(rest, at, found)
            }
            Element::Several => self.several(rest, at, found),
            Element::Secret(sign) => self.secret((sign, &word), rest, found),
            Element::End(_) => false,
        }
    }

    fn several(&self, rest: &[Element], at: usize, found: &mut Vec<Range<usize>>) -> bool {
        let mut at = at;
        for _ in 0..=SKIPPED {
            if self.matches(rest, at, found) {
                return true;
            }
            let Some(word) = word_at(self.text, at..self.end) else { return false };
            at = word.next;
        }
        false
    }

    fn secret(
        &self,
        (sign, word): (&str, &Word),
        rest: &[Element],
        found: &mut Vec<Range<usize>>,
    ) -> bool {
        let (sign, is_prose): (_, fn(&str) -> bool) =
            if sign == "~" { ("", is_told_of) } else { (sign, is_plain_prose) };
        let Some(range) = behind(self.text, word, sign) else { return false };
        let shown = self.text.get(range.clone()).unwrap_or_default();
        let open = !word.quoted && is_prose(shown);
        if shown.is_empty() || open || is_no_secret(shown) {
            return false;
        }
        let known = found.len();
        found.push(range);
        let matches = self.matches(rest, word.next, found);
        if !matches {
            found.truncate(known);
        }
        matches
    }
}

/// The header that `req.hdr(NAME,1)` asks for, where the function ends in `of`.
fn header<'a>(word: &'a str, of: &str) -> Option<&'a str> {
    let (function, name) = word.split_once('(')?;
    let name = name.split([',', ')']).next().unwrap_or_default();
    function.ends_with(of).then_some(name)
}

fn is_of_secret(header: &str) -> bool {
    word_names_secret(header) || header.to_ascii_lowercase().ends_with("authorization")
}

fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

/// The part of `word` behind `sign`; the whole word where no sign is given.
fn behind(text: &str, word: &Word, sign: &str) -> Option<Range<usize>> {
    let shown = text.get(word.range.clone())?;
    if !matches!(sign, ":" | "/" | ":@") {
        return shown.strip_prefix(sign).map(|rest| word.range.end - rest.len()..word.range.end);
    }
    let (before, rest) = shown.split_once(if sign == ":@" { ":" } else { sign })?;
    if before.is_empty() || before.ends_with("{secret") || is_address(shown) {
        return None;
    }
    let start = word.range.end - rest.len();
    let length = match sign {
        ":@" if rest.starts_with("//") => return None,
        ":@" => rest.rfind('@')?,
        // `user/password@database`.
        "/" => rest.rfind('@').unwrap_or(rest.len()),
        _ => rest.len(),
    };
    Some(start..start + length)
}

/// Whether a word with colons is an address of IPv6 or of a network card, with or without a mask.
fn is_address(word: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_hexdigit() || b":./".contains(&byte);
    word.matches(':').count() > 1 && word.bytes().all(part)
}

/// Whether a value is plainly none of a secret: a variable, a switch, a route's community.
fn is_no_secret(value: &str) -> bool {
    let numbers = |value: &str| value.bytes().all(|byte| byte.is_ascii_digit());
    let pair = value.split_once(':').is_some_and(|(a, b)| numbers(a) && numbers(b));
    is_harmless("community", value)
        || pair
        || value.starts_with(['$', '-', '<', '|', '='])
        || (value.len() <= 2 && numbers(value))
        || ["ENC", "additive", "disable", "informs", "traps", "x", "y"].contains(&value)
}

fn is_one_of(patterns: &[&str], word: &str) -> bool {
    patterns.iter().any(|pattern| is_like(pattern, word))
}

/// Whether `word` is like `pattern`, in which a star stands for any text; letters of any case but
/// in options.
fn is_like(pattern: &str, word: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        // Options differ by their case: `-a SHA -A X`.
        if pattern.starts_with('-') {
            return pattern == word;
        }
        return pattern.eq_ignore_ascii_case(word);
    };
    let starts = word.get(..before.len()).is_some_and(|start| start.eq_ignore_ascii_case(before));
    let Some(rest) = word.get(before.len()..).filter(|_| starts) else { return false };
    if let Some((middle, "")) = after.split_once('*') {
        return rest.to_ascii_lowercase().contains(&middle.to_ascii_lowercase());
    }
    let from = rest.len().checked_sub(after.len());
    from.and_then(|from| rest.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case(after))
}
