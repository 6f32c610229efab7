//! The same change on many hosts as one thing a person sees: how far it is, in which waves it went,
//! who is still as before, and where it did not last.
//!
//! What belongs together is said by [`change_sets`](crate::analysis::change_sets). Who is still as
//! before is read from the newest state of the other hosts: they have the part, it was read, and
//! the item still says what the first change replaced. What cannot be read is neither.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::snapshot::{Content, Part};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::analysis::change_sets::ChangeSet;
use crate::analysis::diff::is_of_the_file;
use crate::pass::change_sets;
use crate::store::{ChangeId, ChangeRecord, StoreError};
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

/// The rollouts that reached several hosts between two moments, the newest first, at most `most`;
/// and whether changes were left out because there were too many.
///
/// # Errors
/// [`StoreError`].
pub fn rollouts(
    store: &dyn Reads,
    between: (Timestamp, Timestamp),
    most: usize,
) -> Result<(Vec<Rollout>, bool), StoreError> {
    let (mut sets, left_out) = change_sets(store, between, |_| true)?;
    sets.retain(|set| set.hosts.len() > 1);
    sets.sort_by_key(|set| std::cmp::Reverse((set.last, set.number)));
    sets.truncate(most);
    let mut fleet = Fleet::load(store)?;
    let mut all = Vec::with_capacity(sets.len());
    for set in sets {
        // Retention may have taken its first change since.
        let Some(first) = store.change(ChangeId(set.number))? else { continue };
        all.push(fleet.rollout(store, &set, &first)?);
    }
    Ok((all, left_out > 0))
}

/// The hosts as they are now, read as far as anybody asked.
struct Fleet {
    hosts: Vec<HostId>,
    sections: BTreeMap<(HostId, SourceName), BTreeMap<PartName, Digest>>,
    /// What an item says in a part; the outer `None` where that cannot be read.
    values: BTreeMap<(Digest, Option<ItemKey>), Option<Option<ItemValue>>>,
}

impl Fleet {
    fn load(store: &dyn Reads) -> Result<Self, StoreError> {
        let hosts = store.hosts()?.into_iter().filter(|host| host.retired_at.is_none());
        let hosts = hosts.take(HOSTS_MOST).map(|host| host.id).collect();
        Ok(Self { hosts, sections: BTreeMap::new(), values: BTreeMap::new() })
    }

    fn rollout(
        &mut self,
        store: &dyn Reads,
        set: &ChangeSet,
        first: &ChangeRecord,
    ) -> Result<Rollout, StoreError> {
        let reached: BTreeSet<&HostId> = set.hosts.iter().map(|(host, _)| host).collect();
        let as_before = self.as_before(store, first)?;
        let mut classes = BTreeSet::new();
        for number in &set.changes {
            let record = store.change(ChangeId(*number))?;
            let class = record.and_then(|record| record.classified?.decision.class);
            classes.extend(class.map(|class| class.as_str().to_owned()));
        }
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
            stragglers: as_before.iter().filter(|host| !reached.contains(host)).collect(),
            went_back: as_before.iter().filter(|host| reached.contains(host)).collect(),
            waves: waves(&set.hosts),
        })
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
        for host in self.hosts.clone() {
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
