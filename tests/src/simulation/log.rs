//! What tools write down of their runs, and what an agent makes of it when it looks.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::host::{Cell, Content, Host, file, key};
use super::intent::START;

/// The most runs of one tool that an agent tells of.
const RUNS_MOST: usize = 20;

/// How long before the newest run an older one may have begun to be told, in seconds.
const RUNS_WITHIN: i64 = 7 * 24 * 3_600;

/// One run, in the seconds of the world; its tool writes what the host's clock says.
#[derive(Clone, Debug)]
pub struct Run {
    /// When it began and, where its tool wrote it, ended.
    pub span: (i64, Option<i64>),
    /// `success`, `failed` or `unfinished`.
    pub result: &'static str,
    /// Whose account asked for it, where the tool knows.
    pub asked_by: Option<&'static str>,
    /// The command line.
    pub command: Option<&'static str>,
    /// What succeeded of it.
    pub effects: Vec<Effect>,
}

/// What a run says it did.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A file says this.
    Content(&'static str, Rc<str>),
    /// A file is not there any more.
    Gone(&'static str),
    /// A file has this mode.
    Mode(&'static str, &'static str),
    /// A thing of this kind and name.
    Named(&'static str, &'static str),
    /// A package: what was done to it, its name as dpkg has it, its version, and whether nobody
    /// named it.
    Package(&'static str, String, String, bool),
}

/// What an agent tells of a run, the files of the host compared as they are now.
pub fn rows(run: &Run, host: &Host) -> BTreeMap<Vec<String>, Cell> {
    let at = |second: i64| {
        let at = jiff::Timestamp::from_second(START + second + host.ahead);
        at.map(|at| at.to_string()).unwrap_or_default()
    };
    let id = at(run.span.0);
    let mut rows = BTreeMap::new();
    let mut say = |names: &[&str], cell| {
        rows.insert(key(&[&["@now", "run", id.as_str()], names].concat()), cell);
    };
    say(&["began"], Cell::Text(id.clone()));
    say(&["result"], Cell::Text(run.result.into()));
    if let Some(ended) = run.span.1 {
        say(&["ended"], Cell::Text(at(ended)));
    }
    if let Some(who) = run.asked_by {
        say(&["asked_by"], Cell::Text(who.into()));
    }
    if let Some(command) = run.command {
        say(&["command"], Cell::Text(command.into()));
    }
    for effect in &run.effects {
        match effect {
            Effect::Content(path, text) => say(&["file", path], left(host, path, text)),
            Effect::Gone(path) => {
                say(&["gone", path], Cell::Flag(!host.parts.contains_key(&file(path))));
            }
            Effect::Mode(path, mode) => {
                let Some(state) = host.parts.get(&file(path)) else { continue };
                let still = state.mode == *mode;
                let cell = if still { Cell::Text((*mode).into()) } else { Cell::Flag(false) };
                say(&["mode", path], cell);
            }
            Effect::Named(kind, name) => say(&[kind, name], Cell::Flag(true)),
            Effect::Package(verb, name, version, automatic) => {
                say(&[verb, name], Cell::Text(version.clone()));
                if *automatic {
                    say(&["automatic", name], Cell::Flag(true));
                }
            }
        }
    }
    rows
}

/// The digest of a file that is as a run left it; no where it is not.
fn left(host: &Host, path: &'static str, text: &Rc<str>) -> Cell {
    match host.parts.get(&file(path)).map(|state| &state.content) {
        Some(Content::Text(now)) if now == text => Cell::Digest(Rc::clone(text)),
        _ => Cell::Flag(false),
    }
}

/// Leaves out the runs that an agent tells no more.
pub fn forget(rows: &mut BTreeMap<Vec<String>, Cell>) {
    let began = |id: &str| id.parse::<jiff::Timestamp>().map_or(0, |began| began.as_second());
    let ids: BTreeSet<String> = rows.keys().filter_map(|key| key.get(2).cloned()).collect();
    let newest = ids.iter().map(|id| began(id)).max().unwrap_or_default();
    let kept: BTreeSet<&String> = ids.iter().rev().take(RUNS_MOST).collect();
    rows.retain(|key, _| {
        key.get(2).is_none_or(|id| kept.contains(id) && newest - began(id) <= RUNS_WITHIN)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::host::{APT, Happening, PUPPET, Role, SITES, rows as table};
    use crate::simulation::intent::DAY;
    use crate::simulation::text::CHRONY;

    fn run(at: i64, effects: Vec<Effect>) -> Rc<Run> {
        let (result, span) = ("success", (at, Some(at + 60)));
        Rc::new(Run { span, result, asked_by: None, command: None, effects })
    }

    fn host() -> Host {
        let mut host = Host::new(1, Role::Server, SITES[0]);
        for place in [APT, PUPPET] {
            host.happen(place, &Happening::Appears(table(BTreeMap::new())));
        }
        host
    }

    fn told(host: &Host, place: (&str, &str), name: &str) -> Vec<Cell> {
        let Content::Rows(rows) = &host.parts[&place].content else { panic!("{place:?}") };
        let named = rows.iter().filter(|(key, _)| key.get(3).is_some_and(|word| word == name));
        named.map(|(_, cell)| cell.clone()).collect()
    }

    #[test]
    fn a_report_compares_files_as_they_are_when_it_is_read() {
        let mut host = host();
        let text: Rc<str> = "pool ntp9.example.org iburst\n".into();
        let report = Happening::Report(Some(run(0, vec![Effect::Content(CHRONY, text.clone())])));
        assert!(host.happen(PUPPET, &report));
        assert_eq!(told(&host, PUPPET, "file"), [Cell::Flag(false)]);
        host.happen(file(CHRONY), &Happening::Appears(Content::Text(text.clone())));
        host.happen(PUPPET, &report);
        assert_eq!(told(&host, PUPPET, "file"), [Cell::Digest(text)]);
        host.happen(PUPPET, &Happening::Report(None));
        assert_eq!(told(&host, PUPPET, "began").len(), 0, "the report of the last run alone");
    }

    #[test]
    fn a_log_keeps_a_week_in_the_time_of_its_host() {
        let mut host = host();
        host.ahead = 60;
        for day in [0, 3, 8] {
            host.happen(APT, &Happening::Stanza(run(day * DAY, Vec::new())));
        }
        let began = ["2026-03-05T00:01:00Z", "2026-03-10T00:01:00Z"];
        assert_eq!(told(&host, APT, "began"), began.map(|at| Cell::Text(at.into())));
    }
}
