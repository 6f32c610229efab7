//! What pages say of findings, events, rules, requests and forms, on the fleet of these tests.

use super::*;
use crate::analysis::exceptions::{Ended, Exception, ExceptionScope};

#[test]
fn a_finding_of_a_whole_part_shows_what_is_agreed_to_with_it() {
    let mut store = fleet();
    let name = store.findings(&crate::store::FindingFilter::default()).unwrap().remove(0);
    let mut whole = name.finding;
    (whole.id.key, whole.desired) = (None, None);
    whole.current = Some(crate::analysis::drift::present());
    store.apply(&[Step::Findings(vec![whole])]).unwrap();
    let html = get(&store, "/findings/2").unwrap();
    for expected in ["What it says", "0644", "2 lines", "of a whole file or table to all it says"] {
        assert!(html.contains(expected), "{expected} is not on the page: {html}");
    }
    assert!(!html.contains("<script"), "{html}");
    let html = get(&store, "/findings/1").unwrap();
    assert!(!html.contains("What it says"), "an item shows itself: {html}");
}

/// The fleet with one drift more, which a request meant to be: it asks for nobody.
fn with_a_quiet_one() -> Memory {
    let mut store = fleet();
    let quiet = finding(&PartName::from_bytes(b"/etc/quiet.conf"));
    let decision =
        Decision { class: Some(ChangeClass::Expected), ..judgement().classified.decision };
    let meant = Meant { decision, change: Some(1), settles_at: None };
    let weighing =
        Weighing { finding: quiet.id.clone(), opened: quiet.first_seen, meant: Some(meant) };
    store.apply(&[Step::Findings(vec![quiet])]).unwrap();
    store.apply(&[Step::Weighed(vec![weighing])]).unwrap();
    store
}

#[test]
fn the_overview_counts_as_the_list_of_findings_does_and_leads_to_it() {
    let store = with_a_quiet_one();
    let html = get(&store, "/").unwrap();
    let asking = "/findings?class=asking&#38;severity=warning";
    for text in [
        format!("<a href=\"{asking}\"><b>1</b> warning</a>"),
        "<a href=\"/findings?class=quiet\"><b>1</b> quiet: meant, or noise</a>".to_owned(),
        "href=\"/findings?class=asking&#38;host=sbc1\">1</a> <span class=\"ago\">+ 1 quiet"
            .to_owned(),
    ] {
        assert!(html.contains(&text), "{text} is not on {html}");
    }
    let listed = |query: &str| {
        let html = get(&store, &format!("/findings?{query}")).unwrap();
        html.matches("<tr id=\"finding-").count()
    };
    assert_eq!(listed(""), 2);
    assert_eq!(listed("class=asking&severity=warning"), 1);
    assert_eq!(listed("class=quiet"), 1);
    assert_eq!(listed("class=permitted"), 0);
    assert!(!get(&fleet(), "/").unwrap().contains("quiet"), "none is said where there is none");
}

#[test]
fn a_list_of_findings_is_narrowed_by_each_of_its_fields() {
    let store = with_a_quiet_one();
    let text = "[[host]]\nname='sbc*'\nsite='graz'\n[[group]]\nname='edge'\nhost='sbc*'";
    let config = std::sync::Arc::new(crate::config::load::parse("t", text).unwrap());
    let frame = Frame { config: std::sync::Arc::clone(&config), ..frame() };
    let standards = Standards { config, ..Standards::default() };
    for (query, expect) in [
        ("kind=drift", 2),
        ("kind=deviation", 0),
        ("severity=critical", 0),
        ("severity=warning", 2),
        ("site=graz", 2),
        ("site=linz", 0),
        ("group=edge", 2),
        ("group=none", 0),
        ("part=/etc/quiet.conf", 1),
        ("part=/etc/*", 2),
        ("part=/opt/*", 0),
    ] {
        for status in ["open", "all"] {
            let query = Query::parse(&format!("{query}&status={status}"));
            let html = respond((&store, &standards), &frame, "/findings", &query).unwrap();
            let listed = html.matches("<tr id=\"finding-").count();
            assert_eq!(listed, expect, "{query:?}: {html}");
        }
    }
    for query in ["kind=x", "severity=x", "class=x"] {
        let refused = get(&store, &format!("/findings?{query}"));
        assert!(matches!(refused, Err(PageError::Query { .. })), "{query}");
    }
}

#[test]
fn a_list_of_findings_names_each_by_its_number() {
    let html = get(&fleet(), "/findings").unwrap();
    assert!(html.contains("<a href=\"/findings/1\">1</a>"), "{html}");
    let page = get(&fleet(), "/findings/1").unwrap();
    assert!(page.contains("<h1>Finding 1: "), "{page}");
}

#[test]
fn events_are_listed_by_host_kind_and_time() {
    let store = fleet();
    let shown = |query: &str| get(&store, &format!("/events?{query}")).unwrap();
    for query in ["", "host=sbc1", "kind=enrolled", "from=2026-11-22T11:00:00Z"] {
        assert!(shown(query).contains("<td data-label=\"Kind\">enrolled</td>"), "{query}");
    }
    for query in ["host=none", "kind=approved", "from=-10m"] {
        assert!(shown(query).contains("No event matches."), "{query}");
    }
    assert!(matches!(get(&store, "/events?kind=x"), Err(PageError::Query { .. })));
}

#[test]
fn the_page_of_rules_tells_pack_demand_and_parameters() {
    let setting = crate::analysis::rules::Setting {
        name: "sshd.max_auth_tries".into(),
        site: Some("vienna".into()),
        values: vec![ItemValue::Integer(6)],
    };
    let rules = RuleSet::new(packs(), &[], vec![setting]);
    let html = rules::page(&rules, &frame()).unwrap();
    for text in [
        "Pack sshd. Looks at",
        "which must be: <b>at most 4</b> (<a href=\"#parameter-sshd.max_auth_tries\">",
        "id=\"parameter-sshd.max_auth_tries\"",
        "<td data-label=\"Decided\" class=\"value\">6 at vienna</td>",
    ] {
        assert!(html.contains(text), "{text} is not on {html}");
    }
}

#[test]
fn a_rejected_request_is_never_open_and_a_blackout_is_in_force() {
    let mut store = fleet();
    let rejected = ChangeRequest { approval: Approval::Rejected, ..request() };
    store.apply(&[Step::ChangeRequests(vec![rejected])]).unwrap();
    let text = "[[change_window]]\nname='w'\nstart='11:00'\nend='13:00'\n\
        [[blackout]]\nname='b'\nstart='10:00'\nend='14:00'";
    let config = std::sync::Arc::new(crate::config::load::parse("t", text).unwrap());
    let standards = Standards { config, ..Standards::default() };
    let html = respond((&store, &standards), &frame(), "/requests", &Query::parse("")).unwrap();
    for text in [
        ">rejected</a></td>",
        "<td data-label=\"Now\">open</td>",
        "<td data-label=\"Now\">in force</td>",
        "2026-11-22 13:00:00 <span class=\"ago\">in 60 min",
        "2026-11-22 14:00:00 <span class=\"ago\">in 2",
    ] {
        assert!(html.contains(text), "{text} is not on {html}");
    }
}

#[test]
fn a_form_that_was_refused_comes_again_with_what_was_typed() {
    let store = fleet();
    let draft = Draft {
        act: "accept".into(),
        reason: format!("a trial {HOSTILE}"),
        expires: "31.12.2026".into(),
        etag: "0123".into(),
        problem: "31.12.2026 is no end".into(),
        ..Draft::default()
    };
    let standards = Standards::default();
    let html = finding_again((&store, &standards), &frame(), ("1", draft)).unwrap();
    for text in [
        "role=\"alert\">Nothing was done: 31.12.2026 is no end.",
        "<a href=\"#accept\">",
        "value=\"31.12.2026\"",
        "value=\"a trial ",
        "name=\"etag\" value=\"0123\"",
    ] {
        assert!(html.contains(text), "{text} is not on {html}");
    }
    assert!(!html.contains("<script"), "{html}");
}

fn exception(name: &str) -> Exception {
    Exception {
        name: name.into(),
        scope: ExceptionScope {
            host: Some("sbc-*".into()),
            part: Some(HOSTILE.into()),
            ..ExceptionScope::default()
        },
        value: None,
        owner: "voice".into(),
        reason: HOSTILE.into(),
        made_by: "ada".into(),
        made_at: at(EARLIER),
        expires_at: at("2026-12-31T23:00:00Z"),
        zone: "Europe/Vienna".into(),
        ended: None,
    }
}

/// One exception that counts, and one that somebody ended.
fn permitted() -> Memory {
    let mut store = fleet();
    let ended = Some(Ended { at: at(EARLIER), by: HOSTILE.into() });
    let all = [exception("codec-trial"), Exception { ended, ..exception("old-trial") }];
    let steps = all.map(|one| Step::Exception(Box::new(one)));
    store.apply(&steps).unwrap();
    store
}

#[test]
fn the_page_of_exceptions_is_golden() {
    insta::assert_snapshot!(get(&permitted(), "/exceptions").unwrap());
}

#[test]
fn what_counts_can_be_ended_and_what_is_over_cannot() {
    let html = get(&permitted(), "/exceptions").unwrap();
    let ends = |name: &str| html.contains(&format!("aria-label=\"End {name} now\""));
    assert!(ends("codec-trial") && !ends("old-trial"), "{html}");
}

#[test]
fn a_form_of_exceptions_that_was_refused_has_what_was_typed() {
    let store = permitted();
    let again = |typed: &str| {
        let problem = "\"31.12.2026\" is no end".to_owned();
        let draft = ExceptionDraft { typed: Query::parse(typed), problem };
        exceptions_again(&store, &frame(), draft).unwrap()
    };
    let typed = [
        ("name", "Codec"),
        ("host", "sbc-*"),
        ("group", "edge"),
        ("site", "graz"),
        ("rule", "ours-port"),
        ("source", "files"),
        ("part", "/etc/a b"),
        ("key", "*/allow"),
        ("owner", "voice"),
        ("reason", "<b>"),
        ("expires", "31.12.2026"),
        ("zone", "Wien"),
    ];
    let fields = typed.map(|(name, value)| format!("{name}={value}")).join("&");
    let html = again(&format!("act=add&kind=drift&{fields}"));
    for (name, value) in typed {
        let value = value.replace('<', "&#60;").replace('>', "&#62;");
        let field = html.split("<input name=\"").find(|rest| rest.starts_with(name)).unwrap();
        assert!(field.contains(&format!("value=\"{value}\"")), "{name}: {field}");
    }
    assert!(html.contains("<option selected>drift</option>"), "{html}");
    assert!(html.contains("role=\"alert\"") && html.contains("31.12.2026&#34; is no end"));
    let html = again("act=end&name=codec-trial");
    assert!(html.contains("role=\"alert\"") && !html.contains("value=\"codec-trial\"></label>"));
}

/// An approval of a subject, as a step.
fn approved(number: i64, subject: &str, basis: Basis) -> Step {
    let record = ApprovalRecord {
        number,
        subject: subject.parse().unwrap(),
        at: at(EARLIER),
        who: "ada".into(),
        why: format!("reason {number}"),
        basis,
        source: None,
        part: None,
        exempt: Vec::new(),
    };
    Step::Approve { approval: Box::new(record), covers: BTreeMap::new(), findings: Vec::new() }
}

#[test]
fn a_host_says_which_baselines_it_is_held_to_and_where_they_come_from() {
    let text = "[[group]]\nname='edge'\nhost='sbc*'\n[[group]]\nname='gone'\nhost='sbc*'\n\
        [[group]]\nname='core'\nhost='pbx*'\n";
    let config: Arc<_> = crate::config::load::parse("t", text).unwrap().into();
    let frame = Frame { config: Arc::clone(&config), ..frame() };
    let standards = Standards { config, ..Standards::default() };
    let mut store = fleet();
    let page = |store: &Memory| {
        respond((store, &standards), &frame, "/hosts/sbc1", &Query::parse("")).unwrap()
    };
    let denies = "none yet, neither its own nor one of a group of it";
    assert!(page(&store).contains(denies));
    let state = || Basis::Host { host: host(), at: None };
    store.apply(&[approved(1, "@core", state()), approved(2, "@gone", state())]).unwrap();
    store.apply(&[approved(3, "@gone", Basis::Nothing)]).unwrap();
    assert!(page(&store).contains(denies), "others' baselines and one taken back are none");
    store.apply(&[approved(4, "@edge", state())]).unwrap();
    let html = page(&store);
    let of_group = "<a href=\"/baselines/@edge\">of the group @edge</a>: approved by ada";
    assert!(html.contains(of_group) && !html.contains(denies), "{html}");
    assert!(!html.contains("Without a baseline") && !html.contains("newest approval"), "{html}");
    store.apply(&[approved(5, "sbc1", Basis::Present)]).unwrap();
    let html = page(&store);
    let own = html.find("its own</a>: approved by ada").unwrap();
    assert!(own < html.find(of_group).unwrap(), "the newest comes first: {html}");
    assert!(html.contains("the newest approval that speaks of it counts"), "{html}");
}

#[test]
fn a_part_that_is_malformed_says_what_is_wrong_with_it() {
    let mut store = fleet();
    let Part::Observed(mut odd) = part("x") else { panic!("nothing was observed") };
    odd.content = Content::Unread(Reason::Malformed);
    let wrong = item(&format!("line 3: {HOSTILE}"));
    odd.items = BTreeMap::from([(ItemKey::momentary(["malformed"]), wrong)]);
    let kept = NewPart::new(Part::Observed(odd));
    store.keep_parts(std::slice::from_ref(&kept), at(EARLIER)).unwrap();
    let name = PartName::from_bytes(b"/etc/odd.crt");
    let manifest = Manifest(BTreeMap::from([(name.clone(), *kept.digest())]));
    let mut step = version(1, &manifest, &manifest);
    step.version.source = "certificates".parse().unwrap();
    step.chain = Chain::start(&step.version.source);
    step.unobserved = BTreeMap::from([(name, Unread::Content(Reason::Malformed))]);
    store.apply(&[Step::Version(Box::new(step))]).unwrap();
    let html = get(&store, "/hosts/sbc1/certificates?part=/etc/odd.crt").unwrap();
    assert!(html.contains("content unobserved: malformed (line 3: "), "{html}");
    assert!(!html.contains("<script"), "{html}");
}

#[test]
fn a_host_whose_group_sleeps_is_stale_and_may_sleep_as_the_page_says() {
    let store = fleet();
    let check = |text: &str, hours: i64, expect: bool| {
        let config = crate::config::load::parse("t", text).unwrap();
        let now = frame().now.checked_add(SignedDuration::from_hours(hours)).unwrap();
        let frame = Frame { config: config.into(), now, ..frame() };
        let html = respond((&store, &Standards::default()), &frame, "/", &Query::parse(""));
        let html = html.unwrap();
        assert!(html.contains("class=\"state stale\""), "{html}");
        assert_eq!(html.contains("may sleep"), expect, "{text} {hours}: {html}");
    };
    check("[[group]]\nname = 'laptops'\nsleep_days = 3", 48, true);
    check("[[group]]\nname = 'laptops'\nsleep_days = 3", 24 * 9, false);
    check("[[group]]\nname = 'laptops'", 48, false);
}
