//! Targets of the test's own: that answer, are silent, refuse, and show certificates of all kinds.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

fn target(kind: Kind, port: u16) -> Target {
    Target {
        service: "voice".into(),
        hop: "carrier".into(),
        kind,
        address: format!("127.0.0.1:{port}"),
        name: None,
        ca_file: None,
    }
}

fn turned(target: &Target) -> Outcome {
    turn(target, &Config::default(), &Shared::default()).unwrap()
}

/// An answer to a SIP request, with its own headers.
fn answered(request: &str, status: &str) -> String {
    let kept = ["Via", "From", "To", "Call-ID", "CSeq"];
    let headers = request.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
    let headers: Vec<&str> = headers.collect();
    format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", headers.join("\r\n"))
}

/// Answers datagrams, of each `every` requests one, and never the ones in between.
fn over_udp(every: usize, status: &'static str) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut piece = [0; 4_096];
        for n in 0.. {
            let Ok((length, from)) = socket.recv_from(&mut piece) else { return };
            if n % every == 0 {
                let request = String::from_utf8_lossy(&piece[..length]).into_owned();
                // What is not ours, and what is not final, is passed over.
                let others = request.replace("Call-ID: ", "Call-ID: x");
                for answer in [
                    answered(&others, "200 OK"),
                    answered(&request, "100 Trying"),
                    answered(&request, status),
                ] {
                    socket.send_to(answer.as_bytes(), from).unwrap();
                }
            }
        }
    });
    port
}

#[test]
fn options_tell_code_loss_and_round_trip() {
    let outcome = turned(&target(Kind::SipUdp, over_udp(1, "404 Not here")));
    assert_eq!((outcome.answer, outcome.code), (Answer::Answered, Some(404)));
    assert_eq!(outcome.loss_percent, 0);
    assert!(outcome.round_trip.unwrap() < PATIENCE);
    let outcome = turned(&target(Kind::SipUdp, over_udp(2, "200 OK")));
    assert_eq!(
        (outcome.answer, outcome.code, outcome.loss_percent),
        (Answer::Answered, Some(200), 33)
    );
    let outcome = turned(&target(Kind::SipUdp, over_udp(usize::MAX, "200 OK")));
    assert_eq!(outcome.loss_percent, 66, "the first is answered and no other");
}

#[test]
fn what_does_not_answer_is_told_from_what_refuses() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let outcome = turned(&target(Kind::SipUdp, silent.local_addr().unwrap().port()));
    let expected = (Answer::Silent, None, None, 100);
    assert_eq!((outcome.answer, outcome.code, outcome.round_trip, outcome.loss_percent), expected);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(turned(&target(Kind::Tcp, closed)).answer, Answer::Refused);
    assert_eq!(turned(&target(Kind::Tls, closed)).answer, Answer::Refused);
    let nowhere = Target { address: "no.such.invalid:5060".into(), ..target(Kind::Tcp, 1) };
    assert_eq!(turned(&nowhere).answer, Answer::Unknown);
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = open.local_addr().unwrap().port();
    assert_eq!(turned(&target(Kind::Tcp, port)).answer, Answer::Answered);
    assert_eq!(turned(&target(Kind::SipTcp, port)).answer, Answer::Silent);
}

/// A server whose certificate is for `name` and ends in `year`, and the authority behind it.
fn over_tls(name: &str, year: i32) -> (u16, tempfile::NamedTempFile) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut ca = tempfile::NamedTempFile::new().unwrap();
    ca.write_all(params.self_signed(&key).unwrap().pem().as_bytes()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(year, 1, 1);
    let certificate = params.signed_by(&key, &issuer).unwrap().der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, stream);
            let mut piece = [0; 4_096];
            if let Ok(length) = stream.read(&mut piece) {
                let request = String::from_utf8_lossy(&piece[..length]).into_owned();
                // A caller that only shakes hands has gone.
                stream.write_all(answered(&request, "200 OK").as_bytes()).unwrap_or_default();
                stream.flush().unwrap_or_default();
            }
        }
    });
    (port, ca)
}

#[test]
fn a_certificate_is_judged_and_the_handshake_ends_all_the_same() {
    let (good, ca) = over_tls("sip.example.org", 2090);
    let (old, old_ca) = over_tls("sip.example.org", 2021);
    let verdict = |port: u16, name: &str, ca: Option<&tempfile::NamedTempFile>| {
        let ca_file = ca.map(|ca| ca.path().to_path_buf());
        let outcome =
            turned(&Target { name: Some(name.into()), ca_file, ..target(Kind::Tls, port) });
        assert_eq!(outcome.answer, Answer::Answered);
        outcome.certificate.unwrap()
    };
    assert_eq!(verdict(good, "sip.example.org", Some(&ca)).verdict, "valid");
    assert_eq!(verdict(good, "sip.example.com", Some(&ca)).verdict, "wrong_name");
    assert_eq!(verdict(good, "sip.example.org", Some(&old_ca)).verdict, "untrusted");
    assert_eq!(verdict(good, "sip.example.com", None).verdict, "valid", "only dates are looked at");
    let gone = tempfile::NamedTempFile::new().unwrap();
    std::fs::remove_file(gone.path()).unwrap();
    let unread = verdict(good, "sip.example.org", Some(&gone));
    assert_eq!(unread.verdict, "unjudged", "what cannot be read says nothing is well");
    let expired = verdict(old, "sip.example.org", Some(&old_ca));
    assert_eq!((expired.verdict, expired.expires), ("expired", 1_609_459_200));
    assert_eq!(verdict(old, "sip.example.org", None).verdict, "expired");
    let outcome = turned(&Target {
        name: Some("sip.example.org".into()),
        ca_file: Some(ca.path().to_path_buf()),
        ..target(Kind::SipTls, good)
    });
    assert_eq!((outcome.answer, outcome.code), (Answer::Answered, Some(200)));
}

#[test]
fn a_stage_asks_in_turns_and_ends_with_its_handle() {
    let targets = vec![target(Kind::SipUdp, over_udp(1, "200 OK"))];
    let stage = Stage::start(&Config { every_seconds: 3_600, name_server: None, targets }).unwrap();
    for _ in 0..1_000 {
        if !stage.outcomes().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(stage.outcomes()[&0].code, Some(200));
    let ends = Instant::now();
    drop(stage);
    assert!(ends.elapsed() < Duration::from_secs(10), "the stage outlives its handle");
}

#[test]
fn the_same_target_twice_is_a_mistake() {
    let twice = vec![target(Kind::Tcp, 5060), target(Kind::Tcp, 5060)];
    let config = |targets| Config { targets, ..Config::default() };
    assert!(config(twice).mistake().is_some());
    assert!(config(vec![target(Kind::Tcp, 5060), target(Kind::Tcp, 5061)]).mistake().is_none());
}

#[test]
fn a_port_may_be_left_out_where_dns_says_it() {
    let mistake = |kind, address: &str| {
        let targets = vec![Target { address: address.into(), ..target(kind, 1) }];
        Config { targets, ..Config::default() }.mistake().is_some()
    };
    for (kind, address, wrong) in [
        (Kind::SipUdp, "example.org", false),
        (Kind::SipTls, "example.org:5061", false),
        (Kind::SipTcp, "example.org:0", true),
        (Kind::SipTcp, "no name", true),
        (Kind::Tls, "example.org", true),
        (Kind::DnsSrv, "_sip._udp.example.org", false),
        (Kind::DnsSrv, "example.org:53", true),
        (Kind::DnsNaptr, "", true),
    ] {
        assert_eq!(mistake(kind, address), wrong, "{} {address}", kind.as_str());
    }
}
