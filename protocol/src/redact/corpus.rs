//! The two tables of `protocol/fixtures`: lines that hold a secret, and lines that hold none.
//!
//! Wrong either way hurts: a missed secret leaks, and a product that hides what nobody minds shows
//! nothing. So the tables are of like size, and a new pattern enters with lines in both. Each line
//! is tried as it stands, indented and commented out, as text, as a line among others and as a key.

use super::*;
use crate::ids::Digest;

const SECRETS: &str = include_str!("../../fixtures/secrets.txt");
const PLAIN: &str = include_str!("../../fixtures/plain.txt");

/// What secrets look like: with signs, a word, a word of letters and digits, digits alone.
const CANARIES: [&str; 4] = ["kAn4ry-Tw33t", "swordfishx", "hunter2k", "83920174"];

/// Another secret, where a line holds two.
const OTHER: &str = "0ther-S3cret";

/// What may stand before a line.
const BEFORE: [&str; 4] = ["", "    ", "# ", "#"];

fn redactor() -> Redactor {
    Redactor::new([7; 32])
}

/// The lines of a table that are no comment.
fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.is_empty() && !line.starts_with("## "))
}

/// The lines of the table of secrets, with whether more than the secret may be hidden.
fn secrets() -> impl Iterator<Item = (&'static str, bool)> {
    lines(SECRETS).map(|line| match line.strip_prefix("~ ") {
        Some(line) => (line, true),
        None => (line, false),
    })
}

/// `line` behind `before`, with `secret` and real line ends in it.
fn written(line: &str, before: &str, (secret, other): (&str, &str)) -> String {
    let text = line.replace('§', secret).replace('¶', other);
    text.split('⏎').map(|line| format!("{before}{line}")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_secret_of_the_table_is_hidden_and_nothing_else() {
    let redactor = redactor();
    let mut wrong = Vec::new();
    for (line, generous) in secrets() {
        for (before, secret) in BEFORE.iter().flat_map(|b| CANARIES.iter().map(move |c| (b, c))) {
            let text = written(line, before, (secret, OTHER));
            let redacted = redactor.redact_text(&text);
            let [marker, other] =
                [*secret, OTHER].map(|text| redactor.fingerprint(text.as_bytes()));
            let leaks = redacted.contains(secret) || redacted.contains(OTHER);
            let hidden = written(line, before, (&marker.to_string(), &other.to_string()));
            let more = !generous && *redacted != hidden;
            let changes = redactor.redact_text(&redacted) != redacted;
            if leaks || more || changes {
                let what = if leaks {
                    "leaks"
                } else if more {
                    "more"
                } else {
                    "unstable"
                };
                wrong.push(format!("{what}: {text:?}\n     -> {redacted:?}"));
                break;
            }
        }
    }
    let all = secrets().count();
    assert!(wrong.is_empty(), "{} of {all} lines:\n{}", wrong.len(), wrong.join("\n"));
    assert!(all > 500, "only {all} lines");
}

#[test]
fn nothing_of_the_plain_table_is_hidden() {
    let redactor = redactor();
    let mut wrong = Vec::new();
    for line in lines(PLAIN) {
        for before in BEFORE {
            let text = written(line, before, ("", ""));
            let redacted = redactor.redact_text(&text);
            if *redacted != text {
                wrong.push(format!("{text:?}\n     -> {redacted:?}"));
                break;
            }
        }
    }
    let all = lines(PLAIN).count();
    assert!(wrong.is_empty(), "{} of {all} lines:\n{}", wrong.len(), wrong.join("\n"));
    assert!(all > 450, "only {all} lines");
}

#[test]
fn another_redaction_has_another_version() {
    let redactor = redactor();
    let tables = lines(SECRETS).chain(lines(PLAIN));
    let shown: Vec<String> = tables
        .map(|line| redactor.redact_text(&written(line, "", (CANARIES[0], OTHER))).into_owned())
        .collect();
    let digest = redactor.raw_digest(shown.join("\n").as_bytes()).digest.to_string();
    assert_eq!(
        (REDACTION_VERSION, digest.as_str()),
        (8, "19237c54fcaf9f18a6c052647369c579"),
        "the tables are redacted otherwise: raise REDACTION_VERSION unless only lines were added"
    );
}

#[test]
fn a_reading_tells_by_which_redaction_it_was_made() {
    let reading = Reading { parser: "text".into(), version: 1, scope: Digest([0; 32]) };
    let raw = RawObserved {
        reading: reading.clone(),
        raw: None,
        size: None,
        content: Content::Read,
        items: RawItems::new(),
    };
    let redacted = redactor().redact(RawPart::Observed(raw)).into_inner();
    let shown = redacted.observed().map(|observed| observed.reading.clone()).unwrap();
    assert_eq!((shown.parser, shown.version), (reading.parser, reading.version));
    assert_ne!(shown.scope, reading.scope);
    assert_eq!(shown.scope, redacted_scope(reading.scope));
}
