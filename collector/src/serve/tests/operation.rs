//! Starting, reloading, breaking and stopping.

use driftline_protocol::wire::{Outcome, ReportAnswer};

use super::*;

#[tokio::test]
async fn a_bad_file_keeps_the_old_configuration_and_says_so() {
    let world = World::new().await;
    let file = world.folder.path().join("collector.toml");
    let secret = world.folder.path().join("secret");
    let good = format!(
        "listen = '127.0.0.1:0'\nenrolment_secret_file = '{}'\n\
         [[host]]\nname = 'a'\nsite = 'graz'\n",
        secret.display()
    );
    world.agent("a", 1).await;
    assert_eq!(world.metric("driftline_hosts_unassigned").await, 1.0);
    std::fs::write(&file, "colour = 'red'\n").unwrap();
    world.until("/metrics", "driftline_reload_success 0").await;
    let events = world.until("/api/v1/events", "not reloaded").await;
    assert!(events.contains("collector.toml:1: unknown field `colour`"), "{events}");
    let told = world.get("/api/v1/configuration").await.1;
    assert!(told.contains("collector.toml:1: unknown field `colour`"), "{told}");
    let overview = world.get("/").await.1;
    assert!(overview.contains("The configuration was not reloaded"), "{overview}");
    assert!(overview.contains("unknown field"), "{overview}");
    std::fs::write(&file, good).unwrap();
    world.until("/metrics", "driftline_reload_success 1").await;
    world.until("/metrics", "driftline_hosts_unassigned 0").await;
    let told = world.get("/api/v1/configuration").await.1;
    assert!(told.contains("\"problem\":null"), "{told}");
    assert!(!world.get("/").await.1.contains("not reloaded"));
    let metrics = world.get("/metrics").await.1;
    assert!(metrics.contains("site=\"graz\""), "{metrics}");
}

/// A certificate of nobody but itself, so that who trusts one trusts no other: its files are
/// written into `folder`.
fn certify(folder: &std::path::Path) -> String {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("cert.pem"), certified.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    certified.cert.pem()
}

/// The page at `url` for somebody who trusts `pem` alone, by a client of its own: an open
/// connection goes on with the old certificate.
async fn got(url: &str, pem: &str) -> Option<String> {
    let root = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([root]).build().unwrap();
    client.get(url).send().await.ok()?.text().await.ok()
}

/// Waits, with a limit, until somebody who trusts `pem` alone gets a page that says `wanted`.
async fn served((port, pem): (u16, &str), path: &str, wanted: &str) {
    let url = format!("https://localhost:{port}{path}");
    let mut last = None;
    for _ in 0..200 {
        last = got(&url, pem).await;
        if last.as_ref().is_some_and(|page| page.contains(wanted)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{url} never said {wanted} under {pem}: {last:?}");
}

#[tokio::test]
async fn a_certificate_of_another_path_is_served_and_its_replacement_too() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let folder = tempfile::tempdir().unwrap();
    let [first, second, third] = ["first", "second", "third"].map(|name| folder.path().join(name));
    let file = folder.path().join("collector.toml");
    let write = |of: &std::path::Path| {
        let (cert, key) = (of.join("cert.pem"), of.join("key.pem"));
        let (cert, key) = (cert.display(), key.display());
        let tls = format!("[tls]\ncert_file = '{cert}'\nkey_file = '{key}'\n");
        std::fs::write(&file, format!("listen = '127.0.0.1:0'\n{tls}")).unwrap();
    };
    let pem = certify(&first);
    write(&first);
    let config = crate::config::load::load(&file).unwrap();
    let memory = Memory::new();
    let read = std::sync::Arc::new(memory.clone());
    let stores = Stores { append: Box::new(memory), read, epoch: 1, checkpoint: None, lock: None };
    let begin = Start { config, config_file: Some(file.clone()), stores };
    let running = start(begin, std::future::pending()).await.unwrap();
    let port = running.address.port();
    served((port, &pem), "/-/healthy", "healthy").await;
    let pem = certify(&second);
    write(&second);
    served((port, &pem), "/-/healthy", "healthy").await;
    let pem = certify(&second);
    served((port, &pem), "/-/healthy", "healthy").await;
    // Where nothing is yet, what comes later is read, and the one in use is served until then.
    std::fs::create_dir(&third).unwrap();
    write(&third);
    served((port, &pem), "/api/v1/configuration", "third/cert.pem").await;
    let pem = certify(&third);
    served((port, &pem), "/api/v1/configuration", "\"problem\":null").await;
}

#[tokio::test]
async fn a_request_that_breaks_the_writer_harms_nobody_else() {
    use crate::auth::Keys;
    use crate::ingest::{self, Decided};
    use crate::metrics::live::Live;
    use crate::store::{EventKind, EventRecord, ReadHistory, Step};
    use crate::writer::{Parts, WriteError, Writer};
    use std::sync::Arc;

    let memory = Memory::new();
    let live = Arc::new(Live::default());
    let writer = Writer::start(Parts {
        append: Box::new(memory.clone()),
        read: Arc::new(memory.clone()),
        config: ingest::Config::default(),
        keys: Arc::new(Keys::default()),
        live: Arc::clone(&live),
    })
    .unwrap();
    let event = |context: ingest::Context<'_>| {
        let event = EventRecord {
            at: context.now,
            host: None,
            kind: EventKind::Reloaded,
            detail: String::new(),
        };
        Decided { answer: 7, parts: vec![], steps: vec![Step::Event(event)] }
    };
    let (before, broken, after) = tokio::join!(
        writer.ask(move |_, context| Ok(event(context))),
        writer.ask::<()>(|_, _| panic!("a bug, made for this test")),
        writer.ask(move |_, context| Ok(event(context))),
    );
    assert_eq!((before.unwrap(), after.unwrap()), (7, 7));
    assert!(matches!(broken, Err(WriteError::Failed)));
    assert_eq!(memory.events(None, 10).unwrap().len(), 2);
    writer.stop();
    let late = writer.ask(move |_, context| Ok(event(context))).await;
    assert!(matches!(late, Err(WriteError::Failed)));
}

#[tokio::test]
async fn health_is_told_without_a_login() {
    let world = World::new().await;
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(world.get(path).await.0, StatusCode::OK, "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_store_has_one_collector_and_no_log_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let config = Config { state_dir: state.clone(), ..Config::default() };
    let stores = super::super::upkeep::open_alone(&config).unwrap();
    let second = super::super::upkeep::open_alone(&config).err().unwrap().to_string();
    assert!(second.contains("stop it first"), "{second}");
    let world = World::over(stores, folder, |_| {}).await;
    let mut agent = world.agent("a", 1).await;
    let answer: ReportAnswer = read(world.report(&mut agent, "1").await).await;
    assert_eq!(answer.outcomes, [Outcome::Applied]);
    drop(super::super::upkeep::open(&config).unwrap());
    let _folder = world.stop().await;
    let log = std::fs::metadata(state.join("collector.sqlite-wal"));
    assert!(log.is_err(), "{log:?}");
    assert!(super::super::upkeep::lock(&config).is_ok());
}

#[test]
fn what_serving_would_refuse_a_check_refuses() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let check = |listen: [u8; 4], secret: &str, mode: u32, problem: &str| {
        std::fs::write(&file, secret).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert_file, key_file) = (folder.path().join("cert"), folder.path().join("key"));
        std::fs::write(&cert_file, certified.cert.pem()).unwrap();
        std::fs::write(&key_file, certified.signing_key.serialize_pem()).unwrap();
        let tls = Some(crate::config::Tls { cert_file, key_file });
        let config = Config {
            listen: (listen, 0).into(),
            enrolment_secret_file: Some(file.clone()),
            tls: tls.filter(|_| problem != "[tls] is not set"),
            ..Config::default()
        };
        let told = super::super::check(&config).err().map(|error| error.to_string());
        assert_eq!(told.is_some(), !problem.is_empty(), "{told:?}");
        assert!(told.unwrap_or_default().contains(problem), "{problem}");
    };
    let long = "0123456789abcdef";
    check([127, 0, 0, 1], long, 0o644, "");
    check([127, 0, 0, 1], "short", 0o600, "shorter than 16");
    check([0, 0, 0, 0], long, 0o600, "[tls] is not set");
    check([0, 0, 0, 0], long, 0o604, "chmod 600");
    check([0, 0, 0, 0], long, 0o640, "");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { state_dir: folder.path().join("state"), ..Config::default() };
    let stores = super::super::upkeep::open(&config).unwrap();
    let world = World::over(stores, folder, |_| {}).await;
    let mut agent = world.agent("a", 1).await;
    for value in ["1", "2"] {
        let answer: ReportAnswer = read(world.report(&mut agent, value).await).await;
        assert_eq!(answer.outcomes, [Outcome::Applied]);
    }
    let before = world.get("/api/v1/changes").await.1;
    let folder = world.stop().await;
    let world = World::over(super::super::upkeep::open(&config).unwrap(), folder, |_| {}).await;
    assert_eq!(world.get("/api/v1/changes").await.1, before);
    assert!(before.contains("sip.conf"), "{before}");
    // The token still counts, and nobody enrols again.
    let answer: ReportAnswer = read(world.report(&mut agent, "3").await).await;
    assert_eq!(answer.outcomes, [Outcome::Applied]);
    let mode = std::fs::metadata(&config.state_dir).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o077, 0);
    world.stop().await;
}
