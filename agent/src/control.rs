//! Questions to the servers of this host over their own control sockets, each of which only reads.
//!
//! Everything that is ever asked stands in [`ALL`]; what is not there is refused before it is sent,
//! and a test holds the list against the words a question may have. What an answer means is the
//! business of the source that asks. A server that is slow, breaks off, refuses or says too much
//! gives a [`Reason`] and never a partial answer.
//!
//! Bounded: an answer has at most [`ANSWER_BYTES`], and a whole conversation [`PATIENCE`].

pub mod ami;
pub mod esl;
pub mod jsonrpc;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use driftline_protocol::snapshot::Reason;
use serde::{Deserialize, Serialize};

/// The largest answer, in bytes: 20,000 destinations, registrations or queue members.
pub const ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// How long one reading may talk with a server. It answers from memory.
pub const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 5_000 });

#[cfg(not(test))]
fn patience() -> Duration {
    PATIENCE
}

#[cfg(test)]
fn patience() -> Duration {
    PATIENT.get()
}

#[cfg(test)]
thread_local! {
    #[cfg_attr(windows, allow(clippy::missing_const_for_thread_local, reason = "it is const"))]
    /// As [`PATIENCE`], for a test whose server has much to say.
    pub(crate) static PATIENT: std::cell::Cell<Duration> = const { std::cell::Cell::new(PATIENCE) };
}

/// The largest file that holds a password, in bytes.
pub const SECRET_BYTES: u64 = 4 * 1024;

/// One question. It can be made on this page only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    server: Server,
    name: &'static str,
    with: &'static [&'static str],
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Kamailio, over JSON-RPC.
    Kamailio,
    /// Asterisk, over its manager interface.
    Asterisk,
    /// FreeSWITCH, over its event socket.
    FreeSwitch,
}

const fn query(server: Server, name: &'static str, with: &'static [&'static str]) -> Query {
    Query { server, name, with }
}

/// What Kamailio is asked.
pub mod kamailio {
    use super::{Query, Server, query};

    const fn ask(name: &'static str, with: &'static [&'static str]) -> Query {
        query(Server::Kamailio, name, with)
    }

    /// Its command line, which names its script.
    pub const ARGUMENTS: Query = ask("core.arg", &[]);
    /// The folder it runs in.
    pub const FOLDER: Query = ask("core.pwd", &[]);
    /// When it started.
    pub const UPTIME: Query = ask("core.uptime", &[]);
    /// Its version.
    pub const VERSION: Query = ask("core.version", &[]);
    /// Its loaded modules.
    pub const MODULES: Query = ask("core.modules", &[]);
    /// The addresses it listens at.
    pub const SOCKETS: Query = ask("core.sockets_list", &[]);
    /// Its defines with their values.
    pub const DEFINES: Query = ask("core.ppdefines_full", &[]);
    /// Dispatcher sets with their destinations.
    pub const DESTINATIONS: Query = ask("dispatcher.list", &[]);
    /// How many are registered.
    pub const REGISTRATIONS: Query = ask("stats.get_statistics", &["usrloc:"]);
    /// Where it registers elsewhere.
    pub const TRUNKS: Query = ask("uac.reg_dump", &[]);
    /// Addresses that may call.
    pub const ADDRESSES: Query = ask("permissions.addressDump", &[]);
    /// Networks that may call.
    pub const NETWORKS: Query = ask("permissions.subnetDump", &[]);
    /// What its TLS module runs with.
    pub const TLS: Query = ask("tls.options", &[]);

    /// A value in force that can be changed at the console, and the key it has in a script.
    pub const SETTINGS: [(Query, &[&str]); 12] = [
        (ask("cfg.get", &["core", "debug"]), &["debug"]),
        (ask("cfg.get", &["core", "max_while_loops"]), &["max_while_loops"]),
        (ask("cfg.get", &["core", "udp_mtu"]), &["udp_mtu"]),
        (ask("cfg.get", &["core", "dns_try_naptr"]), &["dns_try_naptr"]),
        (
            ask("cfg.get", &["dispatcher", "inactive_threshold"]),
            &["modparam", "dispatcher", "ds_inactive_threshold"],
        ),
        (
            ask("cfg.get", &["dispatcher", "probing_threshold"]),
            &["modparam", "dispatcher", "ds_probing_threshold"],
        ),
        (
            ask("cfg.get", &["registrar", "default_expires"]),
            &["modparam", "registrar", "default_expires"],
        ),
        (
            ask("cfg.get", &["registrar", "max_contacts"]),
            &["modparam", "registrar", "max_contacts"],
        ),
        (ask("cfg.get", &["registrar", "max_expires"]), &["modparam", "registrar", "max_expires"]),
        (ask("cfg.get", &["registrar", "min_expires"]), &["modparam", "registrar", "min_expires"]),
        (
            ask("cfg.get", &["tm", "restart_fr_on_each_reply"]),
            &["modparam", "tm", "restart_fr_on_each_reply"],
        ),
        (ask("cfg.get", &["tm", "auto_inv_100"]), &["modparam", "tm", "auto_inv_100"]),
    ];
}

/// What Asterisk is asked.
pub mod asterisk {
    use super::{Query, Server, query};

    const fn ask(name: &'static str) -> Query {
        query(Server::Asterisk, name, &[])
    }

    /// Its version.
    pub const SETTINGS: Query = ask("CoreSettings");
    /// When it started and was reloaded as a whole.
    pub const STATUS: Query = ask("CoreStatus");
    /// The endpoints it knows.
    pub const ENDPOINTS: Query = ask("PJSIPShowEndpoints");
    /// Where it registers, and whether it is registered.
    pub const TRUNKS: Query = ask("PJSIPShowRegistrationsOutbound");
    /// Its queues with their members.
    pub const QUEUES: Query = ask("QueueStatus");
}

/// What FreeSWITCH is asked.
pub mod freeswitch {
    use super::{Query, Server, query};

    const fn ask(name: &'static str, with: &'static [&'static str]) -> Query {
        query(Server::FreeSwitch, name, with)
    }

    /// Its version.
    pub const VERSION: Query = ask("version", &["short"]);
    /// For how many seconds it has run.
    pub const UPTIME: Query = ask("uptime", &["s"]);
    /// Its loaded modules.
    pub const MODULES: Query = ask("show", &["modules", "as", "json"]);
    /// Its profiles and gateways with their states.
    pub const PROFILES: Query = ask("sofia", &["xmlstatus"]);
    /// Where it registers, and whether it is registered.
    pub const GATEWAYS: Query = ask("sofia", &["xmlstatus", "gateway"]);
    /// Its global variables.
    pub const VARIABLES: Query = ask("global_getvar", &[]);
    /// Its queues.
    pub const QUEUES: Query = ask("callcenter_config", &["queue", "list"]);
}

/// Everything that is ever asked.
pub const ALL: [Query; 37] = [
    kamailio::ARGUMENTS,
    kamailio::FOLDER,
    kamailio::UPTIME,
    kamailio::VERSION,
    kamailio::MODULES,
    kamailio::SOCKETS,
    kamailio::DEFINES,
    kamailio::DESTINATIONS,
    kamailio::REGISTRATIONS,
    kamailio::TRUNKS,
    kamailio::ADDRESSES,
    kamailio::NETWORKS,
    kamailio::TLS,
    kamailio::SETTINGS[0].0,
    kamailio::SETTINGS[1].0,
    kamailio::SETTINGS[2].0,
    kamailio::SETTINGS[3].0,
    kamailio::SETTINGS[4].0,
    kamailio::SETTINGS[5].0,
    kamailio::SETTINGS[6].0,
    kamailio::SETTINGS[7].0,
    kamailio::SETTINGS[8].0,
    kamailio::SETTINGS[9].0,
    kamailio::SETTINGS[10].0,
    kamailio::SETTINGS[11].0,
    asterisk::SETTINGS,
    asterisk::STATUS,
    asterisk::ENDPOINTS,
    asterisk::TRUNKS,
    asterisk::QUEUES,
    freeswitch::VERSION,
    freeswitch::UPTIME,
    freeswitch::MODULES,
    freeswitch::PROFILES,
    freeswitch::GATEWAYS,
    freeswitch::VARIABLES,
    freeswitch::QUEUES,
];

impl Query {
    /// The words of a question to `server`.
    ///
    /// # Errors
    /// [`Reason::Unsupported`] for what is not in [`ALL`] or is meant for another server.
    fn words(self, server: Server) -> Result<(&'static str, &'static [&'static str]), Reason> {
        let allowed = self.server == server && ALL.contains(&self);
        allowed.then_some((self.name, self.with)).ok_or(Reason::Unsupported)
    }
}

/// Which servers of this host are asked what is running; see the sample configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often each is asked, in seconds.
    pub every_seconds: u64,
    /// Kamailio; its usual socket where nothing is said.
    pub kamailio: Option<Kamailio>,
    /// Asterisk; not asked where nothing is said.
    pub asterisk: Option<Login>,
    /// FreeSWITCH; not asked where nothing is said.
    pub freeswitch: Option<Login>,
}

impl Default for Config {
    fn default() -> Self {
        Self { every_seconds: 30, kamailio: None, asterisk: None, freeswitch: None }
    }
}

/// Where a Kamailio answers: one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Kamailio {
    /// The datagram socket of its module `jsonrpcs`.
    Socket(PathBuf),
    /// Its module `xhttp`, on this host only.
    Http {
        /// Address and port.
        address: SocketAddr,
        /// The path of the request.
        path: String,
    },
}

/// Where a server answers who is known to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Address and port, on this host only.
    pub address: SocketAddr,
    /// The name to log in with; FreeSWITCH has none.
    #[serde(default)]
    pub user: String,
    /// The file that holds the password and nothing else.
    pub secret_file: PathBuf,
}

impl Config {
    /// The first thing of it that cannot be: its key, what it is, and what to write instead.
    pub fn mistake(&self) -> Option<(&'static str, String, &'static str)> {
        if !(1..=3_600).contains(&self.every_seconds) {
            let what = format!("{} seconds", self.every_seconds);
            return Some(("runtime.every_seconds", what, "from 1 to 3600"));
        }
        if let Some(Kamailio::Http { path, .. }) = &self.kamailio
            && (!path.starts_with('/') || path.bytes().any(|byte| !byte.is_ascii_graphic()))
        {
            return Some(("runtime.kamailio", path.clone(), "a path such as /RPC, without blanks"));
        }
        let http = match &self.kamailio {
            Some(Kamailio::Http { address, .. }) => Some(*address),
            Some(Kamailio::Socket(_)) | None => None,
        };
        let logins = [
            ("runtime.kamailio", http),
            ("runtime.asterisk", self.asterisk.as_ref().map(|login| login.address)),
            ("runtime.freeswitch", self.freeswitch.as_ref().map(|login| login.address)),
        ];
        logins.into_iter().find_map(|(key, address)| {
            let address = address.filter(|address| !address.ip().is_loopback())?;
            Some((key, address.to_string(), "an address of this host, such as 127.0.0.1"))
        })
    }
}

/// What an error of a socket means to us.
fn reason(error: &io::Error) -> Reason {
    let kind = error.kind();
    if kind == io::ErrorKind::PermissionDenied {
        Reason::Denied
    } else if matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
        Reason::TimedOut
    } else {
        Reason::Failed
    }
}

#[cfg(test)]
#[cfg(unix)]
pub(crate) mod tests;
