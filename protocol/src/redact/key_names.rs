//! Which keys name a secret.

use crate::item::{ItemKey, ItemValue};

/// Words that, as the last word of a key, name a secret.
const SECRET_WORDS: &[&str] =
    &["password", "passwd", "secret", "pin", "token", "passphrase", "apikey", "psk"];

/// Whether `key` names a secret, given its value.
pub fn names_secret(key: &ItemKey, value: &ItemValue) -> bool {
    if key.is_attribute() || matches!(value, ItemValue::Flag(_)) {
        return false;
    }
    let last = key.segments().last().unwrap_or_default().to_lowercase();
    SECRET_WORDS.iter().any(|word| last.ends_with(word))
}
