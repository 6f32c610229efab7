//! What is odd among hosts that should be alike, through the API.

use axum::extract::State;
use axum::http::Uri;
use driftline_protocol::ids::HostId;
use serde::Deserialize;
use serde_json::json;

use super::read::{known_if_named, query, read, unknown_group};
use super::{Answer, Shared};
use crate::outliers::{self, Asked};
use crate::serve::answer;
use crate::store::effective_limit;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutliersQuery {
    group: Option<String>,
    host: Option<HostId>,
    #[serde(default)]
    limit: u32,
}

/// `GET /api/v1/outliers`
pub async fn outliers(State(collector): Shared, uri: Uri) -> Answer {
    let OutliersQuery { group, host, limit } = query(&uri)?;
    let config = collector.settings().config;
    if let Some(name) = &group
        && !config.groups.iter().any(|rule| rule.name == *name)
    {
        return Err(unknown_group(name, &config));
    }
    let asked = Asked { group, host, most: effective_limit(limit) as usize };
    let found = read(&collector, move |store| {
        known_if_named(store, asked.host.as_ref())?;
        Ok(outliers::outliers(store, &config, &asked)?)
    });
    Ok(answer::json(&json!({ "outliers": found.await? })))
}
