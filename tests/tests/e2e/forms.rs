//! The forms of the portal, sent as a browser sends them.

use anyhow::ensure;
use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::wait::{self, PATIENCE};
use jiff::{SignedDuration, Timestamp};

use super::agreed::{drifted, etag_on_page, keys, open};

/// What a browser says of a form of one of our own pages.
const OURS: [(&str, &str); 2] =
    [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", "http://localhost")];

/// How many findings of the host are open, and how many of them are permitted.
fn counted(fleet: &Fleet) -> anyhow::Result<(f64, f64)> {
    let open = fleet.metric("driftline_findings_open", &[])?;
    Ok((open, fleet.metric("driftline_findings_excepted", &[])?))
}

#[test]
fn an_exception_is_made_and_ended_on_its_page() -> anyhow::Result<()> {
    let (fleet, _) = drifted()?;
    let send = |form: &str, headers: &[(&str, &str)]| {
        http::post(fleet.address(), "/exceptions", headers, form.as_bytes())
    };
    let form = |name: &str, expires: &str| {
        format!(
            "act=add&name={name}&host=pbx&key=*%2Fcodec&owner=voice&reason=a+%22trial%22&\
             expires={expires}"
        )
    };
    // A slip is told on the page, and what was typed is there.
    for (name, expires, told) in [
        ("codec-trial", "31.12.2026", "31.12.2026&#34; is no end"),
        ("Codec", "2026-12-31", "the name must be 1 to 63 of a-z"),
        ("codec-trial", "2000-01-01", "is over already"),
    ] {
        let answer = send(&form(name, expires), &OURS)?;
        let page = answer.text();
        ensure!(answer.status == 400, "{name} {expires}: {} {page}", answer.status);
        for told in [told, "role=\"alert\"", "a &#34;trial&#34;", "value=\"*/codec\"", expires] {
            assert!(page.contains(told), "{name} {expires}: {told} is not on {page}");
        }
    }
    let end = Timestamp::now() + SignedDuration::from_hours(24);
    let form = form("codec-trial", &end.strftime("%Y-%m-%d").to_string());
    let foreign = [OURS[0], ("Origin", "https://evil.test")];
    assert_eq!(send(&form, &foreign)?.status, 400, "another page sends no form of ours");
    wait::until("the drift counts, and nobody permitted it", PATIENCE, || {
        Ok((counted(&fleet)? == (1.0, 0.0)).then_some(()))
    })?;
    let made = send(&form, &OURS)?;
    assert_eq!(made.status, 303, "{}", made.text());
    assert_eq!(made.headers["location"], "/exceptions#codec-trial");
    assert_eq!(counted(&fleet)?, (0.0, 1.0));
    let page = fleet.page("/exceptions")?;
    assert!(page.contains("id=\"codec-trial\"") && page.contains("End it now"), "{page}");
    let ended = send("act=end&name=codec-trial", &OURS)?;
    assert_eq!(ended.status, 303, "{}", ended.text());
    assert_eq!(counted(&fleet)?, (1.0, 0.0));
    let again = send("act=end&name=codec-trial", &OURS)?;
    assert!(again.status == 400 && again.text().contains("over already"), "{}", again.text());
    assert_eq!(send("act=end&name=no-such", &OURS)?.status, 404);
    let events = fleet.page("/events")?;
    for told in ["loopback permits codec-trial", "loopback ended codec-trial"] {
        assert!(events.contains(told), "{told} is not on {events}");
    }
    Ok(())
}

#[test]
fn a_slip_in_a_form_is_told_on_the_page_and_loses_nothing_that_was_typed() -> anyhow::Result<()> {
    let (mut fleet, _) = drifted()?;
    let number = open(&mut fleet, "pbx")?[0].1["number"].to_string();
    let path = format!("/findings/{number}");
    let etag = etag_on_page(&fleet, &path)?;
    let accept = format!("act=accept&reason=a+%22trial%22&etag={etag}");
    for (form, told) in [
        (
            format!("{accept}&expires=31.12.2026"),
            vec!["31.12.2026&#34; is no end", "value=\"31.12.2026\""],
        ),
        (
            format!("{accept}&expires=2999-01-01&zone=Wien"),
            vec!["no time zone", "value=\"Wien\"", "value=\"2999-01-01\""],
        ),
        (format!("{accept}&expires=2000-01-01"), vec!["value=\"2000-01-01\""]),
        ("act=assign&text=".to_owned(), vec!["to whom it goes"]),
        ("act=note&text=+++".to_owned(), vec!["what is to be written down"]),
        (format!("act=nothing&etag={etag}"), vec!["the act is acknowledge"]),
    ] {
        let answer = http::post(fleet.address(), &path, &OURS, form.as_bytes())?;
        let page = answer.text();
        ensure!(answer.status == 400, "{form}: {} {page}", answer.status);
        assert!(page.starts_with("<!doctype html>") && page.contains("role=\"alert\""), "{page}");
        for told in told {
            assert!(page.contains(told), "{form}: {told} is not on {page}");
        }
        assert!(page.contains(&format!("value=\"{etag}\"")), "what was read goes back: {page}");
        assert!(!form.contains("trial") || page.contains("a &#34;trial&#34;"), "{page}");
    }
    assert_eq!(keys(&mut fleet, "pbx")?, ["codec"], "nothing was accepted");
    Ok(())
}
