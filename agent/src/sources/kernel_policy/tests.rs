//! What the kernel is told and does, compared with `sysctl` and `findmnt`, and the row of the
//! shared check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use driftline_protocol::ids::PartName;
use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::{RawItems, RawPart, Redactor};

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};
use crate::sources::look::Look;
use crate::sources::oracle::said;
use crate::sources::table::Trouble;
use crate::sources::{Carry, Receipt};

const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
23 22 8:2 / /srv/my\\040data rw,nosuid - xfs /dev/sda2 rw
24 22 0:5 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw,size=100k,inode64
25 22 0:6 / /run/user/1000 rw - tmpfs tmpfs rw
";

const FSTAB: &str = "\
UUID=1 / ext4 errors=remount-ro 0 1
/dev/sda2 /srv/my\\040data xfs nosuid 0 0
tmpfs /tmp tmpfs nosuid,nodev 0 0
/dev/sdb1 /gone ext4 defaults 0 2
/dev/sdc1 /media/stick vfat noauto 0 0
UUID=2 none swap sw 0 0
";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(KernelPolicy::new()),
        recast: || Box::new(KernelPolicy { version: VERSION + 1, ..KernelPolicy::new() }),
        tree: vec![
            ("/etc/sysctl.d/10-site.conf", 0o644, "kernel.sysrq = 0\n-net/ipv4/ip_forward = 0\n"),
            ("/usr/lib/sysctl.d/50-default.conf", 0o644, "kernel.sysrq = 16\n"),
            ("/proc/sys/kernel/sysrq", 0o644, "16\n"),
            ("/proc/sys/net/ipv4/ip_forward", 0o644, "0\n"),
            ("/etc/modules-load.d/a.conf", 0o644, "br_netfilter\nloop max_loop=8\n"),
            (
                "/etc/modprobe.d/b.conf",
                0o644,
                "blacklist usb-storage\noptions snd index=0 \\\n x=1\n",
            ),
            (
                "/proc/modules",
                0o444,
                "br_netfilter 32768 0 - Live 0x0\nusb_storage 1 0 - Live 0x0\n",
            ),
            ("/proc/1/mountinfo", 0o444, MOUNTS),
            ("/etc/fstab", 0o644, FSTAB),
            ("/sys/kernel/security/lsm", 0o444, "lockdown,capability,apparmor"),
            ("/sys/kernel/security/lockdown", 0o444, "none [integrity] confidentiality\n"),
            ("/sys/module/apparmor/parameters/enabled", 0o444, "Y\n"),
            (
                "/proc/cmdline",
                0o444,
                "BOOT_IMAGE=/vmlinuz-6.1 root=/dev/sda1 quiet console=tty0 console=ttyS0 \
                 rd.password=canary-90c2 x=\"a b\"\n",
            ),
        ],
        malformed: Some(Broken {
            path: "/proc/1/mountinfo",
            content: "no table\n",
            part: "mounts",
        }),
        denied: Denied { path: "/proc/sys/kernel/sysrq", part: "/proc/sys/kernel/sysrq" },
        edit: ("/etc/sysctl.d/20-new.conf", "kernel.sysrq = 1\n"),
        canary: Some("canary-90c2"),
    }
}

/// A tree with the files of the fixture and these.
fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
    let root = tempfile::tempdir().unwrap();
    let own = fixture().tree;
    let all = own.iter().map(|(path, _, text)| (*path, *text)).chain(files.iter().copied());
    for (path, text) in all {
        let path = root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    (root, machine)
}

type Reader = fn(&mut Look<'_>) -> Result<Option<RawItems>, Trouble>;

#[track_caller]
fn check(files: &[(&str, &str)], read: Reader, expect: &[&str]) {
    let (_root, machine) = machine(files);
    let items = read(&mut Look::new(&machine)).unwrap().unwrap_or_default();
    assert_eq!(shown(&items), expect);
}

fn shown(items: &RawItems) -> Vec<String> {
    let rank = |rank: Option<u32>| rank.map(|rank| format!(" [{rank}]")).unwrap_or_default();
    items
        .iter()
        .map(|(key, item)| format!("{key} = {}{}", value(&item.value), rank(item.rank)))
        .collect()
}

fn value(value: &ItemValue) -> String {
    let all = |values: Vec<String>| values.join(",");
    match value {
        ItemValue::Nothing => "-".to_owned(),
        ItemValue::Flag(flag) => flag.to_string(),
        ItemValue::Integer(number) => number.to_string(),
        ItemValue::Text(text) => text.clone(),
        ItemValue::List(values) => format!("[{}]", all(values.iter().map(self::value).collect())),
        ItemValue::Set(values) => format!("{{{}}}", all(values.iter().map(self::value).collect())),
        ItemValue::Fingerprint(_) | ItemValue::Lines(_) => panic!("{value:?} says nothing"),
    }
}

#[test]
fn the_last_file_by_name_wins_and_of_one_name_the_first_directory() {
    check(&[], sysctl::configured, &["kernel.sysrq = 16", "net.ipv4.ip_forward = 0"]);
    check(
        &[
            ("/etc/sysctl.d/50-default.conf", "kernel.sysrq = 438\n"),
            ("/etc/sysctl.d/99-x.conf", "net.ipv4.ip_forward=1\nkernel/core_pattern = |a  b\n"),
        ],
        sysctl::configured,
        &["kernel.core_pattern = |a b", "kernel.sysrq = 438", "net.ipv4.ip_forward = 1"],
    );
}

#[test]
fn a_link_to_nothing_takes_a_file_away() {
    let (root, machine) = machine(&[]);
    let link = root.path().join("etc/sysctl.d/50-default.conf");
    std::os::unix::fs::symlink("/dev/null", link).unwrap();
    let items = sysctl::configured(&mut Look::new(&machine)).unwrap().unwrap();
    assert_eq!(shown(&items), ["kernel.sysrq = 0", "net.ipv4.ip_forward = 0"]);
}

#[test]
fn modules_are_loaded_in_order_and_their_options_add_up() {
    check(
        &[("/etc/modprobe.d/c.conf", "# none\noptions snd y=2\ninstall dccp /bin/false\n")],
        modules::configured,
        &[
            "blacklist/usb_storage = -",
            "install/dccp = /bin/false",
            "load/br_netfilter = - [0]",
            "load/loop = max_loop=8 [1]",
            "options/snd = index=0 x=1 y=2",
        ],
    );
    check(
        &[],
        modules::running,
        &["blacklist/usb_storage = true", "load/br_netfilter = true", "load/loop = false"],
    );
}

#[test]
fn only_mounts_that_somebody_configured_are_told() {
    check(
        &[],
        mounts::running,
        &[
            "~1/options = {errors=remount-ro,relatime,rw}",
            "~1/type = ext4",
            "~1gone = false",
            "~1srv~1my\\040data/options = {nosuid,rw}",
            "~1srv~1my\\040data/type = xfs",
            "~1tmp/options = {nodev,nosuid,rw}",
            "~1tmp/type = tmpfs",
        ],
    );
}

#[test]
fn a_command_line_is_its_parameters() {
    check(
        &[],
        boot::running,
        &[
            "console = [tty0,ttyS0]",
            "quiet = -",
            "rd.password = canary-90c2",
            "root = /dev/sda1",
            "x = a b",
        ],
    );
}

#[test]
fn security_modules_keep_their_order() {
    check(
        &[("/etc/selinux/config", "# x\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")],
        security::running,
        &[
            "apparmor = true",
            "lockdown = integrity",
            "modules = [lockdown,capability,apparmor]",
            "selinux_configured = enforcing",
            "selinux_type = targeted",
        ],
    );
}

/// Keeps what a pass says.
#[derive(Default)]
struct Kept(BTreeMap<String, RawPart>);

impl Sink for Kept {
    fn seen(&mut self, part: PartName, raw: RawPart) -> Receipt {
        self.0.insert(part.to_string(), raw);
        Receipt::of(driftline_protocol::ids::Digest([0; 32]), None)
    }

    fn same(&mut self, _: &PartName, _: &Receipt) -> Carry {
        Carry::ReadAgain
    }

    fn blind(&mut self, place: &PartName, reason: Reason) {
        panic!("{place} is blind: {reason}");
    }
}

/// Set where this test program runs again, with a configuration of its own.
const INSIDE: &str = "DRIFTLINE_TEST_CONFIGURES";

/// Each parameter that runs has the value that `sysctl -a` shows, and not the one configured. It
/// leaves out what only writing makes sense for, and prints some parameters on several lines.
#[test]
#[allow(clippy::disallowed_types, reason = "a test may start itself in a namespace")]
fn sysctl_shows_every_parameter_as_we_do() {
    if std::env::var_os(INSIDE).is_some() {
        return compare_with_sysctl();
    }
    let Some(shown) = sysctl() else { return };
    // Everything that sysctl knows is configured here, and nothing as it runs.
    let folder = tempfile::tempdir().unwrap();
    let all: String = shown.keys().map(|name| format!("{name} = 4711\n")).collect();
    std::fs::write(folder.path().join("all.conf"), all).unwrap();
    let ended = std::process::Command::new("unshare")
        .args([
            "-m",
            "sh",
            "-c",
            "mount --bind \"$1\" /etc/sysctl.d && exec \"$2\" --exact \"$3\"",
            "sh",
        ])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .arg("sources::kernel_policy::tests::sysctl_shows_every_parameter_as_we_do")
        .env(INSIDE, "1")
        .output()
        .unwrap();
    // Without root nobody can configure for himself alone.
    if String::from_utf8_lossy(&ended.stderr).contains("unshare failed") {
        return compare_with_sysctl();
    }
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
}

/// What `sysctl -a` shows of parameters on one line.
#[allow(clippy::disallowed_types, reason = "a test may ask sysctl itself")]
fn sysctl() -> Option<BTreeMap<String, String>> {
    let output = std::process::Command::new("sysctl").arg("-a").output().ok()?;
    let (mut one, mut several) = (BTreeMap::new(), Vec::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((name, value)) = line.split_once(" = ") else { continue };
        let value: Vec<&str> = value.split_whitespace().collect();
        if one.insert(name.to_owned(), value.join(" ")).is_some() {
            several.push(name.to_owned());
        }
    }
    one.retain(|name, _| !several.contains(name));
    Some(one)
}

fn compare_with_sysctl() {
    let mut differ = differences_from_sysctl();
    // Counts of the kernel move while they are read, on a busy machine in nearly each round; a
    // difference of ours stays through all of them.
    for _ in 0..20 {
        let again = if differ.is_empty() { BTreeMap::new() } else { differences_from_sysctl() };
        differ.retain(|name, _| again.contains_key(name));
    }
    assert_eq!(differ, BTreeMap::new());
}

/// What we say and what sysctl says, of each parameter where these are not the same.
fn differences_from_sysctl() -> BTreeMap<String, (Vec<String>, String)> {
    let before = sysctl().unwrap_or_default();
    let machine = Machine::open(Path::new("/"), Redactor::new([1; 32])).unwrap();
    let mut kept = Kept::default();
    KernelPolicy::new().read(&machine, &mut kept).unwrap();
    let after = sysctl().unwrap_or_default();
    let (mut compared, mut differ) = (0, BTreeMap::new());
    for (name, theirs) in &before {
        // Counts of the kernel go on by themselves.
        if after.get(name) != Some(theirs) {
            continue;
        }
        let part = format!("/proc/sys/{}", name.replace('.', "/"));
        let Some(RawPart::Observed(ours)) = kept.0.get(&part) else { continue };
        let (ours, theirs) = (shown(&ours.items), format!("{name} = {theirs}"));
        if ours != [theirs.clone()] {
            differ.insert(name.clone(), (ours, theirs));
        }
        compared += 1;
    }
    let configured = kept.0.keys().filter(|name| name.starts_with("/proc/sys/")).count();
    assert!(compared > 0 || configured == 0, "nothing of {configured} was compared");
    if std::env::var_os(INSIDE).is_some() {
        assert!(compared > 100, "only {compared} of {} were compared", before.len());
    }
    differ
}

/// Each mount that is told has the type and options that `findmnt` shows.
#[test]
fn findmnt_shows_every_mount_as_we_do() {
    let table = std::fs::read_to_string("/proc/1/mountinfo").unwrap();
    let mut compared = 0;
    for (place, ours) in mounts::mounted(&table).unwrap() {
        let words = ["findmnt", "-n", "-N", "1", "-o", "FSTYPE,OPTIONS", "--raw", "-M", &place];
        // It fails on a place that it does not find.
        let Some((text, _)) = said(&words) else { return };
        // One line for each layer of a place that is mounted over; the last is on top.
        let Some((kind, options)) = text.lines().next_back().and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        assert_eq!(ours.kind, kind, "{place}");
        let is_told = |option: &&str| !mounts::UNTOLD.iter().any(|begin| option.starts_with(begin));
        let theirs: BTreeSet<&str> = options.split(',').filter(is_told).collect();
        assert_eq!(ours.options, theirs, "{place}");
        compared += 1;
    }
    assert!(compared > 0, "nothing of {table} was compared");
}
