//! Any bytes are an answer of a name server, or they are none.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    driftline_agent::probes::dns::reads(bytes);
});
