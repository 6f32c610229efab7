//! Kamailio's JSON-RPC: one datagram there and one back, or one request over HTTP.
//!
//! Kamailio answers a datagram to the address it came from. Ours is an abstract name that the
//! kernel chooses, so that nothing is written anywhere; Kamailio's module `jsonrpcs` answers with
//! at most 64 KiB, so a server with many destinations is better asked over HTTP.

use std::net::SocketAddr;
use std::time::Instant;

use driftline_protocol::snapshot::Reason;
use serde_json::{Value, json};

use super::wire::Wire;
use super::{Kamailio, PATIENCE, Query, Server};
use crate::platform::{self, Socket};

/// The largest datagram, in bytes, with room beyond what Kamailio can send.
const DATAGRAM_BYTES: usize = 256 * 1024;

/// A Kamailio that can be asked.
pub struct Client {
    way: Way,
    deadline: Instant,
    asked: u64,
}

enum Way {
    Datagram(Socket),
    Http { address: SocketAddr, path: String },
}

impl Client {
    /// Prepares to ask the server at `place`.
    ///
    /// # Errors
    /// The reason why it cannot be reached.
    pub fn new(place: &Kamailio) -> Result<Self, Reason> {
        let way = match place {
            Kamailio::Socket(path) => {
                Way::Datagram(Socket::datagram(path).map_err(platform::reason)?)
            }
            Kamailio::Http { address, path } => Way::Http { address: *address, path: path.clone() },
        };
        Ok(Self { way, deadline: Instant::now() + PATIENCE, asked: 0 })
    }

    /// The answer; `None` where this Kamailio has no such command or no such value.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn ask(&mut self, query: Query) -> Result<Option<Value>, Reason> {
        let (method, with) = query.words(Server::Kamailio)?;
        self.asked += 1;
        let id = self.asked;
        let request = json!({"jsonrpc": "2.0", "method": method, "params": with, "id": id});
        let request = request.to_string();
        loop {
            let bytes = match &self.way {
                Way::Datagram(socket) => datagram(socket, self.deadline, &request)?,
                Way::Http { address, path } => {
                    http(Wire::call(*address, self.deadline)?, (*address, path), &request)?
                }
            };
            let answer: Value = serde_json::from_slice(&bytes).map_err(|_| Reason::Malformed)?;
            // One that came too late for the question before.
            if answer.get("id").and_then(Value::as_u64).is_some_and(|other| other < id) {
                continue;
            }
            return meaning(answer);
        }
    }
}

/// What an answer says; a command that is not there is no failure.
fn meaning(mut answer: Value) -> Result<Option<Value>, Reason> {
    /// How Kamailio begins when it has no such command or value.
    const LACKS: [&str; 3] = ["method not found", "failed to get", "variable exists, but"];
    if let Some(result) = answer.get_mut("result") {
        return Ok(Some(result.take()));
    }
    let error = answer.get("error").ok_or(Reason::Malformed)?;
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let message = message.to_ascii_lowercase();
    if LACKS.iter().any(|lacks| message.starts_with(lacks)) {
        return Ok(None);
    }
    Err(Reason::Failed)
}

fn datagram(socket: &Socket, deadline: Instant, request: &str) -> Result<Vec<u8>, Reason> {
    let rest = deadline.saturating_duration_since(Instant::now());
    if rest.is_zero() {
        return Err(Reason::TimedOut);
    }
    let mut piece = vec![0; DATAGRAM_BYTES];
    let asked = socket.patience(rest).and_then(|()| socket.send(request.as_bytes()));
    let (length, whole) =
        asked.and_then(|()| socket.receive(&mut piece)).map_err(platform::reason)?;
    if whole > length {
        return Err(Reason::TooLarge);
    }
    piece.truncate(length);
    Ok(piece)
}

/// One request of HTTP/1.0, so that the server hangs up at the end of its answer.
fn http(
    mut wire: Wire,
    (address, path): (SocketAddr, &str),
    request: &str,
) -> Result<Vec<u8>, Reason> {
    let length = request.len();
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    wire.send(head.as_bytes())?;
    wire.send(request.as_bytes())?;
    let status = wire.line()?;
    let mut expected = None;
    loop {
        let line = wire.line()?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            expected = Some(value.trim().parse::<usize>().map_err(|_| Reason::Malformed)?);
        }
    }
    match status.split_ascii_whitespace().nth(1) {
        Some("200") => {}
        Some("401" | "403") => return Err(Reason::Denied),
        Some(_) | None => return Err(Reason::Failed),
    }
    match expected {
        Some(length) => wire.block(length),
        None => wire.rest_of_it(),
    }
}
