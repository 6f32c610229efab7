//! From the text of a pack to rules. Pure.
//!
//! Every mistake names file, line and column and says what to do; all mistakes that can be told
//! apart are told at once. A pack with a mistake gives no rule at all.

mod raw;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use driftline_protocol::item::{ItemKey, ItemValue};
use jiff::Timestamp;
use toml::Spanned;

use super::expression::{self, Expression};
use super::{Demand, Operator, Pack, Parameter, Rule, Target, Wanted};
use raw::{Operation, RawPack, RawRule};

/// The most rules of one pack: a reader must be able to hold it.
pub const RULES_PER_PACK: usize = 500;

/// The longest file of rules, in bytes.
pub const PACK_BYTES: u64 = 1024 * 1024;

/// A mistake in a pack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, problem, hint } = self;
        write!(f, "{file}:{line}:{column}: {problem}; {hint}")
    }
}

impl std::error::Error for Mistake {}

/// The pack `name` of the file `file`, with its examples tried.
///
/// # Errors
/// Every [`Mistake`] that was found.
pub fn read(file: &str, name: &str, text: &str) -> Result<Pack, Vec<Mistake>> {
    let mut reader = Reader { file, text, mistakes: Vec::new(), parameters: BTreeMap::new() };
    let pack = reader.pack(name);
    match pack {
        Some(pack) if reader.mistakes.is_empty() => Ok(pack),
        _ => {
            reader.mistakes.sort();
            Err(reader.mistakes)
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    mistakes: Vec<Mistake>,
    parameters: BTreeMap<String, Parameter>,
}

impl Reader<'_> {
    fn pack(&mut self, name: &str) -> Option<Pack> {
        let raw: RawPack = match toml::from_str(self.text) {
            Ok(raw) => raw,
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let message = error.message().replace('\n', " ");
                let hint = likeliest(&message);
                self.mistake(&span, message, hint);
                return None;
            }
        };
        for (short, parameter) in raw.parameters {
            let default = values(&parameter.default);
            let full = format!("{name}.{short}");
            let meaning = parameter.meaning;
            self.parameters.insert(full, Parameter { meaning, default });
        }
        let mut rules: Vec<Rule> = Vec::new();
        for raw in &raw.rule {
            let span = raw.span();
            let Some(rule) = self.rule(name, raw.get_ref(), &span) else { continue };
            if rules.iter().any(|known| known.name == rule.name) {
                let span = raw.get_ref().name.span();
                let problem = format!("there are two rules of the name {}", rule.name);
                self.mistake(&span, problem, "give one of them another name");
                continue;
            }
            self.examples(&rule, raw.get_ref());
            rules.push(rule);
        }
        if rules.len() > RULES_PER_PACK {
            let problem = format!("a pack has at most {RULES_PER_PACK} rules");
            self.mistake(&(0..0), problem, "make two packs of it");
        }
        let parameters = std::mem::take(&mut self.parameters);
        let digest = *blake3::hash(self.text.as_bytes()).as_bytes();
        Some(Pack { name: name.to_owned(), title: raw.title, rules, parameters, digest })
    }

    fn rule(&mut self, pack: &str, raw: &RawRule, span: &Range<usize>) -> Option<Rule> {
        let name = match raw.name.get_ref().clone().try_into() {
            Ok(name) => name,
            Err(error) => {
                let problem = format!("{:?} is no name: {error}", raw.name.get_ref());
                self.mistake(&raw.name.span(), problem, "such as sshd-root-login");
                return None;
            }
        };
        let source = match raw.source.get_ref().parse() {
            Ok(source) => source,
            Err(error) => {
                let problem = format!("no such source: {error}");
                self.mistake(&raw.source.span(), problem, "docs/sources.md lists them");
                return None;
            }
        };
        let key = raw.key.as_ref().map(|key| key.get_ref().clone());
        if let Some(key) = raw.key.as_ref().filter(|key| key.get_ref().is_empty()) {
            self.mistake(&key.span(), "a key cannot be empty", "leave it out to mean the part");
        }
        let demand = self.demand(pack, raw, span)?;
        self.hints_of_use(raw, &demand, key.as_deref());
        Some(Rule {
            name,
            pack: pack.to_owned(),
            title: raw.title.clone(),
            severity: raw.severity,
            reason: raw.reason.clone(),
            reference: raw.reference.clone(),
            owner: raw.owner.clone(),
            remedy: raw.remedy.clone(),
            target: Target {
                kinds: raw.kinds.clone(),
                source,
                part: raw.part.clone(),
                key,
                except: raw.except.clone(),
            },
            demand,
            default: raw.default.as_ref().map(|value| item(value.get_ref())),
        })
    }

    fn demand(&mut self, pack: &str, raw: &RawRule, span: &Range<usize>) -> Option<Demand> {
        let operator = match (&raw.operator, &raw.expression) {
            (Some(operator), None) => operator,
            (None, Some(text)) => return self.expression(text),
            (Some(operator), Some(_)) => {
                let problem = "a rule has an operator or an expression, not both";
                self.mistake(&operator.span(), problem, "make two rules of it");
                return None;
            }
            (None, None) => {
                let problem = format!("{} demands nothing", raw.name.get_ref());
                self.mistake(span, problem, "add `operator` or `expression`");
                return None;
            }
        };
        let kind = match operator.get_ref().needs_value() {
            Ok(demand) if raw.value.is_none() => return Some(demand),
            Ok(_) => {
                let problem = "this operator takes no value";
                self.mistake(&operator.span(), problem, "leave `value` out");
                return None;
            }
            Err(kind) => kind,
        };
        let Some(value) = &raw.value else {
            self.mistake(&operator.span(), "this operator needs a value", "add `value`");
            return None;
        };
        let wanted = self.wanted(pack, value)?;
        let given = match &wanted {
            Wanted::Values(values) => values.len(),
            Wanted::Parameter(name) => self.parameters.get(name).map_or(0, |p| p.default.len()),
        };
        let fits = match kind {
            Operator::Within => given == 2,
            Operator::AtLeast | Operator::AtMost => given == 1,
            Operator::Is
            | Operator::IsNot
            | Operator::Contains
            | Operator::Matches
            | Operator::MatchesNot => given > 0,
        };
        if !fits {
            let problem = format!("{given} values do not fit the operator");
            let hint = "at_least and at_most take one, within takes two, the others one or more";
            self.mistake(&value.span(), problem, hint);
            return None;
        }
        Some(Demand::Value { operator: kind, wanted, unit: raw.unit })
    }

    fn expression(&mut self, text: &Spanned<String>) -> Option<Demand> {
        match Expression::compile(text.get_ref()) {
            Ok(expression) => Some(Demand::Expression(expression)),
            Err(expression::Refused { line, column, problem, hint }) => {
                let (first, start) = self.place(text.span().start);
                let more = line - 1;
                // The quotation mark is not part of the expression.
                let column = if more == 0 { start + column } else { column };
                let file = self.file.to_owned();
                self.mistakes.push(Mistake { file, line: first + more, column, problem, hint });
                None
            }
        }
    }

    fn wanted(&mut self, pack: &str, value: &Spanned<toml::Value>) -> Option<Wanted> {
        let toml::Value::String(text) = value.get_ref() else {
            return Some(Wanted::Values(values(value.get_ref())));
        };
        let Some(short) = text.strip_prefix('$') else {
            return Some(Wanted::Values(values(value.get_ref())));
        };
        let full = format!("{pack}.{short}");
        if self.parameters.contains_key(&full) {
            return Some(Wanted::Parameter(full));
        }
        let known: Vec<&str> = self.parameters.keys().filter_map(|k| k.split('.').nth(1)).collect();
        let hint = format!("this pack has {}", known.join(", "));
        self.mistake(&value.span(), format!("there is no parameter {short:?}"), hint);
        None
    }

    /// What reads well and means nothing.
    fn hints_of_use(&mut self, raw: &RawRule, demand: &Demand, key: Option<&str>) {
        let pattern = key.is_some_and(|key| !Target::is_literal(key));
        if let Some(default) = raw.default.as_ref().filter(|_| pattern) {
            let hint = "name the item without * and ?";
            self.mistake(&default.span(), "a pattern of keys has no default", hint);
        }
        let about_value = matches!(demand, Demand::Value { .. } | Demand::Expression(_));
        if key.is_none() && about_value {
            let problem = "without a key only `present` and `absent` mean something";
            self.mistake(&raw.name.span(), problem, "add `key`");
        }
        if matches!(demand, Demand::Present) && pattern {
            let problem = "a pattern of keys cannot be demanded";
            self.mistake(&raw.name.span(), problem, "name the item without * and ?");
        }
    }

    fn examples(&mut self, rule: &Rule, raw: &RawRule) {
        let mut seen = (false, false);
        for example in &raw.example {
            let span = example.span();
            let example = example.get_ref();
            match example.fires {
                true => seen.0 = true,
                false => seen.1 = true,
            }
            let items: Option<BTreeMap<ItemKey, ItemValue>> = example.items.as_ref().map(|items| {
                let key = |key: &String| ItemKey::try_from(key.clone()).ok();
                items.iter().filter_map(|(k, value)| Some((key(k)?, item(value)))).collect()
            });
            if rule.is_of_the_clock() && example.at.is_none() {
                let hint = "add `at`, the moment the example is looked at, as RFC 3339";
                self.mistake(&span, "days are left from some moment on", hint);
            }
            let now = example.at.unwrap_or(Timestamp::UNIX_EPOCH);
            let fires = super::example::fires(rule, &self.parameters, (items, now));
            if fires != example.fires {
                let word = |fires| if fires { "fires" } else { "does not fire" };
                let problem = format!("{} {} here", rule.name, word(fires));
                let hint = format!("the example says that it {}", word(example.fires));
                self.mistake(&span, problem, hint);
            }
        }
        if seen != (true, true) {
            let problem = format!("{} lacks an example", rule.name);
            let hint = "each rule has one `[[rule.example]]` that fires and one that does not";
            self.mistake(&raw.name.span(), problem, hint);
        }
    }

    fn mistake(
        &mut self,
        span: &Range<usize>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let (line, column) = self.place(span.start);
        let (problem, hint) = (problem.into(), hint.into());
        self.mistakes.push(Mistake { file: self.file.to_owned(), line, column, problem, hint });
    }

    /// Line and column of a byte, each from 1.
    fn place(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

/// What to do about a mistake the reader of TOML found.
fn likeliest(message: &str) -> String {
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        return "docs/rules.md lists what a pack may say".to_owned();
    }
    if message.starts_with("missing field") {
        return "every rule says name, title, severity, reason, reference, source and part".into();
    }
    "docs/rules.md shows a whole pack".to_owned()
}

/// One value, or the elements of a list.
pub fn values(value: &toml::Value) -> Vec<ItemValue> {
    match value {
        toml::Value::Array(values) => values.iter().map(item).collect(),
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Table(_) => vec![item(value)],
    }
}

/// A value of a pack as an item would have it; a list is a set, since rules do not ask for order.
fn item(value: &toml::Value) -> ItemValue {
    match value {
        toml::Value::String(text) => ItemValue::text(text),
        toml::Value::Integer(number) => ItemValue::Integer(*number),
        toml::Value::Boolean(flag) => ItemValue::Flag(*flag),
        toml::Value::Array(values) => ItemValue::List(values.iter().map(item).collect()),
        // Items know neither; as text they can at least be compared.
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => {
            ItemValue::text(value.to_string())
        }
    }
}

impl Operation {
    /// The demand, of an operator that needs no value, or how values are compared.
    fn needs_value(self) -> Result<Demand, Operator> {
        match self {
            Self::Present => Ok(Demand::Present),
            Self::Absent => Ok(Demand::Absent),
            Self::Is => Err(Operator::Is),
            Self::IsNot => Err(Operator::IsNot),
            Self::Contains => Err(Operator::Contains),
            Self::AtLeast => Err(Operator::AtLeast),
            Self::AtMost => Err(Operator::AtMost),
            Self::Within => Err(Operator::Within),
            Self::Matches => Err(Operator::Matches),
            Self::MatchesNot => Err(Operator::MatchesNot),
        }
    }
}

#[cfg(test)]
mod tests;
