//! Nothing vanishes unseen: the agent's account of section versions held against ours. Pure.
//!
//! The agent says how many versions went which way; we know how many we applied. A version that we
//! applied and whose acknowledgement is still on its way counts as waiting there and as delivered
//! here, so ours may be ahead by as many as wait, and never behind.

use driftline_protocol::ledger::{Account, Chain};
use driftline_protocol::wire::SectionVersion;

/// How many versions cannot be accounted for; 0, or somebody is told.
///
/// `delivered` is our own count. Too few here is not counted: see [`lost`], which the collector
/// makes good.
pub fn imbalance(account: &Account, delivered: u64) -> u64 {
    account.imbalance().saturating_add(unseen(account, delivered))
}

/// How many versions we have that the agent does not know of: its state is older than ours.
pub fn unseen(account: &Account, delivered: u64) -> u64 {
    delivered.saturating_sub(account.delivered.saturating_add(account.waiting))
}

/// How many versions we acknowledged and no longer have: the store was restored from a backup.
pub fn lost(account: &Account, delivered: u64) -> u64 {
    account.delivered.saturating_sub(delivered)
}

/// How a version stands to the chain before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It continues ours, or says how many were lost between.
    Continues,
    /// It begins elsewhere without saying why: something was left out.
    Gap,
    /// Its own link is wrong: its chain does not follow from what it says.
    Broken,
}

/// How `version` stands to `ours`, the chain after our newest version, if we have one.
///
/// Links of merged versions are not sent, so there only the beginning is checked.
pub fn link(version: &SectionVersion, ours: Option<&Chain>) -> Link {
    let start = Chain::start(&version.source);
    let link = version.chain_before.after(version.generation, &version.digest);
    if version.coalesced == 0 && version.chain != link {
        Link::Broken
    } else if version.expired > 0 || version.chain_before == *ours.unwrap_or(&start) {
        Link::Continues
    } else {
        Link::Gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftline_protocol::ids::{Digest, Generation};
    use driftline_protocol::manifest::ManifestDelta;
    use driftline_protocol::snapshot::Domain;
    use jiff::Timestamp;

    #[test]
    fn only_what_cannot_be_explained_is_an_imbalance() {
        let account = |observed, delivered, waiting| Account {
            observed,
            delivered,
            waiting,
            ..Account::default()
        };
        for (account, ours, unexplained, gone) in [
            (account(0, 0, 0), 0, 0, 0),
            (account(5, 5, 0), 5, 0, 0),
            (account(5, 3, 2), 4, 0, 0), // one acknowledgement is on its way
            (account(5, 3, 2), 6, 1, 0), // we have one it never saw
            (account(5, 5, 0), 3, 0, 2), // we were restored
            (account(6, 5, 0), 5, 1, 0), // the agent itself lost one
        ] {
            assert_eq!(imbalance(&account, ours), unexplained, "{account:?} against {ours}");
            assert_eq!(lost(&account, ours), gone, "{account:?} against {ours}");
        }
    }

    fn version(chain_before: Chain, base: Option<Digest>) -> SectionVersion {
        let (generation, digest) = (Generation(7), Digest([3; 32]));
        SectionVersion {
            source: "files".parse().unwrap(),
            domain: Domain::Config,
            generation,
            chain_before,
            chain: chain_before.after(generation, &digest),
            coalesced: 0,
            expired: 0,
            observed_at: Timestamp::UNIX_EPOCH,
            observed_monotonic_ms: None,
            delta: ManifestDelta { base, ..ManifestDelta::default() },
            digest,
        }
    }

    #[test]
    fn a_chain_continues_or_declares_its_gap() {
        let (ours, other) = (Chain(Digest([1; 32])), Chain(Digest([2; 32])));
        let base = Some(Digest([9; 32]));
        let start = Chain::start(&"files".parse().unwrap());
        let forged = SectionVersion { chain: other, ..version(ours, base) };
        let merged = SectionVersion { chain: other, coalesced: 2, ..version(ours, base) };
        let declared = SectionVersion { expired: 1, ..version(other, base) };
        for (version, known, expected) in [
            (version(ours, base), Some(&ours), Link::Continues),
            (version(other, base), Some(&ours), Link::Gap),
            (version(other, None), Some(&ours), Link::Gap),
            (declared, Some(&ours), Link::Continues),
            (forged, Some(&ours), Link::Broken),
            (merged, Some(&ours), Link::Continues),
            (version(ours, None), None, Link::Gap),
            (version(start, None), None, Link::Continues),
        ] {
            assert_eq!(link(&version, known), expected, "{version:?} after {known:?}");
        }
    }
}
