//! What is odd among hosts that should be alike: gathers their parts and lets
//! [`peers`](crate::analysis::peers) rank them.
//!
//! Parts are shared by digest, so hosts that agree cost one comparison of digests; only what
//! differs is decoded, one part at a time. What changes by itself, by the lists of what to ignore,
//! is odd on nobody.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::item::ItemKey;
use driftline_protocol::snapshot::Part;
use driftline_protocol::wire::{HostKind, is_imported};
use jiff::Timestamp;

use crate::analysis::change::ChangeKind;
use crate::analysis::classify::ignore::{Ignore, Noise, listed};
use crate::analysis::classify::scope::Subject;
use crate::analysis::peers::{Outlier, Ranking, Seen};
use crate::config::Config;
use crate::config::place::Place;
use crate::store::{HostRecord, StoreError};
use crate::writer::Reads;

/// The most hosts held against each other, the first by name: a thousand tell what is common as
/// well as all of them would, within about a second.
const PEERS_MOST: usize = 1_000;

/// So many of a group are ranked before those of one host are picked.
const RANKED_MOST: usize = 100_000;

/// Which outliers are asked for; every field narrows.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Peers are the hosts of this group; by default all hosts of one kind.
    pub group: Option<String>,
    /// Of this host.
    pub host: Option<HostId>,
    /// At most this many.
    pub most: usize,
}

/// Settings in which a host differs from peers that agree, the oddest first.
///
/// # Errors
/// [`StoreError`].
pub fn outliers(
    store: &dyn Reads,
    config: &Config,
    asked: &Asked,
) -> Result<Vec<Outlier>, StoreError> {
    let mut found = Vec::new();
    let hosts = store.hosts()?;
    let ignored = config.ignored();
    let anywhere: Vec<Ignore> =
        ignored.iter().filter(|entry| entry.scope.names_no_host()).cloned().collect();
    for peers in peer_groups(config, &hosts, asked.group.as_deref()) {
        found.append(&mut rank(store, &peers, &anywhere)?);
    }
    found.retain(|outlier| asked.host.as_ref().is_none_or(|host| outlier.host == *host));
    let kinds: BTreeMap<&HostId, HostKind> =
        hosts.iter().map(|host| (&host.id, host.kind)).collect();
    found.retain(|outlier| {
        let kind = kinds.get(&outlier.host).copied().unwrap_or_default();
        let place = config.place(&outlier.host, kind);
        let at = (&outlier.host, &place);
        !is_volatile(at, (&outlier.source, &outlier.part, outlier.key.as_ref()), &ignored)
    });
    // Each group is sorted already; a stable sort keeps equals in the order of names.
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(asked.most);
    Ok(found)
}

/// Which hosts are held against each other: those of a group, or else all of one kind.
fn peer_groups(config: &Config, hosts: &[HostRecord], group: Option<&str>) -> Vec<Vec<HostId>> {
    let mut groups: BTreeMap<String, Vec<HostId>> = BTreeMap::new();
    for host in hosts.iter().filter(|host| host.retired_at.is_none()) {
        let place = config.place(&host.id, host.kind);
        let key = match group {
            Some(group) if place.groups.iter().any(|one| one == group) => group.to_owned(),
            Some(_) => continue,
            None => place.kind.as_str().to_owned(),
        };
        let peers = groups.entry(key).or_default();
        if peers.len() < PEERS_MOST {
            peers.push(host.id.clone());
        }
    }
    groups.into_values().collect()
}

/// The parts of hosts, by where they are.
#[derive(Default)]
struct Parts {
    /// Which hosts, by their place in the list, were read by a source.
    read: BTreeMap<SourceName, Vec<usize>>,
    /// Who has which version of a part.
    held: BTreeMap<(SourceName, PartName), BTreeMap<usize, Digest>>,
}

fn gather(store: &dyn Reads, peers: &[HostId]) -> Result<Parts, StoreError> {
    let mut parts = Parts::default();
    for (number, host) in peers.iter().enumerate() {
        for section in store.sections(host)? {
            if is_imported(&section.source) {
                continue; // how a host was says nothing of how its peers are
            }
            for part in store.section_parts(host, &section.source)? {
                let place = (section.source.clone(), part.part);
                parts.held.entry(place).or_default().insert(number, part.digest);
            }
            parts.read.entry(section.source).or_default().push(number);
        }
    }
    Ok(parts)
}

/// Whether an item changes by itself, by the lists.
fn is_volatile(
    (host, place): (&HostId, &Place),
    (source, part, key): (&SourceName, &PartName, Option<&ItemKey>),
    list: &[Ignore],
) -> bool {
    let (kind, at) = (ChangeKind::Modified, Timestamp::UNIX_EPOCH);
    let subject = Subject { host, place, source, part, key, kind, became: None, at };
    listed(&subject, list, Noise::Volatile).is_some()
}

/// `part` without the items that change by themselves on every host.
fn steady(part: Part, place: (&HostId, &SourceName, &PartName), list: &[Ignore]) -> Part {
    let Part::Observed(mut observed) = part else { return part };
    let (host, source, name) = place;
    let nowhere = Place::default();
    observed.items.retain(|key, _| !is_volatile((host, &nowhere), (source, name, Some(key)), list));
    Part::Observed(observed)
}

fn rank(
    store: &dyn Reads,
    peers: &[HostId],
    anywhere: &[Ignore],
) -> Result<Vec<Outlier>, StoreError> {
    let Some(any) = peers.first() else { return Ok(Vec::new()) };
    let Parts { read, held } = gather(store, peers)?;
    let mut ranking = Ranking::default();
    for ((source, part), holders) in held {
        let Some(readers) = read.get(&source) else { continue };
        let versions: BTreeSet<Digest> = holders.values().copied().collect();
        if versions.len() == 1 && holders.len() == readers.len() {
            continue;
        }
        let mut decoded: BTreeMap<Digest, Part> = BTreeMap::new();
        for digest in versions {
            let damaged = || StoreError::Damaged { what: format!("part {digest}") };
            let found = store.part(&digest)?.ok_or_else(damaged)?;
            decoded.insert(digest, steady(found, (any, &source, &part), anywhere));
        }
        let seen = |number: &usize| {
            let has = holders.get(number).and_then(|digest| decoded.get(digest));
            Some((peers.get(*number)?, has.map_or(Seen::Lacks, Seen::Has)))
        };
        let hosts: Vec<(&HostId, Seen<'_>)> = readers.iter().filter_map(seen).collect();
        ranking.compare(&source, &part, &hosts);
    }
    Ok(ranking.outliers(RANKED_MOST))
}
