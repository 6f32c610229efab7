//! What agent and collector share: the words, the snapshot, its canonical form, redaction, the
//! wire.
//!
//! This crate decides and never acts: it has no clock, no files, no network and no randomness, and
//! the linter refuses them. It does not know what a source reads, how a store keeps, or what a
//! rule means. It keeps four invariants of the product: *unobserved is not absent*
//! ([`snapshot::Part`]), *only redacted data leaves the host* ([`redact::Redacted`]), *formats
//! carry a version and a golden file* ([`wire`]) and *everything is bounded* ([`limits`]).
//!
//! Modules are listed so that each uses only those above it.

#![deny(
    clippy::disallowed_methods,
    reason = "the protocol is pure: no clock, no I/O, no randomness"
)]

pub mod limits;

pub mod mutant;

pub mod printable;

pub mod ids;

pub mod item;

pub mod snapshot;

pub mod canonical;

pub mod redact;

pub mod manifest;

pub mod ledger;

pub mod wire;
