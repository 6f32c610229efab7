//! Any bytes are a write-ahead log of SQLite, or none: what comes of them stays within its bounds.
#![no_main]

use driftline_agent::sources::database::wal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|parts: (Vec<u8>, &[u8])| {
    let (database, log) = parts;
    let most = database.len().max(56 * 1024 * 1024);
    if let Some(whole) = wal::applied(database, log) {
        assert!(whole.len() <= most);
    }
});
