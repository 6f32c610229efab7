//! Permissions to differ, through the API: list, make, end.

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::change::{act, body};
use super::read::read;
use super::{Answer, Shared};
use crate::analysis::exceptions::{Exception, ExceptionScope, Standing, end};
use crate::auth::Person;
use crate::ingest::{end_exception, except};
use crate::serve::answer::{self, Refusal};
use crate::serve::state::Collector;

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    exception: Exception,
    standing: Standing,
}

/// `GET /api/v1/exceptions`
pub async fn exceptions(State(collector): Shared) -> Answer {
    let known = read(&collector, |store| Ok(store.exceptions()?)).await?;
    let now = Timestamp::now();
    let show = |exception: Exception| Shown { standing: exception.standing(now), exception };
    let shown: Vec<Shown> = known.into_iter().map(show).collect();
    Ok(answer::json(&json!({ "exceptions": shown, "next": Value::Null })))
}

/// What a person asks to permit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// The name of the exception.
    pub(crate) name: String,
    /// What it permits.
    pub(crate) scope: ExceptionScope,
    /// Who answers for it.
    pub(crate) owner: String,
    /// Why, in a sentence.
    pub(crate) reason: String,
    /// Until when.
    pub(crate) expires: String,
    /// The time zone of that end; UTC unless said.
    #[serde(default)]
    pub(crate) zone: Option<String>,
}

/// `POST /api/v1/exceptions`
pub async fn make(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    request: Request,
) -> Answer {
    let asked = body(&collector, request).await?;
    let shown = permit(&collector, person, asked).await?;
    Ok((StatusCode::CREATED, answer::json(&shown)).into_response())
}

/// Makes the exception that `person` asks for; says its name and its end.
///
/// # Errors
/// A [`Refusal`].
pub(crate) async fn permit(
    collector: &Collector,
    person: Person,
    asked: Asked,
) -> Result<Value, Refusal> {
    let Asked { name, scope, owner, reason, expires, zone } = asked;
    let zone = zone.unwrap_or_else(|| "UTC".to_owned());
    let in_zone = TimeZone::get(&zone).map_err(|_| {
        Refusal::malformed(format!("{zone:?} is no time zone, such as Europe/Vienna"))
    })?;
    let expires_at = end(expires.trim(), &in_zone).map_err(Refusal::malformed)?;
    let exception = Exception {
        name,
        scope,
        value: None,
        owner: owner.trim().to_owned(),
        reason: reason.trim().to_owned(),
        made_by: person.name,
        made_at: Timestamp::now(),
        expires_at,
        zone,
        ended: None,
    };
    let shown = json!({ "name": exception.name, "expires_at": exception.expires_at });
    act(collector, move |_, context| {
        except(context, Exception { made_at: context.now, ..exception })
    })
    .await?;
    Ok(shown)
}

/// `DELETE /api/v1/exceptions/{name}`
pub async fn end_now(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    Path(name): Path<String>,
) -> Answer {
    end_by(&collector, person, name).await
}

/// Ends the exception `name` for `person`, before its time.
///
/// # Errors
/// A [`Refusal`].
pub(crate) async fn end_by(collector: &Collector, person: Person, name: String) -> Answer {
    act(collector, move |_, context| end_exception(context, &name, person.name)).await
}
