//! No body grows past its bound.
#![no_main]

use driftline_protocol::{limits, wire};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(body) = wire::decompress(bytes) {
        assert!(body.len() <= limits::DECOMPRESSED_BYTES);
    }
});
