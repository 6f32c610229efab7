//! What runs against what is written, as stories: one look after the other.

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::snapshot::{Domain, Reading, Reason};
use jiff::Timestamp;

use super::*;
use crate::analysis::drift::Desired;

const LIST: &str = "/etc/kamailio/dispatcher.list";

fn part(items: Vec<(ItemKey, ItemValue)>) -> Part {
    let item = |(key, value)| (key, Item { value, rank: None });
    Part::Observed(Observed {
        reading: Reading { parser: "t".into(), version: 1, scope: scope_digest([""; 0]) },
        raw: None,
        size: None,
        content: Content::Read,
        items: items.into_iter().map(item).collect(),
    })
}

/// Destinations with their weight and flags.
fn destinations(all: &[(&str, i64, i64)]) -> Vec<(ItemKey, ItemValue)> {
    let of = |(uri, weight, flags): &(&str, i64, i64)| {
        [
            (ItemKey::of(["1", uri]), ItemValue::Nothing),
            (ItemKey::of(["1", uri, "flags"]), ItemValue::Integer(*flags)),
            (ItemKey::of(["1", uri, "weight"]), ItemValue::Integer(*weight)),
        ]
    };
    all.iter().flat_map(of).collect()
}

fn written(all: &[(&str, i64, i64)]) -> Option<Part> {
    Some(part(destinations(all)))
}

fn running(all: &[(&str, i64, i64)]) -> Option<Part> {
    let mut items = destinations(all);
    items.push((ItemKey::momentary(["file"]), ItemValue::text(LIST)));
    Some(part(items))
}

fn unread() -> Option<Part> {
    Some(Part::Unobserved(Reason::TimedOut))
}

/// Who moved, what is written, what runs, and what is open then, as `rule key`.
type Look<'a> = (Mover, Option<Part>, Option<Part>, &'a [&'a str]);

#[track_caller]
fn check(name: &str, story: &[Look<'_>]) {
    let (host, source) = ("pbx".parse().unwrap(), "kamailio_running".parse().unwrap());
    let (name, list) = (name.parse().unwrap(), LIST.parse::<PartName>().unwrap());
    let mut open: BTreeMap<FindingId, Finding> = BTreeMap::new();
    for (at, (mover, disk, current, expected)) in story.iter().enumerate() {
        let view = PartView {
            host: &host,
            source: &source,
            domain: Domain::Runtime,
            part: &name,
            desired: Desired::Unknown,
            current: current.as_ref(),
            exempt: &[],
            now: Timestamp::from_second(i64::try_from(at).unwrap()).unwrap(),
        };
        let disk = disk.iter().map(|part| (list.clone(), part)).collect();
        for finding in judge(&view, &disk, *mover, open.values()).findings {
            match finding.status {
                Status::Open => open.insert(finding.id.clone(), finding),
                Status::Resolved { .. } => open.remove(&finding.id),
            };
        }
        let row = |id: &FindingId| {
            let rule = id.rule.as_ref().map_or("-", RuleName::as_str);
            format!("{rule} {}", id.key.as_ref().map_or("-", ItemKey::as_str))
        };
        let rows: Vec<String> = open.keys().map(row).collect();
        assert_eq!(rows, *expected, "look {at}");
    }
}

#[test]
fn an_edit_opens_and_a_reload_ends() {
    let (old, new) = ([("a", 50, 0), ("b", 50, 0)], [("a", 5, 0), ("c", 50, 0)]);
    let edited: &[&str] =
        &["edited-not-reloaded 1/a/weight", "edited-not-reloaded 1/b", "edited-not-reloaded 1/c"];
    check(
        "dispatcher",
        &[
            (Mover::Unknown, written(&old), running(&old), &[]),
            (Mover::Disk, written(&new), running(&old), edited),
            (Mover::Running, written(&new), running(&new), &[]),
        ],
    );
}

#[test]
fn the_console_is_told_from_the_file() {
    let (plain, out) = ([("a", 50, 0)], [("a", 50, 4)]);
    let changed: &[&str] = &["changed-at-runtime 1/a/flags"];
    check(
        "dispatcher",
        &[
            (Mover::Unknown, written(&plain), running(&out), changed),
            (Mover::Running, written(&plain), running(&plain), &[]),
            // Probing is what the server finds out by itself.
            (Mover::Running, written(&[("a", 50, 8)]), running(&plain), &[]),
            (
                Mover::Running,
                written(&plain),
                running(&[("a", 9, 0)]),
                &["changed-at-runtime 1/a/weight"],
            ),
            // Somebody writes down what was changed at the console.
            (Mover::Disk, written(&[("a", 9, 0)]), running(&[("a", 9, 0)]), &[]),
        ],
    );
}

#[test]
fn what_is_not_seen_moves_nothing() {
    let (old, new) = ([("a", 50, 0)], [("a", 5, 0)]);
    let open: &[&str] = &["edited-not-reloaded 1/a/weight"];
    check(
        "dispatcher",
        &[
            (Mover::Disk, written(&old), unread(), &[]),
            (Mover::Disk, unread(), running(&old), &[]),
            (Mover::Disk, None, running(&old), &[]),
            (Mover::Disk, written(&new), running(&old), open),
            (Mover::Disk, unread(), running(&old), open),
            (Mover::Disk, written(&new), unread(), open),
            (Mover::Disk, None, running(&old), open),
            (Mover::Running, written(&new), None, &[]),
        ],
    );
}

#[test]
fn a_file_that_is_not_loaded_is_told_and_one_that_is_not_known_is_not() {
    let files = |value| Some(part(vec![(ItemKey::momentary(["loaded", "/etc/k.cfg"]), value)]));
    let set = |names: &[&str]| ItemValue::Set(names.iter().map(|n| ItemValue::text(*n)).collect());
    let open: &[&str] = &["edited-not-reloaded ~1etc~1k.cfg"];
    check(
        "files",
        &[
            (Mover::Unknown, None, files(ItemValue::Nothing), &[]),
            (Mover::Running, None, files(set(&["route"])), open),
            (Mover::Running, None, files(ItemValue::Nothing), open),
            (Mover::Running, None, files(set(&[])), &[]),
        ],
    );
}

#[test]
fn of_settings_only_what_both_say_is_compared() {
    let debug = |value| (ItemKey::of(["debug"]), ItemValue::Integer(value));
    let says = |mut items: Vec<_>| {
        items.push((ItemKey::momentary(["file"]), ItemValue::text(LIST)));
        Some(part(items))
    };
    let other = (ItemKey::of(["route"]), ItemValue::Nothing);
    let more = (ItemKey::of(["udp_mtu"]), ItemValue::Integer(0));
    check(
        "settings",
        &[
            (Mover::Unknown, Some(part(vec![debug(2), other])), says(vec![debug(2), more]), &[]),
            (
                Mover::Running,
                Some(part(vec![debug(2)])),
                says(vec![debug(3)]),
                &["changed-at-runtime debug"],
            ),
            // A name that stands for another value.
            (
                Mover::Disk,
                Some(part(vec![(ItemKey::of(["debug"]), ItemValue::text("{LEVEL}"))])),
                says(vec![debug(3)]),
                &[],
            ),
        ],
    );
}

#[test]
fn a_list_that_is_wholly_other_is_bounded() {
    let all: Vec<String> = (0..FINDINGS_PER_PART + 5).map(|n| format!("sip:{n}")).collect();
    let many: Vec<(&str, i64, i64)> = all.iter().map(|uri| (uri.as_str(), 1, 0)).collect();
    let (host, source) = ("pbx".parse().unwrap(), "kamailio_running".parse().unwrap());
    let (current, disk) = (running(&[]).unwrap(), written(&many).unwrap());
    let view = PartView {
        host: &host,
        source: &source,
        domain: Domain::Runtime,
        part: &"dispatcher".parse().unwrap(),
        desired: Desired::Unknown,
        current: Some(&current),
        exempt: &[],
        now: Timestamp::UNIX_EPOCH,
    };
    let judged = judge(&view, &[(LIST.parse().unwrap(), &disk)].into(), Mover::Disk, []);
    assert_eq!((judged.findings.len(), judged.dropped), (FINDINGS_PER_PART, 5));
}
