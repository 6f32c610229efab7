//! A server that says what its transcript says, or misbehaves in one of the usual ways.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use driftline_protocol::ids::PartName;
use driftline_protocol::redact::{RawPart, Redactor};
use driftline_protocol::snapshot::{Part, Reason};

use crate::control::{Login, PATIENCE, PATIENT};
use crate::machine::Machine;
use crate::sources::{Carry, Receipt, Sink, Source};

/// How the server misbehaves, from the answer on that is named with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sources) enum Fault {
    /// Not at all.
    None,
    /// It accepts and says nothing, not even hello.
    Dumb,
    /// It falls silent in the middle of that answer.
    Stalls,
    /// That answer comes byte by byte.
    Trickles,
    /// It hangs up in the middle of that answer.
    HangsUp,
    /// That answer has 64 MiB.
    Floods,
}

impl Fault {
    /// How long the caller waits: not long for what never ends, and long enough for what only takes
    /// its time, however busy this machine is.
    fn patience(self) -> Duration {
        match self {
            Self::Dumb | Self::Stalls | Self::Trickles => PATIENCE,
            Self::None | Self::HangsUp | Self::Floods => PATIENCE * 60,
        }
    }
}

/// The server's side: what it says at first, and what to each request. `{id}` stands for the
/// request's `ActionID`.
pub(in crate::sources) struct Transcript {
    pub(in crate::sources) hello: &'static str,
    /// A word of the request, and what is said to it.
    pub(in crate::sources) answers: fn(request: &str) -> String,
    /// A word of the request whose answer the fault strikes.
    pub(in crate::sources) struck: &'static str,
}

/// Where it listens, and the thread that serves one caller.
pub(in crate::sources) struct Server {
    pub(in crate::sources) address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(in crate::sources) fn start(transcript: Transcript, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            // The caller hangs up when it has enough of us, and that is the test.
            serve(&stream, &transcript, fault).unwrap_or_default();
        });
        Self { address, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A source that never called leaves it waiting.
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(mut stream: &TcpStream, transcript: &Transcript, fault: Fault) -> std::io::Result<()> {
    if fault == Fault::Dumb {
        return until_hung_up(stream);
    }
    stream.write_all(transcript.hello.as_bytes())?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        while !request.ends_with("\n\n") && !request.ends_with("\r\n\r\n") {
            if reader.read_line(&mut request)? == 0 {
                return Ok(());
            }
        }
        let id = request.lines().find_map(|line| line.strip_prefix("ActionID: "));
        let answer = (transcript.answers)(&request).replace("{id}", id.unwrap_or_default());
        let (bytes, struck) = (answer.as_bytes(), request.contains(transcript.struck));
        let half = &bytes[..bytes.len() / 2];
        match fault {
            Fault::Stalls if struck => {
                stream.write_all(half)?;
                return until_hung_up(stream);
            }
            Fault::HangsUp if struck => return stream.write_all(half),
            Fault::Trickles if struck => {
                for byte in bytes.iter().cycle().take(1_000) {
                    stream.write_all(&[*byte])?;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            Fault::Floods if struck => {
                for _ in 0..64 {
                    stream.write_all(half.repeat((1 << 20) / half.len() + 1).as_slice())?;
                }
            }
            Fault::None
            | Fault::Dumb
            | Fault::Stalls
            | Fault::Trickles
            | Fault::HangsUp
            | Fault::Floods => stream.write_all(bytes)?,
        }
    }
}

fn until_hung_up(stream: &TcpStream) -> std::io::Result<()> {
    let mut rest = Vec::new();
    BufReader::new(stream).read_until(0, &mut rest).map(|_| ())
}

/// A sink that keeps what it hears, redacted.
#[derive(Default)]
pub(in crate::sources) struct Heard {
    pub(in crate::sources) parts: BTreeMap<String, Part>,
}

impl Sink for Heard {
    fn seen(&mut self, part: PartName, raw: RawPart) -> Receipt {
        let redactor = Redactor::new([7; 32]);
        let redacted = redactor.redact(raw);
        let (digest, _) = redactor.seal(&redacted);
        let receipt = Receipt::of(digest, redacted.get().unobserved_reason());
        self.parts.insert(part.to_string(), redacted.into_inner());
        receipt
    }

    fn same(&mut self, _: &PartName, _: &Receipt) -> Carry {
        Carry::ReadAgain
    }

    fn blind(&mut self, _: &PartName, _: Reason) {}
}

impl Heard {
    /// The items of a part, as lines; the reason where it is unobserved.
    pub(in crate::sources) fn shown(&self, part: &str) -> Vec<String> {
        match self.parts.get(part) {
            Some(Part::Observed(observed)) => {
                let line = |(key, item): (&_, &driftline_protocol::item::Item)| {
                    format!("{key} {:?}", item.value)
                };
                observed.items.iter().map(line).collect()
            }
            Some(Part::Unobserved(reason)) => vec![reason.to_string()],
            None => Vec::new(),
        }
    }
}

/// Reads a source once against a server with this fault.
pub(in crate::sources) fn read(
    transcript: Transcript,
    fault: Fault,
    secret: &str,
    source: fn(&Login) -> Box<dyn Source>,
) -> (Result<(), Reason>, Heard) {
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("secret");
    std::fs::write(&secret_file, format!("{secret}\n")).unwrap();
    let server = Server::start(transcript, fault);
    let login = Login { address: server.address, user: "driftline".into(), secret_file };
    let machine = Machine::open(std::path::Path::new("/"), Redactor::new([7; 32])).unwrap();
    let mut heard = Heard::default();
    let began = Instant::now();
    PATIENT.set(fault.patience());
    let result = source(&login).read(&machine, &mut heard);
    PATIENT.set(PATIENCE);
    assert!(began.elapsed() < fault.patience() * 4, "{fault:?} hangs");
    (result, heard)
}
