//! A Kamailio of the test's own that answers from a table, and may misbehave.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use driftline_protocol::redact::Redactor;
use driftline_protocol::snapshot::Part;
use serde_json::json;

use super::*;
use crate::control;
use crate::sources::running::scripted::Heard;

/// How the server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Silent,
    CutOff,
    NoJson,
    Huge,
    Error,
    /// Answers to questions that somebody else asked come first.
    Stale,
}

struct Server {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers at `path`, with this fault in the answer to `dispatcher.list`.
    fn start(path: &Path, script: &Path, fault: Fault) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let (ended, script) = (Arc::clone(&ends), script.display().to_string());
        let thread = std::thread::spawn(move || {
            let mut piece = vec![0; 64 * 1024];
            while !ended.load(Ordering::Acquire) {
                let Ok((length, from)) = socket.recv_from(&mut piece) else { continue };
                let request: Value = serde_json::from_slice(&piece[..length]).unwrap();
                let method = request["method"].as_str().unwrap();
                let id = request["id"].clone();
                let answer = match (method, fault) {
                    ("dispatcher.list", Fault::Silent) => continue,
                    ("dispatcher.list", Fault::CutOff) => "{\"jsonrpc\": \"2.0\", \"res".to_owned(),
                    ("dispatcher.list", Fault::NoJson) => "what?".to_owned(),
                    ("dispatcher.list", Fault::Huge) => format!("\"{}\"", "x".repeat(400_000)),
                    ("dispatcher.list", Fault::Error) => {
                        json!({"error": {"code": 500, "message": "No data"}, "id": id}).to_string()
                    }
                    _ => match answer(method, &request["params"], &script) {
                        Some(result) => json!({"result": result, "id": id}).to_string(),
                        None => json!({
                            "error": {"code": 500, "message": "Method Not Found"}, "id": id
                        })
                        .to_string(),
                    },
                };
                // The kernel refuses what is larger than the socket's buffer; ours must be so.
                rustix::net::sockopt::set_socket_send_buffer_size(&socket, 1 << 20).unwrap();
                if (method, fault) == ("dispatcher.list", Fault::Stale) {
                    let number = id.as_u64().unwrap();
                    for other in [number - 1, number + 7] {
                        let stale = json!({"result": {"RECORDS": []}, "id": other}).to_string();
                        socket.send_to_addr(stale.as_bytes(), &from).unwrap();
                    }
                }
                let address = from.as_abstract_name().expect("the answer goes to an abstract name");
                assert!(!address.is_empty());
                socket.send_to_addr(answer.as_bytes(), &from).unwrap();
            }
        });
        Self { ends, thread: Some(thread) }
    }
}

use std::os::linux::net::SocketAddrExt;

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// What a Kamailio 5.6 says to each question, in its own shape.
fn answer(method: &str, params: &Value, script: &str) -> Option<Value> {
    let target = |uri: &str, flags: &str, body: Option<&str>| {
        let mut destination = json!({"URI": uri, "FLAGS": flags, "PRIORITY": 3});
        if let Some(body) = body {
            destination["ATTRS"] = json!({"BODY": body});
        }
        json!({"DEST": destination})
    };
    Some(match method {
        "core.arg" => json!(["kamailio", "-f", script, "-P", "/run/k.pid"]),
        "core.uptime" => json!({"up_since": "Sat Nov 28 09:00:00 2026", "uptime": 5}),
        "core.version" => json!("kamailio 5.6.3 (x86_64/linux) "),
        "core.modules" => json!(["dispatcher", "tm"]),
        "core.sockets_list" => json!([{"socket": {
            "proto": "udp", "address": "192.0.2.1", "port": "5060"
        }}]),
        "core.ppdefines_full" => json!([
            {"name": "KAMAILIO_5", "value": "none"},
            {"name": "MOD_tm", "value": "none"},
            {"name": "WITH_TLS", "value": "none"},
            {"name": "DBURL", "value": "mysql://k:canary-Pw5@db/k"},
        ]),
        "dispatcher.list" => json!({"NRSETS": 1, "RECORDS": [{"SET": {"ID": 1, "TARGETS": [
            target("sip:192.0.2.9", "TX", None),
            target("sip:192.0.2.8", "DX", Some("weight=5;duid=b")),
            target("sip:192.0.2.7", "IP", Some("weight=50")),
            target("sip:192.0.2.6", "IX", None),
        ]}}]}),
        "stats.get_statistics" => {
            json!(["usrloc:location_contacts = 12", "usrloc:location_users = 9"])
        }
        "cfg.get" if params[1] == "debug" => json!(2),
        "permissions.addressDump" => json!([
            {"table": 1, "group": 1, "item": {"ip": "192.0.2.1", "port": 5060, "tag": "NULL"}},
            {"table": 1, "group": 1, "item": {"ip": "192.0.2.1", "port": 5060, "tag": "b"}},
        ]),
        "permissions.subnetDump" => json!([
            {"id": 0, "group": 2, "item": {"ip": "10.0.0.0", "mask": 8, "port": 0, "tag": "lan"}},
        ]),
        "uac.reg_dump" => json!([{
            "l_uuid": "u1", "l_username": "alice", "l_domain": "example.org",
            "r_username": "4711", "r_domain": "carrier.example", "realm": "carrier.example",
            "auth_username": "4711", "auth_password": "canary-Pw6", "auth_ha1": "canary-Pw7",
            "auth_proxy": "sip:192.0.2.99", "expires": 60, "flags": 20, "diff_expires": 31,
            "timer_expires": 1795916472, "reg_init": 1795916472, "reg_delay": 0,
            "contact_addr": "192.0.2.1:5060", "socket": "",
        }]),
        "tls.options" => json!({
            "method": "TLSv1.2+", "verify_certificate": 0, "ca_list": null,
            "certificate": "/etc/kamailio/cert.pem", "config": "/nowhere/tls.cfg",
        }),
        _ => return None,
    })
}

fn source(place: Kamailio) -> KamailioRunning {
    KamailioRunning::new(Some(&place), Duration::from_secs(30))
}

fn read(source: &mut KamailioRunning) -> (Result<(), Reason>, Heard) {
    let machine = Machine::open(Path::new("/"), Redactor::new([7; 32])).unwrap();
    let mut heard = Heard::default();
    let result = source.read(&machine, &mut heard);
    (result, heard)
}

/// What a fault makes of a reading.
fn with(fault: Fault) -> (Result<(), Reason>, Heard) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("kamailio.cfg");
    std::fs::write(&script, "#!KAMAILIO\nmodparam(\"dispatcher\", \"list_file\", \"/d.list\")\n")
        .unwrap();
    let socket = folder.path().join("rpc.sock");
    let _server = Server::start(&socket, &script, fault);
    read(&mut source(Kamailio::Socket(socket)))
}

#[test]
fn an_answer_becomes_items_that_hold_still() {
    let (result, heard) = with(Fault::None);
    assert_eq!(result, Ok(()));
    let names: Vec<&str> = heard.parts.keys().map(String::as_str).collect();
    assert_eq!(names, PARTS);
    let destinations = heard.shown("destinations");
    assert_eq!(
        destinations,
        [
            "1/sip:192.0.2.6 Text(\"inactive\")",
            "1/sip:192.0.2.7 Text(\"not_answering\")",
            "1/sip:192.0.2.8 Text(\"disabled\")",
            "1/sip:192.0.2.9 Text(\"active\")",
        ]
    );
    let dispatcher = heard.shown("dispatcher").join("\n");
    for line in [
        "@now/file Text(\"/d.list\")",
        "1/sip:192.0.2.7/flags Integer(0)",
        "1/sip:192.0.2.7/weight Integer(50)",
        "1/sip:192.0.2.8/flags Integer(4)",
        "1/sip:192.0.2.6/flags Integer(1)",
        "1/sip:192.0.2.9/priority Integer(3)",
    ] {
        assert!(dispatcher.contains(line), "{line} is not in\n{dispatcher}");
    }
    assert_eq!(heard.shown("registrations"), ["location Text(\"some\")"]);
    assert_eq!(heard.shown("settings")[1], "debug Integer(2)");
    assert_eq!(
        heard.shown("permissions"),
        ["1/192.0.2.1/5060 Set({Text(\"\"), Text(\"b\")})", "2/10.0.0.0~18/0 Set({Text(\"lan\")})",]
    );
    let trunks = heard.shown("trunks").join("\n");
    assert!(trunks.contains("u1/state Text(\"registered\")"), "{trunks}");
    assert!(trunks.contains("u1/remote Text(\"4711@carrier.example\")"), "{trunks}");
    assert!(trunks.contains("u1/auth_password Fingerprint"), "{trunks}");
    assert!(!trunks.contains("timer_expires"), "{trunks}");
    let tls = heard.shown("tls");
    assert!(tls.contains(&"method Text(\"TLSv1.2+\")".to_owned()), "{tls:?}");
    let all: Vec<String> = heard.parts.keys().flat_map(|part| heard.shown(part)).collect();
    assert!(!all.join("\n").contains("canary-Pw"), "{all:#?}");
}

#[test]
fn an_answer_to_another_question_is_no_answer() {
    let (result, heard) = with(Fault::Stale);
    assert_eq!(result, Ok(()));
    assert_eq!(heard.shown("destinations").len(), 4, "{:?}", heard.shown("destinations"));
}

#[test]
fn a_fault_in_one_answer_leaves_its_parts_unobserved_and_no_other() {
    for (fault, reason) in [
        (Fault::Silent, Reason::TimedOut),
        (Fault::CutOff, Reason::Malformed),
        (Fault::NoJson, Reason::Malformed),
        (Fault::Huge, Reason::TooLarge),
        (Fault::Error, Reason::Failed),
    ] {
        let began = std::time::Instant::now();
        let (result, heard) = with(fault);
        assert_eq!(result, Ok(()), "{fault:?}");
        assert!(began.elapsed() < control::PATIENCE * 3, "{fault:?} hangs");
        for part in ["dispatcher", "destinations"] {
            assert_eq!(heard.parts[part], Part::Unobserved(reason), "{part} after {fault:?}");
        }
        assert!(heard.parts["process"].observed().is_some(), "{fault:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_unobserved_where_somebody_said_that_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (result, heard) = read(&mut source(Kamailio::Socket(folder.path().join("none"))));
    assert_eq!(result, Err(Reason::Failed));
    assert!(heard.parts.is_empty());
    let other = "192.0.2.1:80".parse().unwrap();
    let place = Kamailio::Http { address: other, path: "/RPC".into() };
    assert_eq!(read(&mut source(place)).0, Err(Reason::Unsupported), "it left the host");
}
