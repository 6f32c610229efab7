//! What a status file says, and the row that drives the shared check.

pub(in crate::sources) mod by_rpm;

use super::*;
use driftline_protocol::snapshot::Part;

use crate::sources::check::{Broken, Denied, Fixture, Planted};

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
        malformed: Some(Broken { path: STATUS, content: "Package bash\n", part: "dpkg" }),
        denied: Denied { path: STATUS, part: "dpkg" },
        edit: (STATUS, "Package: a\nStatus: install ok installed\nVersion: 1\n"),
        canary: None,
    }
}

fn status_of(text: &str) -> (RawItems, Vec<Conffile<'_>>) {
    super::status(text.as_bytes()).unwrap()
}

#[track_caller]
fn check(status: &str, expect: &[(&str, ItemValue)]) {
    let (items, _) = status_of(status);
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
        assert_eq!(super::status(status.as_bytes()).map_err(|m| m.line).err(), Some(line));
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
    let items = super::status(&status).unwrap().0;
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

fn header(fields: &[(u32, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut entries = Vec::new();
    for (tag, value) in fields {
        let kind = if *tag == 1003 { 4 } else { 6 };
        let offset = u32::try_from(data.len()).unwrap();
        entries.extend([*tag, kind, offset, 1].map(u32::to_be_bytes).concat());
        data.extend_from_slice(value);
    }
    let sizes = [fields.len(), data.len()].map(|size| u32::try_from(size).unwrap().to_be_bytes());
    [sizes.concat(), entries, data].concat()
}

fn rpm_tree() -> (tempfile::TempDir, std::path::PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("usr/lib/sysimage/rpm");
    std::fs::create_dir_all(&folder).unwrap();
    (root, folder)
}

fn rpm(root: &Path) -> Result<Vec<String>, crate::sources::table::Trouble> {
    let machine = Machine::open(root, driftline_protocol::redact::Redactor::new([1; 32])).unwrap();
    let items = rpm::installed(&mut Look::new(&machine))?.unwrap_or_default();
    Ok(items.iter().map(|(key, item)| format!("{key} {:?}", item.value)).collect())
}

#[test]
fn a_database_of_rpm_gives_the_version_of_each_package() {
    use crate::sources::table::Trouble;
    let (root, folder) = rpm_tree();
    assert_eq!(rpm(root.path()).unwrap(), Vec::<String>::new());
    let path = folder.join("rpmdb.sqlite");
    let database = rusqlite::Connection::open(&path).unwrap();
    let table = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)";
    database.execute(table, []).unwrap();
    let text = |name: &'static [u8], version: &'static [u8], epoch: Option<u32>| {
        let epoch = epoch.map(u32::to_be_bytes);
        let mut fields: Vec<(u32, &[u8])> =
            vec![(1000, name), (1001, version), (1002, b"1.el9\0"), (1022, b"x86_64\0")];
        fields.extend(epoch.as_ref().map(|bytes| (1003, bytes.as_slice())));
        header(&fields)
    };
    for blob in [
        text(b"bash\0", b"5.1\0", None),
        text(b"bind\0", b"9.16\0", Some(32)),
        text(b"kernel\0", b"5.14\0", None),
        text(b"kernel\0", b"5.15\0", None),
        header(&[(1000, b"gpg-pubkey\0"), (1001, b"8483c65d\0"), (1002, b"5ccc5b19\0")]),
    ] {
        database.execute("INSERT INTO Packages (blob) VALUES (?1)", [blob]).unwrap();
    }
    drop(database);
    assert_eq!(
        rpm(root.path()).unwrap(),
        [
            "bash.x86_64/version Text(\"5.1-1.el9\")",
            "bind.x86_64/version Text(\"32:9.16-1.el9\")",
            "gpg-pubkey/version Text(\"8483c65d-5ccc5b19\")",
            "kernel.x86_64/version Set({Text(\"5.14-1.el9\"), Text(\"5.15-1.el9\")})",
        ]
    );
    std::fs::write(folder.join("rpmdb.sqlite-journal"), "x").unwrap();
    assert_eq!(rpm(root.path()), Err(Trouble::Unread(Reason::Changing)));
}

#[test]
fn packages_that_no_library_reads_are_unobserved_and_not_absent() {
    use crate::sources::check::Planted;
    // NDB and Berkeley DB, where distributions keep them.
    for path in ["/usr/lib/sysimage/rpm/Packages.db", "/var/lib/rpm/Packages"] {
        let parts = Planted::new(&[(path, 0o644, "RpmP")]).parts(&mut Packages::new());
        let reasons: Vec<_> =
            parts.iter().map(|(name, part)| (name.as_str(), part.unobserved_reason())).collect();
        assert_eq!(reasons, [("rpm", Some(Reason::Unsupported))], "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_package_of_rpm_or_none(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        entries in 0_u8..4,
    ) {
        rpm::package(&bytes);
        let counted = [&[0, 0, 0, entries], bytes.as_slice()].concat();
        rpm::package(&counted);
    }


    #[test]
    fn any_bytes_give_items_or_malformed(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        text in "((Package|Status|Version|Architecture)?:? ?(a|install ok installed)?\n){0,12}",
    ) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            if let Err(malformed) = super::status(bytes) {
                proptest::prop_assert!(malformed.line > 0);
            }
        }
    }
}

/// A machine whose dpkg has three files of `a`, of which one was edited and one is gone, and one
/// file of which it takes leave.
#[test]
fn a_configuration_file_is_as_shipped_or_is_not() {
    let (abc, empty) = ("900150983cd24fb0d6963f7d28e17f72", "d41d8cd98f00b204e9800998ecf8427e");
    let status = format!(
        "Package: a\nStatus: install ok installed\nVersion: 1\nConffiles:\n /etc/kept {abc}\n \
         /etc/edited {abc}\n /etc/gone {empty}\n /etc/left {abc} obsolete\n \
         /etc/new newconffile\n /etc/with two spaces {abc}\n"
    );
    let planted = Planted::new(&[
        (STATUS, 0o644, &status),
        ("/etc/kept", 0o644, "abc"),
        ("/etc/left", 0o644, "abc"),
        ("/etc/new", 0o644, "abc"),
        ("/etc/with two spaces", 0o644, "abc"),
        ("/etc/edited", 0o644, "abd"),
    ]);
    let parts = planted.parts(&mut Packages::new());
    let part = parts.get(&part_name("dpkg")).and_then(Part::observed).unwrap().clone();
    let said: Vec<_> = part
        .items
        .iter()
        .filter_map(|(key, item)| Some((key.of_the_moment()?.nth(1)?, item.value.clone())))
        .collect();
    let digest = ItemValue::Fingerprint(planted.machine.redactor().raw_digest(b"abc"));
    let no = ItemValue::Flag(false);
    let names = ["/etc/edited", "/etc/gone", "/etc/kept", "/etc/with two spaces"];
    let [edited, gone, kept, spaces] = names.map(str::to_owned);
    let expected = [(edited, no.clone()), (gone, no), (kept, digest.clone()), (spaces, digest)];
    assert_eq!(said, expected);
    let owned = part.items.keys().filter(|key| key.segments().nth(1) == Some("conffile".into()));
    assert_eq!(owned.count(), 6, "what it takes leave of is still its own");
    let raw = planted.machine.redactor().raw_digest(status.as_bytes());
    assert_eq!(part.raw, Some(raw), "its bytes are those of dpkg's file alone");
}
