//! Any bytes give the formats of `crontab` items within bounds, or an error.
#![no_main]

use driftline_agent::formats::crontab::{ANACRON, SYSTEM, USER};
use driftline_protocol::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in [&SYSTEM, &USER, &ANACRON] {
        if let Ok(items) = (format.read)(bytes) {
            assert!(items.len() <= limits::ITEMS_PER_PART, "{}", format.name);
            assert!(items.keys().all(|key| !key.is_attribute()), "{}", format.name);
        }
    }
});
