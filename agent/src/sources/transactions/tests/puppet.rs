//! What a report of Puppet says, in the shape in which Puppet 7 wrote one.

use driftline_protocol::item::ItemValue;

use super::{Planted, check, part_name_of, said};
use crate::sources::transactions::Transactions;
use crate::sources::transactions::puppet::{REPORTS, reads};

/// A run that made a file, changed one, set a mode, removed a file, and would have done more.
pub(super) const REPORT: &str = include_str!("last_run_report.yaml");

const PATH: &str = REPORTS[1];

/// `abc` and its digest.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn key(planted: &Planted, bytes: &[u8]) -> String {
    format!("Fingerprint({:?})", planted.machine.redactor().raw_digest(bytes))
}

#[test]
fn a_report_tells_what_changed_and_whether_it_still_is_so() {
    let files = [
        (PATH, 0o640, REPORT),
        ("/etc/made.conf", 0o640, "abc"),
        ("/etc/edited.conf", 0o644, "abd"),
        ("/etc/mode.conf", 0o600, "x"),
        ("/etc/strange: 'name\".conf", 0o644, "abc"),
        ("/etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\n"),
        ("/etc/owned.conf", 0o644, "x"),
    ];
    let digest = key(&Planted::new(&[]), b"abc");
    let run = "run/a3569e60-2475-454e-a0e7-5b7eb7365cbb";
    let expect = [
        "began = Text(\"2026-11-29T14:16:31.904054342Z\")".to_owned(),
        "ended = Text(\"2026-11-29T14:16:38.440010217Z\")".to_owned(),
        "environment = Text(\"production\")".to_owned(),
        "file/~1etc~1edited.conf = Flag(false)".to_owned(),
        format!("file/~1etc~1made.conf = {digest}"),
        "file/~1etc~1sensitive.conf = Nothing".to_owned(),
        format!("file/~1etc~1strange: 'name\".conf = {digest}"),
        "gone/~1etc~1gone.conf = Flag(true)".to_owned(),
        "mode/~1etc~1mode.conf = Text(\"0600\")".to_owned(),
        "owner/~1etc~1owned.conf = Flag(false)".to_owned(),
        "package/hello = Flag(true)".to_owned(),
        "result = Text(\"failed\")".to_owned(),
        "service/ssh = Flag(true)".to_owned(),
        "user/ppuser = Flag(true)".to_owned(),
        "version = Text(\"1795961790\")".to_owned(),
    ];
    let expect: Vec<String> = expect.iter().map(|line| format!("{run}/{line}")).collect();
    let said: Vec<String> = said("puppet", &files);
    // The owner of a file that a test makes is whoever runs it.
    let said: Vec<String> = said
        .into_iter()
        .map(|line| match line.contains("/owner/") {
            true => line.replace("Integer(0)", "Flag(false)"),
            false => line,
        })
        .collect();
    assert_eq!(said, expect);
}

/// What is told of a file whose owner a run set to `who`, where this is the table of accounts.
pub(in crate::sources) fn owner_told(who: &str, table: (&str, u32, &str)) -> Option<ItemValue> {
    let event = format!(
        "      property: owner\n      desired_value: {who}\n      message: changed\n      \
         status: success\n"
    );
    let report = report("/etc/owned", &event);
    let files = [(PATH, 0o640, report.as_str()), ("/etc/owned", 0o644, "x"), table];
    let mut source = Transactions::new(&[], &[]).unwrap();
    let parts = Planted::new(&files).parts(&mut source);
    let observed = parts[&part_name_of("puppet")].observed().unwrap().clone();
    let told = observed.items.into_iter().find(|(key, _)| key.as_str().contains("/owner/"));
    told.map(|(_, item)| item.value)
}

/// The text of a resource of type File with one event.
fn report(title: &str, event: &str) -> String {
    format!(
        "--- !ruby/object:Puppet::Transaction::Report\nhost: sbc-1\n\
         time: '2026-11-29T15:16:31.904054342+01:00'\ntransaction_uuid: one\nstatus: changed\n\
         resource_statuses:\n  File[{title}]: !ruby/object:Puppet::Resource::Status\n    \
         title: {title}\n    resource_type: File\n    tags:\n    - file\n    events:\n    \
         - !ruby/object:Puppet::Transaction::Event\n{event}    corrective_change: false\n"
    )
}

#[test]
fn a_file_is_as_the_run_left_it_only_where_its_bytes_say_so() {
    let content = |message: &str, status: &str| {
        report(
            "/etc/a",
            &format!("      property: content\n      message: {message}\n      status: {status}\n"),
        )
    };
    let made = format!("content changed '{{md5}}00' to '{{sha256}}{ABC}'");
    let md5 = "defined content as '{md5}900150983cd24fb0d6963f7d28e17f72'";
    let folded = format!("content changed '{{sha256}}00'\n        to '{{sha256}}{ABC}'");
    let quoted = format!("\"content changed \\\n        to '{{sha256}}{ABC}'\"");
    let planted = Planted::new(&[]);
    let yes = format!("file/~1etc~1a = {}", key(&planted, b"abc"));
    let no = "file/~1etc~1a = Flag(false)".to_owned();
    for (report, there, expect) in [
        (content(&made, "success"), "abc", Some(yes.clone())),
        (content(md5, "success"), "abc", Some(yes.clone())),
        (content(&folded, "success"), "abc", Some(yes.clone())),
        (content(&quoted, "success"), "abc", Some(yes.clone())),
        (content(&made, "success"), "abd", Some(no)),
        (
            content("changed [redacted] to [redacted]", "success"),
            "abc",
            Some("file/~1etc~1a = Nothing".to_owned()),
        ),
        // What would be, what failed and what was looked at changed nothing.
        (content(&made, "noop"), "abc", None),
        (content(&made, "failure"), "abc", None),
        (content(&made, "audit"), "abc", None),
    ] {
        let said = said("puppet", &[(PATH, 0o640, &report), ("/etc/a", 0o644, there)]);
        let found = said.iter().find(|line| line.contains("/etc") || line.contains("~1etc"));
        let found = found.map(|line| line.trim_start_matches("run/one/").to_owned());
        assert_eq!(found, expect, "{report}");
    }
}

#[test]
fn a_secret_as_a_whole_is_not_compared() {
    let event = format!(
        "      property: content\n      message: defined content as '{{sha256}}{ABC}'\n      \
         status: success\n"
    );
    for path in ["/etc/ssl/private/a.key", "/etc/withheld", "/etc/shadow"] {
        let report = report(path, &event);
        let said = said("puppet", &[(PATH, 0o640, &report), (path, 0o600, "abc")]);
        assert!(!said.is_empty() && !said.iter().any(|line| line.contains("file/")), "{said:?}");
    }
    let key = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n";
    let report = report("/etc/a.pem", &event);
    let said = said("puppet", &[(PATH, 0o640, &report), ("/etc/a.pem", 0o600, key)]);
    assert!(!said.iter().any(|line| line.contains("Fingerprint")), "{said:?}");
}

#[test]
fn a_secret_by_another_name_is_not_looked_at() {
    let of = |property: &str| {
        format!(
            "      property: {property}\n      \
             message: defined content as '{{sha256}}{ABC}'\n      \
             desired_value: '0600'\n      status: success\n"
        )
    };
    let files = [
        ("/etc/shadow", 0o600, "abc"),
        ("/etc/x/a", 0o600, "abc"),
        ("/etc/a.conf", 0o600, "abc"),
        ("/etc/out/a", 0o600, "abc"),
        ("/srv/etc", 0o777, "-> /etc"),
        ("/srv/link", 0o777, "-> /etc/shadow"),
    ];
    let told = |title: &str, property: &str| {
        let report = report(title, &of(property));
        let said = said("puppet", &[&files[..], &[(PATH, 0o640, &report)]].concat());
        assert!(!said.is_empty());
        said.iter().any(|line| line.contains("file/") || line.contains("mode/"))
    };
    assert!(told("/etc/a.conf", "content") && told("/etc/shadow", "mode"));
    for path in [
        "/etc//shadow",
        "//etc/shadow",
        "/etc/./shadow",
        "/etc/x/../shadow",
        "/srv/etc/shadow",
        "/srv/etc/a.conf",
        "/etc/out/a",
    ] {
        assert!(!told(path, "content") && !told(path, "mode"), "{path}");
    }
    assert!(!told("/srv/link", "content"));
}

#[test]
fn what_a_report_may_not_name_is_no_key_and_is_counted() {
    let event = "      property: mode\n      desired_value: '0600'\n      status: success\n";
    let named = report("/etc/a", event).replace("uuid: one", "uuid: --password=canary");
    let said = said("puppet", &[(PATH, 0o640, &named), ("/etc/a", 0o600, "")]);
    assert!(said.iter().all(|line| line.starts_with("run/2026-11-29T14:16:31")), "{said:?}");
    let counts = |length: usize| {
        let title = format!("/{}", "a".repeat(length - 1));
        let run = reads(report(&title, event).as_bytes()).unwrap();
        (run.effects.len(), run.left_out)
    };
    assert_eq!(counts(4_096), (1, 0));
    assert_eq!(counts(4_097), (0, 1));
    let long = report(&format!("/{}", "a".repeat(5_000)), event);
    let said = self::said("puppet", &[(PATH, 0o640, &long)]);
    assert!(said.contains(&"run/one/left_out = Integer(1)".to_owned()), "{said:?}");
}

#[test]
fn a_title_that_is_no_path_or_name_is_not_told() {
    let event = "      property: mode\n      desired_value: '0600'\n      status: success\n";
    for title in ["motd", "./a"] {
        check("puppet", &[(PATH, 0o640, &report(title, event))], &[]);
    }
    let named = report("/etc/x", event).replace("resource_type: File", "resource_type: User");
    check("puppet", &[(PATH, 0o640, &named.replace("/etc/x", "a --password=canary"))], &[]);
    let exec = named.replace("resource_type: User", "resource_type: Exec");
    check("puppet", &[(PATH, 0o640, &exec)], &[]);
}

#[test]
fn a_run_that_changed_nothing_is_not_told() {
    let quiet = "--- !ruby/object:Puppet::Transaction::Report\n\
        time: '2026-11-29T15:16:31+01:00'\nstatus: unchanged\nresource_statuses: {}\n";
    check("puppet", &[(PATH, 0o640, quiet)], &[]);
    check("puppet", &[(PATH, 0o640, "a: b\n")], &["Unobserved(Malformed)"]);
    check("puppet", &[(PATH, 0o640, "\u{0}")], &["Unobserved(Malformed)"]);
}

/// A catalogue of 100,000 resources, of which one changed, is 38 MB: what is kept is that one, and
/// of a line without an end no more than a line.
#[test]
fn a_report_of_many_megabytes_is_read_within_its_bounds() {
    let quiet = |number: usize| {
        format!(
            "  File[/etc/{number}]:\n    title: \"/etc/{number}\"\n    \
             file: \"/etc/code/site.pp\"\n    resource_type: File\n    \
             containment_path:\n    - Stage[main]\n    - Main\n    \
             - File[/etc/{number}]\n    evaluation_time: 9.1256e-05\n    tags:\n    - file\n    \
             - class\n    time: '2026-11-29T14:16:31.906200646+00:00'\n    changed: false\n    \
             events: []\n    corrective_change: false\n"
        )
    };
    let event = "      property: mode\n      desired_value: '0600'\n      status: success\n";
    let mut bytes = report("/etc/a", event).into_bytes();
    (0..100_000).for_each(|number| bytes.extend(quiet(number).into_bytes()));
    assert!(bytes.len() > 30 * 1024 * 1024);
    let run = reads(&bytes).unwrap();
    assert_eq!(run.effects.len(), 1);
    let mut endless = b"time: '2026-11-29T14:16:31+00:00'\nenvironment: ".to_vec();
    endless.resize(32 * 1024 * 1024, b'x');
    let run = reads(&endless).unwrap();
    assert!(run.words[0].1.len() <= 16 * 1024);
    let many: String = (0..20_000)
        .map(|number| {
            quiet(number)
                .replace("events: []", format!("events:\n    - audited: false\n{event}").trim_end())
        })
        .collect();
    let many = format!("{}{many}", report("/etc/a", event));
    assert_eq!(reads(many.as_bytes()).unwrap().effects.len(), 5_000);
}
