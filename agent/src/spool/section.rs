//! The ledger of one section, as values: every way a version can come, merge, go or be lost.
//!
//! It knows no database and no clock. Each function moves a [`Section`] and its [`Account`]
//! together, so that `observed = delivered + coalesced + expired + waiting` holds after every one
//! of them, and so that what the collector is told (`coalesced`, `expired` of the versions it gets)
//! adds up to the same numbers.

#![deny(clippy::disallowed_methods, reason = "the ledger is pure: no clock, no I/O, no randomness")]

use std::collections::BTreeMap;

use driftline_protocol::ids::{Digest, Generation, SourceName};
use driftline_protocol::ledger::{Account, Chain};
use driftline_protocol::manifest::ManifestDelta;
use driftline_protocol::snapshot::{Domain, Reason};
use driftline_protocol::wire::{Held, SectionVersion, SourceReading};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Observation;

/// The newest state of one section and where its versions went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Section {
    /// What kind of fact the source reads.
    pub(super) domain: Domain,
    /// The newest generation given to a version of it.
    pub(super) generation: Generation,
    /// The digest of the manifest we hold; `None` before the first observation and after a loss.
    pub(super) digest: Option<Digest>,
    /// The chain over every version observed.
    pub(super) chain: Chain,
    /// Where every version went.
    pub(super) account: Account,
    /// Merged and lost versions the collector has not been told of yet.
    pub(super) untold: Untold,
    /// What the collector holds, as far as its answers said.
    pub(super) settled: Settled,
    /// When and how the newest version was seen.
    pub(super) seen: Option<Seen>,
}

/// Merged and lost versions the collector has not been told of yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Untold {
    /// Merged into versions that wait, or that were lost themselves.
    pub(super) coalesced: u64,
    /// Lost.
    pub(super) expired: u64,
}

/// What the collector holds of a section, as far as its answers said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settled {
    pub(super) generation: Generation,
    pub(super) digest: Option<Digest>,
    pub(super) chain: Chain,
}

/// The moment of an observation, by both clocks of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// By the wall clock.
    pub(super) at: Timestamp,
    /// By the monotonic clock, in milliseconds.
    pub(super) monotonic_ms: u64,
    /// In which boot the monotonic clock ran.
    pub(super) boot: String,
    /// How many parts were unobserved, by reason.
    pub(super) unobserved: BTreeMap<Reason, u64>,
    /// How the reading went.
    pub(super) reading: SourceReading,
}

/// A version that waits, with the boot its monotonic time belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) version: SectionVersion,
    pub(super) boot: String,
}

impl Section {
    /// The section of `source` before its first version, `lost` versions of an earlier state gone.
    pub(super) fn new(source: &SourceName, domain: Domain, lost: u64) -> Self {
        let chain = Chain::start(source);
        Self {
            domain,
            generation: Generation(0),
            digest: None,
            chain,
            account: Account { observed: lost, expired: lost, ..Account::default() },
            untold: Untold { coalesced: 0, expired: lost },
            settled: Settled { generation: Generation(0), digest: None, chain },
            seen: None,
        }
    }

    /// A new version: `observation` differs from the state before by `delta`.
    pub(super) fn observe(
        &mut self,
        observation: &Observation,
        delta: ManifestDelta,
        (generation, boot): (Generation, &str),
    ) -> Waiting {
        self.domain = observation.domain;
        self.digest = Some(observation.manifest.digest());
        self.seen = Some(Seen {
            at: observation.observed_at,
            monotonic_ms: observation.observed_monotonic_ms,
            boot: boot.to_owned(),
            unobserved: observation.unobserved.clone(),
            reading: observation.reading,
        });
        self.push(&observation.source, delta, generation)
    }

    /// The newest state once more, as a version that replaces the `merged` ones that wait and
    /// starts from nothing. `None` when there is no state to send.
    pub(super) fn send_whole(
        &mut self,
        source: &SourceName,
        whole: ManifestDelta,
        generation: Generation,
    ) -> Option<Waiting> {
        self.digest?;
        self.untold.coalesced += self.account.waiting;
        self.account.coalesced += self.account.waiting;
        self.account.waiting = 0;
        // The first version that waits tells the chain before all it replaces.
        let mut waiting = self.push(source, whole, generation);
        waiting.version.chain_before = self.settled.chain;
        Some(waiting)
    }

    fn push(
        &mut self,
        source: &SourceName,
        delta: ManifestDelta,
        generation: Generation,
    ) -> Waiting {
        assert!(generation > self.generation, "generations only grow");
        let digest = self.digest.expect("a version is pushed only after its digest was set");
        let seen = self.seen.clone().expect("whatever has a digest was seen");
        // Only the first version that waits can follow a loss, so only it tells of one.
        let first = self.account.waiting == 0;
        let chain_before = if first { self.settled.chain } else { self.chain };
        let told = if first { self.untold } else { Untold::default() };
        self.generation = generation;
        self.chain = self.chain.after(generation, &digest);
        self.account.observed += 1;
        self.account.waiting += 1;
        Waiting {
            version: SectionVersion {
                source: source.clone(),
                domain: self.domain,
                generation,
                chain_before,
                chain: self.chain,
                coalesced: told.coalesced,
                expired: told.expired,
                observed_at: seen.at,
                observed_monotonic_ms: Some(seen.monotonic_ms),
                delta,
                digest,
            },
            boot: seen.boot,
        }
    }

    /// `older` and `newer`, which follow each other, become one.
    pub(super) fn coalesce(&mut self, older: Waiting, newer: Waiting) -> Waiting {
        self.account.waiting -= 1;
        self.account.coalesced += 1;
        self.untold.coalesced += 1;
        let (before, after) = (older.version, newer.version);
        Waiting {
            version: SectionVersion {
                chain_before: before.chain_before,
                coalesced: before.coalesced + after.coalesced + 1,
                expired: before.expired + after.expired,
                delta: merge(before.delta, after.delta),
                ..after
            },
            boot: newer.boot,
        }
    }

    /// The collector has `delivered`, the oldest versions that waited.
    pub(super) fn settle(&mut self, delivered: &[Waiting]) {
        for Waiting { version, .. } in delivered {
            self.account.waiting -= 1;
            self.account.delivered += 1;
            self.untold.coalesced -= version.coalesced;
            self.untold.expired -= version.expired;
            self.settled = Settled {
                generation: version.generation,
                digest: Some(version.digest),
                chain: version.chain,
            };
        }
    }

    /// `dropped`, the oldest versions that waited, can never be delivered. What they said of merged
    /// and lost versions is still to be told, and what follows starts from nothing the collector
    /// has: it will ask for the whole.
    pub(super) fn expire(&mut self, dropped: &[Waiting]) {
        let count = dropped.len() as u64;
        self.account.waiting -= count;
        self.account.expired += count;
        self.untold.expired += count;
    }

    /// The state and whatever waited are lost; the next observation starts from nothing and says
    /// so.
    pub(super) fn lose(&mut self) {
        self.untold.expired += self.account.waiting;
        self.account.expired += self.account.waiting;
        self.account.waiting = 0;
        self.digest = None;
    }

    /// How what the collector holds stands to what waits.
    pub(super) fn compare(&self, waiting: &[Waiting], held: &Held) -> Standing {
        let arrived = |w: &&Waiting| {
            (w.version.generation, Some(w.version.digest)) == (held.generation, held.digest)
        };
        if let Some(found) = waiting.iter().find(arrived) {
            return Standing::Arrived(found.version.generation);
        }
        let fits = match waiting.first() {
            None => (self.generation, self.digest) == (held.generation, held.digest),
            Some(Waiting { version, .. }) => {
                let base = version.delta.base;
                version.generation > held.generation && (base.is_none() || base == held.digest)
            }
        };
        if fits { Standing::Fits } else { Standing::Apart }
    }
}

/// How what the collector holds stands to what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It holds this version of ours; its acknowledgement was lost.
    Arrived(Generation),
    /// What waits can be applied to what it holds.
    Fits,
    /// It holds something our versions do not start from: a restored collector, or a rolled-back
    /// host.
    Apart,
}

/// The delta that does what `before` and then `after` do.
fn merge(before: ManifestDelta, after: ManifestDelta) -> ManifestDelta {
    if after.base.is_none() {
        return after;
    }
    let ManifestDelta { base, mut set, mut unset } = before;
    for name in after.unset {
        set.remove(&name);
        unset.insert(name);
    }
    for (name, digest) in after.set {
        unset.remove(&name);
        set.insert(name, digest);
    }
    if base.is_none() {
        unset.clear();
    }
    ManifestDelta { base, set, unset }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftline_protocol::manifest::Manifest;
    use proptest::prelude::*;

    fn manifests() -> impl Strategy<Value = Manifest> {
        proptest::collection::btree_map("[a-d]", 0u8..3, 0..4).prop_map(|parts| {
            let part = |(name, byte): (String, u8)| (name.parse().unwrap(), Digest([byte; 32]));
            Manifest(parts.into_iter().map(part).collect())
        })
    }

    proptest! {
        #[test]
        fn a_merged_delta_does_what_both_did(a in manifests(), b in manifests(), c in manifests()) {
            let both = merge(a.delta_to(&b), b.delta_to(&c));
            prop_assert_eq!(a.apply(&both), Ok(c.clone()));
            let from_nothing = merge(b.whole(), b.delta_to(&c));
            prop_assert_eq!(a.apply(&from_nothing), Ok(c.clone()));
            prop_assert_eq!(a.apply(&merge(a.delta_to(&b), c.whole())), Ok(c));
        }
    }
}
