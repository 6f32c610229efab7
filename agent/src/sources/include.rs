//! The files that an include pattern names, inside the machine's root.
//!
//! As glob(3) finds them: `*`, `?` and `[…]` within one name, a leading dot only by itself, sorted
//! by bytes. A directory that cannot be listed is an error and not "no files": an unread include is
//! not an absent one.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use driftline_protocol::snapshot::Reason;

use super::look::Look;

/// The most files one pattern may name; a directory of more is a mistake, not a configuration.
const FILES: usize = 1_024;

/// The existing paths that `pattern` (absolute) names, sorted.
pub(super) fn expand(look: &mut Look<'_>, pattern: &str) -> Result<Vec<PathBuf>, Reason> {
    let mut found = vec![PathBuf::from("/")];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        let mut next = Vec::new();
        for directory in found {
            if !component.contains(['*', '?', '[']) {
                next.push(directory.join(component));
                continue;
            }
            let entries = look.entries(&directory)?.unwrap_or_default();
            let names = entries.iter().filter(|entry| matches(component, entry.name.as_bytes()));
            next.extend(names.map(|entry| directory.join(&entry.name)));
        }
        if next.len() > FILES {
            return Err(Reason::TooLarge);
        }
        found = next;
    }
    Ok(found)
}

/// Whether `pattern` names `name`; a leading dot must be written out.
fn matches(pattern: &str, name: &[u8]) -> bool {
    let hidden = name.starts_with(b".") && !pattern.starts_with('.');
    !hidden && matches_bytes(pattern.as_bytes(), name)
}

/// The classic walk with one place to return to, so that no pattern takes more than pattern × name
/// steps.
fn matches_bytes(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < name.len() {
        let rest = pattern.get(at..).unwrap_or_default();
        if rest.first() == Some(&b'*') {
            star = Some((at, read));
            at += 1;
        } else if let Some(width) = name.get(read).and_then(|byte| matches_one(rest, *byte)) {
            at += width;
            read += 1;
        } else if let Some((star_at, star_read)) = star {
            star = Some((star_at, star_read + 1));
            at = star_at + 1;
            read = star_read + 1;
        } else {
            return false;
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// How many bytes of `pattern` stand for the one byte, if they do.
fn matches_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', rest @ ..] => {
            let negated = matches!(rest.first(), Some(b'!' | b'^'));
            let rest = rest.get(usize::from(negated)..)?;
            let length = rest.iter().skip(1).position(|byte| *byte == b']')? + 1;
            let set = rest.get(..length)?;
            let width = 1 + usize::from(negated) + length + 1;
            (in_set(set, byte) != negated).then_some(width)
        }
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

fn in_set(mut set: &[u8], byte: u8) -> bool {
    while let Some((first, rest)) = set.split_first() {
        set = match rest {
            [b'-', last, rest @ ..] => {
                if (*first..=*last).contains(&byte) {
                    return true;
                }
                rest
            }
            _ if *first == byte => return true,
            rest => rest,
        };
    }
    false
}

/// `path` as written in a file of `directory`: relative ones stand beside it.
pub(super) fn beside(directory: &Path, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    format!("{}/{path}", directory.display())
}

#[cfg(test)]
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
            ("?b", "ab", true),
            ("[0-9][!a]*", "1b", true),
            ("[0-9][!a]*", "1a", false),
            ("[]]", "]", true),
            ("[", "a", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, name.as_bytes()), expect, "{pattern} against {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends() {
        assert!(!matches(&"*a".repeat(200), "a".repeat(199).as_bytes()));
    }
}
