//! Takes section versions, in order, each building on the one before.
//!
//! A version is applied only when its generation is newer than ours, its delta starts from our
//! manifest, every part it names is here, and the manifest we compute has the digest it says. Then
//! what changed is compared with what was last observed, and findings are judged. The outcome of
//! each is its own: one that must wait does not hold back other sections, and makes later versions
//! of its own section wait for their base.

use std::borrow::Cow;
use std::collections::BTreeSet;

use driftline_protocol::ids::{Digest, Generation, HostId, PartName, SourceName};
use driftline_protocol::limits;
use driftline_protocol::manifest::{DeltaError, Manifest};
use driftline_protocol::snapshot::Part;
use driftline_protocol::wire::{Outcome, ProblemCode, ReportAnswer, SectionVersion, is_imported};

use super::clock::{Corrected, Told};
use super::consequences::Consequences;
use super::fleet::{FINDINGS_PER_HOST, Host, Parts, older_than};
use super::heartbeat::{SECTIONS_PER_HOST, cloned, event, hear, held};
use super::held::Bench;
use super::ledger::Link;
use super::{
    CheckedReport, Context, Decided, Foresight, Ingest, IngestError, IngestTotals, ledger,
};
use crate::analysis::finding::{Finding, Status};
use crate::store::{
    EventKind, Origin, SectionRecord, Step, StoreError, VersionRecord, VersionStep,
};

/// The highest generation an agent may give out: no agent lives to reach it, and adding to it
/// cannot overflow.
const GENERATION_LIMIT: u64 = 1 << 62;

/// How often people are told that a host's versions are refused, in milliseconds: hourly. All are
/// counted.
const REFUSAL_TOLD_MS: u64 = 60 * 60 * 1_000;

pub(super) fn report(
    ingest: &mut Ingest,
    context: Context<'_>,
    caller: &HostId,
    checked: CheckedReport,
) -> Result<Decided<ReportAnswer>, IngestError> {
    let CheckedReport { report, foresight } = checked;
    let host = ingest.speaker(caller, &report.host, report.version)?;
    host.load(context.store)?;
    let verdict = hear(host, context, report.session)?;
    if report.incarnation != host.record.incarnation {
        let detail = "this agent state is new here; send a heartbeat first";
        return Err(IngestError::refused(ProblemCode::Busy, detail));
    }
    let mut steps = cloned(host, context, verdict);
    host.skew.measure(context.now, report.wall);
    let arrived = report.parts.iter().map(|part| (*part.digest(), part.clone()));
    host.pending.parts.extend(arrived);
    ingest.heard(context, caller);
    let epoch = ingest.config.epoch;
    let standards = std::sync::Arc::clone(&ingest.standards);
    let agreements = std::sync::Arc::clone(&ingest.agreements);
    let Some(host) = ingest.fleet.get_mut(caller) else {
        return Err(IngestError::refused(ProblemCode::NotFound, format!("no host {caller}")));
    };
    let mut taker = Taker {
        context,
        older: host.presence.is_older(report.session),
        sent_monotonic_ms: report.monotonic_ms,
        bench: Bench::new((&standards, &agreements), caller, host.record.kind),
        host,
        foresight: &foresight,
        totals: &mut ingest.totals,
        steps: Vec::new(),
    };
    let mut outcomes = Vec::with_capacity(report.versions.len());
    for version in report.versions {
        outcomes.push(taker.take(version)?);
    }
    steps.append(&mut taker.steps);
    // Parts alone are pending too: what the next report builds on must be forgotten if they are
    // lost.
    ingest.unsettled.insert(caller.clone());
    let answer = ReportAnswer { epoch, outcomes };
    Ok(Decided { answer, parts: report.parts, steps })
}

/// Takes the versions of one report, or of one import.
pub(super) struct Taker<'a> {
    pub(super) context: Context<'a>,
    /// Whether the sender was set back, so that its generations may name other versions than ours.
    pub(super) older: bool,
    pub(super) sent_monotonic_ms: u64,
    pub(super) bench: Bench<'a>,
    pub(super) host: &'a mut Host,
    pub(super) foresight: &'a Foresight,
    pub(super) totals: &'a mut IngestTotals,
    pub(super) steps: Vec<Step>,
}

/// A version that fits, before it is compared.
pub(super) struct Fitting {
    pub(super) version: SectionVersion,
    pub(super) before: Parts,
    /// Whether it is the first of its section: everything is new and nothing changed.
    pub(super) begins: bool,
    pub(super) origin: Origin,
    pub(super) at: Corrected,
    /// Parts that are new or differ.
    pub(super) changed: Vec<(PartName, Digest)>,
    /// Parts that are no longer on the host.
    pub(super) gone: Vec<PartName>,
}

impl Taker<'_> {
    fn take(&mut self, version: SectionVersion) -> Result<Outcome, StoreError> {
        if is_imported(&version.source) {
            let why = format!("section {} is kept for an imported history", version.source);
            return Ok(self.refuse(why));
        }
        let ours = self.host.load(self.context.store)?.sections.get(&version.source).cloned();
        if let Some(outcome) = self.already_known(&version, ours.as_ref()) {
            return Ok(outcome);
        }
        let link = ledger::link(&version, ours.as_ref().map(|ours| &ours.chain));
        let told = self.host.gaps.contains_key(&version.source);
        if link == Link::Gap && ours.is_some() && version.delta.base.is_some() && !told {
            // The same state can come back, so a base that fits does not prove that nothing is
            // between.
            self.totals.deferred += 1;
            return Ok(Outcome::BaseUnknown { held: held(ours.as_ref()) });
        }
        let before = self.before(&version.source, ours.as_ref())?;
        let next = match manifest(&before).apply(&version.delta) {
            Ok(next) => next,
            Err(DeltaError::BaseUnknown) => {
                self.totals.deferred += 1;
                return Ok(Outcome::BaseUnknown { held: held(ours.as_ref()) });
            }
            Err(error @ DeltaError::TooManyParts) => return Ok(self.refuse(error.to_string())),
        };
        if let Some(why) = self.forged(&version, &next) {
            return Ok(self.refuse(why));
        }
        let fitting = self.fit(version, before, next);
        let missing = self.missing(&fitting)?;
        if !missing.is_empty() {
            self.totals.deferred += 1;
            return Ok(Outcome::MissingParts { digests: missing });
        }
        let consequences = self.consequences(&fitting)?;
        if link == Link::Broken || link == Link::Gap && !told {
            let breaks = self.host.chain_breaks.entry(fitting.version.source.clone()).or_default();
            *breaks = breaks.saturating_add(1);
        }
        self.commit(fitting, ours.as_ref(), consequences)?;
        Ok(Outcome::Applied)
    }

    /// The newest parts of `source`: pending, foreseen or durable.
    pub(super) fn before(
        &self,
        source: &SourceName,
        ours: Option<&SectionRecord>,
    ) -> Result<Parts, StoreError> {
        let foreseen = || ours.and_then(|ours| self.foresight.parts(ours));
        match foreseen().filter(|_| !self.host.pending.manifests.contains_key(source)) {
            Some(parts) => Ok(parts.clone()),
            None => self.host.parts(self.context.store, source),
        }
    }

    /// A generation we have, or one beyond it, was durable before; but of a machine that was set
    /// back the same number can name another version, which must come as a whole under a new
    /// number.
    fn already_known(
        &mut self,
        version: &SectionVersion,
        ours: Option<&SectionRecord>,
    ) -> Option<Outcome> {
        let ours = ours.filter(|ours| version.generation <= ours.generation)?;
        let same = version.digest == ours.digest;
        let forked = self.older || version.generation == ours.generation;
        if !same && forked && version.delta.base.is_some() {
            self.totals.deferred += 1;
            return Some(Outcome::BaseUnknown { held: held(Some(ours)) });
        }
        self.totals.known += 1;
        Some(Outcome::Known)
    }

    /// Why a version cannot be what it says, if it cannot.
    pub(super) fn forged(&self, version: &SectionVersion, next: &Manifest) -> Option<String> {
        let sections = self.host.known().map(|known| &known.sections);
        let full = sections.is_some_and(|sections| {
            sections.len() >= SECTIONS_PER_HOST && !sections.contains_key(&version.source)
        });
        if next.digest() != version.digest {
            Some(format!("section {} does not have the digest it says", version.source))
        } else if version.generation == Generation(0) || version.generation.0 > GENERATION_LIMIT {
            Some(format!("generation must be 1 to {GENERATION_LIMIT}"))
        } else if full {
            Some(format!("more than {SECTIONS_PER_HOST} sections"))
        } else {
            None
        }
    }

    fn refuse(&mut self, why: String) -> Outcome {
        self.totals.refused += 1;
        let now = self.context.now;
        let counts = &mut self.host.counts;
        counts.refused = counts.refused.saturating_add(1);
        if counts.refusal_told.is_none_or(|told| older_than(told, now, REFUSAL_TOLD_MS)) {
            counts.refusal_told = Some(now);
            let detail = format!("a report of {} was refused: {why}", self.host.record.id);
            self.steps.push(event(self.host, self.context, EventKind::Refused, detail));
        }
        Outcome::Refused { why }
    }

    fn fit(&mut self, version: SectionVersion, before: Parts, next: Manifest) -> Fitting {
        let told = Told {
            observed_at: version.observed_at,
            observed_monotonic_ms: version.observed_monotonic_ms,
            sent_monotonic_ms: self.sent_monotonic_ms,
        };
        let at = self.host.skew.correct(told, self.context.now);
        let known = self.host.known();
        let first = known.is_none_or(|known| !known.sections.contains_key(&version.source));
        let origin = if first { Origin::First } else { Origin::Agent };
        let fitting = Fitting::new(version, (before, next), (origin, at));
        if first { fitting.beginning() } else { fitting }
    }

    pub(super) fn missing(&self, fitting: &Fitting) -> Result<Vec<Digest>, StoreError> {
        let pending = &self.host.pending.parts;
        let named: BTreeSet<Digest> = fitting.changed.iter().map(|(_, digest)| *digest).collect();
        let unknown: Vec<Digest> = named.into_iter().filter(|d| !pending.contains_key(d)).collect();
        let mut missing = self.context.store.missing(&unknown)?;
        missing.truncate(limits::PARTS_PER_SECTION);
        Ok(missing)
    }

    /// A part by its digest, on its way, foreseen or durable.
    pub(super) fn part(&self, digest: &Digest) -> Result<Cow<'_, Part>, StoreError> {
        let pending = self.host.pending.parts.get(digest).map(|part| &**part);
        if let Some(part) = pending.or_else(|| self.foresight.part(digest)) {
            return Ok(Cow::Borrowed(part));
        }
        let part = self.context.store.part(digest)?;
        let damaged = || StoreError::Damaged { what: format!("part {digest}") };
        part.map(Cow::Owned).ok_or_else(damaged)
    }

    pub(super) fn commit(
        &mut self,
        fitting: Fitting,
        ours: Option<&SectionRecord>,
        mut all: Consequences,
    ) -> Result<(), StoreError> {
        let Fitting { version, origin, at, .. } = fitting;
        // A section of which we had nothing left begins with what was lost of it.
        let lost = self.host.gaps.remove(&version.source).filter(|_| ours.is_none()).unwrap_or(0);
        let known = self.host.load(self.context.store)?;
        let dropped = bound_findings(&mut all.findings, known.open.len());
        self.totals.findings_dropped += dropped + all.dropped;
        known.note(&all.findings);
        let record = VersionRecord {
            source: version.source.clone(),
            domain: version.domain,
            generation: version.generation,
            digest: version.digest,
            observed_at: version.observed_at,
            received_at: self.context.now,
            corrected_at: at.at,
            uncertainty_ms: at.uncertainty_ms,
            coalesced: version.coalesced,
            expired: version.expired,
            origin,
        };
        let mut section = SectionRecord::after(ours, &record, version.chain);
        section.delivered = section.delivered.saturating_add(lost);
        let delivered = section.delivered;
        known.sections.insert(version.source.clone(), section);
        self.host.pending.manifests.insert(version.source.clone(), all.after);
        self.totals.applied += 1;
        self.totals.summarised += all.summarised;
        self.steps.push(Step::Version(Box::new(VersionStep {
            host: self.host.record.id.clone(),
            version: record,
            chain: version.chain,
            delta: version.delta,
            unobserved: all.unobserved,
            changes: all.changes,
            findings: all.findings,
        })));
        if lost > 0 {
            let (host, source) = (self.host.record.id.clone(), version.source);
            self.steps.push(Step::Recount { host, source, delivered });
        }
        Ok(())
    }
}

impl Fitting {
    /// What `version` does to the parts `before` it, of which it leaves those of `next`.
    pub(super) fn new(
        version: SectionVersion,
        (before, next): (Parts, Manifest),
        (origin, at): (Origin, Corrected),
    ) -> Self {
        let gone = before.keys().filter(|name| !next.0.contains_key(name)).cloned().collect();
        let differs = |(name, digest): &(PartName, Digest)| {
            before.get(name).is_none_or(|record| record.digest != *digest)
        };
        let changed = next.0.into_iter().filter(differs).collect();
        Self { version, before, begins: false, origin, at, changed, gone }
    }

    /// The same as the first of its section.
    pub(super) fn beginning(self) -> Self {
        Self { begins: true, ..self }
    }
}

/// Drops findings that would open beyond the bound of their host; returns how many.
pub(super) fn bound_findings(findings: &mut Vec<Finding>, open: usize) -> u64 {
    let mut room = FINDINGS_PER_HOST.saturating_sub(open);
    let before = findings.len();
    findings.retain(|finding| {
        let opens = finding.status == Status::Open;
        let keep = !opens || room > 0;
        room -= usize::from(opens && keep);
        keep
    });
    (before - findings.len()) as u64
}

pub(super) fn manifest(parts: &Parts) -> Manifest {
    Manifest(parts.iter().map(|(name, record)| (name.clone(), record.digest)).collect())
}
