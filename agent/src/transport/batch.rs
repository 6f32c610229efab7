//! How much travels in one report, and how long the answer to it may be.

use std::collections::BTreeSet;

use driftline_protocol::ids::Digest;
use driftline_protocol::limits;
use driftline_protocol::wire::SectionVersion;

/// A digest in JSON: 64 digits, their quotes and a comma; with some room, in bytes.
const DIGEST_BYTES: usize = 72;

/// What else an answer says of one version, in bytes: as much as what is sent of one beside names.
const VERSION_BYTES: usize = 512;

/// As many of the oldest versions as make a body of a good size, and at least one.
pub(super) fn bounded(versions: Vec<SectionVersion>) -> Vec<SectionVersion> {
    let mut bytes = 0;
    let mut bounded = Vec::new();
    for version in versions {
        let names = version.delta.set.keys().chain(&version.delta.unset);
        let names = names.map(|name| name.as_str().len() + DIGEST_BYTES);
        bytes += VERSION_BYTES + names.sum::<usize>();
        if bytes > limits::UPLOAD_BYTES && !bounded.is_empty() {
            break;
        }
        bounded.push(version);
    }
    bounded
}

/// The parts the versions name, each once, oldest first.
pub(super) fn named(versions: &[SectionVersion]) -> Vec<Digest> {
    let mut seen = BTreeSet::new();
    let digests = versions.iter().flat_map(|version| version.delta.set.values().copied());
    digests.filter(|digest| seen.insert(*digest)).collect()
}

/// The longest answer to a report of these versions, in bytes: one outcome a version, which may
/// name each of its parts.
pub(super) fn answer_bytes(versions: &[SectionVersion]) -> usize {
    let outcome = |version: &SectionVersion| {
        VERSION_BYTES.saturating_add(version.delta.set.len().saturating_mul(DIGEST_BYTES))
    };
    let bytes = versions.iter().map(outcome).fold(limits::ANSWER_BYTES, usize::saturating_add);
    bytes.min(limits::DECOMPRESSED_BYTES)
}
