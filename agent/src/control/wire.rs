//! A conversation over TCP with a server of this host: every line and block within one deadline and
//! one number of bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use driftline_protocol::snapshot::Reason;

use super::{ANSWER_BYTES, patience, reason};

/// What one call takes, in bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// The longest line, in bytes.
const LINE_BYTES: usize = 64 * 1024;

/// The conversation.
pub(super) struct Wire {
    stream: TcpStream,
    deadline: Instant,
    /// Bytes that may still come.
    left: usize,
    /// What came and was not taken yet, and how much of it was.
    buffer: Vec<u8>,
    taken: usize,
}

impl Wire {
    /// Calls the server, for a conversation that ends by `deadline`.
    pub(super) fn call(address: SocketAddr, deadline: Instant) -> Result<Self, Reason> {
        if !address.ip().is_loopback() {
            return Err(Reason::Unsupported);
        }
        let stream = TcpStream::connect_timeout(&address, patience()).map_err(|e| reason(&e))?;
        Ok(Self { stream, deadline, left: ANSWER_BYTES, buffer: Vec::new(), taken: 0 })
    }

    /// Sends all of `bytes`.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let rest = self.rest()?;
        self.stream.set_write_timeout(Some(rest)).map_err(|e| reason(&e))?;
        self.stream.write_all(bytes).map_err(|e| reason(&e))
    }

    /// The next line without its end.
    pub(super) fn line(&mut self) -> Result<String, Reason> {
        let mut searched = 0;
        loop {
            let waiting = self.waiting();
            let rest = waiting.get(searched..).unwrap_or_default();
            if let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let end = searched + at;
                let line = waiting.get(..end).unwrap_or_default();
                let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
                let line = line.into_owned();
                self.taken += end + 1;
                return Ok(line);
            }
            searched = waiting.len();
            if searched > LINE_BYTES {
                return Err(Reason::TooLarge);
            }
            if !self.fill()? {
                return Err(Reason::Failed); // cut off
            }
        }
    }

    /// The next `length` bytes.
    pub(super) fn block(&mut self, length: usize) -> Result<Vec<u8>, Reason> {
        if length > ANSWER_BYTES {
            return Err(Reason::TooLarge);
        }
        while self.waiting().len() < length {
            if !self.fill()? {
                return Err(Reason::Failed);
            }
        }
        let block = self.waiting().get(..length).unwrap_or_default().to_vec();
        self.taken += length;
        Ok(block)
    }

    /// Everything until the server hangs up.
    pub(super) fn rest_of_it(&mut self) -> Result<Vec<u8>, Reason> {
        while self.fill()? {}
        Ok(self.waiting().to_vec())
    }

    fn waiting(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    fn rest(&self) -> Result<Duration, Reason> {
        let rest = self.deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() { Err(Reason::TimedOut) } else { Ok(rest) }
    }

    /// Takes what comes; `false` when the server hung up.
    fn fill(&mut self) -> Result<bool, Reason> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let rest = self.rest()?;
        self.stream.set_read_timeout(Some(rest)).map_err(|e| reason(&e))?;
        let mut piece = [0; PIECE_BYTES];
        let got = self.stream.read(&mut piece).map_err(|e| reason(&e))?;
        self.left = self.left.checked_sub(got).ok_or(Reason::TooLarge)?;
        self.buffer.extend_from_slice(piece.get(..got).unwrap_or_default());
        Ok(got > 0)
    }
}
