//! The pages against the store in memory: every link leads somewhere, and no text of a host becomes
//! markup.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::{Generation, HostId, Incarnation, PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::ledger::Chain;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::snapshot::{Content, Domain, Observed, Part, Reading, Reason};
use driftline_protocol::wire::{AgentStatus, Budget, HostKind, Usage};

use super::*;
use crate::analysis::cases::{Candidate, Exposure};
use crate::analysis::change::{Change, ChangeKind};
use crate::analysis::classify::request::{Approval, ChangeRequest, RequestKind};
use crate::analysis::classify::scope::{IntentScope, Level};
use crate::analysis::classify::weigh::Meant;
use crate::analysis::classify::{ChangeClass, Classified, Decision, RuleKind};
use crate::analysis::finding::{Finding, FindingId, FindingKind, Severity, Status};
use crate::analysis::rules::{Pack, RuleSet, shipped};
use crate::standards::Standards;
use crate::store::memory::Memory;
use crate::store::{
    Append, ApprovalRecord, Basis, CaseFacts, CaseReading, CaseRecord, ChangeId, EventKind,
    EventRecord, HostRecord, Judgement, NewPart, Origin, Outcome, OutcomeRecord, ReadFindings as _,
    Step, SuspectRecord, Unread, VersionRecord, VersionStep, Weighing,
};

pub(super) mod fleet;

mod told;

use fleet::*;

fn get(store: &Memory, address: &str) -> Result<String, PageError> {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let rules = RuleSet::new(packs(), &[], Vec::new());
    let standards = Standards { rules, ..Standards::default() };
    respond((store, &standards), &frame(), path, &Query::parse(query))
}

/// Every address a page links to, unescaped as a browser does.
fn links(html: &str) -> impl Iterator<Item = String> {
    html.split("href=\"").skip(1).filter_map(|rest| {
        let link = rest.split_once('"')?.0;
        Some(link.replace("&#38;", "&").replace("&amp;", "&"))
    })
}

#[test]
fn every_link_of_every_page_leads_to_a_page() {
    let store = fleet();
    let (mut todo, mut done) = (vec!["/".to_owned()], BTreeSet::new());
    while let Some(address) = todo.pop() {
        let address = address.split('#').next().unwrap_or_default().to_owned();
        let elsewhere = address.starts_with("https://");
        let asset = [STYLE_PATH, ICON_PATH].contains(&address.as_str());
        if address.is_empty() || elsewhere || asset || !done.insert(address.clone()) {
            continue;
        }
        let html = get(&store, &address).unwrap_or_else(|e| panic!("{address} leads nowhere: {e}"));
        todo.extend(links(&html));
    }
    let reached = |page: &&&str| {
        done.iter().any(|address| {
            let path = address.split('?').next().unwrap_or_default();
            let (known, found) = (page.split('/'), path.split('/'));
            let alike = |(known, found): (&str, &str)| known.starts_with('{') || known == found;
            known.clone().count() == found.clone().count() && known.zip(found).all(alike)
        })
    };
    // Nobody approved anything here, and nothing was rolled out.
    let absent = |page: &&&str| ["/baselines/{subject}", "/rollouts/{number}"].contains(*page);
    let linked = |page: &&&str| reached(page) || absent(page);
    let unlinked: Vec<&&str> = PAGES.iter().filter(|page| !linked(page)).collect();
    assert!(unlinked.is_empty(), "no page links to {unlinked:?}: {done:#?}");
}

#[test]
fn a_service_path_shows_each_hop_with_its_hosts() {
    let text = "[[group]]\nname='edge'\nhost='sbc*'\n[[service_path]]\nservice='voice'\n\
        groups=['edge', 'core']\nsites=['*']\n";
    let config = std::sync::Arc::new(crate::config::load::parse("t", text).unwrap());
    let standards = Standards { config, ..Standards::default() };
    let store = fleet();
    let html =
        respond((&store, &standards), &frame(), "/service-paths", &Query::parse("")).unwrap();
    for expected in ["1 host, 1 open", "not probed", "/hosts/sbc1", "No host is in this group"] {
        assert!(html.contains(expected), "{expected} is not on the page: {html}");
    }
}

#[test]
fn no_text_of_a_host_becomes_markup() {
    let store = fleet();
    let mut seen = 0;
    let pages = [
        "/",
        "/hosts/sbc1",
        "/hosts/sbc1/files",
        "/timeline",
        "/findings",
        "/changes/1",
        "/requests",
        "/events",
    ];
    for address in pages.into_iter().chain(["/cases", "/suspects/1", "/requests"]) {
        let html = get(&store, address).unwrap();
        assert!(!html.contains("<script"), "{address} carries a script of the host");
        assert!(!html.contains(" style="), "{address} has an inline style");
        seen += usize::from(html.contains("&#60;script") || html.contains("&lt;script"));
    }
    assert!(seen >= 10, "the hostile text is not on the pages at all");
}

#[test]
fn a_query_that_cannot_be_is_refused_with_what_it_should_be() {
    let store = fleet();
    for address in [
        "/timeline?from=yesterday",
        "/timeline?kind=x",
        "/timeline?class=x",
        "/timeline?host=A%20B",
    ] {
        assert!(matches!(get(&store, address), Err(PageError::Query { .. })), "{address}");
    }
    for address in ["/hosts/none", "/changes/99", "/hosts/sbc1/none", "/x"] {
        assert!(matches!(get(&store, address), Err(PageError::NotFound { .. })), "{address}");
    }
}

#[test]
fn a_field_that_cannot_be_read_leaves_the_others_as_they_were() {
    let query = Query::parse("host=sbc1&from=soon");
    let error = get(&fleet(), "/timeline?host=sbc1&from=soon").unwrap_err();
    let html = error_page(&error, ("/timeline", &query));
    assert!(html.contains("One field cannot be read"), "{html}");
    assert!(html.contains("href=\"/timeline?host=sbc1\""), "{html}");
}

#[test]
fn the_navigation_marks_the_page_one_is_on() {
    for path in PAGES.iter().filter(|page| !page.contains('{')) {
        let html = get(&fleet(), path).unwrap();
        let marked = format!("<a href=\"{path}\" aria-current=\"page\">");
        assert_eq!(html.matches("aria-current").count(), 1, "{path}");
        assert!(html.contains(&marked), "{path}");
    }
}

#[test]
fn every_cell_of_a_table_names_its_column() {
    let of_one = ["/hosts/sbc1", "/hosts/sbc1/files", "/findings/1", "/suspects/1"];
    let lists = PAGES.iter().filter(|page| !page.contains('{'));
    for path in lists.chain(&of_one) {
        let html = get(&fleet(), path).unwrap();
        let cells = html.matches("<td").count();
        assert_eq!(
            html.matches("<td data-label=").count() + html.matches("\" data-label=").count(),
            cells,
            "{path}"
        );
    }
}

/// The store learns once a minute when hosts were heard.
#[test]
fn a_host_is_as_lately_heard_as_anybody_knows() {
    let record = HostRecord { last_seen: at("2026-11-22T11:56:00Z"), ..record() };
    let stored = frame();
    let heard = BTreeMap::from([(record.id.clone(), at("2026-11-22T11:59:50Z"))]);
    let known = Frame { heard, ..frame() };
    let earlier = BTreeMap::from([(record.id.clone(), at("2026-11-22T11:50:00Z"))]);
    let late = Frame { heard: earlier, ..frame() };
    let said = [&stored, &known, &late].map(|frame| host_state(&record, frame));
    assert_eq!(said, ["stale", "alive", "stale"]);
    assert_eq!(late.last_seen(&record), record.last_seen);
}

#[test]
fn before_the_first_comparison_the_page_says_what_is_waited_for() {
    let shown = |store: &Memory| {
        let frame = Frame { cases_known: None, ..frame() };
        cases::page(store, &frame, &Query::parse("")).unwrap()
    };
    assert!(shown(&Memory::new()).contains("No source of cases is known yet"));
    let mut store = Memory::new();
    store.apply(&[Step::CaseReading(reading())]).unwrap();
    assert!(shown(&store).contains("The source desk has never been read to its end"));
    let whole = CaseReading { good_through: Some(at(EARLIER)), ..reading() };
    store.apply(&[Step::CaseReading(whole)]).unwrap();
    assert!(shown(&store).contains("The first comparison with changes comes within a minute."));
}

#[test]
fn the_page_of_cases_says_what_changes_wait_for_and_whose_cases_do_not_count() {
    let shown = |good: &str| {
        let mut store = fleet();
        let desk = |source: &str, good| CaseReading {
            source: source.into(),
            good_through: good,
            problem: String::new(),
            ..reading()
        };
        let (behind, now) = (desk("till", Some(at(good))), desk("desk", Some(frame().now)));
        store.apply(&[Step::CaseReading(behind), Step::CaseReading(now)]).unwrap();
        get(&store, "/cases").unwrap()
    };
    let html = shown("2026-11-20T00:00:00Z");
    for text in [
        "Changes wait for the source till, which told all it had up to",
        "shop: never read to its end, so its cases are not counted",
        "till: told all it had up to",
    ] {
        assert!(html.contains(text), "{text} is not on {html}");
    }
    assert!(!shown("2026-11-22T09:00:00Z").contains("Changes wait"), "an hour is not long");
}

#[test]
fn days_of_cases_are_those_of_their_sites_clock() {
    let store = fleet();
    let shown = |calendar: &str| {
        let config = crate::config::load::parse("t", calendar).unwrap();
        let frame = Frame { config: config.into(), ..frame() };
        cases::page(&store, &frame, &Query::parse("from=2026-11-02T00:00:00Z")).unwrap()
    };
    // Nine cases came at 09:30 UTC of the 22nd, when it was 22:30 in Auckland.
    let html = shown("[[calendar]]\ntimezone = 'Pacific/Auckland'");
    for text in ["2026-11-22: 9 cases", "Days and hours are those of Pacific/Auckland"] {
        assert!(html.contains(text), "{text} is not on {html}");
    }
    assert!(!html.contains("2026-11-21: 9 cases"), "{html}");
    assert!(shown("").contains("2026-11-22: 9 cases"));
}

#[test]
fn a_form_takes_a_day_and_a_time_back_from_now() {
    let store = fleet();
    let (early, late) = ("from=2026-11-22&to=%2B1h", "from=-10m");
    assert!(get(&store, &format!("/timeline?{early}")).unwrap().contains("/hosts/sbc1"));
    assert!(get(&store, &format!("/timeline?{late}")).unwrap().contains("No change matches."));
}

#[test]
fn grafana_may_link_with_milliseconds() {
    let store = fleet();
    let html = get(&store, "/timeline?from=1795347000000&to=1795347000001").unwrap();
    assert!(html.contains("modified"), "the change at 11:30 is not in its own millisecond");
    assert!(!get(&store, "/timeline?to=1795347000000").unwrap().contains("/changes/1\""));
}

#[test]
fn what_is_unobserved_is_shown_as_unobserved() {
    let html = get(&fleet(), "/hosts/sbc1/files?part=/etc/blind").unwrap();
    assert!(html.contains("unobserved: denied; shown as last seen"));
    assert!(html.contains("0644"), "what was last seen is not shown");
}

#[test]
fn cases_stand_beside_changes_with_their_evidence() {
    let html = get(&fleet(), "/cases?service=voice").unwrap();
    for text in [
        "9 cases in ",
        "href=\"#suspect-1\"",
        "id=\"suspect-1\"",
        "cases rose together",
        "That is 2.5 times as many; with 95 % confidence between 1.4 and 4.4 times.",
        "never read to its end",
        "confirmed by ada",
        "open cases and their targets",
        "href=\"/findings?service=voice\"",
    ] {
        assert!(html.to_lowercase().contains(&text.to_lowercase()), "{text} is not on {html}");
    }
    assert!(get(&fleet(), "/cases?from=2026-11-22T10:00:00Z").unwrap().contains("No change of"));
}

/// Thirty hosts that nobody has agreed on and no rule looks at: each has an address of its own, a
/// site's server and a file of its own; five are misconfigured, and one cannot be read at all.
fn first_day() -> Memory {
    const PLANTED: [(usize, usize, &str); 5] = [
        (3, 0, "codec"),
        (7, 2, "dscp"),
        (12, 4, "dns"),
        (20, 6, "PermitRootLogin"),
        (29, 8, "ntp"),
    ];
    let mut store = Memory::new();
    for number in 0..30_usize {
        let id: HostId = format!("pbx-{number:02}").parse().unwrap();
        let mut manifest = BTreeMap::new();
        let mut kept = Vec::new();
        for file in 0..10_usize {
            let mut part = part("alike");
            let Part::Observed(observed) = &mut part else { unreachable!() };
            let mut say = |key: &str, value: String| {
                observed.items.insert(ItemKey::of([key]), item(&value));
            };
            say("address", format!("192.0.2.{number}"));
            say("server", if number < 10 { "north" } else { "south" }.to_owned());
            say("version", if number.is_multiple_of(3) { "1.1" } else { "1.0" }.to_owned());
            for (host, _, key) in PLANTED.into_iter().filter(|(_, place, _)| *place == file) {
                say(key, if host == number { "wrong" } else { "right" }.to_owned());
            }
            if number == 5 && file == 0 {
                part = Part::Unobserved(Reason::Denied);
            }
            let new = NewPart::new(part);
            manifest.insert(PartName::from_bytes(format!("/etc/{file}").as_bytes()), *new.digest());
            kept.push(new);
        }
        store.keep_parts(&kept, at(EARLIER)).unwrap();
        let manifest = Manifest(manifest);
        let mut step = version(1, &manifest, &manifest);
        step.host = id.clone();
        let host = HostRecord { id, ..record() };
        store.apply(&[Step::Host(host), Step::Version(Box::new(step))]).unwrap();
    }
    store
}

#[test]
fn on_the_first_day_what_is_misconfigured_stands_among_the_first_ten() {
    let html = get(&first_day(), "/outliers").unwrap();
    let rows: Vec<&str> = html.split("<tr><td ").skip(1).take(10).collect();
    for (host, key) in [
        ("pbx-03", "codec"),
        ("pbx-07", "dscp"),
        ("pbx-12", "dns"),
        ("pbx-20", "PermitRootLogin"),
        ("pbx-29", "ntp"),
    ] {
        let told = |row: &&str| row.contains(host) && row.contains(key) && row.contains("wrong");
        assert!(rows.iter().any(told), "{key} of {host} is not among {rows:#?}");
    }
    assert!(!html.contains(">pbx-05<"), "what cannot be read is not odd");
    assert!(get(&first_day(), "/outliers?host=pbx-07").unwrap().contains("dscp"));
    let refused = get(&first_day(), "/outliers?group=none");
    assert!(matches!(refused, Err(PageError::Query { field: "group", .. })));
}

#[test]
fn a_change_says_what_was_meant_by_it_and_what_was_held_before() {
    let html = get(&fleet(), "/changes/1").unwrap();
    for text in ["out of scope", "Rule: request", "matched on the host", "unapproved"] {
        assert!(html.contains(text), "{text} is not on {html}");
    }
    let found = |address: &str| get(&fleet(), address).unwrap().contains("/changes/1\"");
    assert!(found("/timeline?class=out_of_scope") && !found("/timeline?class=expected"));
    let requests = get(&fleet(), "/requests?source=itsm").unwrap();
    let refused = "2 of 3 requests refused; line 2, column 5 (cmdb_ci, that is hosts)";
    for text in ["emergency", "requested", "https://itsm.example/1", "open", refused] {
        assert!(requests.contains(text), "{text} is not on {requests}");
    }
    assert!(get(&fleet(), "/requests?id=none").unwrap().contains("No change request matches"));
}

#[test]
fn what_is_odd_about_the_columns_of_a_source_stands_beside_it() {
    for address in ["/cases", "/requests"] {
        let html = get(&fleet(), address).unwrap();
        for text in [
            "Nobody reads the columns Sight, ",
            " and 19 more.",
            "2 records have neither u_site, which the configuration names for site, nor site.",
        ] {
            assert!(html.contains(text), "{text} is not on {html}");
        }
    }
}

#[test]
fn findings_of_a_service_are_those_of_the_hosts_behind_it() {
    let store = fleet();
    let config = "[[host]]\nname='sbc1'\nservice='voice'\n[[host]]\nname='*'\nservice='queues'";
    let config = crate::config::load::parse("t", config).unwrap();
    let frame = Frame { config: config.into(), ..frame() };
    let shown = |service: &str| {
        let query = Query::parse(&format!("service={service}"));
        findings::page((&store, &Standards::default()), &frame, &query).unwrap()
    };
    assert!(shown("voice").contains("/hosts/sbc1"));
    assert!(shown("queues").contains("Nothing open fits."));
}

#[test]
fn pages_say_the_kind_and_place_that_the_configuration_gives() {
    let store = fleet();
    let text = "[[host]]\nname='sbc*'\nkind='cloud'\nsite='vienna'\nteam='edge'\nservice='voice'";
    let config = crate::config::load::parse("t", text).unwrap();
    let frame = Frame { config: config.into(), ..frame() };
    let shown = |path: &str| {
        let standards = Standards::default();
        respond((&store, &standards), &frame, path, &Query::parse("")).unwrap()
    };
    assert!(shown("/").contains(">cloud</td>"), "{}", shown("/"));
    let page = shown("/hosts/sbc1");
    for told in ["<dd>cloud</dd>", "<dd>vienna</dd>", "<dd>edge</dd>", ">voice</a></dd>"] {
        assert!(page.contains(told), "{told}: {page}");
    }
}

#[test]
fn a_suspect_shows_what_people_said_by_score() {
    let html = get(&fleet(), "/suspects/1").unwrap();
    assert!(html.contains("share confirmed by score, of 1 suspects"), "{html}");
    assert!(html.contains("0 of the 1 claim that stands would be claimed (LORD++, q = 0.1)"));
}

#[test]
fn the_host_page_is_golden() {
    insta::assert_snapshot!(get(&fleet(), "/hosts/sbc1").unwrap());
}
