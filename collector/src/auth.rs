//! Who speaks: agents by their own token, people by scoped tokens, on loopback without one.
//!
//! Only blake3 of a token is ever held. Tokens have 256 random bits, so a plain hash is enough and
//! a look-up by hash tells nothing; the comparison that decides is constant-time all the same.
//! Refusals look alike whatever was wrong with a token that does not count. What a browser may be
//! tricked into (a foreign page, a re-bound name) is refused in [`browser`].

pub mod browser;
pub mod ending;
pub mod tokens;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use axum::http::{HeaderMap, header};
use driftline_protocol::ids::HostId;
use driftline_protocol::limits;
use jiff::{SignedDuration, Timestamp};

use crate::store::{HostRecord, Scope, Step, StoreError, TokenRecord};

/// How tokens begin, so that scanners for leaked secrets can find them.
pub const TOKEN_PREFIX: &str = "dlt_";

/// The longest life of a token, in days. A token nobody renews in a year is one nobody knows of.
pub const TOKEN_DAYS: u32 = 366;

/// The largest file of the enrolment secret, in bytes.
const SECRET_BYTES: u64 = 4_096;

/// The shortest enrolment secret, in bytes; shorter ones can be guessed over the network.
const SECRET_LEAST: usize = 16;

/// Why a token or secret cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Its name is not one.
    #[error("token name {0:?} must be 1 to 63 of a-z, 0-9, '.', '_' and '-'")]
    Name(String),
    /// It would live too long or not at all.
    #[error("a token lives 1 to {TOKEN_DAYS} days, not {0}")]
    Days(u32),
    /// There is none of this name.
    #[error("there is no token named {0:?}; `driftline-collector token list` shows them")]
    Unknown(String),
    /// There is one of this name, which nobody said is to be replaced.
    #[error(
        "there is a token named {0:?} already: choose another name, or put the new one in its \
         place with `--replace` (`replace` of the API); who holds the old one is refused from then \
         on"
    )]
    Taken(String),
    /// The operating system gave no random bytes.
    #[error("drawing random bytes for a token: {0}")]
    Random(getrandom::Error),
    /// The store failed.
    #[error("keeping tokens")]
    Store(#[from] StoreError),
    /// The enrolment secret cannot be read.
    #[error(
        "reading the enrolment secret {file} (`enrolment_secret_file` names it; `openssl rand -hex \
         32` makes one, which the user of the service must be able to read)"
    )]
    SecretFile {
        /// From which file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The enrolment secret is not one.
    #[error("the enrolment secret in {file} {problem}")]
    Secret {
        /// From which file.
        file: String,
        /// What is wrong and what to do.
        problem: &'static str,
    },
}

/// Who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name of the token, or `loopback`.
    pub name: String,
    /// Whether this is somebody on this machine, without any token.
    pub is_local: bool,
    /// Whether the token is of the scope `admin`.
    pub is_admin: bool,
}

/// What somebody who is not let in holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// No token.
    None,
    /// A token that is not known, or has expired.
    Unknown,
    /// A token that counts, by name, of another scope.
    Other(String, Scope),
}

/// Everybody who has a token, in memory.
#[derive(Default)]
pub struct Keys {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    agents: HashMap<[u8; 32], HostId>,
    tokens: HashMap<[u8; 32], TokenRecord>,
}

impl Keys {
    /// Replaces what is known; called at the start and whenever a token may have come from
    /// elsewhere.
    pub fn replace(&self, hosts: &[HostRecord], tokens: Vec<TokenRecord>) {
        let agents = hosts
            .iter()
            .filter(|host| host.token != [0; 32])
            .map(|host| (host.token, host.id.clone()))
            .collect();
        let tokens = tokens.into_iter().map(|token| (token.hash, token)).collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known { agents, tokens };
    }

    /// Replaces what is known of people's tokens: one may have been made by another program.
    pub fn replace_tokens(&self, tokens: Vec<TokenRecord>) {
        let tokens = tokens.into_iter().map(|token| (token.hash, token)).collect();
        self.known.write().unwrap_or_else(PoisonError::into_inner).tokens = tokens;
    }

    /// Learns from steps that have become durable.
    pub fn learn(&self, steps: &[Step]) {
        let relevant =
            |step: &&Step| matches!(step, Step::Host(_) | Step::Token(_) | Step::RemoveToken(_));
        if !steps.iter().any(|step| relevant(&step)) {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for step in steps.iter().filter(relevant) {
            match step {
                Step::Host(host) => {
                    known.agents.retain(|_, id| *id != host.id);
                    if host.token != [0; 32] {
                        known.agents.insert(host.token, host.id.clone());
                    }
                }
                Step::Token(token) => {
                    known.tokens.retain(|_, other| other.name != token.name);
                    known.tokens.insert(token.hash, token.clone());
                }
                Step::RemoveToken(name) => known.tokens.retain(|_, token| token.name != *name),
                Step::Version(_)
                | Step::Recount { .. }
                | Step::Approve { .. }
                | Step::Findings(_)
                | Step::Exception(_)
                | Step::Event(_)
                | Step::Cases(_)
                | Step::CaseReading(_)
                | Step::Suspects(_)
                | Step::Pass(..)
                | Step::Outcome(_)
                | Step::ChangeRequests(_)
                | Step::Reconsidered(_)
                | Step::Judged(_)
                | Step::Act(_)
                | Step::Weighed(_) => {}
            }
        }
    }

    /// The host whose agent sent these headers.
    pub fn agent(&self, headers: &HeaderMap) -> Option<HostId> {
        let hash = hash(bearer(headers)?);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (held, host) = known.agents.get_key_value(&hash)?;
        same(held, &hash).then(|| host.clone())
    }

    /// The person whose token these headers carry, if it allows `wanted` at `now`.
    pub fn person(&self, headers: &HeaderMap, wanted: Scope, now: Timestamp) -> Option<Person> {
        let token = bearer(headers).map(str::to_owned).or_else(|| browser::password(headers))?;
        let held = self.held(&token, wanted, now)?;
        let is_admin = held.scope == Scope::Admin;
        Some(Person { name: held.name, is_local: false, is_admin })
    }

    /// What the headers of a request that is not let in carry at `now`.
    pub fn what_is_held(&self, headers: &HeaderMap, now: Timestamp) -> Held {
        let token = bearer(headers).map(str::to_owned).or_else(|| browser::password(headers));
        let Some(token) = token else { return Held::None };
        let hash = hash(&token);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.tokens.get(&hash).filter(|held| same(&held.hash, &hash)) {
            Some(held) if now < held.expires_at => Held::Other(held.name.clone(), held.scope),
            Some(_) | None => Held::Unknown,
        }
    }

    /// The name of `token`, if it allows `wanted` at `now`.
    pub fn allows(&self, token: &str, wanted: Scope, now: Timestamp) -> Option<String> {
        Some(self.held(token, wanted, now)?.name)
    }

    /// What is known of `token`, if it allows `wanted` at `now`.
    fn held(&self, token: &str, wanted: Scope, now: Timestamp) -> Option<TokenRecord> {
        let hash = hash(token);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let held = known.tokens.get(&hash)?;
        let allowed = held.scope == wanted || (held.scope == Scope::Admin && admin_may(wanted));
        (same(&held.hash, &hash) && allowed && now < held.expires_at).then(|| held.clone())
    }

    /// Whether `token` enrolled hosts and does no more at `now`.
    pub fn enrolled_once(&self, token: &str, now: Timestamp) -> bool {
        let hash = hash(token);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.tokens.get(&hash).is_some_and(|held| {
            same(&held.hash, &hash) && held.scope == Scope::Enrol && now >= held.expires_at
        })
    }

    /// Whether any token lets a person in at `now`.
    pub fn any_person(&self, now: Timestamp) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.tokens.values().any(|token| now < token.expires_at)
    }
}

/// Each scope is exact; only `admin` reads too.
fn admin_may(wanted: Scope) -> bool {
    match wanted {
        // Whoever may approve a state may write down what was approved.
        Scope::Read | Scope::Metrics | Scope::Admin | Scope::ChangeRequests => true,
        Scope::Enrol | Scope::Cases => false,
    }
}

/// blake3 of a token: what is kept instead of it.
pub fn hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}

/// Compares in constant time.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    blake3::Hash::from_bytes(*a) == blake3::Hash::from_bytes(*b)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// A new random token.
///
/// # Errors
/// [`AuthError::Random`].
pub fn draw() -> Result<String, AuthError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(AuthError::Random)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{TOKEN_PREFIX}{digits}"))
}

/// A token of `name` that allows `scope` for `days`; the text is shown this once.
///
/// # Errors
/// [`AuthError::Name`], [`AuthError::Days`], [`AuthError::Random`].
pub fn make(
    name: &str,
    scope: Scope,
    days: u32,
    now: Timestamp,
) -> Result<(String, TokenRecord), AuthError> {
    if name.parse::<HostId>().is_err() {
        return Err(AuthError::Name(name.chars().take(80).collect()));
    }
    if days == 0 || days > TOKEN_DAYS {
        return Err(AuthError::Days(days));
    }
    let token = draw()?;
    let life = SignedDuration::from_hours(i64::from(days) * 24);
    let record = TokenRecord {
        name: name.to_owned(),
        scope,
        hash: hash(&token),
        created_at: now,
        expires_at: now.checked_add(life).unwrap_or(now),
    };
    Ok((token, record))
}

/// Who speaks on this machine's own command line: the user, and for whom sudo says that is.
pub fn on_this_machine(uid: u32, sudo_user: Option<&str>) -> String {
    // Whoever can write the store can also say anything here; it shall only stay a name.
    let letter = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let name: String = sudo_user.unwrap_or_default().chars().filter(letter).take(63).collect();
    match name.as_str() {
        "" => format!("uid {uid} of this machine"),
        name => format!("uid {uid} of this machine, for {name},"),
    }
}

/// The secret that agents enrol with, as it stands in its file: the secret on the first line and,
/// if it shall expire, `expires 2026-12-31T00:00:00Z` on the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentSecret {
    hash: [u8; 32],
    expires: Option<Timestamp>,
}

impl EnrolmentSecret {
    /// Reads `file`.
    ///
    /// # Errors
    /// [`AuthError::SecretFile`], [`AuthError::Secret`].
    pub fn load(file: &Path) -> Result<Self, AuthError> {
        let name = file.display().to_string();
        let failed = |source| AuthError::SecretFile { file: name.clone(), source };
        let mut opened = std::fs::File::open(file).map_err(failed)?;
        let bytes = limits::read_bounded(&mut opened, SECRET_BYTES).map_err(failed)?;
        let text = String::from_utf8_lossy(&bytes);
        Self::parse(&text).map_err(|problem| AuthError::Secret { file: name, problem })
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut lines = text.lines().map(str::trim);
        let secret = lines.next().unwrap_or_default();
        if secret.len() < SECRET_LEAST {
            return Err("is shorter than 16 characters; `openssl rand -hex 32` makes a good one");
        }
        let expires = match lines.find(|line| !line.is_empty()) {
            None => None,
            Some(line) => {
                let moment = line.strip_prefix("expires ").and_then(|text| text.parse().ok());
                Some(moment.ok_or("has a second line that is not `expires YYYY-MM-DDThh:mm:ssZ`")?)
            }
        };
        Ok(Self { hash: hash(secret), expires })
    }

    /// Whether `given` is the secret, ended or not.
    pub fn is(&self, given: &str) -> bool {
        same(&self.hash, &hash(given))
    }

    /// When it ends, if it does.
    pub fn ends(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Whether `given` is the secret and it has not expired at `now`.
    pub fn allows(&self, given: &str, now: Timestamp) -> bool {
        self.is(given) && self.expires.is_none_or(|expires| now < expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer_of(token: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        headers
    }

    #[test]
    fn a_scope_allows_itself_and_admin_reads_too() {
        let now = Timestamp::UNIX_EPOCH;
        let all = [
            Scope::Enrol,
            Scope::Read,
            Scope::Metrics,
            Scope::Cases,
            Scope::ChangeRequests,
            Scope::Admin,
        ];
        for held in all {
            let keys = Keys::default();
            let (token, record) = make("t", held, 1, now).unwrap();
            keys.learn(&[Step::Token(record.clone())]);
            for wanted in all {
                let apart = matches!(wanted, Scope::Enrol | Scope::Cases);
                let expect = held == wanted || (held == Scope::Admin && !apart);
                let got = keys.person(&bearer_of(&token), wanted, now).is_some();
                assert_eq!(got, expect, "{held:?} {wanted:?}");
            }
            assert!(keys.person(&bearer_of(&token), held, record.expires_at).is_none(), "expired");
            keys.learn(&[Step::RemoveToken("t".into())]);
            assert!(keys.person(&bearer_of(&token), held, now).is_none(), "removed");
        }
    }

    #[test]
    fn names_and_lives_of_tokens_are_bounded() {
        let now = Timestamp::UNIX_EPOCH;
        assert!(matches!(make("a b", Scope::Read, 1, now), Err(AuthError::Name(_))));
        for days in [0, TOKEN_DAYS + 1] {
            assert!(matches!(make("a", Scope::Read, days, now), Err(AuthError::Days(_))));
        }
    }

    #[test]
    fn an_enrolment_secret_ends_when_it_says() {
        let text = "0123456789abcdef\nexpires 2026-01-01T00:00:00Z\n";
        let secret = EnrolmentSecret::parse(text).unwrap();
        let (before, after) = ("2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z");
        assert!(secret.allows("0123456789abcdef", before.parse().unwrap()));
        assert!(!secret.allows("0123456789abcdef", after.parse().unwrap()));
        assert!(!secret.allows("0123456789abcdeg", before.parse().unwrap()));
        assert!(EnrolmentSecret::parse("short").is_err());
        assert!(EnrolmentSecret::parse("0123456789abcdef\nnext year").is_err());
    }
}
