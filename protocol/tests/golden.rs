//! What travels and what is kept keeps its form: one golden file per message and version.
//!
//! A golden file is never edited. Today's types must read each and write it back equal, and must
//! read it with fields that a later minor version may add.

#![allow(
    clippy::unwrap_used,
    reason = "a golden file that does not read is what these tests report"
)]

use std::fs;
use std::path::PathBuf;

use driftline_protocol::canonical;
use driftline_protocol::snapshot::{Part, Snapshot};
use driftline_protocol::wire::{
    EnrolAnswer, EnrolRequest, Heartbeat, HeartbeatAnswer, Import, ImportAnswer, PartsAnswer,
    PartsUpload, Problem, Report, ReportAnswer,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn golden(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/v1").join(name);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap()
}

/// The golden file reads as `T`, writes back equal, and reads with a field `T` does not know.
#[track_caller]
fn check_message<T: Serialize + DeserializeOwned>(name: &str) {
    let golden = golden(name);
    let message: T = serde_json::from_value(golden.clone()).unwrap();
    assert_eq!(serde_json::to_value(&message).unwrap(), golden, "{name} is written otherwise");
    let mut newer = golden.clone();
    newer.as_object_mut().unwrap().insert("of_a_later_version".into(), json!({"x": [1]}));
    let read: T = serde_json::from_value(newer).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), golden, "{name} with a later field");
}

#[test]
fn every_message_of_version_1_is_read_and_written_as_it_was() {
    check_message::<EnrolRequest>("enrol_request.json");
    check_message::<EnrolAnswer>("enrol_answer.json");
    check_message::<Heartbeat>("heartbeat.json");
    check_message::<HeartbeatAnswer>("heartbeat_answer.json");
    check_message::<PartsUpload>("parts_upload.json");
    check_message::<PartsAnswer>("parts_answer.json");
    check_message::<Report>("report.json");
    check_message::<ReportAnswer>("report_answer.json");
    check_message::<Import>("import.json");
    check_message::<ImportAnswer>("import_answer.json");
    check_message::<Problem>("problem.json");
}

#[test]
fn a_canonical_part_of_version_1_has_the_same_bytes_and_digest() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/v1/part.json");
    let bytes = fs::read(path).unwrap();
    let part: Part = canonical::decode(bytes.trim_ascii_end()).unwrap();
    assert_eq!(canonical::encode(&part), bytes.trim_ascii_end());
    assert_eq!(json!(canonical::digest(&part)), golden("part_digest.json"));
}

#[test]
fn a_snapshot_of_version_1_is_read_and_written_as_it_was() {
    let golden = golden("snapshot.json");
    let snapshot: Snapshot = serde_json::from_value(golden.clone()).unwrap();
    assert_eq!(serde_json::to_value(snapshot).unwrap(), golden);
}
