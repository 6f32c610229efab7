//! Any bytes give the format `shell` items within bounds, or an error.
#![no_main]

use driftline_agent::formats::shell::FORMAT;
use driftline_protocol::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(items) = (FORMAT.read)(bytes) {
        assert!(items.len() <= limits::ITEMS_PER_PART);
        assert!(items.keys().all(|key| !key.is_attribute()));
    }
});
