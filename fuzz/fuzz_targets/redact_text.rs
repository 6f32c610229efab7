//! Redacting any text twice gives what redacting it once gives.
#![no_main]

use driftline_protocol::redact::Redactor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let redactor = Redactor::new([7; 32]);
    let once = redactor.redact_text(text).into_owned();
    assert_eq!(redactor.redact_text(&once), once);
});
