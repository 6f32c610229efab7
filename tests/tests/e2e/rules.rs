//! Rules held against what real agents report: a deviation opens, ends, and outlives blindness.

use std::path::{Path, PathBuf};

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

/// Starts the collector again with a pack of its owner's, and says where that stands.
fn turn_on(fleet: &mut Fleet, pack: &str) -> anyhow::Result<PathBuf> {
    let packs = fleet.folder().join("rules.d");
    std::fs::create_dir(&packs)?;
    let file = packs.join("ours.toml");
    std::fs::write(&file, pack)?;
    std::fs::create_dir_all(fleet.folder().join("collector.d"))?;
    let settings = fleet.folder().join("collector.d/rules.toml");
    std::fs::write(settings, "[rules]\nfolder = \"rules.d\"\n")?;
    fleet.take(COLLECTOR)?.stop()?;
    fleet.start_again(COLLECTOR)?;
    Ok(file)
}

#[test]
fn a_rule_judges_what_was_read_and_nothing_else() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    save(&root, "{\"port\": 23}")?;
    fleet.wait_for(HOST, "app.json")?;
    assert_eq!(deviations(&fleet)?, [""; 0], "no rule is on by itself");
    // Turned on for what was reported before: nobody has to report again.
    let pack = turn_on(&mut fleet, PACK)?;
    expect(&mut fleet, "the rule finds port 23", &["ours-port"])?;
    save(&root, "{\"port\": 22}")?;
    expect(&mut fleet, "the deviation ends", &[])?;
    save(&root, "{\"port\": 24}")?;
    expect(&mut fleet, "it opens again", &["ours-port"])?;
    save(&root, "{\"port\": ")?;
    expect(&mut fleet, "what cannot be read moves it neither way", &["-", "ours-port"])?;
    // A pack that is saved counts at once, and what its rules found ends with them.
    std::fs::write(pack, PACK.replace("ours-port", "ours-door"))?;
    expect(&mut fleet, "the rule of the old name is withdrawn", &["-"])?;
    save(&root, "{\"port\": 25}")?;
    expect(&mut fleet, "the rule of the new name judges", &["ours-door"])
}

#[test]
fn a_folder_of_packs_that_a_reload_names_is_watched_from_then_on() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    save(&root, "{\"port\": 23}")?;
    fleet.wait_for(HOST, "app.json")?;
    let packs = fleet.folder().join("packs");
    std::fs::create_dir(&packs)?;
    std::fs::write(packs.join("ours.toml"), PACK)?;
    let settings = fleet.folder().join("collector.d/rules.toml");
    std::fs::write(settings, "[rules]\nfolder = \"packs\"\n")?;
    expect(&mut fleet, "the rule finds port 23", &["ours-port"])?;
    std::fs::write(packs.join("ours.toml"), PACK.replace("ours-port", "ours-door"))?;
    expect(&mut fleet, "the pack that was saved there counts", &["ours-door"])
}

/// Open findings that somebody should look at, and those that are permitted.
fn counted(fleet: &Fleet) -> anyhow::Result<(f64, f64)> {
    let open = fleet.metric("driftline_findings_open", &[])?;
    Ok((open, fleet.metric("driftline_findings_excepted", &[])?))
}

#[test]
fn an_exception_is_over_when_it_says() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    // A file that cannot be read is a deviation without any rule.
    save(&root, "{")?;
    expect(&mut fleet, "the file is malformed", &["-"])?;
    assert_eq!(counted(&fleet)?, (1.0, 0.0));
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
    let body = serde_json::json!({
        "name": "e1", "scope": { "host": HOST }, "owner": "voice",
        "reason": "a trial", "expires": until,
    });
    let json = [("Content-Type", "application/json")];
    let body = serde_json::to_vec(&body)?;
    let made = http::post(fleet.address(), "/api/v1/exceptions", &json, &body)?;
    anyhow::ensure!(made.status == 201, "{}", made.text());
    assert_eq!(counted(&fleet)?, (0.0, 1.0), "permitted from the moment it is made");
    wait::until("the exception is over", PATIENCE, || {
        fleet.check_alive()?;
        Ok((counted(&fleet)? == (1.0, 0.0)).then_some(()))
    })?;
    assert!(jiff::Timestamp::now() >= until, "it counted to its end");
    let again = http::post(fleet.address(), "/api/v1/exceptions", &json, &body)?;
    anyhow::ensure!(again.status != 201, "it was renewed");
    Ok(())
}

const LASTS: &str = "title = 'Ours'
[[rule]]
name = 'ours-lasts'
title = 'It lasts another week'
severity = 'warning'
reason = 'because'
reference = 'us'
source = 'files'
part = '*/etc/app.json'
key = 'until'
operator = 'at_least'
value = 7
unit = 'days_left'
[[rule.example]]
fires = true
at = '2026-11-29T00:00:00Z'
items = { until = '2026-12-05T00:00:00Z' }
[[rule.example]]
fires = false
at = '2026-11-29T00:00:00Z'
items = { until = '2026-12-07T00:00:00Z' }
";

#[test]
fn what_runs_out_is_told_when_its_day_comes() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    turn_on(&mut fleet, LASTS)?;
    let day = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(12);
    let until = day + jiff::SignedDuration::from_hours(7 * 24);
    save(&root, &format!("{{\"until\": \"{until}\"}}"))?;
    fleet.wait_for(HOST, "until")?;
    assert!(jiff::Timestamp::now() < day, "this machine is too slow for twelve seconds");
    assert_eq!(deviations(&fleet)?, [""; 0], "a week is left");
    // Nothing changes on the host any more, so nobody reports.
    expect(&mut fleet, "the day comes", &["ours-lasts"])?;
    assert!(jiff::Timestamp::now() >= day, "it was told before its day");
    let until = until + jiff::SignedDuration::from_hours(24);
    save(&root, &format!("{{\"until\": \"{until}\"}}"))?;
    expect(&mut fleet, "it was renewed", &[])
}
