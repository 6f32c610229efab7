//! An agent runs for years: after many passes of every source it holds what it held after a few.
//!
//! Alone in its program, since files and memory are counted for the whole process.
//! `DRIFTLINE_PASSES` sets how many passes there are; CI takes fewer than a night does.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise, and its numbers are for the terminal"
)]

use std::path::Path;

use driftline_agent::assemble::{self, Now};
use driftline_agent::budget::{self, Budgets};
use driftline_agent::machine::Machine;
use driftline_agent::spool::{Settings, Spool};
use driftline_agent::{clock, config, run};
use driftline_protocol::redact::Redactor;
use driftline_tests::programs;

/// What memory may grow by between a tenth of the passes and their end, in bytes. An allocator
/// keeps some of what it was given; a leak of one part a pass would be ten times this.
const GROWTH_BYTES: u64 = 4 * 1024 * 1024;

/// Files of which each wakes another source.
const FILES: [(&str, &str); 9] = [
    ("etc/passwd", "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"),
    ("etc/ssh/sshd_config", "PermitRootLogin no\nInclude /etc/ssh/sshd_config.d/*.conf\n"),
    ("etc/nftables.conf", "table ip t {\n chain c {\n policy drop;\n }\n}\n"),
    ("etc/krb5.conf", "[libdefaults]\n default_realm = EXAMPLE.ORG\n"),
    ("etc/chrony/chrony.conf", "server ntp.example.org\n"),
    ("etc/crontab", "0 4 * * * root /bin/true\n"),
    ("etc/asterisk/pjsip.conf", "[phone]\ntype = endpoint\n"),
    ("usr/lib/systemd/system/a.service", "[Service]\nExecStart=/bin/a\n"),
    ("var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n"),
];

fn plant(root: &Path) {
    for (path, text) in FILES {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn many_passes_leave_nothing_behind() {
    let passes = programs::count("DRIFTLINE_PASSES", 2_000).unwrap();
    let (root, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    plant(root.path());
    let redactor = Redactor::new([7; 32]);
    let machine = Machine::open(root.path(), redactor.clone()).unwrap();
    let settings =
        Settings { folder: state.path().into(), limit_bytes: 16 << 20, boot: "boot".into() };
    let mut spool = Spool::open(settings, redactor).unwrap();
    let mut sources = run::sources(&config::Config::default()).unwrap();
    let (mut done, mut early, mut changes) = (0, None, 0);
    while done < passes {
        let (path, text) = FILES.get(usize::try_from(done).unwrap() % FILES.len()).unwrap();
        std::fs::write(root.path().join(path), format!("{text}# {done}\n")).unwrap();
        for source in &mut sources {
            let machine = machine.for_pass(Budgets::default());
            let now = Now { wall: clock::wall(), monotonic_ms: clock::monotonic_ms() };
            let outcome = assemble::pass(source.as_mut(), &machine, &mut spool, now).unwrap();
            changes += u64::from(outcome.generation.is_some());
            done += 1;
        }
        spool.shrink().unwrap();
        if early.is_none() && done >= passes / 10 {
            early = Some(budget::usage());
        }
    }
    let (early, late) = (early.unwrap(), budget::usage());
    eprintln!("{done} passes, {changes} versions: {early:?} became {late:?}");
    assert!(changes > done / 100, "the passes saw nothing");
    assert_eq!(late.open_files, early.open_files, "files stay open");
    let grown = late.memory_bytes.saturating_sub(early.memory_bytes);
    assert!(grown < GROWTH_BYTES, "memory grew by {grown} bytes in {done} passes");
}
