//! What a Kamailio's TLS module runs with, and the certificates it shows to callers.
//!
//! Kamailio tells options, and of certificates nothing but where they were read from; what it has
//! in force since the last `tls.reload` only a handshake shows. So it is called at its own
//! addresses, and only where these are this host's: nothing leaves it. The part of each place holds
//! what is to be said of the certificate, and under `@now/loaded` whether the file it was read from
//! has another one by now.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems, RawPart};
use driftline_protocol::snapshot::Reason;
use serde_json::Value;

use super::{PARSER, listening, text};
use crate::control::jsonrpc::Client;
use crate::control::kamailio as ask;
use crate::formats::kamailio::domains;
use crate::machine::Machine;
use crate::platform::path_bytes;
use crate::probes::{Answer, Certificate, shown};
use crate::sources::Sink;
use crate::sources::certificates::facts;
use crate::sources::running::{tell, told};
use crate::sources::table::say;

/// The most handshakes of one reading: addresses times the names they have certificates for.
const PLACES: usize = 32;

/// How long all handshakes of one reading may take; those that are left are unobserved.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest configuration and the largest file of a certificate, in bytes.
const FILE_BYTES: u64 = 1024 * 1024;

/// Where Kamailio shows a certificate, and to whom.
struct Place {
    address: SocketAddr,
    /// The name a caller asks for; `None` for those that ask for none.
    name: Option<String>,
    /// The file it was read from, as the configuration on disk says.
    file: Option<PathBuf>,
}

impl Place {
    fn part(&self) -> PartName {
        let name = self.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        PartName::from_bytes(format!("certificate {}{name}", self.address).as_bytes())
    }
}

/// Tells the part `tls`, and one for each certificate shown.
#[allow(clippy::disallowed_methods, reason = "many calls share one patience")]
pub(super) fn tell_all(machine: &Machine, client: &mut Client, sink: &mut dyn Sink) {
    let options = client.ask(ask::TLS);
    let places = places(machine, client, options.as_ref().ok().and_then(Option::as_ref));
    tell(sink, PARSER, "tls", options.map(|options| options.map(|options| items(&options))));
    let deadline = Instant::now() + PATIENCE;
    for place in places {
        let part = match Instant::now() < deadline {
            true => certificate(machine, &place),
            false => Err(Reason::TimedOut),
        };
        let part = match part {
            Ok(items) => told(PARSER, items),
            Err(reason) => RawPart::Unobserved(reason),
        };
        sink.seen(place.part(), part);
    }
}

/// The options in force.
fn items(options: &Value) -> RawItems {
    let mut items = RawItems::new();
    for (name, value) in options.as_object().into_iter().flatten() {
        let value = match value {
            Value::Number(number) => ItemValue::Integer(number.as_i64().unwrap_or(i64::MAX)),
            Value::String(text) => ItemValue::text(text),
            Value::Bool(flag) => ItemValue::Flag(*flag),
            Value::Null | Value::Array(_) | Value::Object(_) => continue,
        };
        say(&mut items, [name], value);
    }
    items
}

/// Every place a certificate is shown at; none where no TLS module answers.
fn places(machine: &Machine, client: &mut Client, options: Option<&Value>) -> Vec<Place> {
    let Some(options) = options else { return Vec::new() };
    let domains = text(options, "config").map_or_else(Vec::new, |path| {
        let path = Path::new(path);
        let folder = path.parent().unwrap_or(path);
        let content = machine.read(path, FILE_BYTES).ok().flatten();
        let found = content.and_then(|content| domains(&content.bytes, folder).ok());
        found.unwrap_or_default()
    });
    let only = text(options, "certificate").filter(|_| domains.is_empty()).map(PathBuf::from);
    let mut places = Vec::new();
    let listening = listening(client).ok().flatten().unwrap_or_default();
    for [_, host, port] in listening.into_iter().filter(|[proto, _, _]| proto == "tls") {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok().zip(port.parse().ok());
        let Some(address) = address.map(SocketAddr::from).and_then(of_this_host) else { continue };
        let listened = format!("{host}:{port}");
        let named = |place: &str| place == listened || place == "any";
        let mut names = BTreeSet::new();
        for domain in domains.iter().filter(|domain| named(&domain.place)) {
            if let Some(name) = domain.name.as_ref().filter(|name| names.insert(*name)) {
                let file = domain.certificate.clone();
                places.push(Place { address, name: Some(name.clone()), file });
            }
        }
        let nameless = domains.iter().filter(|domain| domain.name.is_none());
        let own = nameless.clone().find(|domain| domain.place == listened);
        let default = nameless.clone().find(|domain| domain.place == "default");
        let file = own.or(default).and_then(|domain| domain.certificate.clone());
        places.push(Place { address, name: None, file: file.or_else(|| only.clone()) });
    }
    places.truncate(PLACES);
    places
}

/// The address to call, where a call does not leave this host: the kernel then takes the address
/// itself for ours. Nothing is sent to find out.
#[allow(clippy::disallowed_methods, reason = "the kernel is asked whose address it is")]
fn of_this_host(mut address: SocketAddr) -> Option<SocketAddr> {
    let (loopback, any) = match address.ip() {
        IpAddr::V4(_) => (IpAddr::from([127, 0, 0, 1]), "0.0.0.0:0"),
        IpAddr::V6(_) => (IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), "[::]:0"),
    };
    if address.ip().is_unspecified() {
        address.set_ip(loopback);
    }
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(address).ok()?;
    let own = socket.local_addr().ok()?;
    (own.ip() == address.ip()).then_some(address)
}

/// What is to be said of the certificate of one place.
fn certificate(machine: &Machine, place: &Place) -> Result<RawItems, Reason> {
    let Certificate { verdict, expires, der } = shown(place.address, place.name.as_deref())
        .map_err(|answer| match answer {
            Answer::Silent => Reason::TimedOut,
            Answer::Answered | Answer::Refused | Answer::Unknown => Reason::Failed,
        })?;
    let parsed = facts::parse(&der).map_err(|_| Reason::Malformed)?;
    let mut items = RawItems::new();
    say(&mut items, ["certificate"], ItemValue::text(verdict));
    say(&mut items, ["subject"], ItemValue::Text(facts::name(parsed.subject())));
    say(&mut items, ["issuer"], ItemValue::Text(facts::name(parsed.issuer())));
    say(&mut items, ["sha256"], ItemValue::Text(facts::fingerprint(&der)));
    let expires = RawItem::plain(ItemValue::Integer(expires));
    items.insert(ItemKey::momentary(["expires"]), expires);
    if let Some(file) = &place.file {
        let name = PartName::from_bytes(&path_bytes(file.as_ref()));
        let staged = RawItem::plain(staged(machine, file, &der));
        items.insert(ItemKey::momentary(["loaded", name.as_str()]), staged);
    }
    Ok(items)
}

/// Whether the file has another certificate than the one in force; nothing where it has none.
fn staged(machine: &Machine, file: &Path, shown: &[u8]) -> ItemValue {
    let content = machine.read(file, FILE_BYTES).ok().flatten();
    let first =
        content.and_then(|content| rustls_pemfile::certs(&mut &*content.bytes).next()?.ok());
    match first {
        Some(first) if first.as_ref() == shown => ItemValue::Set(BTreeSet::new()),
        Some(_) => ItemValue::Set(BTreeSet::from([ItemValue::text("certificate")])),
        None => ItemValue::Nothing,
    }
}
