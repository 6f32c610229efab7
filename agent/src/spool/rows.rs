//! Steps over several rows that every use of the spool makes in the same way, inside its
//! transaction.
//!
//! They keep versions, accounts and the count of names of each part together, and decide nothing.

use driftline_protocol::ids::{Digest, SourceName};
use driftline_protocol::redact::Sealed;
use rusqlite::Transaction;

use super::SpoolError;
use super::database::{self, Refs};
use super::section::Waiting;

/// Keeps parts that nothing names yet.
pub(super) fn insert_parts(
    tx: &Transaction<'_>,
    parts: &[(Digest, Sealed)],
) -> Result<(), SpoolError> {
    parts
        .iter()
        .try_for_each(|(digest, sealed)| database::insert_part(tx, digest, sealed.as_bytes()))
}

/// Forgets versions that waited, and that they named their parts.
pub(super) fn remove_versions(
    tx: &Transaction<'_>,
    versions: &[Waiting],
) -> Result<(), SpoolError> {
    let refs = take_versions(tx, versions)?;
    database::refer(tx, &refs)
}

/// Forgets versions that waited, and gives what is still to be taken from the counts of their
/// parts.
pub(super) fn take_versions(
    tx: &Transaction<'_>,
    versions: &[Waiting],
) -> Result<Refs, SpoolError> {
    let mut refs = Refs::new();
    for Waiting { version, .. } in versions {
        database::name_all(&mut refs, version.delta.set.values(), -1);
        database::remove_version(tx, version.generation)?;
    }
    Ok(refs)
}

/// Makes one of the two oldest versions of `source` that were never offered.
pub(super) fn coalesce_oldest(tx: &Transaction<'_>, source: &SourceName) -> Result<(), SpoolError> {
    let section = database::section(tx, source)?;
    let mut section = section.ok_or(SpoolError::Damaged("a version has no section"))?;
    let (older, newer) = database::oldest_pair(tx, source)?;
    let pair = [older.clone(), newer.clone()];
    let merged = section.coalesce(older, newer);
    let mut refs = Refs::new();
    database::name_all(&mut refs, merged.version.delta.set.values(), 1);
    database::refer(tx, &refs)?;
    remove_versions(tx, &pair)?;
    database::put_version(tx, &merged)?;
    database::put_section(tx, source, &section, None)
}
