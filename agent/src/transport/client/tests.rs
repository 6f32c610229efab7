//! The client against servers made by hand on the loopback: whom it trusts, and what it takes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::*;

/// A certificate authority with one server certificate for this machine.
struct Authority {
    pem: String,
    server: Arc<ServerConfig>,
}

impl Authority {
    fn new() -> Self {
        Self::named("an authority")
    }

    fn named(name: &str) -> Self {
        install();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let server = CertificateParams::new(names).unwrap().signed_by(&server_key, &issuer);
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
        let server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![server.unwrap().der().clone()], private)
            .unwrap();
        Self { pem, server: Arc::new(server) }
    }

    /// The CA file of a client that trusts this authority.
    fn file(&self) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(self.pem.as_bytes()).unwrap();
        file
    }
}

fn install() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        // Another test was first.
    }
}

/// A server on the loopback that gives every request the same answer.
struct Server {
    port: u16,
    requests: Arc<AtomicU64>,
}

impl Server {
    /// Encrypted by `authority`'s certificate, or plain where there is none.
    fn start(authority: Option<&Authority>, answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = authority.map(|authority| Arc::clone(&authority.server));
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let served = match &config {
                    Some(config) => {
                        let session = ServerConnection::new(Arc::clone(config)).unwrap();
                        serve(StreamOwned::new(session, stream), &answer, &counted)
                    }
                    None => serve(stream, &answer, &counted),
                };
                // A client that does not trust us ends the connection; the count tells it.
                drop(served);
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Acquire)
    }
}

/// Reads one request, counts it and writes the answer; fails when the client does not trust us.
fn serve(stream: impl Read + Write, answer: &[u8], counted: &AtomicU64) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    // Before the answer: whoever has that must find the request counted.
    counted.fetch_add(1, Ordering::Release);
    reader.get_mut().write_all(answer)?;
    reader.get_mut().flush()
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    // The server ends the connection; a client that does not know asks over it once more.
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

async fn post(collector: &Collector) -> Result<Value, RequestError> {
    collector.post(("/api/v1/heartbeat", Some("token")), &"hello", limits::ANSWER_BYTES).await
}

#[tokio::test]
async fn the_right_authority_is_trusted_and_no_other() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = Server::start(Some(&ours), answer("200 OK", "", b"7"));
    let address = format!("https://localhost:{}", server.port);
    let (right, wrong) = (ours.file(), theirs.file());
    let trusting = Collector::new(&address, Some(right.path())).unwrap();
    assert_eq!(post(&trusting).await.unwrap(), Value::from(7));
    let answered = server.requests();
    for ca in [Some(wrong.path()), None] {
        let collector = Collector::new(&address, ca).unwrap();
        assert!(matches!(post(&collector).await, Err(RequestError::Network(_))), "{ca:?}");
    }
    assert_eq!(server.requests(), answered, "a request reached a server that is not trusted");
}

#[tokio::test]
async fn an_authority_that_was_replaced_is_trusted_from_the_next_request_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let server = Server::start(Some(&new), answer("200 OK", "", b"7"));
    let file = old.file();
    let address = format!("https://localhost:{}", server.port);
    let collector = Collector::new(&address, Some(file.path())).unwrap();
    let known_before = collector.clone();
    for half_written in ["", &old.pem] {
        std::fs::write(file.path(), half_written).unwrap();
        assert!(matches!(post(&collector).await, Err(RequestError::Network(_))));
    }
    std::fs::write(file.path(), &new.pem).unwrap();
    assert!(post(&collector).await.is_err(), "it is read when the collector is not trusted");
    assert_eq!(post(&collector).await.unwrap(), Value::from(7));
    assert_eq!(post(&known_before).await.unwrap(), Value::from(7), "whoever holds it has it");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let ours = Authority::new();
    let server = Server::start(Some(&ours), answer("200 OK", "", b"7"));
    let file = ours.file();
    let address = format!("https://127.0.0.1:{}", server.port);
    let collector = Collector::new(&address, Some(file.path())).unwrap();
    assert!(matches!(post(&collector).await, Err(RequestError::Network(_))));
}

/// The port of a server without TLS, which answers whatever it gets as web servers do.
fn refusing() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut hello = [0; 4_096];
            if stream.read(&mut hello).is_ok_and(|read| read > 0) {
                // A client that is gone has seen enough.
                drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
            }
        }
    });
    port
}

#[tokio::test]
async fn what_tls_and_http_say_comes_with_what_to_do() {
    let (ours, theirs) = (Authority::new(), Authority::named("another"));
    let same_name = Authority::new().file();
    let encrypted = Server::start(Some(&ours), answer("200 OK", "", b"7"));
    let plain = refusing();
    let (right, wrong) = (ours.file(), theirs.file());
    for (address, ca, expect) in [
        (format!("https://localhost:{}", encrypted.port), wrong.path(), "`ca_file` names"),
        (
            format!("https://localhost:{}", encrypted.port),
            same_name.path(),
            "another authority of the same name",
        ),
        (format!("https://127.0.0.1:{}", encrypted.port), right.path(), "for another name"),
        (format!("https://localhost:{}", plain), right.path(), "no TLS is spoken there"),
        (format!("http://localhost:{}", encrypted.port), right.path(), "no HTTP is spoken there"),
    ] {
        let collector = Collector::new(&address, Some(ca)).unwrap();
        let error = post(&collector).await.unwrap_err();
        let text = crate::transport::chain(&error);
        assert!(error.to_string().contains(expect), "{address}: {text}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    install();
    let elsewhere = Server::start(None, answer("200 OK", "", b"7"));
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let to = format!("location: http://127.0.0.1:{}/\r\n", elsewhere.port);
        let server = Server::start(None, answer(status, &to, b""));
        let collector = Collector::new(&format!("http://127.0.0.1:{}", server.port), None).unwrap();
        let refused = post(&collector).await;
        assert!(matches!(refused, Err(RequestError::Refused { .. })), "{status}: {refused:?}");
    }
    assert_eq!(elsewhere.requests(), 0, "a token was carried elsewhere");
}

#[tokio::test]
async fn an_answer_over_the_bound_is_cut_off_packed_or_not() {
    install();
    let blanks = |count: usize| vec![b' '; count];
    let packed = zstd::bulk::compress(&blanks(limits::DECOMPRESSED_BYTES + 1), 1).unwrap();
    for answer in [
        answer("200 OK", "", &blanks(limits::BODY_BYTES + 1)),
        answer("200 OK", "content-encoding: zstd\r\n", &packed),
    ] {
        let server = Server::start(None, answer);
        let collector = Collector::new(&format!("http://127.0.0.1:{}", server.port), None).unwrap();
        let refused = post(&collector).await;
        assert!(matches!(refused, Err(RequestError::Answer(_))), "{refused:?}");
    }
}

#[test]
fn plain_http_is_for_this_machine_only() {
    for (address, loopback) in [
        ("http://127.0.0.1:9470", true),
        ("http://[::1]:9470", true),
        ("http://localhost:9470", true),
        ("http://127.0.0.1.example.org", false),
        ("http://collector", false),
    ] {
        assert_eq!(is_loopback(&Url::parse(address).unwrap()), loopback, "{address}");
    }
    assert!(matches!(Collector::new("http://collector", None), Err(ClientError::Plain(_))));
    assert!(matches!(Collector::new("ftp://collector", None), Err(ClientError::Url(_))));
}

#[tokio::test]
async fn what_a_refusal_says_is_cut_and_shows_every_character() {
    install();
    let (long, longer) = ("x".repeat(10_000), "x".repeat(1_000_000));
    let cut = format!("{}…", "x".repeat(WORDS_CHARS));
    for (detail, expect) in [
        ("no such host", "no such host"),
        (r"a\nERROR b\u001b[2J\u202ec", "a\\u{a}ERROR b\\u{1b}[2J\\u{202e}c"),
        (&long, &cut),
        (&longer, "an answer that is not the collector's"),
    ] {
        let body = format!(r#"{{"code":"failed","detail":"{detail}"}}"#);
        let server = Server::start(None, answer("500 Failed", "", body.as_bytes()));
        let collector = Collector::new(&format!("http://127.0.0.1:{}", server.port), None).unwrap();
        let Err(RequestError::Refused { problem, .. }) = post(&collector).await else {
            panic!("a refusal is one")
        };
        assert_eq!(problem.detail, expect);
    }
}

#[tokio::test]
async fn an_answer_is_no_larger_than_its_bound_packed_or_not() {
    install();
    let wants = |count: usize| {
        let wants: Vec<_> = (0..count).map(|n| format!(r#""s{n:x}":{{"generation":9}}"#)).collect();
        format!("{{{}}}", wants.join(",")).into_bytes()
    };
    for (count, fits) in [(128, true), (20_000, false)] {
        let body = wants(count);
        for (headers, sent) in
            [("", body.clone()), ("content-encoding: zstd\r\n", wire::compress(body).0)]
        {
            let server = Server::start(None, answer("200 OK", headers, &sent));
            let address = format!("http://localhost:{}", server.port);
            let answered = post(&Collector::new(&address, None).unwrap()).await;
            match answered {
                Ok(answer) => assert!(fits && answer.as_object().unwrap().len() == count),
                Err(error) => {
                    assert!(!fits && matches!(error, RequestError::Answer("too large")), "{error}")
                }
            }
        }
    }
}
