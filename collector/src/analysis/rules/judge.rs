//! Which rules a part does not meet: the deviations that open, change and end. Pure.
//!
//! A rule over items of a part that was not read, or over a value nobody can tell, moves its
//! findings neither way. A part that is not on the host ends what was found in it; only a rule that
//! demands the part itself opens there.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::{Content, Observed, Part};

use super::expression::Subject;
use super::operator::{Verdict, check, plain};
use super::units::{self, Unit};
use super::{About, Demand, Operator, Rule, RuleSet, Target};
use crate::analysis::drift::{PartView, present, resolved};
use crate::analysis::finding::{Finding, FindingId, FindingKind, Resolution, Status};
use crate::config::place::matches;

/// The most items of one part for which one rule opens findings; the rest are counted. A rule
/// broken more often than that is one thing to look at.
pub const FINDINGS_PER_RULE: usize = 200;

/// What judging one part came to.
#[derive(Debug, Default, PartialEq)]
pub struct Judged {
    /// Deviations that opened, changed or ended.
    pub findings: Vec<Finding>,
    /// Items that broke a rule beyond [`FINDINGS_PER_RULE`].
    pub dropped: u64,
}

/// What `rules` say of the part of `view`, given the findings of that part that are open.
pub fn judge<'a>(
    rules: &RuleSet,
    about: &About,
    view: &PartView<'_>,
    open: impl IntoIterator<Item = &'a Finding>,
) -> Judged {
    let mut open: BTreeMap<FindingId, &Finding> = open
        .into_iter()
        .filter(|finding| finding.id.is_of_a_rule() && view.holds(&finding.id))
        .map(|finding| (finding.id.clone(), finding))
        .collect();
    let mut judged = Judged::default();
    for rule in rules.of(view.source) {
        if rule.target.concerns(about.kind) && matches(&rule.target.part, view.part.as_str()) {
            let look = Look { rules, rule, about, view };
            look.judge(&mut open, &mut judged);
        }
    }
    // Whatever is left is of a rule that is off, gone, or no longer looks at this host.
    let withdrawn = |finding: &&Finding| resolved(finding, view.now, Resolution::Withdrawn);
    judged.findings.extend(open.values().map(withdrawn));
    judged
}

/// The parts of `source` that some rule for such hosts wants to be there, whatever their content.
pub fn demanded<'a>(
    rules: &'a RuleSet,
    about: &'a About,
    source: &SourceName,
) -> impl Iterator<Item = PartName> + 'a {
    let wants = |rule: &&Rule| {
        let Target { kinds: _, source: _, part, key, except: _ } = &rule.target;
        let there = matches!(rule.demand, Demand::Present);
        there && key.is_none() && Target::is_literal(part) && rule.target.concerns(about.kind)
    };
    let parts: BTreeSet<PartName> =
        rules.of(source).iter().filter(wants).filter_map(|r| r.target.part.parse().ok()).collect();
    parts.into_iter()
}

/// What a rule says of each item, and the item as it is.
type Verdicts = BTreeMap<Option<ItemKey>, (Verdict, Option<Item>)>;

/// One rule looking at one part.
struct Look<'a> {
    rules: &'a RuleSet,
    rule: &'a Rule,
    about: &'a About,
    view: &'a PartView<'a>,
}

impl Look<'_> {
    fn judge(&self, open: &mut BTreeMap<FindingId, &Finding>, judged: &mut Judged) {
        let mine: Vec<FindingId> =
            open.keys().filter(|id| id.rule.as_ref() == Some(&self.rule.name)).cloned().collect();
        let mine: Vec<&Finding> = mine.iter().filter_map(|id| open.remove(id)).collect();
        let Some(verdicts) = self.verdicts(&mine) else { return };
        let mut broken = mine.len();
        for (key, (verdict, current)) in verdicts {
            let known = mine.iter().find(|finding| finding.id.key == key);
            match (verdict, known) {
                (Verdict::Broken, None) => {
                    broken += 1;
                    if broken > FINDINGS_PER_RULE {
                        judged.dropped += 1;
                    } else {
                        judged.findings.push(self.opened(key, current));
                    }
                }
                (Verdict::Broken, Some(finding)) => {
                    let next = self.carried(finding, current);
                    judged.findings.extend((next != **finding).then_some(next));
                }
                (Verdict::Met, Some(finding)) => {
                    let met = resolved(finding, self.view.now, Resolution::Returned);
                    judged.findings.push(Finding { current, ..met });
                }
                (Verdict::Met | Verdict::Unknown, _) => {}
            }
        }
    }

    /// What the rule says of each item it looks at, and of each that was found before; `None` when
    /// nothing can be said of any.
    fn verdicts(&self, mine: &[&Finding]) -> Option<Verdicts> {
        let Some(pattern) = &self.rule.target.key else {
            let verdict = self.of_the_part()?;
            return Some([(None, verdict)].into());
        };
        let observed = match self.view.current {
            Some(Part::Observed(observed)) => observed,
            Some(Part::Unobserved(_)) => return None,
            // Without its part an item breaks no rule: whether the part must be there is its own
            // rule.
            None => {
                let gone = mine.iter().map(|f| (f.id.key.clone(), (Verdict::Met, None)));
                return Some(gone.collect());
            }
        };
        let mut verdicts = BTreeMap::new();
        let known = mine.iter().filter_map(|finding| finding.id.key.clone());
        for key in self.keys(pattern, observed).into_iter().chain(known) {
            let item = observed.items.get(&key);
            let verdict = self.of_an_item(&key, item, observed);
            verdicts.insert(Some(key), (verdict, item.cloned()));
        }
        Some(verdicts)
    }

    fn of_the_part(&self) -> Option<(Verdict, Option<Item>)> {
        let there = match self.view.current {
            // That it could not be read does not tell whether it is what the rule means.
            Some(Part::Unobserved(_)) => return None,
            Some(Part::Observed(_)) => true,
            None => false,
        };
        let wanted = !matches!(self.rule.demand, Demand::Absent);
        Some((Verdict::from(there == wanted), there.then(present)))
    }

    /// The keys the rule looks at: those of the part that match, and the one it names.
    fn keys(&self, pattern: &str, observed: &Observed) -> Vec<ItemKey> {
        if Target::is_literal(pattern) {
            return ItemKey::try_from(pattern.to_owned()).into_iter().collect();
        }
        // Only keys with the text before the first star can match, and they stand together.
        let literal = pattern.find(['*', '?']).and_then(|end| pattern.get(..end));
        let literal = literal.unwrap_or_default();
        let from = ItemKey::try_from(literal.to_owned());
        let keys = match from {
            Ok(from) => observed.items.range(from..),
            Err(_) => observed.items.range::<ItemKey, _>(..),
        };
        let except = |key: &ItemKey| {
            self.rule.target.except.iter().any(|pattern| matches(pattern, key.as_str()))
        };
        keys.map(|(key, _)| key)
            .take_while(|key| key.as_str().starts_with(literal))
            .filter(|key| matches(pattern, key.as_str()) && !except(key))
            .cloned()
            .collect()
    }

    fn of_an_item(&self, key: &ItemKey, item: Option<&Item>, observed: &Observed) -> Verdict {
        let seen = observed.content == Content::Read
            || (key.is_attribute() && item.is_some())
            || mutant::active(Mutant::RulesTakeUnreadForAbsent);
        if !seen {
            return Verdict::Unknown;
        }
        let excepted = self.rule.target.except.iter().any(|p| matches(p, key.as_str()));
        if excepted {
            return Verdict::Met;
        }
        match &self.rule.demand {
            Demand::Present => Verdict::from(item.is_some()),
            Demand::Absent => Verdict::from(item.is_none()),
            Demand::Value { operator, wanted, unit } => match self.value(item) {
                Some(value) => {
                    let wanted = self.rules.wanted(wanted, &self.about.site);
                    let value = units::at(value, *unit, self.view.now);
                    let told = |value: Cow<'_, _>| check(&value, *operator, wanted, *unit);
                    value.map_or(Verdict::Unknown, told)
                }
                None => Verdict::Met,
            },
            Demand::Expression(expression) => match self.value(item) {
                Some(value) => {
                    let parameters = self.parameters();
                    expression.check(&Subject { value, key, items: &observed.items, parameters })
                }
                None => Verdict::Met,
            },
        }
    }

    /// The value that holds: the item's, or the program's own default.
    fn value<'b>(&'b self, item: Option<&'b Item>) -> Option<&'b ItemValue> {
        item.map(|item| &item.value).or(self.rule.default.as_ref())
    }

    fn parameters(&self) -> Vec<(&str, &[ItemValue])> {
        let of_pack = self.rules.parameters.keys().filter_map(|name| {
            let short = name.strip_prefix(self.rule.pack.as_str())?.strip_prefix('.')?;
            Some((short, self.rules.parameter(name, &self.about.site)))
        });
        of_pack.collect()
    }

    fn opened(&self, key: Option<ItemKey>, current: Option<Item>) -> Finding {
        let id = self.view.id(key, FindingKind::Deviation);
        Finding {
            id: FindingId { rule: Some(self.rule.name.clone()), ..id },
            domain: self.view.domain,
            severity: self.rule.severity,
            desired: Some(self.demand()),
            current,
            first_seen: self.view.now,
            status: Status::Open,
        }
    }

    fn carried(&self, finding: &Finding, current: Option<Item>) -> Finding {
        Finding {
            severity: self.rule.severity,
            desired: Some(self.demand()),
            current,
            ..finding.clone()
        }
    }

    /// What the rule demands, as people read it.
    fn demand(&self) -> Item {
        let text = demand(self.rule, self.rules, &self.about.site);
        Item { value: ItemValue::Text(text), rank: None }
    }
}

/// What `rule` demands at a site, as people read it.
pub(super) fn demand(rule: &Rule, rules: &RuleSet, site: &str) -> String {
    match &rule.demand {
        Demand::Present => "present".to_owned(),
        Demand::Absent => "absent".to_owned(),
        // What it is about, in words: the expression itself stands with the rule.
        Demand::Expression(_) => rule.title.clone(),
        Demand::Value { operator, wanted, unit } => {
            words(*operator, rules.wanted(wanted, site), *unit)
        }
    }
}

fn words(operator: Operator, wanted: &[ItemValue], unit: Unit) -> String {
    let how = match operator {
        Operator::Is => "",
        Operator::IsNot => "not ",
        Operator::Contains => "contains ",
        Operator::AtLeast => "at least ",
        Operator::AtMost => "at most ",
        Operator::Within => "within ",
        Operator::Matches => "like ",
        Operator::MatchesNot => "not like ",
    };
    let values: Vec<String> = wanted.iter().filter_map(plain).collect();
    let joint = match operator {
        Operator::Within => " to ",
        Operator::Contains => " and ",
        Operator::Is
        | Operator::IsNot
        | Operator::AtLeast
        | Operator::AtMost
        | Operator::Matches
        | Operator::MatchesNot => " or ",
    };
    let unit = match unit {
        Unit::Seconds => " seconds",
        Unit::Days => " days",
        Unit::DaysLeft => " days left",
        Unit::Bytes => " bytes",
        Unit::Count | Unit::Mode | Unit::Version => "",
    };
    format!("{how}{}{unit}", values.join(joint))
}

#[cfg(test)]
mod tests;
