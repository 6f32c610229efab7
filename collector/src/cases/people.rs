//! What keeps people and secrets out of the words of cases.
//!
//! Whatever the redactor of snapshots takes for a secret, and whatever looks like an identifier of
//! a person. A word that the configuration names is neither: somebody here chose it. A case itself
//! keeps a name: a fingerprint stands for an id that would tell who somebody is, so that the case
//! is known again, and is found by the id its system shows.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::Redactor;
use driftline_protocol::redact::people::{folded, names_person};

/// What stands between the name of a secret and the secret.
const ASSIGNS: [char; 2] = ['=', ':'];

/// Signs inside headings. Others stand in secrets.
const JOINS: &[char] =
    &['/', '-', '&', ',', '.', '(', ')', '[', ']', '>', '<', '|', '_', ':', ';', '\\', '"', '\''];

/// A word of capitals and digits up to so long is a code (`2FA`, `O365`, `P1`).
const CODE_LETTERS: usize = 4;

/// A number up to so long counts something behind a word (`Level 2`, `Office 365`).
const COUNT_DIGITS: usize = 3;

/// So often capitals rise inside a word at most, as in `AnyConnect`.
const RISES: usize = 2;

/// No word is longer.
const WORD_LETTERS: usize = 40;

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
        let hidden = names_person(word) || self.holds_secret(&folded(word));
        hidden && !self.named.contains(&word.to_lowercase())
    }

    /// Whether the redactor hides something in `word` for its form. What it takes for a secret only
    /// because of the words beside it (`password reset`, `Password: Reset`) is how headings of
    /// cases read.
    fn holds_secret(&self, word: &str) -> bool {
        let hidden = |text: &str| {
            let mut secrets = self.redactor.secrets_in(text).into_iter();
            secrets.any(|secret| !is_heading(text, secret))
        };
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

/// Whether what stands at `secret` follows a colon and reads as words do. Nobody heads anything by
/// `password=`.
fn is_heading(text: &str, secret: Range<usize>) -> bool {
    let before = text.get(..secret.start).unwrap_or_default();
    let before = before.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    before.ends_with(':') && reads_as_words(text.get(secret).unwrap_or_default())
}

/// Whether `value` is words, codes, and numbers that count something behind a word.
fn reads_as_words(value: &str) -> bool {
    let sign = |word: &&str| word.chars().count() > 1 || word.contains(char::is_alphanumeric);
    let words = value.split_whitespace().filter(sign).flat_map(|word| word.split(JOINS));
    let mut behind_word = false;
    words.filter(|word| !word.is_empty()).all(|word| {
        let counts = word.len() <= COUNT_DIGITS && word.bytes().all(|byte| byte.is_ascii_digit());
        let plain = is_word(word) || is_code(word);
        let reads = plain || (counts && behind_word);
        behind_word |= plain;
        reads
    })
}

/// Letters, with no more capitals inside than names of products have.
fn is_word(word: &str) -> bool {
    let letters = word.chars().zip(word.chars().skip(1));
    let rises = letters.filter(|(a, b)| a.is_lowercase() && b.is_uppercase()).count();
    word.chars().all(char::is_alphabetic) && word.chars().count() <= WORD_LETTERS && rises <= RISES
}

fn is_code(word: &str) -> bool {
    let capital = |byte: u8| byte.is_ascii_uppercase();
    word.len() <= CODE_LETTERS
        && word.bytes().any(capital)
        && word.bytes().all(|byte| capital(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hider() -> Hider {
        Hider::new([7; 32], BTreeSet::new())
    }

    #[test]
    fn headings_behind_the_name_of_a_secret_stay() {
        let headings = [
            "Password: Reset",
            "Password:Reset",
            "password: reset",
            "PIN: Reset",
            "Token: Hardware",
            "Token: YubiKey",
            "Token: 2FA",
            "Access/Password: Forgotten",
            "Password: Office 365",
            "Password: Reset / Unlock (SSPR)",
            "Password: Reset & unlock",
            "Passwort: Zurücksetzen",
            "Kennwort: vergessen",
            "Secret: Rotation",
            "API key: Request",
            "Account: Password: Expired",
            "Credentials: Cisco AnyConnect",
            "SSH Key: Deployment",
        ];
        let hidden: Vec<&str> = headings.into_iter().filter(|word| hider().hides(word)).collect();
        assert_eq!(hidden, Vec::<&str>::new());
    }

    #[test]
    fn secrets_behind_their_names_do_not() {
        let secrets = [
            "password=hunter2!",
            "password=geheim",
            "Password=Reset",
            "password: hunter2",
            "password:hunter2!",
            "Password: Summer2024",
            "Password: Reset to Summer2024",
            "password: geheim!",
            "pin: 4711",
            "PIN: 47 11",
            "PIN:123456",
            "PIN: reset to 4711",
            "token: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0",
            "token: aBcDeFgHiJkL",
            "secret: 9d385017c611228701d22104cc95c371",
            "password：hunter2",
            "password＝geheim",
        ];
        let kept: Vec<&str> = secrets.into_iter().filter(|word| !hider().hides(word)).collect();
        assert_eq!(kept, Vec::<&str>::new());
    }
}
