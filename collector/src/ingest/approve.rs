//! What people decide about a host: its state is as it should be, it is out of service, it is back.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::item::Items;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::snapshot::{Domain, Part};
use driftline_protocol::wire::{ProblemCode, is_imported};

use super::fleet::Host;
use super::heartbeat::event;
use super::versions::bound_findings;
use super::{Approval, Context, Ingest, IngestError, held};
use crate::analysis::diff::is_of_the_file;
use crate::analysis::drift::{Desired, PartView, judge, resolved};
use crate::analysis::finding::{Finding, FindingKind, Resolution};
use crate::store::{Baseline, EventKind, PartRecord, Step, StoreError};

pub(super) fn approve(
    ingest: &mut Ingest,
    context: Context<'_>,
    id: &HostId,
    approval: Approval,
) -> Result<Vec<Step>, IngestError> {
    let host = ingest.known_host(id)?;
    let mut sections = BTreeMap::new();
    let sources = host.load(context.store)?.sections.keys();
    // Nobody agrees to how a host was.
    let sources: Vec<_> = sources.filter(|source| !is_imported(source)).cloned().collect();
    for source in sources {
        sections.insert(source.clone(), agreed(host.parts(context.store, &source)?, context)?);
    }
    if sections.is_empty() {
        let detail = format!("{id} has not reported yet, so there is no state to approve");
        return Err(IngestError::refused(ProblemCode::NotFound, detail));
    }
    let findings = end_drifts(host, context)?;
    host.load(context.store)?.approved.extend(sections.keys().cloned());
    host.pending.agreed.clone_from(&sections);
    let detail = format!("{} approved the state of {id}: {}", approval.who, approval.why);
    let baseline = Baseline {
        host: id.clone(),
        sections,
        approved_at: context.now,
        approved_by: approval.who,
        reason: approval.why,
    };
    let steps = vec![
        Step::Approve { baseline, findings },
        event(host, context, EventKind::Approved, detail),
    ];
    ingest.unsettled(id, &steps);
    Ok(steps)
}

/// The present state is the baseline now, so nothing differs from it.
fn end_drifts(host: &mut Host, context: Context<'_>) -> Result<Vec<Finding>, StoreError> {
    let known = host.load(context.store)?;
    let drifts = known.open.values().filter(|finding| finding.id.kind == FindingKind::Drift);
    let accepted = |finding: &Finding| resolved(finding, context.now, Resolution::Accepted);
    let findings: Vec<Finding> = drifts.map(accepted).collect();
    known.note(&findings);
    Ok(findings)
}

/// The newest state of each part in which most of it was seen: what is unobserved today was not
/// agreed away.
fn agreed(
    parts: BTreeMap<PartName, PartRecord>,
    context: Context<'_>,
) -> Result<Manifest, StoreError> {
    let mut manifest = BTreeMap::new();
    for (name, record) in parts {
        manifest.insert(name, agreed_part(&record, context)?);
    }
    Ok(Manifest(manifest))
}

/// Read content counts for more than newer attributes, unless the attributes have changed since.
fn agreed_part(record: &PartRecord, context: Context<'_>) -> Result<Digest, StoreError> {
    match (record.read, record.seen) {
        (Some(read), Some(seen)) if read != seen => {
            let same = attributes(read, context)? == attributes(seen, context)?;
            Ok(if same { read } else { seen })
        }
        (read, seen) => Ok(read.or(seen).unwrap_or(record.digest)),
    }
}

fn attributes(digest: Digest, context: Context<'_>) -> Result<Items, StoreError> {
    let part = context.store.part(&digest)?;
    let items = part.as_ref().and_then(Part::observed).map(|observed| observed.items.clone());
    let attributes = items.unwrap_or_default().into_iter().filter(|(key, _)| is_of_the_file(key));
    Ok(attributes.collect())
}

pub(super) fn retire(
    ingest: &mut Ingest,
    context: Context<'_>,
    id: &HostId,
) -> Result<Vec<Step>, IngestError> {
    let host = ingest.known_host(id)?;
    if host.record.retired_at.is_some() {
        return Ok(Vec::new());
    }
    let known = host.load(context.store)?;
    let retired = |finding: &Finding| resolved(finding, context.now, Resolution::Retired);
    let findings: Vec<Finding> = known.open.values().map(retired).collect();
    known.note(&findings);
    host.record.retired_at = Some(context.now);
    host.heard = None;
    let mut steps = vec![Step::Host(host.record.clone())];
    if !findings.is_empty() {
        steps.push(Step::Findings(findings));
    }
    steps.push(event(host, context, EventKind::Retired, format!("{id} was retired")));
    ingest.unsettled(id, &steps);
    Ok(steps)
}

pub(super) fn reinstate(
    ingest: &mut Ingest,
    context: Context<'_>,
    id: &HostId,
) -> Result<Vec<Step>, IngestError> {
    let host = ingest.known_host(id)?;
    if host.record.retired_at.take().is_none() {
        return Ok(Vec::new());
    }
    let mut steps = vec![
        Step::Host(host.record.clone()),
        event(host, context, EventKind::Returned, format!("{id} is back in service")),
    ];
    // Its drift ended with its retirement, and its agent tells only of what changes.
    let findings = differing(host, context)?;
    if !findings.is_empty() {
        steps.push(Step::Findings(findings));
    }
    ingest.unsettled(id, &steps);
    steps.extend(held::rejudge(ingest, context, id)?);
    Ok(steps)
}

/// The drifts of a host that has none open, as it was last seen.
fn differing(host: &mut Host, context: Context<'_>) -> Result<Vec<Finding>, IngestError> {
    let id = host.record.id.clone();
    let known = host.load(context.store)?;
    let sections: Vec<(SourceName, Domain)> =
        known.sections.iter().map(|(source, section)| (source.clone(), section.domain)).collect();
    let mut agreed = context.store.baseline(&id)?.map(|b| b.sections).unwrap_or_default();
    agreed.extend(host.pending.agreed.clone());
    let mut findings = Vec::new();
    for (source, domain) in sections {
        let Some(Manifest(agreed)) = agreed.remove(&source) else { continue };
        let parts = host.parts(context.store, &source)?;
        let names: BTreeSet<&PartName> = agreed.keys().chain(parts.keys()).collect();
        let load = |digest: Option<Digest>| {
            let load = |digest: Digest| match host.pending.parts.get(&digest) {
                Some(part) => Ok(Cow::Borrowed(&**part)),
                None => held::stored(context.store, &digest),
            };
            digest.map(load).transpose()
        };
        for part in names {
            let desired = load(agreed.get(part).copied())?;
            let current = load(parts.get(part).map(|record| record.digest))?;
            let view = PartView {
                host: &id,
                source: &source,
                domain,
                part,
                desired: desired.as_deref().map_or(Desired::Absent, Desired::Part),
                current: current.as_deref(),
                now: context.now,
            };
            findings.extend(judge(&view, []));
        }
    }
    bound_findings(&mut findings, 0);
    host.load(context.store)?.note(&findings);
    Ok(findings)
}
