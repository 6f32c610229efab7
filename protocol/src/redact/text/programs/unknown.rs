//! `-u NAME … -p X` of programs that no table knows.
//!
//! What `-p` means is known of no program by itself: most often a port, a path to be made or a
//! process. Behind a user it is a password, unless it has the form of one of those.

use std::ops::Range;

use super::super::super::key_names::is_harmless;
use super::super::values::is_blank;
use super::super::words::{is_plain_prose, word_at};
use super::{OPENERS, SUBCOMMANDS, is_variable, options_of};

/// Options that name a user.
const USERS: &[&str] = &["-u", "-U", "--user", "--username", "--login"];

/// Options that may stand between a user and the password, each with a value: host, port, database.
const BETWEEN: &[&str] =
    &["-h", "-H", "-s", "-d", "-D", "-a", "--host", "--server", "--port", "--database"];

/// Options that are a password's behind a user.
const PASSWORDS: &[&str] = &["-p", "-P", "-w"];

/// Programs in which they mean something else behind a user.
const OTHERS: &[&str] = &["doas", "docker", "lsof", "nerdctl", "podman", "ps", "run", "su", "sudo"];

/// The largest number that is a process; what is larger is no port either.
const PROCESSES: u64 = 4_194_304;

/// The secrets of the line `span`.
pub(super) fn secrets(text: &str, span: Range<usize>, found: &mut Vec<Range<usize>>) {
    let mut at = span.start;
    let mut before = "";
    // Whether all that was read since a user were options of one program.
    let mut user = false;
    // Whether a row of the table says what the options mean.
    let mut known = false;
    while let Some((range, mut next)) = raw_word(text, at..span.end) {
        let word = text.get(range).unwrap_or_default();
        let value = word_at(text, next..span.end);
        let shown = value.as_ref().and_then(|value| text.get(value.range.clone()));
        let shown = shown.unwrap_or_default();
        let has_value = !shown.is_empty() && !shown.starts_with('-');
        if USERS.contains(&word) && has_value && !OTHERS.contains(&before) {
            user = !known;
            next = value.map_or(next, |value| value.next);
        } else if user && BETWEEN.contains(&word) && has_value {
            next = value.map_or(next, |value| value.next);
        } else {
            if let Some(value) = value.filter(|_| user && PASSWORDS.contains(&word))
                && (value.quoted || is_password(shown))
                && !(shown.is_empty() || is_variable(shown) || is_harmless("", shown))
            {
                found.push(value.range);
                next = value.next;
            }
            user = user && word.starts_with("--");
            let bare = word.trim_start_matches(OPENERS);
            before = bare.rsplit(['/', '=']).next().unwrap_or(bare);
            known = match word {
                "|" | "||" | "&&" | "&" | ";" => false,
                _ => known || options_of(before).is_some() || is_of_subcommands(before),
            };
        }
        at = next;
    }
}

fn is_of_subcommands(word: &str) -> bool {
    SUBCOMMANDS.iter().any(|(program, ..)| *program == word)
}

/// Whether a value has no form of what else `-p` may take: a port, a process, a path, two ports.
fn is_password(value: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().is_ok_and(|number| number <= PROCESSES);
    let port = value.rsplit([':', '/', '-', ',']).next().is_some_and(number);
    !(value.starts_with(['-', '/', '.', '~', '<', '|', '>', '&'])
        || port
        || is_plain_prose(value)
        || ["tcp", "udp", "sctp", "ALL", "all"].contains(&value))
}

/// The next run without blanks, and where it ends.
fn raw_word(text: &str, span: Range<usize>) -> Option<(Range<usize>, usize)> {
    let line = text.get(span.clone())?;
    let trimmed = line.trim_start_matches(is_blank);
    let length = trimmed.find(is_blank).unwrap_or(trimmed.len());
    let start = span.end - trimmed.len();
    (length > 0).then(|| (start..start + length, start + length))
}
