//! Bytes that decode are the one form of their part.
#![no_main]

use driftline_protocol::canonical;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(part) = canonical::decode(bytes) {
        assert_eq!(canonical::encode(&part), bytes);
    }
});
