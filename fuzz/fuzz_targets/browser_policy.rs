//! Any bytes are as long without comments and commas, and JSON stays what it is.
#![no_main]

use driftline_agent::formats::json;
use driftline_agent::sources::browser_policy::lenient;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let plain = lenient(bytes);
    assert_eq!(plain.len(), bytes.len());
    assert_eq!(lenient(&plain).len(), plain.len());
    if (json::FORMAT.read)(bytes).is_ok() {
        assert_eq!(plain, bytes);
    }
});
