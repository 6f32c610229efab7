//! Dates as people write them, and whom an exception concerns.

use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn check_end(text: &str, in_zone: &str, expect: &str) {
    assert_eq!(end(text, &zone(in_zone)).unwrap(), at(expect), "{text} in {in_zone}");
}

#[test]
fn a_day_ends_when_the_next_one_begins_there() {
    check_end("2026-12-31", "UTC", "2027-01-01T00:00:00Z");
    check_end("2026-12-31", "Europe/Vienna", "2026-12-31T23:00:00Z");
    check_end("2026-02-28", "UTC", "2026-03-01T00:00:00Z");
    check_end("2028-02-28", "UTC", "2028-02-29T00:00:00Z");
    check_end("2028-02-29", "UTC", "2028-03-01T00:00:00Z");
    check_end("2026-04-30", "Asia/Kathmandu", "2026-04-30T18:15:00Z");
    // 23 and 25 hours long.
    check_end("2026-03-29", "Europe/Vienna", "2026-03-29T22:00:00Z");
    check_end("2026-10-25", "Europe/Vienna", "2026-10-25T23:00:00Z");
    // Days that begin at one o'clock, since midnight does not come.
    check_end("2018-11-03", "America/Sao_Paulo", "2018-11-04T03:00:00Z");
    // A day that did not come at all: Samoa went from the 29th to the 31st.
    check_end("2011-12-29", "Pacific/Apia", "2011-12-30T10:00:00Z");
}

#[test]
fn a_wall_time_is_never_later_than_it_was_written() {
    check_end("2026-12-31T17:00", "Europe/Vienna", "2026-12-31T16:00:00Z");
    check_end("2026-12-31 17:00", "Europe/Vienna", "2026-12-31T16:00:00Z");
    check_end("2026-12-31T17:00:00+05:00", "Europe/Vienna", "2026-12-31T12:00:00Z");
    // Comes twice: the first.
    check_end("2026-10-25T02:30", "Europe/Vienna", "2026-10-25T00:30:00Z");
    // Never comes.
    check_end("2026-03-29T02:30", "Europe/Vienna", "2026-03-29T00:30:00Z");
}

#[test]
fn what_is_no_end_is_refused() {
    for text in ["", "tomorrow", "2026-02-29", "2026-13-01", "31.12.2026", "2026-12-31T25:00"] {
        let refused = end(text, &zone("UTC"));
        assert_eq!(refused, Err(ExceptionError::Unreadable(text.to_owned())), "{text}");
    }
}

fn exception(scope: ExceptionScope) -> Exception {
    Exception {
        name: "e-1".into(),
        scope,
        value: None,
        owner: "voice".into(),
        reason: "the vendor asks for it".into(),
        made_by: "ann".into(),
        made_at: at("2026-11-01T00:00:00Z"),
        expires_at: at("2026-12-01T00:00:00Z"),
        zone: "UTC".into(),
        ended: None,
    }
}

fn on(host: &str) -> ExceptionScope {
    ExceptionScope { host: Some(host.to_owned()), ..ExceptionScope::default() }
}

fn id(key: Option<&str>) -> FindingId {
    FindingId {
        host: "sbc-1".parse().unwrap(),
        source: "files".parse().unwrap(),
        part: "/etc/a".parse().unwrap(),
        key: key.map(|key| key.to_owned().try_into().unwrap()),
        kind: FindingKind::Drift,
        rule: None,
    }
}

#[test]
fn it_counts_from_when_it_was_made_until_its_end_and_not_a_moment_longer() {
    let e = exception(on("sbc-*"));
    let covers = |at: Timestamp| e.covers(&id(None), &About::default(), at);
    let moment = SignedDuration::from_nanos(1);
    assert!(!covers(e.made_at.checked_sub(moment).unwrap()));
    assert!(covers(e.made_at));
    assert!(covers(e.expires_at.checked_sub(moment).unwrap()));
    assert!(!covers(e.expires_at), "expired yesterday is expired");
    let at = at("2026-11-15T00:00:00Z");
    let ended = Exception { ended: Some(Ended { at, by: "bob".into() }), ..e.clone() };
    assert!(ended.covers(&id(None), &About::default(), at.checked_sub(moment).unwrap()));
    assert!(!ended.covers(&id(None), &About::default(), at));
    assert_eq!(ended.standing(e.expires_at), Standing::Ended);
}

#[test]
fn every_field_of_the_scope_narrows() {
    let about = About { site: "graz".into(), groups: vec!["edge".into()], ..About::default() };
    let all = ExceptionScope::default;
    let text = |text: &str| Some(text.to_owned());
    for (scope, expect) in [
        (on("sbc-1"), true),
        (on("sbc-2"), false),
        (ExceptionScope { group: text("edge"), ..all() }, true),
        (ExceptionScope { group: text("core"), ..all() }, false),
        (ExceptionScope { site: text("graz"), ..all() }, true),
        (ExceptionScope { site: text("linz"), ..all() }, false),
        (ExceptionScope { kind: Some(FindingKind::Deviation), ..on("*1") }, false),
        (ExceptionScope { rule: "r".to_owned().try_into().ok(), ..all() }, false),
        (ExceptionScope { source: "files".parse().ok(), ..on("sbc-?") }, true),
        (ExceptionScope { source: "os".parse().ok(), ..on("sbc-?") }, false),
        (ExceptionScope { part: text("/etc/*"), ..all() }, true),
        (ExceptionScope { key: text("a/*"), ..all() }, true),
        (ExceptionScope { key: text("b"), ..all() }, false),
    ] {
        let covers =
            exception(scope.clone()).covers(&id(Some("a/b")), &about, at("2026-11-02T00:00:00Z"));
        assert_eq!(covers, expect, "{scope:?}");
    }
    let whole = exception(ExceptionScope { key: text("*"), ..on("sbc-1") });
    let now = at("2026-11-02T00:00:00Z");
    assert!(!whole.covers(&id(None), &about, now), "a pattern of keys does not mean the part");
}

#[test]
fn what_nobody_should_permit_is_refused() {
    let check = |change: fn(&mut Exception), expect: Result<(), ExceptionError>| {
        let mut e = exception(on("sbc-1"));
        change(&mut e);
        assert_eq!(e.check(), expect);
    };
    check(|_| {}, Ok(()));
    check(|e| e.name = "A".into(), Err(ExceptionError::Name));
    check(|e| e.reason = " ".into(), Err(ExceptionError::Text { field: "reason", most: 2_000 }));
    check(|e| e.scope = on("**"), Err(ExceptionError::Everything));
    check(|e| e.expires_at = e.made_at, Err(ExceptionError::Over(at("2026-11-01T00:00:00Z"))));
    check(|e| e.expires_at = at("2027-11-03T00:00:00Z"), Err(ExceptionError::TooLong));
    check(|e| e.expires_at = at("2027-11-02T00:00:00Z"), Ok(()));
}

const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Vienna",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Sao_Paulo",
];

proptest! {
    /// The last moment of the day written is still covered there, and the next day's first is not.
    #[test]
    fn a_day_is_covered_to_its_end(days in 0..20_000_i64, which in 0..ZONES.len()) {
        let zone = zone(ZONES[which]);
        let date = Date::constant(1980, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
        let end = end(&date.to_string(), &zone).unwrap();
        let last = end.checked_sub(SignedDuration::from_nanos(1)).unwrap().to_zoned(zone.clone());
        prop_assert_eq!(last.date(), date);
        prop_assert_eq!(end.to_zoned(zone).date(), date.tomorrow().unwrap());
    }

    /// However a wall time falls, the clock there has not passed it before the end comes.
    #[test]
    fn no_end_is_later_than_written(
        days in 0..20_000_i64, minutes in 0..1_440_i64, which in 0..ZONES.len(),
    ) {
        let zone = zone(ZONES[which]);
        let date = Date::constant(1980, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
        let wall = date.at(0, 0, 0, 0).checked_add(jiff::Span::new().minutes(minutes)).unwrap();
        let end = end(&wall.to_string(), &zone).unwrap();
        prop_assert!(end.to_zoned(zone).datetime() <= wall);
    }
}
