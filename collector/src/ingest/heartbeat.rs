//! Answers a heartbeat: who speaks, whether the accounts agree, and what we lack.
//!
//! An unchanged host causes no step, hence no write. What a heartbeat can cause is an event (a
//! clone, a machine set back, a store restored) and a new host record when agent version or
//! fingerprint key changed.

use std::collections::BTreeMap;

use driftline_protocol::ids::{Generation, HostId, SourceName};
use driftline_protocol::wire::{
    Heartbeat, HeartbeatAnswer, Held, PROTOCOL_VERSION, ProblemCode, is_imported,
};

use super::enrol::bounded;
use super::fleet::{Heard, Host};
use super::presence::{State, Verdict};
use super::{Config, Context, Decided, Ingest, IngestError, ledger};
use crate::store::{EventKind, EventRecord, SectionRecord, Step, StoreError};

/// The most sections one host may have: several times the number of sources there are.
pub(super) const SECTIONS_PER_HOST: usize = 128;

pub(super) fn heartbeat(
    ingest: &mut Ingest,
    context: Context<'_>,
    caller: &HostId,
    heartbeat: &Heartbeat,
) -> Result<Decided<HeartbeatAnswer>, IngestError> {
    let most = heartbeat.sections.len().max(heartbeat.status.over_budget.len());
    if most > SECTIONS_PER_HOST {
        let detail = format!("more than {SECTIONS_PER_HOST} sections");
        return Err(IngestError::refused(ProblemCode::Malformed, detail));
    }
    let config = ingest.config.clone();
    let host = ingest.speaker(caller, &heartbeat.host, heartbeat.version)?;
    host.load(context.store)?;
    let verdict = hear(host, context, heartbeat.session)?;
    let listening = Listening { context, config: &config, heartbeat };
    let mut steps = cloned(host, context, verdict);
    steps.extend(listening.compare_states(host)?);
    steps.extend(listening.update_record(host));
    host.skew.measure(context.now, heartbeat.wall);
    let answer = listening.answer(host)?;
    let imbalance = listening.imbalance(host)?;
    let (sections, status) = (heartbeat.sections.clone(), heartbeat.status.clone());
    host.heard = Some(Heard { sections, status, imbalance });
    ingest.totals.heartbeats += 1;
    ingest.heard(context, caller);
    ingest.unsettled(caller, &steps);
    Ok(Decided::new(answer, steps))
}

/// Whether answering this heartbeat takes nothing but memory: its host is known, nothing of it
/// waits to become durable, and the heartbeat causes no step.
///
/// A host of which something is pending is not answered this way: what the answer says we hold must
/// be durable.
pub(super) fn is_routine(ingest: &Ingest, caller: &HostId, heartbeat: &Heartbeat) -> bool {
    let Some(host) = ingest.fleet.get(caller).filter(|_| *caller == heartbeat.host) else {
        return false;
    };
    let Some(known) = host.known().filter(|_| !ingest.unsettled.contains(caller)) else {
        return false;
    };
    let lost = heartbeat.sections.iter().any(|(source, status)| {
        let delivered = known.sections.get(source).map_or(0, |section| section.delivered);
        ledger::lost(&status.account, delivered) > 0 && !host.gaps.contains_key(source)
    });
    heartbeat.version <= PROTOCOL_VERSION
        && heartbeat.sections.len() <= SECTIONS_PER_HOST
        && heartbeat.status.over_budget.len() <= SECTIONS_PER_HOST
        && host.record.retired_at.is_none()
        && heartbeat.incarnation == host.record.incarnation
        && host.presence.is_settled(heartbeat.session)
        && !lost
        && says_the_same(host, heartbeat)
}

/// Whether an agent says of itself what it said before.
fn says_the_same(host: &Host, heartbeat: &Heartbeat) -> bool {
    host.record.key == Some(heartbeat.key)
        && host.record.site_key == heartbeat.site_key
        && host.record.agent_version == bounded(&heartbeat.status.version)
}

/// Hears a session, or refuses it as a copy.
pub(super) fn hear(
    host: &mut Host,
    context: Context<'_>,
    session: driftline_protocol::ids::SessionId,
) -> Result<Verdict, IngestError> {
    let verdict = host.presence.hear(session, context.now);
    if verdict == Verdict::Copy {
        let id = &host.record.id;
        let detail = format!("another machine speaks as {id}; enrol anew with replaces = {id}");
        return Err(IngestError::refused(ProblemCode::Clone, detail));
    }
    Ok(verdict)
}

/// What people are told when a copy was found.
pub(super) fn cloned(host: &Host, context: Context<'_>, verdict: Verdict) -> Vec<Step> {
    if verdict != Verdict::Cloned {
        return Vec::new();
    }
    let id = &host.record.id;
    let detail = format!("two machines spoke as {id}; the first keeps the name");
    vec![event(host, context, EventKind::Cloned, detail)]
}

/// An event of `host`.
pub(super) fn event(host: &Host, context: Context<'_>, kind: EventKind, detail: String) -> Step {
    let host = Some(host.record.id.clone());
    Step::Event(EventRecord { at: context.now, host, kind, detail })
}

/// What we have of a section.
pub(super) fn held(ours: Option<&SectionRecord>) -> Held {
    Held {
        generation: ours.map_or(Generation(0), |section| section.generation),
        digest: ours.map(|section| section.digest),
    }
}

/// One heartbeat being listened to.
struct Listening<'a> {
    context: Context<'a>,
    config: &'a Config,
    heartbeat: &'a Heartbeat,
}

impl Listening<'_> {
    /// Tells a machine that was set back and a store that was restored from everyday life.
    fn compare_states(&self, host: &mut Host) -> Result<Vec<Step>, StoreError> {
        let sections = &host.load(self.context.store)?.sections;
        let known = newest(sections);
        let forked = self.is_forked(sections);
        let same_agent = self.heartbeat.incarnation == host.record.incarnation;
        let older = !same_agent || self.heartbeat.generation < known || forked;
        let state = if older { State::Older } else { State::Current };
        let session = self.heartbeat.session;
        let clock = (self.context.now, self.config.interval_ms);
        if host.presence.rolled_back(session, state, clock) {
            return self.rolled_back(host, known);
        }
        if host.presence.is_older(session) || !same_agent {
            return Ok(Vec::new());
        }
        self.restored(host)
    }

    /// Whether an older state has caught up with our numbers: we hold versions it never saw, or
    /// another history under its number. A chain says both of all before it.
    fn is_forked(&self, sections: &BTreeMap<SourceName, SectionRecord>) -> bool {
        self.heartbeat.sections.iter().any(|(source, status)| {
            sections.get(source).is_some_and(|ours| {
                let same_number = ours.generation == status.generation;
                same_number && ours.chain != status.chain
                    || ledger::unseen(&status.account, ours.delivered) > 0
            })
        })
    }

    fn rolled_back(&self, host: &mut Host, known: Generation) -> Result<Vec<Step>, StoreError> {
        let id = host.record.id.clone();
        let mut steps = Vec::new();
        if self.heartbeat.incarnation == host.record.incarnation {
            let detail = format!(
                "{id} came back with generation {}, {known} was known",
                self.heartbeat.generation
            );
            steps.push(event(host, self.context, EventKind::RolledBack, detail));
        } else {
            let detail = format!("{id} came back with a new agent state; its history goes on");
            steps.push(event(host, self.context, EventKind::RolledBack, detail));
            host.record.incarnation = self.heartbeat.incarnation;
            steps.push(Step::Host(host.record.clone()));
            let sections = &mut host.load(self.context.store)?.sections;
            for section in sections.values_mut() {
                *section = section.clone().renewed();
            }
        }
        for source in self.heartbeat.sections.keys() {
            host.gaps.insert(source.clone(), 0);
            // Before it was clear who speaks, versions may have come that continue nothing of ours.
            host.chain_breaks.remove(source);
        }
        steps.extend(self.recount(host)?);
        Ok(steps)
    }

    /// The agent has been promised versions that we do not have: we were restored from a backup.
    fn restored(&self, host: &mut Host) -> Result<Vec<Step>, StoreError> {
        let sections = &host.load(self.context.store)?.sections;
        let mut gaps = BTreeMap::new();
        for (source, status) in &self.heartbeat.sections {
            let delivered = sections.get(source).map_or(0, |section| section.delivered);
            let lost = ledger::lost(&status.account, delivered);
            if lost > 0 {
                gaps.insert(source.clone(), lost);
            }
        }
        gaps.retain(|source, _| !host.gaps.contains_key(source));
        let lost = gaps.values().copied().fold(0, u64::saturating_add);
        for (source, lost) in gaps {
            host.chain_breaks.remove(&source);
            host.gaps.insert(source, lost);
        }
        if lost == 0 {
            return Ok(Vec::new());
        }
        host.counts.lost_by_restore = host.counts.lost_by_restore.saturating_add(lost);
        let detail = format!(
            "{} had delivered {lost} versions that the store no longer has",
            host.record.id
        );
        let mut steps = vec![event(host, self.context, EventKind::StoreRestored, detail)];
        steps.extend(self.recount(host)?);
        Ok(steps)
    }

    /// Takes the agent's account for ours, after people were told of the gap.
    fn recount(&self, host: &mut Host) -> Result<Vec<Step>, StoreError> {
        let id = host.record.id.clone();
        let sections = &mut host.load(self.context.store)?.sections;
        let mut steps = Vec::new();
        for (source, status) in &self.heartbeat.sections {
            let Some(section) = sections.get_mut(source) else { continue };
            if section.delivered == status.account.delivered {
                continue;
            }
            section.delivered = status.account.delivered;
            let (host, source) = (id.clone(), source.clone());
            steps.push(Step::Recount { host, source, delivered: section.delivered });
        }
        Ok(steps)
    }

    fn imbalance(&self, host: &mut Host) -> Result<BTreeMap<SourceName, u64>, StoreError> {
        let sections = &host.load(self.context.store)?.sections;
        let mut imbalance = BTreeMap::new();
        for (source, status) in &self.heartbeat.sections {
            let delivered = sections.get(source).map_or(0, |section| section.delivered);
            imbalance.insert(source.clone(), ledger::imbalance(&status.account, delivered));
        }
        Ok(imbalance)
    }

    fn update_record(&self, host: &mut Host) -> Option<Step> {
        if says_the_same(host, self.heartbeat) {
            return None;
        }
        let mut record = host.record.clone();
        record.agent_version = bounded(&self.heartbeat.status.version);
        record.key = Some(self.heartbeat.key);
        record.site_key = self.heartbeat.site_key;
        record.last_seen = self.context.now;
        host.record = record.clone();
        Some(Step::Host(record))
    }

    fn answer(&self, host: &mut Host) -> Result<HeartbeatAnswer, StoreError> {
        let cloned = host.presence.has_copies();
        let sections = &host.load(self.context.store)?.sections;
        let mut want = BTreeMap::new();
        let mut generation = newest(sections);
        for (source, status) in &self.heartbeat.sections {
            let ours = sections.get(source);
            if ours.is_some_and(|ours| ours.digest == status.digest) {
                continue;
            }
            want.insert(source.clone(), held(ours));
            // Same number, another state: only a higher number can bring it here.
            if ours.is_some_and(|ours| status.generation <= ours.generation)
                && self.heartbeat.generation == generation
            {
                generation = generation.next();
            }
        }
        Ok(HeartbeatAnswer {
            epoch: self.config.epoch,
            generation,
            want,
            next_ms: self.config.interval_ms,
            defer_ms: None,
            cloned,
            collector_time: self.context.now,
        })
    }
}

/// The newest generation we have of any section of an agent.
fn newest(sections: &BTreeMap<SourceName, SectionRecord>) -> Generation {
    let spoken = sections.values().filter(|section| !is_imported(&section.source));
    spoken.map(|section| section.generation).max().unwrap_or_default()
}
