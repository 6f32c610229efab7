//! The registry of Windows as it is read: keys with values, within bounds. Pure.
//!
//! A key below that cannot be read is no key that is not there: it stands among the unread ones,
//! with the reason, and everything else is read all the same.

use std::collections::BTreeMap;

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItem;
use driftline_protocol::snapshot::Reason;

/// The only hive that is read: what people set for themselves is there while they are logged in,
/// and gone when they are not.
pub const HIVE: &str = "HKEY_LOCAL_MACHINE";

/// The most keys at and below one that is asked for. `Services` of a full machine has 3,000.
const KEYS: usize = 50_000;

/// The most bytes of names and data there. Stores of certificates have 1 MB.
const BYTES: usize = 32 * 1024 * 1024;

/// The deepest key below one that is asked for as a whole.
const DEPTH: usize = 32;

/// The value in which a key keeps where it leads, if it is a link to another.
pub const LINK: &str = "SymbolicLinkValue";

/// How far below a key is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// So many steps: what is deeper means nothing to whoever asks.
    Steps(usize),
    /// Everything, within bounds: what is deeper is unread.
    Whole,
}

impl Reach {
    /// How many steps that are, at most.
    pub fn steps(self) -> usize {
        match self {
            Self::Steps(steps) => steps,
            Self::Whole => DEPTH,
        }
    }

    /// What is below the last step; nothing where nobody asks for it.
    pub fn beyond(self) -> Option<Reason> {
        match self {
            Self::Steps(_) => None,
            Self::Whole => Some(Reason::TooLarge),
        }
    }
}

/// A key with everything below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Key {
    /// Its values; the one without a name is the empty name.
    pub values: BTreeMap<String, Value>,
    /// The keys below it.
    pub keys: BTreeMap<String, Key>,
    /// The keys below it of which nothing is known, or not all, and why.
    pub unread: BTreeMap<String, Reason>,
}

/// The data of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `REG_SZ`, `REG_EXPAND_SZ`, `REG_LINK`; variables stay as they are written.
    Text(String),
    /// `REG_MULTI_SZ`.
    List(Vec<String>),
    /// `REG_DWORD`, `REG_QWORD`.
    Number(u64),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Key {
    /// The keys at any depth that are unread, with the path to each.
    pub fn blanks(&self) -> Vec<(String, Reason)> {
        let own = self.unread.iter().map(|(name, reason)| (name.clone(), *reason));
        let below = self.keys.iter().flat_map(|(name, key)| {
            let blanks = key.blanks().into_iter();
            blanks.map(move |(path, reason)| (format!("{name}\\{path}"), reason))
        });
        own.chain(below).collect()
    }

    /// Hands everything it says to `take`, piece by piece, each behind its length: equal pieces in
    /// equal order are equal keys.
    pub fn pieces(&self, take: &mut dyn FnMut(&[u8])) {
        counted(take, self.values.len(), b"values");
        for (name, value) in &self.values {
            counted(take, name.len(), name.as_bytes());
            value.pieces(take);
        }
        counted(take, self.unread.len(), b"unread");
        for (name, reason) in &self.unread {
            counted(take, name.len(), name.as_bytes());
            counted(take, reason.as_str().len(), reason.as_str().as_bytes());
        }
        counted(take, self.keys.len(), b"keys");
        for (name, key) in &self.keys {
            counted(take, name.len(), name.as_bytes());
            key.pieces(take);
        }
    }

    /// A value by its name, whose case does not matter.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// A text that is not empty, by its name.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            Value::Text(_) | Value::List(_) | Value::Number(_) | Value::Bytes(_) => None,
        }
    }

    /// A number, by its name.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.value(name)? {
            Value::Number(number) => Some(*number),
            Value::Text(_) | Value::List(_) | Value::Bytes(_) => None,
        }
    }

    /// Bytes, by the name of their value.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.value(name)? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Text(_) | Value::List(_) | Value::Number(_) => None,
        }
    }

    /// A key below it, by names whose case does not matter.
    pub fn below(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        let found = self.keys.iter().find(|(name, _)| name.eq_ignore_ascii_case(first));
        found.and_then(|(_, key)| key.below(rest))
    }
}

impl Value {
    /// The data of a value of the kind that Windows numbers so.
    pub fn of(kind: u32, bytes: &[u8]) -> Self {
        let unread = || Self::Bytes(bytes.to_vec());
        match kind {
            1 | 2 | 6 => Self::Text(wide(bytes).trim_end_matches('\0').to_owned()),
            7 => {
                let text = wide(bytes);
                let texts = text.trim_end_matches('\0').split('\0');
                Self::List(texts.filter(|text| !text.is_empty()).map(str::to_owned).collect())
            }
            4 => <[u8; 4]>::try_from(bytes)
                .map_or_else(|_| unread(), |bytes| Self::Number(u32::from_le_bytes(bytes).into())),
            5 => <[u8; 4]>::try_from(bytes)
                .map_or_else(|_| unread(), |bytes| Self::Number(u32::from_be_bytes(bytes).into())),
            11 => <[u8; 8]>::try_from(bytes)
                .map_or_else(|_| unread(), |bytes| Self::Number(u64::from_le_bytes(bytes))),
            _ => unread(),
        }
    }

    fn pieces(&self, take: &mut dyn FnMut(&[u8])) {
        match self {
            Self::Text(text) => {
                counted(take, text.len(), b"text");
                take(text.as_bytes());
            }
            Self::List(texts) => {
                counted(take, texts.len(), b"list");
                texts.iter().for_each(|text| counted(take, text.len(), text.as_bytes()));
            }
            Self::Number(number) => {
                counted(take, 8, b"number");
                take(&number.to_le_bytes());
            }
            Self::Bytes(bytes) => {
                counted(take, bytes.len(), b"bytes");
                take(bytes);
            }
        }
    }

    /// The value as an item says it. Bytes are told by their fingerprint alone: Windows keeps keys
    /// of IPsec and passwords of services in them, and no redactor sees into digits.
    pub fn item(&self) -> RawItem {
        RawItem::plain(match self {
            Self::Text(text) => ItemValue::text(text),
            Self::List(texts) => ItemValue::List(texts.iter().map(ItemValue::text).collect()),
            Self::Number(number) => i64::try_from(*number)
                .map_or_else(|_| ItemValue::Text(number.to_string()), ItemValue::Integer),
            Self::Bytes(bytes) => {
                let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                return RawItem::secret(ItemValue::Text(digits));
            }
        })
    }
}

/// A piece behind its length, or a count with what is counted.
fn counted(take: &mut dyn FnMut(&[u8]), count: usize, piece: &[u8]) {
    take(&(count as u64).to_le_bytes());
    take(piece);
}

/// Text as Windows keeps it.
pub fn wide(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// What may still be read of the registry for one part.
#[derive(Debug, Default)]
pub struct Budget {
    keys: usize,
    bytes: usize,
}

impl Budget {
    /// One more key.
    ///
    /// # Errors
    /// [`Reason::TooLarge`].
    pub fn key(&mut self) -> Result<(), Reason> {
        self.keys += 1;
        if self.keys > KEYS { Err(Reason::TooLarge) } else { Ok(()) }
    }

    /// One more value with its name.
    ///
    /// # Errors
    /// [`Reason::TooLarge`].
    pub fn value(&mut self, bytes: usize) -> Result<(), Reason> {
        self.bytes += bytes;
        if self.bytes > BYTES { Err(Reason::TooLarge) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(value: Value, unread: &[(&str, Reason)]) -> Vec<u8> {
        let mut all = Vec::new();
        let unread = unread.iter().map(|(name, reason)| ((*name).to_owned(), *reason)).collect();
        let values = [("v".to_owned(), value)].into();
        Key { values, unread, ..Key::default() }.pieces(&mut |piece| all.extend(piece));
        all
    }

    #[test]
    fn keys_that_differ_give_other_pieces() {
        let alike = [
            pieces(Value::Text("ab".into()), &[]),
            pieces(Value::Bytes(b"ab".to_vec()), &[]),
            pieces(Value::List(vec!["ab".into()]), &[]),
            pieces(Value::List(vec!["a".into(), "b".into()]), &[]),
            pieces(Value::Number(0x6261), &[]),
            pieces(Value::Text("ab".into()), &[("k", Reason::Denied)]),
            pieces(Value::Text("ab".into()), &[("k", Reason::TooLarge)]),
        ];
        let distinct: std::collections::BTreeSet<_> = alike.iter().collect();
        assert_eq!(distinct.len(), alike.len());
        assert_eq!(alike[0], pieces(Value::Text("ab".into()), &[]));
    }
}
