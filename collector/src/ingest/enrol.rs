//! Gives an agent its identity, once in the life of its state.
//!
//! The collector decides the name: what the host proposes, or the next free one after it. A token
//! is shown once and kept hashed. Nobody gets a name that somebody else has used.

use driftline_protocol::ids::HostId;
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::{EnrolAnswer, EnrolRequest, ProblemCode};

use super::{Context, Decided, Ingest, IngestError, fleet};
use crate::store::{EventKind, EventRecord, HostRecord, Step};

/// What an enrolment was allowed for, as the caller has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The shared enrolment secret, or a token of scope `enrol`.
    Secret,
    /// The token of the host it was copied from.
    Token(HostId),
}

/// What is kept of a token: blake3 of its text.
pub fn token_hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}

pub(super) fn enrol(
    ingest: &mut Ingest,
    context: Context<'_>,
    request: &EnrolRequest,
    (proof, random): (Proof, [u8; 32]),
) -> Result<Decided<EnrolAnswer>, IngestError> {
    fleet::check_version(request.version)?;
    if let Proof::Token(host) = &proof {
        check_copy(ingest, request, host)?;
    }
    let lost_answer = ingest.answer_was_lost(request, &proof);
    if lost_answer.is_none() && ingest.fleet.len() >= ingest.config.max_hosts {
        let detail = "the collector knows as many hosts as it may; raise max_hosts or retire some";
        return Err(IngestError::refused(ProblemCode::Busy, detail));
    }
    if let Proof::Token(original) = &proof {
        ingest.in_service(original)?.presence.enrolled_copy();
    }
    let id = lost_answer.unwrap_or_else(|| ingest.free_name(&request.proposed));
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let record = HostRecord {
        id: id.clone(),
        kind: request.kind,
        incarnation: request.incarnation,
        token: token_hash(&token),
        enrolled_at: context.now,
        last_seen: context.now,
        agent_version: bounded(&request.agent_version),
        key: None,
        site_key: false,
        retired_at: None,
    };
    let mut steps = vec![Step::Host(record.clone()), enrolled(context, request, &record)];
    steps.extend(name_taken(context, request, &record));
    ingest.remember(record);
    ingest.unsettled(&id, &steps);
    let answer = EnrolAnswer { host: id, token, epoch: ingest.config.epoch };
    Ok(Decided::new(answer, steps))
}

/// Refuses whoever holds the token of `original` and is no copy of it that was told to enrol: a
/// token must not make hosts at will.
fn check_copy(
    ingest: &mut Ingest,
    request: &EnrolRequest,
    original: &HostId,
) -> Result<(), IngestError> {
    let told = ingest.in_service(original)?.presence.may_enrol_copy();
    if told && request.replaces.as_ref() == Some(original) {
        return Ok(());
    }
    let detail = "a host's token only enrols a copy of that host that was told to";
    Err(IngestError::refused(ProblemCode::Unauthorised, detail))
}

fn enrolled(context: Context<'_>, request: &EnrolRequest, record: &HostRecord) -> Step {
    let detail = match &request.replaces {
        Some(original) => format!("{} enrolled as a copy of {original}", record.id),
        None => format!("{} enrolled", record.id),
    };
    event(context, record, EventKind::Enrolled, detail)
}

/// That a host has another name than it has for itself: most often a machine that was set up anew,
/// of which the collector cannot know that it is the same.
fn name_taken(context: Context<'_>, request: &EnrolRequest, record: &HostRecord) -> Option<Step> {
    let (id, name) = (&record.id, &request.proposed);
    if request.replaces.is_some() || id == name || mutant::active(Mutant::NamesAreTakenInSilence) {
        return None;
    }
    let detail = format!(
        "{id} calls itself {name}, and that is the name of another host here, or was; the name and \
         its history stay there"
    );
    Some(event(context, record, EventKind::NameTaken, detail))
}

fn event(context: Context<'_>, record: &HostRecord, kind: EventKind, detail: String) -> Step {
    Step::Event(EventRecord { at: context.now, host: Some(record.id.clone()), kind, detail })
}

/// The longest program version that is kept, in bytes; it is shown and labels a metric.
const AGENT_VERSION_BYTES: usize = 32;

/// What an agent calls its version, without anything that does not belong into one.
pub(super) fn bounded(version: &str) -> String {
    let fits = |c: &char| c.is_ascii_alphanumeric() || ".-+".contains(*c);
    version.chars().filter(fits).take(AGENT_VERSION_BYTES).collect()
}

impl Ingest {
    /// The name given before, when the same agent state asks again without ever having spoken: the
    /// answer was lost on its way. Once it has spoken, the same state is a copy and gets a name of
    /// its own.
    fn answer_was_lost(&self, request: &EnrolRequest, proof: &Proof) -> Option<HostId> {
        if *proof != Proof::Secret || request.replaces.is_some() {
            return None;
        }
        let mine = |id: &&HostId| {
            self.fleet.get(*id).is_some_and(|host| {
                host.record.incarnation == request.incarnation
                    && host.record.last_seen == host.record.enrolled_at
                    && host.record.retired_at.is_none()
                    && host.heard.is_none()
            })
        };
        self.names(&request.proposed).iter().find(mine).cloned()
    }

    fn free_name(&self, proposed: &HostId) -> HostId {
        let names = self.names(proposed);
        names.last().cloned().unwrap_or_else(|| proposed.clone())
    }

    /// The proposed name and its numbered forms as far as they are taken, then the first free one.
    /// The name of a host known by its imported history alone is free for the agent of that host.
    fn names(&self, proposed: &HostId) -> Vec<HostId> {
        let mut names = vec![proposed.clone()];
        // Ends: at most `max_hosts` names are taken.
        for number in 2_u64.. {
            let host = names.last().and_then(|name| self.fleet.get(name));
            let taken = host.map(|host| &host.record);
            let taken = taken.is_some_and(|r| !r.is_imported() || r.retired_at.is_some());
            if !taken {
                break;
            }
            names.push(numbered(proposed, number));
        }
        names
    }
}

fn numbered(proposed: &HostId, number: u64) -> HostId {
    let suffix = format!("-{number}");
    let keep = limits::HOST_NAME_BYTES - suffix.len();
    let stem: String = proposed.as_str().chars().take(keep).collect();
    HostId::nearest(&format!("{stem}{suffix}"))
}
