//! Sections, variables and directives of one file, before anybody says what they mean.
//!
//! `=>` and `=` are one; `+=` lengthens the last variable of its name; `[a](!)` is a template,
//! `[a](b)` takes from `b` what it does not say itself, `[a](+)` goes on with `a`. Sections of one
//! name are different objects. Knows no file: a template or a section to go on with may stand in
//! another one.

use std::collections::BTreeMap;

use driftline_protocol::limits;

use super::super::FormatError;
use super::lines::{self, trim};
use super::trunks::addressed;

/// The most lines of one file that are kept. A dial plan of a large site has about 20,000; a part
/// has fewer items, since many lines make one extension.
const STATEMENTS: usize = 200_000;

/// What a file says.
#[derive(Default)]
pub(super) struct Document {
    /// Its sections, in order.
    pub(super) sections: Vec<Section>,
    /// Its directives, in order.
    pub(super) directives: Vec<Directive>,
    /// How many lines Asterisk skips as too long.
    pub(super) too_long: u32,
    named: BTreeMap<String, Vec<usize>>,
}

/// One section.
#[derive(Default)]
pub(super) struct Section {
    /// Its name, as it stands.
    pub(super) name: String,
    /// Where it begins.
    pub(super) origin: Origin,
    /// Whether it is a template, which nobody sees but those that take from it.
    pub(super) template: bool,
    /// The templates it takes from, in order.
    pub(super) inherits: Vec<String>,
    /// Whether one of them stands in another file.
    pub(super) takes_from_elsewhere: bool,
    /// Its variables, in order.
    pub(super) variables: Vec<Variable>,
    /// Lines that Asterisk skips with a warning.
    pub(super) skipped: Vec<String>,
    /// Its `type`, its own or a template's.
    pub(super) kind: Option<String>,
    /// Where the last variable of each name stands.
    last: BTreeMap<String, usize>,
}

/// Where a section begins.
#[derive(Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// At its header.
    #[default]
    Header,
    /// Before every header: the file goes on with a section of the one that includes it.
    Includer,
    /// In another file: this is `(+)` with what it asks of the section to go on with.
    Elsewhere(String),
}

/// One variable.
pub(super) struct Variable {
    /// Its name, as it stands.
    pub(super) name: String,
    /// Its value.
    pub(super) value: String,
}

/// `#include` and its kin.
pub(super) struct Directive {
    /// `#include`, `#tryinclude` or `#exec`.
    pub(super) kind: &'static str,
    /// The file or command.
    pub(super) target: String,
    /// The name of the section in which it stands.
    pub(super) within: Option<String>,
}

impl Document {
    /// The document in `text`.
    ///
    /// # Errors
    /// Where Asterisk refuses the file: a header that is not closed, an escape of nothing.
    pub(super) fn read(text: &str) -> Result<Self, FormatError> {
        let lines = lines::meaningful(text, STATEMENTS).ok_or(FormatError::TooLarge)?;
        let mut document = Self { too_long: lines.too_long, ..Self::default() };
        let mut current = None;
        for (number, line) in lines.lines {
            if document.sections.len() > limits::ITEMS_PER_PART {
                return Err(FormatError::TooLarge); // each is an item
            }
            if let Some(header) = line.strip_prefix('[') {
                let malformed = |what| FormatError::malformed(number, what);
                current = Some(document.header(header).map_err(malformed)?);
            } else if let Some(directive) = line.strip_prefix('#') {
                document.directive(directive, current);
            } else {
                let current = *current.get_or_insert_with(|| document.begin_in_includer());
                if let Some(section) = document.sections.get_mut(current) {
                    let malformed = |what| FormatError::malformed(number, what);
                    section.assign(&line).map_err(malformed)?;
                }
            }
        }
        document.resolve_kinds();
        Ok(document)
    }

    fn begin_in_includer(&mut self) -> usize {
        self.sections.push(Section { origin: Origin::Includer, ..Section::default() });
        self.sections.len() - 1
    }

    /// The section that a header begins or goes on with.
    fn header(&mut self, header: &str) -> Result<usize, &'static str> {
        let (name, rest) = header.split_once(']').ok_or("a section needs `]`")?;
        let mut section = Section { name: name.to_owned(), ..Section::default() };
        let mut base = None;
        if let Some(options) = rest.strip_prefix('(') {
            let (options, _) = options.split_once(')').ok_or("a section's options need `)`")?;
            for option in options.split(',').map(trim) {
                if option == "!" {
                    section.template = true;
                } else if let Some(filter) = option.strip_prefix('+') {
                    base = self.to_go_on_with(name, filter);
                    section.origin = Origin::Elsewhere(filter.to_owned());
                } else {
                    section.takes_from_elsewhere |= !self.named.contains_key(&folded(option));
                    section.inherits.push(option.to_owned());
                }
            }
        }
        if let Some((at, base)) = base.and_then(|at| Some((at, self.sections.get_mut(at)?))) {
            base.template |= section.template;
            base.takes_from_elsewhere |= section.takes_from_elsewhere;
            base.inherits.append(&mut section.inherits);
            return Ok(at);
        }
        self.named.entry(folded(name)).or_default().push(self.sections.len());
        self.sections.push(section);
        Ok(self.sections.len() - 1)
    }

    /// The section of this file that `[name](+)` or `[name](+type=auth)` means. Filters by other
    /// variables are left to Asterisk.
    fn to_go_on_with(&self, name: &str, filter: &str) -> Option<usize> {
        let same_name = self.named.get(&folded(name))?;
        if filter.is_empty() {
            return same_name.first().copied();
        }
        let (_, kind) = filter.split_once('=').filter(|(n, _)| n.eq_ignore_ascii_case("type"))?;
        let meant = |at: &&usize| {
            let section = self.sections.get(**at);
            section.is_some_and(|section| section.kind.as_deref() == Some(kind))
        };
        same_name.iter().find(meant).copied()
    }

    fn directive(&mut self, line: &str, current: Option<usize>) {
        let (name, target) = line.split_once(|c| c <= ' ').unwrap_or((line, ""));
        let kinds = ["#include", "#tryinclude", "#exec"];
        let kind = kinds.into_iter().find(|kind| kind.trim_start_matches('#') == name);
        let kind = kind.or_else(|| {
            kinds.into_iter().find(|kind| kind.trim_start_matches('#').eq_ignore_ascii_case(name))
        });
        let target = unquoted(trim(target));
        let section = current.and_then(|at| self.sections.get_mut(at));
        match (kind, section) {
            (Some(kind), section) if !target.is_empty() => {
                let within = section.map(|section| section.name.clone());
                self.directives.push(Directive { kind, target: target.to_owned(), within });
            }
            (_, Some(section)) => section.skipped.push(format!("#{line}")),
            (_, None) => {
                let at = self.begin_in_includer();
                if let Some(section) = self.sections.get_mut(at) {
                    section.skipped.push(format!("#{line}"));
                }
            }
        }
    }

    /// A section's type is the last one it says itself, else that of its last template with one.
    /// Templates stand above those that take from them, so one pass suffices.
    fn resolve_kinds(&mut self) {
        for at in 0..self.sections.len() {
            let Some(section) = self.sections.get(at) else { return };
            let inherited = || {
                section.inherits.iter().rev().find_map(|template| {
                    let first = *self.named.get(&folded(template))?.first()?;
                    let template = self.sections.get(first).filter(|_| first < at)?;
                    template.kind.clone()
                })
            };
            let kind = section.kind.clone().or_else(inherited);
            if let Some(section) = self.sections.get_mut(at) {
                section.kind = kind;
            }
        }
    }
}

impl Section {
    fn assign(&mut self, line: &str) -> Result<(), &'static str> {
        // A `\` takes the meaning from the character behind it.
        let escaped = line.starts_with('\\');
        let line = line.strip_prefix('\\').unwrap_or(line);
        let hidden = if escaped { line.chars().next().map_or(0, char::len_utf8) } else { 0 };
        if escaped && line.chars().next().is_none_or(|c| c <= ' ') {
            return Err("an escape of nothing");
        }
        let sign = line.get(hidden..).and_then(|rest| rest.find('=')).map(|at| at + hidden);
        let Some((name, value)) = sign.and_then(|at| line.split_at_checked(at)) else {
            self.skipped.push(line.to_owned());
            return Ok(());
        };
        let value = value.strip_prefix('=').unwrap_or(value);
        match name.strip_suffix('+') {
            Some(name) if !name.is_empty() => self.lengthen(trim(name), value),
            _ => {
                let value = value.strip_prefix('>').unwrap_or(value);
                self.set(trim(name), trim(value), line);
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str, line: &str) {
        if name.is_empty() {
            self.skipped.push(line.to_owned());
        } else {
            let value = addressed(value).into_owned();
            if name.eq_ignore_ascii_case("type") {
                self.kind = Some(value.clone());
            }
            self.last.insert(name.to_owned(), self.variables.len());
            self.variables.push(Variable { name: name.to_owned(), value });
        }
    }

    fn lengthen(&mut self, name: &str, more: &str) {
        match self.last.get(name).and_then(|at| self.variables.get_mut(*at)) {
            Some(Variable { value, .. }) => {
                let more = more.trim_end_matches(|c| c <= ' ');
                value.push_str(if value.is_empty() { trim(more) } else { more });
            }
            // What it lengthens stands in a template.
            None if !self.inherits.is_empty() => self.set(&format!("{name} +="), trim(more), ""),
            None => self.set(name, trim(more), ""),
        }
    }
}

fn unquoted(target: &str) -> &str {
    let quoted = |open, close| target.strip_prefix(open)?.strip_suffix(close);
    quoted('"', '"').or_else(|| quoted('<', '>')).unwrap_or(target)
}

/// Asterisk compares the names of sections without regard to case.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}
