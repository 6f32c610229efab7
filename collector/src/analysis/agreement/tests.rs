//! What was agreed, held against the plainest reading of the list of approvals.

use driftline_protocol::canonical;
use driftline_protocol::item::{Item, ItemValue};
use driftline_protocol::snapshot::{Content, Domain, Observed, Part, Reading};
use jiff::Timestamp;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::analysis::drift::{Desired, PartView, judge};
use crate::analysis::finding::Finding;

const PARTS: [&str; 4] = ["/etc/a", "/etc/b", "/etc/sip/c", "/etc/sip/d"];
const PATTERNS: [&str; 4] = ["*", "/etc/sip/*", "/etc/?", "/etc/b"];

fn part(index: usize) -> PartName {
    PARTS[index].parse().unwrap()
}

fn covers() -> impl Strategy<Value = Covers> {
    let digest = || (0..5_u8).prop_map(|number| Digest([number; 32]));
    prop_oneof![
        (0..4_usize, btree_map((0..4_usize).prop_map(part), digest(), 0..4)).prop_map(
            |(pattern, mut parts)| {
                let pattern = PATTERNS[pattern].to_owned();
                parts.retain(|part, _| matches(&pattern, part.as_str()));
                Covers::All { pattern, parts }
            }
        ),
        btree_map((0..4_usize).prop_map(part), proptest::option::of(digest()), 1..3)
            .prop_map(Covers::Parts),
    ]
}

/// What an approval says of a part by itself; `None` when it does not speak of it.
fn said(covers: &Covers, part: &PartName) -> Option<Option<Digest>> {
    match covers {
        Covers::All { pattern, parts } => {
            matches(pattern, part.as_str()).then(|| parts.get(part).copied())
        }
        Covers::Parts(parts) => parts.get(part).copied(),
    }
}

proptest! {
    #[test]
    fn the_newest_approval_that_speaks_of_a_part_counts(approvals in vec(covers(), 0..12)) {
        let mut layer = Layer::default();
        for (number, covers) in (1..).zip(&approvals) {
            layer.agree(number, covers);
        }
        for part in (0..PARTS.len()).map(part) {
            let numbered = (1_i64..).zip(&approvals).collect::<Vec<_>>();
            let newest = numbered.iter().rev().find_map(|(approval, covers)| {
                Some(Agreed { approval: *approval, digest: said(covers, &part)? })
            });
            prop_assert_eq!(layer.says(&part), newest, "{}", part);
        }
    }

    #[test]
    fn accepting_a_drift_ends_it_and_opens_none(
        (agreed, current) in (items(), items()),
        which in any::<prop::sample::Index>(),
    ) {
        let (agreed, current) = (observed(&agreed), observed(&current));
        let before = drifts(&agreed, &current);
        prop_assume!(!before.is_empty());
        let accepted = &before[which.index(before.len())];
        let key = accepted.id.key.clone().unwrap();
        let present = Part::Observed(current.clone());
        let next = with_item(&agreed, Some(&present), (&key, accepted.current.as_ref()));
        let after = drifts(&next, &current);
        prop_assert!(after.iter().all(|drift| drift.id.key.as_ref() != Some(&key)), "{:?}", after);
        prop_assert!(after.len() < before.len(), "{:?} became {:?}", before, after);
    }

    #[test]
    fn an_item_without_a_place_takes_nothing_else_with_it(
        (agreed, current) in (plain(), plain()),
        which in any::<prop::sample::Index>(),
    ) {
        let (agreed, current) = (observed(&agreed), observed(&current));
        let mut expected = drifts(&agreed, &current);
        prop_assume!(!expected.is_empty());
        let accepted = expected.remove(which.index(expected.len()));
        let key = accepted.id.key.clone().unwrap();
        let next = with_item(&agreed, None, (&key, accepted.current.as_ref()));
        prop_assert_eq!(drifts(&next, &current), expected);
    }
}

/// Items by key: a value, and whether order counts for it.
type Listed = Vec<(u8, u8, bool)>;

fn items() -> impl Strategy<Value = Listed> {
    vec((0..7_u8, 0..2_u8, prop::bool::weighted(0.8)), 0..7).prop_shuffle()
}

fn plain() -> impl Strategy<Value = Listed> {
    vec((0..7_u8, 0..2_u8, Just(false)), 0..7)
}

/// A part with these items, in this order; of a key that comes twice the last counts.
fn observed(listed: &Listed) -> Observed {
    let mut items = driftline_protocol::item::Items::new();
    for (rank, (key, value, ordered)) in (0..).zip(listed) {
        let value = ItemValue::Integer(i64::from(*value));
        let item = Item { value, rank: ordered.then_some(rank) };
        items.insert(ItemKey::of([format!("k{key}").as_str()]), item);
    }
    Observed {
        reading: Reading {
            parser: "ini".into(),
            version: 1,
            scope: canonical::scope_digest([""; 0]),
        },
        raw: None,
        size: None,
        content: Content::Read,
        items,
    }
}

fn drifts(agreed: &Observed, current: &Observed) -> Vec<Finding> {
    let (agreed, current) = (Part::Observed(agreed.clone()), Part::Observed(current.clone()));
    let (host, source, part) = ("pbx".parse().unwrap(), "files".parse().unwrap(), part(0));
    let view = PartView {
        host: &host,
        source: &source,
        domain: Domain::Config,
        part: &part,
        desired: Desired::Part(&agreed),
        current: Some(&current),
        exempt: &[],
        now: Timestamp::UNIX_EPOCH,
    };
    judge(&view, [])
}

#[test]
fn a_subject_is_a_host_or_a_group_by_its_sign() {
    for (text, expect) in [
        ("sbc1", Some(Subject::Host("sbc1".parse().unwrap()))),
        ("@Edge SBCs", Some(Subject::Group("Edge SBCs".into()))),
        ("@", None),
        ("", None),
        ("sbc 1", None),
    ] {
        assert_eq!(text.parse().ok(), expect, "{text}");
    }
    let group = Subject::Group("edge".into());
    assert_eq!(serde_json::to_string(&group).unwrap(), "\"@edge\"");
}

#[test]
fn an_exemption_is_of_what_it_names() {
    let exemption = |part: Option<&str>, key: Option<&str>| Exemption {
        source: Some("files".parse().unwrap()),
        part: part.map(str::to_owned),
        key: key.map(str::to_owned),
    };
    let (files, os) = ("files".parse().unwrap(), "os".parse().unwrap());
    let key = ItemKey::of(["bindaddr"]);
    let of_address = exemption(Some("/etc/sip/*"), Some("bind*"));
    assert!(of_address.holds(&files, &part(2), Some(&key)));
    assert!(!of_address.holds(&files, &part(2), None), "the part must be there all the same");
    assert!(!of_address.holds(&files, &part(0), Some(&key)));
    assert!(!of_address.holds(&os, &part(2), Some(&key)));
    assert!(exemption(Some("/etc/a"), None).holds(&files, &part(0), None));
    assert!(!Exemption { source: None, part: Some("**".into()), key: None }.names_something());
    assert!(!Exemption::default().names_something());
}

#[test]
fn a_layer_counts_before_another_for_what_both_speak_of_and_it_agreed_to_later() {
    let all = |parts: &[usize]| Covers::All {
        pattern: EVERYTHING.to_owned(),
        parts: parts.iter().map(|index| (part(*index), Digest([1; 32]))).collect(),
    };
    let one = Covers::Parts([(part(0), Some(Digest([2; 32])))].into());
    let layer = |approvals: &[(i64, &Covers)]| {
        let mut layer = Layer::default();
        for (number, covers) in approvals {
            layer.agree(*number, covers);
        }
        layer
    };
    let group = layer(&[(5, &all(&[0, 1]))]);
    for (approvals, expect) in [
        (&[(4, &all(&[0, 1, 2]))][..], 0),
        (&[(6, &all(&[0, 1, 2]))][..], 3),
        (&[(4, &all(&[0, 1])), (6, &one)][..], 1),
        (&[(6, &one)][..], 1),
        (&[][..], 0),
    ] {
        assert_eq!(layer(approvals).counts_before(&group), expect, "{approvals:?}");
    }
    assert_eq!(layer(&[(6, &all(&[0]))]).counts_before(&layer(&[(5, &one)])), 1);
}
