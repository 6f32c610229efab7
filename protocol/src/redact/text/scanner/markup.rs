//! Names and values of markup: `<password>X</password>`, `<param name="password" value="X"/>`,
//! `<entry key="password">X</entry>`, `<key>Password</key><string>X</string>`.
//!
//! What a name announces may stand up to two lines below, as in YAML's `- name:` and `value:`.

use super::super::super::key_names::word_names_secret;
use super::super::values::{Reach, tail, value};
use super::super::words::is_sentence;
use super::{Scanner, plain_name};

/// Attributes that say what another one's value is: `<param name="password" value="…"/>`.
pub(super) const NAME_ATTRIBUTES: &[&str] =
    &["id", "key", "name", "param", "property", "var", "variable"];

/// Attributes that hold the value so named.
pub(super) const VALUE_ATTRIBUTES: &[&str] = &["content", "data", "default", "val", "value"];

/// How many lines a value may stand below the one that named it, that line counted.
const WAITING_LINES: u32 = 2;

/// The longest prefix of an element's name, with its colon, in bytes.
const PREFIX_BYTES: usize = 32;

impl Scanner<'_> {
    /// `<password>…</password>`, and elements that name or hold what another one means.
    pub(super) fn element(&mut self, at: usize, end: usize, name: &str) -> Option<usize> {
        if !self.opens_element(at) {
            return None;
        }
        let lower = name.to_ascii_lowercase();
        let names = matches!(lower.as_str(), "name" | "key");
        let secret = word_names_secret(name);
        if !names && !secret && self.waiting == 0 {
            return None;
        }
        let open = self.near(end).line_tail(end).find('>')?;
        let close = end + open;
        if self.text.get(..close)?.ends_with('/') {
            // `<secret value="…"/>` has no content, and `<true/>` says all it has to say.
            self.waiting = if secret { WAITING_LINES } else { 0 };
            return None;
        }
        let content = self.content(close + 1);
        let shown = self.text.get(content.clone()).unwrap_or_default();
        if names && word_names_secret(shown) {
            self.waiting = WAITING_LINES;
            return Some(content.end);
        }
        let attributes = self.text.get(end..close).unwrap_or_default().contains('=');
        let awaited = self.waiting > 0 && !attributes && !shown.is_empty() && !is_sentence(shown);
        if !secret && !awaited {
            return None;
        }
        self.waiting = 0;
        self.hide(content.clone());
        Some(content.end)
    }

    /// Whether the name at `at` begins an element, with or without a prefix.
    fn opens_element(&self, at: usize) -> bool {
        let from = self.text.floor_char_boundary(at.saturating_sub(PREFIX_BYTES));
        let before = self.text.get(from..at).unwrap_or_default();
        let Some(prefix) = before.strip_suffix(':') else { return before.ends_with('<') };
        let start = prefix.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
        start.len() < prefix.len() && start.ends_with('<')
    }

    /// Where the text of the element whose content begins at `from` stands, without blanks around
    /// it.
    fn content(&self, from: usize) -> std::ops::Range<usize> {
        let content = tail(self.text, from);
        let blanks = content.len() - content.trim_start().len();
        if let Some(data) = content.trim_start().strip_prefix("<![CDATA[") {
            let start = from + blanks + "<![CDATA[".len();
            return start..start + data.find("]]>").unwrap_or(data.len());
        }
        let length = content.find('<').unwrap_or(content.len());
        let inner = content.get(..length).unwrap_or_default();
        let start = from + (inner.len() - inner.trim_start().len());
        start..(from + inner.trim_end().len()).max(start)
    }

    /// An attribute, or a field of YAML or JSON, that may name a secret.
    pub(super) fn name_attribute(&mut self, from: usize) -> usize {
        let range = value(&self.near(from), from, Reach::Word);
        let named = self.text.get(range.clone()).unwrap_or_default();
        self.source_named = named.to_ascii_lowercase().ends_with("dsn");
        if !word_names_secret(plain_name(named)) {
            self.waiting = 0;
            return from;
        }
        match self.value_before.take() {
            Some(from) => self.hide(value(&self.place, from, Reach::Word)),
            None => {
                self.waiting = WAITING_LINES;
                return self.element_of_name(range.end).unwrap_or(from);
            }
        }
        from
    }

    /// `<entry key="password">X</entry>`: the name is the last attribute and the content its value.
    fn element_of_name(&mut self, end: usize) -> Option<usize> {
        let tag = self.near(end).line_tail(end);
        let open = tag.find('>')?;
        let attributes = tag.get(..open).unwrap_or_default();
        let value = VALUE_ATTRIBUTES.iter().any(|name| attributes.contains(&format!("{name}=")));
        let typed = attributes.trim_start_matches(['"', '\'']);
        if typed.ends_with('/') || value || typed.contains('<') {
            return None;
        }
        let content = self.content(end + open + 1);
        if content.is_empty() {
            return None;
        }
        self.waiting = 0;
        Some(self.hide_to(content))
    }

    /// The value that a name before it made a secret, or that a name behind it may.
    pub(super) fn value_attribute(&mut self, from: usize) -> usize {
        if self.waiting > 0 {
            self.waiting = 0;
            return self.hide_to(value(&self.place, from, Reach::Word));
        }
        if self.source_named {
            return self.data_source(from);
        }
        self.value_before = Some(from);
        from
    }
}
