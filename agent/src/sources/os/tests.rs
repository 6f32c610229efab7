//! What the system says of itself, and the row of the shared check.

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

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
        let scope = scope_digest([""; 0]);
        look.part(Reading { parser: "os".into(), version: 1, scope }, Ok(items))
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
