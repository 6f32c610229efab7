//! The order of requests, as answers come in.

use super::*;
use driftline_protocol::ledger::Chain;
use driftline_protocol::manifest::ManifestDelta;
use driftline_protocol::snapshot::Domain;
use driftline_protocol::wire::Held;
use jiff::Timestamp;
use std::collections::BTreeMap;

fn source() -> SourceName {
    "files".parse().unwrap()
}

fn at(chance: u64) -> Moment {
    Moment { now_ms: 0, chance }
}

fn version(generation: u64) -> SectionVersion {
    let digest = Digest([1; 32]);
    let set = [("a".parse().unwrap(), digest)].into_iter().collect();
    SectionVersion {
        source: source(),
        domain: Domain::Config,
        generation: Generation(generation),
        chain_before: Chain(digest),
        chain: Chain(digest),
        coalesced: 0,
        expired: 0,
        observed_at: Timestamp::UNIX_EPOCH,
        observed_monotonic_ms: None,
        delta: ManifestDelta { base: None, set, unset: BTreeSet::new() },
        digest,
    }
}

fn greeting(generation: u64, want: &[(SourceName, Held)]) -> Answer {
    let answer = HeartbeatAnswer {
        epoch: 3,
        generation: Generation(generation),
        want: want.iter().cloned().collect::<BTreeMap<_, _>>(),
        next_ms: 60_000,
        defer_ms: None,
        cloned: false,
        collector_time: Timestamp::UNIX_EPOCH,
    };
    Answer::Heartbeat { generation: Generation(5), answer }
}

fn outcomes(outcomes: Vec<Outcome>) -> Answer {
    let sent = (1..=outcomes.len() as u64).map(version).collect();
    Answer::Report { sent, answer: ReportAnswer { epoch: 3, outcomes } }
}

fn greeted() -> Exchange {
    let mut exchange = Exchange::new(None, 60_000, 0);
    assert_eq!(exchange.next(0, 9), Next::Heartbeat);
    assert_eq!(exchange.answered(greeting(0, &[]), at(0)), [Effect::SawEpoch(3)]);
    exchange
}

#[test]
fn nothing_is_sent_before_the_host_is_enrolled_and_greeted() {
    let mut exchange = Exchange::new(Some(Proof::Secret), 60_000, 0);
    assert_eq!(exchange.next(0, 9), Next::Enrol(Proof::Secret));
    exchange.answered(Answer::Enrolled, at(0));
    assert_eq!(exchange.next(0, 9), Next::Heartbeat);
    exchange.answered(greeting(0, &[]), at(0));
    assert_eq!(exchange.next(0, 9), Next::Report);
    assert_eq!(exchange.next(0, 0), Next::Rest { until_ms: 60_000 });
}

#[test]
fn missing_parts_go_up_before_the_report_is_sent_again() {
    let mut exchange = greeted();
    let digests = vec![Digest([1; 32]), Digest([9; 32])];
    exchange.answered(outcomes(vec![Outcome::MissingParts { digests }]), at(0));
    assert_eq!(exchange.lacking(), [Digest([1; 32])], "a part nobody named is not sent");
    assert_eq!(exchange.next(0, 1), Next::Parts);
    exchange.answered(Answer::Parts(1), at(0));
    assert_eq!(exchange.next(0, 1), Next::Report);
    assert_eq!(exchange.lacking.capacity(), 0, "a list that was long is memory for good");
}

#[test]
fn a_version_behind_one_that_was_not_applied_is_not_acknowledged() {
    let held = Held { generation: Generation(0), digest: None };
    let answer = outcomes(vec![Outcome::BaseUnknown { held }, Outcome::Applied]);
    let effects = greeted().answered(answer, at(0));
    assert_eq!(effects, [Effect::SawEpoch(3), Effect::Reconcile(source(), held)]);
}

#[test]
fn a_refused_version_is_sent_whole_once_and_then_given_up() {
    let mut exchange = greeted();
    let refused = || outcomes(vec![Outcome::Refused { why: "no".into() }]);
    let whole = Effect::SendWhole(source(), "no".into());
    let given_up = Effect::GiveUp(source(), Generation(1), "no".into());
    assert_eq!(exchange.answered(refused(), at(0))[1..], std::slice::from_ref(&whole)[..]);
    assert_eq!(exchange.next(0, 1), Next::Report, "a refusal stops nothing");
    assert_eq!(exchange.answered(refused(), at(0))[1..], std::slice::from_ref(&given_up)[..]);
    assert_eq!(exchange.answered(refused(), at(0))[1..], [given_up], "a later change");
    exchange.answered(outcomes(vec![Outcome::Applied]), at(0));
    assert_eq!(exchange.answered(refused(), at(0))[1..], [whole]);
}

#[test]
fn a_section_that_was_given_up_is_offered_again_after_a_while() {
    let mut exchange = greeted();
    for _ in 0..2 {
        exchange.answered(outcomes(vec![Outcome::Refused { why: "no".into() }]), at(0));
    }
    let held = Held { generation: Generation(0), digest: None };
    let wanted = || greeting(0, &[(source(), held)]);
    let later = Moment { now_ms: REFUSED_MS, chance: 0 };
    assert_eq!(exchange.answered(wanted(), at(0))[1..], []);
    assert_eq!(exchange.answered(wanted(), later)[1..], [Effect::Reconcile(source(), held)]);
}

#[test]
fn a_later_generation_at_the_collector_is_jumped_before_anything_is_reconciled() {
    let held = Held { generation: Generation(7), digest: None };
    let effects = greeted().answered(greeting(7, &[(source(), held)]), at(0));
    let expected =
        [Effect::SawEpoch(3), Effect::JumpAbove(Generation(7)), Effect::Reconcile(source(), held)];
    assert_eq!(effects, expected);
}

#[test]
fn a_clone_enrols_anew_with_its_token_once() {
    let mut exchange = greeted();
    let clone = || Answer::Refused { code: ProblemCode::Clone, retry_after_ms: None };
    exchange.answered(clone(), at(0));
    assert_eq!(exchange.next(0, 0), Next::Enrol(Proof::Token));
    exchange.answered(clone(), at(0));
    assert!(matches!(exchange.next(0, 0), Next::Rest { until_ms } if until_ms >= 10_000));
}

#[test]
fn a_copy_whose_collector_forgot_it_speaks_again_and_can_be_told_again() {
    let mut exchange = greeted();
    let refused = |code| Answer::Refused { code, retry_after_ms: None };
    for round in 0..3 {
        let now_ms = round * 1_000_000;
        exchange.answered(refused(ProblemCode::Clone), Moment { now_ms, chance: 0 });
        assert_eq!(exchange.next(now_ms, 0), Next::Enrol(Proof::Token), "round {round}");
        exchange.answered(refused(ProblemCode::Unauthorised), Moment { now_ms, chance: 0 });
        let Next::Rest { until_ms } = exchange.next(now_ms, 0) else {
            panic!("a refusal is not waited out")
        };
        assert_eq!(exchange.next(until_ms, 0), Next::Heartbeat, "round {round}");
    }
}

/// What was asked, and when, while every request that `refused` names is refused as unauthorised.
fn refusing(
    exchange: &mut Exchange,
    until_ms: u64,
    refused: impl Fn(Next) -> bool,
) -> Vec<(u64, Next)> {
    let (mut now_ms, mut asked) = (0, Vec::new());
    while now_ms < until_ms {
        let next = exchange.next(now_ms, 0);
        if let Next::Rest { until_ms } = next {
            now_ms = until_ms;
            continue;
        }
        asked.push((now_ms, next));
        let answer = match next {
            next if refused(next) => {
                Answer::Refused { code: ProblemCode::Unauthorised, retry_after_ms: None }
            }
            Next::Enrol(_) => Answer::Enrolled,
            Next::Heartbeat | Next::Parts | Next::Report | Next::Rest { .. } => greeting(0, &[]),
        };
        exchange.answered(answer, Moment { now_ms, chance: 0 });
    }
    asked
}

#[test]
fn a_host_the_collector_forgot_enrols_again_after_some_refusals() {
    use Next::{Enrol, Heartbeat};
    let known = std::cell::Cell::new(false);
    let mut exchange = Exchange::new(None, 60_000, 0);
    let asked = refusing(&mut exchange, 400_000, |next| {
        known.set(known.get() || next == Enrol(Proof::Secret));
        !known.get()
    });
    let asked: Vec<Next> = asked.into_iter().map(|(_, next)| next).collect();
    let expected = [Heartbeat, Heartbeat, Heartbeat, Enrol(Proof::Secret), Heartbeat, Heartbeat];
    assert_eq!(asked[..expected.len()], expected);
    assert!(asked[expected.len()..].iter().all(|next| *next == Heartbeat), "{asked:?}");
}

#[test]
fn a_wrong_secret_or_a_token_that_is_never_taken_is_asked_ever_more_slowly() {
    for enrolments in [true, false] {
        let mut exchange = Exchange::new(None, 60_000, 0);
        let refused = |next| enrolments || next == Next::Heartbeat;
        let asked = refusing(&mut exchange, DAY_MS, refused);
        // One more request comes at once with each enrolment that is given.
        let most = 2 * usize::try_from(DAY_MS / REFUSED_MS).unwrap() + 20;
        assert!(asked.len() < most, "{} requests a day", asked.len());
        assert_eq!(asked[3].1, Next::Enrol(Proof::Secret));
        assert!(asked.iter().filter(|(_, next)| *next == Next::Heartbeat).count() > 60);
    }
}

#[test]
fn a_refusal_now_and_then_enrols_nobody() {
    let mut exchange = greeted();
    let refusal = || Answer::Refused { code: ProblemCode::Unauthorised, retry_after_ms: None };
    for _ in 0..10 * REFUSALS {
        (1..REFUSALS).for_each(|_| drop(exchange.answered(refusal(), at(0))));
        exchange.answered(greeting(0, &[]), at(0));
    }
    assert_eq!(exchange.next(10 * REFUSED_MS, 0), Next::Heartbeat);
    for code in [ProblemCode::Retired, ProblemCode::Malformed, ProblemCode::Busy] {
        let refusal = || Answer::Refused { code, retry_after_ms: None };
        (0..2 * REFUSALS).for_each(|_| drop(exchange.answered(refusal(), at(0))));
        assert_eq!(exchange.next(10 * REFUSED_MS, 0), Next::Heartbeat, "{code:?}");
    }
}

#[test]
fn retry_after_is_never_undercut() {
    for code in [ProblemCode::Busy, ProblemCode::Failed, ProblemCode::Unauthorised] {
        let mut exchange = greeted();
        exchange.answered(Answer::Refused { code, retry_after_ms: Some(30_000) }, at(17));
        assert!(matches!(exchange.next(29_999, 9), Next::Rest { .. }), "{code:?}");
    }
}

#[test]
fn failures_wait_longer_and_stay_bounded() {
    let mut exchange = greeted();
    for failure in 0..40u32 {
        exchange.answered(Answer::Unreachable, at(u64::MAX - 1));
        let Next::Rest { until_ms } = exchange.next(0, 9) else { panic!("no rest") };
        assert!(until_ms <= (BACKOFF_MS << failure.min(16)).min(BACKOFF_LIMIT_MS));
    }
}

#[test]
fn reports_that_bring_nothing_forward_end_in_a_rest() {
    let mut exchange = greeted();
    let held = Held { generation: Generation(0), digest: None };
    let mut sent = 0;
    while exchange.next(0, 1) == Next::Report {
        exchange.answered(outcomes(vec![Outcome::BaseUnknown { held }]), at(5));
        sent += 1;
    }
    assert_eq!(sent, FRUITLESS);
}

#[test]
fn over_plain_http_no_refusal_is_answered_with_the_secret() {
    let refused = |code| Answer::Refused { code, retry_after_ms: None };
    let mut exchange = Exchange::new(None, 60_000, 0).keeping_identity();
    for turn in 1..20_u64 {
        let at = Moment { now_ms: turn * ASKED_LIMIT_MS, chance: 0 };
        assert_eq!(exchange.next(at.now_ms, 9), Next::Heartbeat, "turn {turn}");
        assert_eq!(exchange.answered(refused(ProblemCode::Unauthorised), at), []);
    }
    assert!(exchange.stranded(), "somebody must be told");
    exchange.answered(greeting(0, &[]), at(0));
    assert!(!exchange.stranded(), "the collector is back");
    let first = Exchange::new(Some(Proof::Secret), 60_000, 0).keeping_identity();
    assert_eq!(first.next(0, 9), Next::Enrol(Proof::Secret), "the first enrolment is wanted");
}

#[test]
fn over_plain_http_nobody_makes_a_copy_of_a_host_by_saying_so() {
    let clone = || Answer::Refused { code: ProblemCode::Clone, retry_after_ms: None };
    let mut exchange = Exchange::new(None, 60_000, 0).keeping_identity();
    for turn in 1..20_u64 {
        let at = Moment { now_ms: turn * ASKED_LIMIT_MS, chance: 0 };
        assert_eq!(exchange.next(at.now_ms, 9), Next::Heartbeat, "turn {turn}");
        assert_eq!(exchange.answered(clone(), at), []);
        assert_eq!(exchange.stranded(), turn >= u64::from(REFUSALS), "turn {turn}");
    }
    exchange.answered(greeting(0, &[]), at(0));
    assert!(!exchange.stranded(), "the collector is back, and knows the host");
}

/// How often each request is made in `until_ms`, one after the other without a pause but those that
/// the exchange makes, where `answer` says what comes back.
fn counted(until_ms: u64, mut answer: impl FnMut(Next) -> Answer) -> BTreeMap<&'static str, u64> {
    let mut exchange = Exchange::new(None, 60_000, 0);
    let (mut now_ms, mut counts) = (0, BTreeMap::new());
    while now_ms < until_ms {
        let next = exchange.next(now_ms, 1);
        if let Next::Rest { until_ms } = next {
            now_ms = until_ms;
            continue;
        }
        // As fast as a disk is emptied and synced.
        now_ms += 10;
        *counts.entry(next.as_str()).or_default() += 1;
        exchange.answered(answer(next), Moment { now_ms, chance: 0 });
    }
    counts
}

const DAY_MS: u64 = 24 * 3_600_000;

#[test]
fn a_collector_that_gives_a_name_and_refuses_it_in_turn_is_asked_ever_more_slowly() {
    let clone = || Answer::Refused { code: ProblemCode::Clone, retry_after_ms: None };
    let refused = |next| if matches!(next, Next::Enrol(_)) { Answer::Enrolled } else { clone() };
    // Heartbeats and reports that are taken in between change nothing.
    let mut turn = 0;
    let between = |next| match next {
        Next::Enrol(_) => Answer::Enrolled,
        Next::Report => outcomes(vec![Outcome::Applied]),
        Next::Heartbeat | Next::Parts | Next::Rest { .. } => {
            turn += 1;
            if turn % 2 == 0 { clone() } else { greeting(0, &[]) }
        }
    };
    // One that takes a heartbeat does not know the token next.
    let mut turn = 0;
    let forgetful = |next| match next {
        Next::Enrol(_) => Answer::Enrolled,
        Next::Heartbeat | Next::Report | Next::Parts | Next::Rest { .. } => {
            turn += 1;
            let code = ProblemCode::Unauthorised;
            let refused = Answer::Refused { code, retry_after_ms: None };
            if turn % 4 == 1 { greeting(0, &[]) } else { refused }
        }
    };
    let days = [counted(DAY_MS, refused), counted(DAY_MS, between), counted(DAY_MS, forgetful)];
    for counts in days {
        let most = DAY_MS / REFUSED_MS * 2 + 20;
        assert!((10..most).contains(&counts["enrol"]), "{counts:?} a day");
    }
}

#[test]
fn a_heartbeat_is_sent_no_sooner_than_an_agent_may_be_configured_to() {
    for asked in [1, LEAST_HEARTBEAT_MS - 1, LEAST_HEARTBEAT_MS, u64::MAX] {
        let mut exchange = greeted();
        let Answer::Heartbeat { generation, mut answer } = greeting(0, &[]) else { panic!() };
        answer.next_ms = asked;
        exchange.answered(Answer::Heartbeat { generation, answer }, at(0));
        let until_ms = asked.clamp(LEAST_HEARTBEAT_MS, ASKED_LIMIT_MS);
        assert_eq!(exchange.next(0, 0), Next::Rest { until_ms }, "asked for {asked} ms");
    }
}

#[test]
fn a_part_is_uploaded_once_however_often_it_is_asked_for() {
    let mut exchange = greeted();
    let digests = vec![Digest([1; 32]); 9];
    exchange.answered(outcomes(vec![Outcome::MissingParts { digests }]), at(0));
    assert_eq!(exchange.lacking(), [Digest([1; 32])]);
}
