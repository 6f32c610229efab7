//! The contract of a source, the list of all sources, and how they are run.
//!
//! A source reads, and does nothing else: it runs no command, writes nothing and talks to nobody
//! beyond this host's own control sockets. It gives numbers as it finds them; what they mean for a
//! vendor or a site is the collector's business. The runner, not the source, times it and counts
//! its success.
//!
//! [`Machine`] is its only way to a file, which is bounded, inside the root and never written: the
//! linter refuses what goes round it, in all sources, tests apart.

#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        reason = "a source reads through the machine, and only reads"
    )
)]

use std::path::PathBuf;
use std::time::Duration;

use driftline_protocol::ids::{Digest, PartName, SourceName};
use driftline_protocol::redact::RawPart;
use driftline_protocol::snapshot::{Domain, Reason};

use crate::control;
use crate::machine::Machine;
use crate::platform::System;
use crate::sources::glob::GlobError;

pub mod os;

pub mod packages;

pub mod transactions;

pub mod services;

pub mod accounts;

pub mod login_policy;

pub mod listeners;

pub mod certificates;

pub mod time_sync;

pub mod kernel_policy;

pub mod network;

pub mod cron;

pub mod browser_policy;

pub mod firewall;

pub mod directory;

pub mod containers;

pub mod desktop_uc_client;

pub mod audio;

pub mod origins;

pub mod kamailio_running;

pub mod asterisk_running;

pub mod freeswitch_running;

pub mod probes;

pub mod files;

pub mod windows;

pub mod glob;

pub mod database;

mod each;

mod include;

mod loaded;

pub mod local_accounts;

mod look;

mod precedence;

mod running;

mod settings;

mod stamp;

mod table;

#[cfg(test)]
mod check;

#[cfg(test)]
#[cfg(unix)]
mod oracle;

#[cfg(test)]
mod manual;

/// The largest file of a home that is understood, in bytes: whose home it is may fill it with what
/// costs most, in each home of a host. A thousand keys have 100 kB.
pub(crate) const HOME_FILE_BYTES: u64 = 256 * 1024;

/// What a site chooses about sources.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// Which files are read.
    pub files: &'a files::Config,
    /// Where certificates are looked for beside the places that are known, as patterns.
    pub certificates: &'a [String],
}

/// Every source of `system` that reads files, the kernel and the registry, in the order a reader
/// meets their sections.
///
/// # Errors
/// [`GlobError`] for the first text of `chosen` that is no pattern.
pub fn all(system: System, chosen: &Chosen<'_>) -> Result<Vec<Box<dyn Source>>, GlobError> {
    let files = Box::new(files::Files::new(chosen.files)?);
    if system == System::Windows {
        let mut sources = windows::all();
        sources.push(files);
        return Ok(sources);
    }
    let mut sources: Vec<Box<dyn Source>> = vec![
        Box::new(os::Os::new()),
        Box::new(packages::Packages::new()),
        Box::new(transactions::Transactions::new(&chosen.files.withhold, &chosen.files.exclude)?),
        Box::new(services::Services::new()),
        Box::new(accounts::Accounts::new()),
        Box::new(login_policy::LoginPolicy::new()),
        Box::new(listeners::Listeners::new()),
        Box::new(certificates::Certificates::new(chosen.certificates)?),
        Box::new(time_sync::TimeSync::new()),
        Box::new(kernel_policy::KernelPolicy::new()),
        Box::new(network::Network::new()),
        Box::new(cron::Cron::new()),
        Box::new(browser_policy::BrowserPolicy::new()),
        Box::new(firewall::Firewall::new()),
        Box::new(directory::Directory::new()),
        Box::new(containers::Containers::new()),
        Box::new(desktop_uc_client::DesktopUcClient::new()),
        Box::new(audio::Audio::new()),
    ];
    for product in origins::ALL {
        sources.push(Box::new(origins::Origins::new(product)));
    }
    sources.push(files);
    Ok(sources)
}

/// Every source that asks a server what is running, and the one that says what others answered;
/// but for Kamailio those that are configured.
pub fn running(config: &control::Config, asked: &crate::probes::Config) -> Vec<Box<dyn Source>> {
    let every = Duration::from_secs(config.every_seconds);
    let mut sources: Vec<Box<dyn Source>> =
        vec![Box::new(kamailio_running::KamailioRunning::new(config.kamailio.as_ref(), every))];
    if let Some(login) = &config.asterisk {
        sources.push(Box::new(asterisk_running::AsteriskRunning::new(login, every)));
    }
    if let Some(login) = &config.freeswitch {
        sources.push(Box::new(freeswitch_running::FreeSwitchRunning::new(login, every)));
    }
    if !asked.targets.is_empty() {
        sources.push(Box::new(probes::Probes::new(asked)));
    }
    sources
}

/// Every source as it is where nothing is chosen.
#[cfg(test)]
fn defaults(system: System) -> Vec<Box<dyn Source>> {
    let chosen = Chosen { files: &files::Config::of(system), certificates: &[] };
    all(system, &chosen).expect("the built-in patterns are literals that every test run parses")
}

/// Reads one kind of fact from the host.
pub trait Source: Send {
    /// Names the section, the configuration key and the metric label, for ever.
    fn name(&self) -> SourceName;

    /// What kind of fact it reads.
    fn domain(&self) -> Domain;

    /// What the manual says of it.
    fn manual(&self) -> Manual {
        Manual::default()
    }

    /// Paths on the host whose change means "read me again before my interval is up". A directory
    /// means everything below it.
    fn watched(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The same for single files, links and folders, with nothing below them: what stands where
    /// others decide (in homes), and what the last reading found to be read besides. Asked again
    /// after each reading.
    fn watched_alone(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// How often it is read although nothing has changed, where no file tells of a change; the
    /// configured interval where it says nothing.
    fn every(&self) -> Option<Duration> {
        None
    }

    /// Whether this source, as it is configured now, looks at `part` if it is there.
    ///
    /// A part that was known and is no longer looked at is unobserved ([`Reason::Withheld`]): a
    /// narrower configuration is no removal.
    fn covers(&self, part: &PartName) -> bool {
        let _ = part;
        true
    }

    /// Reads all parts, handing each to `sink` as soon as it is read. Blocking; the caller bounds
    /// the time.
    ///
    /// `machine` is the real one in production and a fixture tree in tests. A part that is neither
    /// seen nor the same nor under a blind place is not on the host. An error means that the source
    /// as a whole said nothing: every part known before is then unobserved for this reason.
    ///
    /// # Errors
    /// The reason why nothing could be said.
    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason>;
}

/// What the manual says of a source; the manual is made from it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manual {
    /// Which parts it gives, and when.
    pub parts: &'static str,
    /// Which collections keep their order.
    pub ordered: &'static str,
    /// The version of its parser; 0 where each part is read by a format of its own.
    pub version: u32,
}

/// Takes what a source sees, part by part.
pub trait Sink {
    /// The part was looked at, or could not be ([`RawPart::Unobserved`]).
    ///
    /// A source that can tell without reading that a part is unchanged keeps the receipt for
    /// [`Sink::same`].
    fn seen(&mut self, part: PartName, raw: RawPart) -> Receipt;

    /// The part is as it was when it was seen for this receipt, by the file's identity, size and
    /// times.
    ///
    /// The sink answers [`Carry::ReadAgain`] when its last committed state is not what the receipt
    /// says, for instance because a commit failed, the spool was repaired or the part was blind in
    /// between. The source must then read the part and say [`Sink::seen`]; else it would be taken
    /// for gone.
    fn same(&mut self, part: &PartName, receipt: &Receipt) -> Carry;

    /// Nothing at or below `place` could be looked at: parts known there are unobserved, not gone.
    ///
    /// What this pass has said or will say of a single part counts more than this.
    fn blind(&mut self, place: &PartName, reason: Reason);
}

/// What became of a part that was seen. A source may keep it and may not look inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The beginning of the digest of the part as it was sealed: enough to tell it from another
    /// state of the part, and sources keep one for each file.
    stamp: [u8; 8],
    /// Why something of the part is unknown, if anything is.
    pub(crate) unobserved: Option<Reason>,
}

impl Receipt {
    /// For a part of this digest.
    pub(crate) fn of(digest: Digest, unobserved: Option<Reason>) -> Self {
        let stamp = digest.0.first_chunk().copied().unwrap_or_default();
        Self { stamp, unobserved }
    }

    /// Whether it was given for a part of this digest.
    pub(crate) fn is_for(&self, digest: &Digest) -> bool {
        digest.0.starts_with(&self.stamp)
    }
}

/// Whether a part that is the same could be carried on from the last pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a part that was not carried and is not read again would be taken for gone"]
pub enum Carry {
    /// The part stands as it was.
    Carried,
    /// The sink does not have that state of the part.
    ReadAgain,
}

/// The name of a source, given as a literal of this crate.
fn source_name(name: &'static str) -> SourceName {
    name.parse().expect("source names are literals that every test run parses")
}

/// The name of a table, given as a literal of this crate.
fn part_name(name: &'static str) -> PartName {
    name.parse().expect("table names are literals that every test run parses")
}
