//! What tables of cron say, and what cron would refuse.

use super::*;
use crate::formats::crontab::{ANACRON, SYSTEM, USER};

#[test]
fn a_job_is_what_runs_and_says_when() {
    check(
        &SYSTEM,
        "# m h\nMAILTO=\"ops\"\n17 *  * * *  root cd / && run-parts /etc/cron.hourly # no comment\n\
         @midnight backup /opt/b\n0 5 * * MON backup /opt/b\n",
        &[
            "job/backup/~1opt~1b = {\"0 5 * * mon\", \"@daily\"}",
            "job/root/cd ~1 && run-parts ~1etc~1cron.hourly # no comment = {\"17 * * * *\"}",
            "variable/MAILTO = \"ops\"",
        ],
    );
    check(&USER, "*/5 * * * * date +\\%s\n", &["job/date +\\%s = {\"*/5 * * * *\"}"]);
    check(&USER, "A=1\n* * * * * x=1 y\n", &["job/x=1 y = {\"* * * * *\"}", "variable/A = 1"]);
    // SUSE's own table; and a name that systemd-cron alone has.
    check(
        &SYSTEM,
        "-*/15 * * * *   root  test -x /usr/lib/cron/run-crons\n-@biannually root x\n",
        &[
            "job/root/test -x ~1usr~1lib~1cron~1run-crons = {\"-*/15 * * * *\"}",
            "job/root/x = {\"-@semi-annually\"}",
        ],
    );
    check(&SYSTEM, "", &[]);
}

#[test]
fn the_order_of_jobs_means_nothing_until_a_variable_stands_between_them() {
    let (one, two) = ("1 * * * * a\n", "2 * * * * b\n");
    check_same(&USER, &format!("{one}{two}"), &format!("# x\n{two}\n{one}"));
    let variable = "PATH=/bin\n";
    check_same(&USER, &format!("{variable}{one}{two}"), &format!("{variable}{two}{one}"));
    check_differs(&USER, &format!("{one}{variable}{two}"), &format!("{variable}{one}{two}"));
    check_differs(&USER, &format!("{one}{variable}{two}"), &format!("{two}{variable}{one}"));
}

#[test]
fn a_line_that_cron_would_refuse_is_malformed() {
    let when = "error: line 2: a time has five fields";
    check(&SYSTEM, "\n1 2 3\n", &[when]);
    check(&SYSTEM, "\n1 2 3 4 $ root x\n", &[when]);
    let job = "error: line 1: a job needs a time, a command, and in some tables a user";
    check(&SYSTEM, "* * * * * root\n", &[job]);
    check(&USER, "@daily\n", &[job]);
    let anacron = "error: line 1: a job needs a period, a delay, a name and a command";
    check(&ANACRON, "1 5 daily\n", &[anacron]);
}

#[test]
fn anacron_has_names_for_its_jobs() {
    check(
        &ANACRON,
        "SHELL=/bin/sh\n1\t5\tcron.daily\trun-parts --report /etc/cron.daily\n",
        &[
            "job/cron.daily/command = \"run-parts --report /etc/cron.daily\"",
            "job/cron.daily/delay = 5",
            "job/cron.daily/period = 1",
            "variable/SHELL = \"/bin/sh\"",
        ],
    );
}

#[test]
fn tables_are_claimed_and_what_editors_leave_is_not() {
    for (path, name) in [
        ("/etc/crontab", Some("crontab")),
        ("/etc/cron.d/sysstat", Some("crontab")),
        ("/etc/cron.d/.placeholder", None),
        ("/etc/cron.d/x.dpkg-old", None),
        ("/var/spool/cron/crontabs/alice", Some("user_crontab")),
        ("/var/spool/cron/root", Some("user_crontab")),
        ("/var/spool/cron/tabs/john.doe", Some("user_crontab")),
        ("/var/spool/cron/crontabs/tmp.k2XvQb", None),
        ("/etc/anacrontab", Some("anacrontab")),
    ] {
        let claimed = claiming(path, b"* * * * * root x\n").map(|format| format.name);
        let ours = claimed.filter(|name| name.contains("crontab"));
        assert_eq!(ours, name, "{path}");
    }
}

#[test]
fn a_password_in_a_command_stays_on_the_host() {
    leaks(&SYSTEM, "0 1 * * * root mysqldump --password=canary-77ad db\n", "canary-77ad");
}

#[test]
fn a_table_beyond_the_bound_of_a_part_is_not_collected() {
    let many = limits::ITEMS_PER_PART;
    let minute = |n: usize| format!("{} {} {} * *", n % 60, n / 60 % 24, 1 + n / 1_440);
    let times = |count| (0..count).map(|n| format!("{} a\n", minute(n))).collect::<String>();
    let commands = |count| (0..count).map(|n| format!("@daily {n}\n")).collect::<String>();
    let ordered = |text: String| format!("@daily a\nA=b\n{text}");
    for (what, text, fits) in [
        ("times of a job", times(many + 1), false),
        ("times of a job", times(many), true),
        ("jobs", commands(many + 1), false),
        ("jobs", commands(many / 2), true),
        ("jobs in their order", ordered(commands(many)), false),
        ("jobs in their order", ordered(commands(many / 2)), true),
        ("the same job at the same time", "@daily a\n".repeat(many * 2), true),
    ] {
        let read = (crontab::USER.read)(text.as_bytes());
        let reason = read.err().map(|error| error.reason());
        let expect = (!fits).then_some(Reason::TooLarge);
        assert_eq!(reason, expect, "{what} in {} bytes", text.len());
    }
}
