//! Everything agent and collector say to each other, and its versions.
//!
//! HTTP/1.1, JSON, zstd above a few hundred bytes. An agent enrols once, then sends heartbeats; a
//! heartbeat names the digest of each section, and the answer names what the collector lacks.
//! Versions of sections travel in order: parts the collector does not hold go up first
//! ([`PartsUpload`]), then the [`Report`] that refers to them. Nothing is acknowledged before it is
//! durable, and sending twice changes nothing: the event key is (host, source, generation).
//!
//! ```text
//! POST /api/v1/enrol      EnrolRequest  -> EnrolAnswer      by secret, or by token after a clone
//! POST /api/v1/heartbeat  Heartbeat     -> HeartbeatAnswer
//! POST /api/v1/parts      PartsUpload   -> PartsAnswer
//! POST /api/v1/report     Report        -> ReportAnswer
//! POST /api/v1/import     Import        -> ImportAnswer     by an admin's token
//! ```
//!
//! Requests after enrolment carry `Authorization: Bearer <token>`. Unknown fields are ignored in
//! messages, so that one side may be a minor version ahead; a higher [`PROTOCOL_VERSION`] is
//! refused with the code `version`. Golden files of every message of every version stand in
//! `protocol/golden/`.

mod compress;
mod import;
mod messages;

pub use compress::{WireError, compress, decompress, decompress_within};
pub use import::*;
pub use messages::*;

/// The version of the messages; raised when an older peer could misread one.
pub const PROTOCOL_VERSION: u32 = 1;

/// The version of a snapshot file written by `driftline-agent snapshot`.
pub const SNAPSHOT_VERSION: u32 = 1;
