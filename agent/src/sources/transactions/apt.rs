//! `/var/log/apt/history.log`, which apt and all that use its library write: a stanza for each run
//! (`pkgDPkgPM::OpenLog` and `CloseLog` in apt's apt-pkg/deb/dpkgpm.cc).
//!
//! Times are local, without a zone; see `clock`. `Requested-By` is there where somebody became root
//! by sudo or pkexec. A run that is under way has no `End-Date`; one in which dpkg failed has
//! `Error`.

use jiff::tz::TimeZone;

use super::clock::{first, last, local};
use super::of_text;
use super::run::{Outcome, Package, Run, Told, Verb};
use crate::formats::Malformed;
use crate::sources::look::Look;
use crate::sources::table::Trouble;

/// Where it stands.
pub(super) const LOG: &str = "/var/log/apt/history.log";

/// How apt keeps a command line: in a buffer of so many bytes and so many for each argument
/// (`CommandLine::SaveInConfig` in apt-pkg/contrib/cmndline.cc), the end of a longer one cut one or
/// two bytes before that room ends.
const COMMAND_ROOM: [usize; 2] = [100, 50];

pub(super) fn read(look: &mut Look<'_>) -> Result<Option<Told>, Trouble> {
    of_text(look, LOG, runs)
}

/// The runs of a log, and how many stanzas are none.
///
/// # Errors
/// [`Malformed`] for a text that has something and no stanza.
pub fn runs(text: &str, zone: &TimeZone) -> Result<(Vec<Run>, u64), Malformed> {
    let (mut runs, mut unread) = (Vec::new(), 0);
    let mut run: Option<Run> = None;
    let mut stanzas = 0;
    for line in text.lines() {
        let Some((field, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if field == "Start-Date" {
            stanzas += 1;
            runs.extend(run.take());
            let began = local(value).and_then(|local| first(zone, local));
            unread += u64::from(began.is_none());
            run = began.map(|began| Run::new(began.to_string(), began));
        } else if let Some(run) = &mut run {
            run.field((field, value), zone);
        }
    }
    runs.extend(run);
    if stanzas == 0 && !text.trim().is_empty() {
        return Err(Malformed { line: 1, what: "no stanza of apt's history" });
    }
    Ok((runs, unread))
}

impl Run {
    fn field(&mut self, (field, value): (&str, &str), zone: &TimeZone) {
        let verb = match field {
            "Commandline" => {
                self.command = whole(value).map(str::to_owned);
                return;
            }
            // `ada (1000)`
            "Requested-By" => {
                self.asked_by = value.split(" (").next().map(str::to_owned);
                return;
            }
            "Error" => {
                self.outcome = Outcome::Failed;
                return;
            }
            "End-Date" => {
                self.ended = local(value).and_then(|local| last(zone, local));
                if self.ended.is_some() && self.outcome == Outcome::Unfinished {
                    self.outcome = Outcome::Success;
                }
                return;
            }
            "Install" => Verb::Installed,
            "Upgrade" => Verb::Upgraded,
            "Downgrade" => Verb::Downgraded,
            "Reinstall" => Verb::Reinstalled,
            "Remove" | "Purge" => Verb::Removed,
            _ => return,
        };
        self.packages.extend(packages(verb, value));
    }
}

/// `libaio1:amd64 (0.3.113-4, automatic), bash:amd64 (5.2-1, 5.2-2)`, as the packages of one field.
fn packages(verb: Verb, mut rest: &str) -> Vec<Package> {
    let mut all = Vec::new();
    while let Some((name, behind)) = rest.split_once(" (") {
        let Some((inside, behind)) = behind.split_once(')') else { break };
        let mut words: Vec<&str> = inside.split(", ").collect();
        let automatic = words.len() > 1 && words.last() == Some(&"automatic");
        if automatic {
            words.pop();
        }
        let name = name.trim_start_matches([',', ' ']).to_owned();
        let version = words.join(" to ");
        all.push(Package { verb, name, version, automatic });
        rest = behind;
    }
    all
}

/// A command line without a last word that apt may have cut. Arguments with blanks are fewer than
/// the words, so each shorter room may have been it, too; and where a sign was cut or was none, the
/// bytes cannot be counted.
fn whole(command: &str) -> Option<&str> {
    let [fixed, each] = COMMAND_ROOM;
    let words = command.split_ascii_whitespace().count();
    let is_room = |bytes: usize| bytes > fixed && (bytes - fixed).is_multiple_of(each);
    let fills = command.len() + 2 >= fixed + each * words;
    let ends = is_room(command.len() + 1) || is_room(command.len() + 2);
    match fills || ends || command.contains(char::REPLACEMENT_CHARACTER) {
        true => command.rsplit_once(' ').map(|(whole, _)| whole),
        false => Some(command),
    }
}
