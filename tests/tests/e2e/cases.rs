//! Cases beside changes, through the real programs: what a rollout goes together with, what it does
//! not, and whom a central host touches.

use std::time::Duration;

use driftline_protocol::canonical;
use driftline_protocol::ids::{Digest, Generation, HostId, Incarnation, SessionId};
use driftline_protocol::item::{Item, ItemKey, ItemValue, Items};
use driftline_protocol::ledger::Chain;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::snapshot::{Content, Domain, Observed, Part, Reading};
use driftline_protocol::wire::{EnrolRequest, HostKind, PROTOCOL_VERSION, Report, SectionVersion};
use driftline_tests::fleet::{Fleet, SECRET};
use driftline_tests::http;
use driftline_tests::process;
use driftline_tests::programs;
use driftline_tests::wait;
use driftline_tests::watchers::Watch;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

const DAY: i64 = 86_400;
const SITES: i64 = 12;

/// How long ago changes were made, in seconds: four days and a half.
const AGO: i64 = 9 * DAY / 2;

/// A pass, a scrape and a rule, a second each, on a busy machine.
const TOLD: Duration = Duration::from_secs(60);

/// How long nothing must come: some passes.
const NOTHING: Duration = Duration::from_secs(6);

/// Twelve sites with a host each, and a central one that serves four of them.
pub(super) fn config() -> String {
    let hosts = (0..SITES).map(|site| {
        format!("[[host]]\nname = 'pbx-{site}'\nsite = 'site{site}'\nservice = 'voice'\n")
    });
    hosts.collect::<String>()
        + "[[host]]\nname = 'sbc-*'\nsite = 'site11'\nservice = 'voice'\n\
           [[group]]\nname = 'edge'\nhost = 'sbc-*'\n\
           [[service_path]]\nservice = 'voice'\ngroups = ['edge']\n\
           sites = ['site0', 'site1', 'site2', 'site3']\n\
           [[case_map]]\nfrom_service = 'tele*'\nservice = 'voice'\n\
           [correlation]\nevery_seconds = 1\n"
}

fn part(value: &str) -> Part {
    let item = Item { value: ItemValue::text(value), rank: None };
    Part::Observed(Observed {
        reading: Reading { parser: "ini".into(), version: 1, scope: Digest([0; 32]) },
        raw: None,
        size: Some(1),
        content: Content::Read,
        items: Items::from([(ItemKey::of(["codec"]), item)]),
    })
}

/// A host whose one file said `ulaw` forty days ago and `opus` since `ago` seconds, told by reports
/// of its own as an agent sends them that was not heard in between.
fn add_host(fleet: &Fleet, (name, seed): (&str, u8), ago: i64) -> anyhow::Result<()> {
    let enrol = EnrolRequest {
        version: PROTOCOL_VERSION,
        secret: Some(SECRET.into()),
        replaces: None,
        proposed: name.parse()?,
        kind: HostKind::Uc,
        incarnation: Incarnation([seed; 16]),
        agent_version: "0.1.0".into(),
    };
    let enrolled = send(fleet, "/api/v1/enrol", "", &serde_json::to_vec(&enrol)?)?;
    let token = enrolled["token"].as_str().unwrap_or_default().to_owned();
    let source = "files".parse()?;
    let mut chain = Chain::start(&source);
    let mut before = Manifest::default();
    for (generation, value, age) in [(1, "ulaw", 40 * DAY), (2, "opus", ago)] {
        let content = part(value);
        let next = Manifest([("/etc/sip.conf".parse()?, canonical::digest(&content))].into());
        let digest = next.digest();
        let after = chain.after(Generation(generation), &digest);
        let up = 50 * DAY;
        let now = Timestamp::now();
        let version = SectionVersion {
            source: source.clone(),
            domain: Domain::Config,
            generation: Generation(generation),
            chain_before: chain,
            chain: after,
            coalesced: 0,
            expired: 0,
            observed_at: now.checked_sub(SignedDuration::from_secs(age))?,
            observed_monotonic_ms: Some((up - age).unsigned_abs() * 1_000),
            delta: if generation == 1 { next.whole() } else { before.delta_to(&next) },
            digest,
        };
        let host: HostId = name.parse()?;
        let report = Report {
            version: PROTOCOL_VERSION,
            host,
            incarnation: Incarnation([seed; 16]),
            session: SessionId([seed; 16]),
            monotonic_ms: up.unsigned_abs() * 1_000,
            wall: now,
            versions: vec![version],
            parts: vec![content],
        };
        send(fleet, "/api/v1/report", &token, &serde_json::to_vec(&report)?)?;
        (chain, before) = (after, next);
    }
    Ok(())
}

fn send(fleet: &Fleet, path: &str, token: &str, body: &[u8]) -> anyhow::Result<Value> {
    let token = format!("Bearer {token}");
    let headers = [("Content-Type", "application/json"), ("Authorization", token.as_str())];
    let answer = http::post(fleet.address(), path, &headers, body)?;
    anyhow::ensure!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
    answer.json()
}

/// The `n`-th number of a stream that looks random and is always the same.
fn noise(n: i64) -> i64 {
    let mixed = n.unsigned_abs().wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed ^ (mixed >> 32)) >> 1).cast_signed()
}

/// Nine weeks of three cases a day and site, three times as many in the three days after `AGO` at
/// the sites `risen` names, and forty in each of the last two hours that can be known.
pub(super) fn cases(risen: impl Fn(i64) -> bool) -> String {
    let now = Timestamp::now().as_second();
    let hour = (now - 3_600) - (now - 3_600).rem_euclid(3_600);
    let mut csv = "id,opened_at,service,site\n".to_owned();
    let mut number = 0;
    let mut add = |at: i64, site: i64| {
        number += 1;
        let at = Timestamp::from_second(at).unwrap();
        csv.push_str(&format!("INC{number},{at},Telephony,site{site}\n"));
    };
    for back in 0..63 {
        let midnight = now - (back + 1) * DAY;
        for site in 0..SITES {
            for count in 0..3 {
                add(midnight + noise(back * 1_000 + site * 10 + count) % DAY, site);
            }
        }
    }
    for site in (0..SITES).filter(|site| risen(*site)) {
        for count in 0..18 {
            add(now - AGO + 3_600 + noise(90_000 + site * 100 + count) % (3 * DAY - 7_200), site);
        }
    }
    for count in 0..80 {
        add(hour - 3_600 + noise(200_000 + count) % 3_600 + count % 2 * 3_600, count % SITES);
    }
    csv
}

pub(super) fn post_cases(fleet: &Fleet, csv: &str) -> anyhow::Result<Value> {
    let kind = [("Content-Type", "text/csv")];
    let answer = http::post(fleet.address(), programs::POST_CASES, &kind, csv.as_bytes())?;
    anyhow::ensure!(answer.status < 300, "{} {}", answer.status, answer.text());
    answer.json()
}

fn suspects(fleet: &Fleet) -> anyhow::Result<Vec<Value>> {
    let answer = http::get_ok(fleet.address(), programs::SUSPECTS)?.json()?;
    Ok(answer["suspects"].as_array().cloned().unwrap_or_default())
}

/// Waits until the engine has judged this many changes whose window is over.
pub(super) fn judged(fleet: &Fleet, count: usize) -> anyhow::Result<Vec<Value>> {
    wait::until("changes are held against cases", TOLD, || {
        let found = suspects(fleet)?;
        Ok((found.len() >= count).then_some(found))
    })
}

fn tier(suspect: &Value) -> &str {
    suspect["evidence"]["tier"].as_str().unwrap_or_default()
}

/// Four sites' hosts changed in one rollout, and three others a day and a half before.
pub(super) fn rollout(fleet: &Fleet) -> anyhow::Result<()> {
    for site in 0..4u8 {
        add_host(fleet, (&format!("pbx-{site}"), site + 1), AGO - i64::from(site) * 600)?;
    }
    for site in 6..9u8 {
        add_host(fleet, (&format!("pbx-{site}"), site + 1), AGO + 4 * DAY)?;
    }
    Ok(())
}

#[test]
fn a_rollout_with_a_rise_where_it_went_is_supported_and_comes_first() -> anyhow::Result<()> {
    let fleet = Fleet::start_with(&config())?;
    let rules = Watch::shipped_rules();
    let Watch { prometheus, webhook, .. } = &Watch::start(fleet.folder(), fleet.address(), &rules)?;
    rollout(&fleet)?;
    post_cases(&fleet, &cases(|site| site < 4))?;

    let found = judged(&fleet, 2)?;
    let first = &found[0];
    assert_eq!(tier(first), "supported", "{first:#}");
    assert_eq!(first["host_count"], 4, "another change set came first: {first:#}");
    let sites = &first["candidate"]["exposure"]["sites"];
    assert_eq!(*sites, serde_json::json!(["site0", "site1", "site2", "site3"]));
    let others = found.iter().skip(1).filter(|one| tier(one) == "supported").count();
    assert_eq!(others, 0, "{found:#?}");
    wait::until("Prometheus knows of it", TOLD, || {
        let known = "driftline_suspects{service=\"voice\",tier=\"supported\"} == 1";
        Ok((!prometheus.query(known)?.is_empty()).then_some(()))
    })?;
    let link = webhook.expect(TOLD, |body| {
        let alerts = body["alerts"].as_array()?;
        let named = |a: &&Value| a["labels"]["alertname"] == "CaseVolumeAboveExpected";
        Some(alerts.iter().find(named)?["annotations"]["portal_url"].as_str()?.to_owned())
    })?;
    let page = link.strip_prefix(&format!("http://{}", fleet.address())).unwrap_or_default();
    assert_eq!(page, "/cases?service=voice");
    let shown = http::get_ok(fleet.address(), page)?.text();
    for text in ["Cases rose together with this change", "/etc/sip.conf", "<svg"] {
        assert!(shown.contains(text), "the page behind the alert does not show {text}");
    }
    let number = &first["number"];
    let said = br#"{"outcome": "confirmed", "reason": "rolled back and quiet again"}"#;
    send_outcome(&fleet, number, said)
}

/// Our rules as they are, but for the minutes that a thing must last before anybody is woken.
fn rules_at_once(fleet: &Fleet) -> anyhow::Result<std::path::PathBuf> {
    let text = std::fs::read_to_string(Watch::shipped_rules())?;
    anyhow::ensure!(text.contains("for: 5m"), "no rule waits any more");
    let path = fleet.folder().join("rules.yaml");
    std::fs::write(&path, text.replace("for: 5m", "for: 1s"))?;
    Ok(path)
}

/// One open case of `Telephony` that was due an hour ago, or its end.
fn overdue(resolved: bool) -> String {
    let now = Timestamp::now().as_second();
    let at = |ago: i64| Timestamp::from_second(now - ago).unwrap_or(Timestamp::UNIX_EPOCH);
    let end = if resolved { at(5).to_string() } else { String::new() };
    let times = (at(7_200), at(3_600));
    format!(
        "id,opened_at,service,site,due_at,resolved_at\nINC1,{},Telephony,site1,{},{end}\n",
        times.0, times.1
    )
}

#[test]
fn a_case_past_its_target_wakes_somebody() -> anyhow::Result<()> {
    let fleet = Fleet::start_with(&config())?;
    let rules = rules_at_once(&fleet)?;
    let Watch { prometheus, webhook, .. } = &Watch::start(fleet.folder(), fleet.address(), &rules)?;
    post_cases(&fleet, &overdue(false))?;
    let alert = webhook.expect(TOLD, |body| {
        let alert = body["alerts"].as_array()?.iter().find(|alert| {
            alert["labels"]["alertname"] == "CasesPastServiceLevel"
                && alert["labels"]["level"] == "breached"
        })?;
        Some(alert.clone())
    })?;
    assert_eq!(alert["labels"]["service"], "voice", "{alert:#}");
    let link = alert["annotations"]["portal_url"].as_str().unwrap_or_default();
    let page = link.strip_prefix(&format!("http://{}", fleet.address())).unwrap_or_default();
    assert_eq!(page, "/findings?service=voice", "{alert:#}");
    http::get_ok(fleet.address(), page)?;
    // The alert ends when the last value is five minutes old; the value itself is gone at once.
    post_cases(&fleet, &overdue(true))?;
    wait::until("Prometheus knows that it is resolved", TOLD, || {
        let open = "driftline_cases_open{level=\"breached\"} > 0";
        Ok(prometheus.query(open)?.is_empty().then_some(()))
    })
}

fn send_outcome(fleet: &Fleet, number: &Value, said: &[u8]) -> anyhow::Result<()> {
    let json = [("Content-Type", "application/json")];
    let path = format!("{}/{number}/outcome", programs::SUSPECTS);
    let answer = http::post(fleet.address(), &path, &json, said)?;
    anyhow::ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    let outcomes = http::get_ok(fleet.address(), &format!("{}/outcomes", programs::SUSPECTS))?;
    let rates = outcomes.json()?["by_kind"].clone();
    assert_eq!(rates[0]["confirmed"], 1);
    let program = programs::program(programs::ADMIN)?.display().to_string();
    let server = format!("http://{}", fleet.address());
    let arguments = ["--collector", &server, "--output", "json", "suspects", "--base-rates"];
    let printed: Value = serde_json::from_str(&process::run(&program, &arguments)?)?;
    assert_eq!(printed, rates, "the command says what the interface says");
    let page = http::get_ok(fleet.address(), &format!("/suspects/{number}"))?.text();
    for text in ["How often people confirmed", "share confirmed by score, of 1 suspects"] {
        assert!(page.contains(text), "the suspect's page does not show {text}");
    }
    Ok(())
}

#[test]
fn the_same_rise_everywhere_is_nobodys() -> anyhow::Result<()> {
    let fleet = Fleet::start_with(&config())?;
    rollout(&fleet)?;
    post_cases(&fleet, &cases(|_| true))?;
    for one in judged(&fleet, 2)? {
        assert!(["refuted", "undetermined"].contains(&tier(&one)), "{one:#}");
    }
    Ok(())
}

#[test]
fn a_central_host_is_tried_against_the_sites_it_serves() -> anyhow::Result<()> {
    let fleet = Fleet::start_with(&config())?;
    add_host(&fleet, ("sbc-1", 1), AGO)?;
    post_cases(&fleet, &cases(|site| site < 4))?;
    let found = judged(&fleet, 1)?;
    assert_eq!(found.len(), 1, "{found:#?}");
    let sites = &found[0]["candidate"]["exposure"]["sites"];
    assert_eq!(*sites, serde_json::json!(["site0", "site1", "site2", "site3"]));
    assert_eq!(tier(&found[0]), "supported", "{:#}", found[0]);
    Ok(())
}

#[test]
fn what_was_read_in_part_is_not_held_against_anything() -> anyhow::Result<()> {
    let fleet = Fleet::start_with(&config())?;
    rollout(&fleet)?;
    let csv = cases(|site| site < 4);
    let broken = format!("{csv}INC0,sometime,Telephony,site1\n");
    let answer = post_cases(&fleet, &broken)?;
    assert_eq!(answer["refused"]["total"], 1, "{answer}");
    wait::while_quiet(NOTHING, || {
        let said = "cases of which some are unknown were held against changes";
        Ok((!suspects(&fleet)?.is_empty()).then(|| said.to_owned()))
    })?;
    post_cases(&fleet, &csv)?;
    judged(&fleet, 2).map(drop)
}
