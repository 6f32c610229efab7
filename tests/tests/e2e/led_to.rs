//! What a rollout or a change request led to is agreed to through the real programs, and nothing
//! that came after it.

use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::json;

use super::agreed::{driftline, host, keys, open, post, save, wait_for};

#[test]
fn what_a_rollout_or_a_request_led_to_is_agreed_alone() -> anyhow::Result<()> {
    let mut fleet = Fleet::start_with("[[change_source]]\nname = 'itsm'\n")?;
    let names = ["sbc1", "sbc2"];
    // One host after the other at one place, since a part is named by its path.
    let root = fleet.folder().join("root");
    std::fs::create_dir_all(root.join("etc"))?;
    save(&root, "codec = alaw\nport = 5060\n")?;
    for name in names {
        fleet.add_agent(name, &root, &["/etc/**"])?;
        fleet.wait_for(name, "app.conf")?;
        post(&fleet, &format!("/api/v1/hosts/{name}/baseline"), &json!({ "reason": "as built" }))?;
    }
    let from = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(5);
    let request = json!({
        "id": "CHG7", "approval": "requested", "start": from.to_string(),
        "end": (from + jiff::SignedDuration::from_mins(60)).to_string(), "hosts": ["sbc*"],
        "keys": ["*codec*"],
    });
    post(&fleet, "/api/v1/change-requests?source=itsm", &request)?;
    // One rollout of two changes on both hosts; the request speaks of one of them.
    save(&root, "codec = opus\nport = 5061\n")?;
    for name in names {
        wait_for(&mut fleet, name, &["codec", "port"])?;
    }
    wait::until("the request is what led to it", PATIENCE, || {
        let found = open(&mut fleet, "sbc2")?;
        let led = found.iter().filter(|(_, row)| row.to_string().contains("itsm/CHG7")).count();
        Ok((led > 0).then_some(()))
    })?;
    let said = driftline(
        &fleet,
        &["baseline", "approve", "--request", "itsm/CHG7", "--reason", "the board says yes"],
    )?;
    assert!(said.contains("2 open drifts are what was agreed now"), "{said}");
    for name in names {
        wait_for(&mut fleet, name, &["port"])?;
    }
    let rollouts = http::get_ok(fleet.address(), "/api/v1/rollouts")?.json()?;
    let number = rollouts["rollouts"][0]["number"].to_string();
    let said = driftline(
        &fleet,
        &["baseline", "approve", "--rollout", &number, "--reason", "it went well"],
    )?;
    assert!(said.contains("2 open drifts are what was agreed now"), "{said}");
    for name in names {
        wait_for(&mut fleet, name, &[])?;
    }
    let history = driftline(&fleet, &["baseline", "history", "sbc2"])?;
    for expected in ["it went well", "the board says yes", "as built", "change request itsm/CHG7"] {
        assert!(history.contains(expected), "{expected}: {history}");
    }
    for line in history.lines().chain(driftline(&fleet, &["baseline", "list"])?.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    // Of nothing there is nothing to agree to.
    let none = ["baseline", "approve", "--rollout", &number, "--reason", "again"];
    assert!(driftline(&fleet, &none).is_err());
    Ok(())
}

/// A request for the codec of the pbx, from five minutes ago to `end`.
fn ask(fleet: &Fleet, end: jiff::Timestamp) -> anyhow::Result<()> {
    let from = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(5);
    let request = json!({
        "id": "CHG7", "approval": "approved", "start": from.to_string(), "end": end.to_string(),
        "hosts": ["pbx"], "keys": ["*codec*"],
    });
    post(fleet, "/api/v1/change-requests?source=itsm", &request)?;
    Ok(())
}

#[test]
fn who_approves_a_request_approves_nothing_that_came_after_it() -> anyhow::Result<()> {
    let exact = "[[change_source]]\nname = 'itsm'\n\
        [classification]\nslack_minutes = 0\nlate_hours = 0\n";
    let mut fleet = Fleet::start_with(exact)?;
    let root = host(&mut fleet, "pbx", "codec = alaw\n")?;
    post(&fleet, "/api/v1/hosts/pbx/baseline", &json!({ "reason": "as built" }))?;
    ask(&fleet, jiff::Timestamp::now() + jiff::SignedDuration::from_mins(60))?;
    save(&root, "codec = opus\n")?;
    let class = |fleet: &mut Fleet, class: &str| {
        wait::until(&format!("the drift is {class}"), PATIENCE, || {
            let found = open(fleet, "pbx")?;
            Ok(found.iter().any(|(_, row)| row["class"] == class).then_some(()))
        })
    };
    class(&mut fleet, "expected")?;
    // The request is over in a moment, and somebody edits the same item once more.
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    ask(&fleet, end)?;
    wait::until("the request is over", PATIENCE, || {
        Ok((jiff::Timestamp::now() > end).then_some(()))
    })?;
    save(&root, "codec = gsm\n")?;
    class(&mut fleet, "unauthorised")?;
    let approve = ["baseline", "approve", "--request", "itsm/CHG7", "--reason", "as requested"];
    let said = driftline(&fleet, &approve).unwrap_err().to_string();
    assert!(said.contains("moved on since"), "{said}");
    assert_eq!(keys(&mut fleet, "pbx")?, ["codec"], "nothing was accepted");
    Ok(())
}

#[test]
fn who_approves_a_rollout_approves_nothing_that_came_after_it() -> anyhow::Result<()> {
    let mut fleet = Fleet::start()?;
    let root = fleet.folder().join("root");
    std::fs::create_dir_all(root.join("etc"))?;
    save(&root, "codec = alaw\n")?;
    for name in ["sbc1", "sbc2"] {
        fleet.add_agent(name, &root, &["/etc/**"])?;
        fleet.wait_for(name, "app.conf")?;
        post(&fleet, &format!("/api/v1/hosts/{name}/baseline"), &json!({ "reason": "as built" }))?;
    }
    save(&root, "codec = opus\n")?;
    for name in ["sbc1", "sbc2"] {
        wait_for(&mut fleet, name, &["codec"])?;
    }
    // A moment later somebody edits the second by hand.
    drop(fleet.take("sbc1")?);
    save(&root, "codec = gsm\n")?;
    fleet.wait_for("sbc2", "gsm")?;
    let rollouts = http::get_ok(fleet.address(), "/api/v1/rollouts")?.json()?;
    let number = rollouts["rollouts"][0]["number"].to_string();
    let approve = ["baseline", "approve", "--rollout", &number, "--reason", "opus everywhere"];
    let said = driftline(&fleet, &approve)?;
    assert!(said.contains("1 open drift is what was agreed now"), "{said}");
    assert!(said.contains("1 moved on since and was not accepted"), "{said}");
    wait_for(&mut fleet, "sbc1", &[])?;
    assert_eq!(keys(&mut fleet, "sbc2")?, ["codec"], "nobody has approved gsm");
    Ok(())
}
