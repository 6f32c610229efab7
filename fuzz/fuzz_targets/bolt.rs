//! Databases of BoltDB: whatever the bytes, the walk ends within them.

#![no_main]

use driftline_agent::sources::containers::bolt::{Bucket, Value, open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bolt) = open(bytes, 1_000_000) {
        walk(&bolt.root(), &mut 10_000);
    }
});

/// Buckets may share pages in a made file, so what is visited is bounded here.
fn walk(bucket: &Bucket<'_>, left: &mut usize) {
    for (_, value) in bucket.all().unwrap_or_default() {
        *left = left.saturating_sub(1);
        if let Value::Bucket(bucket) = value
            && *left > 0
        {
            walk(&bucket, left);
        }
    }
}
