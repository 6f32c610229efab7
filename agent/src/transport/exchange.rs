//! What to say to the collector next, given what it answered: the transport without its network.
//!
//! Pure: time comes in as milliseconds of the monotonic clock and chance as a number. The order is
//! enrol, then a heartbeat, which tells both sides where they stand, then parts and reports until
//! nothing waits. Every failure waits longer than the one before, with full jitter, and nothing is
//! ever sent before its time: a collector that is down or busy sees fewer requests, not more.
//!
//! A collector whose store was lost, or restored from before this host enrolled, does not know the
//! token. After [`REFUSALS`] refusals in a row the agent enrols again, once; where that is refused
//! too it goes back to its token, and waits longer each time until something is taken. Over plain
//! http it does not: whoever listens on the port while the collector is down would be handed the
//! site's secret for three refusals. There it is [`Exchange::stranded`] until a person acts. Nor
//! does it take a name of its own there because somebody calls it a copy: one answer would end the
//! host that everybody knows.

#![deny(clippy::disallowed_methods, reason = "decisions are pure: no clock, no I/O, no randomness")]

mod terms;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{Digest, Generation, SourceName};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::{
    HeartbeatAnswer, Outcome, ProblemCode, ReportAnswer, SectionVersion,
};

pub use self::terms::{Answer, Effect, Moment, Next, Proof};

/// The first bound of the random wait after a failure, in milliseconds; it doubles with each
/// further one.
const BACKOFF_MS: u64 = 1_000;

/// The longest wait after failures, in milliseconds: a collector that is back is full again within
/// this.
const BACKOFF_LIMIT_MS: u64 = 300_000;

/// The wait after a refusal that only a person can mend, in milliseconds; also how long a section
/// that was given up is not offered again unless it changes.
const REFUSED_MS: u64 = 900_000;

/// How often in a row the token must be refused before the host enrols again: about one minute,
/// in which a collector that just started, or whose store is being put back, comes to know it.
pub const REFUSALS: u32 = 3;

/// Reports in a row that may bring nothing forward, before that counts as a failure. One may name
/// missing parts and one an unknown base in good order.
const FRUITLESS: u32 = 4;

/// The longest wait a collector can ask for, in milliseconds: a wrong number must not silence an
/// agent.
const ASKED_LIMIT_MS: u64 = 3_600_000;

/// The shortest time between heartbeats a collector can ask for, in milliseconds: the least that
/// both programs may be configured to. Each may cost a write to disk and a line in the log.
const LEAST_HEARTBEAT_MS: u64 = 5_000;

/// The wait before another enrolment after the first, in milliseconds; it doubles with each further
/// one up to [`REFUSED_MS`]. One may empty the spool.
const ENROLMENT_MS: u64 = 10_000;

/// Where the exchange stands.
#[derive(Clone, Debug)]
pub struct Exchange {
    enrolment: Enrolment,
    heartbeat_at: u64,
    heartbeat_ms: u64,
    /// Whether a heartbeat was answered since the start; before that we do not know what the
    /// collector holds.
    greeted: bool,
    /// No versions before this.
    reports_at: u64,
    /// Nothing at all before this.
    hold_until: u64,
    failures: u32,
    /// How often in a row the token was refused.
    unknown: u32,
    /// Whether an identity that is refused may be replaced.
    enrols_again: bool,
    stranded: bool,
    /// Enrolments that were given since a report was applied well after the last of them.
    enrolments: u32,
    /// When the last of them was.
    enrolled_at: u64,
    fruitless: u32,
    lacking: Vec<Digest>,
    /// Sections of which a version was refused since one was last applied. Bounded by the number of
    /// sources.
    refused: BTreeMap<SourceName, Refused>,
}

/// What was done about a refused version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// The whole section was put in its place.
    SentWhole,
    /// That was refused as well; not offered again before this time.
    GivenUp { until_ms: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enrolment {
    Done,
    Needed(Proof),
    /// The collector does not know the token any more; one enrolment is tried.
    Again,
}

impl Exchange {
    /// An exchange that begins at `now_ms`, with a heartbeat each `heartbeat_ms` until told
    /// otherwise, and with an enrolment where one is needed.
    pub fn new(enrol: Option<Proof>, heartbeat_ms: u64, now_ms: u64) -> Self {
        Self {
            enrolment: enrol.map_or(Enrolment::Done, Enrolment::Needed),
            heartbeat_at: now_ms,
            heartbeat_ms,
            greeted: false,
            reports_at: now_ms,
            hold_until: now_ms,
            failures: 0,
            unknown: 0,
            enrols_again: true,
            stranded: false,
            enrolments: 0,
            enrolled_at: now_ms,
            fruitless: 0,
            lacking: Vec::new(),
            refused: BTreeMap::new(),
        }
    }

    /// The same that keeps the identity it has, whatever is answered, for nobody knows who answers:
    /// it hands over the secret to nobody once it has, and is nobody's copy.
    #[must_use]
    pub fn keeping_identity(mut self) -> Self {
        self.enrols_again = mutant::active(Mutant::WhoeverAnswersIsTheCollector);
        self
    }

    /// Whether the token was refused so often that the host would enrol again, and must not; or
    /// whether it was called a copy as often.
    pub fn stranded(&self) -> bool {
        self.stranded
    }

    /// As if the time of every wait were over.
    #[cfg(test)]
    pub(super) fn wait_no_longer(&mut self) {
        self.hold_until = 0;
    }

    /// The parts the collector asked for and does not have yet.
    pub fn lacking(&self) -> &[Digest] {
        &self.lacking
    }

    /// What to send at `now_ms`, where `waiting` versions are in the spool.
    pub fn next(&self, now_ms: u64, waiting: u64) -> Next {
        if now_ms < self.hold_until {
            return Next::Rest { until_ms: self.hold_until };
        }
        match self.enrolment {
            Enrolment::Needed(proof) => return Next::Enrol(proof),
            Enrolment::Again => return Next::Enrol(Proof::Secret),
            Enrolment::Done => (),
        }
        if now_ms >= self.heartbeat_at || !self.greeted {
            return Next::Heartbeat;
        }
        if waiting == 0 {
            return Next::Rest { until_ms: self.heartbeat_at };
        }
        if now_ms < self.reports_at {
            return Next::Rest { until_ms: self.reports_at.min(self.heartbeat_at) };
        }
        if self.lacking.is_empty() { Next::Report } else { Next::Parts }
    }

    /// Takes the answer to what [`Exchange::next`] named.
    pub fn answered(&mut self, answer: Answer, at: Moment) -> Vec<Effect> {
        match answer {
            Answer::Enrolled => {
                // One that gives a token and refuses it must not be asked ever faster.
                if self.enrolment != Enrolment::Again {
                    self.well();
                }
                self.enrolment = Enrolment::Done;
                self.greeted = false;
                self.enrolments = self.enrolments.saturating_add(1);
                self.enrolled_at = at.now_ms;
                Vec::new()
            }
            Answer::Heartbeat { generation, answer } => {
                self.well();
                self.heartbeat(generation, answer, at)
            }
            Answer::Parts(count) => {
                self.well();
                self.lacking.drain(..count.min(self.lacking.len()));
                if self.lacking.is_empty() {
                    self.lack_nothing();
                }
                Vec::new()
            }
            Answer::Report { sent, answer } => self.report(&sent, answer, at),
            Answer::Nothing => {
                self.lack_nothing();
                Vec::new()
            }
            Answer::Refused { code, retry_after_ms } => {
                self.refused(code, retry_after_ms, at);
                Vec::new()
            }
            Answer::Unreachable => {
                self.back_off(at);
                Vec::new()
            }
        }
    }

    fn heartbeat(
        &mut self,
        generation: Generation,
        answer: HeartbeatAnswer,
        at: Moment,
    ) -> Vec<Effect> {
        self.greeted = true;
        let next = if answer.next_ms == 0 { self.heartbeat_ms } else { answer.next_ms };
        let next = next.clamp(LEAST_HEARTBEAT_MS, ASKED_LIMIT_MS);
        self.heartbeat_at = at.now_ms.saturating_add(splayed(next, at.chance));
        if let Some(defer) = answer.defer_ms {
            let wait = splayed(defer.min(ASKED_LIMIT_MS), at.chance);
            self.reports_at = at.now_ms.saturating_add(wait);
        }
        if mutant::active(Mutant::IgnoreEpoch) {
            return Vec::new();
        }
        let mut effects = vec![Effect::SawEpoch(answer.epoch)];
        if answer.generation > generation {
            effects.push(Effect::JumpAbove(answer.generation));
        }
        let want = answer.want.into_iter().filter(|(source, _)| !self.rests(source, at.now_ms));
        effects.extend(want.map(|(source, held)| Effect::Reconcile(source, held)));
        effects
    }

    fn report(&mut self, sent: &[SectionVersion], answer: ReportAnswer, at: Moment) -> Vec<Effect> {
        if answer.outcomes.len() != sent.len() {
            self.back_off(at);
            return Vec::new();
        }
        let mut effects = vec![Effect::SawEpoch(answer.epoch)];
        let (mut progress, mut stuck) = (false, BTreeSet::new());
        self.lack_nothing();
        for (version, outcome) in sent.iter().zip(answer.outcomes) {
            let source = version.source.clone();
            // Behind a version that was not applied, an answer about a later one of the source
            // means nothing.
            if stuck.contains(&source) {
                continue;
            }
            match outcome {
                Outcome::Applied | Outcome::Known => {
                    progress = true;
                    self.belongs(at.now_ms);
                    self.refused.remove(&source);
                    effects.push(Effect::Acknowledge(source, version.generation));
                    continue;
                }
                Outcome::MissingParts { digests } => self.lack(version, digests),
                Outcome::BaseUnknown { held } => {
                    effects.push(Effect::Reconcile(source.clone(), held));
                }
                Outcome::Refused { why } => {
                    // Either step brings the section forward, so the others need not wait.
                    progress = true;
                    effects.push(self.mend(version, why, at.now_ms));
                }
            }
            stuck.insert(source);
        }
        self.fruitless = if progress { 0 } else { self.fruitless + 1 };
        if self.fruitless >= FRUITLESS {
            self.back_off(at);
        } else {
            self.well();
        }
        effects
    }

    /// What to do about a refused version. A damaged delta is mended by the whole section; what is
    /// refused even so can never be delivered, and must not stand in the way of the rest.
    fn mend(&mut self, version: &SectionVersion, why: String, now_ms: u64) -> Effect {
        let source = version.source.clone();
        let tried = self.refused.contains_key(&source);
        let state = if tried {
            Refused::GivenUp { until_ms: now_ms.saturating_add(REFUSED_MS) }
        } else {
            Refused::SentWhole
        };
        self.refused.insert(source.clone(), state);
        if tried {
            Effect::GiveUp(source, version.generation, why)
        } else {
            Effect::SendWhole(source, why)
        }
    }

    /// Whether a section was given up and its time to be offered again has not come.
    fn rests(&self, source: &SourceName, now_ms: u64) -> bool {
        match self.refused.get(source) {
            Some(Refused::GivenUp { until_ms }) => now_ms < *until_ms,
            Some(Refused::SentWhole) | None => false,
        }
    }

    /// Notes parts to upload; only parts the version names, and each once, whatever the collector
    /// asks for.
    fn lack(&mut self, version: &SectionVersion, digests: Vec<Digest>) {
        let mut named: BTreeSet<_> = version.delta.set.values().collect();
        self.lacking.extend(digests.into_iter().filter(|digest| named.remove(digest)));
    }

    /// Forgets the list with its memory: 50,000 parts of a first report were 2 MB kept for good.
    fn lack_nothing(&mut self) {
        self.lacking = Vec::new();
    }

    fn refused(&mut self, code: ProblemCode, retry_after_ms: Option<u64>, at: Moment) {
        match code {
            // Only once: a clone whose enrolment is refused needs a person.
            ProblemCode::Clone
                if self.enrolment == Enrolment::Done && self.believes_in_copies() =>
            {
                self.need(Enrolment::Needed(Proof::Token));
                self.lack_nothing();
            }
            ProblemCode::Clone
            | ProblemCode::Unauthorised
            | ProblemCode::Retired
            | ProblemCode::Version
            | ProblemCode::TooLarge
            | ProblemCode::Malformed
            | ProblemCode::NotFound
            | ProblemCode::Forbidden
            | ProblemCode::Conflict => {
                // The first waits are short, since a collector that just started may not know us
                // yet.
                self.back_off(at);
                // After it, since an enrolment may have to wait longer than a failure.
                self.doubt(code);
                let patience = REFUSED_MS.min(5_000 << self.failures.min(10));
                self.hold_until = self.hold_until.max(at.now_ms.saturating_add(patience));
            }
            ProblemCode::Busy | ProblemCode::Failed => self.back_off(at),
        }
        if let Some(wait) = retry_after_ms {
            let wait = splayed(wait.min(ASKED_LIMIT_MS), at.chance);
            self.hold_until = self.hold_until.max(at.now_ms.saturating_add(wait));
        }
    }

    /// Decides whether the refusal means that the collector does not know this host any more.
    fn doubt(&mut self, code: ProblemCode) {
        match self.enrolment {
            Enrolment::Done if matches!(code, ProblemCode::Unauthorised | ProblemCode::Clone) => {
                self.unknown += 1;
                if self.unknown >= REFUSALS {
                    self.unknown = 0;
                    self.stranded = !self.enrols_again;
                    if self.enrols_again {
                        self.need(Enrolment::Again);
                    }
                }
            }
            // No secret, or not the right one. Should the store be put back, the token is good
            // again.
            Enrolment::Again => self.enrolment = Enrolment::Done,
            // A collector that started anew forgot that it told us to. Should there be two of us
            // still, it hears both and says so again.
            Enrolment::Needed(Proof::Token) if code == ProblemCode::Unauthorised => {
                self.enrolment = Enrolment::Done;
                self.greeted = false;
            }
            Enrolment::Done | Enrolment::Needed(_) => (),
        }
    }

    /// Whether this host may become another because it is called a copy of itself.
    fn believes_in_copies(&self) -> bool {
        self.enrols_again || mutant::active(Mutant::WhoeverSaysSoMakesCopies)
    }

    /// Makes an enrolment the next thing to ask for, though not soon after others: whoever gives a
    /// name and refuses it in turn would have the state emptied as fast as the disk can.
    fn need(&mut self, enrolment: Enrolment) {
        self.enrolment = enrolment;
        if let Some(more) = self.enrolments.checked_sub(1) {
            let wait = REFUSED_MS.min(ENROLMENT_MS << more.min(10));
            self.hold_until = self.hold_until.max(self.enrolled_at.saturating_add(wait));
        }
    }

    /// A report was applied: who is known for long enough is known.
    fn belongs(&mut self, now_ms: u64) {
        if now_ms >= self.enrolled_at.saturating_add(REFUSED_MS) {
            self.enrolments = 0;
        }
    }

    fn well(&mut self) {
        self.failures = 0;
        self.unknown = 0;
        self.stranded = false;
    }

    /// Full jitter: anywhere from nothing to the bound, so that agents that failed together come
    /// back apart.
    fn back_off(&mut self, at: Moment) {
        let bound = (BACKOFF_MS << self.failures.min(16)).min(BACKOFF_LIMIT_MS);
        self.failures = self.failures.saturating_add(1);
        self.hold_until = at.now_ms.saturating_add(1 + at.chance % bound);
        self.lack_nothing();
    }
}

/// At least `wait`, and up to a tenth more, so that answers given together do not come back
/// together.
fn splayed(wait: u64, chance: u64) -> u64 {
    wait.saturating_add(chance % (wait / 10 + 1))
}
