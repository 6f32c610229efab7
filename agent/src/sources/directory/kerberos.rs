//! `krb5.conf` with its includes; see krb5.conf(5).

use std::path::{Path, PathBuf};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Reason;

use crate::formats::Malformed;
use crate::formats::lines::{decode, meaningful, scalar};
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
        let mut section = String::new();
        let mut braces: Vec<String> = Vec::new();
        for (number, line) in meaningful(&decode(&content.bytes), &['#', ';']) {
            let malformed = |what| Trouble::Malformed(Malformed { line: number, what });
            if let Some(folder) = line.strip_prefix("includedir ") {
                self.folder(look, Path::new(folder.trim()), depth)?;
            } else if let Some(file) = line.strip_prefix("include ") {
                self.file(look, Path::new(file.trim()), depth + 1)?;
            } else if let Some(name) = line.strip_prefix('[') {
                let name = name.split(']').next().unwrap_or_default();
                section = name.trim().to_owned();
                braces.clear();
            } else if line.starts_with('}') {
                braces.pop().ok_or_else(|| malformed("a brace closes nothing"))?;
            } else if let Some((name, value)) = line.split_once('=') {
                let (name, value) = (name.trim(), value.trim().trim_end_matches('*'));
                if value == "{" {
                    braces.push(name.to_owned());
                } else {
                    let within = std::iter::once(section.as_str());
                    let within = within.chain(braces.iter().map(String::as_str));
                    self.add(ItemKey::of(within.chain([name])), scalar(value));
                }
            } else if !line.starts_with("module ") {
                return Err(malformed("a setting needs `=`"));
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
