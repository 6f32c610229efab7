//! Whether we and systemd say the same of the same units, and the row of the shared check.

use std::collections::BTreeSet;

use driftline_protocol::ids::Digest;
use driftline_protocol::redact::{RawObserved, Redactor};

use super::*;
use crate::sources::Receipt;
use crate::sources::check::{Broken, Denied, Fixture};
use crate::sources::oracle::asked;

const APP: &str = "\
[Unit]
After=network.target
[Service]
ExecStart=/bin/app
Environment=\"API_TOKEN=canary-5e20\"
[Install]
WantedBy=multi-user.target
Alias=application.service
";

const TREE: &[(&str, u32, &str)] = &[
    ("/usr/lib/systemd/system/app.service", 0o644, APP),
    ("/usr/lib/systemd/system/app.service.d/20-b.conf", 0o644, "[Service]\nUser=vendor\n"),
    ("/etc/systemd/system/app.service.d/20-b.conf", 0o644, "[Service]\nUser=app\n"),
    (
        "/etc/systemd/system/app.service.d/30-c.conf",
        0o644,
        "[Service]\nExecStart=\nExecStart=/bin/c\n",
    ),
    ("/etc/systemd/system/service.d/10-all.conf", 0o644, "[Service]\nUser=all\nNice=5\n"),
    ("/etc/systemd/system/service.d/30-c.conf", 0o644, "[Service]\nNice=9\n"),
    (
        "/etc/systemd/system/multi-user.target.wants/app.service",
        0,
        "-> /usr/lib/systemd/system/app.service",
    ),
    ("/etc/systemd/system/application.service", 0, "-> /usr/lib/systemd/system/app.service"),
    ("/etc/systemd/system/gone.service", 0, "-> /dev/null"),
    ("/etc/systemd/system/lost.service", 0, "-> /usr/lib/systemd/system/never.service"),
    ("/usr/lib/systemd/system/gone.service", 0o644, "[Service]\nExecStart=/bin/gone\n"),
    (
        "/usr/lib/systemd/system/idle.service",
        0o644,
        "[Service]\nExecStart=/bin/i\n[Install]\nWantedBy=x.target\n",
    ),
    ("/usr/lib/systemd/system/plain-job.service", 0o644, "[Service]\nExecStart=/bin/p\n"),
    ("/run/systemd/system/plain-.service.d/1.conf", 0o644, "[Service]\nUser=prefix\n"),
    (
        "/usr/lib/systemd/system/tty@.service",
        0o644,
        "[Service]\nExecStart=/bin/t\n[Install]\nWantedBy=x.target\n",
    ),
    (
        "/etc/systemd/system/x.target.wants/tty@1.service",
        0,
        "-> /usr/lib/systemd/system/tty@.service",
    ),
    (
        "/usr/lib/systemd/system/also.service",
        0o644,
        "[Service]\nExecStart=/bin/a\n[Install]\nAlso=app.service\n",
    ),
    ("/usr/lib/systemd/system/x.target", 0o644, "[Unit]\nDescription=X\n"),
];

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Services::new()),
        recast: || Box::new(Services { version: VERSION + 1, ..Services::new() }),
        tree: TREE.to_vec(),
        malformed: Some(Broken {
            path: "/etc/systemd/system/app.service.d/30-c.conf",
            content: "[Service\n",
            part: "app.service",
        }),
        denied: Denied { path: "/etc/systemd/system/app.service.d", part: "app.service" },
        edit: ("/etc/systemd/system/x.target.wants/idle.service", "-> ../idle.service"),
        canary: Some("canary-5e20"),
    }
}

/// What a source said of each unit.
#[derive(Default)]
struct Units(BTreeMap<String, RawPart>);

impl Sink for Units {
    fn seen(&mut self, part: PartName, raw: RawPart) -> Receipt {
        self.0.insert(part.as_str().to_owned(), raw);
        Receipt::of(Digest([0; 32]), None)
    }
    fn same(&mut self, part: &PartName, _: &Receipt) -> Carry {
        panic!("{part} was never seen");
    }
    fn blind(&mut self, place: &PartName, reason: Reason) {
        panic!("{place} is {reason}");
    }
}

fn units(root: &Path) -> Units {
    let machine = Machine::open(root, Redactor::new([1; 32])).unwrap();
    let mut units = Units::default();
    Services::new().read(&machine, &mut units).unwrap();
    units
}

impl Units {
    fn value(&self, unit: &str, key: &str) -> Option<String> {
        let part = self.0.get(PartName::from_bytes(unit.as_bytes()).as_str())?;
        let RawPart::Observed(RawObserved { items, .. }) = part else { return None };
        let item = items.iter().find(|(found, _)| found.as_str() == key)?.1;
        if let ItemValue::Text(text) = &item.value {
            return Some(text.clone());
        }
        Some(serde_json::to_string(&item.value).unwrap())
    }
}

fn planted() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, _, content) in TREE {
        let path = root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content.strip_prefix("-> ") {
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            None => std::fs::write(path, content).unwrap(),
        }
    }
    root
}

#[test]
fn drop_ins_add_up_in_the_order_systemd_reads_them() {
    let root = planted();
    let units = units(root.path());
    for (unit, key, expect) in [
        ("app.service", "Service/User", Some("app")),
        ("app.service", "Service/Nice", Some("5")),
        ("app.service", "Service/ExecStart", Some(r#"{"list":[{"text":"/bin/c"}]}"#)),
        ("app.service", "wanted_by", Some(r#"{"set":[{"text":"multi-user.target.wants"}]}"#)),
        ("application.service", "alias", Some("app.service")),
        ("lost.service", "enablement", Some("bad")),
        ("plain-job.service", "Service/User", Some("all")),
        ("tty@.service", "instances", Some(r#"{"set":[{"text":"tty@1.service"}]}"#)),
        ("gone.service", "Service/ExecStart", None),
    ] {
        assert_eq!(units.value(unit, key).as_deref(), expect, "{unit} {key}");
    }
}

/// Compares every unit's state with what systemctl lists for `root`.
fn agrees_with_systemctl(root: &Path) {
    let root_of = format!("--root={}", root.display());
    let words = ["systemctl", &root_of, "list-unit-files", "--no-legend", "--no-pager"];
    let Some(listed) = asked(&words) else { return };
    let theirs: BTreeMap<&str, &str> = listed
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            Some((words.next()?, words.next()?))
        })
        .filter(|(_, state)| !matches!(*state, "generated" | "transient"))
        .collect();
    assert!(!theirs.is_empty(), "systemctl lists nothing");
    let units = units(root);
    let state = |name: &&str| units.value(name, "enablement");
    let differing: BTreeSet<String> = theirs
        .iter()
        .filter(|(name, theirs)| state(name).as_deref() != Some(**theirs))
        .map(|(name, theirs)| format!("{name}: systemctl {theirs}, we {:?}", state(name)))
        .collect();
    assert_eq!(differing, BTreeSet::new());
    let named = |name: &str| PartName::from_bytes(name.as_bytes()).as_str().to_owned();
    let known: BTreeSet<String> = theirs.keys().map(|name| named(name)).collect();
    let unknown = units.0.keys().filter(|name| !known.contains(*name));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&String>::new(), "units systemctl does not list");
}

#[test]
fn enablement_is_what_systemctl_says_of_a_tree() {
    agrees_with_systemctl(planted().path());
}

#[test]
fn enablement_is_what_systemctl_says_of_this_machine() {
    agrees_with_systemctl(Path::new("/"));
}
