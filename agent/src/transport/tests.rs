//! The transport against a collector made by hand, on the loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use driftline_protocol::ids::SourceName;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::redact::Redactor;
use driftline_protocol::snapshot::Domain;
use driftline_protocol::wire::{Report, SourceReading};

use super::exchange::REFUSALS;
use super::proof::TOKEN_BYTES;
use super::*;
use crate::spool::{Keep, Observation, Settings as SpoolSettings, Spool};

/// How long a test waits for what must happen.
const LIMIT: Duration = Duration::from_secs(20);

/// Answers each request by its path, and tells which came.
fn serve(listener: &TcpListener, seen: &SyncSender<String>) {
    while let Ok((mut stream, _)) = listener.accept() {
        while let Some((path, token, body)) = request(&mut stream) {
            let copied = token.as_deref() == Some("bearer copied");
            let known = token.is_none_or(|token| token == "bearer t");
            let (status, answer) = match known {
                true => answer(&path, &body),
                false if copied && path == "/api/v1/enrol" => answer(&path, &body),
                false if copied => ("409 Conflict", r#"{"code":"clone","detail":""}"#.into()),
                false => ("401 Unauthorized", r#"{"code":"unauthorised","detail":""}"#.into()),
            };
            let text =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            // Told first: whoever has the answer may count.
            if seen.send(path).is_err() || stream.write_all(text.as_bytes()).is_err() {
                break;
            }
        }
    }
}

fn request(stream: &mut TcpStream) -> Option<(String, Option<String>, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let (mut length, mut packed, mut token) = (0, false, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_lowercase();
        match line.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(("content-encoding", "zstd")) => packed = true,
            Some(("authorization", value)) => token = Some(value.to_owned()),
            Some(_) => (),
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = if packed { driftline_protocol::wire::decompress(&body).unwrap() } else { body };
    Some((path, token, body))
}

fn answer(path: &str, body: &[u8]) -> (&'static str, String) {
    match path {
        "/api/v1/enrol" => {
            let request: EnrolRequest = serde_json::from_slice(body).unwrap();
            // Whoever is a copy gets a name of its own, and so does whoever has another's.
            let own = request.replaces.filter(|_| request.secret.is_none());
            let taken = request.proposed.as_str() == "taken";
            let own = own.or_else(|| taken.then(|| request.proposed.clone()));
            let host =
                own.map_or(request.proposed, |copied| HostId::nearest(&format!("{copied}-2")));
            // Whoever tries a token hands it over as his secret.
            let secret = request.secret.as_deref().unwrap_or_default();
            let token = secret.strip_prefix("give ").unwrap_or("\"t\"");
            ("200 OK", format!(r#"{{"host":"{host}","token":{token},"epoch":1}}"#))
        }
        "/api/v1/heartbeat" => (
            "200 OK",
            r#"{"epoch":1,"generation":0,"next_ms":60000,
                "want":{"files":{"generation":0},"of_another":{"generation":0}},
                "collector_time":"2026-01-01T00:00:00Z"}"#
                .into(),
        ),
        "/api/v1/report" => {
            let report: Report = serde_json::from_slice(body).unwrap();
            let outcomes = vec![r#"{"outcome":"applied"}"#; report.versions.len()].join(",");
            ("200 OK", format!(r#"{{"epoch":1,"outcomes":[{outcomes}]}}"#))
        }
        _ => ("404 Not Found", r#"{"code":"not_found","detail":""}"#.into()),
    }
}

fn transport(folder: &std::path::Path) -> (Transport<Spool>, Spool, Receiver<String>) {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        // Another test was first.
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, seen) = sync_channel(64);
    std::thread::spawn(move || serve(&listener, &tell));
    let redactor = Redactor::new([1; 32]);
    let settings =
        SpoolSettings { folder: folder.into(), limit_bytes: 1 << 24, boot: "boot".into() };
    let spool = Spool::open(settings, redactor.clone()).unwrap();
    keep(&folder.join("secret"), "secret\n", 0o600);
    let settings = Settings {
        proposed: HostId::nearest("h"),
        kind: HostKind::Endpoint,
        secret_file: Some(folder.join("secret")),
        heartbeat_ms: 60_000,
        key: redactor.key_id(),
        site_key: false,
        stranded: Arc::default(),
    };
    let collector = Collector::new(&address, None).unwrap();
    let watching: Watching = Arc::new(Wellbeing::default);
    (Transport::new(collector, spool.clone(), settings, watching).unwrap(), spool, seen)
}

/// A file with the secret, for whom `mode` says.
fn keep(path: &std::path::Path, secret: &str, mode: u32) {
    std::fs::write(path, secret).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(windows)]
    let _ = mode;
}

#[test]
#[cfg(unix)]
fn a_secret_that_others_can_read_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    for (mode, refused) in [(0o644, true), (0o640, true), (0o604, true), (0o600, false)] {
        keep(&path, " s\n", mode);
        let read = secret_of(&path).map_err(|error| error.to_string());
        let advice = format!("chmod 600 {}", path.display());
        match read {
            Ok(secret) => assert!(!refused && secret == "s", "{mode:o}: {secret}"),
            Err(error) => assert!(refused && error.ends_with(&advice), "{mode:o}: {error}"),
        }
    }
}

fn observe(spool: &mut Spool) {
    let source: SourceName = "files".parse().unwrap();
    spool.begin(&source).unwrap();
    let observation = Observation {
        source,
        domain: Domain::Config,
        manifest: Manifest::default(),
        unobserved: Default::default(),
        tally: None,
        observed_at: jiff::Timestamp::UNIX_EPOCH,
        observed_monotonic_ms: 1,
        reading: SourceReading::default(),
    };
    spool.commit(observation).unwrap();
}

#[tokio::test]
async fn a_version_arrives_by_enrolment_heartbeat_and_report_and_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (transport, mut spool, seen) = transport(folder.path());
    observe(&mut spool);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(transport.run(Arc::new(Notify::new()), stopped));
    let paths =
        tokio::task::spawn_blocking(move || [(); 3].map(|()| seen.recv_timeout(LIMIT).unwrap()));
    let expected = ["/api/v1/enrol", "/api/v1/heartbeat", "/api/v1/report"];
    assert_eq!(paths.await.unwrap(), expected);
    let settled = async {
        while !spool.waiting(1).unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, settled).await.unwrap();
    stop.send(true).unwrap();
    tokio::time::timeout(LIMIT, running).await.unwrap().unwrap();
    assert_eq!(spool.identity().token.as_deref(), Some("t"));
}

#[tokio::test]
async fn a_host_that_enrols_again_keeps_its_name_its_state_and_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (mut transport, mut spool, _seen) = transport(folder.path());
    spool.enrolled(HostId::nearest("h-2"), "old".into(), 7).unwrap();
    observe(&mut spool);
    let before = (spool.identity(), spool.waiting(9).unwrap());
    let answer = transport.send(Next::Enrol(Proof::Secret)).await.unwrap();
    assert_eq!(answer, Answer::Enrolled);
    let after = (spool.identity(), spool.waiting(9).unwrap());
    assert_eq!(after.0.host, before.0.host, "not the name it proposed at first");
    assert_eq!(after.0.incarnation, before.0.incarnation);
    assert_eq!((after.0.token.as_deref(), after.0.epoch), (Some("t"), 1));
    assert_eq!((after.1.len(), after.1), (1, before.1));
}

#[tokio::test]
async fn a_token_that_no_request_can_carry_is_not_kept() {
    let long = |count: usize| format!("\"{}\"", "t".repeat(count));
    for (token, taken) in [
        (r#""a\nb""#, false),
        (r#""""#, false),
        (r#""a b""#, false),
        (r#""ä""#, false),
        (r#""\u007f""#, false),
        (&long(TOKEN_BYTES + 1), false),
        (&long(TOKEN_BYTES), true),
        (r#""dlh_0.-_~+/=""#, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (mut transport, mut spool, _seen) = transport(folder.path());
        spool.enrolled(HostId::nearest("h"), "old".into(), 7).unwrap();
        keep(&folder.path().join("secret"), &format!("give {token}"), 0o600);
        let enrolled = transport.send(Next::Enrol(Proof::Secret)).await;
        assert_eq!(enrolled.is_ok(), taken, "{token}: {enrolled:?}");
        let kept = spool.identity().token;
        assert_eq!(kept.as_deref() == Some("old"), !taken, "{token}");
    }
}

#[tokio::test]
async fn a_person_enrols_a_host_again_that_the_collector_does_not_know() {
    for (token, name, (gets, kept), done, asked) in [
        ("t", "h", ("h", "t"), Enrolled::Known, 1),
        ("unknown", "h", ("h", "t"), Enrolled::Anew, 2),
        ("unknown", "h-2", ("h-2", "t"), Enrolled::Anew, 2),
        // The name is of whoever answered for a second; its own finds the host again.
        ("unknown", "pwned", ("h", "t"), Enrolled::Anew, 2),
        ("unknown", "taken", ("taken-2", "t"), Enrolled::NameTaken, 2),
        ("copied", "h", ("h", "copied"), Enrolled::CalledCopy, 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (mut transport, mut spool, seen) = transport(folder.path());
        if name == "taken" {
            transport.settings.proposed = HostId::nearest(name);
        }
        spool.enrolled(HostId::nearest(name), token.into(), 7).unwrap();
        assert_eq!(transport.enrol().await.unwrap(), (HostId::nearest(gets), done));
        assert_eq!(seen.try_iter().count(), asked, "with the token {token}");
        assert_eq!(spool.identity().token.as_deref(), Some(kept));
    }
}

#[tokio::test]
async fn over_plain_http_whoever_calls_a_host_a_copy_does_not_take_its_identity() {
    let folder = tempfile::tempdir().unwrap();
    let (mut transport, mut spool, seen) = transport(folder.path());
    spool.enrolled(HostId::nearest("h"), "copied".into(), 7).unwrap();
    transport.exchange = Exchange::new(None, 60_000, 0).keeping_identity();
    observe(&mut spool);
    let before = (spool.identity(), spool.waiting(9).unwrap());
    for turn in 0..REFUSALS {
        assert_eq!(transport.turn().await, None, "turn {turn}: something is asked");
        assert!(transport.turn().await.is_some(), "turn {turn}: it waits");
        transport.exchange.wait_no_longer();
    }
    assert_eq!((spool.identity(), spool.waiting(9).unwrap()), before);
    assert!(transport.settings.stranded.load(Ordering::Relaxed), "somebody is told");
    assert!(seen.try_iter().all(|path| path == "/api/v1/heartbeat"));
}

#[tokio::test]
async fn what_a_heartbeat_is_answered_of_sources_it_did_not_name_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let (mut transport, mut spool, _seen) = transport(folder.path());
    spool.enrolled(HostId::nearest("h"), "t".into(), 7).unwrap();
    observe(&mut spool);
    let wanted = |answer| {
        let Answer::Heartbeat { answer, .. } = answer else { panic!("{answer:?}") };
        answer.want.into_keys().map(|source| source.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(wanted(transport.send(Next::Heartbeat).await.unwrap()), ["files"]);
}

#[tokio::test]
async fn an_enrolment_that_nobody_hears_says_that_nothing_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut transport, mut spool, _seen) = transport(folder.path());
    spool.enrolled(HostId::nearest("h"), "t".into(), 7).unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    transport.collector = Collector::new(&format!("http://{nobody}"), None).unwrap();
    let (_, done) = transport.enrol().await.unwrap();
    assert!(done.as_str().contains("nothing was changed"), "{done:?}");
}
