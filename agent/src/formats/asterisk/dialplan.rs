//! The dial plan: contexts of extensions, each a sequence of steps by priority.
//!
//! A step is shown without its number where it follows the one before (`n`, `same =>` and counting
//! by hand are one), with it where numbers jump. So a step put in between is one change of its
//! extension, and the lines of an extension may stand in any order.

use std::collections::BTreeMap;

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;

use super::super::FormatError;
use super::super::lines::scalar;
use super::document::{Document, Section, Variable};
use super::items::{IntoText, Items, Naming, Path, below};
use super::lines::trim;
use super::settings::{self, Place};

/// The priority of a hint, and what `n` counts on from behind one.
const HINT: i64 = -1;

/// The items of a dial plan.
pub(super) fn read(document: &Document) -> Result<RawItems, FormatError> {
    let mut items = Items::default();
    let mut extensions = Extensions::new();
    let paths = items.frame(document, Naming::Joined)?;
    for (path, section) in paths.iter().zip(&document.sections) {
        match section.name.to_ascii_lowercase().as_str() {
            "general" => {
                for variable in &section.variables {
                    settings::add(&mut items, &Place::new(path, section), variable)?;
                }
            }
            "globals" => {
                for Variable { name, value } in &section.variables {
                    items.set(&below(path, &[name]), scalar(value))?;
                }
            }
            _ => context(&mut items, &mut extensions, (path, section))?,
        }
    }
    for (path, steps) in extensions {
        if steps.len() > limits::VALUES_PER_ITEM {
            return Err(FormatError::TooLarge);
        }
        items.set(&path, ItemValue::Lines(shown(steps)))?;
    }
    items.finish()
}

/// The steps of each extension, by its path.
type Extensions = BTreeMap<Path, Vec<Step>>;

/// One step of an extension.
struct Step {
    priority: i64,
    /// `(name) `, or nothing.
    label: String,
    application: String,
}

/// Where the reader stands in a context.
#[derive(Default)]
struct Cursor<'a> {
    extension: Option<&'a str>,
    priority: i64,
}

fn context(
    items: &mut Items,
    extensions: &mut Extensions,
    (path, section): (&Path, &Section),
) -> Result<(), FormatError> {
    let place = Place::new(path, section);
    let mut cursor = Cursor::default();
    let mut lost = Vec::new();
    for variable in &section.variables {
        let Variable { name, value } = variable;
        match name.to_ascii_lowercase().as_str() {
            "exten" => {
                let (extension, rest) = value.split_once(',').unwrap_or((value, ""));
                cursor.extension = Some(trim(extension));
                lost.extend(step(items, extensions, (path, &mut cursor, rest))?.map(|_| value));
            }
            "same" => {
                lost.extend(step(items, extensions, (path, &mut cursor, value))?.map(|_| value));
            }
            "include" | "switch" | "lswitch" | "eswitch" => {
                items.extend(&below(path, &[name]), [value.as_str().into_text()])?;
            }
            _ => settings::add(items, &place, variable)?,
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    let lost = lost.into_iter().map(|line| line.as_str().into_text());
    items.extend(&below(path, &["(steps without a priority)"]), lost)
}

/// A step that Asterisk does not register.
struct Lost;

/// Adds the step in `rest`, which follows the name of its extension.
fn step<'a>(
    items: &mut Items,
    extensions: &mut Extensions,
    (path, cursor, rest): (&Path, &mut Cursor<'a>, &'a str),
) -> Result<Option<Lost>, FormatError> {
    let Some(extension) = cursor.extension else { return Ok(Some(Lost)) };
    let (priority, application) = rest.split_once(',').unwrap_or((rest, ""));
    let application = normal(application);
    let Some((priority, label)) = Priority::read(priority, cursor.priority) else {
        return Ok(Some(Lost));
    };
    cursor.priority = priority;
    if priority == HINT {
        items.add(&below(path, &["hint", extension]), application.into_text())?;
        return Ok(None);
    }
    if priority == 0 {
        return Ok(Some(Lost)); // `n` behind a hint
    }
    let steps = extensions.entry(below(path, &["exten", extension])).or_default();
    steps.push(Step { priority, label, application });
    Ok(None)
}

struct Priority;

impl Priority {
    /// The number and the label of `5`, `n(label)`, `s+10`, `hint`, given the number before.
    fn read(text: &str, before: i64) -> Option<(i64, String)> {
        let (text, label) = match text.split_once('(') {
            Some((text, rest)) => {
                let (label, _) = rest.split_once(')').unwrap_or((rest, ""));
                (text, format!("({}) ", trim(label)))
            }
            None => (text, String::new()),
        };
        let (text, plus) = text.split_once('+').unwrap_or((text, "0"));
        let base = match trim(text).to_ascii_lowercase().as_str() {
            "hint" => return Some((HINT, label)),
            "n" | "next" => before.checked_add(1)?,
            "s" | "same" => before,
            number => number.parse::<i64>().ok().filter(|number| *number > 0)?,
        };
        Some((base.checked_add(trim(plus).parse().unwrap_or(0))?, label))
    }
}

/// Applications with a password among their arguments, and its place.
const WITH_PASSWORD: &[(&str, usize)] = &[("authenticate", 0), ("disa", 0), ("meetme", 2)];

/// `App(arguments)` without blanks around the parts and with a password called one, so that the
/// redactor knows it.
fn normal(text: &str) -> String {
    let text = trim(text);
    let Some((application, rest)) = text.split_once('(') else { return text.to_owned() };
    let Some((arguments, _)) = rest.rsplit_once(')') else { return text.to_owned() };
    let application = trim(application);
    if application.contains(['$', '{', '[']) {
        return text.to_owned(); // an expression, as in a hint
    }
    let secret = WITH_PASSWORD.iter().find(|(name, _)| application.eq_ignore_ascii_case(name));
    let Some((_, place)) = secret else { return format!("{application}({arguments})") };
    let named = |(at, argument): (usize, &str)| {
        let hidden = at == *place && !argument.is_empty();
        if hidden { format!("password={argument}") } else { argument.to_owned() }
    };
    let arguments: Vec<String> = arguments.split([',', '|']).enumerate().map(named).collect();
    format!("{application}({})", arguments.join(","))
}

/// The steps in their order, each with its number where it does not follow the one before.
fn shown(mut steps: Vec<Step>) -> Vec<String> {
    steps.sort_by_key(|step| step.priority);
    let mut before = 0i64;
    let mut lines = Vec::with_capacity(steps.len());
    for Step { priority, label, application } in steps {
        let follows = before.checked_add(1) == Some(priority);
        let number = if follows { String::new() } else { format!("{priority} ") };
        lines.push(format!("{number}{label}{application}"));
        before = priority;
    }
    lines
}
