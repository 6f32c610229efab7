//! What people agree to of single findings: the baseline moves to what these drifts have, and to
//! nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Part;
use driftline_protocol::wire::ProblemCode;

use super::approve::{agree_of_host, agreed_part, steps};
use super::fleet::Host;
use super::held::Bench;
use super::held_to::loaded;
use super::seen::pending;
use super::{Approval, Context, Ingest, IngestError};
use crate::analysis::agreement::{Covers, Subject, with_item};
use crate::analysis::drift::resolved;
use crate::analysis::finding::{Finding, FindingId, FindingKind, Resolution, Status};
use crate::store::{ApprovalRecord, Basis, NewPart, Step, StoreError};

/// What moving baselines by single findings comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Parts as they are agreed now.
    pub parts: Vec<NewPart>,
    /// The approvals, one a host.
    pub steps: Vec<Step>,
    /// How many findings were accepted.
    pub count: u64,
    /// How many are not what was read any more, and stay as they are.
    pub conflicts: u64,
}

/// What happened to a finding that somebody accepts who has read something else, and what to do.
pub fn moved_on(of: &str) -> String {
    format!(
        "{of} is not what was read any more: the host, or what was agreed of it, moved on \
         meanwhile, and nothing was accepted; read it again and accept what it has now"
    )
}

pub(super) fn accept(
    ingest: &mut Ingest,
    context: Context<'_>,
    (findings, of): (Vec<(FindingId, String)>, &str),
    approval: &Approval,
) -> Result<Accepted, IngestError> {
    let mut by_host: BTreeMap<HostId, Vec<FindingId>> = BTreeMap::new();
    let mut all = Accepted { parts: Vec::new(), steps: Vec::new(), count: 0, conflicts: 0 };
    for (id, read) in findings {
        let Some(now) = pending(ingest, context, &id)? else { continue };
        if now.is(&read) {
            by_host.entry(id.host.clone()).or_default().push(id);
        } else {
            all.conflicts += 1;
        }
    }
    for (host, ids) in by_host {
        let open = &ingest.known_host(&host)?.load(context.store)?.open;
        let drifts = ids.iter().filter(|id| id.kind == FindingKind::Drift);
        let drifts: Vec<Finding> = drifts.filter_map(|id| open.get(id).cloned()).collect();
        if !drifts.is_empty() {
            one_host(ingest, context, (&host, drifts), (of, approval, &mut all))?;
        }
    }
    if all.count == 0 && all.conflicts > 0 {
        return Err(IngestError::refused(ProblemCode::Conflict, moved_on(of)));
    }
    if all.count == 0 {
        let detail = format!("{of} has no open drift, so there is no baseline to move");
        return Err(IngestError::refused(ProblemCode::NotFound, detail));
    }
    Ok(all)
}

fn one_host(
    ingest: &mut Ingest,
    context: Context<'_>,
    (id, drifts): (&HostId, Vec<Finding>),
    (of, approval, all): (&str, &Approval, &mut Accepted),
) -> Result<(), IngestError> {
    let (standards, agreements) = (Arc::clone(&ingest.standards), Arc::clone(&ingest.agreements));
    let number = ingest.last_approval + 1;
    let host = ingest.known_host(id)?;
    let bench = Bench::new((&standards, &agreements), id, host.record.kind);
    let mut places: BTreeMap<(SourceName, PartName), Vec<&Finding>> = BTreeMap::new();
    for drift in &drifts {
        let place = (drift.id.source.clone(), drift.id.part.clone());
        places.entry(place).or_default().push(drift);
    }
    let mut parts: BTreeMap<SourceName, BTreeMap<PartName, Option<Digest>>> = BTreeMap::new();
    for ((source, part), drifts) in places {
        let next = next_part(host, (context, &bench), (&source, &part), &drifts)?;
        let digest = match next {
            Next::Known(digest) => digest,
            Next::Made(made) => {
                let digest = *made.digest();
                host.pending.parts.insert(digest, made.clone());
                all.parts.push(made);
                Some(digest)
            }
        };
        parts.entry(source).or_default().insert(part, digest);
    }
    let covers: BTreeMap<SourceName, Covers> =
        parts.into_iter().map(|(source, parts)| (source, Covers::Parts(parts))).collect();
    let judged = agree_of_host(ingest, context, (id, number), (&covers, false))?;
    let findings = with_the_rest(&drifts, judged, context);
    ingest.known_host(id)?.load(context.store)?.note(&findings);
    ingest.last_approval = number;
    let count = drifts.len() as u64;
    all.count += count;
    let record = ApprovalRecord {
        number,
        subject: Subject::Host(id.clone()),
        at: context.now,
        who: approval.who.clone(),
        why: approval.why.clone(),
        basis: Basis::Findings { of: of.to_owned(), count },
        source: None,
        part: None,
        exempt: Vec::new(),
    };
    all.steps.extend(steps(record, covers, findings));
    Ok(())
}

/// `judged`, with those that were accepted and about which nothing can be said now.
fn with_the_rest(
    drifts: &[Finding],
    mut judged: Vec<Finding>,
    context: Context<'_>,
) -> Vec<Finding> {
    let ended: BTreeSet<FindingId> = judged
        .iter()
        .filter(|finding| finding.status != Status::Open)
        .map(|finding| finding.id.clone())
        .collect();
    let accepted: BTreeSet<&FindingId> = drifts.iter().map(|drift| &drift.id).collect();
    judged.retain(|finding| finding.status != Status::Open || !accepted.contains(&finding.id));
    let rest = drifts.iter().filter(|drift| !ended.contains(&drift.id));
    judged.extend(rest.map(|drift| resolved(drift, context.now, Resolution::Accepted)));
    judged
}

/// A part as it is agreed from here on.
enum Next {
    /// As it was reported; `None` when it shall not be there.
    Known(Option<Digest>),
    /// As was agreed, but for what was accepted.
    Made(NewPart),
}

fn next_part(
    host: &Host,
    (context, bench): (Context<'_>, &Bench<'_>),
    (source, part): (&SourceName, &PartName),
    drifts: &[&Finding],
) -> Result<Next, StoreError> {
    let record = host.parts(context.store, source)?.remove(part);
    let newest = record.as_ref().map(|record| agreed_part(record, context)).transpose();
    let own = host.agreed_part(context.store, source, part)?;
    let agreed = bench.agreed(source, part, own).and_then(|agreed| agreed.digest);
    let whole = drifts.iter().any(|drift| drift.id.key.is_none())
        || mutant::active(Mutant::AcceptanceTakesTheWholePart);
    let Some(agreed) = agreed.filter(|_| !whole) else { return Ok(Next::Known(newest?)) };
    let pending = (context.store, &host.pending.parts);
    let agreed = loaded(pending, &agreed)?;
    let Some(mut next) = agreed.observed().cloned() else { return Ok(Next::Known(newest?)) };
    let current = newest?.map(|digest| loaded(pending, &digest)).transpose()?;
    for drift in drifts {
        if let Some(key) = &drift.id.key {
            next = with_item(&next, current.as_deref(), (key, drift.current.as_ref()));
        }
    }
    Ok(Next::Made(NewPart::new(Part::Observed(next))))
}
