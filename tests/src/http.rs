//! The smallest HTTP/1.1 that talks to our programs: blocking, loopback, one request a connection.
//!
//! Written by hand because the judge must also send what no well-behaved client would: bodies that
//! lie about their length, bombs, half requests. Not for the network beyond loopback.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

/// How long one answer may take: slower than any page of ours, faster than a hang.
const ANSWER: Duration = Duration::from_secs(30);

/// The largest answer read, in bytes; a change list of 10,000 rows stays far below.
const ANSWER_BYTES: u64 = 256 * 1024 * 1024;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON: {}", self.text()))
    }
}

/// Gets `path`.
///
/// # Errors
/// When nobody answers or the answer is no HTTP; a status of any kind is an answer.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    exchange(address, &head("GET", path, &[], None), &[])
}

/// Gets `path` and demands status 200.
///
/// # Errors
/// As [`get`], or on another status.
pub fn get_ok(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let answer = get(address, path)?;
    ensure!(answer.status == 200, "GET {path}: {} {}", answer.status, answer.text());
    Ok(answer)
}

/// Posts `body` with these header fields besides length and host.
///
/// # Errors
/// As [`get`].
pub fn post(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> anyhow::Result<Answer> {
    exchange(address, &head("POST", path, headers, Some(body.len())), body)
}

/// The head of a request; `length` is what it claims, true or not.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)], length: Option<usize>) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head + "\r\n"
}

/// Sends a head and a body as they are, and reads what comes back.
///
/// # Errors
/// As [`get`]. A peer that answers before it has read everything, and closes, is heard all the
/// same.
pub fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect_timeout(&address, ANSWER).context("connecting")?;
    stream.set_read_timeout(Some(ANSWER)).context("setting a limit")?;
    stream.set_write_timeout(Some(ANSWER)).context("setting a limit")?;
    let mut writer = &stream;
    let sent = writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body));
    match read_answer(&mut BufReader::new(&stream)) {
        Ok(answer) => Ok(answer),
        Err(error) => {
            sent.context("sending a request")?;
            Err(error)
        }
    }
}

fn read_answer(reader: &mut impl BufRead) -> anyhow::Result<Answer> {
    let first = line(reader)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("no status in {first:?}"))?;
    let headers = fields(reader)?;
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
        loop {
            let size = line(reader)?;
            let size = u64::from_str_radix(size.trim(), 16).context("reading a chunk")?;
            ensure!(body.len() as u64 + size <= ANSWER_BYTES, "answer passes {ANSWER_BYTES} bytes");
            reader.by_ref().take(size).read_to_end(&mut body).context("reading a chunk")?;
            line(reader)?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length = headers.get("content-length").and_then(|value| value.parse().ok());
        let length = length.unwrap_or(ANSWER_BYTES).min(ANSWER_BYTES);
        reader.by_ref().take(length).read_to_end(&mut body).context("reading a body")?;
    }
    Ok(Answer { status, headers, body })
}

fn line(reader: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    let bytes = reader.by_ref().take(64 * 1024).read_line(&mut line).context("reading a line")?;
    ensure!(bytes > 0, "connection closed without an answer");
    Ok(line.trim_end().to_string())
}

fn fields(reader: &mut impl BufRead) -> anyhow::Result<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    loop {
        let line = line(reader).unwrap_or_default();
        let Some((name, value)) = line.split_once(':') else { return Ok(fields) };
        fields.insert(name.to_lowercase(), value.trim().to_string());
    }
}

/// Escapes a text for use in a query string.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// How often another port is asked for where one is taken over UDP.
const ASKED: usize = 100;

/// A port of loopback that nobody holds, neither over TCP nor over UDP: a server that listens over
/// both must find both free.
///
/// # Errors
/// When the operating system has none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    for _ in 0..ASKED {
        let listener = TcpListener::bind("127.0.0.1:0").context("asking for a port")?;
        let address = listener.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("{ASKED} ports in a row are free over TCP and taken over UDP")
}

/// A receiver of webhooks: answers 200 to everything and keeps each body.
pub struct Receiver {
    address: SocketAddr,
    bodies: std::sync::mpsc::Receiver<Value>,
}

/// How many bodies wait unread before the sender is made to wait.
const WAITING: usize = 1_000;

impl Receiver {
    /// Starts to listen. The thread ends with the process: it blocks in accept and owns nothing.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listening for webhooks")?;
        let address = listener.local_addr()?;
        let (sender, bodies) = std::sync::mpsc::sync_channel(WAITING);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Ok(body) = receive(&stream)
                    && sender.send(body).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { address, bodies })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next body for which `wanted` gives something, within `limit`.
    ///
    /// # Errors
    /// When none came in time.
    pub fn expect<T>(
        &self,
        limit: Duration,
        wanted: impl Fn(&Value) -> Option<T>,
    ) -> anyhow::Result<T> {
        let end = std::time::Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(std::time::Instant::now());
            let body = self.bodies.recv_timeout(left).context("no such webhook in time")?;
            if let Some(value) = wanted(&body) {
                return Ok(value);
            }
        }
    }
}

fn receive(stream: &TcpStream) -> anyhow::Result<Value> {
    stream.set_read_timeout(Some(ANSWER))?;
    let mut reader = BufReader::new(stream);
    line(&mut reader)?;
    let headers = fields(&mut reader)?;
    let length: u64 = headers.get("content-length").context("webhook without length")?.parse()?;
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let mut writer = stream;
    writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(serde_json::from_slice(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_posted_body_is_received_whole() -> anyhow::Result<()> {
        let receiver = Receiver::start()?;
        let answer = post(receiver.address(), "/x", &[("X-Test", "1")], b"{\"a\": [1, 2]}")?;
        assert_eq!(answer.status, 200);
        let length = receiver.expect(ANSWER, |body| body["a"].as_array().map(Vec::len))?;
        assert_eq!(length, 2);
        Ok(())
    }

    #[test]
    fn chunks_are_joined() -> anyhow::Result<()> {
        let raw =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        let answer = read_answer(&mut &raw[..])?;
        assert_eq!((answer.status, answer.text()), (200, "abcd".to_string()));
        assert_eq!(escape("a b/é"), "a%20b%2F%C3%A9");
        Ok(())
    }
}
