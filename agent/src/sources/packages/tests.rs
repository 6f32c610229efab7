//! What a status file says, and the row that drives the shared check.

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

const STATUS_FILE: &str = "\
Package: bash
Essential: yes
Status: install ok installed
Architecture: amd64
Multi-Arch: foreign
Version: 5.2.15-2+b7
Conffiles:
 /etc/bash.bashrc 89269e1298235f1b12b4c16e4065ad0d
 /etc/skel/.profile f4e81ade7d6f9fb342541152d08e7a97 obsolete
Description: GNU Bourne Again SHell
 Version: not this one
 .
 An interactive shell.

Package: asterisk
Status: hold ok installed
Architecture: amd64
Version: 1:20.5.0~dfsg-1

Package: exim4-base
Status: deinstall ok config-files
Architecture: amd64
Version: 4.96-15

Package: libc6
Status: install ok half-configured
Architecture: i386
Version: 2.36-9

Package: gone
Status: purge ok not-installed
Architecture: all
";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Packages::new()),
        recast: || Box::new(Packages { version: VERSION + 1, ..Packages::new() }),
        tree: vec![("/var/lib/dpkg/status", 0o644, STATUS_FILE)],
        malformed: Broken { path: STATUS, content: "Package bash\n", part: "dpkg" },
        denied: Denied { path: STATUS, part: "dpkg" },
        edit: (STATUS, "Package: a\nStatus: install ok installed\nVersion: 1\n"),
        canary: None,
    }
}

#[track_caller]
fn check(status: &str, expect: &[(&str, ItemValue)]) {
    let items = packages(status.as_bytes()).unwrap();
    let found: Vec<_> =
        items.iter().map(|(key, item)| (key.as_str(), item.value.clone())).collect();
    assert_eq!(found, expect);
}

#[test]
fn a_package_is_its_version_and_whatever_is_unusual_about_it() {
    let text = |text: &str| ItemValue::text(text);
    check(
        STATUS_FILE,
        &[
            ("asterisk:amd64/hold", ItemValue::Flag(true)),
            ("asterisk:amd64/version", text("1:20.5.0~dfsg-1")),
            ("bash:amd64/conffile/~1etc~1bash.bashrc", ItemValue::Flag(true)),
            ("bash:amd64/conffile/~1etc~1skel~1.profile", ItemValue::Flag(true)),
            ("bash:amd64/version", text("5.2.15-2+b7")),
            ("exim4-base:amd64/status", text("deinstall ok config-files")),
            ("exim4-base:amd64/version", text("4.96-15")),
            ("libc6:i386/status", text("install ok half-configured")),
            ("libc6:i386/version", text("2.36-9")),
        ],
    );
    check("", &[]);
}

#[test]
fn waiting_for_triggers_is_settled_and_anything_else_is_told() {
    for (state, told) in [
        ("installed", false),
        ("triggers-awaited", false),
        ("triggers-pending", false),
        ("half-installed", true),
        ("unpacked", true),
        ("half-configured", true),
    ] {
        let status = format!("Package: a\nStatus: install ok {state}\nVersion: 1\n");
        let all = [
            ("a/status", ItemValue::text(format!("install ok {state}"))),
            ("a/version", ItemValue::text("1")),
        ];
        check(&status, if told { &all } else { &all[1..] });
    }
}

#[test]
fn what_dpkg_would_refuse_is_malformed() {
    for (status, line) in [
        ("Package: a\nVersion: 1\n", 2),
        ("Status: install ok installed\n", 1),
        ("Package: a\nStatus: install ok installed\n", 2),
        ("Package: a\nStatus: installed\n", 2),
        ("Package: a\nPackage: b\n", 2),
        (" continued\n", 1),
        ("\u{0}\n", 1),
        ("Package: a\nStatus: hold ok installed\nVersion: 1\n\n".repeat(2).as_str(), 7),
    ] {
        assert_eq!(packages(status.as_bytes()).map_err(|malformed| malformed.line), Err(line));
    }
}

#[test]
#[allow(clippy::disallowed_types, reason = "a test may ask dpkg itself")]
fn this_machine_has_the_packages_that_dpkg_query_lists() {
    let format = "${Package}:${Architecture}/version ${Version}\\n";
    let query = std::process::Command::new("dpkg-query").args(["-W", "-f", format]).output();
    let (Ok(output), Ok(status)) = (query, std::fs::read(STATUS)) else { return };
    let mut listed: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter(|line| !line.ends_with(' '))
        .map(str::to_owned)
        .collect();
    listed.sort();
    let items = packages(&status).unwrap();
    let mut ours: Vec<String> = items
        .iter()
        .filter(|(key, _)| key.as_str().ends_with("/version"))
        .map(|(key, item)| {
            let ItemValue::Text(version) = &item.value else { panic!("{key} is no text") };
            format!("{key} {version}")
        })
        .collect();
    ours.sort();
    assert_eq!(ours, listed);
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_items_or_malformed(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        text in "((Package|Status|Version|Architecture)?:? ?(a|install ok installed)?\n){0,12}",
    ) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            if let Err(malformed) = packages(bytes) {
                proptest::prop_assert!(malformed.line > 0);
            }
        }
    }
}
