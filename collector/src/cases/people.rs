//! What keeps people and secrets out of the words of cases.
//!
//! Whatever the redactor of snapshots takes for a secret, and whatever looks like an identifier of
//! a person. A word that the configuration names is neither: somebody here chose it. A case itself
//! keeps a name: a fingerprint stands for an id that would tell who somebody is, so that the case
//! is known again, and is found by the id its system shows.

use std::borrow::Cow;
use std::collections::BTreeSet;

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::Redactor;
use driftline_protocol::redact::people::names_person;

/// What stands between the name of a secret and the secret.
const ASSIGNS: [char; 2] = ['=', ':'];

/// Tells which words are of people or secrets, and hides them.
#[derive(Clone, Debug)]
pub struct Hider {
    redactor: Redactor,
    named: BTreeSet<String>,
}

impl Hider {
    /// One that fingerprints under `key` and leaves the words `named`, in small letters, alone.
    pub fn new(key: [u8; 32], named: BTreeSet<String>) -> Self {
        Self { redactor: Redactor::new(key), named }
    }

    /// Whether `word` is not to be kept.
    pub fn hides(&self, word: &str) -> bool {
        if mutant::active(Mutant::PeopleStayInCases) {
            return false;
        }
        let hidden = names_person(word) || self.holds_secret(word);
        hidden && !self.named.contains(&word.to_lowercase())
    }

    /// Whether the redactor hides something in `word` for its form. What it takes for a secret only
    /// because of the words beside it (`password reset`) is how headings of cases read.
    fn holds_secret(&self, word: &str) -> bool {
        let hidden = |text: &str| matches!(self.redactor.redact_text(text), Cow::Owned(_));
        word.split_whitespace().any(hidden) || (word.contains(ASSIGNS) && hidden(word))
    }

    /// What stands for the name of a case.
    pub fn id<'a>(&self, id: &'a str) -> Cow<'a, str> {
        if self.hides(id) {
            self.redactor.fingerprint(id.as_bytes()).to_string().into()
        } else {
            id.into()
        }
    }
}
