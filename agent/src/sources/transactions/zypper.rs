//! `/var/log/zypp/history`, which zypper and all that use libzypp write: a line for each package,
//! fields parted by `|` (zypp/HistoryLog.cc of libzypp).
//!
//! `2026-11-28 10:05:41|install|vim|9.0-1.1|x86_64|root@host|repo-oss|CHECKSUM|` or `remove `, and
//! before them `…|command|root@host|'zypper' 'in' 'vim'|`. Who asked stands where somebody named
//! the package; without it another package needed it. A line of `install` may be an upgrade: the
//! log does not tell. Times are local; see `clock`. The end of a run is its last line.

use driftline_protocol::mutant::{self, Mutant};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::clock::{first, last, local};
use super::of_text;
use super::run::{Outcome, Package, Run, Told, Verb};
use crate::formats::Malformed;
use crate::sources::look::Look;
use crate::sources::table::Trouble;

/// Where it stands.
pub(super) const LOG: &str = "/var/log/zypp/history";

pub(super) fn read(look: &mut Look<'_>) -> Result<Option<Told>, Trouble> {
    of_text(look, LOG, runs)
}

/// The runs of a log, and how many lines of packages could not be understood.
///
/// # Errors
/// [`Malformed`] for a text that has something but comments and nothing of a log.
pub fn runs(text: &str, zone: &TimeZone) -> Result<(Vec<Run>, u64), Malformed> {
    let (mut runs, mut unread, mut events): (Vec<Run>, _, _) = (Vec::new(), 0, 0);
    let mut others = false;
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let fields = fields(line);
        let [time, action, ..] = fields.as_slice() else {
            others = true;
            continue;
        };
        let Some(time) = local(time) else {
            others = true;
            continue;
        };
        events += 1;
        if action.trim() == "command" {
            runs.extend(command(&fields, time, zone));
        } else if matches!(action.trim(), "install" | "remove") {
            let package = package(&fields);
            unread += u64::from(package.is_none());
            let began = first(zone, time);
            // Without its command the log was cut there, or another program used the library.
            if runs.is_empty() {
                runs.extend(began.map(|began| Run::new(began.to_string(), began)));
            }
            if let (Some(run), Some(package)) = (runs.last_mut(), package) {
                run.packages.push(package);
                run.ended = last(zone, time);
                run.outcome = Outcome::Success;
            }
        }
    }
    match others && events == 0 {
        true => Err(Malformed { line: 1, what: "no line of zypper's history" }),
        false => Ok((runs, unread)),
    }
}

fn command(fields: &[String], time: DateTime, zone: &TimeZone) -> Option<Run> {
    let began = first(zone, time)?;
    let who = fields.get(2).and_then(|who| who.split('@').next());
    Some(Run {
        asked_by: who.filter(|who| !who.is_empty()).map(str::to_owned),
        command: fields.get(3).map(|command| command.replace('\'', "")),
        ..Run::new(began.to_string(), began)
    })
}

fn package(fields: &[String]) -> Option<Package> {
    let [_, action, name, version, arch, ..] = fields else { return None };
    let verb = if action.trim() == "remove" { Verb::Removed } else { Verb::Installed };
    let automatic = verb == Verb::Installed && fields.get(5).is_none_or(String::is_empty);
    let automatic = automatic && !mutant::active(Mutant::DependenciesAreAskedFor);
    Some(Package { verb, name: format!("{name}.{arch}"), version: version.clone(), automatic })
}

/// The fields of a line, in which `\` stands before a sign that means itself.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut signs = line.chars();
    while let Some(sign) = signs.next() {
        let plain = if sign == '\\' { signs.next() } else { None };
        match (sign, plain) {
            ('|', None) => fields.push(String::new()),
            (sign, plain) => {
                fields.last_mut().into_iter().for_each(|f| f.push(plain.unwrap_or(sign)))
            }
        }
    }
    fields
}
