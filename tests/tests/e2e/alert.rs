//! From a saved file to a woken person, and how long the first half takes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use driftline_tests::watchers::Watch;

use super::{HOST, one_host, small_tree};

/// Scrape, rule, `for`, group wait and webhook, a second each, on a busy machine.
const WOKEN: Duration = Duration::from_secs(60);

#[test]
fn a_saved_file_moves_the_counter_and_wakes_somebody_with_the_link() -> anyhow::Result<()> {
    let (fleet, root) = one_host()?;
    let rules = Watch::shipped_rules();
    let Watch { prometheus, webhook, .. } = &Watch::start(fleet.folder(), fleet.address(), &rules)?;

    let body = br#"{"reason": "as the judge found it"}"#;
    let json = [("Content-Type", "application/json")];
    let approved = http::post(fleet.address(), &programs::approve(HOST), &json, body)?;
    assert!(approved.status < 300, "approving: {} {}", approved.status, approved.text());
    wait::until("Prometheus sees the counter", PATIENCE, || {
        Ok((!prometheus.query("driftline_changes_total")?.is_empty()).then_some(()))
    })?;

    std::fs::write(root.join("etc/app.conf"), "first = marker-second\n")?;
    wait::until("the counter moves in Prometheus", WOKEN, || {
        let moved = "sum(driftline_changes_total{domain=\"config\",kind=\"modified\"}) > 0";
        Ok((!prometheus.query(moved)?.is_empty()).then_some(()))
    })?;
    let [link, runbook] = webhook.expect(WOKEN, |body| {
        let alerts = body["alerts"].as_array()?;
        let ours = alerts.iter().find(|a| a["labels"]["alertname"] == "DriftlineDriftOpen")?;
        let said = |name: &str| Some(ours["annotations"][name].as_str()?.to_string());
        Some([said("portal_url")?, said("runbook_url")?])
    })?;
    let advice = runbook.strip_prefix(&format!("http://{}", fleet.address()));
    let advice = http::get_ok(fleet.address(), advice.unwrap_or(&runbook))?.text();
    assert!(advice.contains("<h1>DriftlineDriftOpen</h1>"), "{runbook} is no advice: {advice}");
    let page = link.strip_prefix(&format!("http://{}", fleet.address()));
    let page = page.unwrap_or_else(|| panic!("{link} does not lead to the portal"));
    assert_eq!(page, format!("/hosts/{HOST}#drift"));
    let shown = http::get_ok(fleet.address(), page.trim_end_matches("#drift"))?.text();
    assert!(shown.contains("id=\"drift\""), "the page has no place called drift");
    // What differs within a line may be marked up; a reader sees the text.
    let text: String =
        shown.split('<').filter_map(|piece| Some(piece.split_once('>')?.1)).collect();
    for value in ["marker-first", "marker-second"] {
        assert!(text.contains(value), "the page behind the alert does not show {value}: {text}");
    }
    Ok(())
}

/// One host whose team is voice; of its files one is security's.
const OWNERS: &str = "[[host]]\nname = 'judge'\nteam = 'voice'\n\
    [[owner]]\nchain = ['security', 'ciso']\nscope = { part = '*/etc/shadowy.conf' }\n";

#[test]
fn an_alert_names_who_answers_for_it() -> anyhow::Result<()> {
    let mut fleet = Fleet::start_with(OWNERS)?;
    let root = small_tree(fleet.folder())?;
    std::fs::write(root.join("etc/shadowy.conf"), "first = marker-first\n")?;
    fleet.add_agent(HOST, &root, &["/etc/**"])?;
    fleet.wait_for(HOST, "shadowy.conf")?;
    let rules = Watch::shipped_rules();
    let Watch { prometheus, webhook, .. } = &Watch::start(fleet.folder(), fleet.address(), &rules)?;
    let json = [("Content-Type", "application/json")];
    let body = br#"{"reason": "as the judge found it"}"#;
    let approved = http::post(fleet.address(), &programs::approve(HOST), &json, body)?;
    anyhow::ensure!(approved.status < 300, "approving: {}", approved.text());
    for file in ["app.conf", "shadowy.conf"] {
        std::fs::write(root.join("etc").join(file), "first = marker-second\n")?;
    }
    // They come in any order, together or not.
    let told = RefCell::new(BTreeMap::new());
    webhook.expect(WOKEN, |body| {
        let alerts = body["alerts"].as_array()?;
        for alert in alerts.iter().filter(|a| a["labels"]["alertname"] == "DriftlineDriftOpen") {
            told.borrow_mut().insert(alert["labels"]["owner"].to_string(), alert.clone());
        }
        (told.borrow().len() == 2).then_some(())
    })?;
    let told = told.into_inner();
    assert_eq!(told.keys().collect::<Vec<_>>(), ["\"security\"", "\"voice\""]);
    for alert in told.values() {
        assert_eq!(alert["labels"]["team"], "voice", "{alert}");
        let says = alert["annotations"]["summary"].to_string();
        assert!(says.contains("in 1 item ("), "{says}");
    }
    let of = |owner: &str| fleet.metric("driftline_findings_by_owner", &[owner, "class=\"none\""]);
    let owners = ["owner=\"security\"", "owner=\"voice\"", "owner=\"nobody\"", "owner=\"ciso\""];
    assert_eq!(owners.map(|owner| of(owner).unwrap_or(-1.0)), [1.0, 1.0, 0.0, 0.0]);
    let all = "sum(driftline_drift_owned) == sum(driftline_drift_open)";
    wait::until("what is owned is what is open", PATIENCE, || {
        Ok((!prometheus.query(all)?.is_empty()).then_some(()))
    })?;
    Ok(())
}

/// Far above what is promised and below the rescan: a watcher that hears nothing is noticed.
const SAVED: Duration = Duration::from_secs(20);

/// Prints how long a save takes to `/metrics`. Not judged here: a stop-watch measures the
/// neighbours too.
#[test]
fn every_save_reaches_the_metrics() -> anyhow::Result<()> {
    let (fleet, root) = one_host()?;
    let saves = programs::count("DRIFTLINE_SAVES", 50)?;
    let count = || fleet.metric("driftline_changes_total", &["kind=\"modified\""]);
    let mut took = Vec::new();
    for save in 1..=saves {
        let before = count()?;
        let began = Instant::now();
        std::fs::write(root.join("etc/app.conf"), format!("first = save-{save}\n"))?;
        wait::until("a save reaches /metrics", SAVED, || Ok((count()? > before).then_some(())))?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    eprintln!(
        "save to /metrics over {saves} saves: p50 {p50:?}, p99 {p99:?}, worst {:?}",
        took.last()
    );
    Ok(())
}
