//! Any bytes give settings of Linphone and Qt that were asked for, or too much.
#![no_main]

use driftline_agent::sources::desktop_uc_client::{linphone, qsettings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let wanted = |_: &str, name: &str| name.len() == 1;
    let both = [qsettings::read(bytes, wanted), linphone::read(bytes, wanted)];
    for items in both.into_iter().flatten() {
        assert!(items.keys().all(|key| key.segments().last().is_some_and(|name| name.len() == 1)));
    }
});
