//! What people decide about a host: it is out of service, it is back.

use driftline_protocol::ids::{HostId, SourceName};
use driftline_protocol::snapshot::Domain;

use super::fleet::Host;
use super::heartbeat::event;
use super::held::{Bench, Open, SectionView};
use super::held_to::loaded;
use super::versions::bound_findings;
use super::{Context, Ingest, IngestError, held};
use crate::analysis::drift::resolved;
use crate::analysis::finding::{Finding, Resolution};
use crate::store::{EventKind, Step, StoreError};

pub(super) fn retire(
    ingest: &mut Ingest,
    context: Context<'_>,
    (id, who): (&HostId, &str),
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
    steps.push(event(host, context, EventKind::Retired, format!("{id} was retired by {who}")));
    ingest.unsettled(id, &steps);
    Ok(steps)
}

pub(super) fn reinstate(
    ingest: &mut Ingest,
    context: Context<'_>,
    (id, who): (&HostId, &str),
) -> Result<Vec<Step>, IngestError> {
    let standards = std::sync::Arc::clone(&ingest.standards);
    let agreements = std::sync::Arc::clone(&ingest.agreements);
    let host = ingest.known_host(id)?;
    if host.record.retired_at.take().is_none() {
        return Ok(Vec::new());
    }
    let mut steps = vec![
        Step::Host(host.record.clone()),
        event(host, context, EventKind::Returned, format!("{id} was brought back by {who}")),
    ];
    // Its drift ended with its retirement, and its agent tells only of what changes.
    let bench = Bench::new((&standards, &agreements), id, host.record.kind);
    let mut findings = differing(host, context, &bench)?;
    bound_findings(&mut findings, 0);
    host.load(context.store)?.note(&findings);
    if !findings.is_empty() {
        steps.push(Step::Findings(findings));
    }
    ingest.unsettled(id, &steps);
    steps.extend(held::rejudge(ingest, context, id)?);
    Ok(steps)
}

/// The drifts of a host that open, change or end by what is agreed now, as it was last seen.
pub(super) fn differing(
    host: &mut Host,
    context: Context<'_>,
    bench: &Bench<'_>,
) -> Result<Vec<Finding>, StoreError> {
    let id = host.record.id.clone();
    let known = host.load(context.store)?;
    let open: Open = known.open.clone();
    let sections: Vec<(SourceName, Domain)> =
        known.sections.iter().map(|(source, section)| (source.clone(), section.domain)).collect();
    let own = host.agreed(context.store)?;
    let mut findings = Vec::new();
    for (source, domain) in sections {
        let parts = host.parts(context.store, &source)?;
        let parts = parts.into_iter().map(|(name, record)| (name, record.digest)).collect();
        let section = SectionView { host: &id, source: &source, domain, now: context.now };
        let load = |digest: &_| loaded((context.store, &host.pending.parts), digest);
        let layer = own.get(&source);
        findings.extend(bench.hold_section((section, layer), &parts, (&open, &load))?);
    }
    Ok(findings)
}
