//! From what a source says to what the spool keeps: one pass over one source.
//!
//! Each part is redacted, sealed and handed to the spool as soon as the source says it, so a pass
//! holds one part at a time and beside it only names and digests. Nothing here knows what a part
//! means or where it will go.
//!
//! The invariant kept here is *unobserved is not absent*. A part known before is missing from the
//! new manifest only when the source came to its end, covers the part, and neither saw it, nor
//! found it the same, nor was blind there. Whatever else happens (an error, a panic, an unreadable
//! place, a narrower scope, a full section) makes it
//! [`Part::Unobserved`](driftline_protocol::snapshot::Part::Unobserved), and counts it.

mod assembler;
mod heard;
mod memory;
mod printed;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use driftline_protocol::ids::{Generation, PartName, SourceName};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::{Domain, Reason};
use driftline_protocol::wire::{Budget, SourceReading};
use jiff::Timestamp;

use self::assembler::{Anew, Assembled, Assembler};
#[cfg(test)]
#[cfg(unix)]
pub(crate) use self::memory::Memory;
pub use self::printed::print;
use crate::machine::Machine;
use crate::sources::Source;
use crate::spool::{Keep, Observation, SpoolError, Tally};

/// One moment by the host's two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// The monotonic clock of this boot, in milliseconds.
    pub monotonic_ms: u64,
}

/// What one pass came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The new version's generation; `None` when nothing differs from the last pass.
    pub generation: Option<Generation>,
    /// How the reading went.
    pub reading: SourceReading,
    /// How many parts the section has.
    pub parts: u64,
    /// How many of them are unobserved, wholly or in their content, by reason.
    pub unobserved: BTreeMap<Reason, u64>,
    /// Whether the source came to its end.
    pub end: End,
}

/// How a source ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It said all it had to say.
    Complete,
    /// It could say nothing, for this reason.
    Failed(Reason),
    /// It passed this bound of its budget, and was stopped.
    OverBudget(Budget),
    /// It broke an assertion. Make it anew before the next pass, and count it.
    Panicked,
}

impl End {
    /// The reason under which all parts are unobserved, if they are.
    fn blinds(self) -> Option<Reason> {
        match self {
            Self::Complete => None,
            Self::Failed(reason) => Some(reason),
            Self::OverBudget(Budget::Cpu) => Some(Reason::TimedOut),
            Self::OverBudget(Budget::Memory | Budget::Reads) => Some(Reason::TooLarge),
            Self::Panicked => Some(Reason::Failed),
        }
    }
}

/// The part by which a source speaks of itself as a whole.
pub(crate) fn whole() -> PartName {
    PartName::from_bytes(b".")
}

/// Does nothing, but in a fault that a test must notice.
fn leave_something_behind() {
    if mutant::active(Mutant::FilesStayOpen) {
        std::mem::forget(std::fs::File::open("/dev/null"));
    }
    if mutant::active(Mutant::PassesAreRemembered) {
        std::mem::forget(vec![1_u8; 16 * 1024]);
    }
}

/// Reads `source` once and makes what it saw durable.
///
/// A source that fails or panics is part of the picture and no error: all its parts are then
/// unobserved.
///
/// # Errors
/// [`SpoolError`]; nothing of the pass is kept then, and the next pass sees it again.
pub fn pass(
    source: &mut dyn Source,
    machine: &Machine,
    keep: &mut dyn Keep,
    now: Now,
) -> Result<Outcome, SpoolError> {
    let started = Instant::now();
    leave_something_behind();
    let read_before = machine.meter().bytes_read();
    let (assembled, end) = match assemble(source, machine, keep) {
        Ok(done) => done,
        Err(error) => {
            keep.abandon();
            return Err(error);
        }
    };
    let reading = SourceReading {
        micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        bytes: machine.meter().bytes_read().saturating_sub(read_before),
        success: end == End::Complete,
    };
    let anew = match assembled {
        Assembled::Anew(anew) => anew,
        Assembled::Still(Tally { parts, unobserved, .. }) => {
            keep.stay(&source.name(), reading)?;
            return Ok(Outcome { generation: None, reading, parts, unobserved, end });
        }
    };
    let (parts, unobserved) = (anew.manifest.0.len() as u64, anew.unobserved.clone());
    let of = (source.name(), source.domain());
    let generation = keep.commit(observation(of, anew, now, reading))?;
    Ok(Outcome { generation, reading, parts, unobserved, end })
}

fn observation(
    (source, domain): (SourceName, Domain),
    anew: Anew,
    now: Now,
    reading: SourceReading,
) -> Observation {
    Observation {
        source,
        domain,
        manifest: anew.manifest,
        unobserved: anew.unobserved,
        tally: anew.tally,
        observed_at: now.wall,
        observed_monotonic_ms: now.monotonic_ms,
        reading,
    }
}

/// A source that was not read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Which source.
    pub source: SourceName,
    /// What kind of fact it reads.
    pub domain: Domain,
    /// Why nothing can be said.
    pub reason: Reason,
}

/// Makes durable that nothing can be said of a source: all its parts are unobserved.
///
/// # Errors
/// [`SpoolError`]; nothing is kept then.
pub fn unread(
    unread: &Unread,
    machine: &Machine,
    keep: &mut dyn Keep,
    now: Now,
) -> Result<Outcome, SpoolError> {
    let anew = blind(&unread.source, machine, keep, unread.reason)?;
    let (parts, unobserved) = (anew.manifest.0.len() as u64, anew.unobserved.clone());
    let reading = SourceReading::default();
    let of = (unread.source.clone(), unread.domain);
    let generation = keep.commit(observation(of, anew, now, reading))?;
    let end = End::Failed(unread.reason);
    Ok(Outcome { generation, reading, parts, unobserved, end })
}

/// Everything `source` ever said becomes unobserved.
fn blind(
    source: &SourceName,
    machine: &Machine,
    keep: &mut dyn Keep,
    reason: Reason,
) -> Result<Anew, SpoolError> {
    let mut assembler = Assembler::begin(machine.redactor(), keep, source.clone())?;
    assembler.blind_everything(reason);
    match assembler.finish(&|_| true)? {
        Assembled::Anew(anew) => Ok(anew),
        // Everything was compared, so nothing is heard and left at that.
        Assembled::Still(_) => Err(SpoolError::NotOpen),
    }
}

/// Lets the source speak once; what a failed one said is dropped, and all it ever said becomes
/// unobserved.
fn assemble(
    source: &mut dyn Source,
    machine: &Machine,
    keep: &mut dyn Keep,
) -> Result<(Assembled, End), SpoolError> {
    let name = source.name();
    let mut assembler = Assembler::begin(machine.redactor(), keep, name.clone())?;
    // A source that panics is dropped by the caller, so nobody sees the state it broke off in.
    let read = AssertUnwindSafe(|| source.read(machine, &mut assembler));
    let end = match catch_unwind(read) {
        Ok(Ok(())) => End::Complete,
        Ok(Err(reason)) => End::Failed(reason),
        Err(_) => End::Panicked,
    };
    let end = match (end, machine.meter().over()) {
        (End::Complete | End::Failed(_), Some(budget)) => End::OverBudget(budget),
        (end, _) => end,
    };
    let Some(reason) = end.blinds() else {
        return Ok((assembler.finish(&|part| source.covers(part))?, end));
    };
    drop(assembler);
    keep.abandon();
    Ok((Assembled::Anew(blind(&name, machine, keep, reason)?), end))
}
