//! What runs at a time of its own, and the row of the shared check.

use driftline_protocol::redact::Redactor;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture, Planted};

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Cron::new()),
        recast: || Box::new(Cron { version: VERSION + 1, ..Cron::new() }),
        tree: vec![
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
    for (directory, format) in DIRECTORIES {
        for entry in machine.entries(Path::new(directory)).unwrap().unwrap_or_default() {
            let path = Path::new(directory).join(&entry.name);
            let content = match machine.read(&path, limits::FILE_BYTES) {
                Ok(Some(content)) if is_table(&entry) => content,
                Ok(_) | Err(_) => continue,
            };
            assert!((format.read)(&content.bytes).is_ok(), "{} is malformed", path.display());
        }
    }
}
