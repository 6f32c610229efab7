//! What was agreed, through the real programs: baselines of groups, and single findings that are
//! accepted.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::{Value, json};

/// A host with one file, the first snapshot arrived.
fn host(fleet: &mut Fleet, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let root = fleet.folder().join("root");
    std::fs::create_dir_all(root.join("etc"))?;
    save(&root, text)?;
    fleet.add_agent(name, &root, &["/etc/**"])?;
    fleet.wait_for(name, "app.conf")?;
    Ok(root)
}

/// Writes the file; with a section it is read item by item.
fn save(root: &Path, text: &str) -> anyhow::Result<()> {
    Ok(std::fs::write(root.join("etc/app.conf"), format!("[global]\n{text}"))?)
}

fn post(fleet: &Fleet, path: &str, body: &Value) -> anyhow::Result<Value> {
    let json = [("Content-Type", "application/json")];
    let answer = http::post(fleet.address(), path, &json, &serde_json::to_vec(body)?)?;
    ensure!(answer.status < 300, "POST {path}: {} {}", answer.status, answer.text());
    answer.json()
}

/// The open drifts of a host, by item.
fn open(fleet: &mut Fleet, name: &str) -> anyhow::Result<Vec<(String, Value)>> {
    fleet.check_alive()?;
    let page = format!("/api/v1/findings?host={name}&kind=drift&open=true");
    let page = http::get_ok(fleet.address(), &page)?.json()?;
    let rows = page["findings"].as_array().cloned().unwrap_or_default();
    let mut rows: Vec<(String, Value)> = rows
        .into_iter()
        .map(|row| {
            let key = row["id"]["key"].as_str().unwrap_or("the whole part");
            (key.trim_start_matches("global/").to_owned(), row)
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(rows)
}

fn keys(fleet: &mut Fleet, name: &str) -> anyhow::Result<Vec<String>> {
    Ok(open(fleet, name)?.into_iter().map(|(key, _)| key).collect())
}

fn wait_for(fleet: &mut Fleet, name: &str, expected: &[&str]) -> anyhow::Result<()> {
    let mut last = Vec::new();
    let seen = wait::until(&format!("{expected:?} drift on {name}"), PATIENCE, || {
        last = keys(fleet, name)?;
        Ok((last == expected).then_some(()))
    });
    ensure!(seen.is_ok(), "{name} drifts in {last:?}, expected {expected:?}");
    Ok(())
}

#[test]
fn a_new_host_is_held_to_the_baseline_of_its_group_at_once() -> anyhow::Result<()> {
    let mut fleet = Fleet::start_with("[[group]]\nname = 'edge'\nhost = 'sbc*'\n")?;
    // Both are told of one place, one after the other, since a part is named by its path.
    let root = host(&mut fleet, "sbc1", "codec = alaw\naddress = 10.0.0.1\n")?;
    drop(fleet.take("sbc1")?);
    let agreed = json!({
        "reason": "the edge follows sbc1", "from": "sbc1", "source": "files",
        "part": "*/app.conf", "except": [{ "key": "*/address" }],
    });
    post(&fleet, "/api/v1/baselines/@edge", &agreed)?;
    // Nobody has approved anything of the second, which comes later.
    save(&root, "codec = ulaw\naddress = 10.0.0.2\n")?;
    fleet.add_agent("sbc2", &root, &["/etc/**"])?;
    wait_for(&mut fleet, "sbc2", &["codec"])?;
    assert!(keys(&mut fleet, "sbc1")?.is_empty());
    let page = fleet.page("/baselines/@edge")?;
    for expected in ["the edge follows sbc1", "/address", "ulaw", "/hosts/sbc2"] {
        assert!(page.contains(expected), "{expected} is not on the page: {page}");
    }
    // The state moves back: a corrective change.
    save(&root, "codec = alaw\naddress = 10.0.0.2\n")?;
    wait_for(&mut fleet, "sbc2", &[])?;
    // The baseline moves: an intentional one. The second has it already, the first is behind.
    save(&root, "codec = opus\naddress = 10.0.0.2\n")?;
    wait_for(&mut fleet, "sbc2", &["codec"])?;
    let number = open(&mut fleet, "sbc2")?[0].1["number"].clone();
    post(&fleet, "/api/v1/baselines/@edge", &json!({ "reason": "opus trial", "from": "sbc2" }))?;
    wait_for(&mut fleet, "sbc2", &[])?;
    wait_for(&mut fleet, "sbc1", &["codec"])?;
    let page = fleet.page(&format!("/findings/{number}"))?;
    assert!(page.contains("the baseline moved to what the host has"), "{page}");
    let behind = open(&mut fleet, "sbc1")?[0].1["number"].clone();
    let page = fleet.page(&format!("/findings/{behind}"))?;
    assert!(page.contains("the baseline of @edge moved, and this host has not followed"), "{page}");
    Ok(())
}

#[test]
fn who_accepts_one_item_accepts_nothing_else() -> anyhow::Result<()> {
    let mut fleet = Fleet::start()?;
    let root = host(&mut fleet, "pbx", "codec = alaw\nport = 5060\nlimit = 3\n")?;
    post(&fleet, "/api/v1/hosts/pbx/baseline", &json!({ "reason": "as built" }))?;
    save(&root, "codec = opus\nport = 5061\nlimit = 4\n")?;
    wait_for(&mut fleet, "pbx", &["codec", "limit", "port"])?;
    let found = open(&mut fleet, "pbx")?;
    let number = |index: usize| found[index].1["number"].to_string();
    let accepted = format!("/api/v1/findings/{}/accept", number(0));
    let became = post(&fleet, &accepted, &json!({ "reason": "opus is fine" }))?;
    assert_eq!(became["became"], "baseline");
    wait_for(&mut fleet, "pbx", &["limit", "port"])?;
    // By the form of its page, until an end: an exception. Another site's page cannot send it.
    let path = format!("/findings/{}", number(1));
    let form = b"act=accept&reason=a+trial&expires=2999-01-01";
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let foreign = [kind, ("Origin", "http://elsewhere.example")];
    assert_eq!(http::post(fleet.address(), &path, &foreign, form)?.status, 400);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(30 * 24);
    let form = format!("act=accept&reason=a+trial&expires={}", soon.strftime("%Y-%m-%d"));
    let ours = [kind, ("Origin", "http://localhost")];
    assert_eq!(http::post(fleet.address(), &path, &ours, form.as_bytes())?.status, 303);
    let page = fleet.page(&path)?;
    assert!(page.contains("excepted by accept-") && page.contains("a trial (until "), "{page}");
    // What was accepted stays so when the file is written again.
    save(&root, "codec = opus\nport = 5061\nlimit = 4\nextra = 1\n")?;
    wait_for(&mut fleet, "pbx", &["extra", "limit", "port"])
}
