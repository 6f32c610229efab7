//! Which changes are judged, with what, and what follows: gathers from the store and asks
//! [`crate::analysis::classify`].
//!
//! New changes are judged soon after they are durable, some at a time. A change request that says
//! something new has the changes near it judged again; so has a transaction of dpkg, since agents
//! tell of packages and of their files in turns. A pass costs what changed, not what there is: it
//! reads the past of the hosts it judges and nothing of others. Reads only; what it decides is for
//! the shell to make durable.

mod relisted;

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{HostId, PartName, SourceName};
use driftline_protocol::item::ItemKey;
use driftline_protocol::snapshot::Part;
use jiff::{SignedDuration, Timestamp};

pub use relisted::{changed_entries, judge_relisted};

use crate::analysis::change::ChangeKind;
use crate::analysis::classify::past::{Past, TURNS_MOST, Turn, undone_by};
use crate::analysis::classify::request::ChangeRequest;
use crate::analysis::classify::scope::{Fit, Subject};
use crate::analysis::classify::transaction::{PACKAGES, TOGETHER, Transactions};
use crate::analysis::classify::{ChangeClass, Classified, Decision, Intent, RuleKind, classify};
use crate::config::{Config, Place};
use crate::store::{
    ChangeFilter, ChangeId, ChangeRecord, EventKind, EventRecord, Judgement, MAX_LIMIT, Reconsider,
    RequestFilter, Step, StoreError,
};
use crate::writer::Reads;

/// How many new changes one pass judges; the next pass follows at once while there are more.
const NEW_MOST: u32 = 1_000;

/// How many requests one pass looks at again.
const REQUESTS_AGAIN: u32 = 20;

/// The most changes that are judged again for one request: a rollout over a fleet. Later ones come
/// first, and what is left out is told in the event.
const AGAIN_MOST: usize = 50_000;

/// The most requests that changes of one pass are held against; those that end last count.
const REQUESTS_MOST: usize = 10_000;

/// How far back an item's past is looked at.
const PAST: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The most changes of one host that are looked at as the past, the newest ones.
const PAST_MOST: usize = 20_000;

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
    /// Whether there were more requests than changes are held against.
    pub left_out: bool,
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
        judged.left_out |= left_out;
    }
    Ok(judged)
}

/// Judges the changes near one request again.
fn reconsider(
    store: &dyn Reads,
    (config, now): (&Config, Timestamp),
    (again, done): (&Reconsider, &mut BTreeSet<ChangeId>),
) -> Result<(Vec<Step>, bool), StoreError> {
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
        let many = judgements.len();
        let detail = format!("request {name}: {many} changes were judged again{left_out}");
        let kind = EventKind::Reclassified;
        steps.push(Step::Judged(judgements));
        steps.push(Step::Event(EventRecord { at: now, host: None, kind, detail }));
    }
    Ok((steps, held_back))
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
    let (requests, left_out) = requests(store, (first, last), config)?;
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
        let near: Vec<ChangeRequest> = near.cloned().collect();
        let intent = Intent { requests: &near, ..intent };
        let wanted = records.iter().map(|record| record.id).collect();
        let mut bench = Bench::load(store, (&host, records))?;
        bench.widen(wanted);
        if !config.classification.packages {
            bench.transactions = Transactions::default();
        } else if !bench.transactions.is_empty() {
            bench.learn_owners(store, &host)?;
        }
        all.judgements.extend(bench.judge((&intent, &place), now));
    }
    Ok(all)
}

/// What was judged, and whether against all requests there are.
#[derive(Default)]
struct Judgements {
    judgements: Vec<Judgement>,
    left_out: bool,
}

/// Whether the site tells of intent at all.
pub(crate) fn is_told(store: &dyn Reads, config: &Config) -> Result<bool, StoreError> {
    let configured = !config.change_windows.is_empty()
        || !config.blackouts.is_empty()
        || !config.change_sources.is_empty();
    let any = RequestFilter { limit: 1, ..RequestFilter::default() };
    Ok(configured || !store.change_requests(&any)?.is_empty())
}

fn requests(
    store: &dyn Reads,
    (first, last): (Timestamp, Timestamp),
    config: &Config,
) -> Result<(Vec<ChangeRequest>, bool), StoreError> {
    let spans = config.classification.spans();
    let (before, after) = (spans.late.max(spans.slack), spans.early.max(spans.emergency));
    let mut filter = RequestFilter {
        from: first.checked_sub(before).ok(),
        to: last.checked_add(after.max(spans.slack)).ok(),
        limit: MAX_LIMIT,
        ..RequestFilter::default()
    };
    let mut all = Vec::new();
    while all.len() < REQUESTS_MOST {
        let page = store.change_requests(&filter)?;
        let full = page.len() >= MAX_LIMIT as usize;
        filter.after = page.last().map(crate::store::RequestRecord::place);
        all.extend(page.into_iter().map(|record| record.request));
        if !full {
            return Ok((all, false));
        }
    }
    Ok((all, true))
}

/// Semantic changes of a stretch, newest first, and whether older ones were left out.
fn changes(
    store: &dyn Reads,
    (host, from, to): (Option<&HostId>, Timestamp, Timestamp),
    most: usize,
) -> Result<(Vec<ChangeRecord>, bool), StoreError> {
    let mut filter = ChangeFilter {
        host: host.cloned(),
        kinds: SEMANTIC.to_vec(),
        from: Some(from),
        to: Some(to),
        limit: MAX_LIMIT,
        ..ChangeFilter::default()
    };
    let mut all = Vec::new();
    loop {
        let page = store.changes(&filter)?;
        let full = page.len() >= MAX_LIMIT as usize;
        filter.before = page.last().map(|record| record.id);
        all.extend(page);
        if !full || all.len() >= most {
            return Ok((all, full));
        }
    }
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
        at: record.at,
    }
}

/// Names one item of a host.
type Item = (SourceName, PartName, Option<ItemKey>);

fn item(record: &ChangeRecord) -> Item {
    (record.source.clone(), record.change.part.clone(), record.change.key.clone())
}

/// One host with its past, and what of it is to be judged.
struct Bench {
    /// By time, then by number.
    records: BTreeMap<(Timestamp, ChangeId), ChangeRecord>,
    /// When each change was made.
    times: BTreeMap<ChangeId, Timestamp>,
    /// Where the changes of each item stand, in their order.
    items: BTreeMap<Item, Vec<(Timestamp, ChangeId)>>,
    wanted: BTreeSet<ChangeId>,
    transactions: Transactions,
}

impl Bench {
    fn load(
        store: &dyn Reads,
        (host, given): (&HostId, Vec<ChangeRecord>),
    ) -> Result<Self, StoreError> {
        let times = given.iter().map(|record| record.at);
        let first = times.clone().min().unwrap_or_default();
        let last = times.max().unwrap_or_default();
        let from = first.checked_sub(PAST).unwrap_or(Timestamp::MIN);
        let to = last.checked_add(PAST).unwrap_or(Timestamp::MAX);
        let (past, _) = changes(store, (Some(host), from, to), PAST_MOST)?;
        // What is judged is there even where the past was longer than anybody looks.
        let records: BTreeMap<_, _> =
            given.into_iter().chain(past).map(|record| ((record.at, record.id), record)).collect();
        let mut items: BTreeMap<Item, Vec<(Timestamp, ChangeId)>> = BTreeMap::new();
        let mut transactions = Transactions::default();
        for (place, record) in &records {
            items.entry(item(record)).or_default().push(*place);
            if record.source.as_str() == PACKAGES {
                let change = &record.change;
                let of = (record.id.0, record.at, change.kind);
                let values = (change.before.as_ref(), change.after.as_ref());
                transactions.add(of, change.key.as_ref(), values);
            }
        }
        let times = records.keys().map(|(at, id)| (*id, *at)).collect();
        Ok(Self { records, times, items, wanted: BTreeSet::new(), transactions })
    }

    /// Which changes are judged: those asked for, what dpkg may explain of the others, and what was
    /// judged by one of these.
    fn widen(&mut self, wanted: BTreeSet<ChangeId>) {
        let of_dpkg: Vec<Timestamp> = self
            .records
            .values()
            .filter(|record| wanted.contains(&record.id) && record.source.as_str() == PACKAGES)
            .map(|record| record.at)
            .collect();
        let touched: BTreeSet<Item> =
            self.records.values().filter(|record| wanted.contains(&record.id)).map(item).collect();
        for record in self.records.values() {
            let Some(classified) = &record.classified else { continue };
            let class = classified.decision.class;
            let unexplained = classified.decision.yields_to_package();
            // Of those in the order of time, the first that is not too early.
            let early = |at: &Timestamp| record.at.duration_since(*at) > TOGETHER;
            let next = of_dpkg.get(of_dpkg.partition_point(early));
            let near = next.is_some_and(|at| at.duration_since(record.at) <= TOGETHER);
            let by_dpkg = unexplained && near;
            let turned = class == Some(ChangeClass::Reverted) && touched.contains(&item(record));
            if by_dpkg || turned {
                self.wanted.insert(record.id);
            }
        }
        self.wanted.extend(wanted);
    }

    /// Which configuration files belong to which package, as the host last said.
    fn learn_owners(&mut self, store: &dyn Reads, host: &HostId) -> Result<(), StoreError> {
        let Ok(source) = PACKAGES.parse() else { return Ok(()) };
        for part in store.section_parts(host, &source)? {
            let Some(digest) = part.read else { continue };
            if let Some(Part::Observed(observed)) = store.part(&digest)? {
                let items = observed.items.iter().map(|(key, item)| (key, &item.value));
                self.transactions.owned_by(items);
            }
        }
        Ok(())
    }

    /// Judges what is wanted, oldest first, so that each sees what those before it became.
    fn judge(&mut self, (intent, place): (&Intent<'_>, &Place), now: Timestamp) -> Vec<Judgement> {
        let mut done: BTreeMap<ChangeId, Classified> = BTreeMap::new();
        let order: Vec<(Timestamp, ChangeId)> =
            self.records.keys().filter(|(_, id)| self.wanted.contains(id)).copied().collect();
        for key in order {
            let Some(record) = self.records.get(&key) else { continue };
            let subject = subject(record, place);
            let explained = self.transactions.explain(&subject);
            let past = Past::new(self.turns(record, key), intent.spans.revert);
            let decision = classify(&subject, (intent, &past), explained);
            // One more turn of noise undoes nothing: the turn before it is noise as well.
            let noise = decision.class == Some(ChangeClass::Flapping);
            let undone = if noise { Vec::new() } else { past.undone() };
            let (id, before) = (record.id, record.classified.clone());
            self.decide((id, key), (before, decision), (now, &mut done));
            for other in undone.into_iter().map(ChangeId) {
                let key = self.times.get(&other).map(|at| (*at, other));
                let found = key.and_then(|key| Some((key, self.records.get(&key)?)));
                let found = found.map(|(key, record)| (key, record.classified.clone()));
                // What was made when nothing may be stays that, however soon it was undone.
                let forbidden = |before: &Classified| before.decision.rule == RuleKind::Blackout;
                let found = found.filter(|(_, before)| !before.as_ref().is_some_and(forbidden));
                if let Some((key, before)) = found {
                    self.decide((other, key), (before, undone_by(id.0)), (now, &mut done));
                }
            }
        }
        done.into_iter().map(|(change, classified)| Judgement { change, classified }).collect()
    }

    /// Gives a change its class, unless that is what it has, or less than it has.
    fn decide(
        &mut self,
        (id, key): (ChangeId, (Timestamp, ChangeId)),
        (before, decision): (Option<Classified>, Decision),
        (now, done): (Timestamp, &mut BTreeMap<ChangeId, Classified>),
    ) {
        let next = match before {
            None => Some(Classified::first(decision, now)),
            Some(before) if keeps(&before.decision, &decision) => None,
            Some(before) => before.again(decision, now),
        };
        let Some(next) = next else { return };
        if let Some(record) = self.records.get_mut(&key) {
            record.classified = Some(next.clone());
        }
        done.insert(id, next);
    }

    /// The changes of the same item up to this one, newest first.
    fn turns(&self, record: &ChangeRecord, key: (Timestamp, ChangeId)) -> Vec<Turn<'_>> {
        let all = self.items.get(&item(record)).map_or(&[][..], Vec::as_slice);
        let until = all.partition_point(|place| *place <= key);
        let records = all.get(..until).unwrap_or_default().iter().rev().take(TURNS_MOST);
        let records = records.filter_map(|place| self.records.get(place));
        records
            .map(|record| {
                let classified = record.classified.as_ref();
                Turn {
                    number: record.id.0,
                    at: record.at,
                    kind: record.change.kind,
                    before: record.change.before.as_ref(),
                    after: record.change.after.as_ref(),
                    class: classified.and_then(|classified| classified.decision.class),
                }
            })
            .collect()
    }
}

/// Whether what a change was judged to be stays: that its value went back later is not known when
/// it is judged by itself, and only an intent counts for more.
fn keeps(before: &Decision, next: &Decision) -> bool {
    before.rule == RuleKind::Undone
        && next.rule != RuleKind::Undone
        && !next.class.is_some_and(ChangeClass::is_intended)
}

#[cfg(test)]
pub(crate) mod tests;
