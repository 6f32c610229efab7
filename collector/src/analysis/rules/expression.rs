//! What matchers cannot say, in the Common Expression Language, with bounded cost. Pure.
//!
//! An expression sees `value`, `key`, `segments` (of the key), `siblings` (what stands beside the
//! item under the same parent, by last segment) and `parameters` (of its pack, by short name). It
//! is read when rules are loaded, never from a host. Its cost is bounded before it ever runs: text
//! of [`TEXT_BYTES`], loops over what it was given only, [`LOOPS`] of them, none inside another,
//! over lists of at most [`ELEMENTS`]; and only functions of a closed list.

use std::collections::HashMap;
use std::sync::Arc;

use cel::common::ast::Expr;
use cel::objects::{Key, Map};
use cel::{Context, IdedExpr, Program, Value};
use driftline_protocol::item::{ItemKey, ItemValue, Items};

use super::operator::{Verdict, is_hidden};
use super::units::versions;

/// The longest expression, in bytes: ten lines.
pub const TEXT_BYTES: usize = 1_000;

/// The most brackets inside each other: the parser takes up to 200 kB of stack for each.
pub const DEPTH: usize = 6;

/// The most signs (`.`, `+`, `!` and so on) of one expression: each may nest the rest one deeper.
pub const SIGNS: usize = 120;

/// The most loops (`all`, `exists`, `map`, `filter`) of one expression.
pub const LOOPS: usize = 3;

/// The most elements of a list, and siblings of an item, that an expression sees; over more of them
/// nobody can tell.
pub const ELEMENTS: usize = 512;

/// What may be called; macros are loops and counted apart.
const FUNCTIONS: [&str; 7] =
    ["contains", "startsWith", "endsWith", "size", "int", "string", "version_below"];

/// The names an expression may use.
pub const NAMES: [&str; 5] = ["value", "key", "segments", "siblings", "parameters"];

/// An expression, compiled and bounded.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    program: Arc<Program>,
}

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The line inside the expression, from 1.
    pub line: usize,
    /// The column in that line, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub hint: String,
}

impl Refused {
    fn whole(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { line: 1, column: 1, problem: problem.into(), hint: hint.into() }
    }
}

/// What an expression looks at.
pub struct Subject<'a> {
    /// The item's value.
    pub value: &'a ItemValue,
    /// Its key.
    pub key: &'a ItemKey,
    /// The part it stands in.
    pub items: &'a Items,
    /// The parameters of its pack, by short name.
    pub parameters: Vec<(&'a str, &'a [ItemValue])>,
}

impl Expression {
    /// Compiles `text` and bounds what it can cost.
    ///
    /// # Errors
    /// [`Refused`], with the place inside the text.
    pub fn compile(text: &str) -> Result<Self, Refused> {
        if text.len() > TEXT_BYTES {
            let problem = format!("the expression passes {TEXT_BYTES} bytes");
            return Err(Refused::whole(problem, "make two rules of it"));
        }
        if let Some(problem) = too_deep(text) {
            return Err(Refused::whole(problem, "make two rules of it"));
        }
        let program = Program::compile(text).map_err(|errors| syntax(&errors))?;
        let mut bounds = Bounds::default();
        bounds.walk(program.expression(), Inside::Nothing)?;
        for name in program.references().variables() {
            if !NAMES.contains(&name) && !bounds.own.iter().any(|own| own == name) {
                let hint = format!("an expression knows {}", NAMES.join(", "));
                return Err(Refused::whole(format!("`{name}` is not known"), hint));
            }
        }
        Ok(Self { text: text.to_owned(), program: Arc::new(program) })
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says of `subject`.
    pub fn check(&self, subject: &Subject<'_>) -> Verdict {
        let siblings = siblings(subject);
        let small = |value: &ItemValue| match value {
            ItemValue::List(list) => list.len() <= ELEMENTS,
            ItemValue::Set(set) => set.len() <= ELEMENTS,
            ItemValue::Lines(lines) => lines.len() <= ELEMENTS,
            ItemValue::Nothing
            | ItemValue::Flag(_)
            | ItemValue::Integer(_)
            | ItemValue::Text(_)
            | ItemValue::Fingerprint(_) => true,
        };
        let many = siblings.len() > ELEMENTS || !siblings.iter().all(|(_, value)| small(value));
        if many || !small(subject.value) || is_hidden(subject.value) {
            return Verdict::Unknown;
        }
        let mut context = Context::default();
        let given = context.add_function("version_below", version_below);
        context.add_variable_from_value("value", value(subject.value));
        context.add_variable_from_value("key", subject.key.as_str().to_owned());
        let segments: Vec<Value> = subject.key.segments().map(Value::from).collect();
        context.add_variable_from_value("segments", Value::List(Arc::new(segments)));
        context.add_variable_from_value("siblings", map(siblings));
        let parameters = subject.parameters.iter().map(|(name, values)| {
            let list: Vec<Value> = values.iter().map(value).collect();
            (Key::from(*name), Value::List(Arc::new(list)))
        });
        let parameters = Map { map: Arc::new(parameters.collect()) };
        context.add_variable_from_value("parameters", Value::Map(parameters));
        match (given, self.program.execute(&context)) {
            (Ok(()), Ok(Value::Bool(met))) => Verdict::from(met),
            _ => Verdict::Unknown,
        }
    }
}

/// Why the parser may not see `text`: it calls itself for each bracket and sign, and has no bound
/// of its own. What stands in quotation marks is counted too, which only refuses more.
fn too_deep(text: &str) -> Option<String> {
    let mut depth: usize = 0;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return Some(format!("more than {DEPTH} brackets inside each other"));
        }
    }
    let signs = text.bytes().filter(|byte| b".+-!*/%<>=&|?:".contains(byte)).count();
    (signs > SIGNS).then(|| format!("more than {SIGNS} signs"))
}

fn version_below(version: Arc<String>, other: Arc<String>) -> bool {
    versions(&version, &other).is_lt()
}

fn syntax(errors: &cel::ParseErrors) -> Refused {
    let Some(error) = errors.errors.first() else {
        return Refused::whole("the expression cannot be read", "see docs/rules.md");
    };
    let place = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
    // The parser lists every token it would have taken; people need the first half only.
    let problem = error.msg.split(" expecting ").next().unwrap_or(&error.msg);
    Refused {
        line: place(error.pos.0),
        column: place(error.pos.1),
        problem: problem.replace('\n', " "),
        hint: "an expression is written in CEL, see docs/rules.md".to_owned(),
    }
}

/// Whether a part of an expression is inside a loop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Loop,
}

/// What an expression can cost.
#[derive(Default)]
struct Bounds {
    loops: usize,
    /// Names the expression makes itself.
    own: Vec<String>,
}

impl Bounds {
    fn walk(&mut self, expression: &IdedExpr, inside: Inside) -> Result<(), Refused> {
        match &expression.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Ok(()),
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                let operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
                if !operator && !FUNCTIONS.contains(&name) {
                    let hint = format!("it may call {}", FUNCTIONS.join(", "));
                    return Err(Refused::whole(format!("`{name}` may not be called"), hint));
                }
                let target = call.target.iter().map(|target| &**target);
                target.chain(&call.args).try_for_each(|part| self.walk(part, inside))
            }
            Expr::List(list) => {
                list.elements.iter().try_for_each(|element| self.walk(element, inside))
            }
            Expr::Select(select) => self.walk(&select.operand, inside),
            Expr::Comprehension(each) => {
                self.loops += 1;
                if inside == Inside::Loop || self.loops > LOOPS {
                    let problem = format!("more than {LOOPS} loops, or a loop inside another");
                    return Err(Refused::whole(problem, "make several rules of it"));
                }
                self.own.push(each.iter_var.clone());
                self.own.extend(each.iter_var2.clone());
                self.own.push(each.accu_var.clone());
                let parts = [&each.accu_init, &each.loop_cond, &each.loop_step, &each.result];
                self.walk(&each.iter_range, Inside::Loop)?;
                parts.into_iter().try_for_each(|part| self.walk(part, Inside::Loop))
            }
            Expr::Map(_) | Expr::Struct(_) => Err(Refused::whole(
                "an expression makes no maps",
                "compare values one by one, or use a list",
            )),
        }
    }
}

/// What stands beside an item under the same parent, itself included; a few more than
/// [`ELEMENTS`] at most.
fn siblings<'a>(subject: &'a Subject<'_>) -> Vec<(&'a str, &'a ItemValue)> {
    let key = subject.key.as_str();
    let parent = key.rfind('/').and_then(|slash| key.get(..=slash)).unwrap_or_default();
    let from = ItemKey::try_from(parent.to_owned()).ok();
    let range = match &from {
        Some(from) => subject.items.range(from.clone()..),
        None => subject.items.range::<ItemKey, _>(..),
    };
    range
        .map_while(|(key, item)| Some((key.as_str().strip_prefix(parent)?, &item.value)))
        .filter(|(name, _)| !name.contains('/') && !name.starts_with('@'))
        .take(ELEMENTS + 1)
        .collect()
}

fn map(entries: Vec<(&str, &ItemValue)>) -> Value {
    let visible = entries.into_iter().filter(|(_, value)| !is_hidden(value));
    let entries: HashMap<Key, Value> =
        visible.map(|(name, item)| (Key::from(name), value(item))).collect();
    Value::Map(Map { map: Arc::new(entries) })
}

/// An item's value as an expression sees it; a set is a list.
fn value(item: &ItemValue) -> Value {
    match item {
        ItemValue::Nothing => Value::Null,
        ItemValue::Flag(flag) => Value::Bool(*flag),
        ItemValue::Integer(number) => Value::Int(*number),
        ItemValue::Text(text) => Value::from(text.clone()),
        // Never shown: what is hidden is judged by nobody.
        ItemValue::Fingerprint(_) => Value::Null,
        ItemValue::List(list) => Value::List(Arc::new(list.iter().map(value).collect())),
        ItemValue::Set(set) => Value::List(Arc::new(set.iter().map(value).collect())),
        ItemValue::Lines(lines) => {
            Value::List(Arc::new(lines.iter().map(|line| Value::from(line.clone())).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftline_protocol::item::Item;

    fn items() -> Items {
        let item = |value| Item { value, rank: None };
        let key = |text: &str| ItemKey::try_from(text.to_owned()).unwrap();
        [
            (key("a/shell"), item(ItemValue::text("/bin/sh"))),
            (key("a/uid"), item(ItemValue::Integer(0))),
            (key("ab/uid"), item(ItemValue::Integer(7))),
        ]
        .into()
    }

    fn check(text: &str, expect: Verdict) {
        let (items, key) = (items(), ItemKey::try_from("a/uid".to_owned()).unwrap());
        let list = [ItemValue::Integer(3)];
        let subject = Subject {
            value: &items[&key].value,
            key: &key,
            items: &items,
            parameters: vec![("most", &list)],
        };
        assert_eq!(Expression::compile(text).unwrap().check(&subject), expect, "{text}");
    }

    #[test]
    fn an_expression_sees_the_item_and_what_stands_beside_it() {
        check("value == 0 && segments[0] == 'a' && key == 'a/uid'", Verdict::Met);
        check("siblings.shell == '/bin/sh' && size(siblings) == 2", Verdict::Met);
        check("siblings.exists(name, name == 'ab')", Verdict::Broken);
        check("value > parameters.most[0]", Verdict::Broken);
        check("version_below('1.2-1', '1.10-1')", Verdict::Met);
    }

    #[test]
    fn what_cannot_be_evaluated_is_unknown_and_not_broken() {
        check("siblings.home == 'x'", Verdict::Unknown);
        check("value + 1", Verdict::Unknown);
        check("value == 0 && siblings.shell > 3", Verdict::Unknown);
    }

    #[test]
    fn cost_is_bounded_before_anything_runs() {
        for (text, problem) in [
            ("value <", "mismatched input"),
            ("siblings.all(a, siblings.all(b, a == b))", "a loop inside another"),
            ("value.all(a, a) || value.all(a, a) || value.all(a, a) || value.all(a, a)", "loops"),
            ("value.matches('(a*)*b')", "`matches` may not be called"),
            ("hostname == 'x'", "`hostname` is not known"),
            (&"(".repeat(2_000), "passes 1000 bytes"),
            (&format!("{}1{}", "(".repeat(499), ")".repeat(499)), "6 brackets inside each other"),
            (&format!("{}1{} == 1", "(".repeat(DEPTH), ")".repeat(DEPTH)), ""),
            (&format!("{}value", "!".repeat(900)), "120 signs"),
            (&format!("{}value", "!".repeat(SIGNS)), ""),
            (&format!("{}value", "- ".repeat(SIGNS)), ""),
            (&format!("value{}", ".a".repeat(SIGNS)), ""),
            (&format!("value{}", " + value".repeat(SIGNS)), ""),
            (&format!("{}1", "true ? 1 : ".repeat(SIGNS / 2)), ""),
            ("{'a': 1} == {'a': 1}", "makes no maps"),
        ] {
            match Expression::compile(text) {
                Err(refused) => assert!(refused.problem.contains(problem), "{refused:?}"),
                Ok(_) => assert!(problem.is_empty(), "{text} was taken"),
            }
        }
    }
}
