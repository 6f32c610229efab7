//! The contract of a source, the list of all sources, and how they are run.
//!
//! A source reads, and does nothing else: it runs no command, writes nothing and talks to nobody beyond this
//! host's own control sockets. It gives numbers as it finds them; what they mean for a vendor or a site is
//! the collector's business. The runner, not the source, times it and counts its success.

use std::path::PathBuf;

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::redact::RawPart;
use driftline_protocol::snapshot::{Domain, Reason};

use crate::machine::Machine;

pub mod os;

pub mod packages;

pub mod services;

pub mod accounts;

pub mod login_policy;

mod include;

mod look;

#[cfg(test)]
mod check;

/// Every source without settings of its own, in the order a reader meets their sections.
pub fn all() -> Vec<Box<dyn Source>> {
    vec![
        Box::new(os::Os::new()),
        Box::new(packages::Packages::new()),
        Box::new(services::Services::new()),
        Box::new(accounts::Accounts::new()),
        Box::new(login_policy::LoginPolicy::new()),
    ]
}

/// Reads one kind of fact from the host.
pub trait Source: Send {
    /// Names the section, the configuration key and the metric label, for ever.
    fn name(&self) -> SourceName;

    /// What kind of fact it reads.
    fn domain(&self) -> Domain;

    /// Paths on the host whose change means "read me again before my interval is up". A directory means
    /// everything below it.
    fn watched(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Reads all parts, handing each to `sink` as soon as it is read. Blocking; the caller bounds the time.
    ///
    /// `machine` is the real one in production and a fixture tree in tests. A part that is neither seen nor
    /// the same nor under a blind place is not on the host. An error means that the source as a whole said
    /// nothing: every part known before is then unobserved for this reason.
    ///
    /// # Errors
    /// The reason why nothing could be said.
    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason>;
}

/// Takes what a source sees, part by part.
pub trait Sink {
    /// The part was looked at, or could not be ([`RawPart::Unobserved`]).
    fn seen(&mut self, part: PartName, raw: RawPart);

    /// The part is as this source saw it in its last pass, by the file's identity, size and times.
    fn same(&mut self, part: &PartName);

    /// Nothing at or below `place` could be looked at: parts known there are unobserved, not gone.
    fn blind(&mut self, place: &PartName, reason: Reason);
}

/// The name of a source, given as a literal of this crate.
fn source_name(name: &'static str) -> SourceName {
    name.parse().expect("source names are literals that every test run parses")
}

/// The name of a table, given as a literal of this crate.
fn part_name(name: &'static str) -> PartName {
    name.parse().expect("table names are literals that every test run parses")
}
