//! Reads one host, and keeps what it saw until it is delivered.
//!
//! [`platform`] holds what differs between operating systems. Data goes down this page: a trigger
//! ([`schedule`], [`watch`]) wakes the [`sources`], which read the [`machine`], ask the kernel over
//! [`netlink`] and servers over [`control`], and say what [`probes`] found, with the help of
//! [`formats`] and [`content`]; [`assemble`] passes each part through the redactor and compares it
//! with the last pass; what is new waits in the [`spool`] until [`transport`] has an
//! acknowledgement for it.
//!
//! The agent only reads. It spawns no process, writes nothing outside its state folder, opens no
//! port and takes no orders except its own configuration file.

pub mod platform;

pub mod registry;

pub mod budget;

pub mod machine;

pub mod netlink;

pub mod control;

pub mod clock;

pub mod probes;

pub mod formats;

pub mod content;

pub mod sources;

pub mod spool;

pub mod assemble;

pub mod watch;

pub mod schedule;

pub mod transport;

pub mod config;

pub mod service;

pub mod telemetry;

pub mod run;

pub mod arguments;
