//! What runs at a time of its own, and the row of the shared check.

use driftline_protocol::redact::{RawItem, Redactor};

use super::*;
use crate::sources::check::{Broken, Denied, Fixture, Planted, machine_at};
use crate::sources::oracle::asked;

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Cron::new()),
        recast: || Box::new(Cron { version: VERSION + 1, ..Cron::new() }),
        tree: vec![
            (names::DEBIAN, 0o644, "12.11\n"),
            ("/etc/crontab", 0o644, "17 * * * * root cd / && run-parts /etc/cron.hourly\n"),
            ("/etc/cron.d/backup", 0o644, "@daily root curl -u u:canary-5e12 https://b\n"),
            ("/etc/cron.d/.placeholder", 0o644, "not a table\n"),
            ("/etc/cron.d/old.dpkg-old", 0o644, "not a table\n"),
            ("/var/spool/cron/crontabs/alice", 0o600, "*/5 * * * * true\n"),
            ("/etc/anacrontab", 0o644, "1 5 cron.daily run-parts /etc/cron.daily\n"),
            ("/etc/cron.daily/logrotate", 0o755, "#!/bin/sh\n"),
            ("/etc/cron.daily/off", 0o644, "#!/bin/sh\n"),
            ("/etc/cron.daily/x.bak", 0o755, "#!/bin/sh\n"),
            ("/etc/cron.allow", 0o644, "alice\nbob\n"),
        ],
        malformed: Some(Broken {
            path: "/etc/cron.d/backup",
            content: "@daily\n",
            part: "/etc/cron.d/backup",
        }),
        denied: Denied { path: "/var/spool/cron/crontabs", part: "/var/spool/cron/crontabs/alice" },
        edit: ("/etc/cron.d/new", "@hourly root true\n"),
        canary: Some("canary-5e12"),
    }
}

#[test]
fn a_script_that_is_not_executable_does_not_run_and_a_copy_is_none() {
    let planted = Planted::new(&[
        (names::DEBIAN, 0o644, ""),
        ("/etc/cron.daily/logrotate", 0o755, ""),
        ("/etc/cron.daily/off", 0o644, ""),
        ("/etc/cron.daily/x.bak", 0o755, ""),
        ("/etc/cron.daily/y~", 0o755, ""),
        ("/etc/at.deny", 0o644, "# nobody\nmallory\n\n"),
    ]);
    let said = planted.said(scripts);
    assert_eq!(said, ["daily/logrotate = Flag(true)", "daily/off = Flag(false)"]);
    assert_eq!(planted.said(access), ["at.deny = Set({Text(\"mallory\")})"]);
}

/// Every table of this machine's own is one that its cron accepts, and so do we.
#[test]
fn every_table_of_this_machine_is_read() {
    let machine = Machine::open(Path::new("/"), Redactor::new([1; 32])).unwrap();
    let names = Names::of(&machine);
    for (directory, format) in DIRECTORIES {
        for entry in machine.entries(Path::new(directory)).unwrap().unwrap_or_default() {
            let path = Path::new(directory).join(&entry.name);
            let content = match machine.read(&path, limits::FILE_BYTES) {
                Ok(Some(content)) if names.is_table(entry.name.as_encoded_bytes()) => content,
                Ok(_) | Err(_) => continue,
            };
            assert!((format.read)(&content.bytes).is_ok(), "{} is malformed", path.display());
        }
    }
}

/// Names that somebody left, and names that count for one of the two.
const NAMES: [&str; 24] = [
    "plain",
    "with-dash_and_underscore",
    "UPPER09",
    "e2scrub.all",
    "site.cron",
    "john.doe",
    ".placeholder",
    ".hidden",
    "copy~",
    "#edited#",
    "a,v",
    "trailing,",
    "x.swp",
    "x.bak",
    "x.cfsaved",
    "x.rpmsave",
    "x.rpmnew",
    "x.rpmorig",
    "x.dpkg-old",
    "x.dpkg-dist",
    "a+b",
    "with blank",
    "\u{fc}mlaut",
    "_",
];

/// Each name thrice: as a script, as a file that does not run, and as a folder.
#[test]
fn run_parts_runs_the_scripts_that_we_say_run() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("etc/debian_version", 0o644);
    for name in NAMES {
        write(&format!("etc/cron.daily/{name}"), 0o755);
        write(&format!("etc/cron.weekly/{name}"), 0o644);
        write(&format!("etc/cron.monthly/{name}/inside"), 0o755);
    }
    write("etc/cron.hourly/of-its-group", 0o610);
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, root.path().join("etc/cron.hourly").join(name)).unwrap();
    };
    link("of-its-group", "link");
    link("../cron.daily", "folder");
    let machine = machine_at(root.path());
    let items = scripts(&mut Look::new(&machine)).unwrap().unwrap();
    let runs = |(key, item): (&driftline_protocol::item::ItemKey, &_)| {
        let RawItem { value: ItemValue::Flag(true), .. } = item else { return None };
        Some(key.segments().collect::<Vec<_>>().join("/"))
    };
    let ours: BTreeSet<String> = items.iter().filter_map(runs).collect();
    let mut theirs = BTreeSet::new();
    for folder in ["hourly", "daily", "weekly", "monthly"] {
        let folder = format!("{}/etc/cron.{folder}", root.path().display());
        let Some(said) = asked(&["run-parts", "--test", &folder]) else { return };
        let before = format!("{}/etc/cron.", root.path().display());
        theirs.extend(said.lines().map(|path| path.strip_prefix(&before).unwrap().to_owned()));
    }
    assert_eq!(ours, theirs);
    assert_eq!(items.len() - ours.len(), 4, "what does not run is told too");
}

/// Beside Debian, cronie and its `crontabs` go by other rules.
#[test]
fn beside_debian_a_name_may_have_dots() {
    let told = |is_told: &dyn Fn(&[u8]) -> bool| -> Vec<&str> {
        NAMES.into_iter().filter(|name| is_told(name.as_bytes())).collect()
    };
    let tables = told(&|name| Names::Cronie.is_table(name));
    assert!(tables.contains(&"site.cron") && tables.contains(&"x.dpkg-old"), "{tables:?}");
    assert!(!tables.iter().any(|name| name.contains(".rpm") || name.ends_with('~')), "{tables:?}");
    let scripts = told(&|name| Names::Cronie.is_script(name));
    assert!(scripts.contains(&"e2scrub.all") && !scripts.contains(&"x.swp"), "{scripts:?}");
    let users = told(&names::is_table_of_user);
    assert!(users.contains(&"john.doe") && !users.contains(&".hidden"), "{users:?}");
}
