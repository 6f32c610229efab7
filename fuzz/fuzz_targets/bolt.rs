//! Databases of BoltDB: whatever the bytes, the walk ends within them. The same bytes are also
//! laid behind a whole first page, whose sum no fuzzer guesses.

#![no_main]

use driftline_agent::sources::containers::bolt::{Bucket, Value, open};
use libfuzzer_sys::fuzz_target;

/// The smallest page that is read, so that there are many of them.
const PAGE: usize = 1_024;

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    look(&[&first_page(), bytes].concat());
});

fn look(bytes: &[u8]) {
    if let Ok(bolt) = open(bytes, 1_000_000) {
        walk(&bolt.root(), &mut 10_000);
    }
}

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

/// A meta page that names the page behind it as its root (bbolt, `meta.go`).
fn first_page() -> Vec<u8> {
    let mut fields = Vec::new();
    fields.extend([0xED0C_DAED_u32, 2, PAGE as u32, 0].map(u32::to_le_bytes).concat());
    // The root's page and sequence, the page of free ones, the number of pages, the transaction.
    fields.extend([1_u64, 0, 1, 2, 1].map(u64::to_le_bytes).concat());
    let sum = fields.iter().fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mut page = vec![0; 16];
    page.extend(fields);
    page.extend(sum.to_le_bytes());
    page.resize(PAGE, 0);
    page
}
