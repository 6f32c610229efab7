//! Nothing vanishes unseen: the account of section versions that agent and collector both keep.
//!
//! The unit is one section version. Per agent and source, `observed = delivered + coalesced +
//! expired + waiting`, and a hash chain over all observed versions ties the numbers to content:
//! each link covers the link before it, the generation and the manifest digest. The agent sends its
//! side in each heartbeat; the collector counts what it applied, adds what the agent declared lost,
//! and exports the difference as a metric that must be 0.

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, Generation, SourceName};

const CHAIN_CONTEXT: &str = "driftline 2026-11 ledger chain v1";

/// How many versions of one section went which way, since the agent's state was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Versions the agent saw.
    pub observed: u64,
    /// Versions the collector acknowledged.
    pub delivered: u64,
    /// Intermediate versions merged into a later one because the spool was full.
    pub coalesced: u64,
    /// Versions lost: too old for the spool, or in a state that could not be repaired.
    pub expired: u64,
    /// Versions in the spool.
    pub waiting: u64,
}

impl Account {
    /// How far the account is from balance; 0 unless something vanished.
    pub fn imbalance(&self) -> u64 {
        let known = [self.coalesced, self.expired, self.waiting];
        // Saturating: the numbers come from the network.
        let known = known.into_iter().fold(self.delivered, u64::saturating_add);
        self.observed.abs_diff(known)
    }
}

/// The end of a hash chain over section versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chain(pub Digest);

impl Chain {
    /// The chain of a source before its first version.
    pub fn start(source: &SourceName) -> Self {
        Self(Digest(blake3::derive_key(CHAIN_CONTEXT, source.as_str().as_bytes())))
    }

    /// The chain after one more version with this manifest digest.
    #[must_use]
    pub fn after(self, generation: Generation, manifest: &Digest) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CHAIN_CONTEXT);
        hasher.update(&self.0.0);
        hasher.update(&generation.0.to_le_bytes());
        hasher.update(&manifest.0);
        Self(Digest(*hasher.finalize().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_tells_order_generation_and_content_apart() {
        let start = Chain::start(&"files".parse().unwrap());
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        let one = start.after(Generation(1), &a).after(Generation(2), &b);
        assert_ne!(one, start.after(Generation(1), &b).after(Generation(2), &a));
        assert_ne!(one, start.after(Generation(1), &a).after(Generation(3), &b));
        assert_eq!(one, start.after(Generation(1), &a).after(Generation(2), &b));
    }

    #[test]
    fn an_account_out_of_balance_says_by_how_much() {
        let account = Account { observed: 7, delivered: 3, coalesced: 1, expired: 0, waiting: 1 };
        assert_eq!(account.imbalance(), 2);
        let forged = Account { observed: 1, delivered: u64::MAX, waiting: 3, ..account };
        assert_eq!(forged.imbalance(), u64::MAX - 1);
    }
}
