//! Any bytes give the formats of `ini` items within bounds, or an error.
#![no_main]

use driftline_agent::formats::ini::{COUCHDB, FORMAT};
use driftline_protocol::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in [&COUCHDB, &FORMAT] {
        if let Ok(items) = (format.read)(bytes) {
            assert!(items.len() <= limits::ITEMS_PER_PART, "{}", format.name);
            assert!(items.keys().all(|key| !key.is_attribute()), "{}", format.name);
        }
    }
});
