//! Any bytes give the formats of `commented` items within bounds, or an error.
#![no_main]

use driftline_agent::formats::commented::{FORMAT, SLASHED, TACACS};
use driftline_protocol::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in [&FORMAT, &SLASHED, &TACACS] {
        if let Ok(items) = (format.read)(bytes) {
            assert!(items.len() <= limits::ITEMS_PER_PART, "{}", format.name);
            assert!(items.keys().all(|key| !key.is_attribute()), "{}", format.name);
        }
    }
});
