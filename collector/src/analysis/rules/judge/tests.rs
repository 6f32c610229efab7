//! One rule over parts as they come: what opens, goes on and ends.

use std::collections::BTreeMap;

use driftline_protocol::ids::{Digest, HostId, SourceName};
use driftline_protocol::item::Items;
use driftline_protocol::snapshot::{Domain, Reading, Reason};
use driftline_protocol::wire::HostKind;
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::analysis::drift::Desired;
use crate::analysis::rules::reading::read;

const RULES: &str = "title = 'T'
[[rule]]
name = 'port'
title = 'Port'
severity = 'warning'
reason = 'r'
reference = 'r'
kinds = ['uc']
source = 'files'
part = '/a'
key = 'port'
operator = 'is'
value = 22
default = 22
[[rule.example]]
fires = true
items = { port = 23 }
[[rule.example]]
fires = false
items = {}
[[rule]]
name = 'mode'
title = 'Mode'
severity = 'critical'
reason = 'r'
reference = 'r'
source = 'files'
part = '/a'
key = '@mode'
operator = 'at_most'
value = '0640'
unit = 'mode'
[[rule.example]]
fires = true
items = { '@mode' = '0644' }
[[rule.example]]
fires = false
items = { '@mode' = '0600' }
[[rule]]
name = 'there'
title = 'There'
severity = 'info'
reason = 'r'
reference = 'r'
source = 'files'
part = '/a'
operator = 'present'
[[rule.example]]
fires = true
[[rule.example]]
fires = false
items = {}
";

fn part(port: i64, mode: &str, content: Content) -> Part {
    let reading = Reading { parser: "ini".into(), version: 1, scope: Digest([0; 32]) };
    let item = |value| Item { value, rank: None };
    let mut items: Items = BTreeMap::new();
    items.insert(ItemKey::attribute("mode"), item(ItemValue::text(mode)));
    if content == Content::Read {
        items.insert(ItemKey::of(["port"]), item(ItemValue::Integer(port)));
    }
    Part::Observed(Observed { reading, raw: None, size: None, content, items })
}

/// One host whose part `/a` is seen again and again.
struct World {
    rules: RuleSet,
    about: About,
    open: BTreeMap<FindingId, Finding>,
    second: i64,
}

impl World {
    fn new() -> Self {
        let rules = RuleSet::new(vec![read("t.toml", "t", RULES).unwrap()], &[], Vec::new());
        let about = About { kind: HostKind::Uc, ..About::default() };
        Self { rules, about, open: BTreeMap::new(), second: 0 }
    }

    /// Sees the part; gives the names of the rules that are open then.
    fn sees(&mut self, current: Option<&Part>) -> Vec<&str> {
        self.second += 1;
        let (host, source): (HostId, SourceName) = ("h".parse().unwrap(), "files".parse().unwrap());
        let name: PartName = "/a".parse().unwrap();
        let view = PartView {
            host: &host,
            source: &source,
            domain: Domain::Config,
            part: &name,
            desired: Desired::Unknown,
            current,
            exempt: &[],
            now: Timestamp::from_second(self.second).unwrap(),
        };
        let judged = judge(&self.rules, &self.about, &view, self.open.values());
        for finding in judged.findings {
            match finding.status {
                Status::Open => drop(self.open.insert(finding.id.clone(), finding)),
                Status::Resolved { .. } => {
                    assert!(self.open.remove(&finding.id).is_some(), "only what is open ends");
                }
            }
        }
        self.open.keys().filter_map(|id| id.rule.as_ref()).map(RuleName::as_str).collect()
    }
}

use crate::analysis::finding::RuleName;

#[test]
fn a_deviation_opens_goes_on_and_ends_with_what_is_seen() {
    let mut world = World::new();
    assert_eq!(world.sees(None), ["there"]);
    assert_eq!(world.sees(Some(&part(23, "0640", Content::Read))), ["port"]);
    assert_eq!(world.sees(Some(&part(24, "0644", Content::Read))), ["mode", "port"]);
    let port = world.open.values().find(|f| f.id.key == Some(ItemKey::of(["port"]))).unwrap();
    assert_eq!(port.first_seen, Timestamp::from_second(2).unwrap(), "another value opens nothing");
    assert_eq!(port.current.as_ref().unwrap().value, ItemValue::Integer(24));
    assert_eq!(world.sees(Some(&part(22, "0600", Content::Read))), [""; 0]);
}

#[test]
fn what_was_not_read_opens_nothing_and_closes_nothing() {
    let mut world = World::new();
    world.sees(Some(&part(23, "0644", Content::Read)));
    let unread = Content::Unread(Reason::Malformed);
    assert_eq!(world.sees(Some(&Part::Unobserved(Reason::Denied))), ["mode", "port"]);
    assert_eq!(world.sees(Some(&part(0, "0600", unread))), ["port"], "its mode was seen");
    assert_eq!(world.sees(None), ["there"], "what is gone has no port");
    assert_eq!(world.sees(Some(&Part::Unobserved(Reason::Denied))), ["there"]);
    assert_eq!(world.sees(Some(&part(0, "0600", unread))), [""; 0]);
}

#[test]
fn a_rule_for_other_hosts_says_nothing_and_takes_back_what_it_said() {
    let mut world = World::new();
    let part = part(23, "0600", Content::Read);
    assert_eq!(world.sees(Some(&part)), ["port"]);
    world.about.kind = HostKind::Endpoint;
    assert_eq!(world.sees(Some(&part)), [""; 0]);
    world.about.kind = HostKind::Uc;
    world.sees(Some(&part));
    world.rules = RuleSet::default();
    assert_eq!(world.sees(Some(&Part::Unobserved(Reason::Denied))), [""; 0], "the rule is gone");
}

#[test]
fn a_rule_broken_everywhere_is_bounded_and_what_is_dropped_is_counted() {
    let text = "title = 'T'\n[[rule]]\nname = 'all'\ntitle = 'T'\nseverity = 'info'\nreason = 'r'\n\
        reference = 'r'\nsource = 'files'\npart = '*'\nkey = 'x/*'\noperator = 'absent'\n\
        [[rule.example]]\nfires = true\nitems = { 'x/1' = 1 }\n\
        [[rule.example]]\nfires = false\nitems = { 'y/1' = 1 }\n";
    let mut world = World::new();
    world.rules = RuleSet::new(vec![read("t.toml", "t", text).unwrap()], &[], Vec::new());
    let mut wide = part(22, "0600", Content::Read);
    if let Part::Observed(observed) = &mut wide {
        for number in 0..1_000 {
            let item = Item { value: ItemValue::Integer(number), rank: None };
            observed.items.insert(ItemKey::of(["x".to_owned(), number.to_string()]), item);
        }
    }
    assert_eq!(world.sees(Some(&wide)).len(), FINDINGS_PER_RULE);
    assert_eq!(world.sees(Some(&wide)).len(), FINDINGS_PER_RULE, "not more each time");
}

proptest! {
    /// However parts come, what is open is what the last reading of each item says.
    #[test]
    fn what_is_open_is_what_was_last_seen(
        steps in proptest::collection::vec((0..5_u8, 20..25_i64, 0..2_usize), 1..40),
    ) {
        let mut world = World::new();
        let (mut port, mut mode, mut gone) = (false, false, false);
        for (kind, number, octal) in steps {
            let octal = ["0600", "0644"][octal];
            let current = match kind {
                0 => None,
                1 => Some(Part::Unobserved(Reason::TimedOut)),
                2 => Some(part(number, octal, Content::Unread(Reason::TooLarge))),
                _ => Some(part(number, octal, Content::Read)),
            };
            match kind {
                0 => (port, mode, gone) = (false, false, true),
                1 => {}
                2 => (mode, gone) = (octal == "0644", false),
                _ => (port, mode, gone) = (number != 22, octal == "0644", false),
            }
            let mut expect: Vec<&str> = Vec::new();
            if gone { expect.push("there"); }
            if mode { expect.push("mode"); }
            if port { expect.push("port"); }
            let mut open: Vec<String> =
                world.sees(current.as_ref()).into_iter().map(str::to_owned).collect();
            open.sort();
            expect.sort_unstable();
            prop_assert_eq!(open, expect);
        }
    }
}
