//! One keyed value of a part, and the key that names it.
//!
//! A key is the field's natural key (`endpoint alice/type=auth`, not line 214), written as segments
//! joined by `/`, each escaped as in a JSON pointer (RFC 6901): `~` is `~0` and `/` is `~1`. Keys
//! that begin with `@` are a file's own attributes (`@mode`, `@owner`); a format cannot make one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{FingerprintDigest, KeyId};
use crate::limits;

/// The key of one item inside its part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemKey(Box<str>);

/// How many digits the digest of a key that was too long has.
const DIGEST_DIGITS: usize = 64;

/// How much of a key that was too long its digest and what stands before it may take, in bytes.
const CUT_BYTES: usize = 80;

/// What the keys of [`ItemKey::momentary`] begin with.
const MOMENTARY: &str = "@now/";

/// The name of the momentary item that says what is wrong with a content that is malformed.
pub const MALFORMED: &str = "malformed";

/// A text that cannot be a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("item key of {0} bytes must have 1 to {limit} bytes", limit = limits::ITEM_KEY_BYTES)]
pub struct KeyError(usize);

impl ItemKey {
    /// The key of these segments, outermost first.
    ///
    /// A leading `@` of the first segment is escaped as `~2`, so that content can never pass for an
    /// attribute of its file. A key beyond [`limits::ITEM_KEY_BYTES`] keeps its beginning and ends
    /// in a digest of the whole.
    pub fn of<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> Self {
        let mut key = Writer::default();
        for (index, segment) in segments.into_iter().enumerate() {
            if index > 0 {
                key.push("/");
            }
            let mut rest = segment.as_ref();
            count(rest.len());
            if let (0, Some(behind)) = (index, rest.strip_prefix('@')) {
                key.push("~2");
                rest = behind;
            }
            while let Some(at) = rest.find(['~', '/']) {
                let (plain, escaped) = rest.split_at(at);
                key.push(plain);
                key.push(if escaped.starts_with('~') { "~0" } else { "~1" });
                rest = escaped.get(1..).unwrap_or_default();
            }
            key.push(rest);
        }
        key.finish()
    }

    /// The key of one of a file's own attributes, such as `@mode`. `name` comes from code, never
    /// from data.
    pub fn attribute(name: &'static str) -> Self {
        Self::bounded(format!("@{name}"))
    }

    /// Whether this names an attribute of the file rather than something the file says.
    #[inline]
    pub fn is_attribute(&self) -> bool {
        self.0.as_bytes().first() == Some(&b'@')
    }

    /// The key of something that is so at this moment, such as when a service started or which file
    /// it was started from: evidence for a discrepancy, and by itself no change and no drift.
    /// Segments as in [`ItemKey::of`].
    pub fn momentary<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> Self {
        Self::bounded(format!("{MOMENTARY}{}", Self::of(segments)))
    }

    /// The segments behind [`ItemKey::momentary`]; `None` for any other key.
    pub fn of_the_moment(&self) -> Option<impl Iterator<Item = String>> {
        let rest = self.0.strip_prefix(MOMENTARY)?;
        Some(rest.split('/').map(unescaped))
    }

    /// The key as text, escaped.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, unescaped, outermost first.
    pub fn segments(&self) -> impl Iterator<Item = String> {
        self.0.split('/').map(unescaped)
    }

    /// Whether it looks like a key that was too long: each such key costs its maker as much as its
    /// names are long, and not as much as it is.
    pub fn is_cut(&self) -> bool {
        self.cut_digest().is_some()
    }

    /// The beginning and the digest of a key that was too long; the digest is of what the key was,
    /// secrets included, until the redactor puts a keyed one in its place.
    pub(crate) fn cut_digest(&self) -> Option<(&str, &str)> {
        let (head, digest) = self.0.rsplit_once('…')?;
        let digits = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        (digits && digest.len() == DIGEST_DIGITS).then_some((head, digest))
    }

    fn bounded(key: String) -> Self {
        let mut writer = Writer::default();
        writer.push(&key);
        writer.finish()
    }
}

/// A key in the making, which never holds more than a key may have.
#[derive(Default)]
struct Writer {
    text: String,
    /// Of the whole, once it is longer.
    whole: Option<blake3::Hasher>,
}

impl Writer {
    fn push(&mut self, text: &str) {
        let room = limits::ITEM_KEY_BYTES.saturating_sub(self.text.len());
        if self.whole.is_none() && text.len() > room {
            let mut hasher = blake3::Hasher::new();
            hasher.update(self.text.as_bytes());
            self.whole = Some(hasher);
        }
        self.text.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
        if let Some(hasher) = &mut self.whole {
            hasher.update(text.as_bytes());
        }
    }

    fn finish(mut self) -> ItemKey {
        if self.text.is_empty() {
            self.text.push_str("~3"); // the one key an empty segment list or an empty name may have
        }
        if let Some(hasher) = self.whole {
            let head = limits::ITEM_KEY_BYTES - CUT_BYTES;
            self.text.truncate(self.text.floor_char_boundary(head));
            self.text.push('…');
            self.text.push_str(&hasher.finalize().to_hex());
        }
        ItemKey(self.text.into())
    }
}

#[cfg(debug_assertions)]
thread_local! {
    #[allow(clippy::missing_const_for_thread_local, reason = "not seen to be const for Windows")]
    static KEY_BYTES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Of how many bytes this thread has made keys: the work that a reader of hostile files must
/// bound. Only builds for tests count.
#[cfg(debug_assertions)]
pub fn key_bytes() -> u64 {
    KEY_BYTES.get()
}

#[cfg(debug_assertions)]
fn count(bytes: usize) {
    KEY_BYTES.set(KEY_BYTES.get().saturating_add(bytes as u64));
}

#[cfg(not(debug_assertions))]
const fn count(_: usize) {}

fn unescaped(segment: &str) -> String {
    match segment.contains('~') {
        true => segment.replace("~2", "@").replace("~1", "/").replace("~0", "~"),
        false => segment.to_owned(),
    }
}

impl TryFrom<String> for ItemKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        if text.is_empty() || text.len() > limits::ITEM_KEY_BYTES {
            return Err(KeyError(text.len()));
        }
        Ok(Self(text.into()))
    }
}

impl From<ItemKey> for String {
    fn from(key: ItemKey) -> String {
        key.0.into()
    }
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Stands for a value we must not hold: under one key, equal fingerprints mean equal values.
///
/// Keyed blake3 of the value, cut to 16 bytes. Fingerprints under different keys are incomparable,
/// never "changed".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Which key made it.
    pub key: KeyId,
    /// The keyed digest, as hexadecimal digits on the wire.
    pub digest: FingerprintDigest,
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{secret:{}:{}}}", self.key, self.digest)
    }
}

/// The value of one item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemValue {
    /// Present without a value: a bare keyword, a JSON null.
    Nothing,
    /// A yes-or-no setting.
    Flag(bool),
    /// A count, a size or a version part, in the item's own unit.
    Integer(i64),
    /// Text that is safe to show once redacted.
    Text(String),
    /// Stands for a value we must not hold.
    Fingerprint(Fingerprint),
    /// Values whose order has meaning.
    List(Vec<ItemValue>),
    /// Values whose order means nothing.
    Set(BTreeSet<ItemValue>),
    /// Text that no format claims, by line; compared by line.
    Lines(Vec<String>),
}

impl ItemValue {
    /// Text, from anything that reads as text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The text, where the value is one text and nothing else.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Nothing
            | Self::Flag(_)
            | Self::Integer(_)
            | Self::Fingerprint(_)
            | Self::List(_)
            | Self::Set(_)
            | Self::Lines(_) => None,
        }
    }
}

/// One value and, where the order of items has meaning, its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What the host says.
    pub value: ItemValue,
    /// The place among the part's ordered items, counted from 0 without gaps; `None` where order
    /// means nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
}

/// The items of one part by key.
pub type Items = BTreeMap<ItemKey, Item>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_survive_escaping() {
        for segments in [vec!["a/b", "c~d"], vec!["@mode"], vec!["~1", "~2"], vec!["x", "@y"]] {
            let key = ItemKey::of(&segments);
            assert_eq!(key.segments().collect::<Vec<_>>(), segments, "{key}");
            assert!(!key.is_attribute(), "{key} passes for an attribute");
        }
    }

    #[test]
    fn what_is_so_at_this_moment_has_keys_of_its_own() {
        let key = ItemKey::momentary(["loaded", "/etc/k.cfg"]);
        assert_eq!(key.of_the_moment().unwrap().collect::<Vec<_>>(), ["loaded", "/etc/k.cfg"]);
        assert!(key.is_attribute());
        assert!(ItemKey::of(["@now", "x"]).of_the_moment().is_none(), "content cannot make one");
    }

    #[test]
    fn long_keys_stay_different_and_bounded() {
        let long = "x".repeat(3_000);
        let (a, b) = (ItemKey::of([&format!("{long}a")]), ItemKey::of([&format!("{long}b")]));
        assert_ne!(a, b);
        assert!(a.as_str().len() <= limits::ITEM_KEY_BYTES);
    }

    #[test]
    fn a_key_that_was_too_long_ends_in_the_digest_of_the_whole() {
        for length in [1_000, 1_022, 1_023, 1_024, 1_025, 2_000] {
            for word in ["x", "ä", "/", "~", "€/"] {
                let name = word.repeat(length / word.len());
                let whole = format!("~2a/{}/b", name.replace('~', "~0").replace('/', "~1"));
                let key = ItemKey::of(["@a", &name, "b"]);
                if whole.len() <= limits::ITEM_KEY_BYTES {
                    assert_eq!(key.as_str(), whole);
                    continue;
                }
                let head = whole.floor_char_boundary(limits::ITEM_KEY_BYTES - CUT_BYTES);
                let digest = blake3::hash(whole.as_bytes()).to_hex();
                assert_eq!(key.as_str(), format!("{}…{digest}", whole.get(..head).unwrap()));
                assert!(key.is_cut());
            }
        }
    }
}
