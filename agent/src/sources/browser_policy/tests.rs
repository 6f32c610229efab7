//! Which policy wins, and the row of the shared check.

use super::*;
use crate::sources::check::{Broken, Denied, Fixture, Planted};

pub(in crate::sources) fn fixture() -> Fixture {
    let proxy = "{\"ProxySettings\": {\"ProxyServer\": \"http://u:canary-21c0@p:3128\"}}";
    Fixture {
        source: || Box::new(BrowserPolicy::new()),
        recast: || Box::new(BrowserPolicy { version: VERSION + 1, ..BrowserPolicy::new() }),
        tree: vec![
            ("/etc/opt/chrome/policies/managed/10-site.json", 0o644, proxy),
            ("/etc/opt/edge/policies/recommended/a.json", 0o644, "{\"HomepageLocation\": \"h\"}"),
            ("/etc/firefox/policies/policies.json", 0o644, "{\"policies\": {\"BlockX\": true}}"),
            ("/usr/lib/firefox/distribution/policies.json", 0o644, "{\"policies\": {}}"),
        ],
        malformed: Some(Broken {
            path: "/etc/opt/chrome/policies/managed/10-site.json",
            content: "{",
            part: "chrome/managed",
        }),
        denied: Denied { path: "/etc/opt/chrome/policies/managed", part: "chrome/managed" },
        edit: ("/etc/opt/chrome/policies/managed/20-new.json", "{\"ShowHomeButton\": true}"),
        canary: Some("canary-21c0"),
    }
}

#[test]
fn the_last_file_that_sets_a_policy_sets_all_of_it() {
    const A: &str = "{\"A\": {\"x\": 1, \"y\": 2}, \"B\": true}";
    let planted = Planted::new(&[
        ("/etc/chromium/policies/managed/10-a.json", 0o644, A),
        ("/etc/chromium/policies/managed/20-b.json", 0o644, "{\"A\": {\"x\": 3}}"),
        ("/etc/chromium/policies/managed/30-c.txt", 0o644, "{\"B\": false}"),
    ]);
    let said = planted.said(|look| folders(look, &[CHROMIUM], "managed"));
    assert_eq!(said, ["A/x = Integer(3)", "B = Flag(true)"]);
}
