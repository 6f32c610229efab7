//! Asks what this host depends on whether it answers: the only thing here that leaves the host
//! beside the report, and off unless the configuration names what is asked.
//!
//! A thread of its own asks one target after the other, so that a dead one holds up nothing else;
//! the source [`crate::sources::probes`] says what came of it. A target is asked [`TRIES`] times in
//! a turn, each within [`PATIENCE`], and turns come no more often than the configuration's bound.
//! A SIP target without a port is a domain, whose servers DNS names: see `discovery`.

mod discovery;
pub mod dns;
mod sip;
mod tls;

pub use tls::shown;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock;

/// How often a target is asked in one turn.
pub const TRIES: u32 = 3;

/// How long one answer may take.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How long one target may hold up the others in a turn; a try that began before is carried on.
const LONGEST: Duration = Duration::from_secs(30);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// The most targets of one host; more is the business of a monitoring system.
pub const TARGETS: usize = 64;

/// Everything that is asked; see the sample configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often each target is asked, in seconds.
    pub every_seconds: u64,
    /// Who is asked for services of a domain; the system's name servers where nothing is said.
    pub name_server: Option<SocketAddr>,
    /// What is asked; nothing unless it is said.
    pub targets: Vec<Target>,
}

impl Default for Config {
    fn default() -> Self {
        Self { every_seconds: 60, name_server: None, targets: Vec::new() }
    }
}

/// One thing that is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The service whose path it is on.
    pub service: String,
    /// The group of that path that it belongs to.
    pub hop: String,
    /// How it is asked.
    pub kind: Kind,
    /// Name or address, and port; a domain without one where DNS is to be asked for its servers.
    pub address: String,
    /// The name its certificate must have; that of the address where nothing is said.
    #[serde(default)]
    pub name: Option<String>,
    /// Certificates its own must lead to, in PEM form; without them only its dates are looked at.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// How a target is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// SIP OPTIONS in a datagram.
    SipUdp,
    /// SIP OPTIONS over TCP.
    SipTcp,
    /// SIP OPTIONS over TLS; its certificate is judged as well.
    SipTls,
    /// Whether a connection is accepted.
    Tcp,
    /// Whether a TLS handshake succeeds, and its certificate.
    Tls,
    /// The services that DNS has for a name, such as `_sip._udp.example.org`.
    DnsSrv,
    /// The rewriting rules that DNS has for a domain.
    DnsNaptr,
}

impl Kind {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SipUdp => "sip_udp",
            Self::SipTcp => "sip_tcp",
            Self::SipTls => "sip_tls",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::DnsSrv => "dns_srv",
            Self::DnsNaptr => "dns_naptr",
        }
    }

    /// Whether the address is a name and nothing else; of SIP it may be one.
    fn takes_domain(self) -> Option<bool> {
        match self {
            Self::DnsSrv | Self::DnsNaptr => Some(true),
            Self::SipUdp | Self::SipTcp | Self::SipTls => Some(false),
            Self::Tcp | Self::Tls => None,
        }
    }
}

impl Target {
    /// The name or address without its port.
    fn host(&self) -> &str {
        let (host, _) = self.address.rsplit_once(':').unwrap_or((&self.address, ""));
        host.trim_matches(['[', ']'])
    }

    /// Whether its address can be asked this way.
    fn is_possible(&self) -> bool {
        match (self.address.rsplit_once(':'), self.kind.takes_domain()) {
            (Some(_), Some(true)) | (None, None) => false,
            (Some((_, port)), _) => matches!(port.parse::<u16>(), Ok(1..)),
            (None, Some(_)) => dns::is_name(&self.address),
        }
    }
}

impl Config {
    /// How old an outcome may be before it says nothing of the target any more.
    pub fn patience(&self) -> Duration {
        let targets = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        Duration::from_secs(self.every_seconds) * 2 + LONGEST.saturating_mul(targets)
    }

    /// The first thing of it that cannot be: its key, what it is, and what to write instead.
    pub fn mistake(&self) -> Option<(&'static str, String, &'static str)> {
        if !(5..=3_600).contains(&self.every_seconds) {
            let what = format!("{} seconds", self.every_seconds);
            return Some(("probes.every_seconds", what, "from 5 to 3600"));
        }
        if self.targets.len() > TARGETS {
            let what = format!("{} targets", self.targets.len());
            return Some(("probes.targets", what, "at most 64"));
        }
        if let Some(found) = self.targets.iter().find(|target| !target.is_possible()) {
            let instead = "a name or address with its port; of SIP a domain; of DNS a name";
            return Some(("probes.targets", found.address.clone(), instead));
        }
        // Twice the same would be one part, and one address asked as often as there are targets.
        let place = |target: &Target| {
            (
                target.service.clone(),
                target.hop.clone(),
                target.kind.as_str(),
                target.address.clone(),
            )
        };
        let mut seen = BTreeSet::new();
        let again = self.targets.iter().find(|target| !seen.insert(place(target)))?;
        Some(("probes.targets", again.address.clone(), "each target of a hop once"))
    }
}

/// What became of one turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When it ended.
    pub at: Timestamp,
    /// Whether anything answered.
    pub answer: Answer,
    /// The status code of the last answer, of SIP.
    pub code: Option<u16>,
    /// The median time an answer took.
    pub round_trip: Option<Duration>,
    /// Of a hundred tries, how many had no answer.
    pub loss_percent: u32,
    /// What is to be said of its certificate, of TLS.
    pub certificate: Option<Certificate>,
    /// Of a domain: its servers for this way of asking in their order, and the one that answered.
    pub servers: Option<(Vec<String>, Option<String>)>,
    /// The records, of DNS.
    pub records: Option<BTreeSet<String>>,
    /// When it ended, by a clock that never goes back.
    pub ended: Instant,
}

/// Whether anything answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It did.
    Answered,
    /// Nothing came in time.
    Silent,
    /// It was refused, or broken off.
    Refused,
    /// The name is not known.
    Unknown,
}

impl Answer {
    /// The word of items.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Silent => "silent",
            Self::Refused => "refused",
            Self::Unknown => "name_unknown",
        }
    }
}

/// What is to be said of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// `valid`, or what is wrong: `expired`, `not_yet_valid`, `wrong_name`, `untrusted`, `refused`.
    pub verdict: &'static str,
    /// When it ends, in seconds of the wall clock.
    pub expires: i64,
    /// The certificate itself, in DER form.
    pub der: Vec<u8>,
}

/// One try that was answered.
#[derive(Default)]
struct Reply {
    took: Duration,
    code: Option<u16>,
    certificate: Option<Certificate>,
    records: Option<BTreeSet<String>>,
}

/// What came of each target, by its place in the configuration.
type Outcomes = BTreeMap<usize, Outcome>;

/// The thread that asks. It ends with its handle, within one try.
pub struct Stage {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    outcomes: Mutex<Outcomes>,
    ends: Mutex<bool>,
    called: Condvar,
}

impl Shared {
    /// Waits, and says whether the stage has ended meanwhile.
    fn rest(&self, span: Duration) -> bool {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = self.called.wait_timeout_while(ends, span, |ends| !*ends);
        *rested.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Stage {
    /// Begins to ask.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(config: &Config) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (theirs, config) = (Arc::clone(&shared), config.clone());
        let thread = std::thread::Builder::new().name("probe".into()).spawn(move || {
            let every = Duration::from_secs(config.every_seconds);
            loop {
                let began = Instant::now();
                for (place, target) in config.targets.iter().enumerate() {
                    let Some(outcome) = turn(target, &config, &theirs) else { return };
                    let mut all = theirs.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    all.insert(place, outcome);
                }
                if theirs.rest(every.saturating_sub(began.elapsed()).max(PAUSE)) {
                    return;
                }
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What came of each target so far.
    pub fn outcomes(&self) -> BTreeMap<usize, Outcome> {
        self.shared.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        *self.shared.ends.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.called.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that probes broke off");
        }
    }
}

/// Asks one target; `None` when the stage ends meanwhile.
fn turn(target: &Target, config: &Config, shared: &Shared) -> Option<Outcome> {
    let began = Instant::now();
    let servers = config.name_server.map_or_else(dns::servers, |server| vec![server]);
    let found = discovery::places(target, &servers);
    let mut places = found.clone().unwrap_or_default();
    let mut replies = Vec::new();
    let mut answer = found.as_ref().err().copied().unwrap_or(Answer::Answered);
    for n in 0..TRIES {
        if n > 0 && shared.rest(PAUSE) {
            return None;
        }
        if found.is_err() || began.elapsed() > LONGEST {
            continue;
        }
        match ask(target, &servers, &places) {
            Ok((place, reply)) => {
                replies.push(reply);
                // Who has answered is asked again, so that loss is that of one server.
                places = vec![place];
            }
            Err(failure) => answer = failure,
        }
    }
    let mut took: Vec<Duration> = replies.iter().map(|reply| reply.took).collect();
    took.sort_unstable();
    let answered = u32::try_from(replies.len()).unwrap_or(TRIES);
    let last = replies.pop();
    let is_domain = found.is_ok() && discovery::is_domain(target);
    let reached = last.as_ref().and(places.first()).cloned();
    let last = last.unwrap_or_default();
    Some(Outcome {
        at: clock::wall(),
        answer: if answered > 0 { Answer::Answered } else { answer },
        code: last.code,
        round_trip: took.get(took.len() / 2).copied(),
        loss_percent: (TRIES - answered) * 100 / TRIES,
        certificate: last.certificate,
        servers: is_domain.then(|| (found.unwrap_or_default(), reached)),
        records: last.records,
        ended: Instant::now(),
    })
}

/// One try: the first of `places` that answers, and what it says.
fn ask(
    target: &Target,
    servers: &[SocketAddr],
    places: &[String],
) -> Result<(String, Reply), Answer> {
    let mut failed = Answer::Unknown;
    for place in places {
        match ask_one(target, servers, place) {
            Ok(reply) => return Ok((place.clone(), reply)),
            Err(failure) => failed = failure,
        }
    }
    Err(failed)
}

fn ask_one(target: &Target, servers: &[SocketAddr], place: &str) -> Result<Reply, Answer> {
    let began = Instant::now();
    let of = match target.kind {
        Kind::DnsSrv => Some(dns::Type::Srv),
        Kind::DnsNaptr => Some(dns::Type::Naptr),
        Kind::SipUdp | Kind::SipTcp | Kind::SipTls | Kind::Tcp | Kind::Tls => None,
    };
    if let Some(of) = of {
        let records = dns::ask(servers, place, of)?;
        let records: BTreeSet<String> = records.iter().map(dns::Record::text).collect();
        // A name without such records is as good as none to whoever needs them.
        let records = Some(records).filter(|all| !all.is_empty()).ok_or(Answer::Unknown)?;
        return Ok(Reply { took: began.elapsed(), records: Some(records), ..Reply::default() });
    }
    let found: Vec<SocketAddr> = place.to_socket_addrs().map_err(|_| Answer::Unknown)?.collect();
    // One of each family: a server that has both answers at either.
    let of = |v4: bool| found.iter().position(|address| address.is_ipv4() == v4);
    let mut first: Vec<usize> = [of(true), of(false)].into_iter().flatten().collect();
    first.sort_unstable();
    let mut failed = Answer::Unknown;
    for address in first.into_iter().filter_map(|n| found.get(n)) {
        match ask_at(target, *address) {
            Ok(reply) => return Ok(reply),
            Err(failure) => failed = failure,
        }
    }
    Err(failed)
}

fn ask_at(target: &Target, address: SocketAddr) -> Result<Reply, Answer> {
    let began = Instant::now();
    let (code, certificate) = match target.kind {
        Kind::SipUdp => (Some(sip::over_udp(target, address)?), None),
        Kind::SipTcp => {
            let mut stream = dial(address)?;
            (Some(sip::over_stream(target, "TCP", &mut stream, began)?), None)
        }
        Kind::Tls => (None, Some(tls::shake_hands(target, dial(address)?)?.1)),
        Kind::SipTls => {
            let (mut stream, certificate) = tls::shake_hands(target, dial(address)?)?;
            (Some(sip::over_stream(target, "TLS", &mut stream, began)?), Some(certificate))
        }
        // Names were asked for before.
        Kind::Tcp | Kind::DnsSrv | Kind::DnsNaptr => {
            dial(address)?;
            (None, None)
        }
    };
    let code = code.map(|code| if mutant::active(Mutant::EveryCodeIsOk) { 200 } else { code });
    Ok(Reply { took: began.elapsed(), code, certificate, records: None })
}

fn dial(address: SocketAddr) -> Result<TcpStream, Answer> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|e| failure(&e))?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|e| failure(&e))?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(|e| failure(&e))?;
    Ok(stream)
}

/// What an error of a socket says of the target.
fn failure(error: &io::Error) -> Answer {
    let late = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
    if late { Answer::Silent } else { Answer::Refused }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
