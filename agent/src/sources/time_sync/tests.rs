//! What the time daemons are told, and the row of the shared check.

use driftline_protocol::redact::Redactor;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

const CHRONY: &str = "\
# a comment
confdir /etc/chrony/conf.d
pool 2.pool.example.org iburst
sourcedir /run/chrony-dhcp
sourcedir /etc/chrony/sources.d
keyfile /etc/chrony/chrony.keys
makestep 1 3
makestep 0.1 5
rtcsync
";

const NTP: &str = "\
driftfile /var/lib/ntpsec/ntp.drift
restrict -6 default kod nomodify
restrict 127.0.0.1
server ntp.example.org iburst # why
crypto pw canary-1f77
";

const TIMESYNCD: &str = "[Time]\n#NTP=x\nNTP=a.example.org b.example.org\nRootDistanceMaxSec=5\n";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(TimeSync::new()),
        recast: || Box::new(TimeSync { version: VERSION + 1, ..TimeSync::new() }),
        tree: vec![
            ("/etc/chrony/chrony.conf", 0o644, CHRONY),
            ("/etc/chrony/conf.d/10-site.conf", 0o644, "server time.example.org prefer\n"),
            ("/run/chrony-dhcp/eth0.sources", 0o644, "server 192.0.2.99\n"),
            ("/etc/chrony/sources.d/own.sources", 0o644, "server 192.0.2.1 iburst\n"),
            ("/etc/ntpsec/ntp.conf", 0o644, NTP),
            ("/etc/systemd/timesyncd.conf", 0o644, TIMESYNCD),
            ("/usr/lib/systemd/timesyncd.conf.d/a.conf", 0o644, "[Time]\nNTP=\nNTP=c\n"),
            ("/run/systemd/timesync/synchronized", 0o644, ""),
        ],
        malformed: Some(Broken {
            path: "/etc/chrony/chrony.conf",
            content: "server\n",
            part: "chrony",
        }),
        denied: Denied { path: "/etc/chrony/conf.d", part: "chrony" },
        edit: ("/etc/chrony/conf.d/20-new.conf", "maxdistance 1\n"),
        canary: Some("canary-1f77"),
    }
}

type Reader = fn(&mut Look<'_>) -> Result<Option<RawItems>, Trouble>;

#[track_caller]
fn check(files: &[(&str, &str)], read: Reader, expect: &[&str]) {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    let shown: Vec<String> = match read(&mut Look::new(&machine)) {
        Ok(Some(items)) => {
            items.iter().map(|(key, item)| format!("{key} = {:?}", item.value)).collect()
        }
        Ok(None) => vec!["nothing".to_owned()],
        Err(trouble) => vec![format!("{trouble:?}")],
    };
    assert_eq!(shown, expect);
}

#[test]
fn chrony_reads_what_it_includes_but_not_what_a_network_says() {
    let tree: Vec<_> = fixture().tree.iter().map(|(path, _, text)| (*path, *text)).collect();
    check(
        &tree,
        directives::chrony,
        &[
            "keyfile = Text(\"/etc/chrony/chrony.keys\")",
            "makestep = Text(\"0.1 5\")",
            "pool/2.pool.example.org = Text(\"iburst\")",
            "rtcsync = Nothing",
            "server/192.0.2.1 = Text(\"iburst\")",
            "server/time.example.org = Text(\"prefer\")",
        ],
    );
}

#[test]
fn ntp_knows_whom_a_restriction_is_about() {
    check(
        &[("/etc/ntp.conf", NTP)],
        directives::ntp,
        &[
            "crypto = Text(\"pw canary-1f77\")",
            "driftfile = Text(\"/var/lib/ntpsec/ntp.drift\")",
            "restrict/-6/default = Text(\"kod nomodify\")",
            "restrict/127.0.0.1 = Nothing",
            "server/ntp.example.org = Text(\"iburst\")",
        ],
    );
    check(&[], directives::ntp, &["nothing"]);
    let endless = [("/etc/ntp.conf", "includefile /etc/ntp.conf\n")];
    check(&endless, directives::ntp, &["Unread(TooLarge)"]);
}

#[test]
fn an_empty_list_of_timesyncd_forgets_what_was_said_before() {
    let main = ("/etc/systemd/timesyncd.conf", TIMESYNCD);
    let shadowed = ("/usr/lib/systemd/timesyncd.conf", "[Time]\nNTP=never\n");
    let both = "NTP = List([Text(\"a.example.org\"), Text(\"b.example.org\")])";
    check(&[main, shadowed], timesyncd::configured, &[both, "RootDistanceMaxSec = Integer(5)"]);
    check(
        &[main, ("/etc/systemd/timesyncd.conf.d/a.conf", "[Time]\nNTP=\nNTP=c\n")],
        timesyncd::configured,
        &["NTP = List([Text(\"c\")])", "RootDistanceMaxSec = Integer(5)"],
    );
}

#[test]
fn a_clock_that_is_not_set_yet_is_unobserved_and_not_wrong() {
    let runs = ("/run/systemd/timesync/x", "");
    check(&[], state, &["nothing"]);
    check(&[runs, (SYNCHRONISED, "")], state, &["synchronised = Flag(true)"]);
    check(&[runs, (UPTIME, "120.5 1.0\n")], state, &["Unread(Changing)"]);
    check(&[runs, (UPTIME, "90000.5 1.0\n")], state, &["synchronised = Flag(false)"]);
}

#[test]
fn chronyd_is_asked_one_question_and_only_its_answer_is_believed() {
    let question = chronyd::question(7);
    assert_eq!(
        (question.len(), &question[..12]),
        (104, &[6, 1, 0, 0, 0, 33, 0, 0, 0, 0, 0, 7][..])
    );
    let reply = |leap: u8| {
        let mut reply = vec![0; 104];
        reply[..8].copy_from_slice(&[6, 2, 0, 0, 0, 33, 0, 5]);
        (reply[19], reply[55]) = (7, leap);
        reply
    };
    assert_eq!(chronyd::answer(&reply(0), 7), Some(true));
    assert_eq!(chronyd::answer(&reply(3), 7), Some(false));
    assert_eq!(chronyd::answer(&reply(0), 8), None, "an answer to somebody else");
    assert_eq!(chronyd::answer(&reply(0)[..50], 7), None);
    assert_eq!(chronyd::answer(&question, 7), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_none(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120),
    ) {
        chronyd::answer(&bytes, 7);
    }
}
