//! Who is let in and who is expected, and what people are told of it: tokens that end, enrolments
//! that are refused, hosts that sleep, names that are taken.

use driftline_tests::fleet::{Fleet, SECRET};
use driftline_tests::http;
use driftline_tests::process::run_any;
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{HOST, small_tree};

/// All that the admin's command says to `arguments`, and whether nothing stands in the way.
fn said(fleet: &Fleet, arguments: &[&str]) -> anyhow::Result<(String, bool)> {
    let program = programs::program("driftline")?.display().to_string();
    let collector = format!("http://{}", fleet.address());
    let output = run_any(&program, &[arguments, &["--collector", collector.as_str()]].concat())?;
    let said = [output.stdout, output.stderr].concat();
    Ok((String::from_utf8(said)?, output.status.success()))
}

#[test]
fn what_lets_somebody_in_is_told_two_weeks_before_its_end() -> anyhow::Result<()> {
    let fleet = Fleet::start()?;
    let json = [("Content-Type", "application/json")];
    for (name, days) in [("brief", 14), ("lasting", 90)] {
        let body = json!({ "name": name, "scope": "metrics", "days": days }).to_string();
        let answer = http::post(fleet.address(), "/api/v1/tokens", &json, body.as_bytes())?;
        anyhow::ensure!(answer.status < 300, "{name}: {}", answer.text());
    }
    let count = |kind: &str, state: &str| {
        let labels = [format!("kind=\"{kind}\""), format!("state=\"{state}\"")];
        fleet.metric("driftline_tokens", &[&labels[0], &labels[1]])
    };
    assert!((count("metrics", "valid")? - 2.0).abs() < 0.5);
    assert!(count("metrics", "expiring")? < 0.5, "made to end, and told of all the same");
    let ends_in = |hours: i64, state: &str| -> anyhow::Result<()> {
        let ends = Timestamp::now() + SignedDuration::from_hours(hours);
        let text = format!("{SECRET}\nexpires {}\n", ends.strftime("%Y-%m-%dT%H:%M:%SZ"));
        programs::keep_secret(&fleet.folder().join("secret"), &text)?;
        // The secret is read again with the configuration.
        let file = fleet.folder().join("collector.toml");
        std::fs::write(&file, std::fs::read(&file)?)?;
        wait::until("the secret's end is counted", PATIENCE, || {
            Ok((count("enrolment_secret", state)? > 0.5).then_some(()))
        })
    };
    ends_in(15 * 24, "valid")?;
    assert!(!said(&fleet, &["doctor"])?.0.contains("secret"));
    ends_in(13 * 24, "expiring")?;
    let (told, fine) = said(&fleet, &["doctor"])?;
    assert!(told.contains("the enrolment secret ends ") && !fine, "{told}");
    ends_in(-1, "expired")?;
    let (told, _) = said(&fleet, &["doctor"])?;
    assert!(told.contains("the enrolment secret ended "), "{told}");
    Ok(())
}

#[test]
fn a_refused_enrolment_is_told_where_people_look_and_a_flood_of_them_once() -> anyhow::Result<()> {
    const ASKED: usize = 40;
    let fleet = Fleet::start()?;
    let json = [("Content-Type", "application/json")];
    let body = json!({
        "version": 1, "secret": "marker-not-the-secret-of-it", "proposed": "laptop-7",
        "kind": "endpoint", "incarnation": "07".repeat(16), "agent_version": "0",
    });
    for _ in 0..ASKED {
        let answer =
            http::post(fleet.address(), "/api/v1/enrol", &json, body.to_string().as_bytes())?;
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
    let counted =
        fleet.metric("driftline_enrolments_refused_total", &["reason=\"wrong_secret\""])?;
    assert!((counted - ASKED as f64).abs() < 0.5, "{counted}");
    let (told, _) = said(&fleet, &["doctor"])?;
    let page = fleet.page("/")?;
    let log = std::fs::read_to_string(fleet.log(programs::COLLECTOR))?;
    for (place, text) in [("doctor", &told), ("overview", &page), ("log", &log)] {
        assert!(text.contains("laptop-7") && text.contains("wrong_secret"), "{place}: {text}");
        assert!(!text.contains("marker-not-the-secret"), "{place}: {text}");
    }
    let lines = log.matches("an enrolment was refused").count();
    assert!((1..=3).contains(&lines), "{lines} lines of {ASKED} refusals");
    Ok(())
}

#[test]
fn a_host_that_sleeps_is_stale_and_in_nobodys_way() -> anyhow::Result<()> {
    let config = format!(
        "stale_seconds = 10\n[[group]]\nname = 'laptops'\nhost = '{HOST}'\nsleep_days = 1\n"
    );
    let mut fleet = Fleet::start_with(&config)?;
    let root = small_tree(fleet.folder())?;
    fleet.add_agent(HOST, &root, &["/etc/**"])?;
    fleet.wait_for(HOST, "marker-first")?;
    let sleeps = fleet.metric("driftline_host_sleep_seconds", &[&format!("host=\"{HOST}\"")])?;
    assert!((sleeps - 86_400.0).abs() < 0.5, "{sleeps}");
    assert!(fleet.metric("driftline_hosts_asleep", &[])? < 0.5, "it is awake");
    fleet.take(HOST)?.kill9()?;
    wait::until("the host is stale", PATIENCE, || {
        Ok((fleet.metric("driftline_hosts", &["state=\"stale\""])? > 0.5).then_some(()))
    })?;
    assert!((fleet.metric("driftline_hosts_asleep", &[])? - 1.0).abs() < 0.5);
    let (told, _) = said(&fleet, &["doctor"])?;
    assert!(told.contains("is stale") && told.contains("its group says that it sleeps"), "{told}");
    let (told, _) = said(&fleet, &["hosts"])?;
    assert!(told.contains("stale (asleep)"), "{told}");
    let page = fleet.page("/")?;
    assert!(page.contains("state stale") && page.contains("may sleep"), "{page}");
    Ok(())
}

#[test]
fn a_host_set_up_anew_is_told_by_both_sides_to_have_another_name() -> anyhow::Result<()> {
    let mut fleet = Fleet::start()?;
    let root = small_tree(fleet.folder())?;
    fleet.add_agent(HOST, &root, &["/etc/**"])?;
    fleet.wait_for(HOST, "marker-first")?;
    assert!(fleet.metric("driftline_events_total", &["kind=\"name_taken\""])? < 0.5);
    fleet.take(HOST)?.kill9()?;
    std::fs::remove_dir_all(fleet.state(HOST))?;
    std::fs::create_dir_all(fleet.state(HOST))?;
    let program = programs::program(programs::AGENT)?.display().to_string();
    let config = fleet.folder().join(format!("{HOST}.toml")).display().to_string();
    let enrolled = run_any(&program, &["enrol", "--config", &config])?;
    let new = format!("{HOST}-2");
    assert_eq!(String::from_utf8(enrolled.stdout)?.trim(), new);
    let told = String::from_utf8(enrolled.stderr)?;
    assert!(told.contains("enrolled under another name") && told.contains("retire"), "{told}");
    let counted = fleet.metric("driftline_events_total", &["kind=\"name_taken\""])?;
    assert!((counted - 1.0).abs() < 0.5, "{counted}");
    let log = std::fs::read_to_string(fleet.log(programs::COLLECTOR))?;
    assert!(log.contains("a host was enrolled under another name"), "{log}");
    let (told, _) = said(&fleet, &["doctor"])?;
    assert!(told.contains(&format!("{new}: calls itself {HOST}")), "{told}");
    let (_, fine) = said(&fleet, &["retire", HOST])?;
    assert!(fine, "the old one is retired");
    let (told, _) = said(&fleet, &["doctor"])?;
    assert!(!told.contains("calls itself"), "{told}");
    Ok(())
}
