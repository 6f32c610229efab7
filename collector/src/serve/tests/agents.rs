//! What agents meet.

use driftline_protocol::limits;
use driftline_protocol::wire::{
    self, HeartbeatAnswer, Outcome, PartsAnswer, Problem, ProblemCode, ReportAnswer,
};
use reqwest::StatusCode;

use super::*;

#[tokio::test]
async fn a_report_is_applied_once_however_often_it_is_sent() {
    let world = World::new().await;
    let mut agent = world.agent("sbc-1", 1).await;
    read::<HeartbeatAnswer>(
        world.post("/api/v1/heartbeat", &agent.token, &agent.heartbeat()).await,
    )
    .await;
    let first = agent.report("ulaw");
    let second = agent.report("opus");
    for (report, expect) in
        [(&first, Outcome::Applied), (&second, Outcome::Applied), (&second, Outcome::Known)]
    {
        let answer = world.post("/api/v1/report", &agent.token, report).await;
        assert_eq!(read::<ReportAnswer>(answer).await.outcomes, [expect]);
    }
    let series = "driftline_changes_total{domain=\"config\",kind=\"modified\"}";
    assert_eq!(world.metric(series).await, 1.0);
    assert_eq!(world.metric("driftline_ingest_duration_seconds_count").await, 3.0);
    world.stop().await;
}

#[tokio::test]
async fn a_heartbeat_of_an_unchanged_host_writes_nothing() {
    let world = World::new().await;
    let mut agent = world.agent("sbc-1", 1).await;
    world.report(&mut agent, "ulaw").await;
    world.post("/api/v1/heartbeat", &agent.token, &agent.heartbeat()).await;
    let before = world.metric("driftline_writer_batches_total").await;
    for _ in 0..5 {
        let answer = world.post("/api/v1/heartbeat", &agent.token, &agent.heartbeat()).await;
        assert!(read::<HeartbeatAnswer>(answer).await.want.is_empty());
    }
    assert_eq!(world.metric("driftline_writer_batches_total").await, before);
    assert_eq!(
        world.metric("driftline_source_success{host=\"sbc-1\",source=\"files\"}").await,
        1.0
    );
}

#[tokio::test]
async fn a_stolen_token_opens_no_other_host() {
    let world = World::new().await;
    let (thief, mut owner) = (world.agent("a", 1).await, world.agent("b", 2).await);
    for _ in 0..3 {
        let answer = world.post("/api/v1/report", &thief.token, &owner.report("x")).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let answer = world.post("/api/v1/heartbeat", &thief.token, &owner.heartbeat()).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.metric("driftline_refused_total{code=\"unauthorised\"}").await, 6.0);
    // Written down once a minute, so that a flood of forgeries is no flood of writes.
    assert_eq!(world.metric("driftline_events_total{kind=\"refused\"}").await, 1.0);
    assert!(world.get("/api/v1/events?host=a").await.1.contains("named b"));
}

#[tokio::test]
async fn whoever_is_not_let_in_learns_nothing() {
    let world = World::new().await;
    let agent = world.agent("a", 1).await;
    let mut answers = Vec::new();
    for token in ["", "wrong", "dlt_00"] {
        let answer = world.post("/api/v1/heartbeat", token, &agent.heartbeat()).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        answers.push(answer.text().await.unwrap());
    }
    let wrong = serde_json::json!({
        "version": 1, "secret": "not the secret, no", "proposed": "x", "kind": "uc",
        "incarnation": "00".repeat(16), "agent_version": "0",
    });
    let answer = world.post("/api/v1/enrol", "", &wrong).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let told = answer.text().await.unwrap();
    assert!(told.contains("the enrolment secret is not the collector's"), "{told}");
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn bodies_are_bounded_before_and_after_decompression() {
    let world = World::new().await;
    let agent = world.agent("a", 1).await;
    let bomb = zstd::bulk::compress(&vec![b' '; 200_000_000], 1).unwrap();
    let broken = b"not zstd".to_vec();
    let plain = vec![b' '; limits::BODY_BYTES + 1];
    for (encoding, body, code) in [
        ("zstd", bomb, ProblemCode::TooLarge),
        ("zstd", broken, ProblemCode::Malformed),
        ("gzip", vec![b' '; 10], ProblemCode::Malformed),
        ("identity", plain, ProblemCode::TooLarge),
        ("identity", b"{}".to_vec(), ProblemCode::Malformed),
    ] {
        let request = world.client.post(format!("{}/api/v1/parts", world.url));
        let request = request.bearer_auth(&agent.token).header("content-encoding", encoding);
        let Ok(answer) = request.body(body).send().await else {
            // The collector may close before all of a refused body is sent; the code is counted.
            assert_eq!(code, ProblemCode::TooLarge);
            continue;
        };
        assert_eq!(read_problem(answer).await.code, code, "{encoding}");
    }
    assert_eq!(world.metric("driftline_refused_total{code=\"too_large\"}").await, 2.0);
    assert_eq!(world.metric("driftline_in_flight_bytes").await, 0.0);
}

async fn read_problem(response: Response) -> Problem {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_part_is_stored_once_for_all_hosts() {
    let world = World::new().await;
    let agent = world.agent("a", 1).await;
    let body = serde_json::to_vec(&upload(vec![part(&"x".repeat(2_000))])).unwrap();
    let (body, compressed) = wire::compress(body);
    assert!(compressed);
    for new in [1, 0] {
        let request = world.client.post(format!("{}/api/v1/parts", world.url));
        let request = request.bearer_auth(&agent.token).header("content-encoding", "zstd");
        let answer = request.body(body.clone()).send().await.unwrap();
        assert_eq!(read::<PartsAnswer>(answer).await.new, new);
    }
    assert_eq!(world.metric("driftline_part_store_hits_total").await, 1.0);
    assert_eq!(world.metric("driftline_part_store_misses_total").await, 1.0);
}

#[tokio::test]
async fn a_newer_protocol_is_refused_by_name() {
    let world = World::new().await;
    let agent = world.agent("a", 1).await;
    let mut parts = upload(vec![]);
    parts.version += 1;
    let answer = world.post("/api/v1/parts", &agent.token, &parts).await;
    assert_eq!(read_problem(answer).await.code, ProblemCode::Version);
}

#[tokio::test]
async fn a_failed_write_acknowledges_nobody_and_changes_nothing() {
    let memory = Memory::new();
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flaky = Flaky { inner: memory.clone(), broken: broken.clone() };
    let world = World::with(memory, || flaky, |_| {}).await;
    let mut agent = world.agent("a", 1).await;
    let report = agent.report("ulaw");
    broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = world.post("/api/v1/report", &agent.token, &report).await;
    assert_eq!(read_problem(answer).await.code, ProblemCode::Failed);
    broken.store(false, std::sync::atomic::Ordering::SeqCst);
    let answer = world.post("/api/v1/report", &agent.token, &report).await;
    assert_eq!(read::<ReportAnswer>(answer).await.outcomes, [Outcome::Applied]);
}

/// A store that fails, as a full disk does.
struct Flaky {
    inner: Memory,
    broken: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Flaky {
    fn works(&self) -> Result<(), crate::store::StoreError> {
        if self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(crate::store::StoreError::Damaged { what: "the test's disk".into() });
        }
        Ok(())
    }
}

impl Append for Flaky {
    fn write(
        &mut self,
        parts: &[crate::store::NewPart],
        steps: &[crate::store::Step],
        now: jiff::Timestamp,
    ) -> Result<u64, crate::store::StoreError> {
        self.works()?;
        self.inner.write(parts, steps, now)
    }
    fn note_seen(
        &mut self,
        seen: &[(HostId, jiff::Timestamp)],
    ) -> Result<(), crate::store::StoreError> {
        self.inner.note_seen(seen)
    }
    fn expire(
        &mut self,
        before: jiff::Timestamp,
        now: jiff::Timestamp,
        limit: u32,
    ) -> Result<u64, crate::store::StoreError> {
        self.inner.expire(before, now, limit)
    }
}

#[tokio::test]
async fn a_refused_enrolment_is_told_with_who_asked_and_no_text_of_his() {
    let world = World::new().await;
    let body = |version: u32, secret: &str, proposed: &str| {
        serde_json::json!({
            "version": version, "secret": secret, "proposed": proposed, "kind": "uc",
            "incarnation": "07".repeat(16), "agent_version": "<script>",
        })
    };
    let wrong = "driftline_enrolments_refused_total{reason=\"wrong_secret\"}";
    let malformed = "driftline_enrolments_refused_total{reason=\"malformed\"}";
    assert_eq!(world.metric(wrong).await, 0.0);
    for _ in 0..3 {
        world.post("/api/v1/enrol", "", &body(1, "no secret of ours at all", "web-7")).await;
    }
    world.post("/api/v1/enrol", "", &body(1, SECRET, "<script>alert(1)</script>")).await;
    world.post("/api/v1/enrol", "", &body(99, SECRET, "web-8")).await;
    assert_eq!((world.metric(wrong).await, world.metric(malformed).await), (3.0, 1.0));
    let told = world.get("/api/v1/enrolments/refused").await.1;
    let rows: serde_json::Value = serde_json::from_str(&told).unwrap();
    let row = |reason: &str| {
        let mut rows = rows["refused"].as_array().unwrap().iter();
        rows.find(|row| row["reason"] == reason).unwrap_or_else(|| panic!("no {reason}: {told}"))
    };
    assert_eq!((&row("wrong_secret")["count"], &row("version")["count"]), (&3.into(), &1.into()));
    let (host, from) = (&row("wrong_secret")["host"], &row("wrong_secret")["from"]);
    assert_eq!((host, from), (&"web-7".into(), &"127.0.0.1".into()));
    assert!(row("malformed")["host"].is_null(), "{told}");
    let (page, metrics) = (world.get("/").await.1, world.get("/metrics").await.1);
    assert!(page.contains("3 enrolments were refused (wrong_secret), the last as web-7 from"));
    for text in [&told, &page, &metrics] {
        for secret in ["script>", "no secret of ours", SECRET] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    world.agent("web-7", 7).await;
    assert!(!world.get("/").await.1.contains("wrong_secret"), "it has enrolled since");
}

#[tokio::test]
async fn an_enrolment_with_what_has_ended_is_told_apart_from_a_wrong_one() {
    let memory = Memory::new();
    let world = World::with(
        memory.clone(),
        || memory,
        |config| {
            config.enrolment_secret_file = None;
        },
    )
    .await;
    let body = serde_json::json!({
        "version": 1, "secret": "any secret of sixteen", "proposed": "web", "kind": "uc",
        "incarnation": "07".repeat(16), "agent_version": "0",
    });
    let answer = world.post("/api/v1/enrol", "", &body).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let told = answer.text().await.unwrap();
    assert!(!told.contains("none"), "who asks does not learn which: {told}");
    assert_eq!(world.metric("driftline_enrolments_refused_total{reason=\"none_set\"}").await, 1.0);
    let keys = crate::auth::Keys::default();
    let now = jiff::Timestamp::now();
    let (token, record) = crate::auth::make("e", crate::store::Scope::Enrol, 1, now).unwrap();
    let ends = record.expires_at;
    keys.learn(&[crate::store::Step::Token(record)]);
    assert!(!keys.enrolled_once(&token, now) && keys.enrolled_once(&token, ends));
}
