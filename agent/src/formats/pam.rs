//! Who is asked when somebody logs in: the stacks of PAM; see pam.d(5).
//!
//! Every line is a step with its place, since a stack is walked from the top; a `@include` is one
//! too. The values of a bracketed control (`[success=1 default=ignore]`) have no order.

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;

use super::build::Builder;
use super::lines::{continued, decode, is_in, words};
use super::{Format, FormatError, Malformed};

/// The steps of one service.
pub static FORMAT: Format = Format {
    name: "pam",
    version: 1,
    ordered: "steps keep their order, and so do the arguments of a module",
    claims: |path, _| is_in(path, "/etc/pam.d", "") || is_in(path, "/usr/lib/pam.d", ""),
    read,
};

/// One line of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Every line of another file, here.
    Include(String),
    /// A module, or with the control `include` or `substack` the same management group of another
    /// file.
    Module {
        /// `auth`, `account`, `password` or `session`.
        group: &'static str,
        /// What its answer means; a module that may be missing has a `-` before it.
        control: String,
        /// The module or file.
        module: String,
        /// What it is told.
        arguments: Vec<String>,
    },
}

const GROUPS: [&str; 4] = ["auth", "account", "password", "session"];

/// The steps of a file.
///
/// # Errors
/// [`Malformed`] for a line without a known group, a control or a module.
pub fn steps(bytes: &[u8]) -> Result<Vec<Step>, Malformed> {
    let text = decode(bytes);
    let mut steps = Vec::new();
    for (number, line) in continued(&text, &['#']) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            steps.push(step(line).map_err(|what| Malformed { line: number, what })?);
        }
    }
    Ok(steps)
}

fn step(line: &str) -> Result<Step, &'static str> {
    let mut tokens = tokens(line).into_iter();
    let first = tokens.next().unwrap_or_default();
    if first == "@include" {
        return tokens.next().map(Step::Include).ok_or("an include needs a file");
    }
    let (quiet, name) = match first.strip_prefix('-') {
        Some(name) => ("-", name),
        None => ("", first.as_str()),
    };
    let group = GROUPS.into_iter().find(|group| group.eq_ignore_ascii_case(name));
    let group = group.ok_or("not a management group")?;
    let control = tokens.next().ok_or("a step needs a control")?;
    let control = format!("{quiet}{}", control.to_ascii_lowercase());
    let module = tokens.next().ok_or("a step needs a module")?;
    Ok(Step::Module { group, control, module, arguments: tokens.collect() })
}

/// Words; brackets keep blanks together, and those of a control have their values sorted.
fn tokens(line: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for word in words(line) {
        match (&mut open, word.strip_prefix('[')) {
            (None, Some(rest)) => open = Some(vec![rest]),
            (None, None) => tokens.push(word.to_owned()),
            (Some(inside), _) => inside.push(word),
        }
        if let Some(inside) = &mut open
            && let Some(last) = inside.last_mut()
            && let Some(rest) = last.strip_suffix(']')
        {
            *last = rest;
            inside.retain(|word| !word.is_empty());
            if inside.iter().all(|word| word.contains('=')) && tokens.len() == 1 {
                inside.sort_unstable();
            }
            tokens.push(format!("[{}]", inside.join(" ")));
            open = None;
        }
    }
    tokens.extend(open.map(|inside| format!("[{}", inside.join(" "))));
    tokens
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for step in steps(bytes)? {
        match &step {
            Step::Include(file) => items.place(&["include", file], ItemValue::Nothing)?,
            Step::Module { group, control, module, arguments } => {
                let words = std::iter::once(control).chain(arguments).map(ItemValue::text);
                items.place(&[*group, module.as_str()], ItemValue::List(words.collect()))?;
            }
        }
    }
    Ok(items.finish())
}
