//! Which policy wins, and the row of the shared check.

use driftline_protocol::redact::Redactor;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

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
        malformed: Broken {
            path: "/etc/opt/chrome/policies/managed/10-site.json",
            content: "{",
            part: "chrome/managed",
        },
        denied: Denied { path: "/etc/opt/chrome/policies/managed", part: "chrome/managed" },
        edit: ("/etc/opt/chrome/policies/managed/20-new.json", "{\"ShowHomeButton\": true}"),
        canary: Some("canary-21c0"),
    }
}

#[test]
fn the_last_file_that_sets_a_policy_sets_all_of_it() {
    let root = tempfile::tempdir().unwrap();
    let managed = root.path().join("etc/chromium/policies/managed");
    std::fs::create_dir_all(&managed).unwrap();
    for (name, text) in [
        ("10-a.json", "{\"A\": {\"x\": 1, \"y\": 2}, \"B\": true}"),
        ("20-b.json", "{\"A\": {\"x\": 3}}"),
        ("30-c.txt", "{\"B\": false}"),
    ] {
        std::fs::write(managed.join(name), text).unwrap();
    }
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    let items = folders(&mut Look::new(&machine), &[CHROMIUM], "managed").unwrap().unwrap();
    let shown: Vec<_> =
        items.iter().map(|(key, item)| format!("{key} = {:?}", item.value)).collect();
    assert_eq!(shown, ["A/x = Integer(3)", "B = Flag(true)"]);
}
