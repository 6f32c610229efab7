//! `diff` against its table, against `apply`, and against an oracle written another way.

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::{FingerprintDigest, KeyId};
use driftline_protocol::item::Fingerprint;
use driftline_protocol::snapshot::{Reading, Reason};
use proptest::prelude::*;

use super::*;
use crate::analysis::apply::apply;

fn part() -> PartName {
    "/etc/app.conf".parse().unwrap()
}

fn key(text: &str) -> ItemKey {
    ItemKey::try_from(text.to_owned()).unwrap()
}

fn raw(key: u8, digest: u8) -> Option<Fingerprint> {
    Some(Fingerprint { key: KeyId([key; 8]), digest: FingerprintDigest([digest; 16]) })
}

/// What was read: `name=value` items, raw digest under a key, and the parser's version.
fn read(items: &[(&str, i64)], raw: Option<Fingerprint>, version: u32) -> Observed {
    let item = |value: i64| Item { value: ItemValue::Integer(value), rank: None };
    Observed {
        reading: Reading { parser: "ini".into(), version, scope: scope_digest([""; 0]) },
        raw,
        size: None,
        content: Content::Read,
        items: items.iter().map(|(name, value)| (key(name), item(*value))).collect(),
    }
}

fn unread(items: &[(&str, i64)], raw: Option<Fingerprint>) -> Observed {
    Observed { content: Content::Unread(Reason::Malformed), ..read(items, raw, 1) }
}

/// What is known when `observed` was the only observation.
fn known(observed: &Observed) -> Known<'_> {
    let read = (observed.content == Content::Read).then_some(observed);
    Known { seen: Some(observed), read }
}

fn check(before: Known<'_>, after: Option<Part>, expected: &[&str]) {
    let changes = diff(&part(), before, after.as_ref());
    let name = |change: &Change| {
        let key = change.key.as_ref().map_or("-", ItemKey::as_str);
        format!("{} {key}", change.kind.as_str())
    };
    let changes: Vec<String> = changes.iter().map(name).collect();
    assert_eq!(changes, expected, "{before:?} then {after:?}");
}

#[test]
fn unobserved_is_not_absent() {
    let before = read(&[("@mode", 644), ("a", 1)], raw(1, 1), 1);
    let attributes = unread(&[("@mode", 600)], raw(1, 2));
    check(known(&before), Some(Part::Unobserved(Reason::Denied)), &[]);
    check(known(&before), Some(Part::Observed(attributes.clone())), &["modified @mode"]);
    // Read again after it could not be: content against when it was read, attributes against when
    // seen.
    let between = Known { seen: Some(&attributes), read: Some(&before) };
    let after = read(&[("@mode", 600), ("a", 2)], raw(1, 3), 1);
    check(between, Some(Part::Observed(after)), &["modified a"]);
}

#[test]
fn content_seen_for_the_first_time_was_unknown_and_not_absent() {
    let before = unread(&[("@mode", 644)], raw(1, 1));
    let after = read(&[("@mode", 644), ("a", 1)], raw(1, 1), 1);
    check(known(&before), Some(Part::Observed(after)), &[]);
}

#[test]
fn a_file_that_nobody_can_read_still_reports_that_its_bytes_differ() {
    let before = unread(&[("@mode", 644)], raw(1, 1));
    let same = |digest| Some(Part::Observed(unread(&[("@mode", 644)], digest)));
    check(known(&before), same(raw(1, 1)), &[]);
    check(known(&before), same(raw(1, 2)), &["modified -"]);
    check(known(&before), same(raw(2, 2)), &[]);
    check(known(&before), same(None), &[]);
}

#[test]
fn a_part_comes_and_goes_with_its_items() {
    let there = read(&[("@mode", 644), ("a", 1)], raw(1, 1), 1);
    check(Known::default(), Some(Part::Observed(there.clone())), &["added @mode", "added a"]);
    check(known(&there), None, &["removed @mode", "removed a"]);
    check(Known::default(), None, &[]);
}

#[test]
fn cosmetic_is_not_drift() {
    let before = read(&[("a", 1)], raw(1, 1), 1);
    let mut after = read(&[("a", 1)], raw(1, 2), 1);
    check(known(&before), Some(Part::Observed(after.clone())), &["cosmetic -"]);
    after.raw = raw(1, 1);
    after.size = Some(99);
    check(known(&before), Some(Part::Observed(after)), &[]);
}

#[test]
fn seeing_differently_is_not_change() {
    let before = read(&[("@mode", 644), ("a", 1)], raw(1, 1), 1);
    let now =
        |digest, version| Some(Part::Observed(read(&[("@mode", 600), ("b", 2)], digest, version)));
    check(known(&before), now(raw(1, 1), 2), &["recast -", "modified @mode"]);
    check(known(&before), now(raw(1, 2), 2), &["recast -", "modified @mode"]);
    let changes = diff(&part(), known(&before), now(raw(1, 2), 2).as_ref());
    assert!(changes[0].before.is_some() && changes[0].after != changes[0].before);
    let same_items = read(&[("@mode", 644), ("a", 1)], raw(2, 1), 1);
    check(known(&before), Some(Part::Observed(same_items)), &["recast -"]);
}

#[test]
fn fingerprints_under_different_keys_are_never_a_change() {
    let secret = |key_id, digest| {
        let mut observed = read(&[("a", 1)], raw(key_id, 1), 1);
        let fingerprint = raw(key_id, digest).map(ItemValue::Fingerprint).unwrap();
        observed.items.insert(key("password"), Item { value: fingerprint, rank: None });
        observed
    };
    check(known(&secret(1, 1)), Some(Part::Observed(secret(2, 9))), &["recast password"]);
    check(known(&secret(1, 1)), Some(Part::Observed(secret(1, 9))), &["modified password"]);
}

/// Any items: some ordered, some attributes, few enough keys that two draws overlap.
fn items() -> impl Strategy<Value = Items> {
    let item = (0..3i64, any::<bool>(), any::<u16>());
    let keys = prop_oneof!["[a-h]", "@[mo]"];
    proptest::collection::btree_map(keys, item, 0..12).prop_map(|drawn| {
        let mut order: Vec<(u16, &String)> = drawn
            .iter()
            .filter(|(name, (_, ordered, _))| *ordered && !name.starts_with('@'))
            .map(|(name, (_, _, place))| (*place, name))
            .collect();
        order.sort();
        let rank = |name: &String| order.iter().position(|(_, other)| *other == name);
        let rank = |name: &String| rank(name).map(|rank| u32::try_from(rank).unwrap());
        let item = |name, value| Item { value: ItemValue::Integer(value), rank: rank(name) };
        drawn.iter().map(|(name, (value, ..))| (key(name), item(name, *value))).collect()
    })
}

fn observed(items: &Items) -> Observed {
    Observed { items: items.clone(), ..read(&[], raw(1, 1), 1) }
}

/// How many changes of each kind there must be: every key looked up on both sides, and the longest
/// run that kept its order found by trying every end.
fn oracle(before: &Items, after: &Items) -> [usize; 4] {
    let keys: BTreeSet<&ItemKey> = before.keys().chain(after.keys()).collect();
    let [mut added, mut removed, mut modified, mut moved] = [0; 4];
    let mut stayed = Vec::new();
    for key in keys {
        match (before.get(key), after.get(key)) {
            (None, _) => added += 1,
            (_, None) => removed += 1,
            (Some(was), Some(is)) if was.value != is.value => modified += 1,
            (Some(was), Some(is)) => match (was.rank, is.rank) {
                (Some(from), Some(to)) => stayed.push((from, to)),
                (None, None) => {}
                _ => moved += 1,
            },
        }
    }
    stayed.sort();
    let mut runs: Vec<usize> = Vec::new();
    for (i, (_, to)) in stayed.iter().enumerate() {
        let before = (0..i).filter(|j| stayed[*j].1 < *to).map(|j| runs[j]).max();
        runs.push(before.unwrap_or(0) + 1);
    }
    moved += stayed.len() - runs.into_iter().max().unwrap_or(0);
    [added, removed, modified, moved]
}

proptest! {
    #[test]
    fn changes_applied_to_the_items_before_give_the_items_after(a in items(), b in items()) {
        let (before, after) = (observed(&a), Part::Observed(observed(&b)));
        let changes = diff(&part(), known(&before), Some(&after));
        prop_assert_eq!(apply(&a, &changes), b);
    }

    #[test]
    fn what_goes_can_be_applied_too(a in items()) {
        let before = observed(&a);
        prop_assert_eq!(apply(&a, &diff(&part(), known(&before), None)), Items::new());
        let same = Part::Observed(before.clone());
        prop_assert_eq!(diff(&part(), known(&before), Some(&same)), vec![]);
    }

    #[test]
    fn the_oracle_counts_the_same_changes(a in items(), b in items()) {
        let (before, after) = (observed(&a), Part::Observed(observed(&b)));
        let changes = diff(&part(), known(&before), Some(&after));
        let count = |kind| changes.iter().filter(|change| change.kind == kind).count();
        use ChangeKind::{Added, Modified, Moved, Removed};
        prop_assert_eq!([Added, Removed, Modified, Moved].map(count), oracle(&a, &b));
    }

    #[test]
    fn what_is_unread_changes_no_content_item(a in items(), b in items()) {
        let mut after = observed(&b);
        after.items.retain(|key, _| key.is_attribute());
        after.content = Content::Unread(Reason::TooLarge);
        let before = observed(&a);
        let changes = diff(&part(), known(&before), Some(&Part::Observed(after)));
        prop_assert!(changes.iter().all(|c| c.key.as_ref().is_some_and(ItemKey::is_attribute)));
    }
}
