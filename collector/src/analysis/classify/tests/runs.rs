//! What runs explain is what they left, what nobody decided, and nothing else.

use driftline_protocol::ids::{FingerprintDigest, KeyId};
use driftline_protocol::item::Fingerprint;
use driftline_protocol::snapshot::{Content, Observed, Part, Reading};

use super::super::runs::{LONGEST, Runs, Verdict};
use super::super::transaction::TOGETHER;
use super::*;

const NOON: &str = "2026-11-28T12:00:00Z";

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn bytes(of: u8) -> Fingerprint {
    Fingerprint { key: KeyId([1; 8]), digest: FingerprintDigest([of; 16]) }
}

/// A part of these items, each of the moment where its name does not begin with `@`.
fn part(raw: Option<Fingerprint>, items: &[(&[&str], ItemValue)]) -> Part {
    let key = |names: &[&str]| match names {
        ["@mode"] => ItemKey::attribute("mode"),
        names => ItemKey::momentary(["run"].iter().chain(names)),
    };
    let items =
        items.iter().map(|(names, value)| (key(names), Item { value: value.clone(), rank: None }));
    Part::Observed(Observed {
        reading: Reading { parser: "t".into(), version: 1, scope: Digest([0; 32]) },
        raw,
        size: None,
        content: Content::Read,
        items: items.collect(),
    })
}

fn text(text: &str) -> ItemValue {
    ItemValue::text(text)
}

/// A run of an hour before noon, with what else it tells.
fn run<'a>(more: &[(&[&'a str], ItemValue)], result: &str) -> Vec<(Vec<&'a str>, ItemValue)> {
    let fixed = [
        (vec!["7", "began"], text("2026-11-28T11:00:00Z")),
        (vec!["7", "ended"], text(NOON)),
        (vec!["7", "result"], text(result)),
    ];
    let more = more.iter().map(|(names, value)| {
        (std::iter::once("7").chain(names.iter().copied()).collect(), value.clone())
    });
    fixed.into_iter().chain(more).collect()
}

fn told(tool: &str, said: &[(Vec<&str>, ItemValue)]) -> Runs {
    let said: Vec<(&[&str], ItemValue)> =
        said.iter().map(|(names, value)| (names.as_slice(), value.clone())).collect();
    let mut runs = Runs::default();
    runs.add(&tool.parse().unwrap(), &part(None, &said), SignedDuration::ZERO);
    runs
}

/// What is said of a change; `None` for nothing, and `by hand` for what the run did not leave.
fn verdict(runs: &Runs, subject: &Subject<'_>, after: Option<&Part>) -> Option<String> {
    Some(match runs.explain(subject, after)? {
        Verdict::Explained(explained) => format!("{:?} {}", explained.rule, explained.says),
        Verdict::Otherwise(tool) => format!("by hand beside {tool}"),
    })
}

#[test]
fn a_file_is_a_runs_only_as_the_run_left_it_and_in_its_time() {
    let file = "/etc/sip.conf";
    let said = run(
        &[
            (&["file", file], ItemValue::Fingerprint(bytes(7))),
            (&["mode", file], text("0640")),
            (&["environment"], text("production")),
        ],
        "failed",
    );
    let runs = told("puppet", &said);
    let its = Some(
        "Run puppet, 2026-11-28 11:00 UTC, environment production, which failed in part".to_owned(),
    );
    let hand = Some("by hand beside puppet".to_owned());
    let mode = ItemKey::attribute("mode");
    let owner = ItemKey::attribute("owner");
    let codec = ItemKey::of(["codec"]);
    let left = part(Some(bytes(7)), &[(&["@mode"], text("0640"))]);
    let edited = part(Some(bytes(8)), &[(&["@mode"], text("0600"))]);
    let unread = part(None, &[]);
    let blind = Part::Unobserved(driftline_protocol::snapshot::Reason::Denied);
    for (key, kind, minute, after, expect) in [
        (&codec, ChangeKind::Modified, -30, Some(&left), its.clone()),
        (&codec, ChangeKind::Modified, 0, Some(&left), its.clone()),
        (&codec, ChangeKind::Modified, 15, Some(&left), its.clone()),
        (&codec, ChangeKind::Modified, -60, Some(&left), its.clone()),
        // Before the run began and long after it ended, whoever made it, the run did not.
        (&codec, ChangeKind::Modified, -62, Some(&left), None),
        (&codec, ChangeKind::Modified, 16, Some(&left), None),
        // An edit by hand in the same minutes, and what nobody could compare.
        (&codec, ChangeKind::Modified, 0, Some(&edited), hand.clone()),
        (&codec, ChangeKind::Modified, 0, Some(&unread), hand.clone()),
        (&codec, ChangeKind::Modified, 0, Some(&blind), None),
        (&codec, ChangeKind::Removed, 0, None, hand.clone()),
        // Attributes by themselves are what the run set, or somebody else's.
        (&mode, ChangeKind::Modified, 0, Some(&left), its.clone()),
        (&mode, ChangeKind::Modified, 0, Some(&edited), hand.clone()),
        (&owner, ChangeKind::Modified, 0, Some(&left), None),
        (&owner, ChangeKind::Added, 0, Some(&left), its.clone()),
    ] {
        let world = World { at: at(NOON) + minutes(minute), ..World::new(NOON) };
        let subject = Subject { key: Some(key), kind, ..world.subject() };
        assert_eq!(verdict(&runs, &subject, after), expect, "{key} {kind:?} at {minute} minutes");
    }
    let other = World { part: "/etc/other.conf".parse().unwrap(), ..World::new(NOON) };
    assert_eq!(verdict(&runs, &other.subject(), Some(&left)), None, "another file");
}

#[test]
fn what_a_run_removed_and_did_not_leave_is_told_apart() {
    let world = World::new(NOON);
    let removed = Subject { kind: ChangeKind::Removed, ..world.subject() };
    let left = part(Some(bytes(7)), &[]);
    for (said, after, expect) in [
        (("gone", ItemValue::Flag(true)), None, true),
        // It is back: the run did not leave it so.
        (("gone", ItemValue::Flag(false)), None, false),
        (("gone", ItemValue::Flag(true)), Some(&left), false),
        // What the report does not tell, nobody knows.
        (("file", ItemValue::Nothing), Some(&left), false),
        (("file", ItemValue::Flag(false)), Some(&left), false),
    ] {
        let (what, value) = said;
        let runs = told("puppet", &run(&[(&[what, "/etc/sip.conf"], value)], "success"));
        let explained = matches!(runs.explain(&removed, after), Some(Verdict::Explained(_)));
        assert_eq!(explained, expect, "{what} {after:?}");
    }
}

#[test]
fn several_readings_of_a_run_are_one_and_what_was_so_once_was_so() {
    let file: &[&str] = &["file", "/etc/sip.conf"];
    let mut runs = told("puppet", &run(&[(file, ItemValue::Fingerprint(bytes(7)))], "success"));
    let later = run(&[(file, ItemValue::Flag(false))], "success");
    let later: Vec<(&[&str], ItemValue)> =
        later.iter().map(|(names, value)| (names.as_slice(), value.clone())).collect();
    runs.add(&"puppet".parse().unwrap(), &part(None, &later), SignedDuration::ZERO);
    let world = World::new(NOON);
    let left = part(Some(bytes(7)), &[]);
    assert!(verdict(&runs, &world.subject(), Some(&left)).unwrap().starts_with("Run puppet"));
    let edited = part(Some(bytes(8)), &[]);
    let beside = verdict(&runs, &world.subject(), Some(&edited));
    assert_eq!(beside.as_deref(), Some("by hand beside puppet"));
    // A log that was not read tells of nothing.
    let blind = Part::Unobserved(driftline_protocol::snapshot::Reason::Denied);
    let mut none = Runs::default();
    none.add(&"puppet".parse().unwrap(), &blind, SignedDuration::ZERO);
    assert!(none.is_empty() && !none.were_at_work(at(NOON)));
}

/// A host whose clock is an hour behind wrote its log by that clock.
#[test]
fn the_clock_of_the_host_wrote_its_log() {
    let said = run(&[(&["file", "/etc/sip.conf"], ItemValue::Fingerprint(bytes(7)))], "success");
    let said: Vec<(&[&str], ItemValue)> =
        said.iter().map(|(names, value)| (names.as_slice(), value.clone())).collect();
    let left = part(Some(bytes(7)), &[]);
    for (skew, expect) in [(0, false), (60, true)] {
        let mut runs = Runs::default();
        runs.add(&"puppet".parse().unwrap(), &part(None, &said), minutes(skew));
        let world = World { at: at(NOON) + minutes(45), ..World::new(NOON) };
        assert_eq!(verdict(&runs, &world.subject(), Some(&left)).is_some(), expect, "{skew}");
    }
}

#[test]
fn accounts_units_and_packages_are_a_runs_that_names_them() {
    let flag = ItemValue::Flag(true);
    let said = run(
        &[
            (&["user", "ada"], flag.clone()),
            (&["group", "voice"], flag.clone()),
            (&["service", "ssh"], flag.clone()),
            (&["package", "hello"], flag.clone()),
        ],
        "success",
    );
    let runs = told("puppet", &said);
    for (source, part, key, expect) in [
        ("accounts", "passwd", &["ada", "shell"][..], true),
        ("accounts", "passwd", &["bob", "shell"], false),
        ("accounts", "shadow", &["ada", "hash"], true),
        ("accounts", "group", &["voice", "members"], true),
        ("accounts", "group", &["ada", "number"], true),
        ("accounts", "group", &["sudo", "members"], false),
        ("accounts", "sudoers", &["ada"], false),
        ("services", "ssh.service", &["enablement"], true),
        ("services", "ssh.service", &["wanted_by"], true),
        ("services", "ssh.service", &["ExecStart"], false),
        ("services", "cron.service", &["enablement"], false),
        ("files", "/etc/systemd/system/multi-user.target.wants/ssh.service", &["x"], true),
        ("files", "/etc/systemd/system/ssh.service", &["x"], false),
        ("packages", "dpkg", &["hello:amd64", "version"], true),
        ("packages", "rpm", &["hello.x86_64", "version"], true),
        ("packages", "dpkg", &["hello-data:all", "version"], false),
        ("packages", "programs", &["hello", "version"], false),
    ] {
        let world = World {
            source: source.parse().unwrap(),
            part: part.parse().unwrap(),
            key: ItemKey::of(key),
            ..World::new(NOON)
        };
        let left = self::part(Some(bytes(7)), &[]);
        // What an account that is there became is nobody's by its name alone.
        for kind in [ChangeKind::Added, ChangeKind::Modified] {
            let subject = Subject { kind, ..world.subject() };
            let explained = verdict(&runs, &subject, Some(&left)).is_some();
            let named_alone = source == "accounts" || source == "files";
            let expect = expect && (!named_alone || kind == ChangeKind::Added);
            assert_eq!(explained, expect, "{source} {part} {key:?} {kind:?}");
        }
    }
}

#[test]
fn a_unit_that_is_masked_beside_a_run_is_a_hands() {
    let runs = told("puppet", &run(&[(&["service", "ssh"], ItemValue::Flag(true))], "success"));
    let world = World {
        source: "services".parse().unwrap(),
        part: "ssh.service".parse().unwrap(),
        key: ItemKey::of(["enablement"]),
        ..World::new(NOON)
    };
    for (state, expect) in [("enabled", true), ("disabled", true), ("masked", false)] {
        let mut after = part(Some(bytes(7)), &[]);
        let Part::Observed(observed) = &mut after else { panic!("it was observed") };
        let item = Item { value: ItemValue::text(state), rank: None };
        observed.items.insert(world.key.clone(), item);
        let explained = verdict(&runs, &world.subject(), Some(&after)).is_some();
        assert_eq!(explained, expect, "{state}");
    }
}

#[test]
fn a_run_lasts_no_longer_than_one_is_waited_for() {
    let ended = ItemValue::text("9999-01-01T00:00:00Z");
    let mut said = run(&[(&["user", "ada"], ItemValue::Flag(true))], "success");
    said.retain(|(names, _)| names.as_slice() != ["7", "ended"]);
    said.push((vec!["7", "ended"], ended));
    let runs = told("puppet", &said);
    let stretches: Vec<_> = runs.stretches().collect();
    let [(from, to)] = stretches[..] else { panic!("one run: {stretches:?}") };
    assert!(to.duration_since(from) < LONGEST + TOGETHER + minutes(2), "{from} to {to}");
}

#[test]
fn a_package_that_came_is_routine_where_its_log_says_that_nobody_decided() {
    let came = |name: &str, more: &[(&[&str], ItemValue)], result: &str, kind: ChangeKind| {
        let tool = if name.contains(':') { "apt" } else { "dnf" };
        let runs = told(tool, &run(more, result));
        let world = World {
            source: "packages".parse().unwrap(),
            part: if tool == "apt" { "dpkg" } else { "rpm" }.parse().unwrap(),
            key: ItemKey::of([name, "version"]),
            ..World::new(NOON)
        };
        verdict(&runs, &Subject { kind, ..world.subject() }, None)
    };
    let installed: (&[&str], _) = (&["installed", "nmap:amd64"], text("7.93"));
    let removed: (&[&str], _) = (&["removed", "nmap:amd64"], text("7.93"));
    let automatic: (&[&str], _) = (&["automatic", "nmap:amd64"], ItemValue::Flag(true));
    let by = |command: &str| -> (&[&str], ItemValue) { (&["command"], text(command)) };
    let hand = by("apt install nmap");
    let itself = by("/usr/bin/unattended-upgrade");
    use ChangeKind::{Added, Modified, Removed};
    for (more, result, kind, expect) in [
        (vec![installed.clone(), hand.clone()], "success", Added, false),
        (vec![installed.clone(), automatic.clone(), hand.clone()], "success", Added, true),
        (vec![installed.clone(), itself.clone()], "success", Added, true),
        (vec![removed.clone(), itself.clone()], "success", Removed, true),
        (vec![removed.clone(), automatic.clone(), hand], "success", Removed, false),
        // It says that another thing happened, or that it did not end well, or not at all yet.
        (vec![removed, itself.clone()], "success", Added, false),
        (vec![installed.clone(), itself.clone()], "success", Modified, false),
        (vec![installed.clone(), automatic.clone()], "failed", Added, false),
        (vec![installed.clone(), automatic.clone()], "unfinished", Added, false),
        (vec![installed.clone(), by("sh /tmp/unattended-upgrade")], "success", Added, false),
        (vec![automatic], "success", Added, false),
    ] {
        let said = came("nmap:amd64", &more, result, kind);
        assert_eq!(said.is_some(), expect, "{more:?} {result} {kind:?}");
    }
    // apt names what is for all architectures by the host's own.
    let more = [installed, itself];
    let said = came("nmap:all", &more, "success", Added).unwrap();
    assert_eq!(said, "Package apt, 2026-11-28 11:00 UTC: unattended-upgrade");
    assert_eq!(came("nmap:i386", &more, "success", Added), None);
    let dnf5: [(&[&str], _); 2] =
        [(&["removed", "nmap.x86_64"], text("7.92-1")), by("dnf5 automatic --timer")];
    assert!(came("nmap.x86_64", &dnf5, "success", Removed).is_some());
    assert_eq!(came("nmap.i686", &dnf5, "success", Removed), None);
}

#[test]
fn who_asked_is_evidence() {
    let long = format!("apt install {}", "x".repeat(300));
    for (more, expect) in [
        (
            vec![("asked_by", "ada"), ("command", "apt install nginx")],
            ": ada by `apt install nginx`",
        ),
        (vec![("command", "/usr/bin/unattended-upgrade")], ": unattended-upgrade"),
        (vec![("asked_by", "ada")], ": ada"),
        (vec![], ""),
    ] {
        let more: Vec<([&str; 1], ItemValue)> =
            more.into_iter().map(|(name, value)| ([name], text(value))).collect();
        let more: Vec<(&[&str], ItemValue)> =
            more.iter().map(|(name, value)| (&name[..], value.clone())).collect();
        let upgraded: (&[&str], _) = (&["upgraded", "nginx:amd64"], text("1 to 2"));
        let runs = told("apt", &run(&[more, vec![upgraded]].concat(), "success"));
        let said = runs.evidence(at(NOON), ("dpkg", "nginx:amd64"));
        assert_eq!(said.unwrap(), format!("apt, 2026-11-28 11:00 UTC{expect}"));
        assert_eq!(runs.evidence(at(NOON), ("rpm", "nginx:amd64")), None);
        assert_eq!(runs.evidence(at(NOON), ("dpkg", "apache2:amd64")), None);
        assert_eq!(runs.evidence(at(NOON) + minutes(16), ("dpkg", "nginx:amd64")), None);
    }
    let installed: (&[&str], _) = (&["installed", "x:amd64"], text("1"));
    let runs = told("apt", &run(&[installed, (&["command"], text(&long))], "success"));
    let said = runs.evidence(at(NOON), ("dpkg", "x:amd64")).unwrap();
    assert!(said.len() < 220 && said.ends_with("x…`"), "{said}");
}

#[test]
fn of_a_host_that_tells_very_much_no_more_than_a_bound_is_held() {
    let mut runs = Runs::default();
    for reading in 0..30 {
        let items = (0..5_000).map(|number| {
            let key = ItemKey::momentary(["run", "7", "file", &format!("/etc/{reading}/{number}")]);
            (key, Item { value: ItemValue::Flag(false), rank: None })
        });
        let began = (ItemKey::momentary(["run", "7", "began"]), item(NOON));
        let said = part(None, &[]);
        let Part::Observed(mut said) = said else { unreachable!() };
        said.items = items.chain([began]).collect();
        runs.add(&"puppet".parse().unwrap(), &Part::Observed(said), SignedDuration::ZERO);
    }
    let left = part(Some(bytes(7)), &[]);
    let named = |reading: usize| {
        let part = format!("/etc/{reading}/1").parse().unwrap();
        let world = World { part, ..World::new(NOON) };
        runs.explain(&world.subject(), Some(&left)).is_some()
    };
    assert!(named(0) && named(18) && !named(20) && !named(29));
}

proptest! {
    /// Whatever a host says of its runs, in any order, is taken or left, and never more than is
    /// held.
    #[test]
    fn whatever_a_host_tells_is_held_within_bounds(
        said in proptest::collection::vec(
            (proptest::collection::vec("[a-z7/~]{0,6}", 0..4), "[ -~]{0,12}"), 0..40),
        began in "[0-9TZ:.-]{0,24}",
    ) {
        let mut said: Vec<(Vec<&str>, ItemValue)> = said
            .iter()
            .map(|(names, value)| (names.iter().map(String::as_str).collect(), text(value)))
            .collect();
        said.push((vec!["7", "began"], text(&began)));
        let runs = told("puppet", &said);
        let world = World::new(NOON);
        runs.explain(&world.subject(), None);
        prop_assert!(runs.stretches().all(|(from, to)| from <= to));
        prop_assert!(runs.stretches().count() <= said.len());
    }
}
