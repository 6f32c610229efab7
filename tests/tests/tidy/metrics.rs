//! Metric names: code, reference page, rules and dashboards speak of the same ones.

use std::collections::BTreeSet;

use super::pages::is_test_page;
use super::tree::{Offence, Tree, metric_names};

const PAGE: &str = "docs/metrics.md";

/// Names between quotation marks in the code of the programs, tests and the series that a
/// histogram makes of its own left out. Every piece between two marks counts, within a literal or
/// not: a mark in a character would turn the two about.
fn in_code(tree: &Tree) -> BTreeSet<&str> {
    ["agent/src/", "collector/src/", "cli/src/"]
        .into_iter()
        .flat_map(|crate_| tree.files(crate_, ".rs"))
        .filter(|(path, _)| !is_test_page(path))
        .flat_map(|(_, text)| text.split("#[cfg(test)]\nmod tests {").next())
        .flat_map(|text| text.split('"'))
        .filter(|name| !name.ends_with("_seconds_count"))
        .filter(|literal| metric_names(literal) == [*literal])
        .collect()
}

fn in_page(tree: &Tree) -> BTreeSet<&str> {
    tree.get(PAGE).map(metric_names).unwrap_or_default().into_iter().collect()
}

/// No rule, dashboard or runbook speaks of a metric that is not exported.
pub(crate) fn unknown_metric(tree: &Tree) -> Vec<Offence> {
    let known = if tree.has(PAGE) { in_page(tree) } else { in_code(tree) };
    if known.is_empty() {
        return Vec::new(); // nothing is exported yet, so nothing can be misspelt
    }
    [("rules/prometheus/", ".yaml"), ("dashboards/", ".json"), ("docs/runbooks/", ".md")]
        .into_iter()
        .flat_map(|(begin, end)| tree.lines(begin, end))
        .flat_map(|(place, line)| metric_names(line).into_iter().map(move |n| (place.clone(), n)))
        .filter(|(_, name)| !known.contains(name))
        .map(|(place, name)| Offence {
            check: "unknown_metric",
            place,
            what: format!("{name} is not in {PAGE}"),
            why: "an alert on a metric that does not exist never fires, and looks healthy",
            cure: "correct the name, or export the metric and give it a row",
        })
        .collect()
}

/// The reference page has every exported metric, and no other.
pub(crate) fn unwritten_metric(tree: &Tree) -> Vec<Offence> {
    let (code, page) = (in_code(tree), in_page(tree));
    let offence = |name: &&str, what: &str| Offence {
        check: "unwritten_metric",
        place: PAGE.into(),
        what: format!("{name} {what}"),
        why: "the reference is a contract: people write rules from it without reading code",
        cure: "give each exported metric a row with its help text, labels and worst case",
    };
    let missing = code.difference(&page).map(|name| offence(name, "has no row"));
    let stale = page.difference(&code).map(|name| offence(name, "is exported by nobody"));
    if code.is_empty() {
        return Vec::new();
    }
    missing.chain(stale).collect()
}
