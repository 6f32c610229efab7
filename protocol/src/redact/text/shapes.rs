//! What tokens, password hashes, key blocks and our own markers look like.
//!
//! Digests, UUIDs and fingerprints are common in configuration and no secrets, so a run of
//! hexadecimal digits is never taken for one; a run of base64 is, where it is long and its case and
//! digits change as often as in random data (paths and identifiers change a third as often).

use crate::ids::KeyId;

/// The shortest run of base64 taken for a token: 24 random bytes.
pub(super) const RANDOM_CHARACTERS: usize = 32;

/// A run with a sign for every so many letters is made of words.
const SIGN_DISTANCE: usize = 8;

/// The length of `{secret:KEY:DIGEST}`.
const MARKER_BYTES: usize = "{secret:".len() + 16 + 1 + 32 + 1;

/// Beginnings of tokens with how many characters follow at least.
const PREFIXES: &[(&str, usize)] = &[
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("dop_v1_", 32),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghr_", 20),
    ("ghs_", 20),
    ("ghu_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("hvs.", 20),
    ("npm_", 30),
    ("rk_live_", 16),
    ("sk-", 20),
    ("sk_live_", 16),
    ("xapp-", 10),
    ("xoxa-", 10),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("ya29.", 20),
];

/// Schemes of password hashes in crypt(5) form.
const CRYPT_SCHEMES: &[&str] = &[
    "1",
    "2",
    "2a",
    "2b",
    "2x",
    "2y",
    "3",
    "5",
    "6",
    "7",
    "8",
    "P",
    "H",
    "apr1",
    "argon2d",
    "argon2i",
    "argon2id",
    "gy",
    "md5",
    "pbkdf2",
    "pbkdf2-sha1",
    "pbkdf2-sha256",
    "pbkdf2-sha512",
    "scrypt",
    "sha1",
    "y",
];

/// How markers of one key begin.
pub(super) struct Own(String);

impl Own {
    /// The markers made under the key `key`.
    pub(super) fn of(key: KeyId) -> Self {
        Self(format!("{{secret:{key}:"))
    }

    /// Whether `text` is such a marker and nothing else.
    pub(super) fn is_marker(&self, text: &str) -> bool {
        text.starts_with(&self.0) && marker(text) == Some(text.len())
    }
}

/// The length of the marker, of whatever key, that `text` begins with, if it does.
pub(super) fn marker(text: &str) -> Option<usize> {
    let marker = text.as_bytes().get(..MARKER_BYTES)?;
    let inside = marker.strip_prefix(b"{secret:")?.strip_suffix(b"}")?;
    let (key, digest) = inside.split_at_checked(16)?;
    let hexadecimal = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_hexdigit);
    let digest = digest.strip_prefix(b":")?;
    (hexadecimal(key) && hexadecimal(digest)).then_some(MARKER_BYTES)
}

/// Whether a run of letters, digits, `_`, `-` and `.` is a token by its beginning.
pub(super) fn is_known_token(run: &str) -> bool {
    let known = |(prefix, least): &(&str, usize)| {
        run.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *least)
    };
    PREFIXES.iter().any(known) || is_web_token(run)
}

/// A JSON web token: three runs of base64 with dots, the first of them `{"…`.
fn is_web_token(run: &str) -> bool {
    run.starts_with("eyJ") && run.len() > 30 && run.matches('.').count() >= 1
}

/// Whether a run of base64 letters is random enough to be a secret.
pub(super) fn is_random(run: &str) -> bool {
    if run.len() < RANDOM_CHARACTERS || run.starts_with("AAAA") {
        return false; // public SSH keys begin with AAAA
    }
    // Names of files are words with signs between; in random data a sign is one letter in thirty.
    let signs = run.bytes().filter(|byte| matches!(byte, b'/' | b'_' | b'-')).count();
    if signs * SIGN_DISTANCE >= run.len() {
        return false;
    }
    let class = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let mut seen = [false; 4];
    let mut turns = 0;
    let mut before = None;
    for now in run.bytes().map(class) {
        if let Some(seen) = seen.get_mut(now) {
            *seen = true;
        }
        turns += usize::from(before.is_some_and(|before| before != now));
        before = Some(now);
    }
    seen.iter().take(3).all(|seen| *seen) && turns * 5 >= run.len() * 2
}

/// What tokens and password hashes begin with.
pub(super) fn prefixes() -> impl Iterator<Item = String> {
    let tokens = PREFIXES.iter().map(|(prefix, _)| (*prefix).to_owned());
    let hashes = CRYPT_SCHEMES.iter().map(|scheme| format!("${scheme}$"));
    tokens.chain(hashes).chain(["eyJ".to_owned()])
}

/// The length of the password hash that `text` begins with, if it does: `$6$…`, `{SSHA}…`, or what
/// stands in its place, `{PLAIN}…`.
pub(super) fn password_hash(text: &str) -> Option<usize> {
    let hashed = |c: char| c.is_ascii_alphanumeric() || "./$=,+-*".contains(c);
    let body = match text.strip_prefix('$') {
        Some(rest) => {
            let (scheme, body) = split_soon(rest, '$')?;
            CRYPT_SCHEMES.contains(&scheme).then_some(body)?
        }
        None => {
            let (scheme, body) = split_soon(text.strip_prefix('{')?, '}')?;
            if matches!(scheme, "PLAIN" | "CLEAR" | "CLEARTEXT") {
                let end = |c: char| c.is_whitespace() || matches!(c, ':' | '"' | '\'' | ',' | '{');
                let length = body.find(end).unwrap_or(body.len());
                return (length > 0).then_some(text.len() - body.len() + length);
            }
            let known = ["SHA", "MD5", "CRYPT", "PBKDF2", "ARGON2", "BCRYPT"]
                .iter()
                .any(|known| scheme.to_ascii_uppercase().contains(known));
            known.then_some(body)?
        }
    };
    let length = body.find(|c| !hashed(c)).unwrap_or(body.len());
    (length >= 16).then_some(text.len() - body.len() + length)
}

/// `text` cut at the first `mark`, where that is no further than the longest name of a scheme.
fn split_soon(text: &str, mark: char) -> Option<(&str, &str)> {
    let (at, _) = text.char_indices().take(20).find(|(_, c)| *c == mark)?;
    let (before, after) = text.split_at_checked(at)?;
    Some((before, after.strip_prefix(mark)?))
}

/// A block between `-----BEGIN …-----` and `-----END …-----`.
pub(super) struct Block {
    /// How long it is; to the end of the text where it does not end.
    pub(super) length: usize,
    /// Whether it holds a private key.
    pub(super) private: bool,
}

/// The block that `text` begins with, if it does.
pub(super) fn block(text: &str) -> Option<Block> {
    let rest = text.strip_prefix("-----BEGIN ")?;
    let (at, _) = rest.char_indices().take(80).find(|(_, c)| matches!(c, '-' | '\n'))?;
    let (label, body) = rest.split_at_checked(at)?;
    body.strip_prefix("-----")?;
    let private = label.contains("PRIVATE KEY") || label.contains("Static key");
    // A block inside a block is none: the search stops at the next beginning, which keeps it
    // linear.
    let mark = |at: &usize| {
        let here = body.get(*at..).unwrap_or_default();
        here.starts_with("-----END ") || here.starts_with("-----BEGIN ")
    };
    let end = body.match_indices("-----").map(|(at, _)| at).find(mark);
    let Some(end) = end else {
        // A certificate that does not end would hide the rest of the text from the scanner.
        return private.then_some(Block { length: text.len(), private });
    };
    let after = body.get(end..).unwrap_or_default();
    let Some(label) = after.strip_prefix("-----END ") else {
        return private.then_some(Block { length: text.len() - after.len(), private });
    };
    let line = label.split('\n').next().unwrap_or_default();
    let close = line.find("-----").map_or(line.len(), |close| close + "-----".len());
    Some(Block { length: text.len() - label.len() + close, private })
}
