//! Nothing vanishes unseen: the agent's account of section versions held against ours. Pure.
//!
//! The agent says how many versions went which way; we know how many we applied. A version that we applied and
//! whose acknowledgement is still on its way counts as waiting there and as delivered here, so ours may be
//! ahead by as many as wait, and never behind.

use driftline_protocol::ids::SourceName;
use driftline_protocol::ledger::{Account, Chain};
use driftline_protocol::wire::SectionVersion;

/// How many versions cannot be accounted for; 0, or somebody is told.
///
/// `delivered` is our own count. Too few here is not counted: see [`lost`], which the collector makes good.
pub fn imbalance(account: &Account, delivered: u64) -> u64 {
    let most = account.delivered.saturating_add(account.waiting);
    account.imbalance().saturating_add(delivered.saturating_sub(most))
}

/// How many versions we acknowledged and no longer have: the store was restored from a backup.
pub fn lost(account: &Account, delivered: u64) -> u64 {
    account.delivered.saturating_sub(delivered)
}

/// Whether `version` continues `ours`, or says why it does not.
///
/// Versions lost before it ([`SectionVersion::expired`]) and a section sent as a whole, which happens only when
/// one side was set back, are declared gaps. Links of merged versions are not sent, so there only the beginning
/// is checked.
pub fn continues(version: &SectionVersion, ours: Option<&Chain>) -> bool {
    let start = Chain::start(&version.source);
    let gap = version.expired > 0 || version.delta.base.is_none() && ours.is_some();
    let begins = gap || version.chain_before == *ours.unwrap_or(&start);
    let link = version.chain_before.after(version.generation, &version.digest);
    begins && (version.coalesced > 0 || version.chain == link)
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
        assert!(continues(&version(ours, base), Some(&ours)));
        assert!(!continues(&version(other, base), Some(&ours)));
        assert!(continues(&SectionVersion { expired: 1, ..version(other, base) }, Some(&ours)));
        assert!(continues(&version(other, None), Some(&ours)));
        assert!(!continues(&SectionVersion { chain: other, ..version(ours, base) }, Some(&ours)));
        let merged = SectionVersion { chain: other, coalesced: 2, ..version(ours, base) };
        assert!(continues(&merged, Some(&ours)));
        assert!(!continues(&version(ours, None), None), "a first version begins at the start");
        let start = Chain::start(&"files".parse().unwrap());
        assert!(continues(&version(start, None), None));
    }
}
