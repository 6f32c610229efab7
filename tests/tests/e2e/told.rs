//! What people are told by command and portal, through the real programs: one answer from all of
//! them.

use std::process::Output;

use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::process::run_any;
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{HOST, small_tree};

/// What the admin's command does against the fleet's collector.
fn driftline(fleet: &Fleet, arguments: &[&str]) -> anyhow::Result<Output> {
    let program = programs::program("driftline")?.display().to_string();
    let collector = format!("http://{}", fleet.address());
    run_any(&program, &[arguments, &["--collector", collector.as_str()]].concat())
}

/// The same, all it says.
fn said(fleet: &Fleet, arguments: &[&str]) -> anyhow::Result<String> {
    let Output { stdout, stderr, .. } = driftline(fleet, arguments)?;
    Ok(String::from_utf8([stdout, stderr].concat())?)
}

fn post(fleet: &Fleet, path: &str, body: &Value) -> anyhow::Result<()> {
    let json = [("Content-Type", "application/json")];
    let answer = http::post(fleet.address(), path, &json, &serde_json::to_vec(body)?)?;
    anyhow::ensure!(answer.status < 300, "{path}: {}", answer.text());
    Ok(())
}

/// A host with one drift that asks for somebody and one that a request meant to be.
fn drifted() -> anyhow::Result<Fleet> {
    let config = "[[host]]\nname = '*'\nsite = 'graz'\n\
                  [[group]]\nname = 'edge'\nhost = 'judge'\n[[change_source]]\nname = 'itsm'\n";
    let mut fleet = Fleet::start_with(config)?;
    let root = small_tree(fleet.folder())?;
    std::fs::write(root.join("etc/meant.conf"), "second = marker-old\n")?;
    fleet.add_agent(HOST, &root, &["/etc/**"])?;
    fleet.wait_for(HOST, "marker-old")?;
    let reason = json!({ "reason": "as built" });
    post(&fleet, &format!("/api/v1/hosts/{HOST}/baseline"), &reason)?;
    let at = |minutes: i64| (Timestamp::now() + SignedDuration::from_mins(minutes)).to_string();
    let request = json!({
        "id": "CHG1", "approval": "approved", "start": at(-30), "end": at(30), "hosts": [HOST],
        "parts": ["*/meant.conf"],
    });
    post(&fleet, "/api/v1/change-requests?source=itsm", &request)?;
    std::fs::write(root.join("etc/meant.conf"), "second = marker-new\n")?;
    std::fs::write(root.join("etc/app.conf"), "first = marker-other\n")?;
    let open = "/api/v1/findings?open=true";
    wait::until("one drift asks for somebody and one does not", PATIENCE, || {
        fleet.check_alive()?;
        let page = http::get_ok(fleet.address(), open)?.json()?;
        let all = page["findings"].as_array().cloned().unwrap_or_default();
        let judged = all.iter().all(|one| one["class"] != "unjudged");
        let asks = all.iter().filter(|one| one["asks"] == json!(true)).count();
        Ok((all.len() == 2 && judged && asks == 1).then_some(()))
    })?;
    Ok(fleet)
}

#[test]
fn overview_and_command_count_the_same_findings_and_say_which_are_quiet() -> anyhow::Result<()> {
    let fleet = drifted()?;
    let text = said(&fleet, &["findings"])?;
    assert!(text.contains("app.conf") && !text.contains("meant.conf"), "{text}");
    assert!(text.contains("1 more was meant or is noise"), "{text}");
    let page = fleet.page("/")?;
    for told in ["<b>1</b> info</a>", "<b>1</b> quiet: meant, or noise</a>"] {
        assert!(page.contains(told), "{told} is not on {page}");
    }
    // The same finding, by number: what it should be and is, and why it counts.
    let listed = driftline(&fleet, &["findings", "--output", "json"])?;
    let listed: Value = serde_json::from_slice(&listed.stdout)?;
    let number = listed[0]["number"].to_string();
    let shown = said(&fleet, &["finding", "show", &number])?;
    for told in
        ["first = marker-first", "first = marker-other", "out_of_scope (rule request itsm/CHG1)"]
    {
        assert!(shown.contains(told), "{told} is not in {shown}");
    }
    assert!(shown.contains(&format!("/findings/{number}")), "{shown}");
    for (narrow, many) in [
        (["--kind", "drift"], 1),
        (["--kind", "deviation"], 0),
        (["--severity", "critical"], 0),
        (["--site", "graz"], 1),
        (["--group", "edge"], 1),
        (["--part", "*/app.conf"], 1),
        (["--part", "*/none.conf"], 0),
    ] {
        let words = [&["findings", "--output", "json"][..], &narrow[..]].concat();
        let listed: Value = serde_json::from_slice(&driftline(&fleet, &words)?.stdout)?;
        assert_eq!(listed.as_array().map(Vec::len), Some(many), "{narrow:?}: {listed}");
    }
    for (words, told) in [
        (["findings", "--site", "linz"], "linz"),
        (["findings", "--group", "none"], "none"),
        (["findings", "--class", "bogus"], "unauthorised"),
        (["outliers", "--host", "nosuch"], "nosuch"),
        (["events", "--kind", "bogus"], "token_changed"),
    ] {
        let output = driftline(&fleet, &words)?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(told), "{words:?}: {error}");
    }
    Ok(())
}

#[test]
fn a_configuration_that_is_not_in_use_is_told_by_doctor_and_overview() -> anyhow::Result<()> {
    let mut fleet = drifted()?;
    let file = fleet.folder().join("collector.toml");
    let good = std::fs::read_to_string(&file)?;
    let told = |fleet: &mut Fleet, expect: bool| -> anyhow::Result<()> {
        let mut last = String::new();
        let seen = wait::until("doctor and overview tell of the configuration", PATIENCE, || {
            fleet.check_alive()?;
            last = said(fleet, &["doctor"])?;
            let page = fleet.page("/")?;
            let both = [last.contains("unknown field"), page.contains("unknown field")];
            Ok((both == [expect, expect]).then_some(()))
        });
        anyhow::ensure!(seen.is_ok(), "expected {expect}: {last}");
        Ok(())
    };
    std::fs::write(&file, format!("colour = 'red'\n{good}"))?;
    told(&mut fleet, true)?;
    std::fs::write(&file, good)?;
    told(&mut fleet, false)
}

#[test]
fn an_approval_says_of_what_alone_and_a_group_where_it_does_not_count() -> anyhow::Result<()> {
    let fleet = drifted()?;
    let approve = [
        "baseline",
        "approve",
        "@edge",
        "--from",
        HOST,
        "--source",
        "files",
        "--part",
        "*/app.conf",
        "--except",
        "*/address",
        "--reason",
        "the edge follows",
    ];
    let scope = format!(
        "the state of {HOST}, source files, */app.conf (each host has for itself: key */address)"
    );
    let text = said(&fleet, &approve)?;
    assert!(text.contains(&format!("{scope} is the baseline of @edge now")), "{text}");
    let events = driftline(&fleet, &["events", "--kind", "approved", "--output", "ndjson"])?;
    let events = String::from_utf8(events.stdout)?;
    assert!(events.contains(&format!("moved the baseline of @edge to {scope}")), "{events}");
    let text = said(&fleet, &["baseline", "show", "@edge"])?;
    assert!(!text.contains("does not count"), "{text}");
    said(&fleet, &["baseline", "approve", HOST, "--reason", "its own"])?;
    let text = said(&fleet, &["baseline", "show", "@edge"])?;
    let told = format!("1 part of it does not count on {HOST}: its own approval");
    assert!(text.contains(&told), "{text}");
    let page = fleet.page("/baselines/@edge")?;
    assert!(page.contains("Approved by themselves since"), "{page}");
    let day = Timestamp::now() + SignedDuration::from_hours(240);
    let day = day.strftime("%Y-%m-%d").to_string();
    let add = ["exception", "add", "e1", "--host", HOST, "--part", "*/app.conf", "--expires", &day];
    let text = said(&fleet, &[&add[..], &["--owner", "voice", "--reason", "a trial"]].concat())?;
    assert!(text.contains("e1 counts until"), "{text}");
    let scope = format!("(host {HOST}, part */app.conf)");
    let page = fleet.page("/events?kind=exception_made")?;
    assert!(page.contains(&scope), "{page}");
    Ok(())
}
