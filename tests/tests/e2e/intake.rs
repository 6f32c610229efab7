//! Cases at the door, through the real programs: what one source sends takes nothing from another,
//! a slip of the keyboard is no source, and people stay outside.

use std::fmt::Write as _;

use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cases::{cases, config, judged, post_cases, rollout};

/// More different words than a source may bring, five in a case.
const MADE_UP: usize = 10_050;

/// Two hours ago, as case systems write it.
fn opened() -> anyhow::Result<String> {
    Ok(Timestamp::now().checked_sub(SignedDuration::from_hours(2))?.to_string())
}

fn post(fleet: &Fleet, source: &str, (kind, body): (&str, &str)) -> anyhow::Result<Value> {
    let path = format!("/api/v1/cases?source={source}");
    let answer = http::post(fleet.address(), &path, &[("Content-Type", kind)], body.as_bytes())?;
    anyhow::ensure!(answer.status < 300, "{} {}", answer.status, answer.text());
    answer.json()
}

fn kept(fleet: &Fleet, query: &str) -> anyhow::Result<Vec<Value>> {
    let answer = http::get_ok(fleet.address(), &format!("/api/v1/cases?{query}"))?.json()?;
    Ok(answer["cases"].as_array().cloned().unwrap_or_default())
}

fn sources(fleet: &Fleet) -> anyhow::Result<Vec<Value>> {
    let answer = http::get_ok(fleet.address(), "/api/v1/cases/sources")?.json()?;
    Ok(answer["sources"].as_array().cloned().unwrap_or_default())
}

#[test]
fn what_one_source_makes_up_leaves_another_its_words() -> anyhow::Result<()> {
    let fleet = Fleet::start_with(&config())?;
    let at = opened()?;
    let mut csv = "id,opened_at,service,site,category,team,priority\n".to_owned();
    for number in 0..MADE_UP {
        writeln!(csv, "{number},{at},a{number},b{number},c{number},d{number},e{number}")?;
    }
    post(&fleet, "noise", ("text/csv", &csv))?;
    let desk = format!("id,opened_at,service,site\nINC1,{at},Telephony,a site of its own\n");
    post(&fleet, "desk", ("text/csv", &desk))?;
    let found = kept(&fleet, "source=desk")?;
    assert_eq!(found[0]["service"], "Telephony", "{found:#?}");
    assert_eq!(found[0]["site"], "a site of its own", "{found:#?}");
    let beyond = sources(&fleet)?;
    let beyond = beyond.iter().find(|one| one["source"] == "noise").cloned().unwrap_or_default();
    assert_eq!(beyond["words_beyond"], 250, "{beyond:#}");
    let page = http::get_ok(fleet.address(), "/cases")?.text();
    assert!(page.contains("a new one was left out 250 times"), "the page does not say it");
    let metrics = http::get_ok(fleet.address(), "/metrics")?.text();
    assert!(metrics.contains("driftline_case_words_left_out_total 250\n"), "{metrics}");
    Ok(())
}

#[test]
fn a_source_never_read_to_its_end_keeps_no_other_from_being_heard() -> anyhow::Result<()> {
    let fleet = Fleet::start_with(&config())?;
    rollout(&fleet)?;
    // As many cases at every other site, and one line that breaks.
    let part = cases(|site| site >= 4) + "INC0,sometime,Telephony,site1\n";
    post(&fleet, "shop", ("text/csv", &part))?;
    post_cases(&fleet, &cases(|site| site < 4))?;
    let found = judged(&fleet, 2)?;
    assert_eq!(found[0]["evidence"]["tier"], "supported", "{:#}", found[0]);
    let page = http::get_ok(fleet.address(), "/cases")?.text();
    let told = "shop: never read to its end, so its cases are not counted";
    assert!(page.contains(told), "the page does not say whose cases do not count");
    let metrics = http::get_ok(fleet.address(), "/metrics")?.text();
    assert!(metrics.contains("driftline_case_source_unread{source=\"other\"} 1"), "{metrics}");
    Ok(())
}

#[test]
fn an_empty_list_under_a_mistyped_name_makes_no_source() -> anyhow::Result<()> {
    let text = config() + "[[case_source]]\nname = 'desk'\n";
    let fleet = Fleet::start_with(&text)?;
    let json = "application/json";
    let answer = post(&fleet, "dekst", (json, "[]"))?;
    assert_eq!((&answer["taken"], &answer["known_source"]), (&json!(0), &json!(false)));
    assert_eq!(sources(&fleet)?, Vec::<Value>::new());
    let answer = post(&fleet, "desk", (json, "[]"))?;
    assert_eq!(answer["known_source"], true, "the configuration names it");
    assert_eq!(sources(&fleet)?.len(), 1);
    // A name that a case came of is a source, and says nothing new by an empty list.
    let case = json!({ "id": 1, "opened_at": opened()? }).to_string();
    post(&fleet, "shop", (json, &case))?;
    assert_eq!(post(&fleet, "shop", (json, "[]"))?["known_source"], true);
    Ok(())
}

#[test]
fn people_and_secrets_stay_out_of_cases() -> anyhow::Result<()> {
    let fleet = Fleet::start_with(&config())?;
    let case = json!({
        "id": "lovelace@example.org",
        "opened_at": opened()?,
        "service": "CORP\\lovelace",
        "site": "lovelace@pbx1",
        "category": "password=hunter22",
        "team": "sip:lovelace@10.0.0.1",
        "priority": "+43 1 58801 1234",
        "parent": "",
    });
    let answer = post(&fleet, "desk", ("application/json", &case.to_string()))?;
    assert_eq!((&answer["taken"], &answer["words_left_out"]), (&json!(1), &json!(5)), "{answer}");
    assert_eq!(answer["ids_hidden"], 1);
    let found = kept(&fleet, "id=lovelace%40example.org")?;
    assert_eq!(found.len(), 1, "it is found by the name its system shows");
    let shown = serde_json::to_string(&kept(&fleet, "")?)?;
    let page = http::get_ok(fleet.address(), "/cases")?.text();
    for text in [&shown, &page] {
        for secret in ["lovelace", "hunter22", "58801"] {
            assert!(!text.contains(secret), "{secret} is told: {text}");
        }
    }
    // The same case again is the same case.
    post(&fleet, "desk", ("application/json", &case.to_string()))?;
    assert_eq!(kept(&fleet, "")?.len(), 1);
    Ok(())
}
