//! Any steps, and any acts of a writer, that a store may be given.

use super::*;

pub(super) fn findings() -> impl Strategy<Value = Vec<Finding>> {
    vec((0..2usize, 0..3usize, 0..3u8, 0..20i64).prop_map(finding), 0..3)
}

pub(super) fn sketches() -> impl Strategy<Value = Sketch> {
    let unread = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Unread::Content(Reason::Malformed))),
        1 => Just(Some(Unread::Whole(Reason::Denied))),
    ];
    let origin = prop_oneof![Just(Origin::First), Just(Origin::Agent), Just(Origin::Import)];
    let at = (0..2usize, 0..2usize, 0..9u64, 0..20i64, 0..20i64);
    let set = btree_map(0..4usize, (0..5u8, unread), 0..4);
    (at, any::<bool>(), set, btree_set(0..4usize, 0..3), origin).prop_map(
        |((host, source, generation, at, received), from_base, set, unset, origin)| Sketch {
            host,
            source,
            generation,
            from_base,
            set,
            unset,
            at,
            received,
            origin,
        },
    )
}

pub(super) fn cases() -> impl Strategy<Value = Step> {
    let place = (0..2u8, 0..4u8, 0..20i64, 20..40i64);
    let facts = (0..3u8, 0..4u8, any::<bool>());
    let reading = (0..2u8, 0..30i64, any::<bool>()).prop_map(|(source, at, whole)| {
        Step::CaseReading(CaseReading {
            source: format!("desk{source}"),
            at: second(at),
            good_through: whole.then(|| second(at - 1)),
            rows: 3,
            refused: u64::from(!whole),
            problem: if whole { String::new() } else { "it broke off".into() },
        })
    });
    prop_oneof![
        3 => vec((place, facts).prop_map(|(place, facts)| case(place, facts)), 1..6)
            .prop_map(Step::Cases),
        1 => reading,
    ]
}

pub(super) fn intents() -> impl Strategy<Value = Step> {
    let one = (0..3u8, (0..20i64, 1..9i64), any::<bool>());
    let judged = (0..30i64, proptest::option::of(0..12usize), 0..20i64);
    prop_oneof![
        vec(one.prop_map(|(id, span, approved)| request(id, span, approved)), 1..3)
            .prop_map(Step::ChangeRequests),
        vec((1..4i64, 1..4i64), 1..3).prop_map(Step::Reconsidered),
        vec(judged.prop_map(|(change, class, at)| judgement(change, class, at)), 1..6)
            .prop_map(Step::Judged),
        vec(weighings(), 1..6).prop_map(Step::Weighed),
        (1..4i64, 0..20i64, 0..3usize).prop_map(|(finding, at, act)| Step::Act(ActRecord {
            finding,
            at: second(at),
            who: "ada".into(),
            act: crate::store::Act::ALL[act],
            text: format!("at {at}"),
            opening: u32::try_from(at % 3).unwrap(),
        })),
    ]
}

fn weighings() -> impl Strategy<Value = Weighing> {
    let meant = (proptest::option::of(0..10usize), proptest::option::of(0..20i64));
    let of = (0..2usize, 0..3usize, 0..1u8, 0..20i64);
    (of, proptest::option::of(meant)).prop_map(|(of, meant)| Weighing {
        finding: finding(of).id,
        opened: second(of.3),
        meant: meant.map(|(class, settles)| Meant {
            decision: judgement(1, class, 1).classified.decision,
            change: Some(1),
            settles_at: settles.map(second),
        }),
    })
}

pub(super) fn suspect_steps() -> impl Strategy<Value = Step> {
    let of_pass = |number| {
        let input = serde_json::json!({ "number": number });
        Box::new(PassRecord { number, at: second(number), input, took_ms: 1 })
    };
    let said = |(suspect, confirmed): (i64, bool)| {
        let outcome = if confirmed { Outcome::Confirmed } else { Outcome::Rejected };
        Step::Outcome(OutcomeRecord {
            suspect,
            at: second(3),
            who: "ada".into(),
            outcome,
            reason: "seen".into(),
            kind: "files".into(),
            tier: Tier::Supported,
            score: Some(0.5),
        })
    };
    prop_oneof![
        3 => vec((0..4u8, 0..20i64, 0..4i64, 0..5usize), 1..4).prop_map(|all| {
            Step::Suspects(all.into_iter().map(|(k, at, p, t)| suspect(k, at, p, t)).collect())
        }),
        2 => (0..4i64, vec(0..4u8, 0..2)).prop_map(move |(number, gone)| {
            Step::Pass(of_pass(number), gone.iter().map(|key| format!("set-{key}")).collect())
        }),
        1 => (1..4i64, any::<bool>()).prop_map(said),
    ]
}

pub(super) fn steps() -> impl Strategy<Value = Step> {
    let approved = (1..30i64, 0..3usize, (0..2usize, 0..3u8), btree_map(0..4usize, 0..5u8, 0..3));
    prop_oneof![
        6 => (sketches(), findings()).prop_map(|(sketch, f)| version_step(&sketch, f)),
        1 => (0..2usize, 0..3u8, 0..20i64).prop_map(|(h, i, at)| Step::Host(host_record(h, i, at))),
        2 => approved.prop_map(|(number, subject, of, parts)| approval(number, subject, of, parts)),
        1 => findings().prop_map(Step::Findings),
        1 => (0..2usize, 0..2usize, 0..9u64).prop_map(|(of, from, delivered)| Step::Recount {
            host: host(of),
            source: source(from),
            delivered,
        }),
        2 => cases(),
        1 => (0..3u8, 0..20i64).prop_map(|(name, at)| Step::Exception(exception(name, at))),
        2 => suspect_steps(),
        3 => intents(),
        1 => (0..3u8).prop_map(|name| Step::Token(token(name))),
        1 => (0..3u8).prop_map(|name| Step::RemoveToken(format!("t{name}"))),
        1 => (proptest::option::of(0..2usize), 0..20i64)
            .prop_map(|(host, at)| Step::Event(event(host, at))),
    ]
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    Apply(Vec<Step>),
    Keep(Vec<u8>, i64),
    Seen(usize, i64),
    Expire(i64, i64),
    Reopen,
    Kill,
}

pub(super) fn acts() -> impl Strategy<Value = Vec<Act>> {
    vec(
        prop_oneof![
            5 => vec(steps(), 1..5).prop_map(Act::Apply),
            2 => (vec(0..5u8, 1..4), 0..5i64).prop_map(|(parts, at)| Act::Keep(parts, at * HOUR)),
            1 => (0..2usize, 0..30i64).prop_map(|(host, at)| Act::Seen(host, at)),
            2 => (0..20i64, 0..5i64).prop_map(|(before, now)| Act::Expire(before, now * HOUR)),
            1 => Just(Act::Reopen),
            1 => Just(Act::Kill),
        ],
        1..16,
    )
    .prop_map(numbered)
}

/// Approvals are numbered in their order, as whoever makes them sees to.
fn numbered(mut acts: Vec<Act>) -> Vec<Act> {
    let mut numbers = 1..;
    for act in &mut acts {
        let Act::Apply(steps) = act else { continue };
        for step in steps {
            if let (Step::Approve { approval, .. }, Some(number)) = (step, numbers.next()) {
                approval.number = number;
            }
        }
    }
    acts
}
