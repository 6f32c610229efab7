//! Takes old history from a person, so that timelines do not begin empty.

use axum::Extension;
use axum::extract::{Request, State};
use driftline_protocol::wire::{Import, ImportAnswer};
use jiff::Timestamp;

use super::{Answer, Shared};
use crate::auth::Person;
use crate::ingest::{Imported, check_import};
use crate::serve::agents::{checked, is_known_version};
use crate::serve::answer;
use crate::serve::body::Class;

/// `POST /api/v1/import`
pub async fn import(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    request: Request,
) -> Answer {
    let (head, body) = request.into_parts();
    let received = collector.budget.read(Class::Bulk, &head.headers, body).await?;
    let (import, _share) = checked(received, |import: Import| {
        is_known_version(import.version)?;
        Ok(check_import(import)?)
    })
    .await?;
    let (host, source) = (import.host.clone(), import.source.clone());
    // Held until the answer is there, so that they are let go here and not by the writer.
    let _held = import.parts.clone();
    let imported = collector.writer.ask(move |ingest, context| ingest.import(context, import));
    let Imported { held, applied, summarised, refused } = imported.await?;
    if applied > 0 {
        tracing::info!(who = %person.name, %host, %source, applied, "history was imported");
    }
    let kept_from = collector.kept_from(Timestamp::now());
    Ok(answer::json(&ImportAnswer { held, applied, summarised, refused, kept_from }))
}
