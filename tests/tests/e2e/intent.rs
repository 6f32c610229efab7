//! What was meant by a change, through the real programs: requests by folder, webhook and command,
//! windows, blackouts, and noise.

use std::path::Path;

use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::process::run_any;
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{HOST, small_tree};

fn fleet(config: &str) -> anyhow::Result<(Fleet, std::path::PathBuf)> {
    let mut fleet = Fleet::start_with(config)?;
    let root = small_tree(fleet.folder())?;
    fleet.add_agent(HOST, &root, &["/etc/**"])?;
    fleet.wait_for(HOST, "marker-first")?;
    Ok((fleet, root))
}

fn save(root: &Path, value: &str) -> anyhow::Result<()> {
    Ok(std::fs::write(root.join("etc/app.conf"), format!("first = {value}\n"))?)
}

/// The newest change of an item with its class, once that is `class`.
fn expect(fleet: &mut Fleet, value: &str, class: &str) -> anyhow::Result<Value> {
    wait::until(&format!("{value} is {class}"), PATIENCE, || {
        fleet.check_alive()?;
        let page = format!("/api/v1/changes?host={HOST}&kind=modified&limit=20");
        let page = http::get_ok(fleet.address(), &page)?.json()?;
        let changes = page["changes"].as_array().cloned().unwrap_or_default();
        let of = |change: &Value| change["change"]["after"].to_string().contains(value);
        let found = changes.into_iter().find(of);
        Ok(found.filter(|change| change["classified"]["class"] == class))
    })
}

fn request(id: &str, approval: &str, (from, to): (i64, i64)) -> Value {
    let at = |minutes: i64| (Timestamp::now() + SignedDuration::from_mins(minutes)).to_string();
    json!({ "id": id, "approval": approval, "start": at(from), "end": at(to), "hosts": [HOST] })
}

fn post(fleet: &Fleet, body: &Value) -> anyhow::Result<()> {
    let json = [("Content-Type", "application/json")];
    let path = "/api/v1/change-requests?source=itsm";
    let answer = http::post(fleet.address(), path, &json, &serde_json::to_vec(body)?)?;
    anyhow::ensure!(answer.status == 200, "{}", answer.text());
    Ok(())
}

#[test]
fn a_request_nobody_approved_expects_nothing() -> anyhow::Result<()> {
    let (mut fleet, root) = fleet("[[change_source]]\nname = 'itsm'\n")?;
    save(&root, "marker-second")?;
    expect(&mut fleet, "marker-second", "unauthorised")?;
    post(&fleet, &request("CHG1", "requested", (-30, 30)))?;
    expect(&mut fleet, "marker-second", "unapproved")?;
    // Approved afterwards, what it covers is judged again, and what it was stays to be read.
    post(&fleet, &request("CHG1", "approved", (-30, 30)))?;
    let change = expect(&mut fleet, "marker-second", "expected")?;
    let classified = &change["classified"];
    assert_eq!(classified["name"], "itsm/CHG1");
    assert_eq!(classified["earlier"][0]["class"], "unapproved");
    assert_eq!(classified["earlier"][1]["class"], "unauthorised");
    let page = http::get_ok(fleet.address(), &format!("/changes/{}", change["id"]))?.text();
    assert!(page.contains("itsm/CHG1") && page.contains("Judged otherwise before"), "{page}");
    let expected = fleet.metric("driftline_changes_classified_total", &["class=\"expected\""])?;
    assert!((expected - 1.0).abs() < f64::EPSILON, "{expected}");
    Ok(())
}

/// What was meant for one host, under a name nobody reads, must not approve the same on all.
#[test]
fn a_request_that_lost_its_hosts_covers_nothing() -> anyhow::Result<()> {
    let config = "[[change_source]]\nname = 'itsm'\ncolumns = { hosts = 'cmdb_ci' }\n";
    let (mut fleet, root) = fleet(config)?;
    let lost = |name: &str, host: &str| {
        let mut body = request("CHG1", "approved", (-30, 30));
        body.as_object_mut().map(|members| members.remove("hosts"));
        body["parts"] = json!([root.join("etc/app.conf").display().to_string()]);
        body[name] = json!([host]);
        body
    };
    let mut emptied = lost("cmdb_cl", "another");
    emptied["cmdb_ci"] = json!([]);
    post(&fleet, &emptied)?;
    let sources = http::get_ok(fleet.address(), "/api/v1/change-requests/sources")?.text();
    assert!(
        sources.contains("1 of 1 requests refused") && sources.contains("cmdb_cl"),
        "{sources}"
    );
    save(&root, "marker-second")?;
    expect(&mut fleet, "marker-second", "unauthorised")?;
    // Under our own name the one that was meant is covered, and with a star every one.
    post(&fleet, &lost("Hosts", HOST))?;
    expect(&mut fleet, "marker-second", "expected")?;
    post(&fleet, &lost("cmdb_ci", "another"))?;
    expect(&mut fleet, "marker-second", "unauthorised")?;
    post(&fleet, &lost("cmdb_ci", "*"))?;
    expect(&mut fleet, "marker-second", "expected")?;
    Ok(())
}

/// What was meant for one file, under a name nobody reads, must not approve all of its host.
#[test]
fn a_request_that_lost_its_files_covers_nothing() -> anyhow::Result<()> {
    let config = "[[change_source]]\nname = 'itsm'\ncolumns = { parts = 'u_files' }\n";
    let (mut fleet, root) = fleet(config)?;
    let of = |name: &str, files: Value| {
        let mut body = request("CHG1", "approved", (-30, 30));
        body[name] = files;
        body
    };
    post(&fleet, &of("u_flies", json!(["/etc/another.conf"])))?;
    let sources = http::get_ok(fleet.address(), "/api/v1/change-requests/sources")?.text();
    assert!(sources.contains("u_files, that is parts: is not there"), "{sources}");
    assert!(sources.contains("\"records\":1") && sources.contains("u_flies"), "{sources}");
    save(&root, "marker-second")?;
    expect(&mut fleet, "marker-second", "unauthorised")?;
    // That it names no file can be said.
    post(&fleet, &of("u_files", json!([])))?;
    expect(&mut fleet, "marker-second", "expected")?;
    Ok(())
}

#[test]
fn a_request_in_a_folder_is_read_and_its_mistakes_are_told() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let config = format!(
        "[[change_source]]\nname = 'itsm'\nfolder = '{}'\ncolumns = {{ id = 'number' }}\n",
        folder.path().display()
    );
    let at = |minutes: i64| (Timestamp::now() + SignedDuration::from_mins(minutes)).to_string();
    let rows = format!(
        "number,approval,start,end,hosts\nCHG7,approved,{},{},{HOST}\nCHG8,approved,soon,,x\n",
        at(-60),
        at(60)
    );
    std::fs::write(folder.path().join("export.csv"), rows)?;
    let (mut fleet, root) = fleet(&config)?;
    save(&root, "marker-second")?;
    let change = expect(&mut fleet, "marker-second", "expected")?;
    assert_eq!(change["classified"]["name"], "itsm/CHG7");
    let sources = http::get_ok(fleet.address(), "/api/v1/change-requests/sources")?.json()?;
    let problem = sources["sources"][0]["problem"].as_str().unwrap_or_default().to_owned();
    assert!(problem.contains("export.csv: 1 of 2 requests refused; line 3"), "{sources}");
    Ok(())
}

#[test]
fn who_permits_a_change_or_makes_a_token_is_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let config = format!(
        "[[change_source]]\nname = 'itsm'\n[[change_source]]\nname = 'export'\nfolder = '{}'\n",
        folder.path().display()
    );
    let mut fleet = Fleet::start_with(&config)?;
    post(&fleet, &request("CHG1", "requested", (-30, 30)))?;
    let approved = request("CHG1", "approved", (-30, 30));
    post(&fleet, &approved)?;
    post(&fleet, &approved)?;
    let at = |minutes: i64| (Timestamp::now() + SignedDuration::from_mins(minutes)).to_string();
    let rows =
        format!("id,approval,start,end,hosts\nCHG7,approved,{},{},{HOST}\n", at(-60), at(60));
    std::fs::write(folder.path().join("export.csv"), rows)?;
    // On the collector's own machine, while it runs.
    let program = programs::program(programs::COLLECTOR)?.display().to_string();
    let file = fleet.folder().join("collector.toml").display().to_string();
    let create = ["create", "grafana", "--scope", "metrics"];
    for (words, done) in [
        (&create[..], true),
        (&create[..], false),
        (&[&create[..], &["--replace"]].concat()[..], true),
        (&["remove", "grafana"][..], true),
    ] {
        let mut arguments = vec!["--config", file.as_str(), "token"];
        arguments.extend(words);
        let output = own(&program, &arguments)?;
        anyhow::ensure!(output.status.success() == done, "{words:?}: {output:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(done || told.contains("--replace"), "what to do is said: {told}");
    }
    let mut told = String::new();
    let seen = wait::until("every event is there", PATIENCE, || {
        fleet.check_alive()?;
        told = http::get_ok(fleet.address(), "/api/v1/events")?.text();
        let expected = [
            "loopback wrote down the change request of itsm: CHG1 (new, requested)",
            "the folder of export wrote down the change request of export: CHG7 (new, approved)",
            "of this machine, for ada, made the token grafana with the scope metrics",
            "of this machine, for ada, replaced the token grafana (scope metrics)",
            "of this machine, for ada, removed the token grafana",
        ];
        Ok(expected.iter().all(|one| told.contains(one)).then_some(()))
    });
    anyhow::ensure!(seen.is_ok(), "{told}");
    // It was sent twice and approved once.
    assert_eq!(told.matches("CHG1 (approved, which was requested").count(), 1, "{told}");
    Ok(())
}

#[test]
fn a_request_that_ends_on_a_day_covers_that_day() -> anyhow::Result<()> {
    let (mut fleet, root) = fleet("[[change_source]]\nname = 'itsm'\n")?;
    let day = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let mut body = request("CHG1", "approved", (0, 0));
    (body["start"], body["end"]) = (json!(day), json!(day));
    post(&fleet, &body)?;
    save(&root, "marker-second")?;
    expect(&mut fleet, "marker-second", "expected")?;
    Ok(())
}

/// How many take a name at once, and how many names there are to be taken.
const TAKERS: usize = 4;
const NAMES: usize = 12;

/// The statuses of the answers to `body`, posted by all takers at once, in order.
fn taken_at_once(fleet: &Fleet, (path, body): (&str, &Value)) -> anyhow::Result<Vec<u16>> {
    let (address, body) = (fleet.address(), serde_json::to_vec(body)?);
    let json = [("Content-Type", "application/json")];
    let ready = std::sync::Barrier::new(TAKERS);
    let take = || -> anyhow::Result<u16> {
        ready.wait();
        Ok(http::post(address, path, &json, &body)?.status)
    };
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..TAKERS).map(|_| scope.spawn(take)).collect();
        takers
            .into_iter()
            .map(|taker| taker.join().expect("no taker panics"))
            .collect::<anyhow::Result<_>>()
    })?;
    statuses.sort_unstable();
    Ok(statuses)
}

#[test]
fn of_those_who_take_a_name_at_once_one_has_it() -> anyhow::Result<()> {
    let fleet = Fleet::start()?;
    for name in (0..NAMES).map(|number| format!("name-{number}")) {
        let token = json!({ "name": name, "scope": "read", "days": 1 });
        let end = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
        let exception = json!({
            "name": name, "scope": { "host": HOST }, "owner": "ada", "reason": "a trial",
            "expires": end,
        });
        for (path, body, refused) in
            [("/api/v1/tokens", token, 409), ("/api/v1/exceptions", exception, 400)]
        {
            let mut expected = vec![refused; TAKERS];
            expected[0] = 201;
            expected.sort_unstable();
            assert_eq!(taken_at_once(&fleet, (path, &body))?, expected, "{path} {name}");
        }
    }
    Ok(())
}

/// Posts the same request again and again from several sides at once, each time with other words.
fn post_at_once(fleet: &Fleet) -> anyhow::Result<()> {
    let posts = |side: usize| -> anyhow::Result<()> {
        for round in 0..8 {
            let approval = ["approved", "requested", "rejected"][(side + round) % 3];
            post(fleet, &request("CHG1", approval, (-30, 30)))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let sides: Vec<_> = (0..4).map(|side| scope.spawn(move || posts(side))).collect();
        sides.into_iter().try_for_each(|side| side.join().expect("no side panics"))
    })
}

#[test]
fn what_the_log_tells_of_a_request_follows_from_what_it_told_before() -> anyhow::Result<()> {
    let fleet = Fleet::start_with("[[change_source]]\nname = 'itsm'\n")?;
    post_at_once(&fleet)?;
    let page = http::get_ok(fleet.address(), "/api/v1/events?limit=1000")?.json()?;
    let events = page["events"].as_array().cloned().unwrap_or_default();
    let details = events.iter().rev().filter_map(|event| event["detail"].as_str());
    let told: Vec<&str> =
        details.filter_map(|detail| Some(detail.split_once("CHG1 (")?.1)).collect();
    let mut last = None;
    for news in &told {
        let (now, was) = match news.strip_prefix("new, ") {
            Some(now) => (now, None),
            None => match news.split_once(", which was ") {
                Some((now, was)) if !now.contains(" UTC") => (now, Some(was)),
                Some(_) | None => continue, // that it is at another time, and no more
            },
        };
        let word = |text: &str| text.split([';', ')']).next().unwrap_or_default().to_owned();
        anyhow::ensure!(was.map(word) == last, "{news} came after {last:?}: {told:#?}");
        last = Some(word(now));
    }
    let kept = http::get_ok(fleet.address(), "/api/v1/change-requests?id=CHG1")?.json()?;
    assert_eq!(kept["requests"][0]["approval"].as_str(), last.as_deref(), "{told:#?}");
    Ok(())
}

/// Runs the collector's own command as somebody whom sudo let in.
fn own(program: &str, arguments: &[&str]) -> anyhow::Result<std::process::Output> {
    let mut all = vec!["SUDO_USER=ada"];
    let mutant = programs::mutant_of(programs::COLLECTOR);
    let chosen = mutant.map(|mutant| format!("{}={mutant}", programs::MUTANT));
    all.extend(chosen.as_deref());
    all.push(program);
    all.extend(arguments);
    run_any("env", &all)
}

#[test]
fn a_blackout_counts_before_a_request() -> anyhow::Result<()> {
    let (mut fleet, root) = fleet(
        "[[change_window]]\nname = 'always'\nstart = '00:00'\nend = '00:00'\n\
         [[blackout]]\nname = 'freeze'\nstart = '00:00'\nend = '00:00'\nparts = ['*/app.conf']\n",
    )?;
    post(&fleet, &request("CHG1", "approved", (-30, 30)))?;
    save(&root, "marker-second")?;
    let change = expect(&mut fleet, "marker-second", "unauthorised")?;
    assert_eq!(change["classified"]["rule"], "blackout");
    std::fs::write(root.join("etc/other.conf"), "first = marker-other\n")?;
    fleet.wait_for(HOST, "marker-other")?;
    std::fs::write(root.join("etc/other.conf"), "first = marker-third\n")?;
    let change = expect(&mut fleet, "marker-third", "expected")?;
    assert_eq!(change["classified"]["rule"], "request", "the window alone would do as well");
    let open = fleet.metric("driftline_change_window_open", &["window=\"freeze\""])?;
    assert!((open - 1.0).abs() < f64::EPSILON, "{open}");
    Ok(())
}

#[test]
fn a_value_that_came_back_once_is_reverted_and_not_yet_noise() -> anyhow::Result<()> {
    let (mut fleet, root) = fleet("[[change_source]]\nname = 'itsm'\n")?;
    save(&root, "marker-second")?;
    expect(&mut fleet, "marker-second", "unauthorised")?;
    save(&root, "marker-first")?;
    expect(&mut fleet, "marker-first", "reverted")?;
    let undone = expect(&mut fleet, "marker-second", "reverted")?;
    assert_eq!(undone["classified"]["earlier"][0]["class"], "unauthorised");
    save(&root, "marker-second")?;
    expect(&mut fleet, "marker-second", "reverted")?;
    save(&root, "marker-third")?;
    expect(&mut fleet, "marker-third", "unauthorised")?;
    Ok(())
}

/// How much drift of the host asks for a person, and how much was expected.
fn drift(fleet: &Fleet) -> anyhow::Result<(f64, f64)> {
    let loud = fleet.metric("driftline_drift_open", &[])?;
    Ok((loud, fleet.metric("driftline_drift_by_class", &["class=\"expected\""])?))
}

#[test]
fn drift_asks_for_a_person_only_where_nobody_meant_it() -> anyhow::Result<()> {
    let exact = "[[change_source]]\nname = 'itsm'\n\
        [classification]\nslack_minutes = 0\nlate_hours = 0\n";
    let (mut fleet, root) = fleet(exact)?;
    let body = br#"{ "reason": "as built" }"#;
    let json = [("Content-Type", "application/json")];
    let path = format!("/api/v1/hosts/{HOST}/baseline");
    let approved = http::post(fleet.address(), &path, &json, body)?;
    anyhow::ensure!(approved.status < 300, "{}", approved.text());
    post(&fleet, &request("CHG1", "approved", (-30, 30)))?;
    save(&root, "marker-second")?;
    expect(&mut fleet, "marker-second", "expected")?;
    wait::until("the drift was expected", PATIENCE, || {
        fleet.check_alive()?;
        Ok((drift(&fleet)? == (0.0, 1.0)).then_some(()))
    })?;
    let page = format!("/api/v1/findings?host={HOST}&open=true&class=expected");
    let page = http::get_ok(fleet.address(), &page)?.json()?;
    let finding = &page["findings"][0];
    assert_eq!((&finding["asks"], &finding["meant"]["name"]), (&json!(false), &json!("itsm/CHG1")));
    assert_eq!(finding["severity"], "info");
    let portal = http::get_ok(fleet.address(), &format!("/hosts/{HOST}"))?.text();
    assert!(portal.contains("class expected"), "{portal}");
    // The request is over in a moment, and somebody edits the same item once more.
    let end = Timestamp::now() + SignedDuration::from_secs(2);
    let mut ends = request("CHG1", "approved", (-30, 30));
    ends["end"] = json!(end.to_string());
    post(&fleet, &ends)?;
    wait::until("the request is over", PATIENCE, || Ok((Timestamp::now() > end).then_some(())))?;
    assert_eq!(drift(&fleet)?, (0.0, 1.0), "what it covered is expected still");
    save(&root, "marker-third")?;
    expect(&mut fleet, "marker-third", "unauthorised")?;
    wait::until("the drift asks for a person", PATIENCE, || {
        fleet.check_alive()?;
        Ok((drift(&fleet)? == (1.0, 0.0)).then_some(()))
    })
}

#[test]
fn configuration_that_nobody_approved_is_a_warning_until_somebody_does() -> anyhow::Result<()> {
    let (mut fleet, root) = fleet("[[change_source]]\nname = 'itsm'\n")?;
    let json = [("Content-Type", "application/json")];
    let path = format!("/api/v1/hosts/{HOST}/baseline");
    let body = br#"{ "reason": "as built" }"#;
    let agreed = http::post(fleet.address(), &path, &json, body)?;
    anyhow::ensure!(agreed.status < 300, "{}", agreed.text());
    save(&root, "marker-second")?;
    expect(&mut fleet, "marker-second", "unauthorised")?;
    let is = |fleet: &mut Fleet, severity: &str| {
        wait::until(&format!("the drift is {severity}"), PATIENCE, || {
            fleet.check_alive()?;
            let page = format!("/api/v1/findings?open=true&order=worst&severity={severity}");
            let page = http::get_ok(fleet.address(), &page)?.json()?;
            Ok((page["findings"][0]["severity"] == severity).then_some(()))
        })
    };
    is(&mut fleet, "warning")?;
    let counted = fleet.metric("driftline_drift_open", &["severity=\"warning\""])?;
    assert!((counted - 1.0).abs() < f64::EPSILON, "{counted}");
    post(&fleet, &request("CHG1", "approved", (-30, 30)))?;
    is(&mut fleet, "info")
}

#[test]
fn a_list_leaves_out_what_it_names() -> anyhow::Result<()> {
    let (mut fleet, root) = fleet(
        "[[change_source]]\nname = 'itsm'\n\
         [[ignore]]\nname = 'counters'\nreason = 'counts calls'\nparts = ['*/counter.conf']\n\
         [[ignore]]\nname = 'adds'\nas = 'routine'\nreason = 'the desk adds them'\n\
         parts = ['*/app.conf']\nkinds = ['added']\n",
    )?;
    std::fs::write(root.join("etc/counter.conf"), "calls = marker-none\n")?;
    fleet.wait_for(HOST, "marker-none")?;
    std::fs::write(root.join("etc/counter.conf"), "calls = marker-many\n")?;
    let change = expect(&mut fleet, "marker-many", "volatile")?;
    assert_eq!(change["classified"]["name"], "counters");
    save(&root, "marker-second")?;
    expect(&mut fleet, "marker-second", "unauthorised")?;
    // Counted, and on a page with its reason.
    let volatile = fleet.metric("driftline_changes_classified_total", &["class=\"volatile\""])?;
    assert!(volatile >= 1.0, "{volatile}");
    let page = http::get_ok(fleet.address(), "/requests")?.text();
    assert!(page.contains("counts calls") && page.contains("certbot-renewal"), "{page}");
    Ok(())
}
