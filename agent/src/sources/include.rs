//! The files that an include pattern names, inside the machine's root.
//!
//! As glob(3) finds them: `*`, `?` and `[…]` within one name, a leading dot only by itself, sorted
//! by bytes. A directory that cannot be listed, or a pattern that cannot be read, is an error and
//! not "no files": an unread include is not an absent one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::PartName;
use driftline_protocol::snapshot::Reason;

use super::glob::Segment;
use super::look::Look;

/// The most files one pattern may name; a directory of more is a mistake, not a configuration.
const FILES: usize = 1_024;

/// The existing paths that `pattern` (absolute) names, sorted.
pub(super) fn expand(look: &mut Look<'_>, pattern: &str) -> Result<Vec<PathBuf>, Reason> {
    let mut found = vec![PathBuf::from("/")];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        if !component.contains(['*', '?', '[', '\\']) {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        let names = Names::new(component).ok_or(Reason::Unsupported)?;
        let mut next = Vec::new();
        for directory in found {
            let entries = look.entries(&directory)?.unwrap_or_default();
            let names = entries.iter().filter(|entry| names.contains(&entry.name));
            next.extend(names.map(|entry| directory.join(&entry.name)));
        }
        if next.len() > FILES {
            return Err(Reason::TooLarge);
        }
        found = next;
    }
    Ok(found)
}

/// Which names of a directory a component names; a leading dot must be written out.
struct Names {
    pattern: Segment,
    hidden: bool,
}

impl Names {
    /// `None` for what glob(3) reads in a way of its own: an escape, or a bracket left open.
    fn new(component: &str) -> Option<Self> {
        let pattern = Segment::new(component).ok().filter(|_| !component.contains('\\'))?;
        Some(Self { pattern, hidden: component.starts_with('.') })
    }

    fn contains(&self, name: &OsStr) -> bool {
        let name = PartName::from_bytes(name.as_encoded_bytes());
        (self.hidden || !name.as_str().starts_with('.')) && self.pattern.matches(name.as_str())
    }
}

/// `path` as written in a file of `directory`: relative ones stand beside it.
pub(super) fn beside(directory: &Path, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    format!("{}/{path}", directory.display())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_what_glob_names() {
        for (pattern, name, expect) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            (".*", ".conf", true),
            ("*.conf", "a.conf.bak", false),
            ("*a*b*", "xaab", true),
            ("**", "any", true),
            ("?b", "ab", true),
            ("[0-9][!a]*", "1b", true),
            ("[0-9][^a]*", "1a", false),
            ("[]]", "]", true),
            ("{a}*", "{a}b", true),
        ] {
            let names = Names::new(pattern).unwrap();
            assert_eq!(names.contains(OsStr::new(name)), expect, "{pattern} against {name}");
        }
        for pattern in ["[", "\\*"] {
            assert!(Names::new(pattern).is_none(), "{pattern} is read");
        }
    }
}
