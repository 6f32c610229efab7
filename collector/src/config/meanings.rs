//! What the words of another system mean, where a source's are not those of the shipped list.
//!
//! Written as lists of words by what they mean, as in `closed = ["Geschlossen"]`. Capitals, white
//! space around a word and how its marks are written do not matter. A word with two meanings is
//! refused when the configuration is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use crate::cases::{NAME_BYTES, visible};

/// The most words of one list: more are no states of a workflow.
const WORDS: usize = 200;

/// Words, each with what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meanings<T>(BTreeMap<String, T>);

impl<T> Default for Meanings<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Copy> Meanings<T> {
    /// What `word` means; `None` where nothing is said of it.
    pub fn of(&self, word: &str) -> Option<T> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&folded(word)).copied()
    }
}

fn folded(word: &str) -> String {
    visible(word.trim().into()).trim().to_lowercase()
}

impl<'de, T: Deserialize<'de> + Ord + Copy> Deserialize<'de> for Meanings<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let lists = BTreeMap::<T, Vec<String>>::deserialize(deserializer)?;
        let mut meanings = BTreeMap::new();
        for (meaning, words) in lists {
            if words.len() > WORDS {
                return Err(de::Error::custom(format!("a list has more than {WORDS} words")));
            }
            for word in words {
                let small = folded(&word);
                if small.is_empty() || small.len() > NAME_BYTES {
                    let rule = format!("a word has 1 to {NAME_BYTES} bytes, not {}", small.len());
                    return Err(de::Error::custom(rule));
                }
                if meanings.insert(small, meaning).is_some_and(|before| before != meaning) {
                    return Err(de::Error::custom(format!("the word {word:?} has two meanings")));
                }
            }
        }
        Ok(Self(meanings))
    }
}

#[cfg(test)]
mod tests {
    use crate::analysis::classify::request::Approval;
    use crate::config::load::parse;
    use crate::store::CaseStatus;

    #[test]
    fn a_word_means_what_its_source_says() {
        let text = "[[case_source]]\nname='d'\nstatuses = { closed = ['Geschlossen', ' zu '], \
             resolved = ['Gelo\u{308}st'] }\n[[change_source]]\nname='i'\n\
             approvals = { approved = ['genehmigt'] }\nkinds = { emergency = ['Notfall'] }";
        let config = parse("t", text).unwrap();
        let statuses = &config.case_sources[0].statuses;
        for (word, means) in [
            ("GESCHLOSSEN", Some(CaseStatus::Closed)),
            (" Zu\t", Some(CaseStatus::Closed)),
            ("Gelöst", Some(CaseStatus::Resolved)),
            ("Closed", None),
            ("", None),
        ] {
            assert_eq!(statuses.of(word), means, "{word}");
        }
        let approvals = &config.change_sources[0].approvals;
        assert_eq!(approvals.of("Genehmigt"), Some(Approval::Approved));
    }

    #[test]
    fn a_word_that_cannot_be_is_refused_by_line() {
        for (text, expect) in [
            ("statuses = { closed = ['zu'], open = ['Zu'] }", "the word \"zu\" has two meanings"),
            ("statuses = { shut = ['zu'] }", "unknown variant"),
            ("statuses = { closed = [' '] }", "a word has 1 to 256 bytes"),
        ] {
            let error = parse("t", &format!("[[case_source]]\nname='d'\n{text}")).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with("t:3") && error.contains(expect), "{error}");
        }
    }
}
