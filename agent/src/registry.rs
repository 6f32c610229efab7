//! The registry of Windows as it is read: keys with values, as a whole, within bounds. Pure.

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

/// The deepest key below one that is asked for.
pub const DEPTH: usize = 32;

/// A key with everything below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Key {
    /// Its values; the one without a name is the empty name.
    pub values: BTreeMap<String, Value>,
    /// The keys below it.
    pub keys: BTreeMap<String, Key>,
}

/// The data of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `REG_SZ`, `REG_EXPAND_SZ`; variables stay as they are written.
    Text(String),
    /// `REG_MULTI_SZ`.
    List(Vec<String>),
    /// `REG_DWORD`, `REG_QWORD`.
    Number(u64),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Key {
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
            1 | 2 => Self::Text(wide(bytes).trim_end_matches('\0').to_owned()),
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
