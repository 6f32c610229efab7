//! Which source a posted body speaks for, and whether its token may: one check for all who post.

use axum::http::Uri;
use serde::Deserialize;

use super::read::query;
use crate::auth::Person;
use crate::config::cases::{SOURCE_NAME_RULE, is_source_name};
use crate::config::{CaseSource, ChangeSource};
use crate::serve::answer::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceQuery {
    source: Option<String>,
}

/// A configured system that tokens speak for.
pub(super) trait Spoken {
    /// Its table in the configuration.
    const TABLE: &'static str;

    /// The tokens that may speak for it beside one of its own name.
    fn tokens(&self) -> &[String];
}

impl Spoken for CaseSource {
    const TABLE: &'static str = "case_source";

    fn tokens(&self) -> &[String] {
        &self.tokens
    }
}

impl Spoken for ChangeSource {
    const TABLE: &'static str = "change_source";

    fn tokens(&self) -> &[String] {
        &self.tokens
    }
}

/// The source that `uri` names, or else the one named like the token of `person`, as `look_up`
/// finds it, if `person` may speak for it: the token is of the source's own name or of
/// the scope `admin`, or the configuration says so. A request permits changes, so nobody else
/// speaks in another's name.
///
/// # Errors
/// A [`Refusal`] for a name that no source can have, and for a token that may not.
pub(super) fn speaks_for<S: Spoken>(
    uri: &Uri,
    person: &Person,
    look_up: impl FnOnce(&str) -> S,
) -> Result<S, Refusal> {
    let SourceQuery { source } = query(uri)?;
    let name = source.unwrap_or_else(|| person.name.clone());
    if !is_source_name(&name) {
        return Err(Refusal::malformed(format!("the name of a source {SOURCE_NAME_RULE}")));
    }
    let source = look_up(&name);
    let token = &person.name;
    let listed = *token == name || source.tokens().contains(token);
    // Who administers the collector could let any token.
    if person.is_local || person.is_admin || listed {
        return Ok(source);
    }
    let table = S::TABLE;
    Err(Refusal::malformed(format!(
        "the token {token} may not speak for the source {name}: make a token named {name}, or add \
         [[{table}]] name = \"{name}\" tokens = [\"{token}\"] to the collector's configuration"
    )))
}
