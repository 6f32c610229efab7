//! Any bytes give cases within bounds, or an error; every row is taken or refused by its line.
#![no_main]

use driftline_collector::cases::{Blanks, CASES, Column, Form, NAMES, REFUSALS};
use driftline_collector::cases::read_cases;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let form = Form {
        zone: jiff::tz::TimeZone::UTC,
        required: vec![Column::Service, Column::Site],
        blanks: Blanks::Refused,
    };
    let Ok(cases) = read_cases(bytes, &form, &[]) else { return };
    let taken = cases.stream.cases.len();
    assert!(taken <= CASES && cases.stream.sites.len() <= NAMES);
    assert!(cases.refused.first.len() <= REFUSALS);
    assert_eq!(taken as u64 + cases.repeated + cases.refused.total, cases.rows);
    assert!(cases.stream.cases.is_sorted_by_key(|case| case.opened_at));
});
