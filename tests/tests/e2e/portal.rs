//! The portal in a real browser: every page that can be reached, by day on a desktop and by night
//! on a phone, works without script, asks nobody else for anything, and can be read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use driftline_tests::browser::{Browser, DESKTOP, Eyes, PHONE};
use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::{Value, json};

use super::{HOST, cases, one_host};

/// What is wrong with a page, as a list of words.
const FAULTS: &str = include_str!("portal.js");

/// Where a page leads, as paths of this server.
const LINKS: &str = "[...document.querySelectorAll('a[href]')]
    .map((link) => new URL(link.getAttribute('href'), location))
    .filter((url) => url.origin === location.origin).map((url) => url.pathname + url.search)";

/// The most pages of one kind that are looked at: they differ by what is in them.
const OF_A_KIND: usize = 8;

/// The most pages in all.
const PAGES: usize = 120;

/// A host with something to say on every page: drift, a rule that is broken, a file that cannot be
/// read, a request, an exception, and text that would break out of a careless page.
fn busy() -> anyhow::Result<Fleet> {
    let (mut fleet, root) = one_host()?;
    let etc = root.join("etc");
    let long = "w".repeat(300);
    std::fs::write(etc.join("hosts"), "192.0.2.1 pbx\n")?;
    std::fs::write(etc.join("broken.json"), "{")?;
    std::fs::write(etc.join("long.conf"), format!("{long} = {long}\n"))?;
    let evil = "name = <script>alert(1)</script><img src=http://192.0.2.9/x>\n";
    std::fs::write(etc.join("evil.conf"), evil)?;
    fleet.wait_for(HOST, "192.0.2.9")?;
    let json = [("Content-Type", "application/json")];
    let post = |fleet: &Fleet, path: &str, body: &Value| -> anyhow::Result<()> {
        let answer = http::post(fleet.address(), path, &json, &serde_json::to_vec(body)?)?;
        anyhow::ensure!(answer.status < 300, "{path}: {}", answer.text());
        Ok(())
    };
    let reason = json!({"reason": "as installed"});
    post(&fleet, &format!("/api/v1/hosts/{HOST}/baseline"), &reason)?;
    std::fs::write(etc.join("hosts"), "192.0.2.2 pbx\n")?;
    std::fs::write(etc.join("app.conf"), "first = second\n# a comment\n")?;
    fleet.wait_for(HOST, "192.0.2.2")?;
    let now = jiff::Timestamp::now();
    let hours = jiff::SignedDuration::from_hours;
    let exception = json!({
        "name": "e1", "scope": {"host": HOST, "part": "*/etc/app.conf"}, "owner": "voice",
        "reason": "a trial", "expires": now + hours(24),
    });
    post(&fleet, "/api/v1/exceptions", &exception)?;
    let request = json!({
        "number": "CHG1", "title": "A change", "approval": "approved", "start": now - hours(1),
        "end": now + hours(1), "hosts": [HOST],
    });
    post(&fleet, "/api/v1/change-requests?source=itsm", &request)?;
    wait::until("drift is open", PATIENCE, || {
        fleet.check_alive()?;
        let open =
            http::get_ok(fleet.address(), "/api/v1/findings?kind=drift&open=true")?.json()?;
        Ok(open["findings"].as_array().is_some_and(|all| !all.is_empty()).then_some(()))
    })?;
    Ok(fleet)
}

/// What kind of page an address is: its folders without what names one thing, and its questions.
fn kind(address: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let folders: Vec<&str> = path.split('/').collect();
    let first = folders.get(1).copied().unwrap_or_default();
    let asked: Vec<&str> = query.split('&').filter_map(|part| part.split('=').next()).collect();
    format!("/{first}/{}?{}", folders.len(), asked.join("&"))
}

fn faults(browser: &mut Browser) -> anyhow::Result<Vec<String>> {
    Ok(serde_json::from_value(browser.evaluate(FAULTS)?)?)
}

/// What is wrong with pages, by their addresses.
type Faults = BTreeMap<String, Vec<String>>;

/// Every page that can be reached from the first one, with what is wrong with it for these eyes.
fn crawl(
    fleet: &Fleet,
    browser: &mut Browser,
    eyes: Eyes,
) -> anyhow::Result<(BTreeSet<String>, Faults)> {
    let origin = format!("http://{}", fleet.address());
    let mut waiting: VecDeque<String> = ["/".to_owned()].into();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let (mut met, mut wrong) = (BTreeSet::from(["/".to_owned()]), BTreeMap::new());
    let mut visited = BTreeSet::new();
    browser.look(eyes)?;
    while let Some(address) = waiting.pop_front().filter(|_| visited.len() < PAGES) {
        let many = kinds.entry(kind(&address)).or_default();
        *many += 1;
        if *many > OF_A_KIND {
            continue;
        }
        let loaded = browser.open(&format!("{origin}{address}"))?;
        let mut found = faults(browser)?;
        found.extend(loaded.complaints.iter().map(|text| format!("the browser says {text}")));
        if loaded.status != 200 {
            found.push(format!("it answers {}", loaded.status));
        }
        let elsewhere = |url: &&String| !url.starts_with(&origin);
        found.extend(loaded.requests.iter().filter(elsewhere).map(|url| format!("it asks {url}")));
        let links: Vec<String> = serde_json::from_value(browser.evaluate(LINKS)?)?;
        waiting.extend(links.into_iter().filter(|link| met.insert(link.clone())));
        if !found.is_empty() {
            wrong.insert(address.clone(), found);
        }
        visited.insert(address);
    }
    Ok((visited, wrong))
}

/// Crawls as both see it; gives every page that was met.
fn read_all(fleet: &Fleet) -> anyhow::Result<BTreeSet<String>> {
    let mut browser = Browser::start(fleet.folder())?;
    let mut all = BTreeSet::new();
    for eyes in [DESKTOP, PHONE] {
        let (visited, wrong) = crawl(fleet, &mut browser, eyes)?;
        eprintln!("{} pages in {eyes:?}", visited.len());
        assert!(wrong.is_empty(), "{eyes:?}: {wrong:#?}");
        all.extend(visited);
    }
    Ok(all)
}

#[test]
fn every_page_can_be_read_and_asks_nobody_else() -> anyhow::Result<()> {
    let visited = read_all(&busy()?)?;
    for page in ["long.conf", "evil.conf", "broken.json", "hosts"] {
        assert!(visited.iter().any(|one| one.ends_with(page)), "no link leads to {page}");
    }
    let routes = driftline_collector::portal::PAGES.iter().filter(|page| !page.contains('{'));
    for page in routes {
        assert!(visited.contains(*page), "no link leads to {page}");
    }
    Ok(())
}

#[test]
fn pages_of_cases_and_suspects_can_be_read_as_well() -> anyhow::Result<()> {
    let fleet = Fleet::start_with(&cases::config())?;
    cases::rollout(&fleet)?;
    cases::post_cases(&fleet, &cases::cases(|site| site < 4))?;
    cases::judged(&fleet, 1)?;
    let visited = read_all(&fleet)?;
    assert!(visited.iter().any(|one| one.starts_with("/suspects/")), "{visited:?}");
    Ok(())
}

#[test]
fn a_bad_page_is_seen_to_be_bad() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = Browser::start(folder.path())?;
    browser.look(PHONE)?;
    let page = "data:text/html,<meta name=viewport content='width=device-width'><body>\
        <h1>a</h1><h1 style='color:silver;background:white'>b</h1>\
        <p style='width:900px;color:white;background:gainsboro'>c</p><a href='/'></a><input>\
        <i id=x></i><b id=x></b><svg></svg><img src='http://192.0.2.1/x.png'>";
    let loaded = browser.open(page)?;
    assert!(loaded.requests.iter().any(|url| url.contains("192.0.2.1")), "{loaded:?}");
    let found = faults(&mut browser)?;
    for fault in [
        "the page does not say its language",
        "the page has no title",
        "the page has not one heading but 2",
        "the page is 9",
        "a link without a name",
        "a field without a label",
        "a picture without a title",
        "two elements have the id x",
        "text of contrast 1.37",
        "text of contrast 1.82",
    ] {
        assert!(found.iter().any(|one| one.starts_with(fault)), "{fault}: {found:#?}");
    }
    Ok(())
}
