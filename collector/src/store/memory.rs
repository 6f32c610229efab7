//! The store in memory: the model every real store is compared with.
//!
//! It keeps whole manifests for every version and looks through everything to answer, since being
//! plainly right is its only purpose. It knows nothing of disks; nothing survives the last handle.

mod baselines;
mod cases;
mod exceptions;
mod findings;
mod history;
mod intent;
mod suspects;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::snapshot::Part;
use jiff::Timestamp;

use self::history::asked_for;
use super::records::*;
use super::{
    ActRecord, Append, ApprovalRecord, Baseline, BlindCount, Cursor, NewPart, ORPHAN_GRACE,
    ReadHistory, ReadState, StoreError,
};
use crate::analysis::agreement::Subject;
use crate::analysis::exceptions::Exception;
use crate::analysis::finding::{Finding, FindingId, FindingKind, Status};

/// A store in memory. Clones are handles to the same store, so one may write while others read.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<RwLock<State>>);

#[derive(Debug, Default)]
struct State {
    hosts: BTreeMap<HostId, HostRecord>,
    sections: BTreeMap<(HostId, SourceName), Section>,
    parts: BTreeMap<Digest, Kept>,
    changes: BTreeMap<ChangeId, ChangeRecord>,
    last_change: i64,
    findings: BTreeMap<FindingId, FindingRecord>,
    baselines: BTreeMap<Subject, Baseline>,
    approvals: BTreeMap<i64, ApprovalRecord>,
    tokens: BTreeMap<String, TokenRecord>,
    events: BTreeMap<(Timestamp, u64), EventRecord>,
    last_event: u64,
    totals: Totals,
    cases: cases::Cases,
    exceptions: exceptions::Exceptions,
    intent: intent::Intent,
    suspects: suspects::Suspects,
    /// In the order in which they were done.
    acts: Vec<ActRecord>,
}

#[derive(Debug)]
struct Section {
    record: SectionRecord,
    parts: BTreeMap<PartName, PartRecord>,
    /// By the order in which they were applied, which no new incarnation restarts.
    history: BTreeMap<u64, (VersionRecord, Manifest)>,
}

#[derive(Debug)]
struct Kept {
    part: Part,
    kept_at: Timestamp,
    doomed_at: Option<Timestamp>,
}

impl Memory {
    /// A store with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    // A panic under the lock is a bug elsewhere; what it left is judged by the tests that read on.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Append for Memory {
    fn write(
        &mut self,
        parts: &[NewPart],
        steps: &[Step],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut state = self.locked();
        let new = state.keep_parts(parts, now);
        for step in steps {
            match step {
                Step::Host(record) => state.replace_host(record),
                Step::Version(step) => state.apply_version(step),
                Step::Approve { approval, covers, findings } => {
                    state.approve(approval, covers);
                    state.note_findings(findings);
                }
                Step::Findings(findings) => state.note_findings(findings),
                Step::Recount { host, source, delivered } => {
                    if let Some(s) = state.sections.get_mut(&(host.clone(), source.clone())) {
                        s.record.delivered = *delivered;
                    }
                }
                Step::Exception(one) => {
                    state.exceptions.insert(one.name.clone(), Exception::clone(one));
                }
                Step::Token(token) => drop(state.tokens.insert(token.name.clone(), token.clone())),
                Step::RemoveToken(name) => drop(state.tokens.remove(name)),
                Step::Event(event) => state.note_event(event),
                Step::Cases(cases) => cases.iter().for_each(|case| state.cases.keep(case)),
                Step::CaseReading(reading) => state.cases.note(reading),
                Step::Suspects(all) => all.iter().for_each(|one| state.suspects.keep(one)),
                Step::Pass(pass, gone) => {
                    state.suspects.drop(gone);
                    state.suspects.keep_pass(pass);
                }
                Step::Outcome(outcome) => state.suspects.say(outcome),
                Step::ChangeRequests(all) => all.iter().for_each(|one| state.intent.keep(one)),
                Step::Reconsidered(all) => {
                    all.iter().for_each(|one| state.intent.reconsidered(*one));
                }
                Step::Judged(all) => all.iter().for_each(|one| state.judge(one)),
                Step::Act(act) => state.acts.push(act.clone()),
                Step::Weighed(all) => all.iter().for_each(|one| state.weigh(one)),
            }
        }
        Ok(new)
    }

    fn note_seen(&mut self, seen: &[(HostId, Timestamp)]) -> Result<(), StoreError> {
        let mut state = self.locked();
        for (host, at) in seen {
            if let Some(record) = state.hosts.get_mut(host) {
                record.last_seen = record.last_seen.max(*at);
            }
        }
        Ok(())
    }

    fn expire(&mut self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.locked();
        let mut left = u64::from(limit);
        state.expire_changes(before, &mut left);
        state.expire_events(before, &mut left);
        state.expire_acts(before, &mut left);
        state.cases.expire(before, &mut left);
        state.suspects.expire(before, &mut left);
        state.intent.expire(before, &mut left);
        state.expire_versions(before, &mut left);
        state.expire_parts(now, &mut left);
        Ok(u64::from(limit) - left)
    }
}

impl State {
    fn keep_parts(&mut self, parts: &[NewPart], now: Timestamp) -> u64 {
        let before = self.parts.len();
        for part in parts {
            let kept = self.parts.entry(*part.digest()).or_insert_with(|| Kept {
                part: Part::clone(part),
                kept_at: now,
                doomed_at: None,
            });
            if kept.doomed_at.take().is_some() {
                kept.kept_at = now;
            }
        }
        (self.parts.len() - before) as u64
    }

    fn replace_host(&mut self, record: &HostRecord) {
        let previous = self.hosts.insert(record.id.clone(), record.clone());
        if previous.is_none_or(|p| p.incarnation == record.incarnation) {
            return;
        }
        for ((host, _), section) in &mut self.sections {
            if *host == record.id {
                section.record = section.record.clone().renewed();
            }
        }
    }

    fn apply_version(&mut self, step: &VersionStep) {
        let at = (step.host.clone(), step.version.source.clone());
        let known = self.sections.remove(&at);
        let newer = known.as_ref().is_none_or(|s| step.version.generation > s.record.generation);
        if !newer {
            self.sections.extend(known.map(|section| (at, section)));
            return;
        }
        self.sections.insert(at, Section::after(known, step));
        for change in &step.changes {
            self.last_change += 1;
            let id = ChangeId(self.last_change);
            self.changes.insert(
                id,
                ChangeRecord {
                    id,
                    host: step.host.clone(),
                    source: step.version.source.clone(),
                    domain: step.version.domain,
                    generation: step.version.generation,
                    at: step.version.corrected_at,
                    change: change.clone(),
                    classified: None,
                },
            );
            if change.kind.is_semantic() && step.version.origin != Origin::Import {
                self.intent.unjudged.insert(id);
            }
            if step.version.origin != Origin::Import {
                *self.totals.changes.entry((step.version.domain, change.kind)).or_default() += 1;
            }
        }
        self.note_findings(&step.findings);
    }

    fn note_findings(&mut self, findings: &[Finding]) {
        for finding in findings {
            let next = self.findings.len() as i64 + 1; // findings never go, so this never repeats
            let record = self.findings.entry(finding.id.clone());
            let known = record.or_insert_with(|| FindingRecord {
                number: next,
                finding: Finding { status: closed(finding), ..finding.clone() },
                openings: 0,
                meant: None,
            });
            let open = finding.status == Status::Open;
            let opens = open && known.finding.status != Status::Open;
            known.openings += u32::from(opens);
            let anew = opens || (open && known.finding.first_seen != finding.first_seen);
            if anew && finding.id.kind == FindingKind::Drift {
                known.meant = None;
                self.intent.to_weigh.insert(finding.id.clone());
            } else if !open {
                self.intent.to_weigh.remove(&finding.id);
            }
            known.finding = finding.clone();
        }
    }

    fn note_event(&mut self, event: &EventRecord) {
        self.last_event += 1;
        self.events.insert((event.at, self.last_event), event.clone());
        *self.totals.events.entry(event.kind).or_default() += 1;
    }

    fn expire_changes(&mut self, before: Timestamp, left: &mut u64) {
        let old = self.changes.values().filter(|c| c.at < before);
        let mut old: Vec<_> = old.map(|c| (c.at, c.id)).collect();
        old.sort();
        for (_, id) in take(old, left) {
            self.changes.remove(&id);
            self.intent.unjudged.remove(&id);
        }
    }

    fn expire_events(&mut self, before: Timestamp, left: &mut u64) {
        let old: Vec<_> = self.events.range(..(before, 0)).map(|(at, _)| *at).collect();
        for at in take(old, left) {
            self.events.remove(&at);
        }
    }

    fn expire_versions(&mut self, before: Timestamp, left: &mut u64) {
        for section in self.sections.values_mut() {
            let standing = section.standing_at(before).map_or(0, |(ordinal, _)| ordinal);
            let old = section.history.range(..standing).map(|(ordinal, _)| *ordinal).collect();
            for ordinal in take(old, left) {
                section.history.remove(&ordinal);
            }
        }
    }

    fn expire_parts(&mut self, now: Timestamp, left: &mut u64) {
        let due = |at: Timestamp| at.duration_until(now) >= ORPHAN_GRACE;
        let referred = self.referred();
        let mut gone = Vec::new();
        for (digest, kept) in &mut self.parts {
            if referred.contains(digest) {
                kept.doomed_at = None;
            } else if kept.doomed_at.is_some_and(due) {
                gone.push(*digest);
            } else if kept.doomed_at.is_none() && due(kept.kept_at) {
                kept.doomed_at = Some(now);
            }
        }
        for digest in take(gone, left) {
            self.parts.remove(&digest);
        }
    }

    fn referred(&self) -> BTreeSet<Digest> {
        let past = |s: &Section| {
            let manifests = s.history.values().flat_map(|(_, m)| m.0.values().copied());
            let parts = s.parts.values().flat_map(|p| [Some(p.digest), p.seen, p.read]);
            manifests.chain(parts.flatten()).collect::<Vec<_>>()
        };
        let approved = self.baselines.values().flat_map(|b| b.sections.values());
        let approved = approved.flat_map(|l| l.parts.values().filter_map(|part| part.digest));
        self.sections.values().flat_map(past).chain(approved).collect()
    }
}

/// A status that is not open, for a finding that was never there.
fn closed(finding: &Finding) -> Status {
    use crate::analysis::finding::Resolution;
    Status::Resolved { at: finding.first_seen, by: Resolution::Returned }
}

/// The first `left` of `rows`, counted down.
fn take<T>(mut rows: Vec<T>, left: &mut u64) -> Vec<T> {
    rows.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= rows.len() as u64;
    rows
}

impl Section {
    fn after(previous: Option<Self>, step: &VersionStep) -> Self {
        let record =
            SectionRecord::after(previous.as_ref().map(|s| &s.record), &step.version, step.chain);
        let (known, mut history) = previous.map(|s| (s.parts, s.history)).unwrap_or_default();
        let mut parts = if step.delta.base.is_some() { known.clone() } else { BTreeMap::new() };
        for name in &step.delta.unset {
            parts.remove(name);
        }
        for (name, digest) in &step.delta.set {
            let unread = step.unobserved.get(name).copied();
            let part = PartRecord::after(known.get(name), name, *digest, unread);
            parts.insert(name.clone(), part);
        }
        let manifest = parts.values().map(|p| (p.part.clone(), p.digest)).collect();
        let ordinal = history.last_key_value().map_or(1, |(last, _)| last + 1);
        history.insert(ordinal, (step.version.clone(), Manifest(manifest)));
        Self { record, parts, history }
    }

    fn standing_at(&self, at: Timestamp) -> Option<(u64, &Manifest)> {
        let mut versions = self.history.iter().rev();
        let (ordinal, (_, manifest)) = versions.find(|(_, (v, _))| v.corrected_at <= at)?;
        Some((*ordinal, manifest))
    }
}

impl ReadState for Memory {
    fn host(&self, host: &HostId) -> Result<Option<HostRecord>, StoreError> {
        Ok(self.read().hosts.get(host).cloned())
    }

    fn hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        Ok(self.read().hosts.values().cloned().collect())
    }

    fn sections(&self, host: &HostId) -> Result<Vec<SectionRecord>, StoreError> {
        let state = self.read();
        let of_host = state.sections.iter().filter(|((h, _), _)| h == host);
        Ok(of_host.map(|(_, section)| section.record.clone()).collect())
    }

    fn section(
        &self,
        host: &HostId,
        source: &SourceName,
    ) -> Result<Option<(SectionRecord, Vec<PartRecord>)>, StoreError> {
        let state = self.read();
        let section = state.sections.get(&(host.clone(), source.clone()));
        Ok(section.map(|s| (s.record.clone(), s.parts.values().cloned().collect())))
    }

    fn section_parts(
        &self,
        host: &HostId,
        source: &SourceName,
    ) -> Result<Vec<PartRecord>, StoreError> {
        let state = self.read();
        let section = state.sections.get(&(host.clone(), source.clone()));
        Ok(section.map(|s| s.parts.values().cloned().collect()).unwrap_or_default())
    }

    fn blind_counts(&self, before: Timestamp) -> Result<Vec<BlindCount>, StoreError> {
        Ok(history::blind(&self.read(), before))
    }

    fn part(&self, digest: &Digest) -> Result<Option<Part>, StoreError> {
        Ok(self.read().parts.get(digest).map(|kept| kept.part.clone()))
    }

    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        let state = self.read();
        let there = |digest| state.parts.get(digest).is_some_and(|kept| kept.doomed_at.is_none());
        Ok(digests.iter().filter(|digest| !there(digest)).copied().collect())
    }
}

impl ReadHistory for Memory {
    fn changes(&self, filter: &ChangeFilter) -> Result<Vec<ChangeRecord>, StoreError> {
        let state = self.read();
        let Some(older) = state.older_than(filter.before) else { return Ok(Vec::new()) };
        let mut found: Vec<_> =
            state.changes.values().filter(|c| older(c) && asked_for(filter, c)).cloned().collect();
        found.sort_by_key(|c| Reverse((c.at, c.id)));
        found.truncate(effective_limit(filter.limit) as usize);
        Ok(found)
    }

    fn change(&self, id: ChangeId) -> Result<Option<ChangeRecord>, StoreError> {
        Ok(self.read().changes.get(&id).cloned())
    }

    fn newest_change(&self) -> Result<Option<ChangeRecord>, StoreError> {
        Ok(self.read().changes.last_key_value().map(|(_, record)| record.clone()))
    }

    fn changes_after(&self, id: ChangeId, limit: u32) -> Result<Vec<ChangeRecord>, StoreError> {
        let state = self.read();
        let later = state.changes.range((Bound::Excluded(id), Bound::Unbounded));
        let limit = effective_limit(limit) as usize;
        Ok(later.map(|(_, record)| record.clone()).take(limit).collect())
    }

    fn versions(&self, host: &HostId, limit: u32) -> Result<Vec<VersionRecord>, StoreError> {
        let state = self.read();
        let of_host = state.sections.iter().filter(|((h, _), _)| h == host);
        let mut found: Vec<_> = of_host
            .flat_map(|(_, s)| s.history.iter().map(|(ordinal, (version, _))| (*ordinal, version)))
            .collect();
        found.sort_by_key(|(ordinal, v)| (Reverse(v.received_at), &v.source, Reverse(*ordinal)));
        found.truncate(effective_limit(limit) as usize);
        Ok(found.into_iter().map(|(_, version)| version.clone()).collect())
    }

    fn section_versions(
        &self,
        (host, source): (&HostId, &SourceName),
        (from, to): (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<Vec<VersionRecord>, StoreError> {
        let within = history::versions(&self.read(), (host, source), from..=to);
        Ok(within.into_iter().take(effective_limit(limit) as usize).collect())
    }

    fn manifest_at(
        &self,
        host: &HostId,
        source: &SourceName,
        at: Timestamp,
    ) -> Result<Option<Manifest>, StoreError> {
        let state = self.read();
        let section = state.sections.get(&(host.clone(), source.clone()));
        Ok(section.and_then(|s| s.standing_at(at)).map(|(_, manifest)| manifest.clone()))
    }

    fn placed_events(
        &self,
        filter: &EventFilter,
    ) -> Result<Vec<(Cursor, EventRecord)>, StoreError> {
        let state = self.read();
        let placed = |((at, number), event): (&(Timestamp, u64), &EventRecord)| {
            (Cursor { at: *at, number: number.cast_signed() }, event.clone())
        };
        let wanted = |(place, event): &(Cursor, EventRecord)| {
            filter.after.is_none_or(|after| *place < after)
                && filter.host.as_ref().is_none_or(|host| event.host.as_ref() == Some(host))
                && filter.kind.is_none_or(|kind| kind == event.kind)
                && filter.from.is_none_or(|from| event.at >= from)
        };
        let newest = state.events.iter().rev().map(placed).filter(wanted);
        Ok(newest.take(effective_limit(filter.limit) as usize).collect())
    }

    fn totals(&self) -> Result<Totals, StoreError> {
        let state = self.read();
        let versions = state.sections.values().map(|s| s.history.len() as u64).sum();
        let parts = state.parts.len() as u64;
        let (cases, cases_beyond) = (state.cases.total, state.cases.beyond);
        Ok(Totals { parts, versions, cases, cases_beyond, bytes: 0, ..state.totals.clone() })
    }
}

impl State {
    /// Which changes come after `before` in the order of pages; `None` when that one is not there
    /// any more, as then nothing older is.
    fn older_than(&self, before: Option<ChangeId>) -> Option<impl Fn(&ChangeRecord) -> bool> {
        let bound = match before {
            None => None,
            Some(id) => Some((self.changes.get(&id)?.at, id)),
        };
        Some(move |c: &ChangeRecord| bound.is_none_or(|bound| (c.at, c.id) < bound))
    }
}
