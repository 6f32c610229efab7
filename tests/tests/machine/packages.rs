//! A package installed, removed and purged: exactly the changes that dpkg, the tables and `stat`
//! say, each with its meaning.
//!
//! The package is the test's own, built with `dpkg-deb`: a conffile, a plain file in `/etc`'s
//! neighbourhood, a unit, and a user made by its maintainer script. dpkg works on a tree of the
//! test's own that the agent sees in the place of the machine.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use driftline_tests::process::run;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::Value;

use super::pair::{Pair, Who};

const CONTROL: &str = "Package: judge-daemon\nVersion: 1.2-3\nArchitecture: all\n\
    Maintainer: Judge <judge@example.org>\nDescription: a daemon to be judged\n";

const UNIT: &str = "[Unit]\nDescription=Judged\n[Service]\nExecStart=/usr/sbin/judge\n\
    User=_judge\n[Install]\nWantedBy=multi-user.target\n";

/// Makes the user and enables the unit, as adduser and deb-systemd-helper would.
const POSTINST: &str = "#!/bin/sh\nset -e\n[ \"$1\" = configure ] || exit 0\n\
    grep -q ^_judge: \"$DPKG_ROOT/etc/passwd\" || {\n\
    echo '_judge:x:990:990::/nonexistent:/usr/sbin/nologin' >> \"$DPKG_ROOT/etc/passwd\"\n\
    echo '_judge:x:990:' >> \"$DPKG_ROOT/etc/group\"\n}\n\
    mkdir -p \"$DPKG_ROOT/etc/systemd/system/multi-user.target.wants\"\n\
    ln -sf /usr/lib/systemd/system/judge.service \\\n\
    \"$DPKG_ROOT/etc/systemd/system/multi-user.target.wants/judge.service\"\n";

/// Disables the unit on removal, and takes the user along on purge.
const POSTRM: &str = "#!/bin/sh\nset -e\n\
    rm -f \"$DPKG_ROOT/etc/systemd/system/multi-user.target.wants/judge.service\"\n\
    [ \"$1\" = purge ] || exit 0\n\
    sed -i /^_judge:/d \"$DPKG_ROOT/etc/passwd\" \"$DPKG_ROOT/etc/group\"\n";

/// Builds the package below `folder`.
fn build(folder: &Path) -> anyhow::Result<String> {
    let inside = folder.join("package");
    let write = |name: &str, text: &str, mode: &str| -> anyhow::Result<()> {
        let path = inside.join(name);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(&path, text)?;
        run("chmod", &[mode, &path.display().to_string()]).map(drop)
    };
    write("DEBIAN/control", CONTROL, "0644")?;
    write("DEBIAN/conffiles", "/etc/judge/judge.conf\n", "0644")?;
    write("DEBIAN/postinst", POSTINST, "0755")?;
    write("DEBIAN/postrm", POSTRM, "0755")?;
    write("etc/judge/judge.conf", "level = 3\nlisten = 127.0.0.1\n", "0640")?;
    write("usr/lib/systemd/system/judge.service", UNIT, "0644")?;
    write("usr/share/judge/data", "no configuration\n", "0644")?;
    let package = folder.join("judge.deb").display().to_string();
    run("dpkg-deb", &["--root-owner-group", "-b", &inside.display().to_string(), &package])?;
    Ok(package)
}

/// A tree as small as dpkg allows.
fn small_root(tree: &Path) -> anyhow::Result<()> {
    for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "usr/lib/systemd/system"] {
        std::fs::create_dir_all(tree.join(folder))?;
    }
    std::fs::create_dir_all(tree.join("etc/systemd/system"))?;
    for table in ["status", "available"] {
        std::fs::write(tree.join("var/lib/dpkg").join(table), "")?;
    }
    std::fs::write(tree.join("etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n")?;
    std::fs::write(tree.join("etc/group"), "root:x:0:\n")?;
    Ok(())
}

fn dpkg(pair: &Pair, words: &[&str]) -> anyhow::Result<()> {
    let root = format!("--root={}", pair.tree().display());
    let log = format!("--log={}", pair.path("dpkg.log").display());
    let fixed = [root.as_str(), &log, "--force-script-chrootless", "--force-depends"];
    run("dpkg", &[&fixed, words].concat()).map(drop)
}

/// One change, as far as a test tells them apart: source, kind, part, key.
type Row = (String, String, String, String);

fn row(change: &Value) -> Row {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let inner = &change["change"];
    (text(&change["source"]), text(&inner["kind"]), text(&inner["part"]), text(&inner["key"]))
}

/// The changes after `act`, once nothing has moved for a while. Packages are told last: while dpkg
/// holds its lock they are not read, and a busy machine takes its time to look again.
fn after(pair: &Pair, act: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Vec<Value>> {
    let before = pair.changes()?.len();
    act()?;
    let (mut last, mut same) = (0, 0);
    wait::until("dpkg's changes settle", PATIENCE, || {
        wait::while_quiet(std::time::Duration::from_millis(500), || Ok(None))?;
        let changes = pair.changes()?;
        let fresh = changes.get(before..).unwrap_or_default();
        let told = fresh.iter().any(|change| row(change).0 == "packages");
        let now = changes.len();
        same = if now == last && told { same + 1 } else { 0 };
        last = now;
        Ok((same >= 6).then_some(()))
    })?;
    Ok(pair.changes()?.split_off(before))
}

/// Every change is explained by one of `allowed` (source, kind, beginning of part, beginning of
/// key), and each of these explains at least one.
fn explained(step: &str, changes: &[Value], allowed: &[[&str; 4]]) {
    let mut used: BTreeSet<&[&str; 4]> = BTreeSet::new();
    let mut strange = Vec::new();
    for change in changes {
        let (source, kind, part, key) = row(change);
        let matches = |rule: &&[&str; 4]| {
            rule[0] == source
                && rule[1] == kind
                && part.starts_with(rule[2])
                && key.starts_with(rule[3])
        };
        let found: Vec<&[&str; 4]> = allowed.iter().filter(matches).collect();
        if found.is_empty() {
            strange.push((source, kind, part, key));
        }
        used.extend(found);
    }
    let missing: Vec<_> = allowed.iter().filter(|rule| !used.contains(rule)).collect();
    let all: Vec<Row> = changes.iter().map(row).collect();
    assert!(strange.is_empty(), "{step}: nobody did {strange:?}");
    assert!(missing.is_empty(), "{step}: nobody told {missing:?}, only {all:?}");
}

const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

#[test]
fn a_package_comes_and_goes_with_exactly_its_changes() -> anyhow::Result<()> {
    if !super::is_root("packages")? {
        return Ok(());
    }
    let mut pair = Pair::new()?;
    small_root(&pair.tree())?;
    pair.binds = vec!["etc", "var/lib/dpkg", "usr/lib/systemd"];
    pair.configure_agent("\"files\", \"packages\", \"services\", \"accounts\"")?;
    std::fs::write(pair.tree().join("etc/first.conf"), "first = marker-first\n")?;
    pair.start(Who::Collector)?;
    pair.start(Who::Agent)?;
    pair.wait_for("marker-first")?;
    let package = build(&pair.path("."))?;

    let changes = after(&pair, || dpkg(&pair, &["-i", &package]))?;
    explained(
        "install",
        &changes,
        &[
            ["packages", "added", "dpkg", "judge-daemon"],
            ["files", "added", "/etc/judge", "@"],
            ["files", "added", "/etc/judge/judge.conf", "lines"],
            ["files", "added", "/etc/judge/judge.conf", "@mode"],
            ["files", "added", "/etc/judge/judge.conf", ""],
            ["files", "added", WANTS, "@"],
            ["services", "added", "judge.service", "Service"],
            ["services", "added", "judge.service", ""],
            ["accounts", "added", "passwd", "_judge"],
            ["accounts", "added", "group", "_judge"],
            ["files", "added", "/etc/passwd", "_judge"],
            ["files", "added", "/etc/group", "_judge"],
        ],
    );
    let listed =
        run("dpkg", &[&format!("--root={}", pair.tree().display()), "-L", "judge-daemon"])?;
    let told: BTreeSet<String> = changes.iter().map(|change| row(change).2).collect();
    for path in listed.lines().filter(|path| path.starts_with("/etc/")) {
        assert!(told.contains(path), "dpkg -L says {path}, nobody told");
    }
    assert!(!told.iter().any(|part| part.contains("/usr/share/judge")), "{told:?}");

    let changes = after(&pair, || dpkg(&pair, &["-r", "judge-daemon"]))?;
    explained(
        "remove",
        &changes,
        &[
            ["packages", "added", "dpkg", "judge-daemon"],
            ["files", "removed", &format!("{WANTS}/judge.service"), "@"],
            ["services", "removed", "judge.service", ""],
        ],
    );

    let changes = after(&pair, || dpkg(&pair, &["-P", "judge-daemon"]))?;
    explained(
        "purge",
        &changes,
        &[
            ["packages", "removed", "dpkg", "judge-daemon"],
            ["files", "removed", "/etc/judge", ""],
            ["files", "removed", "/etc/judge/judge.conf", "lines"],
            ["accounts", "removed", "passwd", "_judge"],
            ["accounts", "removed", "group", "_judge"],
            ["files", "removed", "/etc/passwd", "_judge"],
            ["files", "removed", "/etc/group", "_judge"],
        ],
    );
    pair.balanced()
}
