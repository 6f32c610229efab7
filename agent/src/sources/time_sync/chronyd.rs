//! What chronyd thinks of the clock, asked over its command port on this host.
//!
//! One question of its protocol (version 6, `candm.h` of chrony) is ever asked: `TRACKING`, which
//! chronyd answers to everybody on the host and which changes nothing. No answer is no fact: the
//! port may be closed (`cmdport 0`).

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use driftline_protocol::snapshot::Reason;

/// Written while chronyd runs.
pub(super) const RUNS: [&str; 2] = ["/run/chrony/chronyd.pid", "/run/chronyd.pid"];

const PORT: u16 = 323;

/// How long an answer from this host may take.
const PATIENCE: Duration = Duration::from_secs(1);

const VERSION: u8 = 6;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const TRACKING: u16 = 33;
const REPLY_TRACKING: u16 = 5;

/// A question is as long as its answer, so that nobody is made to send more than it was sent.
const TRACKING_BYTES: usize = 104;

/// Where the answer says whether the clock is set, and what it says where it is not.
const LEAP_AT: usize = 54;
const NOT_SYNCHRONISED: u16 = 3;

/// Whether the clock follows its sources.
///
/// # Errors
/// The reason why nobody said.
pub(super) fn is_synchronised() -> Result<bool, Reason> {
    // Whoever answers must have seen the number; another program's port may be bound to ours.
    let sequence = u32::from_be_bytes(*b"drft");
    let reply = ask(&question(sequence)).map_err(|error| why(&error))?;
    answer(&reply, sequence).ok_or(Reason::Unsupported)
}

/// Why nobody answered.
fn why(error: &io::Error) -> Reason {
    let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
    if is(&[io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut]) {
        Reason::TimedOut
    } else if is(&[io::ErrorKind::ConnectionRefused]) {
        Reason::Unsupported // `cmdport 0`
    } else if is(&[io::ErrorKind::PermissionDenied]) {
        Reason::Denied
    } else {
        Reason::Failed
    }
}

#[allow(clippy::disallowed_methods, reason = "it asks the daemon of this host")]
fn ask(question: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, PORT))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(question)?;
    let mut reply = vec![0; 2 * TRACKING_BYTES];
    let length = socket.recv(&mut reply)?;
    reply.truncate(length);
    Ok(reply)
}

pub(super) fn question(sequence: u32) -> Vec<u8> {
    let mut question = vec![VERSION, REQUEST, 0, 0];
    question.extend(TRACKING.to_be_bytes());
    question.extend(0_u16.to_be_bytes());
    question.extend(sequence.to_be_bytes());
    question.resize(TRACKING_BYTES, 0);
    question
}

/// What the answer says; `None` for one that is not an answer to our question.
pub(super) fn answer(reply: &[u8], sequence: u32) -> Option<bool> {
    let short = |at: usize| reply.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b));
    let number = |at: usize| reply.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b));
    let is_ours = reply.first() == Some(&VERSION)
        && reply.get(1) == Some(&REPLY)
        && short(6)? == REPLY_TRACKING
        && short(8)? == 0
        && number(16)? == sequence;
    let leap = short(LEAP_AT)?;
    is_ours.then_some(leap != NOT_SYNCHRONISED)
}
