//! Any bytes give accounts of which each is looked into once, under a name that names a part.
#![no_main]

use std::collections::BTreeSet;

use driftline_agent::sources::local_accounts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let names = local_accounts::reads(bytes);
    assert!(names.iter().all(|name| !name.is_empty() && !name.contains('/')));
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
});
