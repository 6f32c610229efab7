//! Tokens of people and programs as they are kept: made, replaced where that is said, listed and
//! removed, each with the event that names who did it.

use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;

use super::{AuthError, make};
use crate::store::{Append, EventKind, EventRecord, ReadFindings, Scope, Step, TokenRecord};

/// What becomes of a token that has the name of one that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namesake {
    /// It stays, and the new one is refused.
    Stays,
    /// The new one takes its place.
    Replaced,
}

impl Namesake {
    /// What a person said by `--replace`.
    pub fn of(replace: bool) -> Self {
        if replace { Self::Replaced } else { Self::Stays }
    }
}

/// Makes a token in an opened store for `who`, which an event tells, and gives its text, which is
/// shown this once.
///
/// # Errors
/// As [`make`] and [`kept`], and [`AuthError::Store`].
pub fn create(
    (store, read): (&mut dyn Append, &dyn ReadFindings),
    by: (&str, Timestamp),
    (name, namesake): (&str, Namesake),
    (scope, days): (Scope, u32),
) -> Result<String, AuthError> {
    let (token, record) = make(name, scope, days, by.1)?;
    store.apply(&kept((record, namesake), &read.tokens()?, by)?)?;
    Ok(token)
}

/// The steps by which a token that `who` made is kept beside `known`, the event among them.
///
/// # Errors
/// [`AuthError::Taken`].
pub fn kept(
    (record, namesake): (TokenRecord, Namesake),
    known: &[TokenRecord],
    (who, now): (&str, Timestamp),
) -> Result<Vec<Step>, AuthError> {
    let TokenRecord { name, scope, .. } = &record;
    let scope = scope.as_str();
    let detail = match known.iter().find(|token| token.name == *name) {
        None => format!("{who} made the token {name} with the scope {scope}"),
        Some(_) if namesake == Namesake::Stays && !mutant::active(Mutant::TokenReplacesUnasked) => {
            return Err(AuthError::Taken(name.clone()));
        }
        Some(old) => format!(
            "{who} replaced the token {name} (scope {}) by one with the scope {scope}",
            old.scope.as_str()
        ),
    };
    Ok(with_event(Step::Token(record), (now, detail)))
}

/// The steps by which `who` removes the token `name`, the event among them.
pub fn removed(name: String, (who, now): (&str, Timestamp)) -> Vec<Step> {
    let detail = format!("{who} removed the token {name}");
    with_event(Step::RemoveToken(name), (now, detail))
}

/// `step`, and the event that tells of it.
fn with_event(step: Step, (at, detail): (Timestamp, String)) -> Vec<Step> {
    let kind = EventKind::TokenChanged;
    let event = Step::Event(EventRecord { at, host: None, kind, detail });
    if mutant::active(Mutant::DeedsAreNobodys) { vec![step] } else { vec![step, event] }
}

/// Every token of an opened store, by name.
///
/// # Errors
/// [`AuthError::Store`].
pub fn list(store: &dyn ReadFindings) -> Result<Vec<TokenRecord>, AuthError> {
    let mut tokens = store.tokens()?;
    tokens.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tokens)
}

/// Removes a token of an opened store for `who`, which an event tells.
///
/// # Errors
/// [`AuthError::Unknown`], [`AuthError::Store`].
pub fn remove(
    store: &mut dyn Append,
    read: &dyn ReadFindings,
    (who, now): (&str, Timestamp),
    name: &str,
) -> Result<(), AuthError> {
    if !read.tokens()?.iter().any(|token| token.name == name) {
        return Err(AuthError::Unknown(name.to_owned()));
    }
    Ok(store.apply(&removed(name.to_owned(), (who, now)))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ReadHistory as _;
    use crate::store::memory::Memory;

    #[test]
    fn a_token_takes_the_place_of_another_only_where_that_is_said_and_events_name_who() {
        let (mut store, now) = (Memory::new(), Timestamp::UNIX_EPOCH);
        let read = store.clone();
        let by = ("uid 0 (for ada)", now);
        let mut create = |namesake, scope| {
            create((&mut store, &read), by, ("grafana", namesake), (scope, 3)).map(drop)
        };
        create(Namesake::Stays, Scope::Metrics).unwrap();
        let before = read.tokens().unwrap();
        let refused = create(Namesake::Stays, Scope::Admin).unwrap_err().to_string();
        assert!(refused.contains("--replace"), "{refused}");
        assert_eq!(read.tokens().unwrap(), before, "the one that is there counts on");
        create(Namesake::Replaced, Scope::Read).unwrap();
        assert_ne!(read.tokens().unwrap(), before);
        remove(&mut store, &read, by, "grafana").unwrap();
        let again = remove(&mut store, &read, by, "grafana");
        assert!(matches!(again, Err(AuthError::Unknown(_))));
        let told = read.events(None, 10).unwrap();
        let told: Vec<&str> = told.iter().map(|event| event.detail.as_str()).collect();
        let expected = [
            "uid 0 (for ada) removed the token grafana",
            "uid 0 (for ada) replaced the token grafana (scope metrics) by one with the scope read",
            "uid 0 (for ada) made the token grafana with the scope metrics",
        ];
        assert_eq!(told, expected);
    }
}
