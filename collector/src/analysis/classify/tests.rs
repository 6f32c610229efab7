//! Which class a change gets, told from the words of the design and not from the code.

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::request::{Approval, RequestKind};
use super::scope::IntentScope;
use super::transaction::Transactions;
use super::window::When;
use super::*;
use crate::analysis::change::{Change, ChangeKind};
use crate::config::Place;
use crate::config::load::parse;

mod news;
mod packages;
mod past;
mod runs;

const SPANS: Spans = Spans {
    slack: SignedDuration::from_mins(15),
    early: SignedDuration::from_hours(24),
    late: SignedDuration::from_hours(24),
    emergency: SignedDuration::from_hours(12),
    revert: SignedDuration::from_hours(168),
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A change of `codec` in a file of sbc-1 in Vienna, which serves voice, at `at`.
struct World {
    host: HostId,
    place: Place,
    source: SourceName,
    part: PartName,
    key: ItemKey,
    at: Timestamp,
}

impl World {
    fn new(moment: &str) -> Self {
        Self {
            host: "sbc-1".parse().unwrap(),
            place: Place {
                site: "vienna".into(),
                service: "voice".into(),
                groups: vec!["edge".into()],
                ..Place::default()
            },
            source: "files".parse().unwrap(),
            part: "/etc/sip.conf".parse().unwrap(),
            key: ItemKey::of(["codec"]),
            at: at(moment),
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            host: &self.host,
            place: &self.place,
            source: &self.source,
            part: &self.part,
            key: Some(&self.key),
            kind: ChangeKind::Modified,
            became: Some(Digest([7; 32])),
            at: self.at,
        }
    }
}

fn scope(fields: &[(&str, &str)]) -> IntentScope {
    let mut scope = IntentScope::default();
    for (field, word) in fields {
        let list = match *field {
            "host" => &mut scope.hosts,
            "service" => &mut scope.services,
            "site" => &mut scope.sites,
            "group" => &mut scope.groups,
            "source" => &mut scope.sources,
            "part" => &mut scope.parts,
            _ => &mut scope.keys,
        };
        list.push((*word).to_owned());
    }
    scope
}

fn item(text: &str) -> Item {
    Item { value: ItemValue::text(text), rank: None }
}

/// From 22:00 to 23:00.
fn request(id: &str, fields: &[(&str, &str)]) -> ChangeRequest {
    ChangeRequest {
        source: "itsm".into(),
        id: id.into(),
        kind: RequestKind::Normal,
        approval: Approval::Approved,
        start: at("2026-11-28T22:00:00Z"),
        end: at("2026-11-28T23:00:00Z"),
        scope: scope(fields),
        url: String::new(),
        received_at: at("2026-11-01T00:00:00Z"),
    }
}

fn intent(requests: &[ChangeRequest]) -> Intent<'_> {
    let requests: Vec<&ChangeRequest> = requests.iter().collect();
    Intent {
        requests: requests.leak(),
        windows: &[],
        blackouts: &[],
        exceptions: &[],
        ignores: &[],
        spans: SPANS,
        told: true,
    }
}

fn class_of(moment: &str, requests: &[ChangeRequest]) -> (ChangeClass, String, Option<Level>) {
    let world = World::new(moment);
    let decision = classify(&world.subject(), (&intent(requests), &Past::default()), None);
    (decision.class.unwrap(), decision.name, decision.level)
}

use ChangeClass::*;

#[test]
fn a_request_is_held_against_scope_and_time() {
    let inside = "2026-11-28T22:30:00Z";
    for (moment, fields, expect) in [
        (inside, &[("host", "sbc-*")][..], (Expected, Some(Level::Host))),
        (inside, &[("service", "voice")], (Expected, Some(Level::Service))),
        (inside, &[("site", "vienna")], (Expected, Some(Level::Place))),
        (inside, &[("group", "edge")], (Expected, Some(Level::Place))),
        (inside, &[("site", "graz"), ("group", "edge")], (Expected, Some(Level::Place))),
        (inside, &[("key", "codec")], (Expected, Some(Level::Item))),
        (inside, &[("host", "sbc-1"), ("part", "/etc/*")], (Expected, Some(Level::Item))),
        // Minutes beside it are inside it; beyond them it is early or late; beyond a day nothing.
        ("2026-11-28T21:46:00Z", &[("host", "sbc-1")], (Expected, Some(Level::Host))),
        ("2026-11-28T21:44:00Z", &[("host", "sbc-1")], (Early, Some(Level::Host))),
        ("2026-11-28T23:14:00Z", &[("host", "sbc-1")], (Expected, Some(Level::Host))),
        ("2026-11-28T23:16:00Z", &[("host", "sbc-1")], (Late, Some(Level::Host))),
        ("2026-11-27T21:00:00Z", &[("host", "sbc-1")], (Unauthorised, None)),
        ("2026-11-30T00:00:00Z", &[("host", "sbc-1")], (Unauthorised, None)),
        // Another item or another host of the same service is beside it.
        (inside, &[("host", "sbc-1"), ("key", "allow")], (OutOfScope, None)),
        (inside, &[("host", "sbc-2"), ("service", "voice")], (OutOfScope, None)),
        (inside, &[("host", "sbc-2"), ("site", "vienna")], (OutOfScope, None)),
        (inside, &[("service", "fax"), ("site", "vienna")], (OutOfScope, None)),
        ("2026-11-28T23:16:00Z", &[("host", "sbc-1"), ("key", "allow")], (Unauthorised, None)),
        (inside, &[("host", "sbc-2")], (Unauthorised, None)),
        (inside, &[("key", "allow")], (Unauthorised, None)),
        (inside, &[], (Unauthorised, None)),
    ] {
        let (class, name, level) = class_of(moment, &[request("CHG1", fields)]);
        assert_eq!((class, level), expect, "{moment} {fields:?}");
        assert_eq!(name.is_empty(), class == Unauthorised, "{moment} {fields:?}");
    }
}

#[test]
fn only_what_was_approved_is_expected() {
    let inside = "2026-11-28T22:30:00Z";
    for approval in [Approval::Requested, Approval::Rejected] {
        let one = ChangeRequest { approval, ..request("CHG1", &[("host", "sbc-1")]) };
        assert_eq!(class_of(inside, std::slice::from_ref(&one)).0, Unapproved);
        assert_eq!(class_of("2026-11-28T23:30:00Z", &[one]).0, Unauthorised);
        let beside =
            ChangeRequest { approval, ..request("CHG1", &[("host", "sbc-1"), ("key", "x")]) };
        assert_eq!(class_of(inside, &[beside]).0, Unauthorised);
    }
}

#[test]
fn an_emergency_may_be_written_down_afterwards() {
    let one = |approval| ChangeRequest {
        kind: RequestKind::Emergency,
        approval,
        ..request("EMG1", &[("host", "sbc-1")])
    };
    for (moment, approval, expect) in [
        ("2026-11-28T22:30:00Z", Approval::Approved, Emergency),
        ("2026-11-28T10:30:00Z", Approval::Requested, Emergency),
        ("2026-11-28T09:30:00Z", Approval::Approved, Unauthorised),
        ("2026-11-28T23:30:00Z", Approval::Approved, Unauthorised),
        ("2026-11-28T22:30:00Z", Approval::Rejected, Unapproved),
    ] {
        assert_eq!(class_of(moment, &[one(approval)]).0, expect, "{moment} {approval:?}");
    }
}

#[test]
fn of_several_requests_the_one_that_says_most_for_the_change_is_named() {
    let inside = "2026-11-28T22:30:00Z";
    let all = [
        request("BESIDE", &[("host", "sbc-1"), ("key", "allow")]),
        ChangeRequest { approval: Approval::Requested, ..request("ASKED", &[("key", "codec")]) },
        request("SITE", &[("site", "vienna")]),
        request("HOST", &[("host", "sbc-1")]),
    ];
    let mut some: Vec<ChangeRequest> = Vec::new();
    for (one, expect) in all.into_iter().zip([
        (OutOfScope, "itsm/BESIDE"),
        (Unapproved, "itsm/ASKED"),
        (Expected, "itsm/SITE"),
        (Expected, "itsm/HOST"),
    ]) {
        some.insert(0, one);
        let (class, name, _) = class_of(inside, &some);
        assert_eq!((class, name.as_str()), expect);
        some.reverse();
        assert_eq!(class_of(inside, &some).1, name, "the order says something");
        some.reverse();
    }
}

fn windows(text: &str) -> (Vec<Window>, Vec<Window>) {
    let config = parse("t", text).unwrap();
    (config.change_windows, config.blackouts)
}

#[test]
fn a_window_expects_and_a_blackout_forbids_all_but_an_emergency() {
    let (open, closed) = windows(
        "[[change_window]]\nname = 'night'\nstart = '22:00'\nend = '02:00'\nhosts = ['sbc-*']\n\
         [[blackout]]\nname = 'freeze'\nfrom = '2026-11-28T22:00'\nuntil = '2026-11-29T00:00'\n",
    );
    let class = |moment: &str, requests: &[ChangeRequest], blackouts: &[Window]| {
        let world = World::new(moment);
        let intent = Intent { windows: &open, blackouts, ..intent(requests) };
        let decision = classify(&world.subject(), (&intent, &Past::default()), None);
        (decision.class.unwrap(), decision.rule, decision.name)
    };
    let (night, freeze) = ("night".to_owned(), "freeze".to_owned());
    let expected = (Expected, RuleKind::Window, night);
    let forbidden = (Unauthorised, RuleKind::Blackout, freeze);
    for moment in ["2026-11-28T22:30:00Z", "2026-11-28T01:59:00Z", "2026-11-28T02:10:00Z"] {
        assert_eq!(class(moment, &[], &[]), expected, "{moment}");
    }
    assert_eq!(class("2026-11-28T12:00:00Z", &[], &[]).0, Unauthorised);
    let inside = "2026-11-28T22:30:00Z";
    assert_eq!(class(inside, &[], &closed), forbidden);
    let approved = request("CHG1", &[("host", "sbc-1")]);
    assert_eq!(class(inside, std::slice::from_ref(&approved), &closed), forbidden);
    let emergency = ChangeRequest { kind: RequestKind::Emergency, ..approved.clone() };
    for requests in [vec![emergency.clone()], vec![approved, emergency]] {
        assert_eq!(class(inside, &requests, &closed).0, Emergency, "{}", requests.len());
    }
    // No slack: the first moment of a blackout is the first of it.
    assert_eq!(class("2026-11-28T21:59:59Z", &[], &closed).0, Expected);
}

#[test]
fn where_nobody_tells_of_intent_nothing_is_unauthorised() {
    let world = World::new("2026-11-28T22:30:00Z");
    let silent = Intent { told: false, ..intent(&[]) };
    let decision = classify(&world.subject(), (&silent, &Past::default()), None);
    assert_eq!((decision.class, decision.rule), (None, RuleKind::Nothing));
}

#[test]
fn an_exception_counts_at_the_time_of_the_change() {
    let exception = Exception {
        name: "trial".into(),
        scope: crate::analysis::exceptions::ExceptionScope {
            host: Some("sbc-*".into()),
            ..Default::default()
        },
        value: None,
        owner: "voice".into(),
        reason: "because".into(),
        made_by: "ada".into(),
        made_at: at("2026-11-01T00:00:00Z"),
        expires_at: at("2026-11-28T22:00:00Z"),
        zone: "UTC".into(),
        ended: None,
    };
    for (moment, expect) in
        [("2026-11-28T21:59:00Z", Excepted), ("2026-11-28T22:00:00Z", Unauthorised)]
    {
        let world = World::new(moment);
        let all = [exception.clone()];
        let intent = Intent { exceptions: &all, ..intent(&[]) };
        let decision = classify(&world.subject(), (&intent, &Past::default()), None);
        assert_eq!(decision.class, Some(expect), "{moment}");
    }
    let world = World::new("2026-11-28T21:59:00Z");
    for (value, expect) in [(7, Excepted), (8, Unauthorised)] {
        let all = [Exception { value: Some(Digest([value; 32])), ..exception.clone() }];
        let intent = Intent { exceptions: &all, ..intent(&[]) };
        let decision = classify(&world.subject(), (&intent, &Past::default()), None);
        assert_eq!(decision.class, Some(expect), "it was accepted as {value}, and is 7");
        let untold = Subject { became: None, ..world.subject() };
        let decision = classify(&untold, (&intent, &Past::default()), None);
        assert_eq!(decision.class, Some(Unauthorised), "what it is cannot be told");
    }
}

#[test]
fn what_replaced_a_decision_is_told_and_bounded() {
    let decision = |number: usize| Decision {
        class: Some(Unauthorised),
        rule: RuleKind::Nothing,
        name: number.to_string(),
        level: None,
        says: "x".into(),
    };
    let mut classified = Classified::first(decision(0), Timestamp::UNIX_EPOCH);
    assert_eq!(classified.again(decision(0), Timestamp::MAX), None);
    for number in 1..20 {
        let now = Timestamp::from_second(number as i64).unwrap();
        classified = classified.again(decision(number), now).unwrap();
    }
    assert_eq!(classified.earlier.len(), EARLIER_MOST);
    assert_eq!(classified.earlier[0].decision, decision(18));
    assert_eq!(classified.earlier[0].until, classified.decided_at);
}

/// Whether a window is open, by walking the wall clock minute by minute from each beginning.
fn open_by_hand(window: &Window, moment: Timestamp) -> bool {
    let When::Recurring { days, weeks, start, end, from, until } = &window.when else {
        unreachable!()
    };
    let today = moment.to_zoned(window.zone.clone()).date();
    (-2..=1).any(|shift| {
        let day = today + jiff::Span::new().days(shift);
        let week = (day.day() + 6) / 7;
        let last = (day + jiff::Span::new().days(7)).month() != day.month();
        let fits = (days.is_empty() || days.contains(&day.weekday()))
            && (weeks.is_empty() || weeks.iter().any(|w| *w == week || (*w == -1 && last)))
            && from.is_none_or(|from| day >= from)
            && until.is_none_or(|until| day <= until);
        let over = if end > start { day } else { day + jiff::Span::new().days(1) };
        let moment_of = |wall| window.zone.to_zoned(wall).unwrap().timestamp();
        fits && moment_of(day.to_datetime(*start)) <= moment
            && moment < moment_of(over.to_datetime(*end))
    })
}

proptest! {
    /// Month ends, leap days and the two days a year on which clocks are put.
    #[test]
    fn a_window_is_open_when_its_wall_clock_says_so(
        days in proptest::collection::vec(0..7i8, 0..3),
        weeks in proptest::collection::vec(prop_oneof![1..6i8, Just(-1i8)], 0..3),
        start in 0..1440i64,
        end in 0..1440i64,
        bounded in any::<bool>(),
        second in 1_700_000_000i64..1_900_000_000,
        zone in prop_oneof![Just("Europe/Vienna"), Just("UTC"), Just("America/New_York"),
            Just("Australia/Lord_Howe"), Just("Pacific/Apia")],
    ) {
        let midnight = jiff::civil::Time::midnight();
        let time = |minutes: i64| midnight + SignedDuration::from_mins(minutes);
        let weekday = |day: i8| jiff::civil::Weekday::from_monday_zero_offset(day).unwrap();
        let when = When::Recurring {
            days: days.into_iter().map(weekday).collect(),
            weeks,
            start: time(start),
            end: time(end),
            from: bounded.then(|| "2024-02-29".parse().unwrap()),
            until: bounded.then(|| "2028-03-31".parse().unwrap()),
        };
        let scope = IntentScope::default();
        let window =
            Window { name: "w".into(), scope, when, zone: TimeZone::get(zone).unwrap() };
        let moment = Timestamp::from_second(second).unwrap();
        let open = window.is_open(moment, SignedDuration::ZERO);
        prop_assert_eq!(open, open_by_hand(&window, moment));
        if let Some(next) = window.next(moment) {
            prop_assert!(moment < next.end);
            // Where a gap of the clock swallows a window, its stretch is empty and never open.
            let empty = next.start >= next.end;
            prop_assert!(empty || window.is_open(next.start, SignedDuration::ZERO));
        } else {
            prop_assert!(!open);
        }
    }
}

#[test]
fn a_scope_says_a_few_of_its_names_and_how_many_more() {
    let hosts = (0..500).map(|n| format!("host-{n}")).collect();
    let scope = IntentScope { hosts, keys: vec!["codec".into()], ..IntentScope::default() };
    let words = scope.words();
    assert!(words.contains("host-0, host-1, host-2 and 497 more"), "{words}");
    assert!(words.ends_with("codec"), "{words}");
}

#[test]
fn a_list_says_what_asks_for_nobody_and_of_which_changes() {
    let world = World::new("2026-11-28T22:00:00Z");
    let entry = |noise, kinds: &[ChangeKind]| Ignore {
        name: "list".into(),
        noise,
        reason: "because".into(),
        scope: IntentScope { parts: vec!["*".into()], ..IntentScope::default() },
        kinds: kinds.to_vec(),
        shipped: false,
    };
    let check = |list: &[Ignore], blackouts: &[Window], expect: ChangeClass| {
        let intent = Intent { ignores: list, blackouts, ..intent(&[]) };
        let decision = classify(&world.subject(), (&intent, &Past::default()), None);
        assert_eq!(decision.class, Some(expect), "{list:?}");
    };
    let (_, closed) = windows(
        "[[blackout]]\nname = 'freeze'\nfrom = '2026-11-28T21:00'\nuntil = '2026-11-29T00:00'\n",
    );
    let volatile = [entry(Noise::Volatile, &[])];
    let routine = [entry(Noise::Routine, &[])];
    check(&volatile, &[], ChangeClass::Volatile);
    check(&volatile, &closed, ChangeClass::Volatile);
    check(&routine, &[], ChangeClass::Routine);
    check(&routine, &closed, ChangeClass::Unauthorised);
    check(&[entry(Noise::Volatile, &[ChangeKind::Added])], &[], ChangeClass::Unauthorised);
    let kinds = [ChangeKind::Added, world.subject().kind];
    check(&[entry(Noise::Routine, &kinds)], &[], ChangeClass::Routine);
}

#[test]
fn what_a_scope_says_of_a_host_it_says_of_each_of_its_changes() {
    let world = World::new("2026-11-28T22:00:00Z");
    let subject = world.subject();
    let names = |mine: &str| [vec![], vec![mine.to_owned()], vec!["another".to_owned()]];
    let place = subject.place;
    for hosts in names(subject.host.as_str()) {
        for services in names(&place.service) {
            for sites in names(&place.site) {
                for parts in names("*") {
                    let (hosts, services, sites) = (hosts.clone(), services.clone(), sites.clone());
                    let scope =
                        IntentScope { hosts, services, sites, parts, ..IntentScope::default() };
                    let concerned = scope.may_concern(subject.host, place);
                    assert!(concerned || scope.fit(&subject) == Fit::Elsewhere, "{scope:?}");
                }
            }
        }
    }
}
