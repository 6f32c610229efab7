//! Holds hosts to the rules, part by part, and to what was agreed of their groups.
//!
//! Rules are judged where a version is taken, so that a deviation is durable with what broke the
//! rule; and for a host as a whole where the rules or its place changed ([`rejudge`]). Both ways
//! come through [`Bench`], so they cannot disagree. What a rule says is not decided here.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::snapshot::{Domain, Part};
use driftline_protocol::wire::HostKind;
use jiff::Timestamp;

use super::fleet::FINDINGS_PER_HOST;
use super::held_to::loaded;
use super::versions::bound_findings;
use super::{Context, Ingest, IngestError, Store};
use crate::analysis::agreement::{Agreements, Exemption, Subject};
use crate::analysis::drift::{Desired, PartView};
use crate::analysis::finding::{Finding, FindingId};
use crate::analysis::rules::judge::{Judged, demanded, judge};
use crate::analysis::rules::{About, Target};
use crate::config::place::matches;
use crate::standards::Standards;
use crate::store::{HostRecord, Step, StoreError};

/// One host before its rules.
pub(super) struct Bench<'a> {
    pub(super) standards: &'a Standards,
    pub(super) agreements: &'a Agreements,
    pub(super) about: About,
    exempt: Vec<Exemption>,
}

/// One section of it.
#[derive(Clone, Copy)]
pub(super) struct SectionView<'a> {
    pub(super) host: &'a HostId,
    pub(super) source: &'a SourceName,
    pub(super) domain: Domain,
    pub(super) now: Timestamp,
}

impl SectionView<'_> {
    fn part<'a>(&'a self, part: &'a PartName, current: Option<&'a Part>) -> PartView<'a> {
        let Self { host, source, domain, now } = *self;
        let desired = Desired::Unknown;
        PartView { host, source, domain, part, desired, current, exempt: &[], now }
    }
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        (standards, agreements): (&'a Standards, &'a Agreements),
        host: &HostId,
        kind: HostKind,
    ) -> Self {
        let about = standards.about(host, kind);
        let exempt = agreements.exempt(&about.groups);
        Self { standards, agreements, about, exempt }
    }

    /// What of this host is its own, whatever was agreed of its groups.
    pub(super) fn exempt(&self) -> &[Exemption] {
        &self.exempt
    }

    /// What the rules say of one part.
    pub(super) fn judge<'b>(
        &self,
        view: &PartView<'_>,
        open: impl IntoIterator<Item = &'b Finding>,
    ) -> Judged {
        judge(&self.standards.rules, &self.about, view, open)
    }

    /// What they say of the parts they demand and the section lacks.
    pub(super) fn judge_missing<'b>(
        &self,
        section: SectionView<'_>,
        is_there: impl Fn(&PartName) -> bool,
        open: impl Fn(&PartName) -> Vec<&'b Finding>,
    ) -> Judged {
        let mut all = Judged::default();
        for part in demanded(&self.standards.rules, &self.about, section.source) {
            if !is_there(&part) {
                let judged = self.judge(&section.part(&part, None), open(&part));
                all.findings.extend(judged.findings);
            }
        }
        all
    }

    /// What they say of a whole section.
    fn judge_section<'b>(
        &self,
        section: SectionView<'_>,
        parts: &BTreeMap<PartName, Digest>,
        (open, load): (&Open, &dyn Fn(&Digest) -> Loaded<'b>),
    ) -> Result<Judged, StoreError> {
        let of = |part: &PartName| -> Vec<&Finding> {
            let of_part = |f: &&Finding| f.id.source == *section.source && f.id.part == *part;
            open.values().filter(|f| f.id.is_of_a_rule()).filter(of_part).collect()
        };
        let rules = self.standards.rules.of(section.source);
        let looks = |target: &Target, part: &PartName| {
            target.concerns(self.about.kind) && matches(&target.part, part.as_str())
        };
        let found: BTreeSet<&PartName> = open
            .keys()
            .filter(|id| id.is_of_a_rule() && id.source == *section.source)
            .map(|id| &id.part)
            .collect();
        let mut all = Judged::default();
        for (part, digest) in parts {
            if found.contains(part) || rules.iter().any(|rule| looks(&rule.target, part)) {
                let current = load(digest)?;
                let judged = self.judge(&section.part(part, Some(&current)), of(part));
                all.findings.extend(judged.findings);
                all.dropped += judged.dropped;
            }
        }
        let lacking = found.into_iter().filter(|part| !parts.contains_key(*part));
        for part in lacking {
            all.findings.extend(self.judge(&section.part(part, None), of(part)).findings);
        }
        let is_there = |part: &PartName| parts.contains_key(part) || !of(part).is_empty();
        all.findings.extend(self.judge_missing(section, is_there, of).findings);
        Ok(all)
    }
}

/// The open findings of a host.
pub(super) type Open = BTreeMap<FindingId, Finding>;

pub(super) type Loaded<'a> = Result<Cow<'a, Part>, StoreError>;

/// Holds a host to the rules as they are now; see [`Ingest::rejudge`].
pub(super) fn rejudge(
    ingest: &mut Ingest,
    context: Context<'_>,
    id: &HostId,
) -> Result<Vec<Step>, IngestError> {
    let standards = std::sync::Arc::clone(&ingest.standards);
    let agreements = std::sync::Arc::clone(&ingest.agreements);
    let host = ingest.known_host(id)?;
    if host.record.retired_at.is_some() {
        return Ok(Vec::new());
    }
    let bench = Bench::new((&standards, &agreements), id, host.record.kind);
    let open = host.load(context.store)?.open.clone();
    let own = bench.own_if_it_counts(&open, || host.agreed(context.store))?;
    let known = host.load(context.store)?;
    let sections: Vec<(SourceName, Domain)> =
        known.sections.iter().map(|(source, section)| (source.clone(), section.domain)).collect();
    let mut findings = Vec::new();
    for (source, domain) in sections {
        let parts = host.parts(context.store, &source)?;
        let parts = parts.into_iter().map(|(name, record)| (name, record.digest)).collect();
        let section = SectionView { host: id, source: &source, domain, now: context.now };
        let pending = &host.pending.parts;
        let load = |digest: &Digest| loaded((context.store, pending), digest);
        findings.extend(bench.judge_section(section, &parts, (&open, &load))?.findings);
        if let Some(own) = &own {
            let layer = own.get(&source);
            findings.extend(bench.hold_section((section, layer), &parts, (&open, &load))?);
        }
    }
    let known = host.load(context.store)?;
    bound_findings(&mut findings, known.open.len().min(FINDINGS_PER_HOST));
    if findings.is_empty() {
        return Ok(Vec::new());
    }
    known.note(&findings);
    let steps = vec![Step::Findings(findings)];
    ingest.unsettled(id, &steps);
    Ok(steps)
}

/// Why a host is held to the rules again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The rules, or its place, are not what they were.
    OfTheRules,
    /// Time went by, which only some rules ask about.
    OfTheClock,
}

/// Whether [`Ingest::rejudge`] would change anything for `host`, from what is durable. Reads only,
/// so that a pass over the fleet keeps the writer free.
///
/// # Errors
/// [`StoreError`].
pub fn is_judged_otherwise(
    (standards, agreements): (&Standards, &Agreements),
    store: &dyn Store,
    (host, now): (&HostRecord, Timestamp),
    because: Because,
) -> Result<bool, StoreError> {
    if host.retired_at.is_some() {
        return Ok(false);
    }
    let timed = standards.rules.of_the_clock();
    let asked = |source: &SourceName| because == Because::OfTheRules || timed.contains(source);
    let bench = Bench::new((standards, agreements), &host.id, host.kind);
    let open = store.open_as_found(&host.id)?.into_iter();
    let open: Open = open.map(|finding| (finding.id.clone(), finding)).collect();
    let subject = Subject::Host(host.id.clone());
    let own = || Ok(store.baseline(&subject)?.map(|kept| kept.sections).unwrap_or_default());
    // Nobody agreed to a clock: what was agreed moves with acts and reports alone.
    let own = match because {
        Because::OfTheRules => bench.own_if_it_counts(&open, own)?,
        Because::OfTheClock => None,
    };
    for section in store.sections(&host.id)?.into_iter().filter(|one| asked(&one.source)) {
        let parts = store.section_parts(&host.id, &section.source)?;
        let parts = parts.into_iter().map(|record| (record.part, record.digest)).collect();
        let (source, domain) = (&section.source, section.domain);
        let view = SectionView { host: &host.id, source, domain, now };
        let load = |digest: &Digest| stored(store, digest);
        if !bench.judge_section(view, &parts, (&open, &load))?.findings.is_empty() {
            return Ok(true);
        }
        let Some(own) = &own else { continue };
        let layer = own.get(source);
        if !bench.hold_section((view, layer), &parts, (&open, &load))?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How `host` differs from what was agreed of it and of its groups, as it was last seen.
///
/// # Errors
/// [`StoreError`].
pub fn differences(
    (standards, agreements): (&Standards, &Agreements),
    store: &dyn Store,
    (host, now): (&HostRecord, Timestamp),
) -> Result<Vec<Finding>, StoreError> {
    let bench = Bench::new((standards, agreements), &host.id, host.kind);
    let own = store.baseline(&Subject::Host(host.id.clone()))?;
    let own = own.map(|kept| kept.sections).unwrap_or_default();
    let mut found = Vec::new();
    for section in store.sections(&host.id)? {
        let parts = store.section_parts(&host.id, &section.source)?;
        let parts = parts.into_iter().map(|record| (record.part, record.digest)).collect();
        let (source, domain) = (&section.source, section.domain);
        let view = SectionView { host: &host.id, source, domain, now };
        let load = |digest: &Digest| stored(store, digest);
        let layer = own.get(source);
        found.extend(bench.hold_section((view, layer), &parts, (&Open::new(), &load))?);
    }
    Ok(found)
}

pub(super) fn stored(store: &dyn Store, digest: &Digest) -> Loaded<'static> {
    let damaged = || StoreError::Damaged { what: format!("part {digest}") };
    store.part(digest)?.map(Cow::Owned).ok_or_else(damaged)
}
