//! Rules held against what real agents report: a deviation opens, ends, and outlives blindness.

use std::path::Path;

use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::programs::COLLECTOR;
use driftline_tests::wait::{self, PATIENCE};

use super::{HOST, one_host};

const PACK: &str = "title = 'Ours'
[[rule]]
name = 'ours-port'
title = 'The port is 22'
severity = 'critical'
reason = 'because'
reference = 'us'
source = 'files'
part = '*/etc/app.json'
key = 'port'
operator = 'is'
value = 22
[[rule.example]]
fires = true
items = { port = 23 }
[[rule.example]]
fires = false
items = { port = 22 }
";

/// The deviations that are open, each as its rule, or `-` for content that cannot be read.
fn deviations(fleet: &Fleet) -> anyhow::Result<Vec<String>> {
    let page = format!("/api/v1/findings?host={HOST}&kind=deviation&open=true");
    let answer = http::get_ok(fleet.address(), &page)?.json()?;
    let findings = answer["findings"].as_array().cloned().unwrap_or_default();
    let rule =
        |finding: &serde_json::Value| finding["id"]["rule"].as_str().unwrap_or("-").to_owned();
    let mut rules: Vec<String> = findings.iter().map(rule).collect();
    rules.sort();
    Ok(rules)
}

fn expect(fleet: &mut Fleet, what: &str, rules: &[&str]) -> anyhow::Result<()> {
    wait::until(what, PATIENCE, || {
        fleet.check_alive()?;
        Ok((deviations(fleet)? == rules).then_some(()))
    })
}

fn save(root: &Path, text: &str) -> anyhow::Result<()> {
    Ok(std::fs::write(root.join("etc/app.json"), text)?)
}

#[test]
fn a_rule_judges_what_was_read_and_nothing_else() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    save(&root, "{\"port\": 23}")?;
    fleet.wait_for(HOST, "app.json")?;
    assert_eq!(deviations(&fleet)?, [""; 0], "no rule is on by itself");
    // Turned on for what was reported before: nobody has to report again.
    let packs = fleet.folder().join("rules.d");
    std::fs::create_dir(&packs)?;
    std::fs::write(packs.join("ours.toml"), PACK)?;
    std::fs::create_dir(fleet.folder().join("collector.d"))?;
    let settings = fleet.folder().join("collector.d/rules.toml");
    std::fs::write(settings, "[rules]\nfolder = \"rules.d\"\n")?;
    fleet.take(COLLECTOR)?.stop()?;
    fleet.start_again(COLLECTOR)?;
    expect(&mut fleet, "the rule finds port 23", &["ours-port"])?;
    save(&root, "{\"port\": 22}")?;
    expect(&mut fleet, "the deviation ends", &[])?;
    save(&root, "{\"port\": 24}")?;
    expect(&mut fleet, "it opens again", &["ours-port"])?;
    save(&root, "{\"port\": ")?;
    expect(&mut fleet, "what cannot be read moves it neither way", &["-", "ours-port"])?;
    // A pack that is saved counts at once, and what its rules found ends with them.
    std::fs::write(packs.join("ours.toml"), PACK.replace("ours-port", "ours-door"))?;
    expect(&mut fleet, "the rule of the old name is withdrawn", &["-"])?;
    save(&root, "{\"port\": 25}")?;
    expect(&mut fleet, "the rule of the new name judges", &["ours-door"])
}
