//! What was agreed, through the real programs: baselines of groups, and single findings that are
//! accepted.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::process::run_any;
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::{Value, json};

/// A host with one file, the first snapshot arrived.
pub(super) fn host(fleet: &mut Fleet, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let root = fleet.folder().join("root");
    std::fs::create_dir_all(root.join("etc"))?;
    save(&root, text)?;
    fleet.add_agent(name, &root, &["/etc/**"])?;
    fleet.wait_for(name, "app.conf")?;
    Ok(root)
}

/// Writes the file; with a section it is read item by item.
pub(super) fn save(root: &Path, text: &str) -> anyhow::Result<()> {
    Ok(std::fs::write(root.join("etc/app.conf"), format!("[global]\n{text}"))?)
}

pub(super) fn post(fleet: &Fleet, path: &str, body: &Value) -> anyhow::Result<Value> {
    let json = [("Content-Type", "application/json")];
    let answer = http::post(fleet.address(), path, &json, &serde_json::to_vec(body)?)?;
    ensure!(answer.status < 300, "POST {path}: {} {}", answer.status, answer.text());
    answer.json()
}

/// The open drifts of a host, by item.
pub(super) fn open(fleet: &mut Fleet, name: &str) -> anyhow::Result<Vec<(String, Value)>> {
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

pub(super) fn keys(fleet: &mut Fleet, name: &str) -> anyhow::Result<Vec<String>> {
    Ok(open(fleet, name)?.into_iter().map(|(key, _)| key).collect())
}

pub(super) fn wait_for(fleet: &mut Fleet, name: &str, expected: &[&str]) -> anyhow::Result<()> {
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
    let page = fleet.page("/hosts/sbc2")?;
    for expected in ["of the group @edge</a>: approved by ", "the edge follows sbc1"] {
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
    let became = accept(&fleet, &number(0), &json!({ "reason": "opus is fine" }))?;
    assert_eq!(became["became"], "baseline");
    wait_for(&mut fleet, "pbx", &["limit", "port"])?;
    // By the form of its page, until an end: an exception. Another site's page cannot send it.
    let path = format!("/findings/{}", number(1));
    let form = b"act=accept&reason=a+trial&expires=2999-01-01";
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let foreign = [kind, ("Origin", "http://elsewhere.example")];
    assert_eq!(http::post(fleet.address(), &path, &foreign, form)?.status, 400);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(30 * 24);
    let until = soon.strftime("%Y-%m-%d");
    let word = etag_on_page(&fleet, &path)?;
    let form = format!("act=accept&reason=a+trial&expires={until}&etag={word}");
    let ours = [kind, ("Origin", "http://localhost")];
    assert_eq!(http::post(fleet.address(), &path, &ours, form.as_bytes())?.status, 303);
    let page = fleet.page(&path)?;
    assert!(page.contains("excepted by accept-") && page.contains("a trial (until "), "{page}");
    // What was accepted stays so when the file is written again.
    save(&root, "codec = opus\nport = 5061\nlimit = 4\nextra = 1\n")?;
    wait_for(&mut fleet, "pbx", &["extra", "limit", "port"])
}

/// The tag of a finding as it stands.
fn etag(fleet: &Fleet, number: &str) -> anyhow::Result<Value> {
    let page = http::get_ok(fleet.address(), &format!("/api/v1/findings/{number}"))?.json()?;
    ensure!(page["etag"].is_string(), "{page} has no tag");
    Ok(page["etag"].clone())
}

/// The same as the form of its page has it.
pub(super) fn etag_on_page(fleet: &Fleet, path: &str) -> anyhow::Result<String> {
    let page = fleet.page(path)?;
    let word = page.split_once("name=\"etag\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
    Ok(word.with_context(|| format!("no tag is on {page}"))?.0.to_owned())
}

/// Reads a finding and accepts what it has.
fn accept(fleet: &Fleet, number: &str, body: &Value) -> anyhow::Result<Value> {
    let mut body = body.clone();
    body["etag"] = etag(fleet, number)?;
    post(fleet, &format!("/api/v1/findings/{number}/accept"), &body)
}

/// A host whose codec is another than was agreed.
pub(super) fn drifted() -> anyhow::Result<(Fleet, PathBuf)> {
    let mut fleet = Fleet::start()?;
    let root = host(&mut fleet, "pbx", "codec = alaw\n")?;
    post(&fleet, "/api/v1/hosts/pbx/baseline", &json!({ "reason": "as built" }))?;
    save(&root, "codec = opus\n")?;
    wait_for(&mut fleet, "pbx", &["codec"])?;
    Ok((fleet, root))
}

#[test]
fn who_accepts_a_finding_accepts_what_was_read_of_it() -> anyhow::Result<()> {
    let (mut fleet, root) = drifted()?;
    let number = open(&mut fleet, "pbx")?[0].1["number"].to_string();
    let path = format!("/findings/{number}");
    let (read, on_page) = (etag(&fleet, &number)?, etag_on_page(&fleet, &path)?);
    assert_eq!(read.as_str(), Some(on_page.as_str()));
    // Somebody reads it; the host moves on before they press the button.
    save(&root, "codec = gsm\n")?;
    fleet.wait_for("pbx", "gsm")?;
    let body = json!({ "reason": "opus is fine", "etag": read });
    let json = [("Content-Type", "application/json")];
    let url = format!("/api/v1/findings/{number}/accept");
    let refused = http::post(fleet.address(), &url, &json, &serde_json::to_vec(&body)?)?;
    ensure!(refused.status == 409, "{}: {}", refused.status, refused.text());
    assert!(refused.text().contains("read it again"), "{}", refused.text());
    let ours =
        [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", "http://localhost")];
    let form = format!("act=accept&reason=fine&etag={on_page}");
    let refused = http::post(fleet.address(), &path, &ours, form.as_bytes())?;
    ensure!(refused.status == 409, "{}: {}", refused.status, refused.text());
    assert!(refused.text().contains(&format!("href=\"{path}\"")), "{}", refused.text());
    for nothing in [json!({ "reason": "fine" }), json!({ "reason": "fine", "etag": "" })] {
        let refused = http::post(fleet.address(), &url, &json, &serde_json::to_vec(&nothing)?)?;
        assert_eq!(refused.status, 400, "{}", refused.text());
    }
    assert_eq!(keys(&mut fleet, "pbx")?, ["codec"], "nothing was accepted");
    // The command reads it for whoever asks; where nobody sits it says what to run.
    let old = ["finding", "accept", &number, "--reason", "x", "--etag", &on_page];
    assert!(driftline(&fleet, &old).is_err());
    let accept = ["finding", "accept", &number, "--reason", "gsm it is"];
    let said = driftline(&fleet, &accept).unwrap_err().to_string();
    assert!(said.contains("should be alaw, is gsm"), "{said}");
    let (_, word) = said.split_once(" --etag ").with_context(|| said.clone())?;
    let word: String = word.chars().take_while(char::is_ascii_hexdigit).collect();
    assert!(said.contains(&format!("accept {number} --reason 'gsm it is' --etag {word}")));
    let listed = open(&mut fleet, "pbx")?.remove(0).1;
    assert_eq!(listed["etag"].as_str(), Some(word.as_str()), "the list has it too");
    assert_eq!(keys(&mut fleet, "pbx")?, ["codec"], "nothing was accepted yet");
    driftline(&fleet, &[&accept[..], &["--etag", &word]].concat())?;
    wait_for(&mut fleet, "pbx", &[])?;
    save(&root, "codec = opus\n")?;
    wait_for(&mut fleet, "pbx", &["codec"])
}

#[test]
fn an_accepted_exception_permits_what_was_read_and_nothing_else() -> anyhow::Result<()> {
    let (mut fleet, root) = drifted()?;
    let number = open(&mut fleet, "pbx")?[0].1["number"].to_string();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let body = json!({ "reason": "a trial of opus", "expires": soon.to_string() });
    assert_eq!(accept(&fleet, &number, &body)?["became"], "exception");
    let permitted = |fleet: &mut Fleet| -> anyhow::Result<bool> {
        let found = open(fleet, "pbx")?;
        Ok(found.iter().any(|(_, row)| row["excepted_by"].is_string()))
    };
    assert!(permitted(&mut fleet)?);
    let page = fleet.page("/exceptions")?;
    assert!(page.contains("as it was when it was accepted"), "{page}");
    // Another value is another matter, and one that is not there at all too.
    for (text, value) in [("codec = gsm\n", Some("gsm")), ("other = 1\n", None)] {
        save(&root, text)?;
        wait::until("the finding has the other value", PATIENCE, || {
            let found = open(&mut fleet, "pbx")?;
            let row = found.iter().find(|(key, _)| key == "codec").map(|(_, row)| row);
            let now = row.map(|row| row["current"]["value"].to_string());
            let is = now.is_some_and(|now| match value {
                Some(value) => now.contains(value),
                None => now == "null",
            });
            Ok(is.then_some(()))
        })?;
        assert!(!permitted(&mut fleet)?, "{text} is permitted");
        wait::until("the metrics tell of it", PATIENCE, || {
            let metrics = http::get_ok(fleet.address(), "/metrics")?.text();
            let open = metrics.lines().any(|line| {
                line.starts_with("driftline_findings_excepted") && !line.ends_with(" 0")
            });
            Ok((!open).then_some(()))
        })?;
    }
    save(&root, "codec = opus\n")?;
    wait::until("what was accepted is permitted again", PATIENCE, || {
        Ok(permitted(&mut fleet)?.then_some(()))
    })
}

#[test]
fn a_baseline_that_was_removed_binds_nobody_and_says_who_did_it() -> anyhow::Result<()> {
    let mut fleet = Fleet::start_with("[[group]]\nname = 'edge'\nhost = 'sbc*'\n")?;
    let root = host(&mut fleet, "sbc1", "codec = alaw\n")?;
    let agreed = json!({ "reason": "the edge follows sbc1", "from": "sbc1" });
    post(&fleet, "/api/v1/baselines/@edge", &agreed)?;
    save(&root, "codec = opus\n")?;
    wait_for(&mut fleet, "sbc1", &["codec"])?;
    let number = open(&mut fleet, "sbc1")?[0].1["number"].clone();
    let refused = |path: &str| -> anyhow::Result<u16> {
        let json = [("Content-Type", "application/json")];
        Ok(http::post(fleet.address(), path, &json, br#"{"reason": "x"}"#)?.status)
    };
    assert_eq!(refused("/api/v1/baselines/sbc1/remove")?, 400, "a host's own");
    assert_eq!(refused("/api/v1/baselines/@core/remove")?, 404, "nothing was agreed");
    // By the command; a page with a form has the same.
    let page = fleet.page("/baselines/@edge")?;
    assert!(page.contains("Remove the baseline"), "{page}");
    driftline(&fleet, &["baseline", "remove", "@edge", "--reason", "the trial is over"])?;
    wait_for(&mut fleet, "sbc1", &[])?;
    let page = fleet.page(&format!("/findings/{number}"))?;
    assert!(page.contains("withdrawn"), "{page}");
    // A new edit opens nothing, also after a restart.
    fleet.take(programs::COLLECTOR)?.stop()?;
    fleet.start_again(programs::COLLECTOR)?;
    save(&root, "codec = g722\n")?;
    fleet.wait_for("sbc1", "g722")?;
    assert!(keys(&mut fleet, "sbc1")?.is_empty());
    let list = http::get_ok(fleet.address(), "/api/v1/baselines")?.json()?;
    assert_eq!(list["baselines"], json!([]), "it has no baseline any more");
    let page = fleet.page("/baselines/@edge")?;
    for expected in ["It was removed", "the trial is over", "the edge follows sbc1"] {
        assert!(page.contains(expected), "{expected} is not on the page: {page}");
    }
    let events = http::get_ok(fleet.address(), "/api/v1/events")?.text();
    assert!(
        events.contains("loopback removed the baseline of @edge: the trial is over"),
        "{events}"
    );
    // Whoever agrees to something anew begins with that.
    post(&fleet, "/api/v1/baselines/@edge", &agreed)?;
    save(&root, "codec = gsm\n")?;
    wait_for(&mut fleet, "sbc1", &["codec"])?;
    // By the form of its page: another site's page cannot send it, and it needs a reason.
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let (foreign, ours) = (("Origin", "http://elsewhere.example"), ("Origin", "http://localhost"));
    let (path, address) = ("/baselines/@edge", fleet.address());
    let send = |origin, form: &str| http::post(address, path, &[kind, origin], form.as_bytes());
    let form = "act=remove&reason=by+the+form";
    assert_eq!(send(foreign, form)?.status, 400);
    for wrong in ["act=remove&reason=", "act=remove", "reason=by+the+form", "act=keep&reason=x"] {
        assert_eq!(send(ours, wrong)?.status, 400, "{wrong}");
    }
    assert!(fleet.page(path)?.contains("Remove the baseline"), "none of these removed it");
    assert_eq!(send(ours, form)?.status, 303);
    wait_for(&mut fleet, "sbc1", &[])?;
    let page = fleet.page(path)?;
    assert!(page.contains("It was removed") && page.contains("by the form"), "{page}");
    let events = http::get_ok(fleet.address(), "/api/v1/events")?.text();
    assert!(events.contains("loopback removed the baseline of @edge: by the form"), "{events}");
    assert_eq!(send(ours, form)?.status, 404, "there is nothing left to remove");
    Ok(())
}

/// Runs the admin's command against the fleet; what it says.
pub(super) fn driftline(fleet: &Fleet, arguments: &[&str]) -> anyhow::Result<String> {
    let program = programs::program("driftline")?.display().to_string();
    let collector = format!("http://{}", fleet.address());
    let arguments: Vec<&str> =
        arguments.iter().copied().chain(["--collector", collector.as_str()]).collect();
    let output = run_any(&program, &arguments)?;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    ensure!(output.status.success(), "{arguments:?}: {said}");
    Ok(said)
}

#[test]
fn who_accepts_a_new_file_reads_what_it_says() -> anyhow::Result<()> {
    let mut fleet = Fleet::start()?;
    let root = host(&mut fleet, "pbx", "codec = alaw\n")?;
    post(&fleet, "/api/v1/hosts/pbx/baseline", &json!({ "reason": "as built" }))?;
    let items: String = (0..30).map(|n| format!("key{n:02} = value-{n}\n")).collect();
    std::fs::write(root.join("etc/new.conf"), format!("[global]\n{items}"))?;
    wait_for(&mut fleet, "pbx", &["the whole part"])?;
    let number = open(&mut fleet, "pbx")?[0].1["number"].to_string();
    let one = http::get_ok(fleet.address(), &format!("/api/v1/findings/{number}"))?.json()?;
    let items = one["says"]["items"].as_array().map(Vec::len);
    assert_eq!(items, Some(20), "{one}");
    assert!(one["says"]["more"].as_u64() >= Some(10), "{one}");
    assert!(one["says"].to_string().contains("value-3"), "{one}");
    let page = fleet.page(&format!("/findings/{number}"))?;
    let accept = ["finding", "accept", &number, "--reason", "it is new"];
    let said = driftline(&fleet, &accept).unwrap_err().to_string();
    for text in [page, said] {
        for expected in ["key03", "value-3", "more items"] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
    }
    Ok(())
}

#[test]
fn several_findings_are_accepted_each_by_itself() -> anyhow::Result<()> {
    let mut fleet = Fleet::start()?;
    let root = host(&mut fleet, "pbx", "codec = alaw\nlimit = three\nport = 5060\n")?;
    post(&fleet, "/api/v1/hosts/pbx/baseline", &json!({ "reason": "as built" }))?;
    save(&root, "codec = opus\nlimit = four\nport = 5061\n")?;
    wait_for(&mut fleet, "pbx", &["codec", "limit", "port"])?;
    let found = open(&mut fleet, "pbx")?;
    let numbers: Vec<String> = found.iter().map(|(_, row)| row["number"].to_string()).collect();
    let [codec, limit, port] = [0, 1, 2].map(|place: usize| numbers[place].as_str());
    // Where nobody can be asked it reads all of them and says what to run.
    let accept = ["finding", "accept", codec, limit, port, "900-901", "--reason", "the new trunk"];
    let said = driftline(&fleet, &accept).unwrap_err().to_string();
    for expected in [
        "should be alaw, is opus",
        "should be 5060, is 5061",
        "finding 900 was not accepted: there is no finding 900",
        "none of these 3 findings was accepted",
    ] {
        assert!(said.contains(expected), "{expected} is not in {said}");
    }
    let (_, tags) = said.split_once(" --etag ").with_context(|| said.clone())?;
    let tags = tags.split_whitespace().next().unwrap_or_default();
    assert_eq!(keys(&mut fleet, "pbx")?, ["codec", "limit", "port"], "nothing is accepted yet");
    // One moves on: the others are accepted, and the tag of one is of no other.
    save(&root, "codec = opus\nlimit = fifty\nport = 5061\n")?;
    fleet.wait_for("pbx", "fifty")?;
    let accept = ["finding", "accept", codec, limit, port, "--reason", "the new trunk", "--etag"];
    let said = driftline(&fleet, &[&accept[..], &[tags]].concat()).unwrap_err().to_string();
    let not = format!("finding {limit} was not accepted: finding {limit} is not what was read");
    let last = format!("accepted 2 of 3: {codec}, {port}; not accepted: {limit}");
    assert!(said.contains(&not) && said.contains(&last), "{said}");
    wait_for(&mut fleet, "pbx", &["limit"])?;
    // Each is an act of its own, in the log of its finding.
    for (number, acts) in [(codec, 1), (limit, 0), (port, 1)] {
        let log = driftline(&fleet, &["finding", "log", number, "--output", "json"])?;
        assert_eq!(log.matches("\"accept\"").count(), acts, "{number}: {log}");
    }
    let one = etag(&fleet, limit)?.as_str().unwrap_or_default().to_owned();
    let accept = ["finding", "accept", limit, "--reason", "x", "--output", "ndjson", "--etag"];
    let said = driftline(&fleet, &[&accept[..], &[&one]].concat())?;
    assert!(said.contains("\"accepted\":true"), "{said}");
    wait_for(&mut fleet, "pbx", &[])
}

#[test]
fn who_compares_a_host_approves_just_that() -> anyhow::Result<()> {
    let (mut fleet, root) = drifted()?;
    let said = driftline(&fleet, &["baseline", "compare", "pbx"]).unwrap_err().to_string();
    let (_, hint) = said.split_once("`driftline ").with_context(|| said.clone())?;
    let (command, _) = hint.split_once(" --reason").with_context(|| said.clone())?;
    let mut approve: Vec<&str> = command.split(' ').collect();
    approve.extend(["--reason", "opus is fine"]);
    // The host moves on meanwhile; what was read is opus all the same.
    save(&root, "codec = gsm\n")?;
    fleet.wait_for("pbx", "gsm")?;
    let etag = approve.iter().position(|word| *word == "--etag").with_context(|| said.clone())?;
    let mut other = approve.clone();
    other[etag + 1] = "0123456789abcdef0123456789abcdef";
    let refused = driftline(&fleet, &other).unwrap_err().to_string();
    assert!(refused.contains("is not what was read any more"), "{refused}");
    driftline(&fleet, &approve)?;
    let found = open(&mut fleet, "pbx")?;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1["desired"].to_string().contains("opus"), "{found:?}");
    Ok(())
}
