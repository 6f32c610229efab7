//! What may be asked, and what becomes of servers that misbehave.

use std::collections::BTreeSet;

use super::*;

/// Every question as it is sent. To add one, read the server's source first: it must only list.
const ASKED: &[&str] = &[
    "api callcenter_config queue list",
    "api global_getvar",
    "api show modules as json",
    "api sofia xmlstatus",
    "api sofia xmlstatus gateway",
    "api uptime s",
    "api version short",
    "action CoreSettings",
    "action CoreStatus",
    "action PJSIPShowEndpoints",
    "action PJSIPShowRegistrationsOutbound",
    "action QueueStatus",
    "cfg.get core debug",
    "cfg.get core dns_try_naptr",
    "cfg.get core max_while_loops",
    "cfg.get core udp_mtu",
    "cfg.get dispatcher inactive_threshold",
    "cfg.get dispatcher probing_threshold",
    "cfg.get registrar default_expires",
    "cfg.get registrar max_contacts",
    "cfg.get registrar max_expires",
    "cfg.get registrar min_expires",
    "cfg.get tm auto_inv_100",
    "cfg.get tm restart_fr_on_each_reply",
    "core.arg",
    "core.modules",
    "core.ppdefines_full",
    "core.pwd",
    "core.sockets_list",
    "core.uptime",
    "core.version",
    "dispatcher.list",
    "permissions.addressDump",
    "permissions.subnetDump",
    "stats.get_statistics usrloc:",
    "tls.options",
    "uac.reg_dump",
];

#[test]
fn nothing_is_asked_but_what_this_list_says() {
    let text = |query: &Query| {
        let how = match query.server {
            Server::Kamailio => "",
            Server::Asterisk => "action ",
            Server::FreeSwitch => "api ",
        };
        let words: Vec<&str> = [query.name].into_iter().chain(query.with.iter().copied()).collect();
        format!("{how}{}", words.join(" "))
    };
    let asked: BTreeSet<String> = ALL.iter().map(text).collect();
    assert_eq!(asked, ASKED.iter().map(ToString::to_string).collect::<BTreeSet<_>>());
    assert_eq!(asked.len(), ALL.len(), "a question stands twice in the list");
}

#[test]
fn what_is_not_in_the_list_is_refused_before_it_is_sent() {
    let other = query(Server::Kamailio, "dispatcher.reload", &[]);
    assert_eq!(other.words(Server::Kamailio), Err(Reason::Unsupported));
    assert_eq!(kamailio::UPTIME.words(Server::Asterisk), Err(Reason::Unsupported));
    assert!(kamailio::UPTIME.words(Server::Kamailio).is_ok());
}

/// What a server over HTTP makes of a question, when it answers with these bytes and hangs up.
fn over_http(answer: &'static [u8]) -> Result<Option<serde_json::Value>, Reason> {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 2_048];
        let mut length = 0;
        while !request[..length].ends_with(b"}") {
            length += stream.read(&mut request[length..]).unwrap();
        }
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        let asked = request.split("\"id\":").nth(1).unwrap();
        let id: u64 = asked.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
        let answer = String::from_utf8_lossy(answer).replace("{id}", &format!("{id:10}"));
        stream.write_all(answer.as_bytes()).unwrap();
        request
    });
    let place = Kamailio::Http { address, path: "/RPC".into() };
    let said = jsonrpc::Client::new(&place).and_then(|mut client| client.ask(kamailio::UPTIME));
    let request = server.join().unwrap();
    assert!(request.starts_with("POST /RPC HTTP/1.0\r\n"), "{request}");
    assert!(request.contains("\"method\":\"core.uptime\""), "{request}");
    said
}

#[test]
fn http_is_believed_only_where_it_is_whole() {
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\n{\"id\": {id}, \"result\": 7}";
    assert_eq!(over_http(whole), Ok(Some(serde_json::json!(7))));
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"id\": 1, \"result\": 7}";
    assert_eq!(over_http(cut), Err(Reason::Failed));
    let other = b"HTTP/1.1 200 OK\r\n\r\n{\"id\": 4294967296, \"result\": 7}";
    assert_eq!(over_http(other), Err(Reason::Malformed), "the answer to another question");
    let huge = b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n{";
    assert_eq!(over_http(huge), Err(Reason::TooLarge));
    assert_eq!(over_http(b"HTTP/1.1 403 Forbidden\r\n\r\n"), Err(Reason::Denied));
    assert_eq!(over_http(b"HTTP/1.1 404 Not Found\r\n\r\n"), Err(Reason::Failed));
    assert_eq!(over_http(b"HTTP/1.1 200 OK\r\n\r\nno json"), Err(Reason::Malformed));
}
