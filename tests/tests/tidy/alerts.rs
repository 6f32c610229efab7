//! Every alert can be understood at three in the morning: labels, annotations, runbook, and two
//! unit tests.
//!
//! Rule files are ours, so a line reader is enough; promtool checks that they are YAML.

use std::collections::BTreeMap;

use super::tree::{Offence, Tree, stem};

const HEADINGS: [&str; 4] = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"];
const FIELDS: [&str; 5] = ["severity:", "summary:", "description:", "runbook_url:", "portal_url:"];

/// The text of each alert by name, with the file it stands in.
fn alerts(tree: &Tree) -> BTreeMap<String, (&str, String)> {
    let mut alerts: BTreeMap<String, (&str, String)> = BTreeMap::new();
    for (path, text) in tree.files("rules/prometheus/", ".yaml") {
        if path.contains("/tests/") {
            continue;
        }
        let mut current = None;
        for line in text.lines() {
            let entry = line.trim_start();
            if let Some(name) = entry.strip_prefix("- alert:") {
                current = Some(name.trim().to_string());
            } else if entry.starts_with("- record:") || entry.starts_with("- name:") {
                current = None;
            }
            if let Some(name) = &current {
                let alert = alerts.entry(name.clone()).or_insert((path, String::new()));
                alert.1.push_str(line);
                alert.1.push('\n');
            }
        }
    }
    alerts
}

/// What an alert lacks.
fn lacks(tree: &Tree, name: &str, text: &str) -> Vec<String> {
    let mut lacks = Vec::new();
    lacks.extend(FIELDS.iter().filter(|f| !text.contains(*f)).map(|f| format!("has no {f}")));
    // Where a collector serves it, and where it is written.
    let (link, file) = (format!("}}/runbooks/{name}"), format!("docs/runbooks/{name}.md"));
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric());
    if !text.split(&link).skip(1).any(ends) {
        lacks.push(format!("its runbook_url does not lead a portal's address on to {link}"));
    }
    match tree.get(&file) {
        None => lacks.push(format!("{file} is missing")),
        Some(page) => lacks.extend(
            HEADINGS.iter().filter(|h| !page.contains(*h)).map(|h| format!("{file} has no {h}")),
        ),
    }
    let (fires, stays) = tests_of(tree, name);
    if !fires {
        lacks.push("no promtool test lets it fire".into());
    }
    if !stays {
        lacks.push("no promtool test shows it silent".into());
    }
    lacks
}

/// Whether some unit test expects the alert, and whether some expects it not.
fn tests_of(tree: &Tree, name: &str) -> (bool, bool) {
    let (mut fires, mut stays) = (false, false);
    for (_, text) in tree.files("rules/prometheus/tests/", ".yaml") {
        let mut of_this = false;
        for line in text.lines() {
            if let Some(alert) =
                line.trim_start().trim_start_matches("- ").strip_prefix("alertname:")
            {
                of_this = alert.trim() == name;
            } else if line.trim_start().starts_with("exp_labels:") || line.contains("- exp_labels:")
            {
                fires |= of_this;
            } else if line.trim() == "exp_alerts: []" {
                stays |= of_this;
            }
        }
    }
    (fires, stays)
}

/// Each alert has its labels, annotations, runbook and both unit tests.
pub(crate) fn complete_alert(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (name, (path, text)) in alerts(tree) {
        // The watchdog is a heartbeat of the whole chain: it points nowhere and is never silent.
        let excused = |what: &String| {
            name.ends_with("Watchdog") && (what.contains("portal_url") || what.contains("silent"))
        };
        offences.extend(lacks(tree, &name, &text).into_iter().filter(|w| !excused(w)).map(
            |what| Offence {
                check: "complete_alert",
                place: format!("{path} ({name})"),
                what,
                why: "an alert without its evidence, runbook and tests wakes people for nothing",
                cure: "add what is missing; copy from the alert above it",
            },
        ));
    }
    offences
}

/// Each runbook belongs to an alert.
pub(crate) fn orphan_runbook(tree: &Tree) -> Vec<Offence> {
    let alerts = alerts(tree);
    tree.files("docs/runbooks/", ".md")
        .filter(|(path, _)| stem(path) != "README" && !alerts.contains_key(stem(path)))
        .map(|(path, _)| Offence {
            check: "orphan_runbook",
            place: path.into(),
            what: "no alert has this name".into(),
            why: "advice nobody is led to grows wrong unseen",
            cure: "rename it like its alert or delete it",
        })
        .collect()
}
