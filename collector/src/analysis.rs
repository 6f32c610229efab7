//! From what was seen to what it means: diff -> drift. Pure.
//!
//! Same input, same findings, byte for byte: no clock, no I/O, no randomness, and the compiler
//! refuses them. Time comes in as a value. Both ways of not seeing — a part that could not be read,
//! and a part we read differently than before — end here: the first says nothing, the second says
//! `recast`.

#![deny(clippy::disallowed_methods, reason = "analysis is pure: no clock, no I/O, no randomness")]

pub mod agreement;
pub mod apply;
pub mod cases;
pub mod change;
pub mod change_sets;
pub mod classify;
pub mod comparable;
pub mod correlate;
pub mod diff;
pub mod discrepancy;
pub mod drift;
pub mod exceptions;
pub mod finding;
pub mod lines;
pub mod order;
pub mod peers;
pub mod policy;
pub mod probes;
pub mod reach;
pub mod read_span;
pub mod rules;
pub mod service_levels;
pub mod sight;
pub mod site_clock;
pub mod stats;
pub mod volume;
