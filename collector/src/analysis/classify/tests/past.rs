//! What the past of a value says of its next change: taken back, or back and forth.

use super::*;
use crate::analysis::classify::past::{TURNS_LEARNED, Turn, runs};

/// The past of an item whose values were `values`, an hour apart.
fn past(values: &[Item], class: Option<ChangeClass>, revert: SignedDuration) -> Past<'_> {
    let turn = |(number, pair)| turn(number, pair, class);
    let mut turns: Vec<Turn<'_>> = values.windows(2).enumerate().map(turn).collect();
    let run = runs(turns.iter().map(|turn| (turn.at, turn.before, turn.after)));
    turns.reverse();
    Past::new((turns, run.last().copied().unwrap_or_default()), revert)
}

fn turn(number: usize, pair: &[Item], class: Option<ChangeClass>) -> Turn<'_> {
    Turn {
        number: number as i64,
        at: at("2026-11-28T12:00:00Z") + SignedDuration::from_hours(number as i64),
        kind: ChangeKind::Modified,
        before: pair.first(),
        after: pair.get(1),
        class,
    }
}

#[test]
fn a_value_that_went_back_closes_what_it_undoes_unless_that_was_intended() {
    for (values, class, expect) in [
        (&["a", "b", "a"][..], Some(Unauthorised), &[0][..]),
        (&["a", "b", "c", "a"], None, &[1, 0]),
        (&["a", "b", "c", "b"], Some(Late), &[1]),
        (&["a", "b", "c"], Some(Unauthorised), &[]),
        (&["a", "b", "a"], Some(Expected), &[]),
        (&["a", "b", "a"], Some(Emergency), &[]),
        (&["a", "b"], None, &[]),
    ] {
        let items: Vec<Item> = values.iter().map(|value| item(value)).collect();
        let past = past(&items, class, SPANS.revert);
        assert_eq!(past.undone(), expect, "{values:?} {class:?}");
    }
    let items = ["a", "b", "a"].map(item);
    let late = past(&items, None, SignedDuration::from_secs(3_599));
    assert!(late.undone().is_empty(), "too late to be an undoing");
}

#[test]
fn flapping_is_learned_above_nine_in_ten_and_never_while_a_request_is_open() {
    let flips = |many: usize| -> Vec<Item> {
        (0..=many).map(|turn| item(if turn % 2 == 0 { "a" } else { "b" })).collect()
    };
    // The first change brings a new value; each after it is a turn.
    let enough = flips(TURNS_LEARNED + 2);
    let world = World::new("2026-11-28T22:30:00Z");
    let class = |items: &[Item], requests: &[ChangeRequest]| {
        let past = past(items, Some(Unauthorised), SPANS.revert);
        classify(&world.subject(), (&intent(requests), &past), None)
    };
    let learned = class(&enough, &[]);
    assert_eq!(learned.class, Some(Flapping));
    assert!(learned.says.contains("9 changes in a row"), "{}", learned.says);
    assert!(learned.says.contains("90 %"), "10 of 11 is above it: {}", learned.says);
    assert_eq!(class(&flips(TURNS_LEARNED + 1), &[]).class, Some(Reverted));
    let (_, closed) = windows(
        "[[blackout]]\nname = 'freeze'\nfrom = '2026-11-28T22:00'\nuntil = '2026-11-29T00:00'\n",
    );
    let forbidden = Intent { blackouts: &closed, ..intent(&[]) };
    let past = past(&enough, Some(Unauthorised), SPANS.revert);
    let decision = classify(&world.subject(), (&forbidden, &past), None);
    assert_eq!(decision.class, Some(Unauthorised), "no noise in a blackout");
    let open =
        ChangeRequest { approval: Approval::Requested, ..request("CHG1", &[("host", "sbc-1")]) };
    assert_ne!(class(&enough, &[open]).class, Some(Flapping));
    let mut new = enough;
    new.push(item("c"));
    assert_eq!(class(&new, &[]).class, Some(Unauthorised), "a new value is no noise");
    new.push(item("a"));
    assert_ne!(class(&new, &[]).class, Some(Flapping), "one new value begins the count anew");
}
