//! Change requests in and out, and when changes may and must not be made.

use std::io::{Cursor as Bytes, Read};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::Uri;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::read::{moment, next_page, place, query, read};
use super::speaker::speaks_for;
use super::{Answer, Shared};
use crate::auth::Person;
use crate::config::ChangeSource;
use crate::serve::answer::{self, Refusal};
use crate::serve::body::Class;
use crate::serve::request_intake::{self, RequestReading};
use crate::serve::state::Collector;
use crate::store::{RequestFilter, effective_limit};

/// `POST /api/v1/change-requests`
pub async fn take(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    request: Request,
) -> Answer {
    let config = collector.settings().config;
    let source = speaks_for(request.uri(), &person, |name| {
        let known = config.change_sources.iter().find(|source| source.name == name);
        known.cloned().unwrap_or_else(|| ChangeSource::named(name))
    })?;
    let (head, body) = request.into_parts();
    let received = collector.budget.read(Class::Bulk, &head.headers, body).await?;
    let (bytes, _share) = received.split();
    let reader: Box<dyn Read + Send> = Box::new(Bytes::new(bytes));
    let taken = request_intake::take(&collector, (&source, &person.name), reader).await?;
    note(&collector, taken.reading(&source.name, Timestamp::now())).await?;
    if let Some(error) = &taken.broken {
        return Err(Refusal::malformed(error));
    }
    let refused = &taken.came.refused;
    let first: Vec<String> = refused.first.iter().map(ToString::to_string).collect();
    Ok(answer::json(&json!({
        "source": source.name,
        "taken": taken.came.rows - refused.total - taken.too_many - taken.too_old,
        "too_old": taken.too_old,
        "refused": {
            "total": refused.total + taken.too_many,
            "too_many": taken.too_many,
            "first": first,
        },
        "unread_columns": taken.came.columns.unread,
        "absent_columns": taken.came.columns.absent,
    })))
}

/// Notes what was posted. Under a name that neither the configuration nor any request has, a
/// reading of which nothing was taken is a slip of the keyboard: noted, its complaint would stay,
/// since nothing is ever read under that name again.
async fn note(collector: &Arc<Collector>, reading: RequestReading) -> Result<(), Refusal> {
    let settings = collector.settings();
    let name = reading.source.clone();
    let configured = settings.config.change_sources.iter().any(|source| source.name == name);
    let known = configured || {
        let count = read(collector, move |store| Ok(store.count_requests(&name)?));
        count.await? > 0
    };
    if known {
        let (source, problem) = (reading.source.clone(), reading.problem.clone());
        let news = collector.request_readings.note(reading);
        if news && !problem.is_empty() {
            tracing::warn!(source, problem, "change requests were refused");
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestsQuery {
    source: Option<String>,
    id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    after: Option<String>,
    #[serde(default)]
    limit: u32,
}

/// `GET /api/v1/change-requests`
pub async fn requests(State(collector): Shared, uri: Uri) -> Answer {
    let RequestsQuery { source, id, from, to, after, limit } = query(&uri)?;
    let filter = RequestFilter {
        source,
        id,
        from: from.map(|text| moment(&text)).transpose()?,
        to: to.map(|text| moment(&text)).transpose()?,
        after: after.map(|text| place(&text)).transpose()?,
        limit,
    };
    let found = read(&collector, move |store| Ok(store.change_requests(&filter)?)).await?;
    let full = found.len() >= effective_limit(limit) as usize;
    let next = found.last().filter(|_| full);
    let next = next.map(|last| next_page(&uri, ("after", &last.place().to_string())));
    Ok(answer::json(&json!({ "requests": found, "next": next })))
}

/// `GET /api/v1/change-requests/sources`
pub async fn sources(State(collector): Shared) -> Answer {
    Ok(answer::json(&json!({ "sources": collector.request_readings.all() })))
}

/// `GET /api/v1/ignores`
pub async fn ignores(State(collector): Shared) -> Answer {
    let ignores = collector.settings().config.ignored();
    Ok(answer::json(&json!({ "ignores": ignores, "next": null })))
}

/// `GET /api/v1/change-windows`
pub async fn windows(State(collector): Shared) -> Answer {
    let windows = collector.settings().config.windows_at(Timestamp::now());
    Ok(answer::json(&json!({ "windows": windows })))
}
