//! Who speaks under one host's name: one agent, the same restarted, a copy, or an older self. Pure.
//!
//! A session is one run of one agent. A session that follows another is a restart; two that go on
//! speaking are a clone, and the one that was first keeps the name. A message of an old session can
//! be on its way while the next one starts, so a session counts as still alive only when it is
//! heard [`ECHOES`] times after a later one began. An older state than we know, alone, is a machine
//! that was rolled back: it keeps its name.

use driftline_protocol::ids::SessionId;
use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;

use super::fleet::older_than;

/// How often an earlier session must be heard after a later one began to be alive beyond doubt: an
/// agent has one request under way, so a straggler comes once.
pub const ECHOES: u32 = 2;

/// The most sessions of one host that are remembered; more copies than these are told in a second
/// round.
pub const SESSIONS: usize = 8;

/// How often a copy may enrol once it was told to: answers can be lost on their way.
const ENROLMENTS: u32 = 4;

/// How many intervals without a word make a session silent.
pub const SILENT_INTERVALS: u64 = 2;

/// The sessions heard under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// In the order they began; the last is the current one.
    voices: Vec<Voice>,
    /// Sessions that were told to enrol anew, newest last.
    copies: Vec<SessionId>,
    /// How many enrolments those may still ask for.
    enrolments: u32,
    /// The session that came with an older state than known, until it is clear what it is.
    suspect: Option<SessionId>,
    /// The session whose first heartbeat was looked at; its state is compared once.
    judged: Option<SessionId>,
    /// The session of a host that was set back, as long as it speaks.
    set_back: Option<SessionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Voice {
    session: SessionId,
    last: Timestamp,
    echoes: u32,
}

/// What a message says about its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first session heard since the collector started.
    Fresh,
    /// The session that spoke before.
    Same,
    /// A session that follows another: an agent started again, unless the other goes on speaking.
    Restarted,
    /// The sender keeps the name; later sessions that speak under it are copies of it.
    Cloned,
    /// The sender is a copy and must enrol anew.
    Copy,
}

/// How what the sender knows stands to what we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As new as ours, of the agent state we know.
    Current,
    /// Older than ours, or of another agent state.
    Older,
}

impl Presence {
    /// Hears `session` at `now`.
    pub fn hear(&mut self, session: SessionId, now: Timestamp) -> Verdict {
        if mutant::active(Mutant::IgnoreSessions) {
            return Verdict::Same;
        }
        if self.copies.contains(&session) {
            return Verdict::Copy;
        }
        let last = self.voices.len().saturating_sub(1);
        let Some(place) = self.voices.iter().position(|voice| voice.session == session) else {
            let verdict = if self.voices.is_empty() { Verdict::Fresh } else { Verdict::Restarted };
            push_bounded(&mut self.voices, Voice { session, last: now, echoes: 0 });
            return verdict;
        };
        let Some(voice) = self.voices.get_mut(place) else { return Verdict::Same };
        voice.last = voice.last.max(now);
        if place == last {
            return Verdict::Same;
        }
        voice.echoes += 1;
        if voice.echoes < ECHOES {
            return Verdict::Same;
        }
        voice.echoes = 0;
        for copy in self.voices.split_off(place + 1) {
            push_bounded(&mut self.copies, copy.session);
            self.enrolments = self.enrolments.saturating_add(ENROLMENTS);
        }
        // Sessions before this one were silent while it spoke; should one come back, it was first.
        Verdict::Cloned
    }

    /// Whether `session`, which came with `state`, is the host itself in an older state. Says so
    /// once.
    ///
    /// Undecided (`false`) as long as another session may still be alive: then it may be a copy.
    pub fn rolled_back(
        &mut self,
        session: SessionId,
        state: State,
        (now, interval_ms): (Timestamp, u64),
    ) -> bool {
        if self.judged.replace(session) != Some(session) && state == State::Older {
            self.suspect = Some(session);
        }
        let silent_ms = interval_ms.saturating_mul(SILENT_INTERVALS);
        let alone = self
            .voices
            .iter()
            .all(|voice| voice.session == session || older_than(voice.last, now, silent_ms));
        if self.suspect != Some(session) || !alone {
            return false;
        }
        self.suspect = None;
        self.set_back = Some(session);
        true
    }

    /// Whether `session` came, or may have come, with an older state than ours: its generations may
    /// name other versions than ours of the same number.
    pub fn is_older(&self, session: SessionId) -> bool {
        self.suspect == Some(session) || self.set_back == Some(session)
    }

    /// Whether a copy that was told to enrol has not used up what it may ask for.
    pub fn may_enrol_copy(&self) -> bool {
        self.enrolments > 0
    }

    /// Notes that one of them did.
    pub fn enrolled_copy(&mut self) {
        self.enrolments = self.enrolments.saturating_sub(1);
    }

    /// Whether `session` speaks alone and its state was compared: hearing it again says nothing
    /// new.
    pub fn is_settled(&self, session: SessionId) -> bool {
        let speaks = self.voices.last().is_some_and(|voice| voice.session == session);
        speaks && self.judged == Some(session) && self.suspect.is_none()
    }

    /// Whether a copy of this host was told to enrol anew.
    pub fn has_copies(&self) -> bool {
        !self.copies.is_empty()
    }
}

fn push_bounded<T>(list: &mut Vec<T>, value: T) {
    if list.len() >= SESSIONS {
        list.remove(0);
    }
    list.push(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: u64 = 60_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// Who speaks at which second, and what it means.
    fn check(story: &[(u8, i64, Verdict)]) -> Presence {
        let mut presence = Presence::default();
        for (index, (who, second, verdict)) in story.iter().enumerate() {
            let heard = presence.hear(SessionId([*who; 16]), at(*second));
            assert_eq!(heard, *verdict, "message {index} of {who} at {second} s");
        }
        presence
    }

    #[test]
    fn an_agent_that_starts_again_is_no_clone() {
        use Verdict::{Fresh, Restarted, Same};
        let presence = check(&[(1, 0, Fresh), (1, 60, Same), (2, 70, Restarted), (2, 130, Same)]);
        assert!(!presence.has_copies());
    }

    #[test]
    fn a_straggler_of_the_last_run_is_no_clone() {
        use Verdict::{Fresh, Restarted, Same};
        check(&[(1, 0, Fresh), (2, 10, Restarted), (1, 11, Same), (2, 70, Same), (2, 130, Same)]);
    }

    #[test]
    fn of_two_that_go_on_speaking_the_first_keeps_the_name() {
        use Verdict::{Cloned, Copy, Fresh, Restarted, Same};
        check(&[
            (1, 0, Fresh),
            (2, 10, Restarted),
            (1, 60, Same),
            (2, 70, Same),
            (1, 120, Cloned),
            (2, 130, Copy),
            (1, 180, Same),
            (2, 190, Copy),
        ]);
    }

    #[test]
    fn of_three_that_go_on_speaking_the_first_keeps_the_name() {
        use Verdict::{Cloned, Copy, Fresh, Restarted, Same};
        check(&[
            (1, 0, Fresh),
            (2, 10, Restarted),
            (3, 20, Restarted),
            (1, 60, Same),
            (2, 70, Same),
            (3, 80, Same),
            (1, 120, Cloned),
            (2, 130, Copy),
            (3, 140, Copy),
        ]);
    }

    #[test]
    fn an_older_state_is_a_rollback_only_when_it_is_alone() {
        let (first, second) = (SessionId([1; 16]), SessionId([2; 16]));
        let mut presence = Presence::default();
        presence.hear(first, at(0));
        presence.hear(second, at(60));
        assert!(!presence.rolled_back(second, State::Older, (at(60), INTERVAL)));
        presence.hear(second, at(121));
        assert!(presence.rolled_back(second, State::Current, (at(121), INTERVAL)));
        presence.hear(second, at(180));
        assert!(!presence.rolled_back(second, State::Current, (at(180), INTERVAL)));
    }

    #[test]
    fn a_told_copy_enrols_a_bounded_number_of_hosts() {
        use Verdict::{Cloned, Fresh, Restarted, Same};
        let mut presence =
            check(&[(1, 0, Fresh), (2, 10, Restarted), (1, 60, Same), (1, 120, Cloned)]);
        let mut enrolled = 0;
        while presence.may_enrol_copy() && enrolled < 100 {
            presence.enrolled_copy();
            enrolled += 1;
        }
        assert_eq!(enrolled, ENROLMENTS);
        assert_eq!(presence.hear(SessionId([2; 16]), at(130)), Verdict::Copy);
        assert!(!presence.may_enrol_copy(), "being told again gives nothing new");
    }

    #[test]
    fn however_many_copies_speak_memory_is_bounded() {
        let mut presence = Presence::default();
        for round in 0..1_000_u16 {
            let mut id = [0; 16];
            id[..2].copy_from_slice(&(round % 100).to_le_bytes());
            presence.hear(SessionId(id), at(i64::from(round)));
        }
        assert!(presence.voices.len() <= SESSIONS && presence.copies.len() <= SESSIONS);
    }
}
