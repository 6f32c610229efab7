//! The interfaces of ifupdown; see interfaces(5).
//!
//! `auto` and `allow-…` as sets; each stanza `iface NAME FAMILY` by its options. An option that
//! repeats (`up`, `down`) keeps its values in order.

use std::collections::BTreeSet;
use std::path::Path;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems};
use driftline_protocol::snapshot::Reason;

use crate::formats::Malformed;
use crate::formats::lines::{continued, decode, first_word, words};
use crate::sources::include;
use crate::sources::look::Look;
use crate::sources::table::{Trouble, say};

const FILE: &str = "/etc/network/interfaces";
const DIRECTORY: &str = "/etc/network";

/// The most files of one configuration.
const FILES: usize = 1_024;

/// Options that hold a secret.
const SECRETS: [&str; 4] = ["wpa-psk", "wireless-key", "wpa-password", "password"];

pub(super) fn configured(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut stanzas = Stanzas::default();
    let found = stanzas.file(look, Path::new(FILE))?;
    Ok(found.then_some(stanzas.items))
}

#[derive(Default)]
struct Stanzas {
    items: RawItems,
    /// The key of the stanza that is open.
    open: Option<Vec<String>>,
    files: usize,
}

impl Stanzas {
    fn file(&mut self, look: &mut Look<'_>, path: &Path) -> Result<bool, Trouble> {
        self.files += 1;
        if self.files > FILES {
            return Err(Trouble::Unread(Reason::TooLarge));
        }
        let Some(content) = look.read(path, limits::FILE_BYTES)? else { return Ok(false) };
        for (number, line) in continued(&decode(&content.bytes), &['#']) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = first_word(line);
            match word {
                "source" | "source-directory" => self.include(look, (word, rest))?,
                _ => self.line(word, rest).map_err(|what| Malformed { line: number, what })?,
            }
        }
        Ok(true)
    }

    fn include(&mut self, look: &mut Look<'_>, (word, rest): (&str, &str)) -> Result<(), Trouble> {
        self.open = None;
        let whole = word == "source-directory";
        let pattern = include::beside(Path::new(DIRECTORY), rest);
        let pattern = if whole { format!("{}/*", pattern.trim_end_matches('/')) } else { pattern };
        for path in include::expand(look, &pattern)? {
            self.file(look, &path)?;
        }
        Ok(())
    }

    fn line(&mut self, word: &str, rest: &str) -> Result<(), &'static str> {
        if word == "auto" || word.starts_with("allow-") {
            self.open = None;
            let key = ItemKey::of([word]);
            let mut names = match self.items.remove(&key).map(|item| item.value) {
                Some(ItemValue::Set(names)) => names,
                Some(_) | None => BTreeSet::new(),
            };
            names.extend(words(rest).map(ItemValue::text));
            say(&mut self.items, [word], ItemValue::Set(names));
        } else if word == "iface" {
            let mut stanza: Vec<String> =
                std::iter::once("iface").chain(words(rest)).map(str::to_owned).collect();
            let method = if stanza.len() >= 4 { stanza.get(3).cloned() } else { None };
            stanza.truncate(3);
            if stanza.len() < 3 {
                return Err("a stanza needs a name and a family");
            }
            let method = method.map_or(ItemValue::Nothing, ItemValue::Text);
            say(&mut self.items, stanza.iter().map(String::as_str).chain(["method"]), method);
            self.open = Some(stanza);
        } else if matches!(word, "mapping" | "rename" | "template" | "no-auto-down" | "no-scripts")
        {
            self.open = Some(vec![word.to_owned(), rest.to_owned()]);
        } else {
            let stanza = self.open.as_ref().ok_or("an option outside a stanza")?;
            let key = ItemKey::of(stanza.iter().map(String::as_str).chain([word]));
            let value = ItemValue::text(words(rest).collect::<Vec<_>>().join(" "));
            match self.items.get_mut(&key) {
                Some(RawItem { value: ItemValue::List(values), .. }) => values.push(value),
                Some(item) => {
                    let first = std::mem::replace(&mut item.value, ItemValue::Nothing);
                    item.value = ItemValue::List(vec![first, value]);
                }
                None if SECRETS.contains(&word) => {
                    self.items.insert(key, RawItem::secret(value));
                }
                None => {
                    self.items.insert(key, RawItem::plain(value));
                }
            }
        }
        Ok(())
    }
}
