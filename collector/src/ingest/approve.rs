//! What people agree to: the state of a host, now or before, is as it should be; of that host or of
//! a group.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftline_protocol::ids::{Digest, HostId, SourceName};
use driftline_protocol::item::Items;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Part;
use driftline_protocol::wire::{ProblemCode, is_imported};
use jiff::Timestamp;

use super::fleet::Host;
use super::held::Bench;
use super::service::differing;
use super::versions::bound_findings;
use super::{Approval, Context, Ingest, IngestError};
use crate::analysis::agreement::{Covers, EVERYTHING, Exemption, Layer, Subject};
use crate::analysis::diff::is_of_the_file;
use crate::analysis::drift::resolved;
use crate::analysis::finding::{Finding, FindingKind, Resolution};
use crate::config::place::matches;
use crate::store::{ApprovalRecord, Basis, EventKind, EventRecord, PartRecord, Step, StoreError};

/// The most patterns one section of a baseline knows: each part is held against every one.
const PATTERNS_MOST: usize = 64;

/// The most exemptions of a group: each difference is held against every one.
const EXEMPTIONS_MOST: usize = 500;

/// The longest pattern, in bytes.
const PATTERN_BYTES: usize = 1_024;

/// The most parts agreed of one group, which are kept in memory: some megabytes.
const GROUP_PARTS_MOST: usize = 50_000;

/// What shall be agreed, of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Whose baseline moves.
    pub subject: Subject,
    /// Whose state it moves to; a host's own by default.
    pub from: HostId,
    /// That state at an earlier moment; the present one by default.
    pub then: Option<Then>,
    /// Of this source alone.
    pub source: Option<SourceName>,
    /// Of parts that follow this pattern alone.
    pub part: Option<String>,
    /// What each host of a group has for itself from here on; as before where nothing is said.
    pub exempt: Option<Vec<Exemption>>,
}

/// The state of a host at an earlier moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Then {
    /// When.
    pub at: Timestamp,
    /// Its sections.
    pub sections: BTreeMap<SourceName, Manifest>,
}

impl Proposal {
    /// The present state of `host` becomes its baseline.
    pub fn present(host: HostId) -> Self {
        let (subject, from) = (Subject::Host(host.clone()), host);
        Self { subject, from, then: None, source: None, part: None, exempt: None }
    }

    fn check(&self) -> Result<(), IngestError> {
        let refused = |detail: String| Err(IngestError::refused(ProblemCode::Malformed, detail));
        if self.part.as_ref().is_some_and(|part| part.is_empty() || part.len() > PATTERN_BYTES) {
            return refused(format!("part must have 1 to {PATTERN_BYTES} bytes"));
        }
        let Some(exempt) = &self.exempt else { return Ok(()) };
        if matches!(self.subject, Subject::Host(_)) {
            return refused(
                "only a group exempts: what a host may differ in is an exception".into(),
            );
        }
        let long = |text: &Option<String>| text.as_ref().is_some_and(|t| t.len() > PATTERN_BYTES);
        let bad = |one: &Exemption| !one.names_something() || long(&one.part) || long(&one.key);
        if exempt.len() > EXEMPTIONS_MOST || exempt.iter().any(bad) {
            return refused(format!(
                "up to {EXEMPTIONS_MOST} exemptions, each of which names a source, part or key of \
                 up to {PATTERN_BYTES} bytes"
            ));
        }
        Ok(())
    }

    /// Whether all of the host's present state is agreed to.
    fn is_all_of_it(&self) -> bool {
        let own = self.subject == Subject::Host(self.from.clone());
        own && self.then.is_none() && self.source.is_none() && self.part.is_none()
    }

    fn basis(&self) -> Basis {
        let at = self.then.as_ref().map(|then| then.at);
        match (self.subject == Subject::Host(self.from.clone()), at) {
            (true, None) => Basis::Present,
            (true, Some(at)) => Basis::Snapshot { at },
            (false, at) => Basis::Host { host: self.from.clone(), at },
        }
    }
}

pub(super) fn approve(
    ingest: &mut Ingest,
    context: Context<'_>,
    proposal: Proposal,
    approval: Approval,
) -> Result<Vec<Step>, IngestError> {
    proposal.check()?;
    if let Subject::Host(host) = &proposal.subject {
        ingest.known_host(host)?;
    } else if let Subject::Group(name) = &proposal.subject {
        let groups = &ingest.standards.config.groups;
        if !groups.iter().any(|group| group.name == *name) {
            let detail = format!(
                "there is no group {name:?} in the collector's configuration; `[[group]]` makes one"
            );
            return Err(IngestError::refused(ProblemCode::NotFound, detail));
        }
    }
    let covers = covers(ingest, context, &proposal)?;
    let number = ingest.last_approval + 1;
    let exempt = exempt_now(ingest, &proposal);
    let record = ApprovalRecord {
        number,
        subject: proposal.subject.clone(),
        at: context.now,
        who: approval.who,
        why: approval.why,
        basis: proposal.basis(),
        source: proposal.source.clone(),
        part: proposal.part.clone(),
        exempt,
    };
    let findings = match &proposal.subject {
        Subject::Host(host) => {
            let all = proposal.is_all_of_it();
            agree_of_host(ingest, context, (&host.clone(), number), (&covers, all))?
        }
        Subject::Group(group) => {
            agree_of_group(ingest, (group, &record), &covers)?;
            Vec::new()
        }
    };
    ingest.last_approval = number;
    Ok(steps(record, covers, findings))
}

/// Takes back all that was agreed of a group, also of one that the configuration names no more.
pub(super) fn remove(
    ingest: &mut Ingest,
    context: Context<'_>,
    subject: Subject,
    Approval { who, why }: Approval,
) -> Result<Vec<Step>, IngestError> {
    let Subject::Group(name) = &subject else {
        let detail = format!(
            "only the baseline of a group can be removed; approve another state of {subject}, or \
             retire it"
        );
        return Err(IngestError::refused(ProblemCode::Malformed, detail));
    };
    if !ingest.agreements.groups.contains_key(name) {
        let detail = format!("nothing was agreed of {subject}, so there is nothing to remove");
        return Err(IngestError::refused(ProblemCode::NotFound, detail));
    }
    if !mutant::active(Mutant::RemovedBaselinesBind) {
        Arc::make_mut(&mut ingest.agreements).groups.remove(name);
    }
    let number = ingest.last_approval + 1;
    ingest.last_approval = number;
    let record = ApprovalRecord {
        number,
        subject,
        at: context.now,
        who,
        why,
        basis: Basis::Nothing,
        source: None,
        part: None,
        exempt: Vec::new(),
    };
    Ok(steps(record, BTreeMap::new(), Vec::new()))
}

/// The steps that make an approval durable and tell of it.
pub(super) fn steps(
    record: ApprovalRecord,
    covers: BTreeMap<SourceName, Covers>,
    findings: Vec<Finding>,
) -> Vec<Step> {
    let ApprovalRecord { subject, at, who, why, .. } = &record;
    let host = match subject {
        Subject::Host(host) => Some(host.clone()),
        Subject::Group(_) => None,
    };
    let detail = match record.removes() {
        true => format!("{who} removed the baseline of {subject}: {why}"),
        false => {
            format!("{who} moved the baseline of {subject} to {}: {why}", record.what_and_not())
        }
    };
    let event = EventRecord { at: *at, host, kind: EventKind::Approved, detail };
    let approve = Step::Approve { approval: Box::new(record), covers, findings };
    vec![approve, Step::Event(event)]
}

/// What a group exempts from here on.
fn exempt_now(ingest: &Ingest, proposal: &Proposal) -> Vec<Exemption> {
    let Subject::Group(name) = &proposal.subject else { return Vec::new() };
    let before = || ingest.agreements.groups.get(name).map(|known| known.exempt.clone());
    proposal.exempt.clone().or_else(before).unwrap_or_default()
}

/// Of what the proposal speaks, by source.
fn covers(
    ingest: &mut Ingest,
    context: Context<'_>,
    proposal: &Proposal,
) -> Result<BTreeMap<SourceName, Covers>, IngestError> {
    let from = ingest.known_host(&proposal.from)?;
    let mut manifests = match &proposal.then {
        Some(then) => then.sections.clone(),
        None => present(from, context)?,
    };
    manifests.retain(|source, _| proposal.source.as_ref().is_none_or(|only| only == source));
    let pattern = proposal.part.as_deref().unwrap_or(EVERYTHING);
    let mut covers = BTreeMap::new();
    for (source, Manifest(mut parts)) in manifests {
        parts.retain(|part, _| matches(pattern, part.as_str()));
        let named = proposal.source.is_some() || pattern == EVERYTHING;
        if named || !parts.is_empty() {
            covers.insert(source, Covers::All { pattern: pattern.to_owned(), parts });
        }
    }
    if covers.is_empty() {
        let detail = match (&proposal.source, &proposal.part) {
            (None, None) => format!(
                "{} had not reported by then, so there is no state to approve",
                proposal.from
            ),
            _ => format!(
                "{} has nothing of that name, so there is nothing to approve",
                proposal.from
            ),
        };
        return Err(IngestError::refused(ProblemCode::NotFound, detail));
    }
    Ok(covers)
}

/// The present state of a host, imported history left out: nobody agrees to how a host was.
fn present(
    host: &mut Host,
    context: Context<'_>,
) -> Result<BTreeMap<SourceName, Manifest>, StoreError> {
    let sources = host.load(context.store)?.sections.keys();
    let sources: Vec<_> = sources.filter(|source| !is_imported(source)).cloned().collect();
    let mut sections = BTreeMap::new();
    for source in sources {
        let mut manifest = BTreeMap::new();
        for (name, record) in host.parts(context.store, &source)? {
            manifest.insert(name, agreed_part(&record, context)?);
        }
        sections.insert(source, Manifest(manifest));
    }
    Ok(sections)
}

/// Agrees to `covers` of a host; its drifts that open, change or end by that.
pub(super) fn agree_of_host(
    ingest: &mut Ingest,
    context: Context<'_>,
    (id, number): (&HostId, i64),
    (covers, all_of_it): (&BTreeMap<SourceName, Covers>, bool),
) -> Result<Vec<Finding>, IngestError> {
    let (standards, agreements) = (Arc::clone(&ingest.standards), Arc::clone(&ingest.agreements));
    let host = ingest.known_host(id)?;
    let mut agreed = host.agreed(context.store)?;
    agreed.retain(|source, _| covers.contains_key(source));
    for (source, covers) in covers {
        let layer = agreed.entry(source.clone()).or_default();
        layer.agree(number, covers);
        check_patterns(layer)?;
    }
    host.pending.agreed.extend(agreed);
    host.load(context.store)?.approved.extend(covers.keys().cloned());
    let mut findings = if all_of_it {
        end_drifts(host, context)?
    } else if host.record.retired_at.is_some() {
        Vec::new()
    } else {
        let bench = Bench::new((&standards, &agreements), id, host.record.kind);
        differing(host, context, &bench)?
    };
    let known = host.load(context.store)?;
    bound_findings(&mut findings, known.open.len());
    known.note(&findings);
    ingest.unsettled.insert(id.clone());
    Ok(findings)
}

fn agree_of_group(
    ingest: &mut Ingest,
    (name, record): (&str, &ApprovalRecord),
    covers: &BTreeMap<SourceName, Covers>,
) -> Result<(), IngestError> {
    let mut next = ingest.agreements.groups.get(name).cloned().unwrap_or_default();
    for (source, covers) in covers {
        let layer = next.layers.entry(source.clone()).or_default();
        layer.agree(record.number, covers);
        check_patterns(layer)?;
    }
    if next.layers.values().map(|layer| layer.parts.len()).sum::<usize>() > GROUP_PARTS_MOST {
        let detail = format!("a group's baseline has {GROUP_PARTS_MOST} parts at most; name fewer");
        return Err(IngestError::refused(ProblemCode::TooLarge, detail));
    }
    next.exempt.clone_from(&record.exempt);
    Arc::make_mut(&mut ingest.agreements).groups.insert(name.to_owned(), next);
    Ok(())
}

fn check_patterns(layer: &Layer) -> Result<(), IngestError> {
    if layer.spoken.len() <= PATTERNS_MOST {
        return Ok(());
    }
    let detail = format!("a section has {PATTERNS_MOST} patterns at most; approve it as a whole");
    Err(IngestError::refused(ProblemCode::TooLarge, detail))
}

/// The present state is the baseline now, so nothing differs from it.
fn end_drifts(host: &mut Host, context: Context<'_>) -> Result<Vec<Finding>, StoreError> {
    let known = host.load(context.store)?;
    let drifts = known.open.values().filter(|finding| finding.id.kind == FindingKind::Drift);
    let accepted = |finding: &Finding| resolved(finding, context.now, Resolution::Accepted);
    Ok(drifts.map(accepted).collect())
}

/// The newest state of a part in which most of it was seen: what is unobserved today was not agreed
/// away. Read content counts for more than newer attributes, unless those have changed since.
pub(super) fn agreed_part(record: &PartRecord, context: Context<'_>) -> Result<Digest, StoreError> {
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
