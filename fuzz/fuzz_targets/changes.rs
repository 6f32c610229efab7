//! Any bytes give changes within bounds, or an error; every row is taken or refused by its line.
#![no_main]

use std::collections::BTreeSet;

use driftline_collector::cases::{CHANGES, REFUSALS, read_changes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(changes) = read_changes(bytes, &jiff::tz::TimeZone::UTC) else { return };
    let taken = changes.candidates.len();
    assert!(taken <= CHANGES && changes.refused.first.len() <= REFUSALS);
    assert_eq!(taken as u64 + changes.refused.total, changes.rows);
    let ids: BTreeSet<&str> = changes.candidates.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids.len(), taken);
});
