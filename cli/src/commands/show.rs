//! `driftline finding show N`: one finding with all that is known of it, as its page of the portal.

use driftline_collector::analysis::finding::{Resolution, Status};
use driftline_collector::analysis::sight::Said;
use driftline_collector::store::ActRecord;
use driftline_protocol::item::ItemKey;
use serde::{Deserialize, Serialize};

use super::accept::said_lines;
use super::findings::{Shown, sides};
use super::rules::Rule;
use crate::client::Client;
use crate::output::{self, Output};

/// How wide the words before each line are.
const WORDS: usize = 10;

/// A finding, what was done about it, and what its rule asks for.
#[derive(Serialize, Deserialize)]
struct Whole {
    #[serde(flatten)]
    shown: Shown,
    /// What its part says, where all of that would be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    says: Option<Said>,
    #[serde(default)]
    acts: Vec<ActRecord>,
    /// The rule that is not met, where it is one that is still on.
    #[serde(default)]
    rule_asks: Option<Rule>,
    /// The page of the portal.
    #[serde(default)]
    url: String,
}

/// Runs the command.
pub(super) async fn run(client: &Client, number: i64, output: Output) -> anyhow::Result<()> {
    let mut whole: Whole = client.get(&format!("/api/v1/findings/{number}"), &[]).await?;
    whole.acts = client.list(&format!("findings/{number}/acts"), &[]).await?;
    whole.url = client.address(&format!("/findings/{number}"));
    if let Some(name) = &whole.shown.record.finding.id.rule {
        let rules: Vec<Rule> = client.list("rules", &[]).await?;
        whole.rule_asks = rules.into_iter().find(|rule| rule.is(name));
    }
    output::write(&match output {
        Output::Table => text(&whole),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&whole)?),
        Output::Ndjson => format!("{}\n", serde_json::to_string(&whole)?),
    })
}

/// A line for each thing that is known.
fn text(whole: &Whole) -> String {
    let Whole { shown, says, acts, rule_asks, url } = whole;
    let finding = &shown.record.finding;
    let id = &finding.id;
    let key = id.key.as_ref().map_or("the whole part", ItemKey::as_str);
    let [should, now] = sides(finding);
    let mut lines = vec![
        ("finding", shown.record.number.to_string()),
        ("kind", format!("{} {}", finding.severity.as_str(), id.kind.as_str())),
        ("host", id.host.to_string()),
        ("part", id.part.as_str().to_owned()),
        ("item", key.to_owned()),
        ("should be", should),
        ("is", now),
        ("since", since(shown)),
        ("status", status(shown)),
        ("owner", owner(shown)),
    ];
    lines.extend(class(shown));
    if let Some(rule) = rule_asks {
        lines.extend(rule.lines());
    } else if let Some(rule) = &id.rule {
        lines.push(("rule", format!("{rule}, which is on no longer")));
    }
    lines.push(("page", url.clone()));
    let line = |(words, told): (&str, String)| {
        format!("{words:WORDS$} {}", output::printable(&told)).trim_end().to_owned() + "\n"
    };
    let mut text: String = lines.into_iter().map(line).collect();
    if let Some(said) = says {
        text += "what it says\n";
        text.extend(said_lines(said).into_iter().map(|line| line + "\n"));
    }
    if !acts.is_empty() {
        text += "what was done\n";
    }
    for act in acts {
        let told =
            format!("  {} {} {} {}", output::moment(act.at), act.who, act.act.as_str(), act.text);
        text += output::printable(&told).trim_end();
        text.push('\n');
    }
    text
}

fn owner(shown: &Shown) -> String {
    let owner = shown.owner_words();
    if owner.is_empty() { "nobody".to_owned() } else { owner }
}

fn since(shown: &Shown) -> String {
    let since = output::moment(shown.record.finding.first_seen);
    match shown.record.openings {
        0 | 1 => since,
        often => format!("{since}, opened {often} times"),
    }
}

fn status(shown: &Shown) -> String {
    match (&shown.record.finding.status, &shown.excepted_by) {
        (Status::Open, Some(name)) => format!("open, permitted by the exception {name}"),
        (Status::Open, None) if !shown.asks => "open, asks for nobody".to_owned(),
        (Status::Open, None) => "open".to_owned(),
        (Status::Resolved { at, by }, _) => {
            let how = match by {
                Resolution::Returned => "it returned to what it should be",
                Resolution::Accepted => "it was accepted",
                Resolution::Retired => "the host was retired",
                Resolution::Withdrawn => "nothing asks for it any more",
            };
            format!("over since {}: {how}", output::moment(*at))
        }
    }
}

/// What was meant by the change that led to it, with the rule that says so and its sentence.
fn class(shown: &Shown) -> Vec<(&'static str, String)> {
    let Some(meant) = &shown.record.meant else { return Vec::new() };
    let decision = &meant.decision;
    let name = if decision.name.is_empty() { String::new() } else { format!(" {}", decision.name) };
    let by = format!("{} (rule {}{name})", shown.class, decision.rule.as_str());
    let mut lines = vec![("class", by), ("because", decision.says.clone())];
    lines.extend(meant.change.map(|number| ("change", number.to_string())));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is told of a finding of such a kind and what else the collector says of it.
    fn told((kind, rule): (&str, Option<&str>), more: serde_json::Value) -> String {
        let mut whole = json!({
            "number": 42, "domain": "config", "severity": "warning",
            "id": {
                "host": "pbx", "source": "files", "part": "/etc/pbx.conf", "key": "codec",
                "kind": kind, "rule": rule,
            },
            "desired": { "value": { "text": "alaw" } }, "current": { "value": { "text": "opus" } },
            "first_seen": "2026-11-22T10:00:00Z", "status": { "status": "open" }, "openings": 2,
            "class": "unauthorised", "asks": true, "owner": "voice", "acknowledged_by": "ada",
            "url": "http://127.0.0.1:9470/findings/42",
        });
        for (name, value) in more.as_object().unwrap() {
            whole[name] = value.clone();
        }
        text(&serde_json::from_value(whole).unwrap())
    }

    #[test]
    fn a_drift_is_shown_with_its_class_the_rule_and_the_sentence() {
        insta::assert_snapshot!(told(
            ("drift", None),
            json!({
                "meant": {
                    "class": "unauthorised", "rule": "nothing", "change": 7,
                    "says": "No request covers it and no window was open.",
                },
                "acts": [{
                    "finding": 42, "at": "2026-11-22T11:00:00Z", "who": "ada", "act": "acknowledge",
                    "text": "on it", "opening": 2,
                }],
            })
        ));
    }

    #[test]
    fn a_deviation_is_shown_with_what_its_rule_asks_for_and_why() {
        insta::assert_snapshot!(told(
            ("deviation", Some("sshd-root-login")),
            json!({
                "class": "none",
                "rule_asks": {
                    "rule": "sshd-root-login", "pack": "sshd", "title": "Root logs in by key only",
                    "severity": "warning", "reason": "Passwords of root are guessed.",
                    "reference": "sshd_config(5)", "owner": null,
                    "remedy": "https://example.org/root", "source": "sshd", "part": "*", "key": "x",
                },
            })
        ));
    }
}
