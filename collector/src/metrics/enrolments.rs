//! Enrolments that were refused, by why; in memory only.
//!
//! Who asks is nobody yet, and may be hostile: what is kept is one line for each reason of a closed
//! list, whatever is sent and however often, and of what he sent only what is a name of a host.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use driftline_protocol::ids::HostId;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::ProblemCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::writer::WriteError;

/// How often refusals for one reason are logged: a flood of them must not become a flood of lines.
/// The next line says how many there were since the one before, and the counter counts each.
const LOGGED_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// How long a refused enrolment is told, unless its host enrols before.
const TOLD: SignedDuration = SignedDuration::from_hours(24);

/// Why an enrolment was refused; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Neither a secret nor a token came with it.
    NoSecret,
    /// What came with it is neither the secret nor a token of scope `enrol`.
    WrongSecret,
    /// It was the secret, or such a token, and has ended.
    Expired,
    /// A secret came, and the collector has none.
    NoneSet,
    /// A host's token came, and its holder was not told that it is a copy.
    NotACopy,
    /// The host it is a copy of was retired.
    Retired,
    /// There are as many hosts as there may be.
    Full,
    /// The agent is newer than the collector.
    Version,
    /// It is not the message it should be, or too large.
    Malformed,
    /// The collector had too much to do.
    Busy,
    /// The collector failed.
    Failed,
}

impl Why {
    /// Every reason, in the order of the metric reference.
    pub const ALL: [Self; 11] = [
        Self::NoSecret,
        Self::WrongSecret,
        Self::Expired,
        Self::NoneSet,
        Self::NotACopy,
        Self::Retired,
        Self::Full,
        Self::Version,
        Self::Malformed,
        Self::Busy,
        Self::Failed,
    ];

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSecret => "no_secret",
            Self::WrongSecret => "wrong_secret",
            Self::Expired => "expired",
            Self::NoneSet => "none_set",
            Self::NotACopy => "not_a_copy",
            Self::Retired => "retired",
            Self::Full => "full",
            Self::Version => "version",
            Self::Malformed => "malformed",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }

    /// What to do about it, for whoever runs the collector.
    pub fn cure(self) -> &'static str {
        match self {
            Self::NoSecret => "set `enrolment_secret_file` in the configuration of that agent",
            Self::WrongSecret => {
                "put the collector's enrolment secret, or a token of scope `enrol`, into the file \
                 that `enrolment_secret_file` of that agent names; a secret that was changed \
                 counts after `systemctl restart driftline-collector`"
            }
            Self::Expired => {
                "the enrolment secret or the token of scope `enrol` has ended: make another, here \
                 and where agents are installed from"
            }
            Self::NoneSet => {
                "this collector has no enrolment secret: set `enrolment_secret_file` in its \
                 configuration, or give agents a token of scope `enrol`"
            }
            Self::NotACopy => {
                "the machine holds the token of a host: if it is a copy of that host, remove its \
                 agent's state folder and enrol it with the secret"
            }
            Self::Retired => {
                "the host it is a copy of was retired: remove the agent's state folder there, and \
                 enrol it with the secret"
            }
            Self::Full => "as many hosts are known as may be: raise `max_hosts` or retire some",
            Self::Version => "the agent is newer than this collector: upgrade the collector first",
            Self::Malformed => "what came is no message of an agent: see who asks",
            Self::Busy => "the collector had too much to do; agents ask again by themselves",
            Self::Failed => "the collector failed; its log says how",
        }
    }

    /// Whether the collector's own configuration or state is the reason. The others anybody can
    /// bring about who reaches the port.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Expired | Self::NoneSet | Self::Full | Self::Failed)
    }

    /// Why a message was refused before anybody decided on it.
    pub fn of_code(code: ProblemCode) -> Self {
        match code {
            ProblemCode::TooLarge | ProblemCode::Malformed => Self::Malformed,
            ProblemCode::Version => Self::Version,
            ProblemCode::Busy => Self::Busy,
            ProblemCode::Retired => Self::Retired,
            ProblemCode::Unauthorised | ProblemCode::NotFound | ProblemCode::Clone => {
                Self::NotACopy
            }
            ProblemCode::Failed | ProblemCode::Forbidden | ProblemCode::Conflict => Self::Failed,
        }
    }

    /// Why the writer refused it.
    pub fn of_write(error: &WriteError) -> Self {
        match error {
            WriteError::Busy => Self::Busy,
            WriteError::Failed => Self::Failed,
            // Whoever is too many is refused by what is known, not by who waits.
            WriteError::Refused(problem) if problem.code == ProblemCode::Busy => Self::Full,
            WriteError::Refused(problem) => Self::of_code(problem.code),
        }
    }

    fn place(self) -> usize {
        Self::ALL.iter().position(|why| *why == self).unwrap_or_default()
    }
}

/// Who was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asker {
    /// What it called itself, as far as that was read; anybody can call himself anything.
    pub host: Option<HostId>,
    /// Where it asked from; a proxy's address behind a proxy.
    pub from: Option<IpAddr>,
}

/// Refusals for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The word of the reason.
    pub reason: &'static str,
    /// How many there were since the collector started.
    pub count: u64,
    /// When the newest was.
    pub last_at: Timestamp,
    /// Who that was.
    #[serde(flatten)]
    pub last: Asker,
    /// What to do about it.
    pub cure: &'static str,
    /// Whether the collector's own configuration or state is the reason.
    pub ours: bool,
}

/// The newest refusal for one reason.
#[derive(Clone, Debug)]
struct Newest {
    at: Timestamp,
    asker: Asker,
    logged_at: Timestamp,
    /// How many were not logged since then.
    unlogged: u64,
    /// Whether the same name has enrolled since.
    mended: bool,
}

/// Refused enrolments since the start, by reason.
#[derive(Default)]
pub struct Enrolments {
    counts: [AtomicU64; Why::ALL.len()],
    newest: Mutex<[Option<Newest>; Why::ALL.len()]>,
}

impl Enrolments {
    /// Counts a refusal. Gives how many there were that no line of the log told, this one included,
    /// when a line is due.
    pub fn refused(&self, why: Why, asker: Asker, now: Timestamp) -> Option<u64> {
        if let Some(count) = self.counts.get(why.place()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = newest.get_mut(why.place())?;
        let (logged_at, unlogged) = match slot {
            Some(last) => (Some(last.logged_at), last.unlogged + 1),
            None => (None, 1),
        };
        let due = logged_at.is_none_or(|at| now.duration_since(at) >= LOGGED_EVERY)
            || mutant::active(Mutant::EveryRefusalIsLogged);
        let (logged_at, left) = if due { (now, 0) } else { (logged_at?, unlogged) };
        *slot = Some(Newest { at: now, asker, logged_at, unlogged: left, mended: false });
        due.then_some(unlogged)
    }

    /// Notes that `host` enrolled: what was refused of it is nobody's concern any more.
    pub fn enrolled(&self, host: &HostId) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        for last in newest.iter_mut().flatten() {
            last.mended |= last.asker.host.as_ref() == Some(host);
        }
    }

    /// How many there were for `why` since the start.
    pub fn count(&self, why: Why) -> u64 {
        self.counts.get(why.place()).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// The reasons whose newest refusal is of the day before `now` and not mended, with who that
    /// was.
    pub fn standing(&self, now: Timestamp) -> Vec<Refused> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(why, last): (&Why, &Option<Newest>)| {
            let told = |last: &&Newest| !last.mended && now.duration_since(last.at) <= TOLD;
            let last = last.as_ref().filter(told)?;
            Some(Refused {
                reason: why.as_str(),
                count: self.count(*why),
                last_at: last.at,
                last: last.asker.clone(),
                cure: why.cure(),
                ours: why.is_ours(),
            })
        };
        Why::ALL.iter().zip(newest.iter()).filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn asker(host: &str) -> Asker {
        Asker { host: Some(host.parse().unwrap()), from: Some([192, 0, 2, 7].into()) }
    }

    #[test]
    fn a_flood_of_refusals_is_a_line_a_minute_and_a_whole_count() {
        let refused = Enrolments::default();
        let mut lines = Vec::new();
        for second in 0..150 {
            for why in [Why::WrongSecret, Why::Full] {
                let host = asker(&format!("h{second}"));
                lines.extend(refused.refused(why, host, at(second)).map(|many| (why, many)));
            }
        }
        let expect = [1, 60, 60].map(|many| [(Why::WrongSecret, many), (Why::Full, many)]);
        assert_eq!(lines, expect.concat());
        assert_eq!(refused.count(Why::Full), 150);
        let standing = refused.standing(at(150));
        assert_eq!(standing.len(), 2, "one for each reason, however many asked: {standing:?}");
        assert_eq!((standing[0].reason, &standing[0].last), ("wrong_secret", &asker("h149")));
    }

    #[test]
    fn who_enrols_after_all_is_told_of_no_more() {
        let refused = Enrolments::default();
        refused.refused(Why::WrongSecret, asker("web"), at(0));
        refused.enrolled(&"other".parse().unwrap());
        assert_eq!(refused.standing(at(2)).len(), 1);
        refused.enrolled(&"web".parse().unwrap());
        assert_eq!((refused.standing(at(2)), refused.count(Why::WrongSecret)), (Vec::new(), 1));
        refused.refused(Why::WrongSecret, asker("web"), at(1));
        assert_eq!(refused.standing(at(2)).len(), 1, "and is when it is refused again");
        assert!(refused.standing(at(86_402)).is_empty(), "a day later it is old");
    }
}
