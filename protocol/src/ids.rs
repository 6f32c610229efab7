//! A type for every name and number that identifies something, so that none is taken for another.
//!
//! Ids that come from outside are checked when they are made; a value of these types is valid.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Why a text is not an id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// The text has a character or a length the id does not allow.
    #[error("{what} {given:?} must be {rule}")]
    Form {
        /// Which id was meant.
        what: &'static str,
        /// What was given, cut to a readable length.
        given: String,
        /// What it must look like.
        rule: &'static str,
    },
}

fn form(what: &'static str, given: &str, rule: &'static str) -> IdError {
    IdError::Form { what, given: given.chars().take(80).collect(), rule }
}

/// Writes the shared face of a text id: checked parsing, display, serde through text.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(form($what, text, $rule)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// Names one host for ever: given by the collector at enrolment, used in URLs and as a metric
    /// label.
    HostId, "host id", "1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
    |text| {
        text.len() <= limits::HOST_NAME_BYTES
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
    }
);

text_id!(
    /// Names a source: section, configuration key and metric label alike, for ever.
    SourceName, "source name", "1 to 40 of a-z, 0-9 and '_', beginning with a letter",
    |text| {
        text.len() <= limits::SOURCE_NAME_BYTES
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    }
);

text_id!(
    /// Names one part of a section: the path of a file or the name of a table.
    ///
    /// Bytes that are no UTF-8, control characters and backslashes are written `\xNN`, so that two
    /// files never share a name; see [`PartName::from_bytes`].
    PartName, "part name", "1 to 8192 bytes without control characters",
    |text| {
        !text.is_empty()
            && text.len() <= limits::PART_NAME_BYTES
            && !text.chars().any(char::is_control)
    }
);

impl HostId {
    /// The nearest valid id to a host name as machines have them: lower case, other characters to
    /// `-`.
    ///
    /// Never fails: a name without one usable character becomes `host`.
    pub fn nearest(name: &str) -> Self {
        let text: String = name
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
            .skip_while(|c| !c.is_ascii_alphanumeric())
            .take(limits::HOST_NAME_BYTES)
            .collect();
        if text.is_empty() { Self("host".into()) } else { Self(text.into()) }
    }
}

impl PartName {
    /// The name of the part for a path of any bytes; different paths have different names.
    ///
    /// A path too long for a name keeps its beginning and ends in a digest of the whole.
    pub fn from_bytes(path: &[u8]) -> Self {
        let plain = |byte: &u8| (b' '..=b'~').contains(byte) && *byte != b'\\';
        if let Ok(name) = std::str::from_utf8(path)
            && (1..=limits::PART_NAME_BYTES).contains(&path.len())
            && path.iter().all(plain)
        {
            return Self(name.into());
        }
        let mut name = String::with_capacity(path.len());
        for chunk in path.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() || c == '\\' {
                    let mut buffer = [0; 4];
                    for byte in c.encode_utf8(&mut buffer).bytes() {
                        name.push_str(&format!("\\x{byte:02x}"));
                    }
                } else {
                    name.push(c);
                }
            }
            for byte in chunk.invalid() {
                name.push_str(&format!("\\x{byte:02x}"));
            }
        }
        if name.is_empty() {
            name.push('.');
        }
        if name.len() > limits::PART_NAME_BYTES {
            let keep = name.floor_char_boundary(limits::PART_NAME_BYTES - 80);
            name.truncate(keep);
            name.push_str("…\\#");
            name.push_str(&blake3::hash(path).to_hex());
        }
        Self(name.into())
    }
}

/// Writes the shared face of an id of random or hashed bytes: hexadecimal text everywhere.
macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $bytes]);

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                decode_hex(text).map(Self).ok_or_else(|| form($what, text, $rule))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

byte_id!(
    /// Names content by what it is: blake3 over a domain-separated canonical form.
    Digest, 32, "digest", "64 lower-case hexadecimal digits"
);

byte_id!(
    /// Names the state of one agent: random, made when the state is made. A reinstalled agent has
    /// another.
    Incarnation, 16, "incarnation", "32 lower-case hexadecimal digits"
);

byte_id!(
    /// Names one run of one agent: random, made at each start. Two sessions of one host at the same
    /// time are a clone, since copying a disk copies the incarnation too.
    SessionId, 16, "session id", "32 lower-case hexadecimal digits"
);

byte_id!(
    /// Names a fingerprint key without telling it. Fingerprints under different keys cannot be
    /// compared.
    KeyId, 8, "key id", "16 lower-case hexadecimal digits"
);

byte_id!(
    /// The keyed digest inside a fingerprint: blake3, cut to 16 bytes.
    FingerprintDigest, 16, "fingerprint", "32 lower-case hexadecimal digits"
);

fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().try_fold(0u8, |value, digit| {
            let nibble = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            Some(value << 4 | nibble)
        })?;
    }
    Some(bytes)
}

/// Numbers the section versions of one agent: persisted, growing by at least one, never the clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation that follows this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_host_name_becomes_the_nearest_id() {
        for (name, id) in [
            ("SBC1.example.org", "sbc1.example.org"),
            ("Zoë's laptop", "zo--s-laptop"),
            ("--edge", "edge"),
            ("", "host"),
        ] {
            assert_eq!(HostId::nearest(name).as_str(), id);
        }
    }

    #[test]
    fn hostile_ids_are_refused() {
        for text in ["", "../etc", "a b", "A", "-a", "a\"b", &"x".repeat(64)] {
            assert!(text.parse::<HostId>().is_err(), "{text:?} was taken for a host id");
        }
        assert!("ab".parse::<Digest>().is_err());
        assert!("zz".repeat(32).parse::<Digest>().is_err());
    }

    proptest! {
        #[test]
        fn different_paths_have_different_names(
            a in proptest::collection::vec(any::<u8>(), 1..40),
            b in proptest::collection::vec(any::<u8>(), 1..40),
        ) {
            let (first, second) = (PartName::from_bytes(&a), PartName::from_bytes(&b));
            prop_assert_eq!(a == b, first == second);
            prop_assert!(first.as_str().parse::<PartName>().is_ok());
        }

        #[test]
        fn every_host_name_has_a_valid_nearest_id(name in ".{0,100}") {
            prop_assert!(HostId::nearest(&name).as_str().parse::<HostId>().is_ok());
        }

        #[test]
        fn hexadecimal_ids_survive_the_text(bytes in any::<[u8; 16]>()) {
            prop_assert_eq!(Incarnation(bytes).to_string().parse(), Ok(Incarnation(bytes)));
        }
    }
}
