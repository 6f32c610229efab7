//! Items of a document in the making: keys of sections, and ranks that sections do not share.
//!
//! Ranks count through a part, yet the order of sections means nothing. So ranked items are put in
//! the order of their sections' names before they get their places, and a section that only stands
//! elsewhere moves nothing.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems};

use super::super::FormatError;
use super::super::build::Builder;
use super::document::{Document, Origin, Section};

/// Items in the making.
#[derive(Default)]
pub(super) struct Items {
    builder: Builder,
    ranked: Vec<Ranked>,
    sets: BTreeMap<ItemKey, BTreeSet<ItemValue>>,
    used: BTreeMap<Vec<String>, u32>,
}

struct Ranked {
    /// What has an order of its own: a section.
    group: Vec<String>,
    segments: Vec<String>,
    item: RawItem,
}

/// The segments of a key.
pub(super) type Path = Vec<String>;

/// `path` with more segments.
pub(super) fn below(path: &[String], more: &[&str]) -> Path {
    path.iter().cloned().chain(more.iter().map(ToString::to_string)).collect()
}

/// How sections of one name are told apart.
#[derive(Clone, Copy)]
pub(super) enum Naming {
    /// They are one section that goes on.
    Joined,
    /// Each is an object: by its `type`, else by its number.
    Apart,
}

/// Types that are a value of a section rather than what it is: they change in the life of one.
const TYPES_AS_VALUES: &[&str] = &[
    "autodetect",
    "caldav",
    "client",
    "component",
    "ews",
    "exchange",
    "friend",
    "ical",
    "peer",
    "user",
];

/// Whether this `type` says what the section is, and so is part of its key.
pub(super) fn is_identity(kind: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let lower = kind.to_ascii_lowercase();
    !kind.is_empty() && kind.chars().all(word) && !TYPES_AS_VALUES.contains(&lower.as_str())
}

impl Items {
    /// What a document says apart from its variables: directives, sections, skipped lines.
    ///
    /// Gives the path of each section, in their order.
    pub(super) fn frame(
        &mut self,
        document: &Document,
        naming: Naming,
    ) -> Result<Vec<Path>, FormatError> {
        for directive in &document.directives {
            let path = vec![directive.kind.to_owned(), directive.target.clone()];
            let within = directive.within.as_ref();
            let value =
                within.map_or(ItemValue::Nothing, |name| format!("in [{name}]").into_text());
            self.rank(&["#".to_owned()], path, RawItem::plain(value));
        }
        if document.too_long > 0 {
            let count = ItemValue::Integer(document.too_long.into());
            self.set(&["(lines too long)".to_owned()], count)?;
        }
        let mut paths = Vec::with_capacity(document.sections.len());
        for section in &document.sections {
            let path = self.path(section, naming);
            self.section(&path, section)?;
            paths.push(path);
        }
        Ok(paths)
    }

    fn path(&mut self, section: &Section, naming: Naming) -> Path {
        let mut path = match section.origin {
            Origin::Includer => vec!["(section of the includer)".to_owned()],
            Origin::Header | Origin::Elsewhere(_) => vec![section.name.clone()],
        };
        if matches!(naming, Naming::Joined) {
            return path;
        }
        if let Some(kind) = section.kind.as_ref().filter(|kind| is_identity(kind)) {
            path.push(format!("type={kind}"));
        } else if section.takes_from_elsewhere {
            // Its type is unknown, and sections of one name take from different templates.
            path.push(format!("({})", section.inherits.join(",")));
        }
        if let Origin::Elsewhere(filter) = &section.origin {
            path.push(format!("(+{filter})"));
        }
        let times = self.used.entry(path.clone()).or_default();
        *times += 1;
        if *times > 1 {
            path.push(format!("#{times}"));
        }
        path
    }

    fn section(&mut self, path: &Path, section: &Section) -> Result<(), FormatError> {
        if section.origin == Origin::Header {
            let kind = if section.template { "template".into_text() } else { ItemValue::Nothing };
            self.set(path, kind)?;
        }
        if !section.inherits.is_empty() {
            let inherits = section.inherits.iter().map(|name| name.as_str().into_text());
            self.builder.extend(ItemKey::of(below(path, &["(inherits)"])), inherits)?;
        }
        if !section.skipped.is_empty() {
            let skipped = section.skipped.iter().map(|line| line.as_str().into_text()).collect();
            // `1234 -> 4242,Bob` is a mailbox with its password, though Asterisk skips it.
            let mailbox =
                section.skipped.iter().any(|l| l.starts_with(|c: char| c.is_ascii_digit()));
            let item = RawItem { sensitive: mailbox, ..RawItem::plain(ItemValue::List(skipped)) };
            self.builder.insert(ItemKey::of(below(path, &["(skipped lines)"])), item)?;
        }
        Ok(())
    }

    /// Sets an item; the last value wins.
    pub(super) fn set(&mut self, path: &[String], value: ItemValue) -> Result<(), FormatError> {
        self.builder.set(ItemKey::of(path), value)
    }

    /// Sets an item that is a secret; of an empty one, that it is empty.
    pub(super) fn secret(&mut self, path: &[String], value: &str) -> Result<(), FormatError> {
        if value.is_empty() {
            return self.set(path, ItemValue::Nothing);
        }
        self.builder.insert(ItemKey::of(path), RawItem::secret(value.into_text()))
    }

    /// Sets an item; where its key repeats, its values become a list in their order.
    pub(super) fn add(&mut self, path: &[String], value: ItemValue) -> Result<(), FormatError> {
        self.builder.add(ItemKey::of(path), value)
    }

    /// Lengthens the list of an item.
    pub(super) fn extend(
        &mut self,
        path: &[String],
        values: impl IntoIterator<Item = ItemValue>,
    ) -> Result<(), FormatError> {
        self.builder.extend(ItemKey::of(path), values)
    }

    /// Adds to the set of an item.
    pub(super) fn include(&mut self, path: &[String], value: ItemValue) -> Result<(), FormatError> {
        let set = self.sets.entry(ItemKey::of(path)).or_default();
        set.insert(value);
        if set.len() > limits::VALUES_PER_ITEM { Err(FormatError::TooLarge) } else { Ok(()) }
    }

    /// Gives an item the next place in its group.
    pub(super) fn rank(&mut self, group: &[String], segments: Path, item: RawItem) {
        self.ranked.push(Ranked { group: group.to_vec(), segments, item });
    }

    /// The items.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when the part would have too many items.
    pub(super) fn finish(mut self) -> Result<RawItems, FormatError> {
        for (key, set) in self.sets {
            self.builder.set(key, ItemValue::Set(set))?;
        }
        self.ranked.sort_by(|a, b| a.group.cmp(&b.group));
        for Ranked { segments, item, .. } in self.ranked {
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            self.builder.place_item(&segments, item)?;
        }
        Ok(self.builder.finish())
    }
}

/// Text as the value of an item.
pub(super) trait IntoText {
    /// The value.
    fn into_text(self) -> ItemValue;
}

impl<T: Into<String>> IntoText for T {
    fn into_text(self) -> ItemValue {
        ItemValue::text(self)
    }
}
