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
            path: "/etc/firefox/policies/policies.json",
            content: "{",
            part: "firefox",
        }),
        denied: Denied { path: "/etc/opt/chrome/policies/managed", part: "chrome/managed" },
        edit: ("/etc/opt/chrome/policies/managed/20-new.json", "{\"ShowHomeButton\": true}"),
        canary: Some("canary-21c0"),
    }
}

#[test]
fn the_last_file_that_sets_a_policy_sets_all_of_it() {
    const A: &str = "{\"A\": {\"x\": 1, \"y\": 2}, \"B\": true, \"C\": 1}";
    let planted = Planted::new(&[
        ("/etc/chromium/policies/managed/10-a.json", 0o644, A),
        ("/etc/chromium/policies/managed/20-b.json", 0o644, "{\"A\": {\"x\": 3}}"),
        ("/etc/chromium/policies/managed/30-c.txt", 0o644, "{\"B\": false}"),
        ("/etc/chromium/policies/managed/.hidden", 0o644, "{\"C\": 2, \"D\": 1}"),
        ("/etc/chromium/policies/managed/below/x.json", 0o644, "{\"D\": 2}"),
    ]);
    let said = planted.said(|look| folders(look, &[CHROMIUM], "managed"));
    assert_eq!(said, ["A/x = Integer(3)", "B = Flag(false)", "C = Integer(1)", "D = Integer(1)"]);
}

#[test]
fn a_file_that_is_passed_over_is_unobserved_and_the_others_are_told() {
    let planted = Planted::new(&[
        ("/etc/chromium/policies/managed/a.json", 0o644, "{\"A\": 1}"),
        ("/etc/chromium/policies/managed/b.json", 0o644, "{\"A\": 2"),
        ("/etc/chromium/policies/managed/circle", 0o777, "-> circle"),
    ]);
    let parts = planted.parts(&mut BrowserPolicy::new());
    let said: Vec<_> =
        parts.iter().map(|(name, part)| (name.as_str(), part.unobserved_reason())).collect();
    let broken = ("chromium/managed/b.json", Some(Reason::Malformed));
    let circle = ("chromium/managed/circle", Some(Reason::Unsupported));
    assert_eq!(said, [("chromium/managed", None), broken, circle]);
}

#[test]
fn comments_and_commas_are_blanks_and_strings_stay() {
    for (text, expect) in [
        ("{\"a\": 1, // b\n\"c\": 2,}", "{\"a\": 1,     \n\"c\": 2 }"),
        ("[1, /* ,\n ] */ 2, // x\n ]", "[1,     \n      2      \n ]"),
        ("{\"a\": \"b // \\\", /* c\", }", "{\"a\": \"b // \\\", /* c\"  }"),
        ("/*", "  "),
        ("\"", "\""),
        ("/", "/"),
        (",]", " ]"),
        ("{\"a\": [1,2],}", "{\"a\": [1,2] }"),
    ] {
        assert_eq!(String::from_utf8(lenient(text.as_bytes())).unwrap(), expect, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_keep_their_length(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        text in "[\\[\\]{}\",/*\\\\ \n1]{0,30}",
    ) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            proptest::prop_assert_eq!(lenient(bytes).len(), bytes.len());
        }
    }
}
