//! What runs at a time of its own, and the row of the shared check.

use driftline_protocol::redact::Redactor;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

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
        malformed: Broken {
            path: "/etc/cron.d/backup",
            content: "@daily\n",
            part: "/etc/cron.d/backup",
        },
        denied: Denied { path: "/var/spool/cron/crontabs", part: "/var/spool/cron/crontabs/alice" },
        edit: ("/etc/cron.d/new", "@hourly root true\n"),
        canary: Some("canary-5e12"),
    }
}

fn shown(items: &RawItems) -> Vec<String> {
    items.iter().map(|(key, item)| format!("{key} = {:?}", item.value)).collect()
}

#[test]
fn a_script_that_is_not_executable_does_not_run_and_a_copy_is_none() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("etc/cron.daily");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, mode) in [("logrotate", 0o755), ("off", 0o644), ("x.bak", 0o755), ("y~", 0o755)] {
        let path = folder.join(name);
        std::fs::write(&path, "").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&path, mode).unwrap();
    }
    std::fs::write(root.path().join("etc/at.deny"), "# nobody\nmallory\n\n").unwrap();
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    let items = scripts(&mut Look::new(&machine)).unwrap().unwrap();
    assert_eq!(shown(&items), ["daily/logrotate = Flag(true)", "daily/off = Flag(false)"]);
    let items = access(&mut Look::new(&machine)).unwrap().unwrap();
    assert_eq!(shown(&items), ["at.deny = Set({Text(\"mallory\")})"]);
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
