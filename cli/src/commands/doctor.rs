//! `driftline doctor`: what stands in the way of a healthy collector, and what to do about it.

use std::collections::BTreeSet;

use driftline_collector::auth::ending::ENROLMENT_SECRET;
use driftline_collector::words::{counted, either};
use driftline_protocol::ids::HostId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::Client;
use crate::commands::hosts::HostRow;
use crate::output::{self, Output, Row};
use crate::{Verdict, commands};

/// The most words of cases that are named: the commonest.
const WORDS: usize = 5;

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Obstacle {
    /// `configuration`, `token`, `enrolment`, `host`, `cases`, `change_requests` or `fleet`.
    about: &'static str,
    /// Which host or source; empty where it is about none.
    name: String,
    /// What is wrong, and what to do.
    says: String,
    /// Whether it is worth knowing and stands in nobody's way.
    note: bool,
}

impl Row for Obstacle {
    const NAME: &'static str = "obstacle";
    const WHOLE: usize = 2;
    const HEADINGS: &'static [&'static str] = &["about", "name", "says"];

    fn cells(&self) -> Vec<String> {
        vec![self.about.to_owned(), self.name.clone(), self.says.clone()]
    }
}

/// How the newest reading of the collector's own configuration went.
#[derive(Deserialize)]
struct Configuration {
    problem: Option<String>,
}

/// How the newest reading of a source of cases or change requests went.
#[derive(Deserialize)]
struct Reading {
    source: String,
    problem: String,
}

/// A token, or the enrolment secret, that ends soon or has ended.
#[derive(Deserialize)]
struct Expiring {
    name: String,
    kind: String,
    state: String,
    expires_at: Timestamp,
}

/// Enrolments refused for one reason since the collector started, and who was refused last.
#[derive(Deserialize)]
struct Refused {
    reason: String,
    count: u64,
    last_at: Timestamp,
    host: Option<String>,
    from: Option<String>,
    cure: String,
    ours: bool,
}

#[derive(Deserialize)]
struct Unmapped {
    column: String,
    source: String,
    word: String,
    cases: u64,
}

/// Runs the command: one line for each thing that is not as it should be, exit code 1 when there is
/// any but notes.
pub(crate) async fn run(client: &Client, output: Output) -> anyhow::Result<Verdict> {
    let configuration: Configuration = client.get("/api/v1/configuration", &[]).await?;
    let mut found: Vec<Obstacle> = configuration.problem.map(not_reloaded).into_iter().collect();
    let expiring: Vec<Expiring> = client.list("expiring", &[]).await?;
    found.extend(expiring.into_iter().map(ends));
    let enrolments: Vec<Refused> = client.list("enrolments/refused", &[]).await?;
    found.extend(enrolments.into_iter().map(not_enrolled));
    found.extend(hosts(client).await?);
    for (about, list) in
        [("cases", "cases/sources"), ("change_requests", "change-requests/sources")]
    {
        let readings: Vec<Reading> = client.list(list, &[]).await?;
        found.extend(readings.into_iter().filter_map(|reading| refused(about, reading)));
    }
    found.extend(words(client.list("cases/unmapped", &[]).await?));
    if output == Output::Table {
        let line = |one: &Obstacle| {
            let name = if one.name.is_empty() { String::new() } else { format!("{}: ", one.name) };
            format!("{name}{}\n", output::printable(&one.says))
        };
        let text: String = found.iter().map(line).collect();
        output::write(if found.is_empty() { "nothing stands in the way\n" } else { &text })?;
    } else {
        output::print(output, &found)?;
    }
    Ok(if found.iter().all(|one| one.note) { Verdict::Fine } else { Verdict::Found })
}

/// A configuration that was saved and is not in use.
fn not_reloaded(problem: String) -> Obstacle {
    let says = format!(
        "the collector's configuration was not reloaded, the one before it stays in use: {problem} \
         (mend it and save; `driftline-collector check-config` says whether it is fine)"
    );
    Obstacle { about: "configuration", name: String::new(), says, note: false }
}

/// What lets somebody in and soon does not, or does no more.
fn ends(expiring: Expiring) -> Obstacle {
    let Expiring { name, kind, state, expires_at } = expiring;
    let verb = if state == "expired" { "ended" } else { "ends" };
    let at = output::moment(expires_at);
    let says = if kind == ENROLMENT_SECRET {
        format!(
            "the enrolment secret {verb} {at}; without one no host enrols, also none whose token \
             is lost: write a new one into its file, or take the second line out, and `systemctl \
             restart driftline-collector`"
        )
    } else {
        format!(
            "this token {verb} {at}, and who holds it is refused from then on: `driftline token \
             create {name} --scope {kind} --replace` makes another for them, `driftline token \
             remove {name}` ends this line"
        )
    };
    Obstacle { about: "token", name, says, note: false }
}

/// Hosts that could not enrol. Whoever reaches the port can have this said, so it is in the way
/// only where the collector itself is the reason.
fn not_enrolled(refused: Refused) -> Obstacle {
    let Refused { reason, count, last_at, host, from, cure, ours } = refused;
    let (many, were) = (counted(count, "enrolment"), either(count, "was", "were"));
    let host = host.map(|host| format!(" as {host}")).unwrap_or_default();
    let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
    let at = output::moment(last_at);
    let says = format!(
        "{many} {were} refused since the collector started ({reason}), the last{host}{from} at \
         {at}: {cure}"
    );
    Obstacle { about: "enrolment", name: String::new(), says, note: !ours }
}

/// What is wrong with hosts.
async fn hosts(client: &Client) -> anyhow::Result<Vec<Obstacle>> {
    let hosts = commands::hosts::all(client).await?;
    let query = [("kind", "name_taken"), ("limit", "1000")];
    let mut found = renamed(&client.list::<NameTaken>("events", &query).await?, &hosts);
    if hosts.is_empty() {
        let says = "no host has enrolled: start an agent with this collector's address".to_owned();
        found.push(Obstacle { about: "fleet", name: String::new(), says, note: false });
    }
    for host in &hosts {
        let name = host.host.to_string();
        let mut lines = Vec::new();
        lines.extend(silent((&host.state, host.asleep), host.last_seen));
        let shown: Value = client.get(&format!("/api/v1/hosts/{name}"), &[]).await?;
        lines.extend(sources(&shown));
        let about = "host";
        let of = |(says, note)| Obstacle { about, name: name.clone(), says, note };
        found.extend(lines.into_iter().map(of));
    }
    Ok(found)
}

/// A host that has another name than it has for itself, as an event told it.
#[derive(Deserialize)]
struct NameTaken {
    host: Option<HostId>,
}

/// Hosts with another name than they have for themselves, until one of the two is retired.
fn renamed(events: &[NameTaken], hosts: &[HostRow]) -> Vec<Obstacle> {
    let in_use =
        |name: &str| hosts.iter().find(|row| row.host.as_str() == name && row.state != "retired");
    let of = |host: &HostId| {
        let (first, number) = host.as_str().rsplit_once('-')?;
        number.parse::<u64>().ok()?;
        let (_, first) = (in_use(host.as_str())?, in_use(first)?);
        let old = &first.host;
        let next = if first.state == "alive" {
            format!(
                "{old} still reports: give each machine its own `host_name`, then enrol it anew"
            )
        } else {
            format!(
                "where it is that machine, set up anew: `driftline retire {old}`, and approve for \
                 {host} what was approved for it; the name and its history stay with {old}"
            )
        };
        let says = format!("calls itself {old}, which another host here is or was; {next}");
        Some(Obstacle { about: "host", name: host.to_string(), says, note: true })
    };
    let named: BTreeSet<&HostId> = events.iter().filter_map(|event| event.host.as_ref()).collect();
    named.into_iter().filter_map(of).collect()
}

/// That a host is not heard, unless it is not expected to be; only a note where it sleeps.
fn silent((state, asleep): (&str, bool), last_seen: Timestamp) -> Option<(String, bool)> {
    let since = output::moment(last_seen);
    let says = match state {
        "alive" | "retired" | "imported" => return None,
        _ if asleep => format!("is {state}, last heard {since}: its group says that it sleeps"),
        _ => format!("is {state}, last heard {since}: see `journalctl -u driftline-agent` there"),
    };
    Some((says, asleep))
}

/// What is wrong with the sources of one host, and whether it is only a note: a server that is
/// installed and stopped on purpose is as it should be, and one that should run is known by its
/// unit.
fn sources(shown: &Value) -> Vec<(String, bool)> {
    let mut lines = Vec::new();
    let sources = shown.get("sources").and_then(Value::as_object);
    for (source, state) in sources.into_iter().flatten() {
        if state.get("success").and_then(Value::as_bool) == Some(false) {
            lines.push((format!("source {source} failed at its last reading"), false));
        }
        if state.get("imbalance").and_then(Value::as_u64).unwrap_or(0) > 0 {
            lines.push((
                format!("versions of {source} are missing; the ledger says how many"),
                false,
            ));
        }
        let unobserved = state.get("unobserved").and_then(Value::as_object);
        for (reason, count) in unobserved.into_iter().flatten() {
            // Secrets as a whole are withheld on purpose; everything else somebody may want to
            // mend.
            if reason == "withheld" {
                continue;
            }
            let count = count.as_u64().unwrap_or_default();
            let (parts, are) = (counted(count, "part"), either(count, "is", "are"));
            let why = because(source, reason);
            let note = source.ends_with("_running") && reason == "failed";
            let says = format!("{parts} of {source} {are} unobserved: {reason}{why}");
            lines.push((says, note));
        }
    }
    lines
}

/// What to look at, where the source and the reason tell.
fn because(source: &str, reason: &str) -> String {
    match (source.strip_suffix("_running"), reason) {
        (Some(server), "failed" | "timed_out") => format!(
            " ({server} did not answer: start it, say in the agent's configuration where it \
             listens, or leave {source} out of [sources] enable)"
        ),
        (_, "denied") => {
            " (the agent may not read it: give its user the right, or leave it out)".to_owned()
        }
        _ => String::new(),
    }
}

/// What was not taken of the newest reading of a source.
fn refused(about: &'static str, reading: Reading) -> Option<Obstacle> {
    let Reading { source, problem } = reading;
    let what = if about == "cases" { "cases" } else { "change requests" };
    let says = format!("not all its {what} were taken: {problem}");
    (!problem.is_empty()).then_some(Obstacle { about, name: source, says, note: false })
}

/// The words of cases that mean nothing by the configuration, in a line for each column.
fn words(unmapped: Vec<Unmapped>) -> Vec<Obstacle> {
    let of = |column: &str| {
        let all: Vec<&Unmapped> = unmapped.iter().filter(|word| word.column == column).collect();
        let first = all.iter().take(WORDS).map(|word| {
            let of = format!("{} of {}", counted(word.cases, "case"), word.source);
            match word.word.as_str() {
                "" => format!("none at all ({of})"),
                text => format!("{text:?} ({of})"),
            }
        });
        let first: Vec<String> = first.collect();
        let more = all.len().saturating_sub(WORDS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let says = format!(
            "{column}s of cases that mean nothing here: {}{more}; [[case_map]] says what they are",
            first.join(", ")
        );
        let name = String::new();
        (!all.is_empty()).then_some(Obstacle { about: "cases", name, says, note: false })
    };
    ["service", "site"].into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_read_is_told_with_what_to_do() {
        let shown = json!({ "sources": {
            "files": { "success": true, "unobserved": { "withheld": 2, "denied": 1 } },
            "kamailio_running": { "unobserved": { "failed": 7 } },
        }});
        let lines = sources(&shown);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].0.starts_with("1 part of files is unobserved: denied (the agent may"));
        assert!(
            lines[1].0.starts_with("7 parts of kamailio_running are unobserved: failed (kamail")
        );
        assert_eq!(lines.iter().map(|(_, note)| *note).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_host_whose_name_was_taken_is_told_until_one_of_the_two_is_retired() {
        let row = |host: &str, state: &str| -> HostRow {
            let row = json!({
                "host": host, "state": state, "kind": "uc", "site": null, "team": null,
                "last_seen": "2026-12-10T08:00:00Z", "agent_version": "0",
            });
            serde_json::from_value(row).unwrap()
        };
        let check = |old: &str, new: &str, expect: &str| {
            let hosts = [row("web", old), row("web-2", new), row("pbx-2", "alive")];
            let events = ["web-2", "web-2", "pbx-2", "gone-2"];
            let events = events.map(|host| NameTaken { host: host.parse().ok() });
            let told = renamed(&events, &hosts);
            let says: Vec<&str> = told.iter().map(|one| one.says.as_str()).collect();
            assert_eq!(says.len(), usize::from(!expect.is_empty()), "{old} {new}: {says:?}");
            assert!(says.iter().all(|says| says.contains(expect)), "{says:?}");
        };
        check("stale", "alive", "`driftline retire web`");
        check("alive", "alive", "its own `host_name`");
        check("retired", "alive", "");
        check("stale", "retired", "");
    }

    #[test]
    fn a_host_that_sleeps_is_a_note_and_one_that_is_silent_is_not() {
        let check = |state: &str, asleep: bool, expect: Option<bool>| {
            let told = silent((state, asleep), Timestamp::UNIX_EPOCH);
            assert_eq!(told.map(|(_, note)| note), expect, "{state} {asleep}");
        };
        check("alive", false, None);
        check("retired", false, None);
        check("stale", false, Some(false));
        check("stale", true, Some(true));
        check("dormant", false, Some(false));
    }

    #[test]
    fn what_ends_is_told_with_how_to_replace_it() {
        let check = |kind: &str, state: &str, expect: &str| {
            let expires_at = "2026-12-10T08:00:00Z".parse().unwrap();
            let (kind, state) = (kind.to_owned(), state.to_owned());
            let told = ends(Expiring { name: "grafana".into(), kind, state, expires_at });
            assert!(!told.note && told.says.contains(expect), "{}", told.says);
        };
        check("metrics", "expiring", "this token ends 2026-12-10 08:00:00Z");
        check("metrics", "expiring", "create grafana --scope metrics --replace`");
        check("read", "expired", "this token ended 2026-12-10 08:00:00Z");
        check(ENROLMENT_SECRET, "expired", "the enrolment secret ended 2026-12-10 08:00:00Z");
    }

    #[test]
    fn refused_rows_and_words_without_meaning_stand_in_the_way() {
        let reading = |problem: &str| Reading { source: "desk".into(), problem: problem.into() };
        assert_eq!(refused("cases", reading("")), None);
        let found = refused("change_requests", reading("line 2: is empty")).unwrap();
        assert_eq!(found.says, "not all its change requests were taken: line 2: is empty");
        let word = |column: &str, word: &str| Unmapped {
            column: column.into(),
            source: "desk".into(),
            word: word.into(),
            cases: 3,
        };
        let told = words(vec![word("service", "Fax"), word("service", "")]);
        assert_eq!(told.len(), 1);
        let expect = "services of cases that mean nothing here: \"Fax\" (3 cases of desk), none at \
                      all (3 cases of desk)";
        assert!(told[0].says.starts_with(expect), "{}", told[0].says);
        assert!(words(Vec::new()).is_empty());
    }
}
