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
use super::{Kamailio, Query, Server};
use crate::platform::{self, Socket};

/// The largest datagram, in bytes, with room beyond what Kamailio can send.
const DATAGRAM_BYTES: usize = 256 * 1024;

/// A Kamailio that can be asked.
pub struct Client {
    way: Way,
    deadline: Instant,
    /// The number of the last question. The first is drawn by lot, so that an answer that comes
    /// late to somebody who had this name before is no answer to us.
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
        Ok(Self { way, deadline: Instant::now() + super::patience(), asked: beginning()? })
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
        let deadline = self.deadline;
        match &self.way {
            Way::Http { address, path } => {
                let wire = Wire::call(*address, deadline)?;
                let bytes = http(wire, (*address, path), &request)?;
                let (answered, answer) = numbered(&bytes)?;
                if answered == id { meaning(answer) } else { Err(Reason::Malformed) }
            }
            Way::Datagram(socket) => {
                send(socket, deadline, &request)?;
                loop {
                    let (answered, answer) = numbered(&receive(socket, deadline)?)?;
                    // Another one came too late for a question before; ours may still come.
                    if answered == id {
                        return meaning(answer);
                    }
                }
            }
        }
    }
}

/// An answer with the number of its question.
fn numbered(bytes: &[u8]) -> Result<(u64, Value), Reason> {
    let answer: Value = serde_json::from_slice(bytes).map_err(|_| Reason::Malformed)?;
    let number = answer.get("id").and_then(Value::as_u64).ok_or(Reason::Malformed)?;
    Ok((number, answer))
}

/// The number before the first question. Kamailio keeps it in 32 bits on its way.
fn beginning() -> Result<u64, Reason> {
    let mut lot = [0; 4];
    getrandom::fill(&mut lot).map_err(|_| Reason::Failed)?;
    Ok(u64::from(u32::from_le_bytes(lot) / 2))
}

/// What an answer says; a command that is not there is no failure.
fn meaning(mut answer: Value) -> Result<Option<Value>, Reason> {
    /// How Kamailio begins when it has no such command or value.
    const LACKS: [&str; 6] = [
        "method not found",
        "failed to get",
        "variable exists, but",
        // A module that is loaded and has no such table, or no database.
        "no address table",
        "no subnet table",
        "not enabled",
    ];
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

/// What is left until `deadline`, as the socket's patience.
fn patience(socket: &Socket, deadline: Instant) -> Result<(), Reason> {
    let rest = deadline.saturating_duration_since(Instant::now());
    if rest.is_zero() {
        return Err(Reason::TimedOut);
    }
    socket.patience(rest).map_err(platform::reason)
}

fn send(socket: &Socket, deadline: Instant, request: &str) -> Result<(), Reason> {
    patience(socket, deadline)?;
    socket.send(request.as_bytes()).map_err(platform::reason)
}

fn receive(socket: &Socket, deadline: Instant) -> Result<Vec<u8>, Reason> {
    patience(socket, deadline)?;
    let mut piece = vec![0; DATAGRAM_BYTES];
    let (length, whole) = socket.receive(&mut piece).map_err(platform::reason)?;
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
