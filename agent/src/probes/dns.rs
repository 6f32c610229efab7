//! As much of DNS as a probe needs: one question for services (SRV, RFC 2782) or rewriting rules
//! (NAPTR, RFC 3403) to a name server, and its answer (RFC 1035).
//!
//! Addresses of hosts are the system's business. What comes back is somebody else's: names have 255
//! bytes and may point backwards only, so each ends; an answer to another question is passed over.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::{Answer, PATIENCE, failure};

/// The most name servers that are asked, as of the system's own resolver.
const SERVERS: usize = 3;

/// The most records of one answer, in all its sections.
const RECORDS: u16 = 256;

/// The most names in a row that stand for another one.
const ALIASES: usize = 8;

/// The longest name, in bytes as it is sent.
const NAME_BYTES: usize = 255;

/// The longest label.
const LABEL_BYTES: usize = 63;

/// The largest answer in a datagram, in bytes; we say nothing of taking more than 512.
const DATAGRAM_BYTES: usize = 4 * 1024;

/// The largest `resolv.conf`, in bytes.
const RESOLV_BYTES: u64 = 64 * 1024;

const ALIAS: u16 = 5;
const INTERNET: u16 = 1;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Services.
    Srv,
    /// Rewriting rules.
    Naptr,
}

impl Type {
    fn number(self) -> u16 {
        match self {
            Self::Srv => 33,
            Self::Naptr => 35,
        }
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Record {
    Srv { priority: u16, weight: u16, port: u16, target: String },
    Naptr(Naptr),
}

/// A rewriting rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Naptr {
    pub(super) order: u16,
    pub(super) preference: u16,
    pub(super) flags: String,
    pub(super) services: String,
    pub(super) regexp: String,
    pub(super) replacement: String,
}

impl Record {
    /// As zone files write it.
    pub(super) fn text(&self) -> String {
        let dot = |name: &str| if name.is_empty() { ".".to_owned() } else { name.to_owned() };
        match self {
            Self::Srv { priority, weight, port, target } => {
                format!("{priority} {weight} {port} {}", dot(target))
            }
            Self::Naptr(Naptr { order, preference, flags, services, regexp, replacement }) => {
                let replacement = dot(replacement);
                format!(
                    "{order} {preference} \"{flags}\" \"{services}\" \"{regexp}\" {replacement}"
                )
            }
        }
    }
}

/// Whether `name` can be asked for.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes().all(plain) && question(0, name, Type::Srv).is_some()
}

/// The name servers of this host.
pub(super) fn servers() -> Vec<SocketAddr> {
    let file = std::fs::File::open("/etc/resolv.conf").ok();
    let bytes = file.and_then(|mut file| {
        driftline_protocol::limits::read_bounded(&mut file, RESOLV_BYTES).ok()
    });
    let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let server = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        Some(SocketAddr::new(server.parse::<IpAddr>().ok()?, 53))
    });
    named.take(SERVERS).collect()
}

/// The records of `name`; none where the name has none of this type.
///
/// # Errors
/// [`Answer::Unknown`] where there is no such name, else why no server answers.
pub(super) fn ask(servers: &[SocketAddr], name: &str, of: Type) -> Result<Vec<Record>, Answer> {
    let mut failed = Answer::Unknown;
    for server in servers.iter().take(SERVERS) {
        match ask_one(*server, name, of) {
            Ok(records) => return Ok(records),
            Err(Answer::Unknown) => return Err(Answer::Unknown),
            Err(other) => failed = other,
        }
    }
    Err(failed)
}

fn ask_one(server: SocketAddr, name: &str, of: Type) -> Result<Vec<Record>, Answer> {
    let mut lot = [0; 2];
    getrandom::fill(&mut lot).map_err(|_| Answer::Silent)?;
    let id = u16::from_le_bytes(lot);
    let question = question(id, name, of).ok_or(Answer::Unknown)?;
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).map_err(|e| failure(&e))?;
    socket.connect(server).map_err(|e| failure(&e))?;
    socket.send(&question).map_err(|e| failure(&e))?;
    let deadline = Instant::now() + PATIENCE;
    let mut piece = vec![0; DATAGRAM_BYTES];
    loop {
        socket.set_read_timeout(Some(rest(deadline)?)).map_err(|e| failure(&e))?;
        let length = socket.recv(&mut piece).map_err(|e| failure(&e))?;
        let Some(reply) = read(piece.get(..length).unwrap_or_default(), &question) else {
            continue;
        };
        return match reply.truncated {
            true => over_stream(server, &question, deadline + PATIENCE)?.records(of),
            false => reply.records(of),
        };
    }
}

fn rest(deadline: Instant) -> Result<Duration, Answer> {
    let rest = deadline.saturating_duration_since(Instant::now());
    if rest.is_zero() { Err(Answer::Silent) } else { Ok(rest) }
}

/// What is too large for a datagram comes over TCP, with its length before it.
fn over_stream(server: SocketAddr, question: &[u8], deadline: Instant) -> Result<Reply, Answer> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).map_err(|e| failure(&e))?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(|e| failure(&e))?;
    let length = u16::try_from(question.len()).map_err(|_| Answer::Unknown)?;
    let message = [length.to_be_bytes().as_slice(), question].concat();
    stream.write_all(&message).map_err(|e| failure(&e))?;
    let (mut answer, mut piece) = (Vec::new(), [0; 2_048]);
    loop {
        stream.set_read_timeout(Some(rest(deadline)?)).map_err(|e| failure(&e))?;
        let got = stream.read(&mut piece).map_err(|e| failure(&e))?;
        if got == 0 {
            return Err(Answer::Refused);
        }
        answer.extend_from_slice(piece.get(..got).unwrap_or_default());
        let Some((length, body)) = answer.split_first_chunk::<2>() else { continue };
        if let Some(body) = body.get(..usize::from(u16::from_be_bytes(*length))) {
            return read(body, question).ok_or(Answer::Refused);
        }
    }
}

/// The message that asks; `None` where `name` is none.
fn question(id: u16, name: &str, of: Type) -> Option<Vec<u8>> {
    const RECURSION_DESIRED: u16 = 1 << 8;
    let mut message = Vec::new();
    for number in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
        message.extend_from_slice(&number.to_be_bytes());
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok()?;
        if label.is_empty() || label.len() > LABEL_BYTES {
            return None;
        }
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    if message.len() > 12 + NAME_BYTES {
        return None;
    }
    message.extend_from_slice(&of.number().to_be_bytes());
    message.extend_from_slice(&INTERNET.to_be_bytes());
    Some(message)
}

/// An answer to our question.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    truncated: bool,
    code: u8,
    /// The name that was asked for, or what it stands for.
    name: String,
    /// Whose, and what.
    all: Vec<(String, Data)>,
}

/// What a record says.
#[derive(Debug, PartialEq, Eq)]
enum Data {
    Alias(String),
    Known(Record),
}

impl Reply {
    fn records(self, of: Type) -> Result<Vec<Record>, Answer> {
        const NO_SUCH_NAME: u8 = 3;
        match self.code {
            0 => {}
            NO_SUCH_NAME => return Err(Answer::Unknown),
            _ => return Err(Answer::Refused),
        }
        let mut name = self.name;
        for _ in 0..ALIASES {
            let alias = self.all.iter().find_map(|(owner, data)| match data {
                Data::Alias(other) if *owner == name => Some(other.clone()),
                Data::Alias(_) | Data::Known(_) => None,
            });
            match alias {
                Some(other) => name = other,
                None => break,
            }
        }
        let asked = |record: &Record| {
            matches!(
                (record, of),
                (Record::Srv { .. }, Type::Srv) | (Record::Naptr(_), Type::Naptr)
            )
        };
        let own = self.all.into_iter().filter_map(|(owner, data)| match data {
            Data::Known(record) if owner == name && asked(&record) => Some(record),
            Data::Known(_) | Data::Alias(_) => None,
        });
        Ok(own.collect())
    }
}

/// What a message says; `None` where it is no answer to this question, or is no message.
fn read(message: &[u8], question: &[u8]) -> Option<Reply> {
    const ANSWER: u16 = 1 << 15;
    const OPERATION: u16 = 0xf << 11;
    const TRUNCATED: u16 = 1 << 9;
    let mut asked = Reader { message: question, at: 12 };
    let wanted = (asked.name()?, asked.u16()?, asked.u16()?);
    let mut reader = Reader { message, at: 0 };
    let (id, flags) = (reader.u16()?, reader.u16()?);
    let (questions, answers) = (reader.u16()?, reader.u16()?);
    reader.bytes(4)?;
    let ours = question.get(..2)? == id.to_be_bytes() && flags & (ANSWER | OPERATION) == ANSWER;
    if !ours || questions != 1 || (reader.name()?, reader.u16()?, reader.u16()?) != wanted {
        return None;
    }
    let truncated = flags & TRUNCATED != 0;
    let mut reply = Reply { truncated, code: (flags & 0xf) as u8, name: wanted.0, all: Vec::new() };
    if answers > RECORDS {
        return None;
    }
    for _ in 0..if truncated { 0 } else { answers } {
        let (owner, of, class) = (reader.name()?, reader.u16()?, reader.u16()?);
        reader.bytes(4)?;
        let length = usize::from(reader.u16()?);
        let end = reader.at.checked_add(length).filter(|end| *end <= message.len())?;
        // A name in a record may point before it, so the reader sees the whole message up to it.
        let mut data = Reader { message: message.get(..end)?, at: reader.at };
        reader.at = end;
        if class == INTERNET
            && let Some(data) = data.data(of)?
        {
            reply.all.push((owner, data));
        }
    }
    Some(reply)
}

/// Reads a message from one place on.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let bytes = self.message.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn u8(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    /// A name in small letters without its last dot; what is no plain letter is escaped.
    fn name(&mut self) -> Option<String> {
        let (mut text, mut length, mut after) = (String::new(), 0, None);
        let mut began = self.at;
        loop {
            let first = self.u8()?;
            match first >> 6 {
                0 if first == 0 => break,
                0 => {
                    length += 1 + usize::from(first);
                    if length >= NAME_BYTES {
                        return None;
                    }
                    if !text.is_empty() {
                        text.push('.');
                    }
                    escaped(self.bytes(usize::from(first))?, b".\\", &mut text);
                }
                3 => {
                    let to = usize::from(first & 0x3f) << 8 | usize::from(self.u8()?);
                    after = after.or(Some(self.at));
                    // Backwards only, and each time further: it cannot go round.
                    if to >= began {
                        return None;
                    }
                    (began, self.at) = (to, to);
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(self.at);
        text.make_ascii_lowercase();
        Some(text)
    }

    /// A text with its length before it.
    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.u8()?);
        let mut text = String::new();
        escaped(self.bytes(length)?, b"\"\\", &mut text);
        Some(text)
    }

    /// The data of a record; `Some(None)` where it is of no type that matters here.
    fn data(&mut self, of: u16) -> Option<Option<Data>> {
        let data = match of {
            ALIAS => Data::Alias(self.name()?),
            33 => Data::Known(Record::Srv {
                priority: self.u16()?,
                weight: self.u16()?,
                port: self.u16()?,
                target: self.name()?,
            }),
            35 => Data::Known(Record::Naptr(Naptr {
                order: self.u16()?,
                preference: self.u16()?,
                flags: self.text()?,
                services: self.text()?,
                regexp: self.text()?,
                replacement: self.name()?,
            })),
            _ => return Some(None),
        };
        Some(Some(data))
    }
}

/// Appends bytes as zone files write them, with a backslash before `special` ones.
fn escaped(bytes: &[u8], special: &[u8], text: &mut String) {
    for byte in bytes {
        match byte {
            byte if special.contains(byte) => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\{byte:03}")),
        }
    }
}

/// Reads `rest` as what stands behind the question of an answer, and as a whole message; for the
/// fuzzer, which would hardly guess the question.
pub fn reads(rest: &[u8]) -> bool {
    let Some(question) = question(0, "_sip._udp.example.org", Type::Srv) else { return false };
    let mut answer = question.clone();
    for (at, byte) in [(2, 0x80), (7, 8)] {
        if let Some(place) = answer.get_mut(at) {
            *place = byte;
        }
    }
    answer.extend_from_slice(rest);
    let all = [rest, &answer].map(|message| read(message, &question));
    all.into_iter().flatten().any(|reply| reply.records(Type::Srv).is_ok())
}

#[cfg(test)]
mod tests;
