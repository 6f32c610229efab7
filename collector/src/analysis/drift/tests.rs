//! Drift and the built-in deviation, as stories: a baseline, then one observation after the other.

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::{FingerprintDigest, KeyId};
use driftline_protocol::item::Fingerprint;
use driftline_protocol::snapshot::{Reading, Reason};

use super::*;
use crate::analysis::policy;

const DENIED: Option<Part> = Some(Part::Unobserved(Reason::Denied));

fn part(items: &[(&str, i64)], version: u32, content: Content) -> Option<Part> {
    let item = |value: i64| Item { value: ItemValue::Integer(value), rank: None };
    let key = |name: &str| ItemKey::try_from(name.to_owned()).unwrap();
    Some(Part::Observed(Observed {
        reading: Reading { parser: "ini".into(), version, scope: scope_digest([""; 0]) },
        raw: Some(Fingerprint { key: KeyId([1; 8]), digest: FingerprintDigest([1; 16]) }),
        size: None,
        content,
        items: items.iter().map(|(name, value)| (key(name), item(*value))).collect(),
    }))
}

fn read(items: &[(&str, i64)]) -> Option<Part> {
    part(items, 1, Content::Read)
}

fn malformed(items: &[(&str, i64)]) -> Option<Part> {
    part(items, 1, Content::Unread(Reason::Malformed))
}

/// After each observation, the keys of the findings that are open.
fn check(domain: Domain, desired: Desired<'_>, story: &[(Option<Part>, &[&str])]) -> Vec<Finding> {
    let (host, source) = ("pbx".parse().unwrap(), "files".parse().unwrap());
    let name = "/etc/app.conf".parse().unwrap();
    let mut open: BTreeMap<FindingId, Finding> = BTreeMap::new();
    for (index, (current, expected)) in story.iter().enumerate() {
        let view = PartView {
            host: &host,
            source: &source,
            domain,
            part: &name,
            desired,
            current: current.as_ref(),
            exempt: &[],
            now: Timestamp::from_second(index as i64).unwrap(),
        };
        let mut findings = judge(&view, open.values());
        findings.extend(policy::malformed(&view, open.values()));
        for finding in findings {
            match finding.status {
                Status::Open => open.insert(finding.id.clone(), finding),
                Status::Resolved { .. } => open.remove(&finding.id),
            };
        }
        let key = |id: &FindingId| match id.kind {
            FindingKind::Drift => id.key.as_ref().map_or("part", ItemKey::as_str).to_owned(),
            FindingKind::Deviation | FindingKind::Discrepancy => "malformed".to_owned(),
        };
        let keys: Vec<String> = open.keys().map(key).collect();
        assert_eq!(keys, *expected, "after observation {index}, {current:?}");
    }
    open.into_values().collect()
}

#[test]
fn a_drift_keeps_its_first_day_until_it_returns() {
    let baseline = read(&[("a", 1), ("b", 1)]).unwrap();
    let story = [
        (read(&[("a", 1), ("b", 1)]), &[][..]),
        (read(&[("a", 2), ("b", 1)]), &["a"]),
        (read(&[("a", 3), ("b", 1)]), &["a"]),
    ];
    let open = check(Domain::Config, Desired::Part(&baseline), &story);
    assert_eq!(open[0].first_seen, Timestamp::from_second(1).unwrap());
    assert_eq!(open[0].current.as_ref().unwrap().value, ItemValue::Integer(3));
    let back = [story[1].clone(), story[0].clone()];
    check(Domain::Config, Desired::Part(&baseline), &back);
}

#[test]
fn what_is_unobserved_opens_nothing_and_closes_nothing() {
    let baseline = read(&[("@mode", 644), ("a", 1)]).unwrap();
    let drifted = (read(&[("@mode", 644), ("a", 2)]), &["a"][..]);
    let story = [(DENIED, &[][..]), drifted.clone(), (DENIED, &["a"]), drifted];
    check(Domain::Config, Desired::Part(&baseline), &story);
    let unseen = Part::Unobserved(Reason::Denied);
    check(Domain::Config, Desired::Part(&unseen), &[(read(&[("a", 2)]), &[]), (None, &[])]);
}

#[test]
fn a_malformed_file_blinds_only_its_content() {
    let baseline = read(&[("@mode", 644), ("a", 1)]).unwrap();
    let story = [
        (read(&[("@mode", 644), ("a", 2)]), &["a"][..]),
        (malformed(&[("@mode", 600)]), &["malformed", "@mode", "a"]),
        (DENIED, &["malformed", "@mode", "a"]),
        (malformed(&[("@mode", 644)]), &["malformed", "a"]),
        (read(&[("@mode", 644), ("a", 1)]), &[]),
    ];
    check(Domain::Config, Desired::Part(&baseline), &story);
}

#[test]
fn malformed_needs_no_baseline() {
    let story = [(malformed(&[]), &["malformed"][..]), (DENIED, &["malformed"]), (None, &[])];
    check(Domain::Config, Desired::Unknown, &story);
}

#[test]
fn another_reading_says_nothing_until_somebody_approves() {
    let baseline = read(&[("a", 1)]).unwrap();
    let other = part(&[("A", 9), ("b", 2)], 2, Content::Read);
    let story = [(other.clone(), &[][..]), (read(&[("a", 2)]), &["a"]), (other, &["a"])];
    check(Domain::Config, Desired::Part(&baseline), &story);
}

#[test]
fn a_part_too_many_or_too_few_is_one_drift() {
    let there = read(&[("a", 1), ("b", 1)]);
    let extra = [(there.clone(), &["part"][..]), (DENIED, &["part"]), (None, &[])];
    check(Domain::Config, Desired::Absent, &extra);
    let baseline = there.clone().unwrap();
    let drifted = read(&[("a", 2), ("b", 1)]);
    let gone =
        [(drifted.clone(), &["a"][..]), (None, &["part", "a"]), (drifted, &["a"]), (there, &[])];
    check(Domain::Config, Desired::Part(&baseline), &gone);
}

#[test]
fn without_a_baseline_nothing_drifts() {
    check(Domain::Config, Desired::Unknown, &[(read(&[("a", 1)]), &[]), (None, &[])]);
}

#[test]
fn who_may_do_what_weighs_more() {
    let baseline = read(&[("a", 1)]).unwrap();
    for (domain, expected) in [
        (Domain::Config, Severity::Info),
        (Domain::Identity, Severity::Warning),
        (Domain::Policy, Severity::Warning),
        (Domain::Runtime, Severity::Info),
    ] {
        let open = check(domain, Desired::Part(&baseline), &[(read(&[("a", 2)]), &["a"])]);
        assert_eq!(open[0].severity, expected);
    }
}
