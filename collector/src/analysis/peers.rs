//! Which values are the odd ones out among hosts that should be alike. Pure.
//!
//! No baseline and no rule is needed: this is what a site gets on its first day. Each setting of a
//! host is held against the same setting of its peers and ranked by PeerPressure (Wang et al., OSDI
//! 2004): the probability that a value is the fault, were exactly one of the `t` settings that vary
//! at fault,
//!
//! `P = (N + k) / (N + k*t + k*m*(t - 1))`
//!
//! with `N` peers, `m` of which share the value, and `k` distinct values of the setting. It is a
//! ranking, not a probability that anything is broken. Where the peers agree on nothing (an
//! address, a host key) no value is odd. What could not be read takes no part on either side:
//! unobserved is not absent.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{HostId, KeyId, PartName, SourceName};
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::snapshot::{Content, Part};
use serde::{Deserialize, Serialize};

/// The fewest peers, the host itself not counted, that make a value odd: with fewer, who is odd is
/// a matter of taste.
pub const PEERS_LEAST: usize = 4;

/// So many odd items of one part on one host are told as one: a package more is one thing to look
/// at, not its forty files.
const FOLD_BEYOND: usize = 5;

/// One setting, or one whole part, in which a host differs from peers that agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlier {
    /// Which host.
    pub host: HostId,
    /// Which section.
    pub source: SourceName,
    /// Which file or table.
    pub part: PartName,
    /// Which item; `None` where the whole part is odd, or so many of its items are that they are
    /// told as one.
    pub key: Option<ItemKey>,
    /// How many items this stands for; 0 for a part that the host lacks.
    pub items: u64,
    /// What the host says; `None` where it says nothing. Of a whole part, whether it is there.
    pub current: Option<ItemValue>,
    /// What most peers say; `None` where they say nothing.
    pub common: Option<ItemValue>,
    /// How many peers were read.
    pub peers: u64,
    /// How many of them say what is common.
    pub agreeing: u64,
    /// How many of them say what the host says.
    pub sharing: u64,
    /// The ranking score, from 0 to 1.
    pub score: f64,
}

/// What one host has of a part.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// The host's section was read and has no such part.
    Lacks,
    /// It has the part.
    Has(&'a Part),
}

/// A value among the peers: absence is one too.
type Value<'a> = Option<&'a ItemValue>;

/// Collects what is odd, part after part; memory follows what is odd, not the fleet.
#[derive(Debug, Default)]
pub struct Ranking {
    odd: Vec<Odd>,
    varying: u64,
}

#[derive(Debug)]
struct Odd {
    outlier: Outlier,
    /// The number of distinct values.
    distinct: u64,
}

impl Ranking {
    /// Holds the hosts of one group against each other in one part.
    ///
    /// `hosts` are those whose section was observed, each once. Costs the items of the parts given.
    pub fn compare(&mut self, source: &SourceName, part: &PartName, hosts: &[(&HostId, Seen<'_>)]) {
        let place = Place { source, part };
        if self.whole_part(place, hosts) {
            return;
        }
        let mut keys: BTreeSet<&ItemKey> = BTreeSet::new();
        for (_, seen) in hosts {
            keys.extend(items(*seen).into_iter().flatten().map(|(key, _)| key));
        }
        let mut found: BTreeMap<HostId, Vec<Odd>> = BTreeMap::new();
        for key in keys {
            let values: Vec<(&HostId, Value<'_>)> =
                hosts.iter().filter_map(|(host, seen)| Some((*host, value(*seen, key)?))).collect();
            for odd in self.odd_values(place, Some(key), &values) {
                found.entry(odd.outlier.host.clone()).or_default().push(odd);
            }
        }
        self.odd.extend(found.into_values().flat_map(fold));
    }

    /// Whether the part is there at all is a value of its own; `true` when that is all there is to
    /// say, because fewer than half of the hosts have it.
    fn whole_part(&mut self, place: Place<'_>, hosts: &[(&HostId, Seen<'_>)]) -> bool {
        let has = ItemValue::Flag(true);
        let values: Vec<(&HostId, Value<'_>)> = hosts
            .iter()
            .map(|(host, seen)| (*host, matches!(seen, Seen::Has(_)).then_some(&has)))
            .collect();
        let having = values.iter().filter(|(_, value)| value.is_some()).count();
        if having == hosts.len() {
            return false;
        }
        for mut odd in self.odd_values(place, None, &values) {
            let seen = hosts.iter().find(|(host, _)| **host == odd.outlier.host);
            let held = seen.and_then(|(_, seen)| items(*seen)).map_or(0, Iterator::count);
            odd.outlier.items = held as u64;
            self.odd.push(odd);
        }
        having * 2 < hosts.len()
    }

    /// The hosts whose value is rarer than one that at least half of their peers share.
    fn odd_values(
        &mut self,
        place: Place<'_>,
        key: Option<&ItemKey>,
        values: &[(&HostId, Value<'_>)],
    ) -> Vec<Odd> {
        let peers = values.len().saturating_sub(1);
        let mut counts: BTreeMap<Value<'_>, usize> = BTreeMap::new();
        for (_, value) in values {
            *counts.entry(*value).or_default() += 1;
        }
        if counts.len() < 2 || !comparable(&counts) {
            return Vec::new();
        }
        self.varying += 1;
        let Some((common, agreeing)) = counts.iter().max_by_key(|(_, count)| **count) else {
            return Vec::new();
        };
        if peers < PEERS_LEAST || *agreeing * 2 < peers {
            return Vec::new();
        }
        let odd = values.iter().filter(|(_, value)| value != common);
        odd.filter_map(|(host, value)| {
            let sharing = counts.get(value).copied().unwrap_or(1) - 1;
            // As many on either side is a matter of taste.
            ((sharing + 1) * 2 < *agreeing).then(|| Odd {
                outlier: Outlier {
                    host: (*host).clone(),
                    source: place.source.clone(),
                    part: place.part.clone(),
                    key: key.cloned(),
                    items: 1,
                    current: value.cloned(),
                    common: common.cloned(),
                    peers: peers as u64,
                    agreeing: *agreeing as u64,
                    sharing: sharing as u64,
                    score: 0.0,
                },
                distinct: counts.len() as u64,
            })
        })
        .collect()
    }

    /// The `most` oddest, the oddest first; of equals in the order of their names.
    pub fn outliers(self, most: usize) -> Vec<Outlier> {
        let suspects = self.varying.max(1) as f64;
        let mut outliers: Vec<Outlier> = self
            .odd
            .into_iter()
            .map(|Odd { mut outlier, distinct }| {
                let (peers, sharing) = (outlier.peers as f64, outlier.sharing as f64);
                let distinct = distinct as f64;
                outlier.score = (peers + distinct)
                    / (peers + distinct * suspects + distinct * sharing * (suspects - 1.0));
                outlier
            })
            .collect();
        outliers.sort_by(|a, b| {
            let name =
                |o: &Outlier| (o.host.clone(), o.source.clone(), o.part.clone(), o.key.clone());
            b.score.total_cmp(&a.score).then_with(|| name(a).cmp(&name(b)))
        });
        outliers.truncate(most);
        outliers
    }
}

#[derive(Clone, Copy)]
struct Place<'a> {
    source: &'a SourceName,
    part: &'a PartName,
}

/// The items of a part that was read; nothing is known of another one.
fn items(seen: Seen<'_>) -> Option<impl Iterator<Item = (&ItemKey, &ItemValue)>> {
    match seen {
        Seen::Lacks | Seen::Has(Part::Unobserved(_)) => None,
        Seen::Has(Part::Observed(observed)) => {
            let steady = observed.items.iter().filter(|(key, _)| key.of_the_moment().is_none());
            Some(steady.map(|(key, item)| (key, &item.value)))
        }
    }
}

/// What a host says under `key`; `None` where that is unknown, or the host has no such part.
fn value<'a>(seen: Seen<'a>, key: &ItemKey) -> Option<Value<'a>> {
    match seen {
        Seen::Lacks | Seen::Has(Part::Unobserved(_)) => None,
        Seen::Has(Part::Observed(observed)) => {
            let value = observed.items.get(key).map(|item| &item.value);
            match observed.content {
                Content::Read => Some(value),
                Content::Unread(_) => key.is_attribute().then_some(value),
            }
        }
    }
}

/// Fingerprints under different keys say nothing of each other.
fn comparable(counts: &BTreeMap<Value<'_>, usize>) -> bool {
    let mut keys = BTreeSet::new();
    for value in counts.keys().flatten() {
        fingerprint_keys(value, &mut keys);
    }
    keys.len() < 2
}

fn fingerprint_keys(value: &ItemValue, keys: &mut BTreeSet<KeyId>) {
    match value {
        ItemValue::Fingerprint(fingerprint) => {
            keys.insert(fingerprint.key);
        }
        ItemValue::List(values) => values.iter().for_each(|one| fingerprint_keys(one, keys)),
        ItemValue::Set(values) => values.iter().for_each(|one| fingerprint_keys(one, keys)),
        ItemValue::Nothing
        | ItemValue::Flag(_)
        | ItemValue::Integer(_)
        | ItemValue::Text(_)
        | ItemValue::Lines(_) => {}
    }
}

/// Many odd items of one part on one host are one thing to look at.
fn fold(mut odd: Vec<Odd>) -> Vec<Odd> {
    if odd.len() <= FOLD_BEYOND {
        return odd;
    }
    let items = odd.len() as u64;
    // The rarest stands for all.
    odd.sort_by_key(|odd| (odd.outlier.sharing, odd.distinct));
    odd.truncate(1);
    for one in &mut odd {
        one.outlier.items = items;
        one.outlier.key = None;
    }
    odd
}

#[cfg(test)]
mod tests;
