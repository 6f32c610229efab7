//! The same change on many hosts as one, through the API.

use axum::extract::{Path, State};
use axum::http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::read::{moment, query, read};
use super::{Answer, Shared};
use crate::rollouts;
use crate::serve::answer::Refusal;
use crate::store::effective_limit;

/// How far back rollouts are looked for unless somebody says otherwise.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RolloutsQuery {
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    limit: u32,
}

/// `GET /api/v1/rollouts`
pub async fn rollouts(State(collector): Shared, uri: Uri) -> Answer {
    let RolloutsQuery { from, to, limit } = query(&uri)?;
    let to = to.map(|text| moment(&text)).transpose()?.unwrap_or_else(Timestamp::now);
    let from = from.map(|text| moment(&text)).transpose()?;
    let from = from.unwrap_or_else(|| to.checked_sub(LOOK_BACK).unwrap_or(to));
    let most = effective_limit(limit) as usize;
    let config = collector.settings().config;
    let found =
        read(&collector, move |store| Ok(rollouts::rollouts((store, &config), (from, to), most)?));
    let (rollouts, left_out) = found.await?;
    Ok(crate::serve::answer::json(&json!({ "rollouts": rollouts, "left_out": left_out })))
}

/// `GET /api/v1/rollouts/{number}`
pub async fn rollout(State(collector): Shared, Path(number): Path<String>) -> Answer {
    let missing = || Refusal::unknown(format!("rollout {number}"), "driftline rollouts");
    let wanted: i64 = number.parse().map_err(|_| missing())?;
    let config = collector.settings().config;
    let found = read(&collector, move |store| Ok(rollouts::one(store, &config, wanted)?)).await?;
    let (_, rollout) = found.ok_or_else(missing)?;
    Ok(crate::serve::answer::json(&rollout))
}
