//! What the system says of itself, and the row of the shared check.

use super::*;
use crate::sources::check::{Broken, Denied, Fixture, machine_at};
use crate::sources::oracle::{asked, shown};

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Os::new()),
        recast: || Box::new(Os { version: VERSION + 1 }),
        tree: vec![
            ("/usr/lib/os-release", 0o644, "# Debian\nID=debian\nPRETTY_NAME=\"Debian 12\"\n"),
            ("/etc/os-release", 0, "-> ../usr/lib/os-release"),
            ("/proc/sys/kernel/osrelease", 0o444, "6.1.0-18-amd64\n"),
            ("/proc/sys/kernel/arch", 0o444, "x86_64\n"),
            ("/proc/meminfo", 0o444, "MemTotal:        2028964 kB\nMemFree: 1 kB\n"),
            ("/sys/devices/system/cpu/present", 0o444, "0-1\n"),
            ("/etc/hostname", 0o644, "sbc1\n"),
            ("/etc/machine-id", 0o444, "canary0123456789canary0123456789\n"),
        ],
        malformed: Some(Broken { path: "/usr/lib/os-release", content: "ID\n", part: "release" }),
        denied: Denied { path: MACHINE_ID, part: "identity" },
        edit: (HOSTNAME, "sbc2\n"),
        canary: Some("canary0123456789"),
    }
}

#[test]
fn free_memory_is_no_change() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("proc")).unwrap();
    let parts = ["1", "2"].map(|free| {
        let text = format!("MemTotal: 2028964 kB\nMemFree: {free} kB\n");
        std::fs::write(root.path().join("proc/meminfo"), text).unwrap();
        let redactor = driftline_protocol::redact::Redactor::new([1; 32]);
        let machine = Machine::open(root.path(), redactor).unwrap();
        let mut look = Look::new(&machine);
        let Ok(Some(items)) = hardware(&mut look, &machine) else { panic!("no hardware") };
        look.without_bytes();
        look.part(reading("os", 1), Ok(items))
    });
    assert_eq!(parts[0], parts[1]);
}

#[test]
fn processors_are_counted_from_their_ranges() {
    for (list, expect) in
        [("0", Some(1)), ("0-3,8", Some(5)), ("", None), ("3-1", None), ("a-b", None)]
    {
        assert_eq!(processors(list), expect, "{list}");
    }
}

#[test]
fn memory_is_told_in_steps_that_survive_a_boot() {
    for (total, expect) in
        [("2028964 kB", Some(1_984)), ("2031000 kB", Some(1_984)), ("2 GB", None)]
    {
        assert_eq!(memory_mib(&format!("MemTotal: {total}\n")), expect, "{total}");
    }
    assert_eq!(memory_mib(""), None);
}

#[test]
fn quotes_of_os_release_are_no_part_of_a_value() {
    let items = os_release("NAME=\"A b\"\nID='x'\n\n# no\nEMPTY=\n").unwrap();
    let shown: Vec<_> =
        items.iter().map(|(key, item)| (key.as_str(), item.value.clone())).collect();
    let text = |text: &str| ItemValue::text(text);
    assert_eq!(shown, [("empty", text("")), ("id", text("x")), ("name", text("A b"))]);
}

/// Texts that a shell can read (os-release(5) says that it may).
const TEXTS: &[&str] = &[
    "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID='12'\nEMPTY=\nNONE=\"\"\n# no\n",
    "A=\"a \\\"b\\\" \\$c \\\\ \\` \\x \\'\"\nB='a \\ \"b\" $c `'\nC=a\\ b\\$c\\\\d\\\"e\n",
    "A=\"x'y\"\nB='x\"y'\nC=\"=#;&|\"\nD=a#b=c\nE=\"\u{e4}\u{2013} \u{1f980}\"\n",
    "ID=first\n\n  ID=second\nHOME_URL=\"https://example.org/?a=b&c=%20\"\n\tX=y \n",
    "A=\"\\\\\\\\\"\nB=\"a\\\\\"\nC='\\\\'\nD=\\\\\n",
];

/// Holds each field of an os-release against what a shell has when it has read it.
fn shell_agrees(path: &Path) -> usize {
    let script = "set -a; . \"$1\"; env -0";
    let words = ["env", "-i", "sh", "-c", script, "sh", &path.display().to_string()];
    let Some(said) = asked(&words) else { return 0 };
    let assignments = said.split('\0').filter_map(|line| line.split_once('='));
    // What a shell brings along.
    let own = ["PWD", "OLDPWD", "SHLVL", "_"];
    let theirs: Vec<(String, String)> = assignments
        .filter(|(name, _)| !own.contains(name))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let text = std::fs::read_to_string(path).unwrap();
    let mut theirs = theirs;
    theirs.sort();
    let items = os_release(&text).unwrap();
    let ours: Vec<(String, String)> =
        items.iter().map(|(key, item)| (key.as_str().to_owned(), shown(&item.value))).collect();
    assert_eq!(ours, theirs, "{text}");
    ours.len()
}

#[test]
fn a_shell_reads_every_release_as_we_do() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut compared = 0;
    for text in TEXTS {
        std::fs::write(file.path(), text).unwrap();
        compared += shell_agrees(file.path());
    }
    assert!(compared == 0 || compared >= 20, "{compared}");
    if Path::new(RELEASE[0]).is_file() {
        shell_agrees(Path::new(RELEASE[0]));
    }
}

/// Of this machine: `uname -rm`, `lscpu` and `free`.
#[test]
fn programs_show_this_machine_as_we_do() {
    let machine = machine_at(Path::new("/"));
    let of = |read: Reader, names: &[&str]| -> Vec<String> {
        let Ok(Some(items)) = read(&mut Look::new(&machine), &machine) else { panic!("no items") };
        let value = |name: &&str| shown(&items.get(&ItemKey::of([name])).unwrap().value);
        names.iter().map(value).collect()
    };
    if let Some(said) = asked(&["uname", "-rm"]) {
        assert_eq!(of(kernel, &["release", "architecture"]).join(" "), said.trim());
    }
    if let Some(said) = asked(&["lscpu", "--all", "--parse=CPU"]) {
        let count = said.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(of(hardware, &["processors"]), [count.to_string()]);
    }
    if let Some(said) = asked(&["free", "--kibi"]) {
        let total = said.lines().find_map(|line| line.strip_prefix("Mem:")).unwrap();
        let kibi: i64 = total.split_whitespace().next().unwrap().parse().unwrap();
        let ours: i64 = of(hardware, &["memory_mib"])[0].parse().unwrap();
        let more = ours * 1_024 - kibi;
        assert!((0..(MEMORY_STEP_MIB + 1) * 1_024).contains(&more), "{ours} MiB of {kibi} KiB");
    }
}
