//! Cases through the door: posted by a case system, or put into a folder.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::auth;
use crate::config::load::parse;
use crate::serve::case_folders::{Known, look};
use crate::serve::request_folders;
use crate::store::{ReadCases, Scope, Step};

async fn send(world: &World, (kind, body): (&str, &str)) -> (StatusCode, Value) {
    let url = format!("{}/api/v1/cases?source=desk", world.url);
    let request = world.client.post(url).header("content-type", kind.to_owned());
    let answer = request.body(body.to_owned()).send().await.unwrap();
    let status = answer.status();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

async fn shown(world: &World, path: &str) -> Value {
    let (status, text) = world.get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

const JSON: &str = "application/json";

#[tokio::test]
async fn a_case_sent_in_any_form_and_twice_is_one_case() {
    let world = World::new().await;
    // Words of cases count as unmapped for four weeks.
    let ago = |hours: i64| {
        let second = Timestamp::now().as_second() - hours * 3_600;
        Timestamp::from_second(second).unwrap().to_string()
    };
    let (opened, moved) = (ago(48), ago(47));
    let object = format!("{{\"id\": 7,\n \"opened_at\": \"{opened}\", \"site\": \"graz\"}}");
    let line = object.replace('\n', "");
    for body in [
        (JSON, object.clone()),
        (JSON, format!("[{object}]")),
        ("application/x-ndjson", format!("{line}\n{line}\n")),
        ("text/csv", format!("id,opened_at,site\n7,{moved},graz\n")),
    ] {
        let (status, answer) = send(&world, (body.0, &body.1)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert!(answer["taken"].as_u64().unwrap() > 0, "{answer}");
    }
    let cases = shown(&world, "/api/v1/cases").await;
    let all = cases["cases"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{cases}");
    assert_eq!(all[0]["opened_at"], opened, "it was moved");
    assert_eq!((&all[0]["source"], &all[0]["mapped"]), (&json!("desk"), &json!(false)));
    let unmapped = shown(&world, "/api/v1/cases/unmapped").await;
    assert_eq!(unmapped["unmapped"].as_array().unwrap().len(), 2, "{unmapped}");
}

#[tokio::test]
async fn a_partial_reading_moves_nothing_on() {
    let world = World::new().await;
    let good = "{\"id\": 1, \"opened_at\": \"2026-11-01T08:00:00Z\"}";
    assert_eq!(send(&world, (JSON, good)).await.0, StatusCode::OK);
    let feed = |sources: Value| sources["sources"][0].clone();
    let before = feed(shown(&world, "/api/v1/cases/sources").await);
    let partly = format!("[{good}, {{\"id\": 2, \"opened_at\": \"soon\"}}]");
    let (status, answer) = send(&world, (JSON, &partly)).await;
    assert_eq!((status, &answer["refused"]["total"]), (StatusCode::OK, &json!(1)), "{answer}");
    let after = feed(shown(&world, "/api/v1/cases/sources").await);
    assert_eq!(after["last_good"], before["last_good"]);
    assert!(after["problem"].as_str().unwrap().contains("line 2"), "{after}");
    for body in ["{\"id\": 3}", "[{\"id\": 4", "{\"id\": 4"] {
        assert_eq!(send(&world, (JSON, body)).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(send(&world, (JSON, "[]")).await.0, StatusCode::OK);
    let moved = feed(shown(&world, "/api/v1/cases/sources").await);
    assert_ne!(moved["last_good"], before["last_good"], "nothing new was said, and it was said");
}

#[tokio::test]
async fn only_the_scope_for_cases_brings_cases() {
    let now = jiff::Timestamp::now();
    let memory = Memory::new();
    let mut tokens = Vec::new();
    for (name, scope) in [("desk", Scope::Cases), ("reader", Scope::Read), ("enrol", Scope::Enrol)]
    {
        let (token, record) = auth::make(name, scope, 1, now).unwrap();
        memory.clone().apply(&[Step::Token(record)]).unwrap();
        tokens.push(token);
    }
    let world = World::with(memory.clone(), || memory.clone(), |_| {}).await;
    let body = json!({ "id": "a", "opened_at": "2026-11-01T08:00:00Z" });
    for (token, expect) in
        tokens.iter().zip([StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::FORBIDDEN])
    {
        assert_eq!(world.post("/api/v1/cases", token, &body).await.status(), expect);
    }
    let other = world.post("/api/v1/cases?source=hr", &tokens[0], &body).await;
    assert_eq!(other.status(), StatusCode::BAD_REQUEST, "it speaks for no other system");
    let kept = memory.cases(&Default::default()).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].source, "desk", "the token names the source");
    let form = world.client.post(format!("{}/api/v1/cases", world.url));
    let form = form.header("content-type", "text/plain").body("{}");
    assert_eq!(form.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}

fn put(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

#[tokio::test]
async fn a_folder_is_read_as_its_columns_say_and_a_broken_file_is_not_zero_cases() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[host]]\nname = 'a'\nsite = 'graz'\nservice = 'voice'\n\
         [[case_source]]\nname = 'desk'\nfolder = {:?}\ntimezone = 'Europe/Vienna'\n\
         columns = {{ id = 'number', site = 'location' }}\n\
         [[case_map]]\nfrom_service = 'tele*'\nservice = 'voice'\n",
        folder.path()
    );
    let config = parse("t", &text).unwrap();
    let memory = Memory::new();
    let collector = Arc::new(collector_over(&memory, config));
    let mut known = Known::default();
    let header = "number,opened_at,service,location,description\n";
    put(folder.path(), "1.csv", &format!("{header}7,2026-11-01 09:00:00,Telephony,Graz,secret\n"));
    put(folder.path(), "readme.txt", "no case");
    look(&collector, &mut known, Duration::ZERO).await;
    let case = memory.cases(&Default::default()).unwrap().remove(0);
    assert_eq!(case.opened_at.to_string(), "2026-11-01T08:00:00Z", "Vienna's clock");
    let shown = crate::api::cases::show(&collector.settings().config.mapper(), case);
    assert_eq!((shown.mapped_service.as_str(), shown.mapped_site.as_str()), ("voice", "graz"));
    assert!(shown.mapped && !format!("{shown:?}").contains("secret"));
    let good = memory.case_feeds().unwrap()[0].last_good.unwrap();

    put(folder.path(), "2.csv", "number,site\n8,graz\n");
    look(&collector, &mut known, Duration::ZERO).await;
    let feed = memory.case_feeds().unwrap().remove(0);
    assert_eq!(feed.last_good, Some(good), "a file without its columns counted as read");
    assert!(feed.problem.starts_with("2.csv: the header (line 1) lacks"), "{}", feed.problem);

    put(folder.path(), "2.csv", &format!("{header}8,2026-11-01 10:00:00,Telephony,Graz,x\n"));
    look(&collector, &mut known, Duration::ZERO).await;
    let feed = memory.case_feeds().unwrap().remove(0);
    assert!(feed.last_good > Some(good) && feed.problem.is_empty(), "{feed:?}");
    assert_eq!(memory.cases(&Default::default()).unwrap().len(), 2);
    let rows = feed.rows;
    look(&collector, &mut known, Duration::ZERO).await;
    assert_eq!(memory.case_feeds().unwrap()[0].rows, rows, "nothing changed and it was read");
    collector.writer.stop();
}

#[tokio::test]
async fn every_bad_file_of_a_folder_is_named_or_counted() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[case_source]]\nname = 'desk'\nfolder = {0:?}\n\
         [[change_source]]\nname = 'itsm'\nfolder = {0:?}\n",
        folder.path()
    );
    let memory = Memory::new();
    let collector = Arc::new(collector_over(&memory, parse("t", &text).unwrap()));
    let (mut known, mut requests) = (Known::default(), Default::default());
    let mut told = async |bad: usize| {
        for number in 1..=9 {
            let header = if number <= bad { "number" } else { "id,opened_at" };
            put(folder.path(), &format!("{number}.csv"), &format!("{header}\n"));
        }
        look(&collector, &mut known, Duration::ZERO).await;
        request_folders::look(&collector, &mut requests, Duration::ZERO).await;
        memory.case_feeds().unwrap().remove(0).problem
    };
    for (bad, named, more) in [(1, 1, None), (2, 2, None), (6, 5, Some("1 more file"))] {
        let problem = told(bad).await;
        for number in 1..=9 {
            let is_named = problem.contains(&format!("{number}.csv: the header"));
            assert_eq!(is_named, number <= named, "{number} of {bad}: {problem}");
        }
        let ends = more
            .map_or(!problem.contains("And "), |more| problem.ends_with(&format!(". And {more}")));
        assert!(ends, "{bad}: {problem}");
    }
    assert_eq!(told(0).await, "");
    // All are bad as requests, whatever they are as cases.
    let readings = collector.request_readings.all();
    let problem = &readings[0].problem;
    assert!(problem.starts_with("1.csv: ") && problem.ends_with(". And 4 more files"), "{problem}");
    collector.writer.stop();
}

fn collector_over(memory: &Memory, config: Config) -> crate::serve::state::Collector {
    use crate::serve::state::{Collector, Made, Settings};
    let (keys, live) = (Arc::default(), Arc::default());
    let read: Arc<dyn crate::writer::Reads> = Arc::new(memory.clone());
    let parts = crate::writer::Parts {
        append: Box::new(memory.clone()),
        read: Arc::clone(&read),
        config: crate::ingest::Config::default(),
        keys: Arc::clone(&keys),
        live: Arc::clone(&live),
    };
    let writer = crate::writer::Writer::start(parts).unwrap();
    let standards = Arc::new(crate::standards::Standards::default());
    let settings = Settings { config: Arc::new(config), secret: None, standards };
    let address = ([127, 0, 0, 1], 0).into();
    Collector::new(Made { writer, read, keys, live, settings, address })
}
