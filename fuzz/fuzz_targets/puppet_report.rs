//! Any bytes are a report of Puppet within its bounds, or they are none.
#![no_main]

use driftline_agent::sources::transactions::puppet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(run) = puppet::reads(bytes) else { return };
    assert!(run.effects.len() <= bytes.len());
});
