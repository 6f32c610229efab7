//! Words of a line as a shell or a router sees them, and which of them are plainly English.

use std::ops::Range;

use super::values::{is_blank, tail};

/// One word of a line.
pub(super) struct Word {
    /// Where it stands, without its quotes.
    pub(super) range: Range<usize>,
    /// Where the next word may begin.
    pub(super) next: usize,
    /// Whether quotes stood around it.
    pub(super) quoted: bool,
}

/// The first word of `span`; `None` where there is none.
///
/// A quoted word reaches to its quote. What ends a statement or closes a quote that was opened
/// before the word is no part of it.
pub(super) fn word_at(text: &str, span: Range<usize>) -> Option<Word> {
    let line = text.get(span.clone())?;
    let trimmed = line.trim_start_matches(is_blank);
    let start = span.end - trimmed.len();
    let first = trimmed.chars().next()?;
    if matches!(first, '"' | '\'')
        && let Some(length) = tail(trimmed, 1).find(first)
    {
        let range = start + 1..start + 1 + length;
        return Some(Word { next: range.end + 1, range, quoted: true });
    }
    let length = trimmed.find(is_blank).unwrap_or(trimmed.len());
    let word = trimmed.get(..length).unwrap_or(trimmed);
    let inner = word.trim_start_matches(['"', '\'', '`', '(']).trim_end_matches([';', ',']);
    let inner = without_closers(inner);
    let from = start + (word.len() - word.trim_start_matches(['"', '\'', '`', '(']).len());
    // `if (x) {`: a word of closers alone stays one.
    let range = if inner.is_empty() { start..start + length } else { from..from + inner.len() };
    Some(Word { range, next: start + length, quoted: false })
}

/// A word without the quotes and brackets at its end that nothing in it opens.
fn without_closers(word: &str) -> &str {
    let mut word = word;
    loop {
        let closer = word.chars().next_back();
        let opener = match closer {
            Some(')') => '(',
            Some(quote @ ('"' | '\'' | '`')) => quote,
            _ => return word,
        };
        let inner = word.get(..word.len() - 1).unwrap_or_default();
        if inner.contains(opener) {
            return word;
        }
        word = inner.trim_end_matches([';', ',']);
    }
}

/// Words that stand behind a word for a secret in a sentence and are no secrets, in lower case.
const PROSE: &[&str] = &[
    "a",
    "an",
    "and",
    "any",
    "are",
    "as",
    "asks",
    "at",
    "authentication",
    "be",
    "been",
    "before",
    "by",
    "can",
    "could",
    "does",
    "each",
    "file",
    "files",
    "for",
    "format",
    "from",
    "handling",
    "has",
    "have",
    "here",
    "how",
    "if",
    "in",
    "into",
    "is",
    "isn't",
    "it",
    "its",
    "key",
    "keys",
    "may",
    "must",
    "needed",
    "needs",
    "not",
    "of",
    "off",
    "on",
    "only",
    "option",
    "options",
    "or",
    "out",
    "password",
    "passwords",
    "per",
    "phrase",
    "prompt",
    "protected",
    "required",
    "secret",
    "secrets",
    "see",
    "set",
    "should",
    "string",
    "strings",
    "than",
    "that",
    "the",
    "then",
    "this",
    "to",
    "token",
    "tokens",
    "up",
    "use",
    "used",
    "username",
    "via",
    "was",
    "when",
    "where",
    "which",
    "will",
    "with",
    "without",
    "would",
    "you",
    "your",
];

/// Words that follow `the password is` beside those, where none is told. No passphrase is judged by
/// them: people choose such words.
const TOLD: &[&str] = &[
    "accepted",
    "always",
    "blank",
    "case-sensitive",
    "changed",
    "checked",
    "correct",
    "created",
    "default",
    "different",
    "disabled",
    "empty",
    "enabled",
    "encrypted",
    "expired",
    "generated",
    "given",
    "good",
    "hashed",
    "hidden",
    "ignored",
    "incorrect",
    "invalid",
    "kept",
    "known",
    "logged",
    "longer",
    "missing",
    "never",
    "no",
    "now",
    "null",
    "ok",
    "optional",
    "passed",
    "printed",
    "read",
    "refreshed",
    "refused",
    "rejected",
    "renewed",
    "rotated",
    "same",
    "sensitive",
    "sent",
    "shared",
    "shorter",
    "shown",
    "still",
    "stored",
    "supplied",
    "taken",
    "too",
    "typed",
    "unknown",
    "unset",
    "unused",
    "valid",
    "visible",
    "weak",
    "written",
    "wrong",
];

/// Whether a word behind `the password is` tells none.
pub(super) fn is_told_of(word: &str) -> bool {
    let bare = word.trim_end_matches(['.', ',', ':', ';']);
    is_plain_prose(word) || TOLD.contains(&bare.to_ascii_lowercase().as_str())
}

/// Whether a word without quotes is one of a sentence.
pub(super) fn is_plain_prose(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ',', ':', ';']);
    !word.is_empty() && PROSE.contains(&word.to_ascii_lowercase().as_str())
}

/// Whether a value of several words is a sentence rather than a phrase somebody chose.
pub(super) fn is_sentence(value: &str) -> bool {
    let words = value.split(is_blank).filter(|word| !word.is_empty());
    let plain = words.clone().take(4).filter(|word| is_plain_prose(word)).count();
    words.count() >= 3 && plain >= 2
}
