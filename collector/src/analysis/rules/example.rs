//! Whether a rule fires over an example. Pure.

use std::collections::BTreeMap;

use driftline_protocol::ids::{Digest, HostId, PartName};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::snapshot::{Content, Domain, Observed, Part, Reading};
use jiff::Timestamp;

use super::judge::judge;
use super::{About, Pack, Parameter, Rule, RuleSet};
use crate::analysis::drift::{Desired, PartView};

/// Whether `rule` fires at `now` over a part of these items, or over no part where there are none.
pub fn fires(
    rule: &Rule,
    parameters: &BTreeMap<String, Parameter>,
    (items, now): (Option<BTreeMap<ItemKey, ItemValue>>, Timestamp),
) -> bool {
    let pack =
        Pack { rules: vec![rule.clone()], parameters: parameters.clone(), ..Pack::default() };
    let rules = RuleSet::new(vec![pack], &[], Vec::new());
    let host: HostId = "example".parse().expect("a plain word is a host's name");
    // Any part the pattern stands for.
    let part: PartName = match rule.target.part.replace(['*', '?'], "x").parse() {
        Ok(part) => part,
        Err(_) => return false,
    };
    let kind = rule.target.kinds.first().copied().unwrap_or_default();
    let about = About { kind, ..About::default() };
    let current = items.map(part_of);
    let view = PartView {
        host: &host,
        source: &rule.target.source,
        domain: Domain::Config,
        part: &part,
        desired: Desired::Unknown,
        current: current.as_ref(),
        exempt: &[],
        now,
    };
    !judge(&rules, &about, &view, []).findings.is_empty()
}

fn part_of(items: BTreeMap<ItemKey, ItemValue>) -> Part {
    let reading = Reading { parser: "example".into(), version: 1, scope: Digest([0; 32]) };
    let items = items.into_iter().map(|(key, value)| (key, Item { value, rank: None })).collect();
    Part::Observed(Observed { reading, raw: None, size: None, content: Content::Read, items })
}
