//! The wall that data passes before it leaves a host.
//!
//! A source hands over [`RawPart`]s, which cannot be encoded and whose `Debug` shows no value. Only
//! the [`Redactor`] turns one into a [`Redacted`] part, and spool and transport accept nothing
//! else. A secret becomes a keyed fingerprint, so that rotation and reuse stay visible while the
//! value does not.
//!
//! Five shapes of secret are known: a key that names one, a name attribute elsewhere, a position in
//! a line (the format says so with [`RawItem::sensitive`]), text inside a URL or a directive, and
//! whole files, which are never read at all ([`crate::snapshot::Reason::Withheld`]).
//!
//! The fingerprint key is the site's, or the host's own where no site key is configured; the
//! collector never holds either. Raw digests are keyed too: a file that holds one PIN is an oracle
//! for it.

mod bounds;
pub mod key_names;
pub mod people;
pub mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::canonical::{self, CanonicalError};
use crate::ids::{Digest, FingerprintDigest, KeyId};
use crate::item::{Fingerprint, Item, ItemKey, ItemValue, Items};
use crate::limits;
use crate::mutant::{self, Mutant};
use crate::snapshot::{Content, Observed, Part, Reading, Reason};

const KEY_ID_CONTEXT: &str = "driftline 2026-11 fingerprint key id v1";
const KEY_FILE_CONTEXT: &str = "driftline 2026-11 fingerprint key file v1";
const SECRET_CONTEXT: &str = "driftline 2026-11 secret fingerprint v1";
const RAW_CONTEXT: &str = "driftline 2026-11 raw digest v1";
const SEAL_CONTEXT: &str = "driftline 2026-11 spool seal v1";
const SCOPE_CONTEXT: &str = "driftline 2026-11 redaction scope v1";
const SEAL_BYTES: usize = 16;

/// Raised whenever the same part gives other redacted items. It is mixed into the scope digest of
/// each reading, so that a stricter redactor is told from a change: a field of its own would be
/// unknown to a collector one version back.
pub const REDACTION_VERSION: u32 = 8;

/// Data that the redactor has passed. There is no other way to make one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// The data, which may be shown and sent.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The data, which may be shown and sent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: Serialize> Serialize for Redacted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// One item as a source read it.
#[derive(Clone, PartialEq, Eq)]
pub struct RawItem {
    /// What the host says, secrets included.
    pub value: ItemValue,
    /// Its place among ordered items, if order has meaning.
    pub rank: Option<u32>,
    /// Whether the format knows the whole value to be a secret.
    pub sensitive: bool,
}

impl RawItem {
    /// A value without a place that no format knows to be a secret.
    pub fn plain(value: ItemValue) -> Self {
        Self { value, rank: None, sensitive: false }
    }

    /// A value the format knows to be a secret.
    pub fn secret(value: ItemValue) -> Self {
        Self { value, rank: None, sensitive: true }
    }

    /// The same item at this place among ordered items.
    #[must_use]
    pub fn at(mut self, rank: u32) -> Self {
        self.rank = Some(rank);
        self
    }
}

impl fmt::Debug for RawItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawItem").field("rank", &self.rank).finish_non_exhaustive()
    }
}

/// The items of one part as a source read them.
pub type RawItems = BTreeMap<ItemKey, RawItem>;

/// One part as a source read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawPart {
    /// It was looked at.
    Observed(RawObserved),
    /// It could not be looked at.
    Unobserved(Reason),
}

/// What a source saw of one part; the raw form of [`Observed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawObserved {
    /// How it was read.
    pub reading: Reading,
    /// The keyed digest of its bytes, from [`Redactor::raw_digest`].
    pub raw: Option<Fingerprint>,
    /// How many bytes it had.
    pub size: Option<u64>,
    /// Whether its content's items are listed.
    pub content: Content,
    /// Its items, secrets included.
    pub items: RawItems,
}

/// A part in the form the spool keeps: canonical bytes with a keyed seal.
///
/// The seal proves on reading that a redactor with our key made it, and that no bit has changed
/// since.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// The bytes to keep.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A part that a redactor of ours sealed, as it goes on the wire: its canonical bytes, which are
/// JSON of a part. Nothing was decoded to make it, and nothing is encoded to send it.
#[derive(Clone, Debug)]
pub struct Unsealed(Box<RawValue>);

impl Unsealed {
    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.get().as_bytes()
    }

    /// The digest that names the part.
    pub fn digest(&self) -> Digest {
        canonical::digest_of_canonical(self.as_bytes())
    }
}

impl Serialize for Unsealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Why kept bytes are not a sealed part of ours.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Damaged, or made under another key.
    #[error("seal does not match: the bytes are damaged or were sealed under another key")]
    Mismatch,
    /// The seal is right but the content is not a part; a bug of ours.
    #[error("sealed bytes are not a part")]
    Content(#[source] CanonicalError),
}

/// Makes [`Redacted`] data, fingerprints and seals under one key, of which it keeps only what is
/// derived.
#[derive(Clone)]
pub struct Redactor {
    id: KeyId,
    secret: [u8; 32],
    raw: [u8; 32],
    seal: [u8; 32],
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor under the site's key, or the host's own.
    pub fn new(key: [u8; 32]) -> Self {
        let id = blake3::derive_key(KEY_ID_CONTEXT, &key);
        let mut short = [0; 8];
        short.copy_from_slice(&id[..8]);
        Self {
            id: KeyId(short),
            secret: blake3::derive_key(SECRET_CONTEXT, &key),
            raw: blake3::derive_key(RAW_CONTEXT, &key),
            seal: blake3::derive_key(SEAL_CONTEXT, &key),
        }
    }

    /// A redactor under the key that the content of a key file stands for; all of its bytes count.
    pub fn from_key_file(content: &[u8]) -> Self {
        Self::new(blake3::derive_key(KEY_FILE_CONTEXT, content))
    }

    /// The name of the key, which may be told.
    pub fn key_id(&self) -> KeyId {
        self.id
    }

    /// The fingerprint that stands for a secret.
    pub fn fingerprint(&self, secret: &[u8]) -> Fingerprint {
        self.keyed(&self.secret, secret)
    }

    /// The keyed digest of a file's bytes.
    pub fn raw_digest(&self, bytes: &[u8]) -> Fingerprint {
        self.keyed(&self.raw, bytes)
    }

    /// A hasher for [`Redactor::raw_digest`] of bytes that are not all in memory; see
    /// [`RawHasher::finish`].
    pub fn raw_hasher(&self) -> RawHasher {
        RawHasher { hasher: blake3::Hasher::new_keyed(&self.raw), key: self.id }
    }

    fn keyed(&self, key: &[u8; 32], bytes: &[u8]) -> Fingerprint {
        Fingerprint { key: self.id, digest: cut(&blake3::keyed_hash(key, bytes)) }
    }

    /// Replaces every secret of `part`, and cuts what passes a bound down to a fingerprint. What
    /// still breaks a bound of [`canonical::check`] loses its items and is unread for that reason.
    pub fn redact(&self, part: RawPart) -> Redacted<Part> {
        let mut raw = match part {
            RawPart::Unobserved(reason) => return Redacted(Part::Unobserved(reason)),
            RawPart::Observed(raw) => raw,
        };
        if raw.items.len() > limits::ITEMS_PER_PART {
            raw.items.retain(|key, _| key.is_attribute());
            raw.content = Content::Unread(Reason::TooLarge);
        }
        let mut part = Part::Observed(self.redact_observed(raw));
        if let (false, Part::Observed(observed)) = (bounds::fits(&part), &mut part) {
            observed.items.retain(|key, _| key.is_attribute());
            observed.content = Content::Unread(Reason::TooLarge);
        }
        Redacted(part)
    }

    fn redact_observed(&self, raw: RawObserved) -> Observed {
        let RawObserved { reading, raw, size, content, items: raw_items } = raw;
        let mut items = Items::new();
        for (key, RawItem { value, rank, sensitive }) in raw_items {
            if mutant::active(Mutant::RedactNothing) {
                items.insert(key, Item { value, rank });
                continue;
            }
            let hidden = self.redact_key(&key);
            let named = |key| key_names::names_secret(key, &value);
            let secret = sensitive || named(&key) || hidden.as_ref().is_some_and(named);
            let shown = hidden.unwrap_or(key);
            let value = if secret { self.conceal(value) } else { self.redact_named(&shown, value) };
            items.insert(unused(&items, shown), Item { value, rank });
        }
        let scope = redacted_scope(reading.scope);
        Observed { reading: Reading { scope, ..reading }, raw, size, content, items }
    }

    /// A key without the secrets that its text holds, as a rule or an address may that is its own
    /// key; `None` where it holds none.
    fn redact_key(&self, key: &ItemKey) -> Option<ItemKey> {
        if key.is_attribute() || text::are_plain_words(key.as_str()) {
            return None;
        }
        let keyed = self.keyed_end(key);
        let key = keyed.as_ref().unwrap_or(key);
        let segments: Vec<String> = key.segments().collect();
        let redacted: Vec<_> = segments.iter().map(|segment| self.redact_text(segment)).collect();
        let same = redacted.iter().all(|segment| matches!(segment, Cow::Borrowed(_)));
        if same { keyed } else { Some(ItemKey::of(redacted)) }
    }

    /// A key that was too long, ending in a keyed digest: a plain one of a command with a password
    /// would let anybody try passwords. The word that was cut is left out, for it may be the half
    /// of a secret that is known by what followed: `https://user:passw…` without its `@`.
    fn keyed_end(&self, key: &ItemKey) -> Option<ItemKey> {
        let (head, digest) = key.cut_digest()?;
        let whole = head.rfind([' ', '\t', '/']).and_then(|end| head.get(..=end));
        let head = match mutant::active(Mutant::CutWordsStay) {
            true => head,
            false => whole.unwrap_or_default(),
        };
        let keyed = self.fingerprint(digest.as_bytes()).digest;
        ItemKey::try_from(format!("{head}…{keyed}")).ok()
    }

    fn redact_named(&self, key: &ItemKey, value: ItemValue) -> ItemValue {
        match value {
            ItemValue::Text(text) if text.len() <= limits::ITEM_TEXT_BYTES => {
                match key_names::names_partial_secret(key) {
                    Some(name) => ItemValue::Text(text::redact_named(self, &name, &text)),
                    None => self.redact_value(ItemValue::Text(text)),
                }
            }
            ItemValue::List(values) if key_names::known::is_command(key) => {
                let values = values.into_iter().map(|value| self.redact_value(value)).collect();
                ItemValue::List(self.redact_words(values))
            }
            ItemValue::List(values) if key_names::names_partial_secret(key).is_some() => {
                let values = values.into_iter().map(|value| self.redact_named(key, value));
                ItemValue::List(values.collect())
            }
            ItemValue::Nothing
            | ItemValue::Flag(_)
            | ItemValue::Integer(_)
            | ItemValue::Text(_)
            | ItemValue::Fingerprint(_)
            | ItemValue::List(_)
            | ItemValue::Set(_)
            | ItemValue::Lines(_) => self.redact_value(value),
        }
    }

    /// Fingerprints the whole of a value; an empty value stays, since it holds nothing.
    fn conceal(&self, value: ItemValue) -> ItemValue {
        match value {
            ItemValue::Nothing | ItemValue::Fingerprint(_) => value,
            ItemValue::Text(text) if text.is_empty() => ItemValue::Text(text),
            ItemValue::Text(text) => ItemValue::Fingerprint(self.fingerprint(text.as_bytes())),
            ItemValue::Flag(flag) => self.conceal(ItemValue::Text(flag.to_string())),
            ItemValue::Integer(number) => self.conceal(ItemValue::Text(number.to_string())),
            ItemValue::List(values) => {
                ItemValue::List(values.into_iter().map(|value| self.conceal(value)).collect())
            }
            ItemValue::Set(values) => {
                ItemValue::Set(values.into_iter().map(|value| self.conceal(value)).collect())
            }
            ItemValue::Lines(lines) => self.conceal(ItemValue::Text(lines.join("\n"))),
        }
    }

    fn redact_value(&self, value: ItemValue) -> ItemValue {
        match value {
            ItemValue::Nothing
            | ItemValue::Flag(_)
            | ItemValue::Integer(_)
            | ItemValue::Fingerprint(_) => value,
            ItemValue::Text(text) if text.len() > limits::ITEM_TEXT_BYTES => {
                ItemValue::Fingerprint(self.fingerprint(text.as_bytes()))
            }
            ItemValue::Text(text) => ItemValue::Text(self.redact_text(&text).into_owned()),
            ItemValue::List(values) => {
                let values = values.into_iter().map(|value| self.redact_value(value)).collect();
                ItemValue::List(self.redact_arguments(values))
            }
            ItemValue::Set(values) => {
                ItemValue::Set(values.into_iter().map(|value| self.redact_value(value)).collect())
            }
            ItemValue::Lines(lines) => ItemValue::Lines(text::redact_lines(self, lines)),
        }
    }

    /// Replaces the secrets of a list that is a command line, as JSON writes arguments: what
    /// follows an option may be its value.
    fn redact_arguments(&self, values: Vec<ItemValue>) -> Vec<ItemValue> {
        let is_option = |value: &ItemValue| value.as_text().is_some_and(|it| it.starts_with('-'));
        if values.iter().any(is_option) { self.redact_words(values) } else { values }
    }

    /// The same of a list that is one whatever stands in it: `["wpa_passphrase", "net", "X"]`.
    fn redact_words(&self, values: Vec<ItemValue>) -> Vec<ItemValue> {
        let texts: Option<Vec<&str>> = values.iter().map(ItemValue::as_text).collect();
        let Some(texts) = texts else { return values };
        text::redact_arguments(self, &texts).into_iter().map(ItemValue::Text).collect()
    }

    /// Replaces the secrets inside free text: URL user info, `name=value` pairs, tokens, key
    /// blocks.
    pub fn redact_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        text::redact(self, text)
    }

    /// Where [`Redactor::redact_text`] finds secrets first, for those who weigh what it found.
    /// Ranges may overlap.
    pub fn secrets_in(&self, text: &str) -> Vec<Range<usize>> {
        text::secrets(self, text)
    }

    /// The form of a redacted part that the spool keeps.
    pub fn seal(&self, part: &Redacted<Part>) -> (Digest, Sealed) {
        let mut bytes = canonical::encode(part.get());
        let digest = canonical::digest_of_canonical(&bytes);
        let seal: FingerprintDigest = cut(&blake3::keyed_hash(&self.seal, &bytes));
        bytes.extend_from_slice(&seal.0);
        (digest, Sealed(bytes))
    }

    /// Reads back what [`Redactor::seal`] made.
    ///
    /// # Errors
    /// [`SealError`] when the bytes are damaged or not ours.
    pub fn open(&self, sealed: &[u8]) -> Result<Redacted<Part>, SealError> {
        let bytes = self.unsealed(sealed)?;
        canonical::decode(bytes).map(Redacted).map_err(SealError::Content)
    }

    /// What [`Redactor::seal`] made, to be sent as it is.
    ///
    /// # Errors
    /// As [`Redactor::open`], but that the JSON is a part is not looked at.
    pub fn to_send(&self, sealed: &[u8]) -> Result<Unsealed, SealError> {
        let json = serde_json::from_slice(self.unsealed(sealed)?);
        json.map(Unsealed).map_err(|error| SealError::Content(CanonicalError::Json(error)))
    }

    /// The canonical bytes, which are JSON, of what [`Redactor::seal`] made.
    ///
    /// # Errors
    /// [`SealError::Mismatch`] when they are damaged or not ours.
    pub fn unsealed<'a>(&self, sealed: &'a [u8]) -> Result<&'a [u8], SealError> {
        let (bytes, seal) = sealed.split_last_chunk::<SEAL_BYTES>().ok_or(SealError::Mismatch)?;
        let expected: FingerprintDigest = cut(&blake3::keyed_hash(&self.seal, bytes));
        if expected.0 != *seal {
            return Err(SealError::Mismatch);
        }
        Ok(bytes)
    }
}

/// Hashes a file piece by piece into its keyed raw digest.
pub struct RawHasher {
    hasher: blake3::Hasher,
    key: KeyId,
}

impl RawHasher {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The digest of all bytes added.
    pub fn finish(self) -> Fingerprint {
        Fingerprint { key: self.key, digest: cut(&self.hasher.finalize()) }
    }
}

/// The digest of a scope and of how its secrets are hidden.
fn redacted_scope(scope: Digest) -> Digest {
    let hashed = [scope.0.as_slice(), &REDACTION_VERSION.to_le_bytes()].concat();
    Digest(blake3::derive_key(SCOPE_CONTEXT, &hashed))
}

/// `key`, or the key with a number after it where redaction made two keys one.
fn unused(items: &Items, key: ItemKey) -> ItemKey {
    if !items.contains_key(&key) {
        return key;
    }
    let mut free = key.clone();
    let mut number = 2u32;
    while items.contains_key(&free) {
        let segments: Vec<String> = key.segments().chain([number.to_string()]).collect();
        free = ItemKey::of(segments);
        number += 1;
    }
    free
}

fn cut(hash: &blake3::Hash) -> FingerprintDigest {
    let mut short = [0; SEAL_BYTES];
    short.copy_from_slice(&hash.as_bytes()[..SEAL_BYTES]);
    FingerprintDigest(short)
}

#[cfg(test)]
mod corpus;

#[cfg(test)]
mod tests;
