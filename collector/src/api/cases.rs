//! Cases in and out: what case systems post, and what is known of cases.

use std::io::{Cursor as Bytes, Read};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::Uri;
use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::read::{moment, next_page, place, query, read};
use super::speaker::speaks_for;
use super::{Answer, Shared};
use crate::auth::Person;
use crate::cases::{ColumnNotes, Hider, visible};
use crate::config::{Mapper, Words};
use crate::pass;
use crate::serve::answer::{self, Refusal};
use crate::serve::body::Class;
use crate::serve::case_intake;
use crate::serve::state::Collector;
use crate::store::{CaseFilter, CaseReading, CaseRecord, FeedRecord, effective_limit};

/// `POST /api/v1/cases`
pub async fn take(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    request: Request,
) -> Answer {
    let config = collector.settings().config;
    let source = speaks_for(request.uri(), &person, |name| config.case_source(name))?;
    let (head, body) = request.into_parts();
    let received = collector.budget.read(Class::Bulk, &head.headers, body).await?;
    let (bytes, _share) = received.split();
    let taken = case_intake::take(&collector, &source, as_read(bytes)).await?;
    let problem = taken.problem();
    let intake = &taken.intake;
    let kept = intake.rows.saturating_sub(intake.refused.total);
    let now = Timestamp::now();
    let reading = CaseReading {
        source: source.name.clone(),
        at: now,
        good_through: problem.is_none().then_some(now),
        rows: intake.rows,
        refused: intake.refused.total,
        problem: problem.clone().unwrap_or_default(),
    };
    let is_source = kept > 0 || is_source(&collector, &source.name).await?;
    if is_source {
        collector.case_columns.note(&source.name, &intake.columns);
        case_intake::note(&collector, reading).await?;
    }
    if let Some(problem) = problem.filter(|_| kept == 0) {
        return Err(Refusal::malformed(problem));
    }
    let first: Vec<String> = intake.refused.first.iter().map(ToString::to_string).collect();
    Ok(answer::json(&json!({
        "taken": kept,
        "words_left_out": intake.personal,
        "ids_hidden": intake.hidden_ids,
        "known_source": is_source,
        "unread_columns": intake.columns.unread,
        "absent_columns": intake.columns.absent,
        "refused": { "total": intake.refused.total, "first": first },
    })))
}

/// Whether `name` is a source before it says anything: one of the configuration, or one that a case
/// came of. An empty list under any other name is a slip of the keyboard: a source made of it
/// would have everything wait for what never comes.
async fn is_source(collector: &Arc<Collector>, name: &str) -> Result<bool, Refusal> {
    let settings = collector.settings();
    let configured = settings.config.case_sources.iter().any(|source| source.name == name);
    if configured || mutant::active(Mutant::EmptyListsMakeSources) {
        return Ok(true);
    }
    let feeds = read(collector, |store| Ok(store.case_feeds()?)).await?;
    Ok(feeds.iter().any(|feed| feed.source == name))
}

/// A body as the reader of files takes it: one object over many lines is an array of one.
fn as_read(bytes: Vec<u8>) -> Box<dyn Read + Send> {
    let object = bytes.trim_ascii_start().starts_with(b"{");
    let one = object && serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
    if one {
        return Box::new(b"[".as_slice().chain(Bytes::new(bytes)).chain(b"]".as_slice()));
    }
    Box::new(Bytes::new(bytes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasesQuery {
    source: Option<String>,
    id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    after: Option<String>,
    #[serde(default)]
    limit: u32,
}

/// One case with what its words mean here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownCase {
    /// The case, in its system's words.
    #[serde(flatten)]
    pub case: CaseRecord,
    /// The service it counts for.
    pub mapped_service: String,
    /// The site it counts for.
    pub mapped_site: String,
    /// The category it counts for.
    pub mapped_category: String,
    /// Whether service and site are names of the configuration.
    pub mapped: bool,
}

/// What `case` means by `mapper`.
pub fn show(mapper: &Mapper, case: CaseRecord) -> ShownCase {
    let words = Words {
        service: case.facts.service.clone(),
        site: case.facts.site.clone(),
        category: case.facts.category.clone(),
    };
    let Words { service, site, category } = mapper.map(&case.source, &words);
    ShownCase {
        case,
        mapped: mapper.knows_service(&service) && mapper.knows_site(&site),
        mapped_service: service,
        mapped_site: site,
        mapped_category: category,
    }
}

/// `GET /api/v1/cases`
pub async fn cases(State(collector): Shared, uri: Uri) -> Answer {
    let CasesQuery { source, id, from, to, after, limit } = query(&uri)?;
    let filter = CaseFilter {
        source,
        id,
        from: from.map(|text| moment(&text)).transpose()?,
        to: to.map(|text| moment(&text)).transpose()?,
        after: after.map(|text| place(&text)).transpose()?,
        limit,
    };
    let mapper = collector.settings().config.mapper();
    let named = mapper.named();
    let found = read(&collector, move |store| {
        let mut filter = filter;
        if let Some(id) = &mut filter.id {
            // A case is asked for as its system names it.
            let seen = visible(id.as_str().into());
            *id = Hider::new(store.case_key()?, named).id(&seen).into_owned();
        }
        Ok(store.cases(&filter)?)
    });
    let found = found.await?;
    let full = found.len() >= effective_limit(limit) as usize;
    let next = found.last().filter(|_| full);
    let next = next.map(|last| next_page(&uri, ("after", &last.place().to_string())));
    let found: Vec<ShownCase> = found.into_iter().map(|case| show(&mapper, case)).collect();
    Ok(answer::json(&json!({ "cases": found, "next": next })))
}

/// The most words told as unmapped.
const UNMAPPED: usize = 1_000;

/// `GET /api/v1/cases/unmapped`
pub async fn unmapped(State(collector): Shared) -> Answer {
    let mapper = collector.settings().config.mapper();
    let words = read(&collector, move |store| {
        Ok(pass::unmapped::unmapped(store, &mapper, Timestamp::now(), UNMAPPED)?)
    });
    Ok(answer::json(&json!({ "unmapped": words.await? })))
}

/// A source of cases, with what was odd about the columns of its newest reading.
#[derive(Serialize)]
struct ShownFeed {
    #[serde(flatten)]
    feed: FeedRecord,
    #[serde(flatten)]
    columns: ColumnNotes,
}

/// `GET /api/v1/cases/sources`
pub async fn sources(State(collector): Shared) -> Answer {
    let feeds = read(&collector, |store| Ok(store.case_feeds()?)).await?;
    let mut notes = collector.case_columns.all();
    let show = |feed: FeedRecord| {
        let columns = notes.remove(&feed.source).unwrap_or_default();
        ShownFeed { feed, columns }
    };
    let shown: Vec<ShownFeed> = feeds.into_iter().map(show).collect();
    Ok(answer::json(&json!({ "sources": shown })))
}
