//! What logs of runs say, and the row that drives the shared check.

use driftline_protocol::item::ItemKey;
use driftline_protocol::snapshot::Part;
use jiff::tz::TimeZone;

use super::*;
use crate::sources::check::{Denied, Fixture, Planted};

mod by_dnf;
mod by_zypper;
mod puppet;

pub(in crate::sources) use puppet::owner_told;

/// As apt wrote it, but for the names: a person's run, one that dpkg broke, and one by itself.
const APT: &str = "\nStart-Date: 2026-11-28  10:05:08
Commandline: apt-get -o Acquire::http::Proxy=http://ada:canary-proxy@proxy.example install nginx
Requested-By: ada (1000)
Install: nginx:amd64 (1.22.1-9), libnginx-mod:amd64 (1.22.1-9, automatic)
Upgrade: libc6:amd64 (2.36-9, 2.36-10)
End-Date: 2026-11-28  10:05:19

Start-Date: 2026-11-28  11:00:00
Commandline: apt-get purge nmap
Purge: nmap:amd64 (7.93)
Error: Sub-process /usr/bin/dpkg returned an error code (1)
End-Date: 2026-11-28  11:00:02

Start-Date: 2026-11-29  06:11:00
Commandline: /usr/bin/unattended-upgrade
Upgrade: bash:amd64 (5.2.15-2, 5.2.15-2+b7)
";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Transactions::new(&[], &[]).unwrap()),
        recast: || {
            let source = Transactions::new(&[], &[]).unwrap();
            Box::new(Transactions { version: VERSION + 1, ..source })
        },
        tree: vec![
            (apt::LOG, 0o644, APT),
            (zypper::LOG, 0o644, ZYPPER),
            (super::puppet::REPORTS[1], 0o640, puppet::REPORT),
        ],
        // A part has nothing but what is of the moment: of a log that is none nothing stays.
        malformed: None,
        denied: Denied { path: apt::LOG, part: "apt" },
        edit: (apt::LOG, "Start-Date: 2026-11-30  10:00:00\nInstall: a:all (1)\n"),
        canary: Some("canary-proxy"),
    }
}

/// What the source says of a tool in a tree, a line an item.
fn said(tool: &str, files: &[(&str, u32, &str)]) -> Vec<String> {
    let planted = Planted::new(files);
    let mut source =
        Transactions::new(&["/etc/withheld".to_owned()], &["/etc/out/**".to_owned()]).unwrap();
    let parts = planted.parts(&mut source);
    let Some(part) = parts.get(&part_name_of(tool)) else { return Vec::new() };
    let Part::Observed(observed) = part else { return vec![format!("{part:?}")] };
    let text = |key: &ItemKey| key.as_str().trim_start_matches("@now/").to_owned();
    observed.items.iter().map(|(key, item)| format!("{} = {:?}", text(key), item.value)).collect()
}

fn part_name_of(tool: &str) -> driftline_protocol::ids::PartName {
    tool.parse().unwrap()
}

#[track_caller]
fn check(tool: &str, files: &[(&str, u32, &str)], expect: &[&str]) {
    assert_eq!(said(tool, files), expect);
}

/// The log of openSUSE, as libzypp writes it.
const ZYPPER: &str = "# 2026-11-28 10:05:40 vim-9.0-1.1.x86_64.rpm installed ok
2026-11-28 10:05:38|command|root@sbc-1|'zypper' 'in' '--no-recommends' 'vim'|
2026-11-28 10:05:40|install|vim-data|9.0-1.1|noarch||repo-oss|aa11|
2026-11-28 10:05:41|install|vim|9.0-1.1|x86_64|root@sbc-1|repo-oss|bb22|
2026-11-28 11:00:00|radd   |repo|https://example.org/repo|
2026-11-28 12:00:00|command|root@sbc-1|'zypper' 'rm' 'a\\|b'|
2026-11-28 12:00:01|remove |nmap|7.92-1|x86_64|root@sbc-1|
";

#[test]
fn apt_tells_who_asked_how_and_what_it_did() {
    let log = "Start-Date: 2026-11-28  10:05:08\nCommandline: apt install nginx\n\
        Requested-By: ada (1000)\n\
        Install: nginx:amd64 (1.22.1-9), libnginx-mod:amd64 (1.22.1-9, automatic)\n\
        Upgrade: libc6:amd64 (2.36-9, 2.36-10)\nEnd-Date: 2026-11-28  10:05:19\n";
    check(
        "apt",
        &[(apt::LOG, 0o644, log)],
        &[
            "run/2026-11-28T10:05:08Z/asked_by = Text(\"ada\")",
            "run/2026-11-28T10:05:08Z/automatic/libnginx-mod:amd64 = Flag(true)",
            "run/2026-11-28T10:05:08Z/began = Text(\"2026-11-28T10:05:08Z\")",
            "run/2026-11-28T10:05:08Z/command = Text(\"apt install nginx\")",
            "run/2026-11-28T10:05:08Z/ended = Text(\"2026-11-28T10:05:19Z\")",
            "run/2026-11-28T10:05:08Z/installed/libnginx-mod:amd64 = Text(\"1.22.1-9\")",
            "run/2026-11-28T10:05:08Z/installed/nginx:amd64 = Text(\"1.22.1-9\")",
            "run/2026-11-28T10:05:08Z/result = Text(\"success\")",
            "run/2026-11-28T10:05:08Z/upgraded/libc6:amd64 = Text(\"2.36-9 to 2.36-10\")",
        ],
    );
}

#[test]
fn a_run_of_apt_ends_as_it_wrote() {
    let result = |rest: &str| {
        let log = format!("Start-Date: 2026-11-28  10:05:08\nRemove: nmap:amd64 (7.93)\n{rest}");
        let said = said("apt", &[(apt::LOG, 0o644, &log)]);
        said.into_iter().find(|line| line.contains("/result")).unwrap()
    };
    let end = "End-Date: 2026-11-28  10:05:19\n";
    for (rest, expect) in [
        (end.to_owned(), "success"),
        (format!("Error: Sub-process returned an error code (1)\n{end}"), "failed"),
        (format!("{end}Error: later\n"), "failed"),
        (String::new(), "unfinished"),
        ("End-Date: soon\n".to_owned(), "unfinished"),
    ] {
        assert!(result(&rest).ends_with(&format!("Text(\"{expect}\")")), "{rest:?}");
    }
}

/// Vienna, where clocks were put back on 2026-10-25 at 03:00.
#[test]
fn local_times_are_those_of_the_hosts_zone() {
    let vienna = TimeZone::get("Europe/Vienna").unwrap();
    let moment = |begin: &str, end: &str| {
        let log = format!("Start-Date: {begin}\nEnd-Date: {end}\n");
        let (runs, _) = apt::runs(&log, &vienna).unwrap();
        let text = |at: Option<jiff::Timestamp>| at.unwrap().to_string();
        [text(Some(runs[0].began)), text(runs[0].ended)]
    };
    for (begin, end, expect) in [
        ("2026-11-28  10:00:00", "2026-11-28  10:00:09", ["09:00:00Z", "09:00:09Z"]),
        ("2026-07-28  10:00:00", "2026-07-28  10:00:09", ["08:00:00Z", "08:00:09Z"]),
        // It was half past two twice: a run may seem an hour longer than it was, never elsewhere.
        ("2026-10-25  02:30:00", "2026-10-25  02:31:00", ["00:30:00Z", "01:31:00Z"]),
        // And never half past two in spring, unless a clock was wrong.
        ("2026-03-29  02:30:00", "2026-03-29  02:31:00", ["00:30:00Z", "01:31:00Z"]),
    ] {
        let found = moment(begin, end);
        let times = [0, 1].map(|at| found[at].split('T').nth(1).unwrap().to_owned());
        assert_eq!(times, expect, "{begin}");
    }
    let nonsense = "Start-Date: yesterday\nInstall: a:all (1)\nStart-Date: 2026-11-28  25:00:00\n";
    assert_eq!(apt::runs(nonsense, &vienna).unwrap(), (Vec::new(), 2));
}

#[test]
fn of_a_command_that_apt_cut_the_last_word_is_not_told() {
    let long = format!("apt-get -o Proxy=http://ada:{}", "x".repeat(400));
    // One argument with 20 blanks: apt's room is for two, and we count 22 words.
    let of = |length: usize| {
        let begin = format!("apt {}", "a ".repeat(20));
        let last = "p".repeat(length - begin.len());
        (format!("{begin}{last}"), begin.trim_end().to_owned(), format!("{begin}{last}"))
    };
    let [(cut, begin, _), (quoted, quoted_begin, _), (_, _, whole)] = [198, 199, 197].map(of);
    for (command, expect) in [
        ("apt install nginx", "apt install nginx"),
        (&long, "apt-get -o"),
        (&cut, &begin),
        (&quoted, &quoted_begin),
        (&whole, &whole),
        // It was cut within a sign.
        ("apt install caf\u{fffd}", "apt install"),
    ] {
        let log = format!("Start-Date: 2026-11-28  10:05:08\nCommandline: {command}\n");
        let (runs, _) = apt::runs(&log, &TimeZone::UTC).unwrap();
        assert_eq!(runs[0].command.as_deref(), Some(expect));
    }
}

#[test]
fn only_the_newest_runs_that_changed_something_are_told() {
    let run = |day: u32, hour: u32, what: &str| {
        format!("Start-Date: 2026-11-{day:02}  {hour:02}:00:00\n{what}\n")
    };
    let install = "Install: a:all (1)";
    let log: String = (1..=30)
        .flat_map(|day| [run(day, 1, install), run(day, 2, install), run(day, 3, install)])
        .chain([run(30, 4, "Commandline: apt-get update")])
        .collect();
    let said = said("apt", &[(apt::LOG, 0o644, &log)]);
    let began: Vec<_> = said.iter().filter(|line| line.contains("/began")).collect();
    assert_eq!(began.len(), 20);
    assert!(began[0].contains("2026-11-24T02:00:00Z"), "{began:?}");
    let few = [run(1, 1, install), run(20, 1, install), run(26, 1, install)].concat();
    let said = self::said("apt", &[(apt::LOG, 0o644, &few)]);
    let began = said.iter().filter(|line| line.contains("/began"));
    assert_eq!(began.count(), 2, "what is older than a week beside the newest is history");
}

#[test]
fn a_log_that_is_none_is_unobserved_and_one_that_is_not_there_is_no_part() {
    for log in ["\u{0}\u{1}", "hello\n"] {
        check("apt", &[(apt::LOG, 0o644, log)], &["Unobserved(Malformed)"]);
        check("zypper", &[(zypper::LOG, 0o644, log)], &["Unobserved(Malformed)"]);
    }
    for (tool, log) in [("apt", apt::LOG), ("zypper", zypper::LOG)] {
        check(tool, &[(log, 0o644, "")], &[]);
        check(tool, &[], &[]);
    }
}

#[test]
fn zypper_tells_a_run_by_its_command_and_packages() {
    check(
        "zypper",
        &[(zypper::LOG, 0o644, ZYPPER)],
        &[
            "run/2026-11-28T10:05:38Z/asked_by = Text(\"root\")",
            "run/2026-11-28T10:05:38Z/automatic/vim-data.noarch = Flag(true)",
            "run/2026-11-28T10:05:38Z/began = Text(\"2026-11-28T10:05:38Z\")",
            "run/2026-11-28T10:05:38Z/command = Text(\"zypper in --no-recommends vim\")",
            "run/2026-11-28T10:05:38Z/ended = Text(\"2026-11-28T10:05:41Z\")",
            "run/2026-11-28T10:05:38Z/installed/vim-data.noarch = Text(\"9.0-1.1\")",
            "run/2026-11-28T10:05:38Z/installed/vim.x86_64 = Text(\"9.0-1.1\")",
            "run/2026-11-28T10:05:38Z/result = Text(\"success\")",
            "run/2026-11-28T12:00:00Z/asked_by = Text(\"root\")",
            "run/2026-11-28T12:00:00Z/began = Text(\"2026-11-28T12:00:00Z\")",
            "run/2026-11-28T12:00:00Z/command = Text(\"zypper rm a|b\")",
            "run/2026-11-28T12:00:00Z/ended = Text(\"2026-11-28T12:00:01Z\")",
            "run/2026-11-28T12:00:00Z/removed/nmap.x86_64 = Text(\"7.92-1\")",
            "run/2026-11-28T12:00:00Z/result = Text(\"success\")",
        ],
    );
}

/// A log of many megabytes is read to its end and only its end is kept.
#[test]
fn of_a_long_log_the_end_is_told() {
    let line = "Start-Date: 2020-01-01  10:00:00\nInstall: old:all (1)\n\n";
    let mut log = line.repeat(12 * 1024 * 1024 / line.len());
    log.push_str("Start-Date: 2026-11-28  10:05:08\nInstall: new:all (1)\n");
    let said = said("apt", &[(apt::LOG, 0o644, &log)]);
    assert_eq!(said.iter().filter(|line| line.contains("/began")).count(), 1);
    assert!(said.iter().any(|line| line.contains("installed/new:all")), "{said:?}");
}

mod history {
    //! dnf's databases, made with the statements that libdnf and dnf5 make theirs with.

    use super::*;

    const DNF4: &str = "CREATE TABLE trans (id INTEGER PRIMARY KEY AUTOINCREMENT,
        dt_begin INTEGER NOT NULL, dt_end INTEGER, rpmdb_version_begin TEXT,
        rpmdb_version_end TEXT, releasever TEXT NOT NULL, user_id INTEGER NOT NULL, cmdline TEXT,
        state INTEGER NOT NULL, comment TEXT DEFAULT '');
        CREATE TABLE trans_item (id INTEGER PRIMARY KEY AUTOINCREMENT, trans_id INTEGER,
        item_id INTEGER, repo_id INTEGER, action INTEGER NOT NULL, reason INTEGER NOT NULL,
        state INTEGER NOT NULL);
        CREATE TABLE rpm (item_id INTEGER UNIQUE NOT NULL, name TEXT NOT NULL,
        epoch INTEGER NOT NULL, version TEXT NOT NULL, release TEXT NOT NULL, arch TEXT NOT NULL);
        INSERT INTO rpm VALUES (1, 'nginx', 1, '1.20.1', '10.el9', 'x86_64'),
        (2, 'nginx-core', 1, '1.20.1', '10.el9', 'x86_64'), (3, 'bash', 0, '5.1.8', '6', 'x86_64'),
        (4, 'bash', 0, '5.1.4', '3', 'x86_64'), (5, 'nmap', 0, '7.92', '1', 'x86_64');
        INSERT INTO trans VALUES
        (1, 1795960000, 1795960030, 'a', 'b', '9', 1000, 'install nginx', 1, ''),
        (2, 1795961000, 1795961030, 'a', 'b', '9', 4294967295, '/usr/bin/dnf-automatic', 2, ''),
        (3, 1795962000, NULL, 'a', NULL, '9', 77, NULL, 0, '');
        INSERT INTO trans_item VALUES (1, 1, 1, 1, 1, 2, 1), (2, 1, 2, 1, 1, 1, 1),
        (3, 1, 3, 2, 6, 2, 1), (4, 1, 4, 2, 7, 2, 1), (5, 2, 5, 2, 8, 2, 1),
        (6, 3, 5, 2, 1, 4, 0);";

    const DNF5: &str = "CREATE TABLE trans (id INTEGER PRIMARY KEY AUTOINCREMENT,
        dt_begin INTEGER NOT NULL, dt_end INTEGER, rpmdb_version_begin TEXT,
        rpmdb_version_end TEXT, releasever TEXT NOT NULL, user_id INTEGER NOT NULL,
        description TEXT, comment TEXT, state_id INTEGER);
        CREATE TABLE pkg_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE archs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE trans_item (id INTEGER PRIMARY KEY AUTOINCREMENT, trans_id INTEGER,
        item_id INTEGER, repo_id INTEGER, action_id INTEGER NOT NULL, reason_id INTEGER NOT NULL,
        state_id INTEGER NOT NULL);
        CREATE TABLE rpm (item_id INTEGER NOT NULL UNIQUE, name_id INTEGER NOT NULL,
        epoch INTEGER NOT NULL, version TEXT NOT NULL, release TEXT NOT NULL,
        arch_id INTEGER NOT NULL);
        INSERT INTO pkg_names VALUES (1, 'nginx'), (2, 'nginx-core'), (3, 'bash');
        INSERT INTO archs VALUES (1, 'x86_64');
        INSERT INTO rpm VALUES (1, 1, 1, '1.20.1', '10', 1), (2, 2, 1, '1.20.1', '10', 1),
        (3, 3, 0, '5.1.8', '6', 1), (4, 3, 0, '5.1.4', '3', 1);
        INSERT INTO trans VALUES
        (1, 1795960000, 1795960030, 'a', 'b', '41', 1000, 'dnf5 install nginx', '', 2);
        INSERT INTO trans_item VALUES (1, 1, 1, 1, 1, 2, 2), (2, 1, 2, 1, 1, 1, 2),
        (3, 1, 3, 2, 2, 2, 2), (4, 1, 4, 2, 6, 2, 2);";

    fn of(path: &str, statements: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        rusqlite::Connection::open(&place).unwrap().execute_batch(statements).unwrap();
        let passwd = root.path().join("etc/passwd");
        std::fs::create_dir_all(passwd.parent().unwrap()).unwrap();
        std::fs::write(passwd, "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/:/bin/sh\n").unwrap();
        let redactor = driftline_protocol::redact::Redactor::new([1; 32]);
        let machine = Machine::open(root.path(), redactor).unwrap();
        let mut look = Look::new(&machine);
        let told = dnf::read(&mut look).unwrap().unwrap();
        let secret = Scope::new::<&str>(&[], &[], &[]).unwrap();
        let items = told.items(&machine, &secret);
        let text = |key: &ItemKey| key.as_str().trim_start_matches("@now/run/").to_owned();
        let lines = items.iter().map(|(key, item)| format!("{} = {:?}", text(key), item.value));
        lines.filter(|line| !line.contains("/began")).collect()
    }

    #[test]
    fn dnf_tells_who_asked_and_which_packages_nobody_named() {
        assert_eq!(
            of(dnf::DATABASES[1], DNF4),
            [
                "1/asked_by = Text(\"ada\")",
                "1/automatic/nginx-core.x86_64 = Flag(true)",
                "1/command = Text(\"install nginx\")",
                "1/ended = Text(\"2026-11-29T13:47:10Z\")",
                "1/installed/nginx-core.x86_64 = Text(\"1:1.20.1-10.el9\")",
                "1/installed/nginx.x86_64 = Text(\"1:1.20.1-10.el9\")",
                "1/result = Text(\"success\")",
                "1/upgraded/bash.x86_64 = Text(\"5.1.8-6\")",
                "2/command = Text(\"/usr/bin/dnf-automatic\")",
                "2/ended = Text(\"2026-11-29T14:03:50Z\")",
                "2/removed/nmap.x86_64 = Text(\"7.92-1\")",
                "2/result = Text(\"failed\")",
                "3/asked_by = Text(\"77\")",
                "3/automatic/nmap.x86_64 = Flag(true)",
                "3/installed/nmap.x86_64 = Text(\"7.92-1\")",
                "3/result = Text(\"unfinished\")",
            ]
        );
    }

    #[test]
    fn dnf5_tells_the_same() {
        assert_eq!(
            of(dnf::DATABASES[0], DNF5),
            [
                "1/asked_by = Text(\"ada\")",
                "1/automatic/nginx-core.x86_64 = Flag(true)",
                "1/command = Text(\"dnf5 install nginx\")",
                "1/ended = Text(\"2026-11-29T13:47:10Z\")",
                "1/installed/nginx-core.x86_64 = Text(\"1:1.20.1-10\")",
                "1/installed/nginx.x86_64 = Text(\"1:1.20.1-10\")",
                "1/result = Text(\"success\")",
                "1/upgraded/bash.x86_64 = Text(\"5.1.8-6\")",
            ]
        );
    }

    #[test]
    fn a_history_that_is_being_written_or_is_none_is_unobserved() {
        let path = dnf::DATABASES[1];
        check("dnf", &[(path, 0o644, "no database")], &["Unobserved(Malformed)"]);
        let journal = "/var/lib/dnf/history.sqlite-journal";
        check("dnf", &[(path, 0o644, ""), (journal, 0o644, "x")], &["Unobserved(Changing)"]);
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_log_or_malformed(
        text in "((Start-Date|End-Date|Install|Error|2026-11-28 10:05:40\\|install)[:|] ?\
            (2026-11-28  10:05:08|a:b \\(1, automatic\\)|a\\|1\\|b\\|)?\n){0,12}",
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
    ) {
        for text in [text, String::from_utf8_lossy(&bytes).into_owned()] {
            apt::runs(&text, &TimeZone::UTC).ok();
            zypper::runs(&text, &TimeZone::UTC).ok();
            super::puppet::reads(text.as_bytes()).ok();
        }
    }
}

/// The log of this machine's own apt, against what a few lines of awk make of it.
#[test]
#[allow(clippy::disallowed_types, reason = "a test may ask another reader")]
fn this_machine_has_the_runs_that_its_log_lists() {
    let Ok(log) = std::fs::read_to_string(apt::LOG) else { return };
    let program = r#"/^Start-Date:/ { n++; packages[n] = 0; began[n] = $2 " " $3 }
        /^(Install|Upgrade|Downgrade|Reinstall|Remove|Purge):/ { packages[n] += gsub(/\(/, "") }
        END { for (i = 1; i <= n; i++) print began[i], packages[i] }"#;
    let Ok(output) = std::process::Command::new("awk").args([program, apt::LOG]).output() else {
        return;
    };
    let listed = String::from_utf8(output.stdout).unwrap();
    let (runs, unread) = apt::runs(&log, &TimeZone::UTC).unwrap();
    let ours: Vec<String> = runs
        .iter()
        .map(|run| format!("{} {}", run.began.strftime("%F %T"), run.packages.len()))
        .collect();
    assert_eq!(ours, listed.lines().collect::<Vec<_>>());
    assert_eq!(unread, 0);
}

/// What the newest run installed or upgraded has that version with dpkg, where it is there still.
#[test]
#[allow(clippy::disallowed_types, reason = "a test may ask dpkg itself")]
fn what_this_machine_installed_last_is_what_dpkg_has() {
    let Ok(log) = std::fs::read_to_string(apt::LOG) else { return };
    let format = "${Package} ${db:Status-Status} ${Version}\\n";
    let query = std::process::Command::new("dpkg-query").args(["-W", "-f", format]).output();
    let Ok(query) = query else { return };
    let listed = String::from_utf8(query.stdout).unwrap();
    let (runs, _) = apt::runs(&log, &TimeZone::UTC).unwrap();
    let Some(newest) = runs.last().filter(|run| run.outcome == run::Outcome::Success) else {
        return;
    };
    for package in newest.packages.iter().filter(|package| package.verb != run::Verb::Removed) {
        let name = package.name.split(':').next().unwrap();
        let version = package.version.rsplit(" to ").next().unwrap();
        let installed = format!("{name} installed ");
        let has = listed.lines().find_map(|line| line.strip_prefix(&installed));
        assert!(has.is_none_or(|has| has == version), "{name} is {has:?} and not {version}");
    }
}
