//! What is asked, what comes back and what it means: the words of the exchange.

use driftline_protocol::ids::{Generation, SourceName};
use driftline_protocol::wire::{HeartbeatAnswer, Held, ProblemCode, ReportAnswer, SectionVersion};

/// What to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask for an identity.
    Enrol(Proof),
    /// Say how everything stands.
    Heartbeat,
    /// Upload the parts in [`super::Exchange::lacking`].
    Parts,
    /// Send versions that wait.
    Report,
    /// Send nothing before this time.
    Rest {
        /// In milliseconds of the monotonic clock.
        until_ms: u64,
    },
}

impl Next {
    /// What it is called in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrol(_) => "enrol",
            Self::Heartbeat => "heartbeat",
            Self::Parts => "parts",
            Self::Report => "report",
            Self::Rest { .. } => "rest",
        }
    }
}

/// What an enrolment is proved by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The shared enrolment secret.
    Secret,
    /// The token of the identity this state was copied from.
    Token,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The host has an identity now.
    Enrolled,
    /// The heartbeat was taken; `generation` and `epoch` are what it said.
    Heartbeat {
        /// The newest generation the heartbeat named.
        generation: Generation,
        /// What came back.
        answer: HeartbeatAnswer,
    },
    /// This many of the lacking parts are durable.
    Parts(usize),
    /// What became of the versions that were sent.
    Report {
        /// The versions, in order.
        sent: Vec<SectionVersion>,
        /// What came back.
        answer: ReportAnswer,
    },
    /// Nothing waits after all, or it changed while it was read.
    Nothing,
    /// The collector refused.
    Refused {
        /// What kind of refusal.
        code: ProblemCode,
        /// From `Retry-After`, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// There was no answer, or none that makes sense.
    Unreachable,
}

/// What the shell must do with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The collector has the versions up to this one.
    Acknowledge(SourceName, Generation),
    /// The collector holds this of a section.
    Reconcile(SourceName, Held),
    /// The collector knows a later generation than ours.
    JumpAbove(Generation),
    /// The collector's store epoch.
    SawEpoch(u64),
    /// The collector refused what waits of a section, for this reason: send all of it anew.
    SendWhole(SourceName, String),
    /// It refused the whole section too: what waits up to this version goes nowhere.
    GiveUp(SourceName, Generation, String),
}

/// When an answer came, and the chance that spreads what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the monotonic clock, in milliseconds.
    pub now_ms: u64,
    /// A random number.
    pub chance: u64,
}
