//! Questions to the kernel over netlink, each of which only reads.
//!
//! Every question is a *dump* from the constant list [`Question`]: the kernel answers with a list
//! and changes nothing. What the answers mean is the business of the source that asks. The answers
//! are about the host that runs us, never about a tree given with `--root`.
//!
//! Bounded: an answer has at most 16 MiB, and the kernel has two seconds for each piece.

pub(crate) mod route;

use std::time::Duration;

use crate::platform::{self, Netlink, Refusal, Socket};
use driftline_protocol::snapshot::Reason;

/// The largest answer, in bytes: about 100,000 sockets. A host with more is a load generator.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What one call takes; the kernel fills pages up to 32 KiB.
const PIECE_BYTES: usize = 32 * 1024;

/// How long one piece may take. The kernel answers from memory.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a list that changed while it was told is asked for again.
const TRIES: usize = 3;

const HEADER_BYTES: usize = 16;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// Everything that is ever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `SOCK_DIAG_BY_FAMILY`: the TCP sockets of this address family that listen.
    Listening(Family),
    /// `SOCK_DIAG_BY_FAMILY`: the UDP sockets of this address family that are bound and not
    /// connected.
    Bound(Family),
    /// `RTM_GETLINK`: network interfaces.
    Links,
    /// `RTM_GETADDR`: addresses of interfaces.
    Addresses,
    /// `RTM_GETROUTE`: routes of every table.
    Routes,
    /// `NFT_MSG_GETCHAIN`: chains of the packet filter, which only CAP_NET_ADMIN is told.
    Chains,
    /// `NFT_MSG_GETRULE`: the rules in them, in their order.
    Rules,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Question {
    /// The message's type and body.
    fn message(self) -> (u16, Vec<u8>) {
        const SOCK_DIAG_BY_FAMILY: u16 = 20;
        const RTM_GETLINK: u16 = 18;
        const RTM_GETADDR: u16 = 22;
        const RTM_GETROUTE: u16 = 26;
        const NFT_MSG_GETCHAIN: u16 = 0x0a04;
        const NFT_MSG_GETRULE: u16 = 0x0a07;
        match self {
            Self::Listening(family) => (SOCK_DIAG_BY_FAMILY, sockets(family, TCP, LISTEN)),
            Self::Bound(family) => (SOCK_DIAG_BY_FAMILY, sockets(family, UDP, CLOSE)),
            Self::Links => (RTM_GETLINK, vec![0; 16]),
            Self::Addresses => (RTM_GETADDR, vec![0; 8]),
            Self::Routes => (RTM_GETROUTE, vec![0; 12]),
            Self::Chains => (NFT_MSG_GETCHAIN, vec![0; 4]),
            Self::Rules => (NFT_MSG_GETRULE, vec![0; 4]),
        }
    }

    fn part(self) -> Netlink {
        match self {
            Self::Listening(_) | Self::Bound(_) => Netlink::SockDiag,
            Self::Links | Self::Addresses | Self::Routes => Netlink::Route,
            Self::Chains | Self::Rules => Netlink::Netfilter,
        }
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const CLOSE: u32 = 7;
const LISTEN: u32 = 10;

/// An `inet_diag_req_v2` (linux/inet_diag.h) for sockets in one state.
fn sockets(family: Family, protocol: u8, state: u32) -> Vec<u8> {
    const REQUEST_BYTES: usize = 56;
    let family = match family {
        Family::V4 => 2,
        Family::V6 => 10,
    };
    let mut request = vec![family, protocol, 0, 0];
    request.extend((1_u32 << state).to_ne_bytes());
    request.resize(REQUEST_BYTES, 0);
    request
}

/// Asks, and gives the body of each message of the answer.
///
/// # Errors
/// [`Reason::Denied`] where the kernel or a sandbox refuses, [`Reason::Unsupported`] where it has
/// no such question, [`Reason::TimedOut`], [`Reason::TooLarge`], [`Reason::Changing`] when the list
/// would not hold still, else [`Reason::Failed`].
pub fn ask(question: Question) -> Result<Vec<Vec<u8>>, Reason> {
    let socket = Socket::netlink(question.part()).map_err(reason)?;
    socket.patience(PATIENCE).map_err(reason)?;
    for turn in 1..=TRIES {
        let (kind, body) = question.message();
        let sequence = u32::try_from(turn).unwrap_or(u32::MAX);
        let request = request(kind, sequence, &body);
        socket.send(&request).map_err(reason)?;
        if let Some(messages) = answer(&socket, sequence)? {
            return Ok(messages);
        }
    }
    Err(Reason::Changing)
}

fn request(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(u32::MAX);
    let mut request = length.to_ne_bytes().to_vec();
    request.extend(kind.to_ne_bytes());
    request.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    request.extend(sequence.to_ne_bytes());
    request.extend(0_u32.to_ne_bytes());
    request.extend(body);
    request
}

/// The messages of one answer; `None` when the list changed while it was told.
fn answer(socket: &Socket, sequence: u32) -> Result<Option<Vec<Vec<u8>>>, Reason> {
    let mut messages = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    let (mut total, mut steady) = (0, true);
    loop {
        let (length, whole) = socket.receive(&mut piece).map_err(reason)?;
        if whole > length {
            return Err(Reason::TooLarge);
        }
        total += length;
        if total > ANSWER_BYTES {
            return Err(Reason::TooLarge);
        }
        let mut rest = piece.get(..length).unwrap_or_default();
        if rest.is_empty() {
            return Err(Reason::Failed);
        }
        while let Some((message, after)) = Message::first(rest) {
            rest = after;
            if message.sequence != sequence {
                continue;
            }
            steady &= message.flags & NLM_F_DUMP_INTR == 0;
            match message.kind {
                NLMSG_DONE => return Ok(steady.then_some(messages)),
                NLMSG_ERROR => return Err(message.error()),
                _ => messages.push(message.body.to_vec()),
            }
        }
        if !rest.is_empty() {
            return Err(Reason::Failed); // what is behind it would be missing
        }
    }
}

/// One message of an answer.
struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first message of `bytes` and what follows it.
    fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let length = usize::try_from(number(bytes, 0)?).ok()?;
        let body = bytes.get(HEADER_BYTES..length)?;
        let message = Self {
            kind: short(bytes, 4)?,
            flags: short(bytes, 6)?,
            sequence: number(bytes, 8)?,
            body,
        };
        Some((message, bytes.get(aligned(length)..).unwrap_or_default()))
    }

    /// What the kernel's refusal means; the body holds the negated number of the error.
    fn error(&self) -> Reason {
        let number = number(self.body, 0).unwrap_or_default().cast_signed();
        reason(platform::refusal(number.wrapping_neg()))
    }
}

/// The attributes of a message from `from` on: type and value of each (linux/netlink.h).
pub(crate) fn attributes(body: &[u8], from: usize) -> Vec<(u16, &[u8])> {
    const HEADER: usize = 4;
    /// Marks a nest and a byte order; no part of the type.
    const TYPE_MASK: u16 = 0x3fff;
    let mut attributes = Vec::new();
    let mut rest = body.get(from..).unwrap_or_default();
    while let (Some(length), Some(kind)) = (short(rest, 0), short(rest, 2)) {
        let length = usize::from(length);
        let Some(value) = rest.get(HEADER..length) else { break };
        attributes.push((kind & TYPE_MASK, value));
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    attributes
}

/// The number of 4 bytes at `at`, as the host orders them.
pub(crate) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn reason(refusal: Refusal) -> Reason {
    // A family the unit does not list, a kernel without the module.
    if platform::is_unsupported(refusal) { Reason::Unsupported } else { platform::reason(refusal) }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_a_dump_and_nothing_else() {
        const READS: [u16; 6] = [20, 18, 22, 26, 0x0a04, 0x0a07];
        for question in [
            Question::Listening(Family::V4),
            Question::Bound(Family::V6),
            Question::Links,
            Question::Addresses,
            Question::Routes,
            Question::Chains,
            Question::Rules,
        ] {
            let (kind, body) = question.message();
            assert!(READS.contains(&kind), "{question:?} asks for {kind}");
            let request = request(kind, 7, &body);
            assert_eq!(short(&request, 6), Some(NLM_F_REQUEST | NLM_F_DUMP), "{question:?}");
            assert_eq!(number(&request, 0), u32::try_from(request.len()).ok());
        }
    }

    #[test]
    fn the_kernel_answers_every_question() {
        for question in [Question::Links, Question::Addresses, Question::Routes] {
            assert!(!ask(question).unwrap().is_empty(), "{question:?}");
        }
        for question in [Question::Listening(Family::V4), Question::Bound(Family::V4)] {
            assert!(ask(question).is_ok(), "{question:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_messages_and_attributes_or_none(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        ) {
            let mut rest = bytes.as_slice();
            while let Some((message, after)) = Message::first(rest) {
                proptest::prop_assert!(after.len() < rest.len());
                attributes(message.body, 0);
                rest = after;
            }
            attributes(&bytes, 3);
        }
    }
}
