//! Which changes are judged, with what, and what follows: gathers from the store and asks
//! [`crate::analysis::classify`].
//!
//! New changes are judged soon after they are durable, some at a time. A change request that says
//! something new has the changes near it judged again; so has a transaction of dpkg, and a run that
//! a host tells of, since agents tell of packages, runs and their files in turns. A pass costs what
//! changed, not what there is: it reads the past of the hosts it judges and nothing of others.
//! Reads only; what it decides is for the shell to make durable.

mod bench;
mod relisted;
mod requests;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::HostId;
use jiff::Timestamp;

pub use relisted::{changed_entries, judge_relisted};
pub use told::{judge_told, told_lately};

use self::bench::Bench;
use self::requests::{REQUESTS_MOST, near};
use crate::analysis::change::ChangeKind;
use crate::analysis::classify::Intent;
use crate::analysis::classify::request::ChangeRequest;
use crate::analysis::classify::scope::{Fit, Subject};
use crate::analysis::classify::transaction::Transactions;
use crate::analysis::sight::value_after;
use crate::config::{Config, Place};
use crate::store::{
    ChangeFilter, ChangeId, ChangeRecord, EventKind, EventRecord, Judgement, Reconsider,
    RequestFilter, Step, StoreError, each_change,
};
use crate::words::{counted, either};
use crate::writer::Reads;

/// How many new changes one pass judges; the next pass follows at once while there are more.
const NEW_MOST: u32 = 1_000;

/// How many requests one pass looks at again.
const REQUESTS_AGAIN: u32 = 20;

/// The most changes that are judged again for one request: a rollout over a fleet. Later ones come
/// first, and what is left out is told in the event.
const AGAIN_MOST: usize = 50_000;

/// The kinds of changes that mean something.
pub(crate) const SEMANTIC: [ChangeKind; 4] =
    [ChangeKind::Added, ChangeKind::Removed, ChangeKind::Modified, ChangeKind::Moved];

/// What one pass came to.
#[derive(Debug, Default)]
pub struct Judged {
    /// What to make durable.
    pub steps: Vec<Step>,
    /// Whether there may be more to judge at once.
    pub more: bool,
    /// The sources that have more requests than changes are held against.
    pub left_out: BTreeSet<String>,
}

/// Judges what is new, at `now`.
///
/// # Errors
/// [`StoreError`].
pub fn judge(store: &dyn Reads, config: &Config, now: Timestamp) -> Result<Judged, StoreError> {
    let new = store.unjudged(NEW_MOST)?;
    let more = new.len() >= NEW_MOST as usize;
    let Judgements { judgements, left_out } = judge_all(store, (config, now), new)?;
    let steps = if judgements.is_empty() { Vec::new() } else { vec![Step::Judged(judgements)] };
    Ok(Judged { steps, more, left_out })
}

/// Judges the changes again that are near requests which say something new.
///
/// # Errors
/// [`StoreError`].
pub fn judge_again(
    store: &dyn Reads,
    config: &Config,
    now: Timestamp,
) -> Result<Judged, StoreError> {
    let again = store.to_reconsider(REQUESTS_AGAIN)?;
    let more = again.len() >= REQUESTS_AGAIN as usize;
    let mut judged = Judged { more, ..Judged::default() };
    // Each change is held against all requests, so once is enough for several near it.
    let mut done = BTreeSet::new();
    for one in again {
        let (steps, left_out) = reconsider(store, (config, now), (&one, &mut done))?;
        judged.steps.extend(steps);
        judged.left_out.extend(left_out);
    }
    Ok(judged)
}

/// Judges the changes near one request again.
fn reconsider(
    store: &dyn Reads,
    (config, now): (&Config, Timestamp),
    (again, done): (&Reconsider, &mut BTreeSet<ChangeId>),
) -> Result<(Vec<Step>, BTreeSet<String>), StoreError> {
    let request = &again.record.request;
    let stretch = ChangeRequest { start: again.from, end: again.to, ..request.clone() };
    let (from, to) = stretch.reach(&config.classification.spans());
    let (all, left_out) = changes(store, (None, from, to), AGAIN_MOST)?;
    let name = request.name();
    let mut places = BTreeMap::new();
    let mut near = Vec::new();
    for record in all {
        let Some(classified) = &record.classified else { continue };
        let place = place(store, config, (&record.host, &mut places))?;
        let concerned = request.scope.fit(&subject(&record, place)) != Fit::Elsewhere;
        let once = !done.contains(&record.id);
        if once && (concerned || classified.decision.name == name) {
            near.push(record);
        }
    }
    let Judgements { mut judgements, left_out: held_back } = judge_all(store, (config, now), near)?;
    judgements.retain(|judgement| done.insert(judgement.change));
    let mut steps = vec![Step::Reconsidered(vec![(again.record.number, again.record.revision)])];
    if !judgements.is_empty() {
        let left_out = match left_out {
            true => format!("; only the last {AGAIN_MOST} changes of its time were looked at"),
            false => String::new(),
        };
        let many = judged_again(judgements.len());
        let detail = format!("request {name}: {many}{left_out}");
        let kind = EventKind::Reclassified;
        steps.push(Step::Judged(judgements));
        steps.push(Step::Event(EventRecord { at: now, host: None, kind, detail }));
    }
    Ok((steps, held_back))
}

/// How many changes were judged again, in words.
fn judged_again(many: usize) -> String {
    let were = either(many, "was", "were");
    format!("{} {were} judged again", counted(many, "change"))
}

/// Judges `records`, host by host, and what follows from them.
fn judge_all(
    store: &dyn Reads,
    (config, now): (&Config, Timestamp),
    records: Vec<ChangeRecord>,
) -> Result<Judgements, StoreError> {
    let times = records.iter().map(|record| record.at);
    let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
        return Ok(Judgements::default());
    };
    let mut by_host: BTreeMap<HostId, Vec<ChangeRecord>> = BTreeMap::new();
    for record in records {
        by_host.entry(record.host.clone()).or_default().push(record);
    }
    let exceptions = store.exceptions()?;
    let ignores = config.ignored();
    let (requests, left_out) = near(store, (first, last, REQUESTS_MOST), config)?;
    let intent = Intent {
        requests: &[],
        windows: &config.change_windows,
        blackouts: &config.blackouts,
        exceptions: &exceptions,
        ignores: &ignores,
        spans: config.classification.spans(),
        told: is_told(store, config)?,
    };
    let mut all = Judgements { left_out, ..Judgements::default() };
    for (host, records) in by_host {
        let mut places = BTreeMap::new();
        let place = place(store, config, (&host, &mut places))?.clone();
        let near = requests.iter().filter(|request| request.scope.may_concern(&host, &place));
        let near: Vec<&ChangeRequest> = near.collect();
        let intent = Intent { requests: &near, ..intent };
        let wanted = records.iter().map(|record| record.id).collect();
        let mut bench = Bench::load(store, (&host, records))?;
        bench.widen(wanted);
        bench.learn_runs(store, (&host, &place), config)?;
        if !config.classification.packages {
            bench.transactions = Transactions::default();
        } else if !bench.transactions.is_empty() {
            bench.learn_owners(store, &host)?;
            bench.learn_shipped(store, (&host, &place))?;
        }
        all.judgements.extend(bench.judge((&intent, &place), now));
    }
    Ok(all)
}

/// What was judged, and of which sources not against all requests.
#[derive(Default)]
struct Judgements {
    judgements: Vec<Judgement>,
    left_out: BTreeSet<String>,
}

/// Whether the site tells of intent at all.
pub(crate) fn is_told(store: &dyn Reads, config: &Config) -> Result<bool, StoreError> {
    let any = RequestFilter { limit: 1, ..RequestFilter::default() };
    Ok(config.tells_of_intent() || !store.change_requests(&any)?.is_empty())
}

/// Semantic changes of a stretch, newest first, and whether older ones were left out.
fn changes(
    store: &dyn Reads,
    (host, from, to): (Option<&HostId>, Timestamp, Timestamp),
    most: usize,
) -> Result<(Vec<ChangeRecord>, bool), StoreError> {
    let filter = ChangeFilter {
        host: host.cloned(),
        kinds: SEMANTIC.to_vec(),
        from: Some(from),
        to: Some(to),
        ..ChangeFilter::default()
    };
    let mut all = Vec::new();
    let more = each_change(store, (filter, most), |record| all.push(record))?;
    Ok((all, more))
}

fn place<'p>(
    store: &dyn Reads,
    config: &Config,
    (host, known): (&HostId, &'p mut BTreeMap<HostId, Place>),
) -> Result<&'p Place, StoreError> {
    if !known.contains_key(host) {
        let kind = store.host(host)?.map(|record| record.kind).unwrap_or_default();
        known.insert(host.clone(), config.place(host, kind));
    }
    Ok(known.entry(host.clone()).or_default())
}

fn subject<'a>(record: &'a ChangeRecord, place: &'a Place) -> Subject<'a> {
    Subject {
        host: &record.host,
        place,
        source: &record.source,
        part: &record.change.part,
        key: record.change.key.as_ref(),
        kind: record.change.kind,
        became: value_after(&record.change),
        at: record.at,
    }
}

#[cfg(test)]
pub(crate) mod tests;
