//! The same change on many hosts as one thing a person sees: how far it is, in which waves it went,
//! who is still as before, and where it did not last.
//!
//! What belongs together is said by [`change_sets`](crate::analysis::change_sets). Who is still as
//! before is read from the newest state of the other hosts: they have the part, it was read, and
//! the item still says what the first change replaced. What cannot be read is neither. Where change
//! requests cover a rollout, nobody else is behind: a host no request names was never to be
//! reached. Hosts that went back are told of the rollout they went back from, and are none of their
//! own.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::snapshot::{Content, Part};
use driftline_protocol::wire::HostKind;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::analysis::change_sets::{ChangeSet, Place};
use crate::analysis::classify::RuleKind;
use crate::analysis::classify::scope::{Fit, IntentScope, Subject};
use crate::analysis::diff::is_of_the_file;
use crate::config::Config;
use crate::pass::{change_sets, gathered};
use crate::store::{ChangeId, ChangeRecord, RequestFilter, StoreError};
use crate::writer::Reads;

/// The most hosts that are looked at for who is still as before, the first by name.
const HOSTS_MOST: usize = 2_000;

/// How many hosts a rollout names in each list; it counts all of them.
pub const NAMED: usize = 20;

/// A pause this long ends a wave.
const WAVE: SignedDuration = SignedDuration::from_hours(1);

/// The same change on several hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The number of its first change.
    pub number: i64,
    /// The source of its changes, or `several`.
    pub kind: String,
    /// The files or tables that changed, the first by name.
    pub parts: Vec<String>,
    /// The item of its first change; `None` for a part as a whole.
    pub item: Option<ItemKey>,
    /// How many changes there are.
    pub changes: u64,
    /// When its first host was reached.
    pub from: Timestamp,
    /// When its last change was seen.
    pub to: Timestamp,
    /// How many items changed on each host.
    #[serde(default)]
    pub items: u64,
    /// The classes of its first changes, each once.
    pub classes: Vec<String>,
    /// Hosts that were reached.
    pub reached: Hosts,
    /// Hosts that are still as before.
    pub stragglers: Hosts,
    /// Hosts that were reached and are as before again.
    pub went_back: Hosts,
    /// How many hosts were reached in each wave, with its beginning.
    pub waves: Vec<Wave>,
}

/// Some hosts: all of them counted, the first of them named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosts {
    /// How many.
    pub count: usize,
    /// The first ones.
    pub first: Vec<HostId>,
}

/// Hosts that were reached without a long pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// When its first host was reached.
    pub from: Timestamp,
    /// How many hosts.
    pub hosts: usize,
}

impl Rollout {
    /// `and 2 more items`: what changed beside the first item; empty where nothing did.
    pub fn more_items(&self) -> String {
        match self.items.saturating_sub(1) {
            0 => String::new(),
            1 => "and 1 more item".to_owned(),
            more => format!("and {more} more items"),
        }
    }

    /// Hosts it can reach: those it did, and those that are still as before.
    pub fn all(&self) -> usize {
        self.reached.count + self.stragglers.count
    }
}

impl<'a> FromIterator<&'a HostId> for Hosts {
    fn from_iter<T: IntoIterator<Item = &'a HostId>>(hosts: T) -> Self {
        let mut some = Self::default();
        for host in hosts {
            some.count += 1;
            if some.first.len() < NAMED {
                some.first.push(host.clone());
            }
        }
        some
    }
}

/// How far beyond its first change a rollout is looked for.
const LOOK_AHEAD: SignedDuration = SignedDuration::from_hours(28 * 24);

/// How far before it, since changes are numbered as they arrive and not as they happen: the longest
/// pause within one rollout.
const LOOK_BEHIND: SignedDuration = SignedDuration::from_hours(72);

/// The rollouts that reached several hosts between two moments, the newest first, at most `most`;
/// and whether changes were left out because there were too many.
///
/// # Errors
/// [`StoreError`].
pub fn rollouts(
    (store, config): (&dyn Reads, &Config),
    between: (Timestamp, Timestamp),
    most: usize,
) -> Result<(Vec<Rollout>, bool), StoreError> {
    let (mut sets, left_out) = change_sets(store, between, |_| true)?;
    sets.retain(|set| set.hosts.len() > 1);
    sets.sort_by_key(|set| std::cmp::Reverse((set.last, set.number)));
    let mut known = Vec::with_capacity(sets.len());
    for set in sets {
        // Retention may have taken its first change since.
        let Some(first) = store.change(ChangeId(set.number))? else { continue };
        known.push((set, first));
    }
    let ways_back: BTreeSet<i64> = ways_back(&known);
    let mut fleet = Fleet::load(store, config)?;
    let mut all = Vec::new();
    for (set, first) in known.iter().filter(|(set, _)| !ways_back.contains(&set.number)).take(most)
    {
        all.push(fleet.rollout(store, set, first)?);
    }
    Ok((all, left_out > 0))
}

/// The rollout whose first change has this number, with the changes it is; `None` when there is
/// none, or it reached one host alone.
///
/// # Errors
/// [`StoreError`].
pub fn one(
    store: &dyn Reads,
    config: &Config,
    number: i64,
) -> Result<Option<(ChangeSet, Rollout)>, StoreError> {
    let Some(first) = store.change(ChangeId(number))? else { return Ok(None) };
    let Some((set, _)) = placed(store, &first)? else { return Ok(None) };
    let rollout = Fleet::load(store, config)?.rollout(store, &set, &first)?;
    Ok(Some((set, rollout)))
}

/// Where the rollout whose first change has this number changed something; `None` as of [`one`].
///
/// # Errors
/// [`StoreError`].
pub fn places(store: &dyn Reads, number: i64) -> Result<Option<BTreeSet<Place>>, StoreError> {
    let Some(first) = store.change(ChangeId(number))? else { return Ok(None) };
    Ok(placed(store, &first)?.map(|(_, places)| places))
}

/// The rollout that begins with `first`, and where it changed something.
fn placed(
    store: &dyn Reads,
    first: &ChangeRecord,
) -> Result<Option<(ChangeSet, BTreeSet<Place>)>, StoreError> {
    let until = first.at.checked_add(LOOK_AHEAD).unwrap_or(Timestamp::MAX);
    let from = first.at.checked_sub(LOOK_BEHIND).unwrap_or(Timestamp::MIN);
    let (gathered, _) = gathered(store, (from, until), |_| true)?;
    let is_it = |set: &ChangeSet| set.number == first.id.0 && set.hosts.len() > 1;
    let found = gathered.placed(until).into_iter().find(|(set, _)| is_it(set));
    Ok(found.map(|(set, places)| (set, places.into_iter().cloned().collect())))
}

/// The sets by which hosts of an earlier one went back to what it replaced.
fn ways_back(known: &[(ChangeSet, ChangeRecord)]) -> BTreeSet<i64> {
    type Turn<'a> = (&'a SourceName, &'a PartName, &'a Option<ItemKey>, Value<'a>, Value<'a>);
    type Value<'a> = Option<&'a ItemValue>;
    fn value(item: Option<&Item>) -> Option<&ItemValue> {
        item.map(|item| &item.value)
    }
    let mut by_turn: BTreeMap<String, Vec<&ChangeSet>> = BTreeMap::new();
    let turn = |(source, part, key, from, to): Turn<'_>| {
        format!("{source}\n{part}\n{key:?}\n{from:?}\n{to:?}")
    };
    for (set, first) in known {
        let change = &first.change;
        let (from, to) = (value(change.before.as_ref()), value(change.after.as_ref()));
        let place = (&first.source, &change.part, &change.key, from, to);
        by_turn.entry(turn(place)).or_default().push(set);
    }
    let goes_back = |(set, first): &&(ChangeSet, ChangeRecord)| {
        let change = &first.change;
        let (from, to) = (value(change.before.as_ref()), value(change.after.as_ref()));
        let place = (&first.source, &change.part, &change.key, to, from);
        by_turn.get(&turn(place)).into_iter().flatten().any(|earlier| {
            let reached: BTreeSet<&HostId> = earlier.hosts.iter().map(|(host, _)| host).collect();
            earlier.at() < set.at() && set.hosts.iter().all(|(host, _)| reached.contains(host))
        })
    };
    known.iter().filter(goes_back).map(|(set, _)| set.number).collect()
}

/// The hosts as they are now, read as far as anybody asked.
struct Fleet<'a> {
    config: &'a Config,
    hosts: Vec<(HostId, HostKind)>,
    sections: BTreeMap<(HostId, SourceName), BTreeMap<PartName, Digest>>,
    /// What an item says in a part; the outer `None` where that cannot be read.
    values: BTreeMap<(Digest, Option<ItemKey>), Option<Option<ItemValue>>>,
}

impl<'a> Fleet<'a> {
    fn load(store: &dyn Reads, config: &'a Config) -> Result<Self, StoreError> {
        let hosts = store.hosts()?.into_iter().filter(|host| host.retired_at.is_none());
        let hosts = hosts.take(HOSTS_MOST).map(|host| (host.id, host.kind)).collect();
        Ok(Self { config, hosts, sections: BTreeMap::new(), values: BTreeMap::new() })
    }

    fn rollout(
        &mut self,
        store: &dyn Reads,
        set: &ChangeSet,
        first: &ChangeRecord,
    ) -> Result<Rollout, StoreError> {
        let reached: BTreeSet<&HostId> = set.hosts.iter().map(|(host, _)| host).collect();
        let as_before = self.as_before(store, first)?;
        let (mut classes, mut requests) = (BTreeSet::new(), BTreeSet::new());
        for number in &set.changes {
            let record = store.change(ChangeId(*number))?;
            let Some(classified) = record.and_then(|record| record.classified) else { continue };
            let decision = classified.decision;
            classes.extend(decision.class.map(|class| class.as_str().to_owned()));
            requests.extend((decision.rule == RuleKind::Request).then_some(decision.name));
        }
        let behind = as_before.iter().filter(|host| !reached.contains(host));
        let behind: BTreeSet<&HostId> = match self.meant(store, first, &requests)? {
            Some(meant) => behind.filter(|host| meant.contains(*host)).collect(),
            None => behind.collect(),
        };
        Ok(Rollout {
            number: set.number,
            kind: set.kind.clone(),
            parts: set.parts.clone(),
            item: first.change.key.clone(),
            changes: set.total,
            from: set.at(),
            to: set.last,
            items: (set.total / set.hosts.len().max(1) as u64).max(1),
            classes: classes.into_iter().collect(),
            reached: set.hosts.iter().map(|(host, _)| host).collect(),
            stragglers: behind.into_iter().collect(),
            went_back: as_before.iter().filter(|host| reached.contains(host)).collect(),
            waves: waves(&set.hosts),
        })
    }

    /// The hosts that `requests` mean; `None` where no request covers the rollout.
    fn meant(
        &self,
        store: &dyn Reads,
        first: &ChangeRecord,
        requests: &BTreeSet<String>,
    ) -> Result<Option<BTreeSet<HostId>>, StoreError> {
        let mut scopes = Vec::new();
        for name in requests {
            let Some((source, id)) = name.split_once('/') else { continue };
            let filter = RequestFilter {
                source: Some(source.to_owned()),
                id: Some(id.to_owned()),
                ..RequestFilter::default()
            };
            scopes.extend(store.change_requests(&filter)?.into_iter().map(|r| r.request.scope));
        }
        if scopes.is_empty() {
            return Ok(None);
        }
        let is_meant = |(host, kind): &&(HostId, HostKind)| {
            let change = &first.change;
            let subject = Subject {
                host,
                place: &self.config.place(host, *kind),
                source: &first.source,
                part: &change.part,
                key: change.key.as_ref(),
                kind: change.kind,
                became: None,
                at: first.at,
            };
            let fit = |scope: &IntentScope| scope.fit(&subject);
            scopes.iter().any(|scope| matches!(fit(scope), Fit::Covers(_) | Fit::Everything))
        };
        Ok(Some(self.hosts.iter().filter(is_meant).map(|(host, _)| host.clone()).collect()))
    }

    /// The hosts on which the item of `first` says what it said before that change.
    fn as_before(
        &mut self,
        store: &dyn Reads,
        first: &ChangeRecord,
    ) -> Result<Vec<HostId>, StoreError> {
        let (part, key) = (&first.change.part, &first.change.key);
        if key.is_none() {
            return Ok(Vec::new()); // a part as a whole came or went: nobody can be behind
        }
        let before = first.change.before.as_ref().map(|item| item.value.clone());
        let mut found = Vec::new();
        for (host, _) in self.hosts.clone() {
            let digest = self.section(store, (&host, &first.source))?.get(part).copied();
            let Some(digest) = digest else { continue };
            if self.value(store, (digest, key))? == Some(before.clone()) {
                found.push(host);
            }
        }
        Ok(found)
    }

    fn section(
        &mut self,
        store: &dyn Reads,
        (host, source): (&HostId, &SourceName),
    ) -> Result<&BTreeMap<PartName, Digest>, StoreError> {
        let place = (host.clone(), source.clone());
        if !self.sections.contains_key(&place) {
            let parts = store.section_parts(host, source)?;
            let parts = parts.into_iter().map(|record| (record.part, record.digest)).collect();
            self.sections.insert(place.clone(), parts);
        }
        Ok(self.sections.entry(place).or_default())
    }

    fn value(
        &mut self,
        store: &dyn Reads,
        (digest, key): (Digest, &Option<ItemKey>),
    ) -> Result<Option<Option<ItemValue>>, StoreError> {
        let place = (digest, key.clone());
        if let Some(value) = self.values.get(&place) {
            return Ok(value.clone());
        }
        let part = store.part(&digest)?;
        let value = part.as_ref().and_then(|part| says(part, key.as_ref()?));
        self.values.insert(place, value.clone());
        Ok(value)
    }
}

/// What an item says in a part, absence included; `None` where that cannot be read.
fn says(part: &Part, key: &ItemKey) -> Option<Option<ItemValue>> {
    let observed = part.observed()?;
    let readable = observed.content == Content::Read || is_of_the_file(key);
    readable.then(|| observed.items.get(key).map(|item| item.value.clone()))
}

fn waves(hosts: &[(HostId, Timestamp)]) -> Vec<Wave> {
    let mut waves: Vec<Wave> = Vec::new();
    let mut before = None;
    for (_, at) in hosts {
        let goes_on = before.is_some_and(|before| at.duration_since(before) <= WAVE);
        before = Some(*at);
        match waves.last_mut().filter(|_| goes_on) {
            Some(wave) => wave.hosts += 1,
            None => waves.push(Wave { from: *at, hosts: 1 }),
        }
    }
    waves
}

#[cfg(test)]
mod tests;
