//! What a finding is to whoever reads or accepts it: asked of the store by those who show it, and
//! of what is decided already by those who accept it.

use std::collections::BTreeMap;

use driftline_protocol::ids::Digest;
use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;

use super::approve::agreed_part;
use super::held_to::loaded;
use super::{Context, Ingest, IngestError, Store};
use crate::analysis::finding::{Finding, FindingId, FindingKind};
use crate::analysis::sight::{self, Said, is_of_all_it_says, says};
use crate::store::{NewPart, PartRecord, StoreError};

/// A finding as it stands: what somebody reads of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The tag that whoever accepts it gives back.
    pub etag: String,
    /// What it has now.
    pub value: Digest,
}

impl Tagged {
    /// Whether `etag` is of what it is now.
    pub fn is(&self, etag: &str) -> bool {
        self.etag == etag || mutant::active(Mutant::AcceptsWhatNobodyRead)
    }

    fn of(finding: &Finding, says: Option<Digest>) -> Self {
        Self { etag: sight::etag(finding, says), value: sight::value(finding, says) }
    }
}

/// What somebody who asks `store` reads of `finding`.
///
/// # Errors
/// [`StoreError`].
pub fn sight(store: &dyn Store, finding: &Finding) -> Result<Tagged, StoreError> {
    let id = &finding.id;
    let record = || store.part_record(&id.host, &id.source, &id.part);
    // Only durable parts are looked at; the moment plays no part.
    let context = Context { store, now: Timestamp::UNIX_EPOCH };
    seen(finding, record, (context, &BTreeMap::new()))
}

/// What the part of `finding` says, where all of that is accepted with it and nothing else of it is
/// told; asked of `store`.
///
/// # Errors
/// [`StoreError`].
pub fn said(store: &dyn Store, finding: &Finding) -> Result<Option<Said>, StoreError> {
    let id = &finding.id;
    if !is_of_all_it_says(finding) {
        return Ok(None);
    }
    let Some(record) = store.part_record(&id.host, &id.source, &id.part)? else { return Ok(None) };
    let told = told_of(finding, &record, Context { store, now: Timestamp::UNIX_EPOCH })?;
    Ok(Some(Said::of(&*loaded((store, &BTreeMap::new()), &told)?)))
}

/// What somebody reads of an open finding by what was decided, durable or not; `None` when it is
/// over.
pub(super) fn pending(
    ingest: &mut Ingest,
    context: Context<'_>,
    id: &FindingId,
) -> Result<Option<Tagged>, IngestError> {
    let host = ingest.known_host(&id.host)?;
    let Some(finding) = host.load(context.store)?.open.get(id).cloned() else { return Ok(None) };
    let record = || host.part(context.store, &id.source, &id.part);
    Ok(Some(seen(&finding, record, (context, &host.pending.parts))?))
}

/// What is read of `finding`, whose part is as `record` says; `pending` are parts on their way.
fn seen(
    finding: &Finding,
    record: impl FnOnce() -> Result<Option<PartRecord>, StoreError>,
    (context, pending): (Context<'_>, &BTreeMap<Digest, NewPart>),
) -> Result<Tagged, StoreError> {
    let record = if is_of_all_it_says(finding) { record()? } else { None };
    let said = |record: PartRecord| {
        let told = told_of(finding, &record, context)?;
        Ok(says(&*loaded((context.store, pending), &told)?))
    };
    Ok(Tagged::of(finding, record.map(said).transpose()?))
}

/// The part that `finding` tells of: what would be agreed to, but of content that cannot be read
/// what was seen of that, and not what was read before.
fn told_of(
    finding: &Finding,
    record: &PartRecord,
    context: Context<'_>,
) -> Result<Digest, StoreError> {
    let FindingId { kind, rule, .. } = &finding.id;
    match (kind, rule) {
        (FindingKind::Deviation, None) => Ok(record.seen.unwrap_or(record.digest)),
        (FindingKind::Deviation | FindingKind::Drift | FindingKind::Discrepancy, _) => {
            agreed_part(record, context)
        }
    }
}
