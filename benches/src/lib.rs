//! Our programs against a peer, turn by turn in one run, as a ratio.
//!
//! Seconds belong to one machine and one day; a ratio to a program everybody knows travels. Nothing
//! here fails by a stop-watch: a missed bar is a line in the table, and the exit code only says
//! whether everything could be measured. The load stays on loopback and is bounded in count and
//! time. This crate knows our programs from outside: their command lines, their configuration files
//! and the wire.

pub mod statistics;

pub mod table;

pub mod usage;

pub mod programs;

pub mod tree;

pub mod floor;

pub mod http;

pub mod fleet;

pub mod load;

pub mod bare;

pub mod site;

pub mod rows;

pub mod trials;
