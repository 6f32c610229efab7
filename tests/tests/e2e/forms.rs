//! The forms of the portal, sent as a browser sends them.

use anyhow::ensure;
use driftline_tests::http;

use super::agreed::{drifted, etag_on_page, keys, open};

#[test]
fn a_slip_in_a_form_is_told_on_the_page_and_loses_nothing_that_was_typed() -> anyhow::Result<()> {
    let (mut fleet, _) = drifted()?;
    let number = open(&mut fleet, "pbx")?[0].1["number"].to_string();
    let path = format!("/findings/{number}");
    let etag = etag_on_page(&fleet, &path)?;
    let ours =
        [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", "http://localhost")];
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
        let answer = http::post(fleet.address(), &path, &ours, form.as_bytes())?;
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
