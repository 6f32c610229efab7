//! The same change on several hosts in one rollout, as one. Pure.
//!
//! What one version changed in one part is a unit; units that say the same (same items, same kinds,
//! same new values) on different hosts within a few days are one rollout; rollouts that reached the
//! same hosts at the same times, such as a package and its file, are one set, since no count of
//! cases could ever tell them apart. A host that sees the same change again begins a new rollout,
//! so that a value going back and forth is many sets and not an endless one.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{Generation, HostId, PartName, SourceName};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::change::Change;

/// The longest pause within one rollout: over a weekend.
const PAUSE: SignedDuration = SignedDuration::from_hours(72);

/// How far apart changes of one action may be seen: agents look at different things in turns.
const TOGETHER: SignedDuration = SignedDuration::from_mins(15);

/// The most changes and parts a set names; it counts all of them.
pub const NAMED: usize = 20;

/// One change as it is gathered.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its number.
    pub number: i64,
    /// Where.
    pub host: &'a HostId,
    /// Whose section.
    pub source: &'a SourceName,
    /// The version that brought it.
    pub generation: Generation,
    /// When, corrected time.
    pub at: Timestamp,
    /// What.
    pub change: &'a Change,
}

/// The same change on one host or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// The number of its first change: its name for as long as that is kept.
    pub number: i64,
    /// The source of its changes, or `several`.
    pub kind: String,
    /// The files or tables that changed, the first [`NAMED`] by name.
    pub parts: Vec<String>,
    /// The numbers of its changes, the first [`NAMED`].
    pub changes: Vec<i64>,
    /// How many changes there are.
    pub total: u64,
    /// Each host with the time it was reached, earliest first.
    pub hosts: Vec<(HostId, Timestamp)>,
    /// When the last of its changes was seen.
    pub last: Timestamp,
}

impl ChangeSet {
    /// When its first host was reached.
    pub fn at(&self) -> Timestamp {
        self.hosts.first().map_or(Timestamp::UNIX_EPOCH, |(_, at)| *at)
    }
}

/// Where one version changed one part.
pub type Place = (HostId, SourceName, Generation, PartName);

/// A set, and all the places of its changes.
pub type Placed<'a> = (ChangeSet, Vec<&'a Place>);

/// What one version changed in one part.
#[derive(Clone, Debug)]
struct Unit {
    at: Timestamp,
    /// The sum of the digests of its changes, so that their order does not matter.
    says: u128,
    changes: Vec<i64>,
    total: u64,
}

/// Units that say the same, each with its place.
type Reached<'a> = Vec<(&'a Place, &'a Unit)>;

/// Gathers changes, in whatever order they come.
#[derive(Clone, Debug, Default)]
pub struct ChangeSets {
    units: BTreeMap<Place, Unit>,
}

impl ChangeSets {
    /// Takes one change.
    pub fn add(&mut self, seen: &Seen<'_>) {
        let Seen { number, host, source, generation, at, change } = *seen;
        let place = (host.clone(), source.clone(), generation, change.part.clone());
        let unit = self.units.entry(place).or_insert_with(|| Unit {
            at,
            says: 0,
            changes: Vec::new(),
            total: 0,
        });
        unit.says = unit.says.wrapping_add(says(source, change));
        unit.total += 1;
        if unit.changes.len() < NAMED {
            unit.changes.push(number);
        } else if let Some(last) = unit.changes.iter_mut().max().filter(|last| **last > number) {
            *last = number;
        }
    }

    /// How many units there are.
    pub fn units(&self) -> usize {
        self.units.len()
    }

    /// Forgets what was seen before `from`.
    pub fn forget(&mut self, from: Timestamp) {
        self.units.retain(|_, unit| unit.at >= from);
    }

    /// Forgets the oldest until at most `most` changes are left. Says whether there were more.
    pub fn bound(&mut self, most: u64) -> bool {
        if self.units.values().map(|unit| unit.total).sum::<u64>() <= most {
            return false;
        }
        let mut newest: Vec<_> = self.units.values().map(|unit| (unit.at, unit.total)).collect();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        let mut kept = 0;
        let fits = |(_, total): &&(Timestamp, u64)| {
            kept += total;
            kept <= most
        };
        // What was seen at the same moment goes or stays together.
        let first_out = newest.get(newest.iter().take_while(fits).count()).map(|(at, _)| *at);
        self.units.retain(|_, unit| first_out.is_none_or(|first_out| unit.at > first_out));
        true
    }

    /// When the first of what is kept was seen.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.units.values().map(|unit| unit.at).min()
    }

    /// The sets of what was seen before `to`, by the number of their first change.
    pub fn sets(&self, to: Timestamp) -> Vec<ChangeSet> {
        self.placed(to).into_iter().map(|(set, _)| set).collect()
    }

    /// The same with all the places of their changes, of which a set names the first alone.
    pub fn placed(&self, to: Timestamp) -> Vec<Placed<'_>> {
        let mut by_words: BTreeMap<(&SourceName, &PartName, u128), Reached<'_>> = BTreeMap::new();
        for (place, unit) in self.units.iter().filter(|(_, unit)| unit.at < to) {
            let (_, source, _, part) = place;
            by_words.entry((source, part, unit.says)).or_default().push((place, unit));
        }
        let mut rollouts = Vec::new();
        for ((source, part, _), mut units) in by_words {
            units.sort_by(|(a, x), (b, y)| (x.at, &a.0).cmp(&(y.at, &b.0)));
            rollouts.extend(split(source, part, units));
        }
        let mut sets = merge(rollouts);
        for (set, _) in &mut sets {
            set.changes.sort_unstable();
            set.number = set.changes.first().copied().unwrap_or_default();
            set.changes.truncate(NAMED);
            set.parts.sort();
            set.parts.dedup();
            set.parts.truncate(NAMED);
        }
        sets.sort_by_key(|(set, _)| set.number);
        sets
    }
}

fn says(source: &SourceName, change: &Change) -> u128 {
    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    put(source.as_str().as_bytes());
    put(change.kind.as_str().as_bytes());
    put(change.key.as_ref().map_or("", |key| key.as_str()).as_bytes());
    // An item that cannot be written as JSON says nothing that could be the same elsewhere.
    put(&serde_json::to_vec(&change.after).unwrap_or_default());
    let mut digest = [0; 16];
    hasher.finalize_xof().fill(&mut digest);
    u128::from_le_bytes(digest)
}

/// The rollouts among units that say the same, which are in order of time.
fn split<'a>(source: &SourceName, part: &PartName, units: Reached<'a>) -> Vec<Placed<'a>> {
    let mut rollouts: Vec<Placed<'a>> = Vec::new();
    let mut reached = BTreeSet::new();
    for (place, unit) in units {
        let (host, ..) = place;
        let last = rollouts.last_mut().filter(|(set, _)| {
            let before = set.hosts.last().map_or(unit.at, |(_, at)| *at);
            !reached.contains(host) && unit.at.duration_since(before) <= PAUSE
        });
        match last {
            Some((set, places)) => {
                set.hosts.push((host.clone(), unit.at));
                set.changes.extend(&unit.changes);
                set.total += unit.total;
                set.last = set.last.max(unit.at);
                places.push(place);
            }
            None => {
                reached.clear();
                let set = ChangeSet {
                    number: 0,
                    kind: source.to_string(),
                    parts: vec![part.to_string()],
                    changes: unit.changes.clone(),
                    total: unit.total,
                    hosts: vec![(host.clone(), unit.at)],
                    last: unit.at,
                };
                rollouts.push((set, vec![place]));
            }
        }
        reached.insert(host);
    }
    rollouts
}

/// Puts rollouts together that reached the same hosts at the same times.
fn merge(rollouts: Vec<Placed<'_>>) -> Vec<Placed<'_>> {
    let mut by_hosts: BTreeMap<Vec<HostId>, Vec<Placed<'_>>> = BTreeMap::new();
    for (set, places) in rollouts {
        let mut hosts: Vec<HostId> = set.hosts.iter().map(|(host, _)| host.clone()).collect();
        hosts.sort();
        by_hosts.entry(hosts).or_default().push((set, places));
    }
    let mut merged = Vec::new();
    for mut sets in by_hosts.into_values() {
        sets.sort_by_key(|(set, _)| (set.at(), set.changes.iter().min().copied()));
        let mut kept: Vec<Placed<'_>> = Vec::new();
        for (set, places) in sets {
            match kept.last_mut().filter(|(last, _)| together(last, &set)) {
                Some((last, all)) => {
                    if last.kind != set.kind {
                        last.kind = "several".to_owned();
                    }
                    last.parts.extend(set.parts);
                    last.changes.extend(set.changes);
                    last.total += set.total;
                    last.last = last.last.max(set.last);
                    all.extend(places);
                }
                None => kept.push((set, places)),
            }
        }
        merged.extend(kept);
    }
    merged
}

/// Whether two sets on the same hosts reached each of them at about the same time.
fn together(a: &ChangeSet, b: &ChangeSet) -> bool {
    let times: BTreeMap<&HostId, Timestamp> =
        a.hosts.iter().map(|(host, at)| (host, *at)).collect();
    b.hosts.iter().all(|(host, at)| {
        times.get(host).is_some_and(|other| at.duration_since(*other).abs() <= TOGETHER)
    })
}

#[cfg(test)]
mod tests {
    use driftline_protocol::item::{Item, ItemKey, ItemValue};

    use super::*;
    use crate::analysis::change::ChangeKind;

    /// A change by host, minute, source, part, generation and new value.
    type Row<'a> = (&'a str, i64, &'a str, &'a str, u64, &'a str);

    fn gathered(rows: &[Row<'_>]) -> ChangeSets {
        let mut sets = ChangeSets::default();
        for (number, (host, minute, source, part, generation, value)) in (1..).zip(rows) {
            let change = Change {
                part: part.parse().unwrap(),
                key: Some(ItemKey::of(["codec"])),
                kind: ChangeKind::Modified,
                before: None,
                after: Some(Item { value: ItemValue::text(*value), rank: None }),
            };
            sets.add(&Seen {
                number,
                host: &host.parse().unwrap(),
                source: &source.parse().unwrap(),
                generation: Generation(*generation),
                at: Timestamp::from_second(minute * 60).unwrap(),
                change: &change,
            });
        }
        sets
    }

    #[test]
    fn of_too_many_changes_the_newest_are_kept() {
        let mut kept = gathered(&[
            ("a", 0, "files", "/x", 1, "opus"),
            ("b", 5, "files", "/x", 1, "ulaw"),
            ("c", 9, "files", "/x", 1, "alaw"),
        ]);
        assert!(!kept.bound(3));
        assert!(kept.bound(2));
        assert_eq!(kept.oldest(), Timestamp::from_second(300).ok());
        kept.forget(Timestamp::from_second(301).unwrap());
        assert_eq!(kept.sets(Timestamp::MAX).len(), 1);
        assert!(kept.bound(0));
        assert_eq!((kept.units(), kept.oldest()), (0, None));
    }

    fn sets(rows: &[Row<'_>]) -> Vec<ChangeSet> {
        gathered(rows).sets(Timestamp::MAX)
    }

    fn check(rows: &[Row<'_>], expect: &[(i64, &str, &[&str], u64)]) {
        let found = sets(rows);
        let found: Vec<_> = found
            .iter()
            .map(|set| {
                let hosts: Vec<&str> = set.hosts.iter().map(|(host, _)| host.as_str()).collect();
                (set.number, set.kind.as_str(), hosts, set.total)
            })
            .collect();
        let expect =
            expect.iter().map(|(n, kind, hosts, total)| (*n, *kind, hosts.to_vec(), *total));
        assert_eq!(found, expect.collect::<Vec<_>>(), "{rows:?}");
    }

    const DAY: i64 = 24 * 60;

    #[test]
    fn the_same_change_in_one_rollout_is_one_set() {
        check(
            &[("a", 0, "files", "/x", 1, "opus"), ("b", 2 * DAY, "files", "/x", 7, "opus")],
            &[(1, "files", &["a", "b"], 2)],
        );
        check(
            &[("a", 0, "files", "/x", 1, "opus"), ("b", 0, "files", "/x", 1, "ulaw")],
            &[(1, "files", &["a"], 1), (2, "files", &["b"], 1)],
        );
        check(
            &[("a", 0, "files", "/x", 1, "opus"), ("b", 4 * DAY, "files", "/x", 1, "opus")],
            &[(1, "files", &["a"], 1), (2, "files", &["b"], 1)],
        );
    }

    #[test]
    fn what_reached_the_same_hosts_together_is_one_set_of_several() {
        check(
            &[
                ("a", 0, "files", "/x", 1, "opus"),
                ("b", 60, "files", "/x", 1, "opus"),
                ("a", 10, "packages", "sip", 1, "2.0"),
                ("b", 61, "packages", "sip", 1, "2.0"),
            ],
            &[(1, "several", &["a", "b"], 4)],
        );
        check(
            &[("a", 0, "files", "/x", 1, "opus"), ("a", 30, "packages", "sip", 1, "2.0")],
            &[(1, "files", &["a"], 1), (2, "packages", &["a"], 1)],
        );
    }

    #[test]
    fn a_set_lasts_until_the_last_of_its_changes() {
        let rows = [
            ("a", 0, "files", "/x", 1, "opus"),
            ("b", 1, "files", "/x", 1, "opus"),
            ("a", 9, "files", "/y", 2, "g722"),
            ("b", 10, "files", "/y", 2, "g722"),
        ];
        let found = sets(&rows);
        assert_eq!((found.len(), found[0].total), (1, 4), "{found:?}");
        assert_eq!(found[0].last, Timestamp::from_second(600).unwrap());
    }

    #[test]
    fn a_value_that_goes_back_and_forth_is_many_sets() {
        check(
            &[
                ("a", 0, "files", "/x", 1, "on"),
                ("a", DAY, "files", "/x", 2, "off"),
                ("a", 2 * DAY, "files", "/x", 3, "on"),
            ],
            &[(1, "files", &["a"], 1), (2, "files", &["a"], 1), (3, "files", &["a"], 1)],
        );
    }

    #[test]
    fn the_order_of_changes_changes_nothing() {
        let rows = [
            ("a", 0, "files", "/x", 1, "opus"),
            ("b", 5, "files", "/x", 1, "opus"),
            ("c", 9, "files", "/y", 1, "opus"),
        ];
        let mut back = rows;
        back.reverse();
        let hosts = |sets: Vec<ChangeSet>| {
            let mut hosts: Vec<_> = sets.into_iter().map(|set| (set.hosts, set.parts)).collect();
            hosts.sort();
            hosts
        };
        assert_eq!(hosts(sets(&rows)), hosts(sets(&back)));
    }
}
