//! What the API tells. Reads only; each answer comes from the store as the portal reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use driftline_protocol::ids::{HostId, PartName, SourceName};
use driftline_protocol::limits;
use driftline_protocol::snapshot::{Section, Snapshot};
use driftline_protocol::wire::{AgentStatus, ProblemCode, SNAPSHOT_VERSION};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Shared};
use crate::analysis::agreement::Subject;
use crate::analysis::change::ChangeKind;
use crate::analysis::classify::ChangeClass;
use crate::approvals::held_to;
use crate::auth::ending::{self, Standing};
use crate::config::Config;
use crate::impact::{Impact, impact};
use crate::ingest::HostView;
use crate::metrics;
use crate::serve::answer::{self, Refusal};
use crate::serve::state::Collector;
use crate::store::{
    ApprovalRecord, ChangeFilter, ChangeId, ChangeRecord, Cursor, EventFilter, EventKind,
    EventRecord, effective_limit,
};
use crate::writer::Reads;

/// The most bytes of parts in one snapshot, as canonical JSON; a larger one is asked for by
/// section.
const SNAPSHOT_BYTES: usize = 64 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostsQuery {
    after: Option<HostId>,
    #[serde(default)]
    limit: u32,
}

/// `GET /api/v1/hosts`
pub async fn hosts(State(collector): Shared, uri: Uri) -> Answer {
    let HostsQuery { after, limit } = query(&uri)?;
    let fleet = collector.fleet().await?;
    let limit = effective_limit(limit) as usize;
    let later = fleet.hosts.iter().filter(|(id, _)| after.as_ref().is_none_or(|a| *id > a));
    let page: Vec<(&HostId, &HostView)> = later.take(limit).collect();
    let next = page.last().filter(|_| page.len() == limit);
    let next = next.map(|(id, _)| format!("/api/v1/hosts?after={id}&limit={limit}"));
    let page: Vec<Value> = page.iter().map(|(id, host)| show(&collector, id, host)).collect();
    Ok(answer::json(&json!({ "hosts": page, "next": next })))
}

/// `GET /api/v1/hosts/{host}`
pub async fn host(State(collector): Shared, Path(id): Path<String>) -> Answer {
    let id = host_id(&id)?;
    let mut fleet = collector.fleet().await?;
    let host = fleet.hosts.remove(&id).ok_or_else(|| unknown_host(&id))?;
    let shown = show(&collector, &id, &host);
    let sources: BTreeMap<&str, Value> = host
        .sources
        .iter()
        .map(|(source, state)| {
            let value = json!({
                "success": state.last_read.success,
                "read_seconds": state.last_read.micros as f64 / 1e6,
                "unobserved": state.unobserved,
                "imbalance": state.imbalance,
                "waiting": state.waiting,
                "coalesced": state.coalesced,
                "expired": state.expired,
            });
            (source.as_str(), value)
        })
        .collect();
    let groups = collector.settings().config.place(&id, host.kind).groups;
    let held = read(&collector, move |store| Ok(held_to(store, &id, &groups)?)).await?;
    let (own, groups): (Vec<_>, Vec<_>) =
        held.iter().partition(|one| matches!(one.subject, Subject::Host(_)));
    let baseline = own.first().map(|newest| approval(newest));
    let baselines_of_groups = groups.into_iter().map(approval_of_group).collect();
    let more =
        HostPage { host: shown, sources, status: host.status, baseline, baselines_of_groups };
    Ok(answer::json(&more))
}

/// One host in full.
#[derive(Serialize)]
struct HostPage<'a> {
    #[serde(flatten)]
    host: Value,
    sources: BTreeMap<&'a str, Value>,
    status: Option<AgentStatus>,
    baseline: Option<Value>,
    /// Those of its groups that it is held to as well, the newest first.
    baselines_of_groups: Vec<Value>,
}

fn approval(newest: &ApprovalRecord) -> Value {
    json!({
        "approval": newest.number,
        "approved_at": newest.at,
        "approved_by": newest.who,
        "reason": newest.why,
    })
}

fn approval_of_group(newest: &ApprovalRecord) -> Value {
    let mut told = approval(newest);
    if let Some(told) = told.as_object_mut() {
        told.insert("group".to_owned(), json!(newest.subject));
    }
    told
}

fn show(collector: &Collector, id: &HostId, host: &HostView) -> Value {
    let config = collector.settings().config;
    let place = config.place(id, host.kind);
    let now = Timestamp::now();
    json!({
        "host": id,
        "state": metrics::liveness(host, &config, now).as_str(),
        "asleep": metrics::sleep::is_asleep(&config, (id, host), now),
        "last_seen": host.last_seen,
        "agent_version": host.agent_version,
        "refused": host.refused,
        "lost_by_restore": host.lost_by_restore,
        "kind": place.kind,
        "site": place.site,
        "team": place.team,
        "service": place.service,
        "groups": place.groups,
        "sleep_days": place.sleep_days,
        "assigned": place.assigned,
    })
}

/// `GET /api/v1/hosts/{host}/sections`
pub async fn sections(State(collector): Shared, Path(id): Path<String>) -> Answer {
    let id = host_id(&id)?;
    let shown = read(&collector, move |store| {
        known(store, &id)?;
        let mut shown = Vec::new();
        for section in store.sections(&id)? {
            let parts = store.section_parts(&id, &section.source)?;
            let unread: BTreeMap<&str, _> =
                parts.iter().filter_map(|part| Some((part.part.as_str(), part.unread?))).collect();
            shown.push(json!({ "section": section, "parts": parts.len(), "unread": unread }));
        }
        Ok(shown)
    });
    Ok(answer::json(&json!({ "sections": shown.await? })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotQuery {
    at: Option<String>,
    source: Option<SourceName>,
}

/// `GET /api/v1/hosts/{host}/snapshot`
pub async fn snapshot(State(collector): Shared, Path(id): Path<String>, uri: Uri) -> Answer {
    let id = host_id(&id)?;
    let SnapshotQuery { at, source } = query(&uri)?;
    let at = at.map(|text| moment(&text)).transpose()?.unwrap_or_else(Timestamp::now);
    let snapshot = read(&collector, move |store| {
        known(store, &id)?;
        let mut sections = BTreeMap::new();
        let mut left = SNAPSHOT_BYTES;
        for record in store.sections(&id)? {
            if source.as_ref().is_some_and(|wanted| *wanted != record.source) {
                continue;
            }
            let Some(manifest) = store.manifest_at(&id, &record.source, at)? else { continue };
            let mut parts = BTreeMap::new();
            for (name, digest) in manifest.0 {
                let part = store.part(&digest)?.ok_or_else(Refusal::failed)?;
                let size = driftline_protocol::canonical::encode(&part).len();
                left = left.checked_sub(size).ok_or_else(too_large)?;
                parts.insert(name, part);
            }
            sections.insert(record.source, Section { domain: record.domain, parts });
        }
        Ok(Snapshot { version: SNAPSHOT_VERSION, host: id, taken_at: at, sections })
    });
    Ok(answer::json(&snapshot.await?))
}

fn too_large() -> Refusal {
    let detail = format!("the snapshot passes {SNAPSHOT_BYTES} bytes; ask for one `source`");
    Refusal::new(ProblemCode::TooLarge, detail)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesQuery {
    host: Option<HostId>,
    source: Option<SourceName>,
    part: Option<PartName>,
    kind: Option<String>,
    class: Option<String>,
    from: Option<String>,
    to: Option<String>,
    before: Option<i64>,
    #[serde(default)]
    limit: u32,
}

/// `GET /api/v1/changes`
pub async fn changes(State(collector): Shared, uri: Uri) -> Answer {
    let ChangesQuery { host, source, part, kind, class, from, to, before, limit } = query(&uri)?;
    let filter = ChangeFilter {
        host,
        source,
        part,
        kinds: kind.map(|text| kinds(&text)).transpose()?.unwrap_or_default(),
        classes: class.map(|text| classes(&text)).transpose()?.unwrap_or_default(),
        from: from.map(|text| moment(&text)).transpose()?,
        to: to.map(|text| moment(&text)).transpose()?,
        before: before.map(ChangeId),
        limit,
    };
    let changes = read(&collector, move |store| {
        known_if_named(store, filter.host.as_ref())?;
        Ok(store.changes(&filter)?)
    });
    let changes = changes.await?;
    let full = changes.len() >= effective_limit(limit) as usize;
    let next = changes.last().filter(|_| full);
    let next = next.map(|change| next_page(&uri, ("before", &change.id.0.to_string())));
    Ok(answer::json(&json!({ "changes": changes, "next": next })))
}

/// The same query, going on after the last row of this page.
pub(super) fn next_page(uri: &Uri, (field, last): (&str, &str)) -> String {
    let same = uri.query().unwrap_or_default().split('&');
    let replaced = |pair: &str| pair.split('=').next() == Some(field);
    let same = same.filter(|pair| !pair.is_empty() && !replaced(pair));
    let mut pairs: Vec<String> = same.map(str::to_owned).collect();
    pairs.push(format!("{field}={last}"));
    format!("{}?{}", uri.path(), pairs.join("&"))
}

/// The refusal of a group that the configuration does not have, with those it has.
pub(super) fn unknown_group(name: &str, config: &Config) -> Refusal {
    not_configured(("group", name, "[[group]]"), config.groups.iter().map(|rule| &rule.name))
}

/// The refusal of a name that the configuration does not have: what it is, how it is written there,
/// and the first of those it has.
pub(super) fn not_configured<'a>(
    (what, name, table): (&str, &str, &str),
    all: impl Iterator<Item = &'a String>,
) -> Refusal {
    let all: BTreeSet<&str> = all.map(String::as_str).collect();
    let name: String = name.chars().take(WORD_SHOWN).collect();
    let first: Vec<&str> = all.iter().copied().take(NAMES_TOLD).collect();
    let more = if all.len() > first.len() { " and more" } else { "" };
    let has = match first.is_empty() {
        true => format!("it has none; `{table}` makes one"),
        false => format!("it has {}{more}", first.join(", ")),
    };
    Refusal::not_found(format!("{what} {name:?} in the collector's configuration; {has}"))
}

/// How many names of the configuration are told to whoever asked for another.
const NAMES_TOLD: usize = 20;

/// The refusal of a word that is none of a closed list, with those there are.
pub(super) fn no_such(
    word: &str,
    what: &str,
    all: impl IntoIterator<Item = &'static str>,
) -> Refusal {
    let all: Vec<&str> = all.into_iter().collect();
    let word: String = word.chars().take(WORD_SHOWN).collect();
    Refusal::malformed(format!("{word:?} is no {what}; there are {}", all.join(", ")))
}

/// How much of a word that is refused is told, in characters.
const WORD_SHOWN: usize = 40;

fn unknown_change(number: impl std::fmt::Display) -> Refusal {
    Refusal::unknown(format!("change {number}"), "driftline changes")
}

fn kinds(text: &str) -> Result<Vec<ChangeKind>, Refusal> {
    let kind = |word: &str| {
        let found = ChangeKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        found
            .ok_or_else(|| no_such(word, "kind of change", ChangeKind::ALL.map(ChangeKind::as_str)))
    };
    text.split(',').take(ChangeKind::ALL.len()).map(kind).collect()
}

fn classes(text: &str) -> Result<Vec<ChangeClass>, Refusal> {
    let class = |word: &str| {
        let found = ChangeClass::ALL.into_iter().find(|class| class.as_str() == word);
        found.ok_or_else(|| {
            no_such(word, "class of change", ChangeClass::ALL.map(ChangeClass::as_str))
        })
    };
    text.split(',').take(ChangeClass::ALL.len()).map(class).collect()
}

/// `GET /api/v1/changes/{id}`
pub async fn change(State(collector): Shared, Path(id): Path<String>) -> Answer {
    let number: i64 = id.parse().map_err(|_| unknown_change(format!("{id:?}")))?;
    let change = read(&collector, move |store| {
        let Some(change) = store.change(ChangeId(number))? else { return Ok(None) };
        let reach = impact(store, &change)?;
        Ok(Some(ChangePage { change, reach }))
    });
    let change = change.await?.ok_or_else(|| unknown_change(number))?;
    Ok(answer::json(&change))
}

/// One change, and where else it is felt.
#[derive(Serialize)]
struct ChangePage {
    #[serde(flatten)]
    change: ChangeRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    reach: Option<Impact>,
}

/// `GET /api/v1/configuration`
pub async fn configuration(State(collector): Shared) -> Answer {
    let (_, read_at) = collector.reload_state();
    Ok(answer::json(&json!({ "read_at": read_at, "problem": collector.refused_reload() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    host: Option<HostId>,
    kind: Option<String>,
    from: Option<String>,
    after: Option<String>,
    #[serde(default)]
    limit: u32,
}

/// `GET /api/v1/events`
pub async fn events(State(collector): Shared, uri: Uri) -> Answer {
    let EventsQuery { host, kind, from, after, limit } = query(&uri)?;
    let all = EventKind::ALL;
    let named = |word: String| {
        let found = all.into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| no_such(&word, "kind of event", all.map(EventKind::as_str)))
    };
    let filter = EventFilter {
        host,
        kind: kind.map(named).transpose()?,
        from: from.map(|text| moment(&text)).transpose()?,
        after: after.map(|text| place(&text)).transpose()?,
        limit,
    };
    let events = read(&collector, move |store| {
        known_if_named(store, filter.host.as_ref())?;
        Ok(store.placed_events(&filter)?)
    });
    let events = events.await?;
    let full = events.len() >= effective_limit(limit) as usize;
    let next = events.last().filter(|_| full);
    let next = next.map(|(last, _)| next_page(&uri, ("after", &last.to_string())));
    let events: Vec<EventRecord> = events.into_iter().map(|(_, event)| event).collect();
    Ok(answer::json(&json!({ "events": events, "more": full, "next": next })))
}

pub(super) fn place(text: &str) -> Result<Cursor, Refusal> {
    text.parse().map_err(Refusal::malformed)
}

/// `GET /api/v1/tokens`
pub async fn tokens(State(collector): Shared) -> Answer {
    let mut tokens = read(&collector, |store| Ok(store.tokens()?)).await?;
    tokens.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(answer::json(&json!({ "tokens": tokens })))
}

/// `GET /api/v1/expiring`
pub async fn expiring(State(collector): Shared) -> Answer {
    let now = Timestamp::now();
    let tokens = read(&collector, |store| Ok(store.tokens()?)).await?;
    let mut ends: Vec<(Timestamp, Value)> = Vec::new();
    for token in tokens.iter().filter(|token| ending::asks_for_somebody(token, now)) {
        let state = Standing::of(token, now).as_str();
        let (name, kind, ends_at) = (&token.name, token.scope, token.expires_at);
        let row = json!({ "name": name, "kind": kind, "state": state, "expires_at": ends_at });
        ends.push((ends_at, row));
    }
    if let Some(ends_at) = collector.settings().secret.and_then(|secret| secret.ends()) {
        let state = Standing::of_end(Some(ends_at), now);
        let (kind, word) = (ending::ENROLMENT_SECRET, state.as_str());
        let row = json!({ "name": "", "kind": kind, "state": word, "expires_at": ends_at });
        ends.extend((state != Standing::Valid).then_some((ends_at, row)));
    }
    ends.sort_by_key(|(ends_at, _)| *ends_at);
    let rows: Vec<Value> = ends.into_iter().map(|(_, row)| row).collect();
    Ok(answer::json(&json!({ "expiring": rows })))
}

/// `GET /api/v1/enrolments/refused`
pub async fn refused_enrolments(State(collector): Shared) -> Answer {
    let refused = collector.live.enrolments.standing(Timestamp::now());
    Ok(answer::json(&json!({ "refused": refused })))
}

/// Reads the store on a thread for blocking work.
pub(super) async fn read<T: Send + 'static>(
    collector: &Arc<Collector>,
    work: impl FnOnce(&dyn Reads) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let store = Arc::clone(&collector.read);
    let done = tokio::task::spawn_blocking(move || work(&*store)).await;
    done.map_err(|_| Refusal::failed())?
}

fn known(store: &dyn Reads, id: &HostId) -> Result<(), Refusal> {
    match store.host(id)? {
        Some(_) => Ok(()),
        None => Err(unknown_host(id)),
    }
}

/// The refusal of a host that nobody has heard of.
fn unknown_host(id: impl std::fmt::Display) -> Refusal {
    Refusal::unknown(format!("host {id}"), "driftline hosts")
}

/// A list of nothing would say that a mistyped host is fine.
pub(super) fn known_if_named(store: &dyn Reads, host: Option<&HostId>) -> Result<(), Refusal> {
    host.map_or(Ok(()), |host| known(store, host))
}

/// The host a path names; a text that can be none is simply not there.
pub(super) fn host_id(text: &str) -> Result<HostId, Refusal> {
    let shown: String = text.chars().take(limits::HOST_NAME_BYTES).collect();
    text.parse().map_err(|_| unknown_host(format!("{shown:?}")))
}

pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let query = axum::extract::Query::<T>::try_from_uri(uri);
    query.map(|query| query.0).map_err(|error| Refusal::malformed(error.body_text()))
}

/// A time as people and Grafana write it.
pub(super) fn moment(text: &str) -> Result<Timestamp, Refusal> {
    crate::moment::parse(text, Timestamp::now()).ok_or_else(|| {
        let (shown, forms): (String, _) = (text.chars().take(40).collect(), crate::moment::FORMS);
        Refusal::malformed(format!("{shown:?} is not {forms}, nor milliseconds since 1970"))
    })
}
