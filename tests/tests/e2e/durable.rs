//! An answer means durable: what was acknowledged outlives a kill in the moment of its answer.
//!
//! Speaks for an agent, since only the one who was answered knows that moment; kills at random
//! moments (`killing`) meet it by luck. Knows the wire's types and nothing of how things are kept.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use driftline_protocol::canonical;
use driftline_protocol::ids::{Generation, HostId, Incarnation, SessionId};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::ledger::Chain;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::snapshot::{Content, Domain, Observed, Part, Reading};
use driftline_protocol::wire::{
    EnrolAnswer, EnrolRequest, HostKind, Outcome, PROTOCOL_VERSION, Report, ReportAnswer,
    SectionVersion,
};
use driftline_tests::fleet::{Fleet, SECRET};
use driftline_tests::http;
use driftline_tests::programs::COLLECTOR;
use jiff::Timestamp;
use serde::Serialize;

const ROUNDS: u8 = 5;

#[test]
fn what_was_acknowledged_outlives_a_kill_in_that_moment() -> anyhow::Result<()> {
    let mut fleet = Fleet::start()?;
    for round in 0..ROUNDS {
        let host = enrolled(&fleet, round)?;
        fleet.take(COLLECTOR)?.kill9()?;
        fleet.start_again(COLLECTOR)?;

        let marker = format!("marker-answered-{round}-end");
        let outcomes = tell(&fleet, &host, round, &marker)
            .context("what enrolled before the kill is a stranger after it")?;
        assert_eq!(outcomes, [Outcome::Applied]);
        fleet.take(COLLECTOR)?.kill9()?;
        fleet.start_again(COLLECTOR)?;
        let known = fleet.snapshot(host.host.as_str())?;
        assert!(known.contains(&marker), "{marker} was acknowledged and is gone");
    }
    Ok(())
}

fn enrolled(fleet: &Fleet, round: u8) -> anyhow::Result<EnrolAnswer> {
    let request = EnrolRequest {
        version: PROTOCOL_VERSION,
        secret: Some(SECRET.into()),
        replaces: None,
        proposed: HostId::nearest(&format!("teller-{round}")),
        kind: HostKind::Endpoint,
        incarnation: Incarnation([round; 16]),
        agent_version: "0.1.0".into(),
    };
    ask(fleet, "/api/v1/enrol", "", &request)
}

/// Reports one file that says `marker`, and gives what became of it.
fn tell(
    fleet: &Fleet,
    host: &EnrolAnswer,
    round: u8,
    marker: &str,
) -> anyhow::Result<Vec<Outcome>> {
    let key = ItemKey::of(["key"]);
    let items = BTreeMap::from([(key, Item { value: ItemValue::text(marker), rank: None })]);
    let scope = canonical::scope_digest(["durable"]);
    let reading = Reading { parser: "key_value".into(), version: 1, scope };
    let content = Content::Read;
    let part = Part::Observed(Observed { reading, raw: None, size: None, content, items });
    let manifest = Manifest(BTreeMap::from([("/etc/app.conf".parse()?, canonical::digest(&part))]));
    let source = "files".parse()?;
    let chain_before = Chain::start(&source);
    let version = SectionVersion {
        domain: Domain::Config,
        generation: Generation(1),
        chain: chain_before.after(Generation(1), &manifest.digest()),
        chain_before,
        coalesced: 0,
        expired: 0,
        observed_at: Timestamp::now(),
        observed_monotonic_ms: Some(1),
        delta: manifest.whole(),
        digest: manifest.digest(),
        source,
    };
    let report = Report {
        version: PROTOCOL_VERSION,
        host: host.host.clone(),
        incarnation: Incarnation([round; 16]),
        session: SessionId([round; 16]),
        monotonic_ms: 1,
        wall: Timestamp::now(),
        versions: vec![version],
        parts: vec![part],
    };
    let answer: ReportAnswer = ask(fleet, "/api/v1/report", &host.token, &report)?;
    Ok(answer.outcomes)
}

fn ask<T: serde::de::DeserializeOwned>(
    fleet: &Fleet,
    path: &str,
    token: &str,
    message: &impl Serialize,
) -> anyhow::Result<T> {
    let token = format!("Bearer {token}");
    let headers = [("Content-Type", "application/json"), ("Authorization", token.as_str())];
    let answer = http::post(fleet.address(), path, &headers, &serde_json::to_vec(message)?)?;
    ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
    Ok(serde_json::from_slice(&answer.body)?)
}
