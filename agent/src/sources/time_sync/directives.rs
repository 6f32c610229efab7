//! What chronyd and ntpd are told: a directive a line, with files included in place.
//!
//! See chrony.conf(5) and ntp.conf(5). Both read the same way as far as it matters here: the first
//! word is the directive, and some directives are about something, which is then part of the key.

use std::path::Path;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems};
use driftline_protocol::snapshot::Reason;

use crate::formats::Malformed;
use crate::formats::lines::{decode, first_word, meaningful, words};
use crate::sources::include;
use crate::sources::look::Look;
use crate::sources::precedence::files;
use crate::sources::table::Trouble;

/// How deep files may include files; chronyd stops at 10.
const DEPTH: usize = 10;

/// The most files of one configuration.
const FILES: usize = 1_024;

/// Directives whose first argument says what they are about, so each may come many times.
const ABOUT: [&str; 12] = [
    "server",
    "pool",
    "peer",
    "allow",
    "deny",
    "cmdallow",
    "cmddeny",
    "refclock",
    "restrict",
    "hwtimestamp",
    "bindaddress",
    "interface",
];

/// Those of them that mean nothing alone.
const SOURCES: [&str; 3] = ["server", "pool", "peer"];

/// Directives that hold a password.
const SECRET: [&str; 2] = ["crypto", "requestkeypw"];

/// Where programs put what a network said; it is theirs, and the network's, and no configuration.
const FROM_NETWORK: &str = "/run/";

/// What chronyd is told; `None` where it has no file.
pub(super) fn chrony(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    first(look, &["/etc/chrony/chrony.conf", "/etc/chrony.conf"])
}

/// What ntpd or ntpsec is told; `None` where it has no file.
pub(super) fn ntp(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    first(look, &["/etc/ntpsec/ntp.conf", "/etc/ntp.conf"])
}

fn first(look: &mut Look<'_>, paths: &[&str]) -> Result<Option<RawItems>, Trouble> {
    for path in paths {
        let mut reading = Reading { items: RawItems::new(), files: 0 };
        if let Some(content) = look.read(Path::new(path), limits::FILE_BYTES)? {
            reading.text(look, &decode(&content.bytes), (Path::new(path), 0))?;
            return Ok(Some(reading.items));
        }
    }
    Ok(None)
}

struct Reading {
    items: RawItems,
    files: usize,
}

impl Reading {
    fn text(
        &mut self,
        look: &mut Look<'_>,
        text: &str,
        (path, depth): (&Path, usize),
    ) -> Result<(), Trouble> {
        self.files += 1;
        if depth > DEPTH || self.files > FILES {
            return Err(Trouble::Unread(Reason::TooLarge));
        }
        for (number, line) in meaningful(text, &['#', '%', ';', '!']) {
            let line = line.split('#').next().unwrap_or_default();
            let (word, rest) = first_word(line);
            let word = word.to_ascii_lowercase();
            match word.as_str() {
                "include" | "includefile" => self.include(look, rest, (path, depth))?,
                "confdir" => self.directories(look, rest, (".conf", depth))?,
                "sourcedir" => self.directories(look, rest, (".sources", depth))?,
                _ => {
                    self.directive(&word, rest).map_err(|what| Malformed { line: number, what })?
                }
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        look: &mut Look<'_>,
        pattern: &str,
        (path, depth): (&Path, usize),
    ) -> Result<(), Trouble> {
        let beside = path.parent().unwrap_or(Path::new("/"));
        for path in include::expand(look, &include::beside(beside, pattern))? {
            if let Some(content) = look.read(&path, limits::FILE_BYTES)? {
                self.text(look, &decode(&content.bytes), (&path, depth + 1))?;
            }
        }
        Ok(())
    }

    fn directories(
        &mut self,
        look: &mut Look<'_>,
        rest: &str,
        (suffix, depth): (&str, usize),
    ) -> Result<(), Trouble> {
        let directories: Vec<&str> =
            words(rest).filter(|path| !path.starts_with(FROM_NETWORK)).collect();
        for file in files(look, &directories, suffix)? {
            self.text(look, &decode(&file.bytes), (&file.path, depth + 1))?;
        }
        Ok(())
    }

    /// One directive; of those that are not about something the last counts.
    fn directive(&mut self, word: &str, rest: &str) -> Result<(), &'static str> {
        let mut arguments: Vec<&str> = words(rest).collect();
        let mut key = vec![word];
        if SOURCES.contains(&word) && arguments.is_empty() {
            return Err("a source of time needs a name");
        }
        if ABOUT.contains(&word) {
            // `restrict -6 default`: the family belongs to what it is about.
            let about = arguments.iter().take_while(|word| word.starts_with('-')).count() + 1;
            key.extend(arguments.drain(..about.min(arguments.len())));
        }
        let value = match arguments.as_slice() {
            [] => ItemValue::Nothing,
            arguments => ItemValue::Text(arguments.join(" ")),
        };
        let is_secret = SECRET.contains(&word);
        let item = if is_secret { RawItem::secret(value) } else { RawItem::plain(value) };
        self.items.insert(ItemKey::of(key), item);
        Ok(())
    }
}
