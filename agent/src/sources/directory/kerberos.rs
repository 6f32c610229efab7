//! `krb5.conf` with its includes; see krb5.conf(5).

use std::path::{Path, PathBuf};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Reason;

use crate::formats::Malformed;
use crate::formats::lines::{BLANKS, decode, numbered, scalar};
use crate::sources::look::Look;
use crate::sources::table::{Trouble, say};

const FILE: &str = "/etc/krb5.conf";

/// Where the file and those it usually includes stand.
pub(super) const PLACES: [&str; 3] =
    [FILE, "/etc/krb5.conf.d", "/var/lib/sss/pubconf/krb5.include.d"];

/// How deep includes may nest, and how many files there may be.
const DEPTH: usize = 8;
const FILES: usize = 256;

/// Each setting under its section and the braces around it; one that repeats is a list.
pub(super) fn configured(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut reader = Reader { items: RawItems::new(), files: 0 };
    if !reader.file(look, Path::new(FILE), 0)? {
        return Ok(None);
    }
    Ok(Some(reader.items))
}

/// Where in a file a line stands.
#[derive(Default)]
struct Place {
    /// The section and the braces within it; nothing before the first section.
    path: Vec<String>,
    /// A name whose brace must open on this line.
    opens: Option<String>,
}

impl Place {
    /// The path and value of a line that is a setting, as `prof_parse.c` of the library takes it.
    ///
    /// # Errors
    /// What the library would refuse.
    fn line(&mut self, line: &str) -> Result<Option<(Vec<String>, String)>, &'static str> {
        // What stands before the first section says nothing, and neither do names of modules.
        if self.path.is_empty() && !line.starts_with('[') {
            return Ok(None);
        }
        let line = line.trim_matches(BLANKS);
        if let Some(name) = self.opens.take() {
            self.enter(name)?;
            return if line.starts_with('{') { Ok(None) } else { Err("a brace must open here") };
        }
        if line.is_empty() || line.starts_with(['#', ';']) {
            return Ok(None);
        }
        if let Some(rest) = line.strip_prefix('[') {
            let (name, rest) = rest.split_once(']').ok_or("a section needs `]`")?;
            if self.path.len() > 1 || !is_final_or_nothing(rest) {
                return Err("a section stands alone and not within braces");
            }
            self.path = vec![name.to_owned()];
            return Ok(None);
        }
        if line.starts_with('}') {
            let within = self.path.len() > 1;
            self.path.pop();
            return if within { Ok(None) } else { Err("a brace closes nothing") };
        }
        self.setting(line)
    }

    /// Goes into a brace; each setting within carries the names of all around it.
    fn enter(&mut self, name: String) -> Result<(), &'static str> {
        if self.path.len() >= limits::NESTING {
            return Err("braces stand in each other too deeply");
        }
        self.path.push(name);
        Ok(())
    }

    fn setting(&mut self, line: &str) -> Result<Option<(Vec<String>, String)>, &'static str> {
        let (name, value) = line.split_once('=').ok_or("a setting needs `=`")?;
        let name = name.trim_end_matches(BLANKS);
        if name.is_empty() || name.contains(BLANKS) {
            return Err("a setting has a name of one word");
        }
        // A `*` says that no further file may add to it.
        let name = name.split('*').next().unwrap_or_default().to_owned();
        let value = value.trim_start_matches(BLANKS);
        if value.is_empty() {
            self.opens = Some(name);
        } else if value == "{" {
            self.enter(name)?;
        } else {
            let path = self.path.iter().cloned().chain([name]).collect();
            return Ok(Some((path, unquoted(value))));
        }
        Ok(None)
    }
}

/// What stands behind `word` on a line that begins with it.
fn directive<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(word)?;
    rest.starts_with(BLANKS).then(|| rest.trim_matches(BLANKS))
}

/// Behind a section there may be a `*`, and nothing else.
fn is_final_or_nothing(rest: &str) -> bool {
    rest.strip_prefix('*').unwrap_or(rest).trim_matches(BLANKS).is_empty()
}

/// A value between `"` ends with them, and a backslash stands before a sign that means itself.
fn unquoted(value: &str) -> String {
    let Some(text) = value.strip_prefix('"') else { return value.to_owned() };
    let mut plain = String::new();
    let mut signs = text.chars();
    while let Some(sign) = signs.next().filter(|sign| *sign != '"') {
        let escaped = if sign == '\\' { signs.next() } else { None };
        plain.push(match escaped {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some(other) => other,
            None => sign,
        });
    }
    plain
}

struct Reader {
    items: RawItems,
    files: usize,
}

impl Reader {
    /// Whether there is such a file.
    fn file(&mut self, look: &mut Look<'_>, path: &Path, depth: usize) -> Result<bool, Trouble> {
        self.files += 1;
        if depth > DEPTH || self.files > FILES {
            return Err(Trouble::Unread(Reason::TooLarge));
        }
        let Some(content) = look.read(path, limits::FILE_BYTES)? else { return Ok(false) };
        let mut place = Place::default();
        for (number, line) in numbered(&decode(&content.bytes)) {
            let malformed = |what| Trouble::Malformed(Malformed { line: number, what });
            if let Some(folder) = directive(line, "includedir") {
                self.folder(look, Path::new(folder), depth)?;
            } else if let Some(file) = directive(line, "include") {
                self.file(look, Path::new(file), depth + 1)?;
            } else if let Some((path, value)) = place.line(line).map_err(malformed)? {
                self.add(ItemKey::of(path), scalar(&value));
            }
        }
        Ok(true)
    }

    /// The files of a folder whose names the library takes: letters, digits, dashes, underscores,
    /// or an end in `.conf`.
    fn folder(&mut self, look: &mut Look<'_>, path: &Path, depth: usize) -> Result<(), Trouble> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let mut found: Vec<PathBuf> = Vec::new();
        for entry in look.entries(path)?.unwrap_or_default() {
            let Some(name) = entry.name.to_str() else { continue };
            let is_conf = name.ends_with(".conf") && !name.starts_with('.');
            if is_conf || name.chars().all(is_plain) {
                found.push(path.join(name));
            }
        }
        for file in found {
            self.file(look, &file, depth + 1)?;
        }
        Ok(())
    }

    fn add(&mut self, key: ItemKey, value: ItemValue) {
        let value = match self.items.remove(&key).map(|item| item.value) {
            None => value,
            Some(_) if mutant::active(Mutant::LastServerIsAll) => value,
            Some(ItemValue::List(mut all)) if all.len() < limits::VALUES_PER_ITEM => {
                all.push(value);
                ItemValue::List(all)
            }
            Some(full @ ItemValue::List(_)) => full,
            Some(one) => ItemValue::List(vec![one, value]),
        };
        say(&mut self.items, key.segments(), value);
    }
}
