//! Change requests and cases at the door: what is refused is named, and what nobody reads too.

use serde_json::{Value, json};

use super::*;
use crate::auth;
use crate::store::{Scope, Step};

const CONFIG: &str = "[[change_source]]\nname = 'itsm'\n\
    columns = { id = 'number', hosts = 'cmdb_ci' }\n\
    [[case_source]]\nname = 'desk'\nstatuses = { closed = ['Geschlossen'] }\n";

async fn world(memory: &Memory) -> (World, String) {
    of_scope(memory, Scope::Admin).await
}

async fn of_scope(memory: &Memory, scope: Scope) -> (World, String) {
    let (token, record) = auth::make("desk", scope, 1, jiff::Timestamp::now()).unwrap();
    memory.clone().apply(&[Step::Token(record)]).unwrap();
    let named = |config: &mut Config| {
        let read = crate::config::load::parse("t", CONFIG).unwrap();
        config.change_sources = read.change_sources;
        config.case_sources = read.case_sources;
    };
    (World::with(memory.clone(), || memory.clone(), named).await, token)
}

async fn json_of(world: &World, path: &str) -> Value {
    let (status, text) = world.get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// A request as our own command line writes it.
fn request(id: &str) -> Value {
    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    json!({
        "id": id, "start": (now - hour).to_string(), "end": (now + hour).to_string(),
        "kind": "normal", "approval": "approved", "url": "", "hosts": ["sbc-g2"],
        "services": [], "sites": [], "groups": [], "parts": ["/etc/hosts"], "keys": [],
    })
}

async fn post(world: &World, token: &str, source: &str, body: &Value) -> (StatusCode, String) {
    let path = format!("/api/v1/change-requests?source={source}");
    let response = world.post(&path, token, body).await;
    (response.status(), response.text().await.unwrap())
}

#[tokio::test]
async fn our_names_are_understood_by_a_source_that_has_its_own() {
    let memory = Memory::new();
    let (world, token) = world(&memory).await;
    let (status, text) = post(&world, &token, "itsm", &request("CHG1")).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &answer["taken"]), (StatusCode::OK, &json!(1)), "{text}");
    assert_eq!(answer["unread_columns"]["total"], 0, "{text}");
    let found = json_of(&world, "/api/v1/change-requests?source=itsm").await;
    assert_eq!(found["requests"][0]["scope"]["hosts"], json!(["sbc-g2"]), "{found}");
    let mut lost = request("CHG2");
    lost["hots"] = lost["hosts"].take();
    lost["services"] = json!(["voice"]);
    let (_, text) = post(&world, &token, "itsm", &lost).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["unread_columns"]["first"], json!(["hots"]), "{text}");
    let sources = json_of(&world, "/api/v1/change-requests/sources").await;
    assert_eq!(sources["sources"][0]["unread_columns"]["first"], json!(["hots"]), "{sources}");
}

#[tokio::test]
async fn the_first_refusals_are_named_wherever_they_are_told() {
    let memory = Memory::new();
    let (world, token) = world(&memory).await;
    let mut many = vec![request("CHG1")];
    for at in 0..5 {
        let mut bad = request(&format!("BAD{at}"));
        bad["hosts"] = json!([]);
        many.push(bad);
    }
    let (status, text) = post(&world, &token, "itsm", &json!(many)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let sources = json_of(&world, "/api/v1/change-requests/sources").await;
    let problem = sources["sources"][0]["problem"].as_str().unwrap().to_owned();
    let (_, page) = world.get("/requests").await;
    for told in [&problem, &page] {
        for expect in ["5 of 6 requests refused", "line 2, column hosts: ", "line 4", "and 2 more"]
        {
            assert!(told.contains(expect), "{expect} is not in {told}");
        }
    }
    assert!(page.contains("was not taken whole"), "{page}");
}

/// Nothing is ever read again under a name that was mistyped, so nobody could mend what it left.
#[tokio::test]
async fn a_name_that_is_no_source_leaves_no_complaint() {
    let memory = Memory::new();
    let (world, token) = world(&memory).await;
    let bad = json!([{ "number": "CHG1" }]);
    for (source, left) in [("ism", 0), ("itsm", 1)] {
        post(&world, &token, source, &bad).await;
        let sources = json_of(&world, "/api/v1/change-requests/sources").await;
        assert_eq!(sources["sources"].as_array().unwrap().len(), left, "{sources}");
    }
    // One that brought a request once is a source, and so is its next mistake.
    post(&world, &token, "cli", &json!([request("CHG3")])).await;
    post(&world, &token, "cli", &bad).await;
    let sources = json_of(&world, "/api/v1/change-requests/sources").await;
    assert!(sources["sources"][0]["problem"].to_string().contains("refused"), "{sources}");
    post(&world, &token, "cli", &json!([])).await;
    let sources = json_of(&world, "/api/v1/change-requests/sources").await;
    assert_eq!(sources["sources"][0]["problem"], "", "an empty list says that nothing is wrong");
}

#[tokio::test]
async fn cases_have_the_words_and_names_of_their_source() {
    let memory = Memory::new();
    let (world, token) = of_scope(&memory, Scope::Cases).await;
    let opened = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(3)).to_string();
    let body = json!([
        { "ID": 1, "Opened_At": opened, "Status": "geschlossen", "Sight": "graz" },
        { "id": 2, "opened_at": opened, "status": "Gelöst", "resolved_at": opened },
        { "id": 3, "opened_at": opened, "status": "Gelöst" },
    ]);
    let response = world.post("/api/v1/cases?source=desk", &token, &body).await;
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(answer["unread_columns"], json!({ "total": 1, "first": ["Sight"] }), "{answer}");
    let sources = json_of(&world, "/api/v1/cases/sources").await;
    assert_eq!(sources["sources"][0]["unread_columns"]["first"], json!(["Sight"]), "{sources}");
    let (_, page) = world.get("/cases").await;
    assert!(page.contains("Nobody reads the column Sight."), "{page}");
    let found = json_of(&world, "/api/v1/cases?source=desk").await;
    let mut states: Vec<(String, String)> = found["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| (case["id"].to_string(), case["status"].to_string()))
        .collect();
    states.sort();
    let words: Vec<&str> = states.iter().map(|(_, status)| status.trim_matches('"')).collect();
    assert_eq!(words, ["closed", "resolved", "open"], "{found}");
}

#[tokio::test]
async fn no_suspect_says_up_to_when_cases_are_known() {
    let memory = Memory::new();
    let (world, token) = of_scope(&memory, Scope::Cases).await;
    let found = json_of(&world, "/api/v1/suspects").await;
    assert!(found["waiting"].to_string().contains("No source of cases is known yet"), "{found}");
    let opened = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(3)).to_string();
    let body = json!([{ "id": 1, "opened_at": opened }]);
    world.post("/api/v1/cases?source=desk", &token, &body).await;
    let found: crate::api::suspects::SuspectsAnswer =
        serde_json::from_value(json_of(&world, "/api/v1/suspects").await).unwrap();
    let told = found.known.sentence(|moment| moment.to_string());
    assert!(told.contains("comparison with changes") || told.contains("known up to"), "{told}");
}
