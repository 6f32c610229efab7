//! Any text is runs of zypper's history, or it is malformed.
#![no_main]

use driftline_agent::sources::transactions::zypper;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok((runs, _)) = zypper::runs(text, &jiff::tz::TimeZone::UTC) else { return };
    assert!(runs.len() <= text.lines().count());
});
