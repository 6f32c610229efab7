//! The judge's tools: the real programs, a real Prometheus and Alertmanager, and lists of its own.
//!
//! Nothing here uses the code it judges: programs are started as a person starts them, asked over
//! HTTP, and believed only where the harness's own journal, git, `stat` or Prometheus says the
//! same. What may change with the programs — flags, configuration keys, addresses — stands in
//! [`programs`] alone.

#![allow(
    clippy::indexing_slicing,
    reason = "a judge that finds JSON of another shape stops there, with the place in its message"
)]

pub mod wait;

pub mod http;

pub mod dnsmasq;

pub mod kamailio;

pub mod sipp;

pub mod programs;

pub mod process;

pub mod fleet;

pub mod watchers;

pub mod browser;

pub mod edits;

pub mod git;

pub mod mutants;

pub mod trials;

pub mod simulation;
