//! What people and foreign pages meet.

use serde_json::{Value, json};

use super::*;
use crate::auth;
use crate::store::{ReadHistory as _, ReadIntent as _, RequestFilter, Scope, Step};

#[tokio::test]
async fn loopback_needs_no_login_and_a_foreign_name_gets_nothing() {
    let world = World::new().await;
    for path in ["/api/v1/hosts", "/metrics"] {
        assert_eq!(world.get(path).await.0, StatusCode::OK, "{path}");
        let foreign = world.client.get(format!("{}{path}", world.url)).header("host", "evil.test");
        assert_eq!(foreign.send().await.unwrap().status(), StatusCode::BAD_REQUEST, "{path}");
        let wrong = world.client.get(format!("{}{path}", world.url)).bearer_auth("wrong");
        assert_eq!(wrong.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_form_of_a_foreign_page_retires_nobody() {
    let world = World::new().await;
    world.agent("a", 1).await;
    let url = format!("{}/api/v1/hosts/a/retire", world.url);
    let form = world.client.post(&url).header("content-type", "text/plain").body("{}");
    assert_eq!(form.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let json = |origin: &str| {
        let request = world.client.post(&url).header("content-type", "application/json");
        request.header("origin", origin.to_owned()).body("{}").send()
    };
    assert_eq!(json("https://evil.test").await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert!(world.get("/api/v1/hosts/a").await.1.contains("\"alive\""));
    assert_eq!(json(&world.url).await.unwrap().status(), StatusCode::OK);
    assert!(world.get("/api/v1/hosts/a").await.1.contains("\"retired\""));
}

#[tokio::test]
async fn a_drift_from_an_approved_state_is_told_everywhere_alike() {
    let world = World::new().await;
    let mut agent = world.agent("sbc-1", 1).await;
    world.report(&mut agent, "ulaw").await;
    let url = format!("{}/api/v1/hosts/sbc-1/baseline", world.url);
    let approve = |reason: &str| {
        let body = json!({ "reason": reason }).to_string();
        world.client.post(&url).header("content-type", "application/json").body(body).send()
    };
    assert_eq!(approve(" ").await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(approve("as installed").await.unwrap().status(), StatusCode::OK);
    world.report(&mut agent, "opus").await;
    let findings: Value = json_of(&world, "/api/v1/findings?open=true").await;
    assert_eq!(findings["findings"].as_array().unwrap().len(), 1);
    let number = &findings["findings"][0]["number"];
    let one: Value = json_of(&world, &format!("/api/v1/findings/{number}")).await;
    assert_eq!((&one["number"], &one["host"]), (number, &findings["findings"][0]["host"]));
    // It counts once its change was judged, and has a class of its own until then.
    let open = "driftline_drift_open{host=\"sbc-1\",domain=\"config\",severity=\"info\"} 1";
    world.until("/metrics", open).await;
    world.until("/metrics", "driftline_drift_by_class{domain=\"config\",class=\"none\"} 1").await;
    let acts = format!("{}/api/v1/findings/{number}/acts", world.url);
    let act = |body: Value| {
        let request = world.client.post(&acts).header("content-type", "application/json");
        request.body(body.to_string()).send()
    };
    for wrong in [json!({ "act": "assign" }), json!({ "act": "accept", "text": "x" })] {
        assert_eq!(act(wrong).await.unwrap().status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(act(json!({ "act": "acknowledge" })).await.unwrap().status(), StatusCode::OK);
    let assign = json!({ "act": "assign", "text": "ada" });
    assert_eq!(act(assign).await.unwrap().status(), StatusCode::OK);
    let log: Value = json_of(&world, &format!("/api/v1/findings/{number}/acts")).await;
    assert_eq!(log["acts"][0]["text"], "ada");
    assert_eq!(log["acts"].as_array().unwrap().len(), 2, "{log}");
    let one: Value = json_of(&world, &format!("/api/v1/findings/{number}")).await;
    assert_eq!((&one["assigned_to"], &one["owner"]), (&json!("ada"), &json!("")));
    assert_eq!(one["acknowledged_by"], log["acts"][1]["who"]);
    let (_, page) = world.get("/findings").await;
    assert!(page.contains("ada (seen by "), "{page}");
    let snapshot: Value = json_of(&world, "/api/v1/hosts/sbc-1/snapshot").await;
    assert!(snapshot.to_string().contains("opus"), "{snapshot}");
}

#[tokio::test]
async fn a_list_of_findings_is_narrowed_by_owner_and_by_class() {
    let memory = Memory::new();
    let owned = |config: &mut Config| {
        let text = "[[owner]]\nchain = ['voice']\n[[owner]]\nchain = ['desk']\n\
            scope = { host = 'none' }\n";
        config.owners = crate::config::load::parse("t", text).unwrap().owners;
    };
    let world = World::with(memory.clone(), || memory, owned).await;
    let mut agent = world.agent("sbc-1", 1).await;
    world.report(&mut agent, "ulaw").await;
    let post = |path: String, body: Value| {
        let request = world.client.post(format!("{}{path}", world.url));
        request.header("content-type", "application/json").body(body.to_string()).send()
    };
    let agreed = post("/api/v1/hosts/sbc-1/baseline".into(), json!({ "reason": "as built" }));
    assert_eq!(agreed.await.unwrap().status(), StatusCode::OK);
    world.report(&mut agent, "opus").await;
    world.until("/metrics", "driftline_drift_by_class{domain=\"config\",class=\"none\"} 1").await;
    let number = json_of(&world, "/api/v1/findings").await["findings"][0]["number"].clone();
    let row = format!("id=\"finding-{number}\"");
    let check = async |query: &str, is_there: bool| {
        for order in ["newest", "worst"] {
            let path = format!("/api/v1/findings?open=true&order={order}&{query}");
            let found = json_of(&world, &path).await["findings"].as_array().unwrap().len();
            assert_eq!(found, usize::from(is_there), "{path}");
        }
        for status in ["open", "all"] {
            let (code, page) = world.get(&format!("/findings?status={status}&{query}")).await;
            assert_eq!(code, StatusCode::OK, "{page}");
            assert_eq!(page.contains(&row), is_there, "{status} {query}: {page}");
        }
    };
    check("owner=voice", true).await;
    check("owner=voice&class=none", true).await;
    check("owner=voice&class=expected", false).await;
    check("class=none", true).await;
    check("owner=desk", false).await;
    check("owner=nobody", false).await;
    let given = json!({ "act": "assign", "text": "desk" });
    let given = post(format!("/api/v1/findings/{number}/acts"), given).await.unwrap();
    assert_eq!(given.status(), StatusCode::OK);
    check("owner=desk", true).await;
    check("owner=voice", false).await;
    for wrong in ["/findings?class=loud", "/api/v1/findings?class=loud"] {
        assert_eq!(world.get(wrong).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended() {
    let world = World::new().await;
    let mut agent = world.agent("a", 1).await;
    for value in ["1", "2", "3", "4"] {
        world.report(&mut agent, value).await;
    }
    let mut path = "/api/v1/changes?host=a&limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page: Value = json_of(&world, &path).await;
        seen.extend(page["changes"].as_array().unwrap().iter().map(|c| c["id"].to_string()));
        match page["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    for id in &seen {
        let one = world.get(&format!("/api/v1/changes/{id}")).await;
        assert_eq!(one.0, StatusCode::OK);
    }
    for path in ["/api/v1/changes?colour=red", "/api/v1/changes?kind=x", "/api/v1/events?limit=x"] {
        assert_eq!(world.get(path).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    for path in ["/api/v1/hosts/b", "/api/v1/changes/9", "/api/v1/findings/9", "/nothing"] {
        assert_eq!(world.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn every_list_goes_on_where_its_page_ended() {
    let world = World::new().await;
    for (name, state) in [("a", 1), ("b", 2), ("c", 3)] {
        world.agent(name, state).await;
    }
    let mut path = "/api/v1/events?limit=1".to_owned();
    let mut seen = Vec::new();
    loop {
        let page: Value = json_of(&world, &path).await;
        seen.extend(page["events"].as_array().unwrap().iter().map(|e| e["host"].to_string()));
        let Some(next) = page["next"].as_str() else { break };
        path = next.to_owned();
    }
    assert_eq!(seen, ["\"c\"", "\"b\"", "\"a\""]);
    for list in ["events", "findings"] {
        let wrong = world.get(&format!("/api/v1/{list}?after=yesterday")).await;
        assert_eq!(wrong.0, StatusCode::BAD_REQUEST, "{list}");
    }
    for list in ["changes", "events", "findings"] {
        let (status, text) = world.get(&format!("/api/v1/{list}?host=typo")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{list}");
        assert!(text.contains("there is no host typo"), "{text}");
    }
}

#[tokio::test]
async fn an_unknown_page_is_told_to_a_browser_as_a_page() {
    let world = World::new().await;
    for (path, accepted, html) in [
        ("/nothing", "text/html,application/xhtml+xml", true),
        ("/nothing", "*/*", false),
        ("/api/v1/nothing", "text/html", false),
    ] {
        let url = format!("{}{path}", world.url);
        let answer = world.client.get(url).header("accept", accepted).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(kind.starts_with("text/html"), html, "{path} for {accepted}: {kind}");
    }
}

#[tokio::test]
async fn a_token_works_until_it_is_removed() {
    let world = World::new().await;
    let body = json!({ "name": "grafana", "scope": "metrics", "days": 3 });
    let url = format!("{}/api/v1/tokens", world.url);
    let request = world.client.post(&url).header("content-type", "application/json");
    let made = request.body(body.to_string()).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: Value = serde_json::from_str(&made.text().await.unwrap()).unwrap();
    let token = made["token"].as_str().unwrap();
    let with =
        |path: &str| world.client.get(format!("{}{path}", world.url)).bearer_auth(token).send();
    assert_eq!(with("/metrics").await.unwrap().status(), StatusCode::OK);
    let small = with("/api/v1/hosts").await.unwrap();
    assert_eq!(small.status(), StatusCode::FORBIDDEN, "it is known, and not for this");
    let told = small.text().await.unwrap();
    assert!(
        told.contains("grafana has the scope metrics, and this needs the scope read"),
        "{told}"
    );
    let again = |replace: bool| {
        let body = json!({ "name": "grafana", "scope": "metrics", "days": 3, "replace": replace });
        let request = world.client.post(&url).header("content-type", "application/json");
        request.body(body.to_string()).send()
    };
    assert_eq!(again(false).await.unwrap().status(), StatusCode::CONFLICT);
    assert_eq!(with("/metrics").await.unwrap().status(), StatusCode::OK, "it counts on");
    let made: Value =
        serde_json::from_str(&again(true).await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(with("/metrics").await.unwrap().status(), StatusCode::UNAUTHORIZED, "replaced");
    let token = made["token"].as_str().unwrap();
    let with =
        |path: &str| world.client.get(format!("{}{path}", world.url)).bearer_auth(token).send();
    let listed = world.get("/api/v1/tokens").await.1;
    assert!(listed.contains("grafana") && !listed.contains(token), "{listed}");
    let gone = world.client.delete(format!("{url}/grafana"));
    let gone = gone.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::OK);
    let gone = with("/metrics").await.unwrap();
    assert_eq!(gone.status(), StatusCode::UNAUTHORIZED);
    let told = gone.text().await.unwrap();
    assert!(told.contains("not known here, or has expired"), "{told}");
    let events = world.get("/api/v1/events").await.1;
    for told in [
        "made the token grafana with the scope metrics",
        "replaced the token grafana (scope metrics) by one with the scope metrics",
        "removed the token grafana",
    ] {
        assert!(events.contains(&format!("loopback {told}")), "{told}: {events}");
    }
}

#[tokio::test]
async fn an_open_address_needs_tls_and_a_token() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let tls = crate::config::Tls { cert_file: cert, key_file: key };
    let mut memory = Memory::new();
    let config = |tls| Config { listen: ([0, 0, 0, 0], 0).into(), tls, ..Config::default() };
    let begin = |config, memory: Memory| {
        let read = std::sync::Arc::new(memory.clone());
        let append = Box::new(memory);
        let stores = Stores { append, read, epoch: 1, checkpoint: None, lock: None };
        start(Start { config, config_file: None, stores }, std::future::pending())
    };
    let refused = begin(config(None), memory.clone()).await.err().unwrap().to_string();
    assert!(refused.contains("[tls] is not set"), "{refused}");
    let refused = begin(config(Some(tls.clone())), memory.clone()).await.err().unwrap();
    assert!(refused.to_string().contains("token create"), "{refused}");
    let (token, record) = auth::make("a", Scope::Read, 1, jiff::Timestamp::now()).unwrap();
    memory.apply(&[Step::Token(record)]).unwrap();
    let running = begin(config(Some(tls)), memory).await.unwrap();
    let root = reqwest::Certificate::from_pem(certified.cert.pem().as_bytes()).unwrap();
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = Client::builder().tls_certs_only([root]).build().unwrap();
    let url = format!("https://localhost:{}/api/v1/hosts", running.address.port());
    let without = client.get(&url).send().await.unwrap();
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
    let told = without.text().await.unwrap();
    assert!(told.contains("no token was sent"), "{told}");
    let bearer = client.get(&url).bearer_auth(&token).send().await.unwrap();
    assert_eq!(bearer.status(), StatusCode::OK);
    let basic = client.get(&url).basic_auth("anybody", Some(&token)).send().await.unwrap();
    assert_eq!(basic.status(), StatusCode::OK);
}

async fn json_of(world: &World, path: &str) -> Value {
    let (status, text) = world.get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_token_approves_in_no_other_systems_name() {
    let memory = Memory::new();
    let (token, record) =
        auth::make("itsm", Scope::ChangeRequests, 1, jiff::Timestamp::now()).unwrap();
    let (admin, of_admin) = auth::make("boss", Scope::Admin, 1, jiff::Timestamp::now()).unwrap();
    memory.clone().apply(&[Step::Token(record), Step::Token(of_admin)]).unwrap();
    let named = |config: &mut Config| {
        let shared = crate::config::ChangeSource::named("shared");
        config.change_sources =
            vec![crate::config::ChangeSource { tokens: vec!["itsm".into()], ..shared }];
    };
    let world = World::with(memory.clone(), || memory, named).await;
    let body = json!({
        "id": "CHG1", "approval": "approved", "hosts": ["sbc-1"],
        "start": "2026-11-28T20:00:00Z", "end": "2026-11-28T22:00:00Z",
    });
    for (source, expect) in [
        ("", StatusCode::OK),
        ("?source=itsm", StatusCode::OK),
        ("?source=shared", StatusCode::OK),
        ("?source=hr", StatusCode::BAD_REQUEST),
    ] {
        let path = format!("/api/v1/change-requests{source}");
        assert_eq!(world.post(&path, &token, &body).await.status(), expect, "{source}");
    }
    let refused = world.post("/api/v1/change-requests?source=hr", &token, &body).await;
    let told = refused.text().await.unwrap();
    assert!(told.contains("make a token named hr, or add [[change_source]] name"), "{told}");
    for source in ["?source=cli", "?source=shared"] {
        let path = format!("/api/v1/change-requests{source}");
        assert_eq!(world.post(&path, &admin, &body).await.status(), StatusCode::OK, "{source}");
    }
}

#[tokio::test]
async fn a_request_that_retention_would_take_at_once_is_neither_kept_nor_told() {
    let memory = Memory::new();
    let (token, record) =
        auth::make("itsm", Scope::ChangeRequests, 1, jiff::Timestamp::now()).unwrap();
    memory.clone().apply(&[Step::Token(record)]).unwrap();
    let world = World::with(memory.clone(), || memory.clone(), |_| {}).await;
    let request = |id: &str, (start, end): (&str, &str)| {
        let (approval, hosts) = ("approved", ["a"]);
        json!({ "id": id, "approval": approval, "hosts": hosts, "start": start, "end": end })
    };
    let now = jiff::Timestamp::now().to_string();
    let later = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let export = json!([
        request("CHG1", ("2001-01-01T00:00:00Z", "2001-01-02T00:00:00Z")),
        request("CHG2", (&now, &later)),
    ]);
    // An export that is written anew has them all again.
    for _ in 0..2 {
        let answer = world.post("/api/v1/change-requests", &token, &export).await;
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!((&answer["taken"], &answer["too_old"]), (&json!(1), &json!(1)), "{answer}");
        assert_eq!(answer["refused"]["total"], 0, "{answer}");
    }
    let kept = memory.change_requests(&RequestFilter::default()).unwrap();
    assert_eq!(kept.len(), 1);
    let events = memory.events(None, 100).unwrap();
    let told: Vec<&String> = events.iter().map(|event| &event.detail).collect();
    assert_eq!(told, ["itsm wrote down the change request of itsm: CHG2 (new, approved)"]);
    let sources = json_of(&world, "/api/v1/change-requests/sources").await;
    assert_eq!(sources["sources"][0]["too_old"], 1, "{sources}");
    assert_eq!(sources["sources"][0]["problem"], "", "{sources}");
}
