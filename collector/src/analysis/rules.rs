//! What every host is held to: rules, read from packs, and where each applies. Pure.
//!
//! A rule looks at items of one source and says what they must be; it needs no earlier state. It
//! knows nothing of baselines and nothing of other rules. What could not be read is judged by no
//! rule: *unobserved is not absent*, so it opens nothing and closes nothing.

pub mod example;
pub mod expression;
pub mod judge;
pub mod operator;
pub mod reading;
pub mod shipped;
pub mod units;

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::ItemValue;
use driftline_protocol::wire::HostKind;
use serde::{Deserialize, Serialize};

use super::finding::{RuleName, Severity};
use expression::Expression;
use units::Unit;

/// One rule, checked, ready to judge with.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, for ever: findings carry it.
    pub name: RuleName,
    /// The pack it came from.
    pub pack: String,
    /// What must be so, in a sentence.
    pub title: String,
    /// How bad it is where it is not so.
    pub severity: Severity,
    /// Why anybody should care.
    pub reason: String,
    /// Where the demand comes from: a benchmark's section, a manual page, an RFC.
    pub reference: String,
    /// Who is asked; the host's team where nobody is named.
    pub owner: Option<String>,
    /// A page that says what to do.
    pub remedy: Option<String>,
    /// What it looks at.
    pub target: Target,
    /// What it demands.
    pub demand: Demand,
    /// What holds where the item is not there: the program's own default.
    pub default: Option<ItemValue>,
}

/// What a rule looks at; patterns know `*` and `?`.
#[derive(Clone, Debug)]
pub struct Target {
    /// Kinds of host; empty means all.
    pub kinds: Vec<HostKind>,
    /// The section.
    pub source: SourceName,
    /// A pattern of parts.
    pub part: String,
    /// A pattern of item keys; `None` means the part itself.
    pub key: Option<String>,
    /// Patterns of item keys that are left out.
    pub except: Vec<String>,
}

/// What a rule demands of what it looks at.
#[derive(Clone, Debug)]
pub enum Demand {
    /// It must be there.
    Present,
    /// It must not be there.
    Absent,
    /// Its value stands so to what is wanted.
    Value {
        /// How.
        operator: Operator,
        /// To what.
        wanted: Wanted,
        /// What its numbers count.
        unit: Unit,
    },
    /// An expression over it is true.
    Expression(Expression),
}

/// How a value must stand to what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The value, or each of its elements, is one of those wanted.
    Is,
    /// Neither the value nor any of its elements is one of those.
    IsNot,
    /// Everything wanted is among its elements.
    Contains,
    /// It is not below the one wanted.
    AtLeast,
    /// It is not above the one wanted; of a mode: it has no bit beyond it.
    AtMost,
    /// It lies between the two wanted, both included.
    Within,
    /// The value, or each of its elements, follows one of the patterns.
    Matches,
    /// Neither the value nor any of its elements follows one of the patterns.
    MatchesNot,
}

/// What a value is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// These.
    Values(Vec<ItemValue>),
    /// What the site says, by the parameter's full name, `pack.name`.
    Parameter(String),
}

/// Something a site decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What it means.
    pub meaning: String,
    /// What counts where the site says nothing.
    pub default: Vec<ItemValue>,
}

/// Where a host stands, as far as rules ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// What kind of host.
    pub kind: HostKind,
    /// Its site; empty when nobody said.
    pub site: String,
    /// The groups it is in.
    pub groups: Vec<String>,
}

/// What a site decided about a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The parameter's full name, `pack.name`.
    pub name: String,
    /// For hosts of this site only.
    pub site: Option<String>,
    /// What counts.
    pub values: Vec<ItemValue>,
}

/// One pack, checked.
#[derive(Clone, Debug, Default)]
pub struct Pack {
    /// Its name: the file's without its ending.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// Its rules, in the order of the file.
    pub rules: Vec<Rule>,
    /// Its parameters by full name.
    pub parameters: BTreeMap<String, Parameter>,
    /// The digest of its text.
    pub digest: [u8; 32],
}

/// Every rule that is on, by source.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: BTreeMap<SourceName, Vec<Rule>>,
    parameters: BTreeMap<String, Parameter>,
    settings: Vec<Setting>,
    packs: Vec<(String, [u8; 32])>,
}

/// What is shown of a rule.
#[derive(Clone, Debug, Serialize)]
pub struct RuleView<'a> {
    /// Its name.
    pub rule: &'a RuleName,
    /// The pack it came from.
    pub pack: &'a str,
    /// What must be so.
    pub title: &'a str,
    /// How bad it is where it is not so.
    pub severity: Severity,
    /// Why anybody should care.
    pub reason: &'a str,
    /// Where the demand comes from.
    pub reference: &'a str,
    /// Who is asked.
    pub owner: Option<&'a str>,
    /// A page that says what to do.
    pub remedy: Option<&'a str>,
    /// The section it looks at.
    pub source: &'a SourceName,
    /// The parts it looks at.
    pub part: &'a str,
    /// The items it looks at.
    pub key: Option<&'a str>,
    /// What it demands of them where no site has decided otherwise, in words.
    pub demands: String,
    /// The parameter that says what is wanted, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<&'a str>,
    /// The expression it holds them against, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<&'a str>,
}

/// What is shown of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterView {
    /// Its full name, `pack.name`.
    pub parameter: String,
    /// What it means.
    pub meaning: String,
    /// What counts where the site says nothing.
    pub default: Vec<String>,
    /// What the site decided, in the order of the configuration; of two for the same hosts the
    /// later counts.
    pub decided: Vec<Decided>,
}

/// What a site decided about a parameter, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// For hosts of this site only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// What counts.
    pub values: Vec<String>,
}

impl ParameterView {
    /// What was decided, in words; empty where nothing was.
    pub fn decided_words(&self) -> String {
        let words = |one: &Decided| {
            let values = one.values.join(", ");
            match &one.site {
                Some(site) => format!("{values} at {site}"),
                None => values,
            }
        };
        self.decided.iter().map(words).collect::<Vec<_>>().join("; ")
    }
}

impl RuleSet {
    /// The rules of `packs` but for those named in `off`, with what the site decided.
    pub fn new(packs: Vec<Pack>, off: &[String], settings: Vec<Setting>) -> Self {
        let mut set = Self { settings, ..Self::default() };
        for Pack { name, title: _, rules, parameters, digest } in packs {
            set.packs.push((name, digest));
            set.parameters.extend(parameters);
            for rule in rules {
                if !off.iter().any(|name| name == rule.name.as_str()) {
                    set.rules.entry(rule.target.source.clone()).or_default().push(rule);
                }
            }
        }
        set
    }

    /// Name and digest of every pack; equal where the packs say the same.
    pub fn packs(&self) -> &[(String, [u8; 32])] {
        &self.packs
    }

    /// The rules that look at `source`.
    pub fn of(&self, source: &SourceName) -> &[Rule] {
        self.rules.get(source).map_or(&[], Vec::as_slice)
    }

    /// Every rule, by source.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values().flatten()
    }

    /// The sources any rule looks at.
    pub fn sources(&self) -> impl Iterator<Item = &SourceName> {
        self.rules.keys()
    }

    /// The sources of which what is met now may be broken later, though no host changes.
    pub fn of_the_clock(&self) -> BTreeSet<&SourceName> {
        let timed = |(_, rules): &(_, &Vec<Rule>)| rules.iter().any(Rule::is_of_the_clock);
        self.rules.iter().filter(timed).map(|(source, _)| source).collect()
    }

    /// The rule of that name.
    pub fn find(&self, name: &RuleName) -> Option<&Rule> {
        self.all().find(|rule| rule.name == *name)
    }

    /// What counts for a parameter at a site: what was decided for the site, else for all, else the
    /// pack's default.
    pub fn parameter(&self, name: &str, site: &str) -> &[ItemValue] {
        let of = |wanted: Option<&str>| {
            let same = |s: &&Setting| s.name == name && s.site.as_deref() == wanted;
            // The last one said counts, as everywhere in the configuration.
            self.settings.iter().rev().find(same).map(|setting| setting.values.as_slice())
        };
        let default = || self.parameters.get(name).map(|p| p.default.as_slice());
        of(Some(site)).or_else(|| of(None)).or_else(default).unwrap_or_default()
    }

    /// What `wanted` stands for at a site.
    pub fn wanted<'a>(&'a self, wanted: &'a Wanted, site: &str) -> &'a [ItemValue] {
        match wanted {
            Wanted::Values(values) => values,
            Wanted::Parameter(name) => self.parameter(name, site),
        }
    }

    /// What is shown of a rule.
    pub fn view<'a>(&self, rule: &'a Rule) -> RuleView<'a> {
        let parameter = match &rule.demand {
            Demand::Value { wanted: Wanted::Parameter(name), .. } => Some(name.as_str()),
            Demand::Present | Demand::Absent | Demand::Value { .. } | Demand::Expression(_) => None,
        };
        let Rule { name, pack, title, severity, reason, reference, target, .. } = rule;
        RuleView {
            rule: name,
            pack,
            title,
            severity: *severity,
            reason,
            reference,
            owner: rule.owner.as_deref(),
            remedy: rule.remedy.as_deref(),
            source: &target.source,
            part: &target.part,
            key: target.key.as_deref(),
            demands: judge::demand(rule, self, ""),
            parameter,
            expression: rule.expression(),
        }
    }

    /// What is shown of each parameter, by name.
    pub fn parameter_views(&self) -> Vec<ParameterView> {
        let words = |values: &[ItemValue]| values.iter().filter_map(operator::plain).collect();
        let view = |(name, parameter): (&String, &Parameter)| {
            let of = self.settings.iter().filter(|setting| setting.name == *name);
            let decided = |setting: &Setting| Decided {
                site: setting.site.clone(),
                values: words(&setting.values),
            };
            ParameterView {
                parameter: name.clone(),
                meaning: parameter.meaning.clone(),
                default: words(&parameter.default),
                decided: of.map(decided).collect(),
            }
        };
        self.parameters.iter().map(view).collect()
    }

    /// Settings of parameters that no pack has.
    pub fn unknown_settings(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| !self.parameters.contains_key(&setting.name))
    }
}

impl Rule {
    /// Whether it asks how much time is left.
    pub fn is_of_the_clock(&self) -> bool {
        matches!(&self.demand, Demand::Value { unit, .. } if unit.is_of_the_clock())
    }

    /// The expression it holds items against, where it is one.
    pub fn expression(&self) -> Option<&str> {
        match &self.demand {
            Demand::Expression(expression) => Some(expression.text()),
            Demand::Present | Demand::Absent | Demand::Value { .. } => None,
        }
    }
}

impl Target {
    /// Whether a pattern stands for one name only.
    pub fn is_literal(pattern: &str) -> bool {
        !pattern.contains(['*', '?'])
    }

    /// Whether it looks at hosts of `kind`.
    pub fn concerns(&self, kind: HostKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }
}

#[cfg(test)]
mod tests;
