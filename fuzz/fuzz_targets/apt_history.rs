//! Any text is runs of apt's history, or it is malformed.
#![no_main]

use driftline_agent::sources::transactions::apt;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok((runs, _)) = apt::runs(text, &jiff::tz::TimeZone::UTC) else { return };
    assert!(runs.len() <= text.lines().count());
});
