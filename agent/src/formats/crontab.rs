//! Tables of cron and anacron; see crontab(5) of Vixie cron and cronie, and anacrontab(5).
//!
//! A job is named by what it runs (and as whom), and says when: the same command at two times is
//! one item with two times. The order of lines means nothing, unless a variable is set below a job:
//! variables hold for what stands below them, so such a table keeps its order. A `#` is a comment
//! only where it begins a line, and `%` stays as it is written.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::RawItems;

use super::build::Builder;
use super::lines::{BLANKS, decode, first_word, is_in, meaningful, scalar};
use super::{Format, FormatError};

/// Tables whose lines name a user.
pub static SYSTEM: Format = Format {
    name: "crontab",
    version: 2,
    ordered: "nothing; all lines where a variable is set below a job",
    claims: |path, _| path == "/etc/crontab" || is_table(path, "/etc/cron.d", &['.']),
    read: |bytes| read(bytes, Whose::Named),
};

/// Tables of one user each.
pub static USER: Format = Format {
    name: "user_crontab",
    version: 2,
    ordered: "nothing; all lines where a variable is set below a job",
    claims: |path, _| {
        ["/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron"]
            .iter()
            .any(|directory| is_table(path, directory, &[]))
    },
    read: |bytes| read(bytes, Whose::Owner),
};

/// The table of anacron.
pub static ANACRON: Format = Format {
    name: "anacrontab",
    version: 2,
    ordered: "nothing",
    claims: |path, _| path == "/etc/anacrontab",
    read: read_anacron,
};

/// How rpm and editors end the names of what they leave.
pub(crate) const LEFT: [&str; 4] = ["~", ".rpmsave", ".rpmorig", ".rpmnew"];

/// What crontab(1) of Debian calls a table that is being edited.
pub(crate) const EDITED: &str = "tmp.";

/// Whose job a line is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The word after the time says it.
    Named,
    /// The one whose table it is.
    Owner,
}

/// One line that says something.
enum Line<'a> {
    Variable(&'a str, ItemValue),
    Job { key: Vec<&'a str>, when: String },
}

/// Cron itself passes over files that editors and installers leave. A user's name may have a dot;
/// of other tables only cronie takes such, which no path tells (source `cron` asks the system).
fn is_table(path: &str, directory: &str, refused: &[char]) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_left = name.starts_with(['.', '#']) || LEFT.iter().any(|end| name.ends_with(end));
    let is_left = is_left || name.starts_with(EDITED);
    is_in(path, directory, "") && !is_left && !name.contains(refused)
}

fn read(bytes: &[u8], whose: Whose) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let (mut jobs, mut ordered) = (false, false);
    // Twice over the text, since lines that are kept until the order is known cost many times it.
    for line in lines(&text, whose) {
        let is_job = matches!(line?, Line::Job { .. });
        ordered |= jobs && !is_job;
        jobs |= is_job;
    }
    let mut items = Builder::default();
    if ordered {
        for line in lines(&text, whose) {
            match line? {
                Line::Variable(name, value) => items.place(&["variable", name], value)?,
                Line::Job { key, when } => items.place(&key, ItemValue::Text(when))?,
            }
        }
        return Ok(items.finish());
    }
    let mut jobs: BTreeMap<ItemKey, BTreeSet<ItemValue>> = BTreeMap::new();
    let mut told = 0;
    for line in lines(&text, whose) {
        match line? {
            Line::Variable(name, value) => items.set(ItemKey::of(["variable", name]), value)?,
            Line::Job { key, when } => {
                let times = jobs.entry(ItemKey::of(key)).or_default();
                told += usize::from(times.insert(ItemValue::Text(when)));
            }
        }
        if told > limits::ITEMS_PER_PART && !mutant::active(Mutant::PartsWithoutEnd) {
            return Err(FormatError::TooLarge);
        }
    }
    for (key, times) in jobs {
        items.set(key, ItemValue::Set(times))?;
    }
    Ok(items.finish())
}

/// The lines of `text` that say something.
fn lines(text: &str, whose: Whose) -> impl Iterator<Item = Result<Line<'_>, FormatError>> {
    meaningful(text, &['#']).map(move |(number, line)| {
        parse(line, whose).map_err(|what| FormatError::malformed(number, what))
    })
}

fn parse(line: &str, whose: Whose) -> Result<Line<'_>, &'static str> {
    if let Some((name, value)) = variable(line) {
        return Ok(Line::Variable(name, scalar(value)));
    }
    // cronie logs nothing of a job of root's with a `-` in front, as SUSE has it: how it runs.
    let (quietly, line) = line.strip_prefix('-').map_or(("", line), |line| ("-", line));
    let (when, rest) = if line.starts_with('@') {
        let (word, rest) = first_word(line);
        (nickname(word).ok_or("no time has this name")?.to_owned(), rest)
    } else {
        time(line)?
    };
    let when = format!("{quietly}{when}");
    let (user, command) = match whose {
        Whose::Named => first_word(rest),
        Whose::Owner => ("", rest),
    };
    if command.is_empty() {
        return Err("a job needs a time, a command, and in some tables a user");
    }
    let key = match whose {
        Whose::Named => vec!["job", user, command],
        Whose::Owner => vec!["job", command],
    };
    Ok(Line::Job { key, when })
}

/// `NAME = value`, either perhaps in quotes; only in quotes a name may have blanks.
fn variable(line: &str) -> Option<(&str, &str)> {
    let quotes = ['"', '\''];
    let quoted = quotes.into_iter().find_map(|quote| line.strip_prefix(quote)?.split_once(quote));
    let (name, value) = match quoted {
        Some((name, rest)) => (name, rest.trim_start_matches(BLANKS).strip_prefix('=')?),
        None => line.split_once('=').map(|(name, value)| (name.trim_matches(BLANKS), value))?,
    };
    if name.is_empty() || (quoted.is_none() && name.contains(BLANKS)) {
        return None;
    }
    let value = value.trim_matches(BLANKS);
    let between = |quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    Some((name, quotes.into_iter().find_map(between).unwrap_or(value)))
}

/// Times that have a name; the last three only in systemd-cron.
const NICKNAMES: [&str; 9] = [
    "@daily",
    "@hourly",
    "@monthly",
    "@reboot",
    "@weekly",
    "@yearly",
    "@minutely",
    "@quarterly",
    "@semi-annually",
];

/// The one name of each time that has several; nothing for what is none.
fn nickname(word: &str) -> Option<&'static str> {
    let word = match word {
        "@annually" => "@yearly",
        "@midnight" => "@daily",
        "@semiannually" | "@bi-annually" | "@biannually" => "@semi-annually",
        other => other,
    };
    NICKNAMES.into_iter().find(|name| *name == word)
}

/// The fields of a time: the least and greatest number of each, and the names that it may have.
const FIELDS: [(u32, u32, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &MONTHS),
    (0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Five fields of time, and what follows.
fn time(line: &str) -> Result<(String, &str), &'static str> {
    let mut when = Vec::with_capacity(FIELDS.len());
    let mut rest = line;
    for bounds in FIELDS {
        let (field, after) = first_word(rest);
        let field = field.to_ascii_lowercase();
        if field.is_empty() || !field.split(',').all(|range| is_range(range, bounds)) {
            return Err("a time has five fields");
        }
        when.push(field);
        rest = after;
    }
    Ok((when.join(" "), rest))
}

/// Whether it is `*`, a number, a name or a range of them, perhaps with a step; cronie also takes
/// `~` for any number between two.
fn is_range(text: &str, (least, greatest, names): (u32, u32, &[&str])) -> bool {
    let (range, step) =
        text.split_once('/').map_or((text, None), |(range, step)| (range, Some(step)));
    let is_end = |end: &str| {
        names.contains(&end)
            || end.parse().is_ok_and(|number: u32| (least..=greatest).contains(&number))
    };
    let is_step = step.is_none_or(|step| step.parse().is_ok_and(|step: u32| step > 0));
    // Before or behind a `~` a number may be missing.
    let may_be = |end: &str| end.is_empty() || is_end(end);
    is_step
        && match (range.split_once('-'), range.split_once('~')) {
            (Some((first, last)), _) => is_end(first) && is_end(last),
            (None, Some((first, last))) => may_be(first) && may_be(last),
            (None, None) => range == "*" || is_end(range),
        }
}

fn read_anacron(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    for (number, line) in meaningful(&decode(bytes), &['#']) {
        if let Some((name, value)) = variable(line) {
            items.set(ItemKey::of(["variable", name]), scalar(value))?;
            continue;
        }
        let (period, rest) = first_word(line);
        let (delay, rest) = first_word(rest);
        let (name, command) = first_word(rest);
        if command.is_empty() {
            let what = "a job needs a period, a delay, a name and a command";
            return Err(FormatError::malformed(number, what));
        }
        for (field, value) in [("period", period), ("delay", delay), ("command", command)] {
            items.set(ItemKey::of(["job", name, field]), scalar(value))?;
        }
    }
    Ok(items.finish())
}
