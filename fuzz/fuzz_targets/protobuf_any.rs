//! Messages of `google.protobuf.Any`, of which containerd keeps a container's document.

#![no_main]

use driftline_agent::sources::containers::any::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(any) = read(bytes) {
        assert!(any.type_url.len() + any.value.len() <= bytes.len());
    }
});
