//! Which names are names of secrets.
//!
//! A name is cut into words (`dbPassword`, `vm-password` and `DB_PASSWORD` alike) and judged by its
//! last ones, since what follows the word for a secret says what is meant: `password_file` and
//! `token_ttl` hold none. The word lists were collected from the sample configurations of Asterisk,
//! FreeSWITCH, Kamailio and stock Linux hosts. Wrong either way hurts: a missed name leaks, a wrong
//! one hides a setting.

mod harmless;
pub(super) mod known;

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};

pub(super) use self::harmless::is_harmless;
use self::harmless::is_harmless_name;
use crate::item::{ItemKey, ItemValue};

/// Words that, at the end of a name, name a secret.
const SECRET_WORDS: &[&str] = &[
    "adminpin",
    "apikey",
    "assword",
    "authkey",
    "authtok",
    "authtoken",
    "bindpw",
    "cak",
    "community",
    "cred",
    "credential",
    "credentials",
    "creds",
    "passcode",
    "passphrase",
    "pass",
    "passwd",
    "password",
    "pepper",
    "pin",
    "pincode",
    "preshared",
    "privatekey",
    "privkey",
    "psk",
    "pw",
    "pwd",
    "rocommunity",
    "rootpw",
    "rwcommunity",
    "secret",
    "secretkey",
    "setcookie",
    "skey",
    "ssword",
    "token",
    "userpin",
    "vmpin",
];

/// What stands beside the users of `[auth.basic]` and is none.
const LOGIN_SETTINGS: &[&str] = &["enabled", "realm", "user", "username"];

/// The most words with blanks between them that are a name (`Admin Password`, `WiFi network
/// password`) and no sentence.
const NAME_WORDS: usize = 3;

/// Endings of a run-together last word that name a secret: `turnpassword`, `ssl_keypasswd`,
/// `dbpass`.
const SECRET_ENDINGS: &[&str] =
    &["password", "passwd", "passphrase", "pass", "secret", "token", "pw", "pwd", "credentials"];

/// Words with such an ending that name none.
const HARMLESS_WORDS: &[&str] = &[
    "askpass",
    "bypass",
    "compass",
    "encompass",
    "nopass",
    "nopasswd",
    "oldpwd",
    "overpass",
    "surpass",
];

/// Words that make a following `key` (or `salt`) a secret.
const KEY_KINDS: &[&str] = &[
    "access",
    "account",
    "activation",
    "admin",
    "api",
    "auth",
    "capture",
    "cipher",
    "cookie",
    "crypto",
    "csrf",
    "des",
    "encryption",
    "hmac",
    "jwt",
    "license",
    "localized",
    "mask",
    "master",
    "nonce",
    "preshared",
    "pre",
    "priv",
    "private",
    "sec",
    "secret",
    "service",
    "session",
    "shared",
    "signing",
    "subscription",
    "token",
    "wep",
    "wireless",
];

/// Sections whose `key`, `keys` or `salt` is a secret: `encryption: { keys: [X] }`. Fewer than
/// [`KEY_KINDS`], since under `account` or `access` a key is as often a name.
const KEY_SECTIONS: &[&str] = &[
    "api",
    "cipher",
    "crypto",
    "csrf",
    "encryption",
    "hmac",
    "jwt",
    "preshared",
    "signing",
    "wep",
];

/// Sections whose `keys` are secrets, while their `key` is the name of one.
const KEYS_SECTIONS: &[&str] = &["cookie", "master", "private", "secret", "session", "shared"];

/// Words that make a following `code` or `seed` a secret.
const CODE_KINDS: &[&str] =
    &["access", "backup", "hotp", "otp", "pin", "recovery", "security", "totp", "unlock"];

/// Words that, after the word for a secret, still mean its value: `password_hash`,
/// `secret_key_base`.
const FORMS: &[&str] = &[
    "base",
    "base64",
    "clear",
    "crypt",
    "data",
    "default",
    "digest",
    "encrypted",
    "hash",
    "hashed",
    "hex",
    "in",
    "new",
    "old",
    "out",
    "plain",
    "plaintext",
    "raw",
    "sha1",
    "sha256",
    "sha512",
    "string",
    "text",
    "value",
];

/// Names of collections each of whose members is a secret.
const COLLECTIONS: &[&str] =
    &["apikeys", "communities", "credentials", "passwords", "secrets", "tokens"];

/// Words at the end of a name of a setting that stands inside such a collection.
const SETTING_WORDS: &[&str] = &[
    "backend",
    "days",
    "dir",
    "directory",
    "enabled",
    "engine",
    "file",
    "length",
    "max",
    "min",
    "path",
    "timeout",
    "ttl",
    "type",
];

/// Segments under which a pair `name`/`value` keeps its value.
const VALUE_SEGMENTS: &[&str] = &["content", "data", "default", "val", "value"];

/// Every name of a secret holds one of these, whatever its case: what holds none needs no closer
/// look.
const MARKS: &[&str] = &[
    "a1-hash",
    "a1_hash",
    "auth",
    "cak",
    "communit",
    "cred",
    "key",
    "pass",
    "pepper",
    "pin",
    "preshared",
    "psk",
    "pw",
    "salt",
    "secret",
    "seed",
    "ssword",
    "stringdata",
    "ha1",
    "P196",
    "P34",
    "admins",
    "cookie",
    "hash_path",
    "encrypt",
    "turnurl",
    "icesecret",
    "securejsondata",
    "token",
    "code",
    // Names that decide what inside their value is a secret.
    "amqp",
    "dsn",
    "netroot",
    "proxy",
];

/// The same, for whoever looks through whole texts.
pub(super) fn marks() -> impl Iterator<Item = &'static str> {
    MARKS.iter().copied()
}

static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let mut builder = AhoCorasickBuilder::new();
    builder.ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA));
    builder.build(MARKS).ok()
});

/// Whether `name` may be one of a secret; quick, and wrong only towards yes. Two names in three of
/// a stock host end here, which halves the cost of redaction.
pub(super) fn may_name_secret(name: &str) -> bool {
    // Letters beyond ASCII may become ASCII in lower case; such names are rare enough to look at.
    !name.is_ascii() || FINDER.as_ref().is_none_or(|finder| finder.is_match(name))
}

/// Whether `key` names a secret, given its value.
pub fn names_secret(key: &ItemKey, value: &ItemValue) -> bool {
    if !may_name_secret(key.as_str()) {
        return false;
    }
    closely_names_secret(key, value)
}

fn closely_names_secret(key: &ItemKey, value: &ItemValue) -> bool {
    if key.is_attribute() || matches!(value, ItemValue::Flag(_) | ItemValue::Nothing) {
        return false;
    }
    let segments: Vec<String> = key.segments().collect();
    if let ItemValue::Text(text) = value
        && known::is_admin_of_couchdb(&segments, text)
    {
        return true;
    }
    // The number of a repeated key, or a place in an array, names nothing.
    let mut names = segments.iter().rev().map(String::as_str).skip_while(|name| is_number(name));
    let last = names.next().unwrap_or_default();
    if word_names_secret(last) || known::is_by_place(&segments) {
        return !all_harmless(last, value);
    }
    let collection = is_collection;
    let many = matches!(value, ItemValue::List(_) | ItemValue::Set(_));
    let plural = (many || segments.last().is_some_and(|name| is_number(name))) && collection(last);
    let setting = is_setting(last);
    let mut above: Vec<&str> = names.collect();
    // `[auth.basic]` has a user for each name and a password for each value.
    let logins = above.iter().take(2).eq(&["basic", "auth"]) && !LOGIN_SETTINGS.contains(&last);
    above.retain(|name| word_names_secret(name) || collection(name));
    let above = above.first().copied().or(logins.then_some(last)).filter(|_| !setting);
    let plural = plural || is_key_of_section(&segments, last) || is_bare_key(last, value);
    (plural || above.is_some()) && !all_harmless(above.unwrap_or(last), value)
}

/// Whether `last` is `key`, `keys` or `salt` right below a section that makes it a secret.
fn is_key_of_section(segments: &[String], last: &str) -> bool {
    let mut names = segments.iter().rev().skip_while(|name| is_number(name)).skip(1);
    let section = names.next().map(|name| words(name));
    let Some(kind) = section.as_deref().and_then(<[String]>::last) else { return false };
    let one_of = |list: &[&str]| list.contains(&kind.as_str());
    match last.to_ascii_lowercase().as_str() {
        "key" | "salt" => one_of(KEY_SECTIONS),
        "keys" => one_of(KEY_SECTIONS) || one_of(KEYS_SECTIONS),
        _ => false,
    }
}

/// Whether a value called nothing but a key is 128 or 256 bits in hexadecimal. Fingerprints of
/// OpenPGP have 40 digits, and digests have names of their own.
fn is_bare_key(name: &str, value: &ItemValue) -> bool {
    let bits = |text: &str| {
        matches!(text.len(), 32 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    // `KEY1=s:X` of the network scripts.
    let bits = |text: &str| bits(text) || text.starts_with("s:");
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let named = ["key", "keys"].iter().any(|known| name.eq_ignore_ascii_case(known));
    // Consul and Nomad: 128 bits in base64.
    let gossip = |text: &str| text.len() == 24 && text.ends_with("==");
    if name == "encrypt" {
        return value.as_text().is_some_and(gossip);
    }
    named
        && match value {
            ItemValue::Text(text) => bits(text),
            ItemValue::List(values) => values.iter().any(|value| value.as_text().is_some_and(bits)),
            ItemValue::Set(values) => values.iter().any(|value| value.as_text().is_some_and(bits)),
            ItemValue::Nothing
            | ItemValue::Flag(_)
            | ItemValue::Integer(_)
            | ItemValue::Fingerprint(_)
            | ItemValue::Lines(_) => false,
        }
}

/// The name in `key` that decides what inside its value is a secret, where the value as a whole is
/// none: a data source (`dsn:user:password`) or a header with a scheme.
pub(super) fn names_partial_secret(key: &ItemKey) -> Option<String> {
    if !may_name_secret(key.as_str()) {
        return None;
    }
    // A place in an array, or the `#2` of an element that repeats, names nothing.
    let repeated = |segment: &str| is_number(segment.strip_prefix('#').unwrap_or(segment));
    let segments = key.segments().filter(|segment| !repeated(segment));
    let value = |name: &String| !VALUE_SEGMENTS.contains(&name.to_lowercase().as_str());
    let name = segments.filter(value).last()?.to_lowercase();
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    let partial = [
        "dsn",
        "netroot",
        "authorization",
        "auth_pair",
        "proxy",
        "proxyserver",
        "amqp_connection",
        "turnurl",
    ];
    (plain && partial.iter().chain(known::LOGINS).any(|end| name.ends_with(end))).then_some(name)
}

/// Whether a single name, such as `dbPassword` or `X-Api-Key`, names a secret.
pub fn word_names_secret(name: &str) -> bool {
    may_name_secret(name) && word_closely_names_secret(name)
}

fn word_closely_names_secret(name: &str) -> bool {
    if name.len() < 2
        || name.len() > 128
        || name.contains(['\t', '/'])
        || name.split(' ').count() > NAME_WORDS
        || is_harmless_name(name)
    {
        return false;
    }
    if known::is_secret(name) {
        return true;
    }
    let words = words(name);
    let mut words: &[String] = &words;
    while let [rest @ .., last] = words {
        if !rest.is_empty() && (is_number(last) || FORMS.contains(&last.as_str())) {
            words = rest;
        } else {
            break;
        }
    }
    match words {
        [.., pass, phrase] if pass == "pass" && phrase == "phrase" => true,
        [.., erlang, cookie] if erlang == "erlang" && cookie == "cookie" => true,
        [.., kind, keys] if kind == "api" && keys == "keys" => true,
        [.., kind, key] if key == "key" => KEY_KINDS.contains(&kind.as_str()),
        [.., kind, salt] if salt == "salt" => KEY_KINDS.contains(&kind.as_str()),
        [.., kind, code] if matches!(code.as_str(), "code" | "seed") => {
            CODE_KINDS.contains(&kind.as_str())
        }
        [.., last] => is_secret_word(last),
        [] => false,
    }
}

/// Whether `name` is one of a collection whose members are secrets.
pub(super) fn is_collection(name: &str) -> bool {
    known::COLLECTIONS.contains(&name)
        || match &words(name)[..] {
            [.., kind, keys] if keys == "keys" => KEY_KINDS.contains(&kind.as_str()),
            [.., last] => COLLECTIONS.contains(&last.as_str()),
            [] => false,
        }
}

/// Whether the last word of `name` says that it is a setting of something secret.
pub(super) fn is_setting(name: &str) -> bool {
    words(name).last().is_some_and(|word| SETTING_WORDS.contains(&word.as_str()))
}

fn all_harmless(name: &str, value: &ItemValue) -> bool {
    match value {
        ItemValue::Nothing | ItemValue::Flag(_) | ItemValue::Fingerprint(_) => true,
        ItemValue::Integer(_) | ItemValue::Lines(_) | ItemValue::Set(_) => false,
        ItemValue::Text(text) => is_harmless(name, text),
        ItemValue::List(values) => values.iter().all(|value| all_harmless(name, value)),
    }
}

fn is_secret_word(word: &str) -> bool {
    let ends = |ending: &&str| word.ends_with(*ending);
    SECRET_WORDS.contains(&word)
        || (SECRET_ENDINGS.iter().any(ends) && !HARMLESS_WORDS.contains(&word))
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The words of a name in lower case: cut at what is no letter or digit, and where case rises.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut before = ' ';
    let mut characters = name.chars().peekable();
    while let Some(c) = characters.next() {
        let ends_capitals = before.is_uppercase()
            && c.is_uppercase()
            && characters.peek().is_some_and(|next| next.is_lowercase());
        let rises = c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit());
        if (rises || ends_capitals || !c.is_alphanumeric()) && words.last() != Some(&String::new())
        {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    let trimmed = |word: String| {
        // `password2` is a password; a word of digits alone stays.
        let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
        if letters.is_empty() || FORMS.contains(&word.as_str()) { word } else { letters.to_owned() }
    };
    words.into_iter().map(trimmed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_a_secret_where_its_section_or_its_form_says_so() {
        let (word, bits) = ("x7", "0123456789abcdef0123456789ABCDEF");
        let fingerprint = "0123456789abcdef0123456789abcdef01234567";
        for (key, value, secret) in [
            ("encryption/keys/0", word, true),
            ("app/jwt/key", word, true),
            ("modparam/crypto/key", word, true),
            ("modparam/topoh/mask_key", word, true),
            ("session/keys/1", word, true),
            ("session/key", word, false),
            ("keys/0", word, false),
            ("keys/0", bits, true),
            ("trusted/key", bits, true),
            ("gpg/keys/0", fingerprint, false),
            ("encryption/key", "/etc/app/k.pem", false),
            ("map/key", word, false),
            ("admins/members", "alice", false),
            ("admins/gid", "1004", false),
            ("admins/bob", "-pbkdf2-0123456789abcdef,0123,10", true),
            ("admins/bob", "-hashed-0123,4567", true),
        ] {
            let key = ItemKey::of(key.split('/'));
            assert_eq!(names_secret(&key, &ItemValue::text(value)), secret, "{key} {value}");
        }
        let source = ItemKey::of(["param", "core-db-dsn", "#2"]);
        assert_eq!(names_partial_secret(&source).as_deref(), Some("core-db-dsn"));
    }

    proptest! {
        #[test]
        fn the_quick_look_never_says_no_to_a_name_of_a_secret(
            stem in "[A-Za-z_.-]{0,6}",
            word in proptest::sample::select(
                [SECRET_WORDS, SECRET_ENDINGS, COLLECTIONS, &["_auth", "a1-hash", "api_key"]]
                    .concat()
            ),
            upper in any::<u16>(),
            rest in "[A-Za-z0-9_/.-]{0,6}",
        ) {
            let cased = |(at, c): (usize, char)| {
                if upper >> (at % 16) & 1 == 1 { c.to_ascii_uppercase() } else { c }
            };
            let word: String = word.chars().enumerate().map(cased).collect();
            let name = format!("{stem}{word}{rest}");
            prop_assert_eq!(word_names_secret(&name), word_closely_names_secret(&name));
            let key = ItemKey::of(name.split('/'));
            let value = ItemValue::text("x7");
            prop_assert_eq!(names_secret(&key, &value), closely_names_secret(&key, &value));
        }
    }
}
