//! Who is who: stolen ids, cloned disks, rolled-back machines, a collector restored from yesterday.

use std::path::Path;

use driftline_protocol::wire::{EnrolRequest, HostKind, PROTOCOL_VERSION};
use driftline_tests::fleet::{Fleet, SECRET};
use driftline_tests::http;
use driftline_tests::process::run;
use driftline_tests::programs::{self, AgentSettings, COLLECTOR};
use driftline_tests::wait::{self, PATIENCE};
use serde_json::{Value, json};

use super::{HOST, one_host};

fn event(fleet: &Fleet, kind: &str) -> anyhow::Result<bool> {
    Ok(fleet.metric("driftline_events_total", &[&format!("kind=\"{kind}\"")])? > 0.5)
}

fn hosts(fleet: &Fleet) -> anyhow::Result<usize> {
    let hosts = http::get_ok(fleet.address(), programs::HOSTS)?.json()?;
    Ok(hosts.get("hosts").unwrap_or(&hosts).as_array().map_or(0, Vec::len))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    drop(std::fs::remove_dir_all(to));
    run("cp", &["-a", &from.display().to_string(), &to.display().to_string()])?;
    Ok(())
}

fn enrol(fleet: &Fleet, host: &str, byte: u8) -> anyhow::Result<Value> {
    let request = EnrolRequest {
        version: PROTOCOL_VERSION,
        secret: Some(SECRET.into()),
        replaces: None,
        proposed: host.parse()?,
        kind: HostKind::Endpoint,
        incarnation: driftline_protocol::ids::Incarnation([byte; 16]),
        agent_version: "0.1.0".into(),
    };
    let body = serde_json::to_vec(&request)?;
    let json = [("Content-Type", "application/json")];
    let answer = http::post(fleet.address(), "/api/v1/enrol", &json, &body)?;
    anyhow::ensure!(answer.status < 300, "enrolling {host}: {}", answer.text());
    answer.json()
}

#[test]
fn a_stolen_id_is_refused() -> anyhow::Result<()> {
    let fleet = Fleet::start()?;
    let (owner, thief) = (enrol(&fleet, "owner", 1)?, enrol(&fleet, "thief", 2)?);
    let report = |host: &Value| {
        json!({
            "version": PROTOCOL_VERSION, "host": host["host"], "incarnation": "01".repeat(16),
            "session": "03".repeat(16), "monotonic_ms": 1, "wall": "2026-11-22T12:00:00Z",
            "versions": [], "parts": [],
        })
    };
    let send = |host: &Value, token: &str| -> anyhow::Result<u16> {
        let token = format!("Bearer {token}");
        let headers = [("Content-Type", "application/json"), ("Authorization", token.as_str())];
        let body = report(host).to_string();
        Ok(http::post(fleet.address(), "/api/v1/report", &headers, body.as_bytes())?.status)
    };
    let token = |answer: &Value| answer["token"].as_str().unwrap_or_default().to_string();
    assert_eq!(send(&owner, &token(&owner))?, 200, "the owner itself was refused");
    for stolen in [token(&thief), String::new(), "x".repeat(100_000), SECRET.into()] {
        let status = send(&owner, &stolen)?;
        assert!(matches!(status, 400 | 401 | 403 | 431), "{status} for another's report");
    }
    Ok(())
}

#[test]
fn a_clone_is_told_and_both_are_known() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    let settings = AgentSettings {
        root: root.clone(),
        include: vec!["/etc/**".into()],
        spool_bytes: 64 * 1024 * 1024,
        host: "copy".into(),
        kamailio: None,
        probes: String::new(),
    };
    fleet.take(HOST)?.kill9()?;
    copy(&fleet.state(HOST), &fleet.state("copy"))?;
    fleet.start_agent(HOST)?;
    fleet.add_agent_with(settings)?;
    wait::until("the clone is noticed", PATIENCE, || Ok(event(&fleet, "cloned")?.then_some(())))?;
    // On plain http nobody is believed that a host is a copy; a person is.
    let copied = wait::until("the copy asks for a person", PATIENCE, || {
        let asks = |of: &&str| {
            let said = std::fs::read_to_string(fleet.log(of)).unwrap_or_default();
            said.contains("run `driftline-agent enrol`")
        };
        Ok([HOST, "copy"].into_iter().find(asks))
    })?;
    assert_eq!(hosts(&fleet)?, 1, "the copy took a name of its own by itself");
    fleet.take(copied)?.stop()?;
    std::fs::remove_dir_all(fleet.state(copied))?;
    fleet.start_agent(copied)?;
    wait::until("both are hosts of their own", PATIENCE, || {
        Ok((hosts(&fleet)? == 2).then_some(()))
    })?;
    std::fs::write(root.join("etc/app.conf"), "first = marker-both\n")?;
    fleet.wait_for(HOST, "marker-both")
}

#[test]
fn a_rolled_back_machine_keeps_its_name_and_goes_on() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    fleet.take(HOST)?.stop()?;
    copy(&fleet.state(HOST), &fleet.state("aside"))?;
    fleet.start_agent(HOST)?;
    for round in 0..3 {
        let marker = format!("marker-later-{round}");
        std::fs::write(root.join("etc/app.conf"), format!("first = {marker}\n"))?;
        fleet.wait_for(HOST, &marker)?;
    }
    fleet.take(HOST)?.kill9()?;
    copy(&fleet.state("aside"), &fleet.state(HOST))?;
    std::fs::write(root.join("etc/app.conf"), "first = marker-rolled\n")?;
    fleet.start_agent(HOST)?;
    fleet.wait_for(HOST, "marker-rolled")?;
    wait::until("the gap is marked", PATIENCE, || Ok(event(&fleet, "rolled_back")?.then_some(())))?;
    assert!(!event(&fleet, "cloned")?, "a rolled-back machine was taken for a clone");
    Ok(())
}

#[test]
fn a_restored_collector_learns_what_it_lost() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    fleet.take(COLLECTOR)?.stop()?;
    copy(&fleet.state(COLLECTOR), &fleet.state("yesterday"))?;
    fleet.start_collector()?;
    std::fs::write(root.join("etc/app.conf"), "first = marker-today\n")?;
    fleet.wait_for(HOST, "marker-today")?;
    fleet.take(COLLECTOR)?.kill9()?;
    copy(&fleet.state("yesterday"), &fleet.state(COLLECTOR))?;
    fleet.start_collector()?;
    fleet.wait_for(HOST, "marker-today")?;
    wait::until("the loss is marked", PATIENCE, || {
        Ok(event(&fleet, "store_restored")?.then_some(()))
    })?;
    assert!(!event(&fleet, "cloned")?, "after a restore the agent was taken for a clone");
    Ok(())
}
